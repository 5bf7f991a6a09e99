package io.pluresdb.transport.net;

import io.netty.util.concurrent.ScheduledFuture;
import io.netty.util.concurrent.Ticker;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.path.PathMessage;
import io.pluresdb.transport.path.Punch;
import io.pluresdb.transport.path.PunchProbe;
import io.pluresdb.transport.path.Reachability;
import io.pluresdb.transport.session.OpenPath;
import java.net.Inet4Address;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.TimeUnit;
import java.util.function.BiFunction;
import java.util.function.Supplier;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Runs a {@link Punch} for each session that is on a relay, on the UDP port that QUIC uses, too.
 * Thread-safe; what it does, it does on the port's thread.
 */
final class Puncher {
  private static final Logger log = LoggerFactory.getLogger(Puncher.class);

  /** Sessions for which direct paths are tried at a time. */
  static final int MAX_SESSIONS = 256;

  /** An opener passes the own NAT and ends at the next router. */
  static final int OPENER_TIME_TO_LIVE = 2;

  /** Direct candidates have so long before holes are punched. */
  private static final long FIRST_MILLIS = 300;

  private final UdpSocket udp;
  private final DeviceId self;
  private final RandomGenerator random;
  private final Supplier<CompletionStage<Reachability>> reach;
  private final BiFunction<InetSocketAddress, LiveSession, CompletionStage<OpenPath>> dial;
  private final boolean loopback;
  private final boolean ipv4Only;
  private final Map<LiveSession, Entry> entries = new LinkedHashMap<>(); // The thread's.

  private static final class Entry {
    private final LiveSession session;
    private final Punch punch;
    private @Nullable ScheduledFuture<?> timer;
    private boolean looking;

    Entry(LiveSession session, Punch punch) {
      this.session = session;
      this.punch = punch;
    }
  }

  /**
   * @param random cryptographically secure in production
   * @param reach tells where this device may be reached now; called on the port's thread
   * @param dial dials QUIC for a session
   */
  Puncher(
      UdpSocket udp,
      DeviceId self,
      RandomGenerator random,
      Supplier<CompletionStage<Reachability>> reach,
      BiFunction<InetSocketAddress, LiveSession, CompletionStage<OpenPath>> dial) {
    this.udp = udp;
    this.self = self;
    this.random = random;
    this.reach = reach;
    this.dial = dial;
    this.loopback = udp.address().getAddress().isLoopbackAddress();
    this.ipv4Only = udp.address().getAddress() instanceof Inet4Address;
    udp.onPunch(this::received);
  }

  private static long now() {
    return TimeUnit.NANOSECONDS.toMillis(Ticker.systemTicker().nanoTime());
  }

  /** A session has come to be on a relay. */
  void relayed(LiveSession session) {
    udp.execute(
        () -> {
          if (entries.size() < MAX_SESSIONS && !entries.containsKey(session)) {
            var entry = new Entry(session, new Punch(self, session.peer(), loopback, random));
            entries.put(session, entry);
            carryOut(entry, entry.punch.begin(FIRST_MILLIS, now()));
          }
        });
  }

  /** A session is not on a relay any more. */
  void over(LiveSession session) {
    udp.execute(
        () -> {
          Entry entry = entries.remove(session);
          if (entry != null) {
            cancel(entry);
          }
        });
  }

  /** The own network has changed: what was given up may be possible now. */
  void networkChanged() {
    udp.execute(
        () -> {
          for (Entry entry : List.copyOf(entries.values())) {
            carryOut(entry, entry.punch.networkChanged(now()));
          }
        });
  }

  /** The peer of a session says something about paths. */
  void heard(LiveSession session, byte[] content) {
    PathMessage message = PathMessage.decode(content);
    if (message == null) {
      log.debug("malformed message about paths peer={}", session.peer().shortForm());
      return;
    }
    long arrivedAt = now();
    udp.execute(
        () -> {
          Entry entry = entries.get(session);
          if (entry != null) {
            if (message instanceof PathMessage.Offer) {
              look(entry, at -> entry.punch.heard(message, at, arrivedAt, now()));
            } else {
              carryOut(entry, entry.punch.heard(message, Reachability.nowhere(), arrivedAt, now()));
            }
          }
        });
  }

  private void received(InetSocketAddress from, byte[] bytes, int length) {
    PunchProbe probe = PunchProbe.decode(bytes, length);
    if (probe != null) {
      // Every token is asked: another device can have none of them.
      for (Entry entry : new ArrayList<>(entries.values())) {
        carryOut(entry, entry.punch.received(from, probe, now()));
      }
    }
  }

  private interface Using {
    List<Punch.Effect> of(Reachability reachability);
  }

  private void look(Entry entry, Using use) {
    if (entry.looking) {
      return;
    }
    entry.looking = true;
    var _ =
        reach
            .get()
            .exceptionally(failure -> Reachability.nowhere())
            .thenAccept(
                at ->
                    udp.execute(
                        () -> {
                          entry.looking = false;
                          if (entries.get(entry.session) == entry) {
                            carryOut(entry, use.of(at));
                          }
                        }));
  }

  private void carryOut(Entry entry, List<Punch.Effect> effects) {
    for (Punch.Effect effect : effects) {
      switch (effect) {
        case Punch.Effect.Tell(var message) -> entry.session.tell(message.encode());
        case Punch.Effect.Open(var to, var probe) -> {
          if (isSendable(to)) {
            udp.sendShortLived(to, probe.encode(), OPENER_TIME_TO_LIVE);
          }
        }
        case Punch.Effect.Send(var to, var probe) -> {
          if (isSendable(to)) {
            udp.write(to, probe.encode());
          }
        }
        case Punch.Effect.Dial(var to) -> {
          log.debug("way found peer={} address={}", entry.session.peer().shortForm(), to);
          var _ =
              dial.apply(to, entry.session)
                  .whenComplete(
                      (path, failure) ->
                          udp.execute(
                              () -> {
                                entry.punch.dialled(path != null, now());
                                schedule(entry);
                              }));
        }
      }
    }
    udp.flush();
    schedule(entry);
  }

  private boolean isSendable(InetSocketAddress to) {
    return !ipv4Only || to.getAddress() instanceof Inet4Address;
  }

  private void schedule(Entry entry) {
    cancel(entry);
    long at = entry.punch.wakeAt();
    if (at == Long.MAX_VALUE || entries.get(entry.session) != entry) {
      return;
    }
    entry.timer =
        udp.loop().schedule(() -> tick(entry), Math.max(1, at - now()), TimeUnit.MILLISECONDS);
  }

  private void tick(Entry entry) {
    if (entry.punch.isRoundDue(now())) {
      look(entry, at -> entry.punch.tick(at, now()));
    } else {
      carryOut(entry, entry.punch.tick(Reachability.nowhere(), now()));
    }
  }

  private static void cancel(Entry entry) {
    ScheduledFuture<?> timer = entry.timer;
    if (timer != null) {
      timer.cancel(false);
      entry.timer = null;
    }
  }
}
