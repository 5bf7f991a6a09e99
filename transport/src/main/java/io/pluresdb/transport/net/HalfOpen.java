package io.pluresdb.transport.net;

import java.net.Inet6Address;
import java.net.InetAddress;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The places for accepted connections whose handshake is not finished, in all and of one address.
 * An IPv6 /64 counts as one address, since one host may have all of it.
 *
 * <p>An address that has all it may gets no more. Where all places are taken, a newcomer takes that
 * of the oldest connection of the address that has most: of those that are not {@linkplain
 * Place#recognise recognised} while they have more than half of the places, of the others
 * otherwise. So who floods from few addresses loses his own, and who floods from many has to come
 * faster than an honest peer's first message follows. To refuse newcomers instead would let a few
 * hundred silent connections shut everybody out.
 *
 * <p>Thread-safe.
 */
final class HalfOpen {
  private static final int IPV6_PREFIX_BYTES = 8;

  private final int most;
  private final int mostPerAddress;
  private final Map<String, Integer> byAddress = new HashMap<>();
  // In the order they came.
  private final Set<Place> places = new LinkedHashSet<>();

  /**
   * @param most 1 or more
   * @param mostPerAddress 1 or more
   */
  HalfOpen(int most, int mostPerAddress) {
    this.most = most;
    this.mostPerAddress = mostPerAddress;
  }

  /** What one connection holds. */
  final class Place {
    private final String key;
    private final Runnable pushedOut;
    private boolean recognised;

    private Place(String key, Runnable pushedOut) {
      this.key = key;
      this.pushedOut = pushedOut;
    }

    /** The connection said what a member says: it competes with its like. */
    void recognise() {
      synchronized (HalfOpen.this) {
        recognised = true;
      }
    }

    /** Gives the place back; a later call does nothing. */
    void leave() {
      synchronized (HalfOpen.this) {
        remove(this);
      }
    }
  }

  /**
   * Takes a place, perhaps that of another.
   *
   * @param pushedOut must end the connection; runs at most once, on any thread, when another takes
   *     the place before it was left
   * @return null when the address has all it may
   */
  @Nullable Place tryEnter(InetAddress address, Runnable pushedOut) {
    var place = new Place(key(address), pushedOut);
    Place loser = null;
    synchronized (this) {
      if (byAddress.getOrDefault(place.key, 0) >= mostPerAddress) {
        return null;
      }
      if (places.size() >= most) {
        loser = toGiveWay();
        remove(loser);
      }
      places.add(place);
      byAddress.merge(place.key, 1, Integer::sum);
    }
    if (loser != null) {
      loser.pushedOut.run();
    }
    return place;
  }

  private Place toGiveWay() {
    // Half of the places are for either kind, so that neither can shut the other out.
    boolean recognised = 2 * places.stream().filter(place -> !place.recognised).count() <= most;
    Place chosen = null;
    int busiest = 0;
    for (Place place : places) {
      int ofAddress = byAddress.getOrDefault(place.key, 0);
      if (place.recognised == recognised && ofAddress > busiest) {
        chosen = place;
        busiest = ofAddress;
      }
    }
    if (chosen == null) {
      throw new IllegalStateException("all places are taken, but nobody has one");
    }
    return chosen;
  }

  private void remove(Place place) {
    if (places.remove(place)) {
      byAddress.computeIfPresent(place.key, (key, count) -> count == 1 ? null : count - 1);
    }
  }

  synchronized int total() {
    return places.size();
  }

  /** One text for what counts as one address. */
  static String key(InetAddress address) {
    byte[] bytes = address.getAddress();
    return HexFormat.of()
        .formatHex(
            address instanceof Inet6Address ? Arrays.copyOf(bytes, IPV6_PREFIX_BYTES) : bytes);
  }
}
