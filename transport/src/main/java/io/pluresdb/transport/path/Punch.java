package io.pluresdb.transport.path;

import io.pluresdb.transport.dht.AddressScope;
import io.pluresdb.transport.identity.DeviceId;
import java.net.Inet4Address;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.random.RandomGenerator;

/**
 * One side of the attempts to give a relayed session a direct path by QUIC.
 *
 * <pre>
 * leads: smaller device id                       follows
 *   OFFER addresses, token               -&gt;
 *                                        &lt;-  ANSWER addresses, token
 *   NOW                                  -&gt;
 *   half a round trip later: openers          at once: openers
 *   probes, to every address, both ways, until one is known to work both ways
 *   then one side dials QUIC there
 * </pre>
 *
 * <p>An opener has so short a time to live that it makes a mapping in the own NAT and does not
 * reach the other, which may remember uninvited datagrams. A probe that arrives from an address
 * nobody named shows where its sender is seen. The harder NAT's side dials, then the side that
 * leads: so one connection is made. As in libp2p's DCUtR the moment is agreed on over the relay;
 * unlike there, datagrams find the way first, and QUIC is dialled once.
 *
 * <p>A state machine: messages, datagrams and the time in milliseconds go in, {@link Effect}s come
 * out, and it wants to be {@linkplain #tick called} at {@link #wakeAt}. Not thread-safe.
 */
public final class Punch {
  /** Rounds without success, then it rests until the network changes. */
  public static final int MAX_ROUNDS = 3;

  /** Addresses probes go to in a round. */
  public static final int MAX_TARGETS = 24;

  /** How long probes are sent. */
  public static final long PROBING_MILLIS = 4_000;

  /** How long the other side may take for its part of the agreement. */
  public static final long AGREEING_MILLIS = 10_000;

  /** Rounds are at least so far apart, whoever wants them. */
  public static final long LEAST_WAIT_MILLIS = 2_000;

  private static final long[] WAITS_MILLIS = {LEAST_WAIT_MILLIS, 15_000, 0};
  private static final long OPENERS_FIRST_MILLIS = 40;
  private static final long PROBE_EVERY_MILLIS = 100;
  private static final long NEVER = Long.MAX_VALUE;

  /** What to do. */
  public sealed interface Effect {
    /** Tell the peer, in the session. */
    record Tell(PathMessage message) implements Effect {}

    /** Send a datagram that does not get far. */
    record Open(InetSocketAddress to, PunchProbe probe) implements Effect {}

    record Send(InetSocketAddress to, PunchProbe probe) implements Effect {}

    /** Dial QUIC, then call {@link Punch#dialled}. */
    record Dial(InetSocketAddress to) implements Effect {}
  }

  /** What it is doing. */
  public enum State {
    /** Nothing, until a round is due or the peer begins one. */
    RESTING,
    OFFERED,
    ANSWERED,
    /** The other side has been told that it begins. */
    ABOUT_TO,
    PROBING,
    DIALLING,
    /** Not worth another round before the network changes. */
    GIVEN_UP
  }

  private final boolean leads;
  private final boolean loopback;
  private final RandomGenerator random;
  private State state = State.RESTING;
  private int rounds;
  private int round;
  private long nextRoundAt = NEVER;
  private long lastRoundAt = Long.MIN_VALUE / 2;
  private long dueAt = NEVER;
  private long endAt = NEVER;
  private long offeredAt;
  private byte[] token = {};
  private byte[] peerToken = {};
  private boolean dials;
  private Reachability own = Reachability.nowhere();
  private List<InetSocketAddress> named = List.of();
  private final Set<InetSocketAddress> targets = new LinkedHashSet<>();

  /**
   * @param loopback whether this device itself is on a loopback address only: otherwise a peer may
   *     not lead it there
   * @param random makes tokens: cryptographically secure in production
   */
  public Punch(DeviceId self, DeviceId peer, boolean loopback, RandomGenerator random) {
    this.leads = self.compareTo(peer) < 0;
    this.loopback = loopback;
    this.random = random;
  }

  public State state() {
    return state;
  }

  /** The token that datagrams to this side carry now; empty before the first round. */
  public byte[] token() {
    return token.clone();
  }

  /** When to call {@link #tick} next; {@link Long#MAX_VALUE} for not at all. */
  public long wakeAt() {
    return Math.min(Math.min(nextRoundAt, dueAt), endAt);
  }

  /** Whether the next {@link #tick} begins a round, for which the own addresses are looked up. */
  public boolean isRoundDue(long now) {
    return leads && state == State.RESTING && now >= nextRoundAt;
  }

  /**
   * Rounds begin anew, {@code delay} from now: the session is on a relay, or the network changed.
   */
  public List<Effect> begin(long delay, long now) {
    if (!leads) {
      return List.of();
    }
    rounds = 0;
    if (state == State.RESTING || state == State.GIVEN_UP) {
      state = State.RESTING;
      nextRoundAt = Math.max(now + delay, lastRoundAt + LEAST_WAIT_MILLIS);
    }
    return List.of();
  }

  /** The own network has changed. */
  public List<Effect> networkChanged(long now) {
    return leads ? begin(0, now) : List.of(new Effect.Tell(new PathMessage.Again()));
  }

  /**
   * Time passed.
   *
   * @param reachability of this device; used when a round begins
   */
  public List<Effect> tick(Reachability reachability, long now) {
    if (isRoundDue(now)) {
      return offer(reachability, now);
    }
    if (now >= endAt) {
      failed(now);
      return List.of();
    }
    if (now < dueAt) {
      return List.of();
    }
    if (state == State.ABOUT_TO) {
      return open(now);
    }
    dueAt = now + PROBE_EVERY_MILLIS;
    var effects = new ArrayList<Effect>();
    targets.forEach(to -> effects.add(new Effect.Send(to, new PunchProbe(false, peerToken))));
    return effects;
  }

  private List<Effect> offer(Reachability reachability, long now) {
    nextRoundAt = NEVER;
    if (reachability.addresses().isEmpty()) {
      state = State.GIVEN_UP;
      return List.of();
    }
    rounds++;
    round = (round + 1) & 0xff;
    lastRoundAt = now;
    offeredAt = now;
    endAt = now + AGREEING_MILLIS;
    state = State.OFFERED;
    own = reachability;
    renewToken();
    return List.of(
        new Effect.Tell(new PathMessage.Offer(round, own.nat(), token.clone(), own.addresses())));
  }

  private void renewToken() {
    token = new byte[PathMessage.TOKEN_BYTES];
    random.nextBytes(token);
  }

  /**
   * The peer said something.
   *
   * @param reachability of this device
   * @param arrivedAt when it came: finding out {@code reachability} may have taken a while
   */
  public List<Effect> heard(
      PathMessage message, Reachability reachability, long arrivedAt, long now) {
    return switch (message) {
      case PathMessage.Offer(var number, var nat, var theirs, var addresses) -> {
        if (leads || state == State.DIALLING || now < lastRoundAt + LEAST_WAIT_MILLIS / 2) {
          yield List.of();
        }
        round = number;
        lastRoundAt = now;
        own = reachability;
        renewToken();
        agreed(nat, theirs, addresses);
        state = State.ANSWERED;
        dueAt = NEVER;
        endAt = now + AGREEING_MILLIS;
        yield List.of(
            new Effect.Tell(
                new PathMessage.Answer(
                    round,
                    own.nat(),
                    token.clone(),
                    own.addresses(),
                    Math.clamp(now - arrivedAt, 0, PathMessage.MAX_WAITED_MILLIS))));
      }
      case PathMessage.Answer(var number, var nat, var theirs, var addresses, var waited) -> {
        if (state != State.OFFERED || number != round) {
          yield List.of();
        }
        agreed(nat, theirs, addresses);
        if (!isWorthTrying(nat)) {
          state = State.GIVEN_UP;
          endAt = NEVER;
          yield List.of();
        }
        state = State.ABOUT_TO;
        dueAt = now + Math.max(0, now - offeredAt - waited) / 2;
        endAt = dueAt + PROBING_MILLIS;
        yield List.of(new Effect.Tell(new PathMessage.Now(round)));
      }
      case PathMessage.Now(var number) ->
          state == State.ANSWERED && number == round ? open(now) : List.of();
      case PathMessage.Again ignored -> begin(0, now);
    };
  }

  private void agreed(NatKind nat, byte[] theirs, List<InetSocketAddress> addresses) {
    peerToken = theirs.clone();
    named = addresses.stream().filter(this::isUsable).toList();
    targets.clear();
    targets.addAll(named);
    int harder = Integer.compare(own.nat().hardness(), nat.hardness());
    dials = harder == 0 ? leads : harder > 0;
  }

  /** Nobody is led to this host, to no host or to many. */
  private boolean isUsable(InetSocketAddress address) {
    AddressScope scope = AddressScope.of(address.getAddress());
    return switch (scope) {
      case LOOPBACK -> loopback;
      case PRIVATE, GLOBAL -> true;
      case NONE -> false;
    };
  }

  /**
   * Two NATs that show everybody another port do not meet, unless the two devices can reach each
   * other without them: then one of the addresses named is of a network of the own.
   */
  private boolean isWorthTrying(NatKind peerNat) {
    if (named.isEmpty()) {
      return false;
    }
    if (own.nat() != NatKind.SYMMETRIC || peerNat != NatKind.SYMMETRIC) {
      return true;
    }
    return rounds == 1
        && named.stream()
            .anyMatch(theirs -> own.addresses().stream().anyMatch(ours -> areNear(theirs, ours)));
  }

  /** Whether both are private and begin alike: perhaps of one network. */
  private static boolean areNear(InetSocketAddress one, InetSocketAddress other) {
    if (AddressScope.of(one.getAddress()) == AddressScope.GLOBAL) {
      return false;
    }
    byte[] first = one.getAddress().getAddress();
    byte[] second = other.getAddress().getAddress();
    int prefix = one.getAddress() instanceof Inet4Address ? 2 : 8;
    return first.length == second.length && Arrays.equals(first, 0, prefix, second, 0, prefix);
  }

  private List<Effect> open(long now) {
    state = State.PROBING;
    dueAt = now + OPENERS_FIRST_MILLIS;
    endAt = now + PROBING_MILLIS;
    var probe = new PunchProbe(false, peerToken);
    var effects = new ArrayList<Effect>();
    named.forEach(to -> effects.add(new Effect.Open(to, probe)));
    return effects;
  }

  /** A datagram with this side's token came. */
  public List<Effect> received(InetSocketAddress from, PunchProbe probe, long now) {
    if (!Arrays.equals(token, probe.token())
        || state == State.RESTING
        || state == State.OFFERED
        || state == State.GIVEN_UP) {
      return List.of();
    }
    if (!probe.heard()) {
      if (targets.size() < MAX_TARGETS) {
        targets.add(from);
      }
      return List.of(new Effect.Send(from, new PunchProbe(true, peerToken)));
    }
    if (state == State.PROBING && dials) {
      state = State.DIALLING;
      dueAt = NEVER;
      endAt = NEVER;
      return List.of(new Effect.Dial(from));
    }
    return List.of();
  }

  /** What was dialled has come to something, or not. */
  public void dialled(boolean up, long now) {
    if (state == State.DIALLING) {
      if (up) {
        rest();
      } else {
        failed(now);
      }
    }
  }

  private void rest() {
    state = State.RESTING;
    dueAt = NEVER;
    endAt = NEVER;
    nextRoundAt = NEVER;
  }

  private void failed(long now) {
    rest();
    if (leads && rounds < MAX_ROUNDS) {
      nextRoundAt = now + WAITS_MILLIS[Math.min(Math.max(rounds, 1), WAITS_MILLIS.length) - 1];
    } else if (leads) {
      state = State.GIVEN_UP;
    }
  }
}
