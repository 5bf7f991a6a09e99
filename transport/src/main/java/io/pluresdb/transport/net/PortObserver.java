package io.pluresdb.transport.net;

import io.pluresdb.transport.path.PortEcho;
import java.net.Inet4Address;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

/** Asks relays where they see a UDP port. Thread-safe; works on the port's thread. */
public final class PortObserver {
  /** Relays asked at a time; further ones are left out. */
  public static final int MAX_ASKED = 8;

  /** Whoever has not answered then is not waited for. */
  public static final long ANSWER_MILLIS = 800;

  /** When an unanswered question is sent, counted from the first. */
  private static final long[] SEND_AT_MILLIS = {0, 150, 400};

  private final UdpSocket udp;
  private final RandomGenerator random;
  private final List<Inquiry> open = new ArrayList<>(); // The port's thread's.

  /**
   * @param random cryptographically secure in production
   */
  public PortObserver(UdpSocket udp, RandomGenerator random) {
    this.udp = udp;
    this.random = random;
    udp.onEcho(this::received);
  }

  private static final class Inquiry {
    private final Map<InetSocketAddress, byte[]> tokens = new LinkedHashMap<>();
    private final Map<InetSocketAddress, InetSocketAddress> seen = new LinkedHashMap<>();
    private final CompletableFuture<List<InetSocketAddress>> result = new CompletableFuture<>();
  }

  /**
   * Asks these relays.
   *
   * @return where the port was seen, by each relay that answered within {@link #ANSWER_MILLIS}
   */
  public CompletableFuture<List<InetSocketAddress>> ask(List<InetSocketAddress> relays) {
    var inquiry = new Inquiry();
    boolean ipv4Only = udp.address().getAddress() instanceof Inet4Address;
    relays.stream()
        .filter(relay -> !ipv4Only || relay.getAddress() instanceof Inet4Address)
        .distinct()
        .limit(MAX_ASKED)
        .forEach(relay -> inquiry.tokens.put(relay, new byte[PortEcho.TOKEN_BYTES]));
    if (inquiry.tokens.isEmpty() || !udp.execute(() -> begin(inquiry))) {
      inquiry.result.complete(List.of());
    }
    return inquiry.result;
  }

  private void begin(Inquiry inquiry) {
    inquiry.tokens.values().forEach(random::nextBytes);
    open.add(inquiry);
    for (long at : SEND_AT_MILLIS) {
      var _ = udp.loop().schedule(() -> send(inquiry), at, TimeUnit.MILLISECONDS);
    }
    var _ = udp.loop().schedule(() -> end(inquiry), ANSWER_MILLIS, TimeUnit.MILLISECONDS);
  }

  private void send(Inquiry inquiry) {
    if (!inquiry.result.isDone()) {
      inquiry.tokens.forEach(
          (relay, token) -> {
            if (!inquiry.seen.containsKey(relay)) {
              udp.write(relay, new PortEcho.Question(token).encode());
            }
          });
      udp.flush();
    }
  }

  private void end(Inquiry inquiry) {
    open.remove(inquiry);
    inquiry.result.complete(List.copyOf(inquiry.seen.values()));
  }

  private void received(InetSocketAddress from, byte[] bytes, int length) {
    if (!(PortEcho.decode(bytes, length) instanceof PortEcho.Answer(var token, var seen))) {
      return;
    }
    for (Inquiry inquiry : List.copyOf(open)) {
      if (Arrays.equals(inquiry.tokens.get(from), token)) {
        inquiry.seen.put(from, seen);
        if (inquiry.seen.size() == inquiry.tokens.size()) {
          end(inquiry);
        }
      }
    }
  }
}
