package io.pluresdb.transport.path;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.identity.DeviceIdentity;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Two sides of hole punching and the NATs between them, in virtual time. */
class PunchTest {
  private static final long RELAY_MILLIS = 60;
  private static final long DIRECT_MILLIS = 25;

  /** A device, and the NAT in front of it. */
  private static final class Side {
    private final Punch punch;
    private final InetSocketAddress inside;
    private final String publicIp;
    private final NatKind nat;
    private final boolean anybodyMayAnswer;
    private final Map<InetSocketAddress, Integer> mappings = new HashMap<>();
    private final Set<InetSocketAddress> mayAnswer = new HashSet<>();
    private final Set<InetSocketAddress> tooEarly = new HashSet<>();
    private final List<InetSocketAddress> dialled = new ArrayList<>();
    private int probes;

    Side(DeviceId id, DeviceId peer, int number, NatKind nat, boolean anybodyMayAnswer) {
      this.nat = nat;
      this.anybodyMayAnswer = anybodyMayAnswer;
      this.publicIp = "203.0." + number + ".1";
      this.inside = new InetSocketAddress("10." + number + ".0.2", 7_000);
      this.punch = new Punch(id, peer, false, new Random(number));
    }

    Reachability reachability() {
      var seen = nat == NatKind.SYMMETRIC ? null : new InetSocketAddress(publicIp, 7_000);
      var addresses = new ArrayList<InetSocketAddress>();
      if (seen != null) {
        addresses.add(seen);
      }
      addresses.add(inside);
      return new Reachability(nat, seen, addresses);
    }

    /** What a destination sees this side as; a mapping is made. */
    InetSocketAddress leave(InetSocketAddress to) {
      mayAnswer.add(to);
      // An uninvited datagram that came before has taken the port for that peer.
      boolean spoilt = tooEarly.contains(to);
      int port =
          nat == NatKind.SYMMETRIC || spoilt
              ? mappings.computeIfAbsent(to, any -> 20_000 + mappings.size())
              : 7_000;
      return new InetSocketAddress(publicIp, port);
    }

    boolean lets(InetSocketAddress from, int port) {
      boolean mapped =
          port == 7_000 ? nat != NatKind.SYMMETRIC : mappings.getOrDefault(from, -1) == port;
      boolean let = mapped && (anybodyMayAnswer || mayAnswer.contains(from));
      if (!let && port == 7_000) {
        tooEarly.add(from);
      }
      return let;
    }
  }

  private record Due(long at, Runnable task) {}

  /** Both sides, and what is on its way between them. */
  private static final class Run {
    private final List<Due> dues = new ArrayList<>();
    private final Side left;
    private final Side right;
    private long now;
    private boolean direct;

    Run(NatKind leftNat, boolean leftOpen, NatKind rightNat, boolean rightOpen) {
      DeviceId one = DeviceIdentity.create(new Random(1)).id();
      DeviceId other = DeviceIdentity.create(new Random(2)).id();
      DeviceId smaller = one.compareTo(other) < 0 ? one : other;
      DeviceId larger = smaller.equals(one) ? other : one;
      left = new Side(smaller, larger, 1, leftNat, leftOpen);
      right = new Side(larger, smaller, 2, rightNat, rightOpen);
    }

    private Side other(Side side) {
      return side == left ? right : left;
    }

    private void carryOut(Side side, List<Punch.Effect> effects) {
      Side peer = other(side);
      for (Punch.Effect effect : effects) {
        switch (effect) {
          case Punch.Effect.Tell(var message) -> {
            PathMessage arrived = read(PathMessage.decode(message.encode()));
            later(
                RELAY_MILLIS,
                () -> carryOut(peer, peer.punch.heard(arrived, peer.reachability(), now, now)));
          }
          case Punch.Effect.Open(var to, var probe) -> side.leave(to);
          case Punch.Effect.Send(var to, var probe) -> {
            side.probes++;
            InetSocketAddress from = side.leave(to);
            later(DIRECT_MILLIS, () -> arrive(peer, from, to, probe));
          }
          case Punch.Effect.Dial(var to) -> {
            side.dialled.add(to);
            side.punch.dialled(true, now);
            // The session is on QUIC then, and both sides end this.
            later(3 * DIRECT_MILLIS, () -> direct = true);
          }
        }
      }
    }

    private void arrive(Side at, InetSocketAddress from, InetSocketAddress to, PunchProbe probe) {
      if (to.getAddress().getHostAddress().equals(at.publicIp) && at.lets(from, to.getPort())) {
        byte[] datagram = probe.encode();
        PunchProbe read = read(PunchProbe.decode(datagram, datagram.length));
        carryOut(at, at.punch.received(from, read, now));
      }
    }

    private static <T> T read(@Nullable T decoded) {
      if (decoded == null) {
        throw new AssertionError("what was encoded is not read");
      }
      return decoded;
    }

    private static InetSocketAddress at(String ip) {
      return new InetSocketAddress(InetAddress.ofLiteral(ip), 80);
    }

    private void later(long millis, Runnable task) {
      dues.add(new Due(now + millis, task));
    }

    private void run(long until) {
      while (now < until && !direct) {
        now++;
        for (Due due : List.copyOf(dues)) {
          if (due.at() <= now) {
            dues.remove(due);
            due.task().run();
          }
        }
        for (Side side : List.of(left, right)) {
          if (side.punch.wakeAt() <= now) {
            carryOut(side, side.punch.tick(side.reachability(), now));
          }
        }
      }
    }
  }

  @ParameterizedTest
  @CsvSource({
    // NATs, and whether they let anybody answer once there is a mapping; who dials, if anybody
    "CONE, false, CONE, false, left",
    "OPEN, true, CONE, false, right",
    "CONE, false, OPEN, true, left",
    "UNKNOWN, false, UNKNOWN, false, left",
    "SYMMETRIC, false, OPEN, true, left",
    "OPEN, true, SYMMETRIC, false, right",
    "SYMMETRIC, false, CONE, true, left",
    "CONE, true, SYMMETRIC, false, right",
    "SYMMETRIC, false, CONE, false, nobody",
    "CONE, false, SYMMETRIC, false, nobody",
    "SYMMETRIC, false, SYMMETRIC, false, nobody",
  })
  void punch_betweenTwoNats_isDialledOnceByTheHarderSide_orGivenUp(
      NatKind leftNat, boolean leftOpen, NatKind rightNat, boolean rightOpen, String dialler) {
    var test = new Run(leftNat, leftOpen, rightNat, rightOpen);
    test.carryOut(test.left, test.left.punch.begin(0, 0));
    test.carryOut(test.right, test.right.punch.begin(0, 0));
    test.run(120_000);
    assertThat(test.left.dialled).hasSize(dialler.equals("left") ? 1 : 0);
    assertThat(test.right.dialled).hasSize(dialler.equals("right") ? 1 : 0);
    if (dialler.equals("nobody")) {
      assertThat(test.left.punch.state()).isEqualTo(Punch.State.GIVEN_UP);
      assertThat(test.right.punch.state()).isEqualTo(Punch.State.RESTING);
    }
    int most = Punch.MAX_ROUNDS * Punch.MAX_TARGETS * (int) (Punch.PROBING_MILLIS / 100 + 1);
    assertThat(test.left.probes + test.right.probes).isLessThan(2 * most);
    if (leftNat == NatKind.SYMMETRIC && rightNat == NatKind.SYMMETRIC) {
      assertThat(test.left.probes + test.right.probes).as("probes of no use").isZero();
    }
  }

  @Test
  void punch_withoutOpeners_spoilsTheNats_whereEarlyProbesTakeThePort() {
    // The control of the model: a probe that reaches the other NAT first makes it symmetric there.
    InetSocketAddress from = new InetSocketAddress("203.0.1.1", 7_000);
    Side right = new Run(NatKind.CONE, false, NatKind.CONE, false).right;
    assertThat(right.lets(from, 7_000)).isFalse();
    assertThat(right.leave(from).getPort()).isNotEqualTo(7_000);
  }

  @Test
  void givenUp_networkChanges_beginsAnew_alsoWhenTheOtherSideSaysSo() {
    var test = new Run(NatKind.SYMMETRIC, false, NatKind.CONE, false);
    test.carryOut(test.left, test.left.punch.begin(0, 0));
    test.run(120_000);
    int before = test.left.probes;
    assertThat(test.left.punch.state()).isEqualTo(Punch.State.GIVEN_UP);
    test.carryOut(test.right, test.right.punch.networkChanged(test.now));
    test.run(126_000);
    assertThat(test.left.probes).isGreaterThan(before);
  }

  @Test
  void datagrams_withoutTheToken_areNotAnswered() {
    var test = new Run(NatKind.CONE, false, NatKind.CONE, false);
    Side left = test.left;
    test.carryOut(left, left.punch.begin(0, 0));
    test.run(200);
    long now = test.now;
    InetSocketAddress stranger = new InetSocketAddress("198.51.100.7", 9);
    assertThat(left.punch.state()).isEqualTo(Punch.State.PROBING);
    assertThat(left.punch.received(stranger, new PunchProbe(false, new byte[8]), now)).isEmpty();
    assertThat(left.punch.received(stranger, new PunchProbe(true, new byte[8]), now)).isEmpty();
    assertThat(left.punch.received(stranger, new PunchProbe(false, left.punch.token()), now))
        .hasSize(1);
  }

  @Test
  void addresses_ofThisHostOrOfNoHost_areNotUsed() {
    var forbidden =
        List.of(
            Run.at("127.0.0.1"),
            Run.at("::1"),
            Run.at("0.0.0.0"),
            Run.at("224.0.0.1"),
            Run.at("255.255.255.255"));
    Side right = new Run(NatKind.CONE, false, NatKind.CONE, false).right;
    right.punch.heard(
        new PathMessage.Offer(1, NatKind.OPEN, new byte[8], forbidden), right.reachability(), 0, 0);
    assertThat(right.punch.heard(new PathMessage.Now(1), Reachability.nowhere(), 0, 0)).isEmpty();
  }
}
