package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.hash.Blake2b;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.path.Backoff;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.path.Dialer;
import io.pluresdb.transport.path.Timers;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Decision;
import io.pluresdb.transport.session.OpenPath;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionFailedException;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.Sessions;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import io.pluresdb.transport.topic.SyncKey;
import java.lang.reflect.Proxy;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** The dialer alone with virtual time, and over real sockets. */
class DialerTest {
  private static final InetSocketAddress ADDRESS =
      new InetSocketAddress(InetAddress.getLoopbackAddress(), 9);

  @Test
  void add_peerThatRefuses_isTriedLessAndLessOftenOneAttemptAtATime() {
    Virtual time = new Virtual();
    Scripted connector = new Scripted();
    try (Dialer dialer = dialer(connector, time)) {
      dialer.add(ADDRESS, Node.DATABASE);
      dialer.add(ADDRESS, Node.DATABASE);
      assertThat(connector.attempts).hasSize(1);
      time.advance(Duration.ofMinutes(1));
      assertThat(connector.attempts).as("one attempt until it fails").hasSize(1);
      long longest = 0;
      for (int i = 0; i < 20; i++) {
        connector.failLast(new CloseReason.ConnectFailed("refused"));
        int before = connector.attempts.size();
        long start = time.nowMillis;
        while (connector.attempts.size() == before) {
          time.advance(Duration.ofMillis(1));
        }
        longest = Math.max(longest, time.nowMillis - start);
        assertThat(connector.attempts).hasSize(before + 1);
      }
      assertThat(longest).isBetween(15_000L, 30_000L);
      assertThat(dialer.targets().getFirst().lastFailure())
          .isEqualTo(new CloseReason.ConnectFailed("refused"));
    }
  }

  @Test
  void remove_whileWaiting_stopsDialling() {
    Virtual time = new Virtual();
    Scripted connector = new Scripted();
    try (Dialer dialer = dialer(connector, time)) {
      dialer.add(ADDRESS, Node.DATABASE);
      connector.failLast(new CloseReason.ConnectFailed("refused"));
      dialer.remove(ADDRESS, Node.DATABASE.databaseId());
      time.advance(Duration.ofHours(1));
      assertThat(connector.attempts).hasSize(1);
      assertThat(dialer.targets()).isEmpty();
    }
  }

  @Test
  void targets_ofOnePeer_race_theRelayedOneLater_andRestWhileThereIsABetterPath() {
    Virtual time = new Virtual();
    Scripted connector = new Scripted();
    Candidate relayed = relayed();
    Candidate quic = new Candidate.Quic(ADDRESS);
    try (Dialer dialer = dialer(connector, time)) {
      dialer.add(relayed, Node.DATABASE);
      dialer.add(ADDRESS, Node.DATABASE);
      dialer.add(quic, Node.DATABASE);
      assertThat(connector.dialled).containsExactly(new Candidate.Direct(ADDRESS), quic);
      time.advance(Dialer.DIRECT_HEAD_START);
      assertThat(connector.dialled).hasSize(3).endsWith(relayed);
      // All three come up, the worst first, and the best one stays.
      Path overRelay = connector.up(relayed);
      Path overQuic = connector.up(quic);
      overRelay.end(new CloseReason.Moved());
      Path direct = connector.up(new Candidate.Direct(ADDRESS));
      overQuic.end(new CloseReason.EndedByPeer(CloseReason.MOVED_CODE, ""));
      connector.served = true;
      time.advance(Duration.ofMinutes(5));
      assertThat(connector.dialled).as("nobody dials while there is a path").hasSize(3);
      // The best path is lost: everything is tried at once, and what is up first serves.
      connector.served = false;
      direct.end(new CloseReason.Disconnected("cable"));
      dialer.hurry(Node.DATABASE.databaseId(), Scripted.PEER);
      assertThat(connector.dialled.subList(3, connector.dialled.size()))
          .containsExactlyInAnyOrder(relayed, quic, new Candidate.Direct(ADDRESS));
      connector.up(relayed);
      assertThat(dialer.targets())
          .filteredOn(target -> target.state() == Dialer.State.CONNECTED)
          .singleElement()
          .satisfies(target -> assertThat(target.candidate()).isEqualTo(relayed));
    }
  }

  @Test
  void hurry_ofAnotherPeer_leavesTargetsThatLeadElsewhere() {
    Virtual time = new Virtual();
    Scripted connector = new Scripted();
    try (Dialer dialer = dialer(connector, time)) {
      dialer.add(ADDRESS, Node.DATABASE);
      connector.up(new Candidate.Direct(ADDRESS)).end(new CloseReason.Moved());
      connector.served = true;
      dialer.hurry(Node.DATABASE.databaseId(), DeviceIdentity.create(new Random(9)).id());
      dialer.hurry("another database", Scripted.PEER);
      assertThat(connector.dialled).hasSize(1);
      connector.served = false;
      dialer.hurry();
      assertThat(connector.dialled).hasSize(2);
    }
  }

  private static Candidate relayed() {
    Rendezvous rendezvous = Rendezvous.of(Node.DATABASE, Node.NOW).getFirst();
    return new Candidate.Relayed(
        RelayUrl.parse("ws://127.0.0.1:9"),
        rendezvous,
        PeerTag.of(Node.DATABASE, rendezvous, Scripted.PEER));
  }

  @Test
  void add_moreThanTheLimit_isRefused() {
    try (Dialer dialer = dialer(new Scripted(), new Virtual())) {
      for (int i = 0; i < Dialer.MAX_TARGETS; i++) {
        assertThat(
                dialer.add(
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), 1 + i), Node.DATABASE))
            .isTrue();
      }
      assertThat(
              dialer.add(
                  new InetSocketAddress(InetAddress.getLoopbackAddress(), 5000), Node.DATABASE))
          .isFalse();
    }
  }

  @Test
  void session_thatDrops_isBackWithinASecondEvenAfterTheListenerRestarted() {
    DeviceIdentity identity = DeviceIdentity.create(new Random(8));
    try (Node client = new Node();
        Dialer dialer = dialer(client)) {
      InetSocketAddress address;
      try (Node server = node(identity)) {
        address = server.listen();
        dialer.add(address, Node.DATABASE);
        Session first = server.session();
        long dropped = System.nanoTime();
        first.close(new CloseReason.Ended("TEST", "dropped"));
        Waiting.until("the second session", () -> server.established.size() == 2);
        assertThat(Duration.ofNanos(System.nanoTime() - dropped)).isLessThan(Duration.ofSeconds(1));
      }
      try (Node restarted = node(identity)) {
        restarted.transport.listen(address);
        assertThat(restarted.session().peer()).isEqualTo(client.identity.id());
        Waiting.until(
            "connected", () -> dialer.targets().getFirst().state() == Dialer.State.CONNECTED);
      }
    }
  }

  @Test
  void hint_thatLeadsNowhere_isDropped_unlessSomebodyWantsItToo() {
    Virtual time = new Virtual();
    Scripted connector = new Scripted();
    try (Dialer dialer = dialer(connector, time)) {
      dialer.offer(ADDRESS, Node.DATABASE);
      for (int i = 0; i < Dialer.HINT_ATTEMPTS; i++) {
        connector.failLast(new CloseReason.ConnectFailed("refused"));
        time.advance(Duration.ofMinutes(1));
      }
      assertThat(connector.attempts).hasSize(Dialer.HINT_ATTEMPTS);
      assertThat(dialer.targets()).isEmpty();
      dialer.offer(ADDRESS, Node.DATABASE);
      dialer.add(ADDRESS, Node.DATABASE);
      for (int i = 0; i < 2 * Dialer.HINT_ATTEMPTS; i++) {
        connector.failLast(new CloseReason.ConnectFailed("refused"));
        time.advance(Duration.ofMinutes(1));
      }
      assertThat(dialer.targets()).hasSize(1);
    }
  }

  @Test
  void hints_areFewAndLeaveRoomForTargets() {
    try (Dialer dialer = dialer(new Scripted(), new Virtual())) {
      for (int i = 0; i < Dialer.MAX_HINTS; i++) {
        assertThat(
                dialer.offer(
                    new InetSocketAddress(InetAddress.getLoopbackAddress(), 1 + i), Node.DATABASE))
            .isTrue();
      }
      var more = new InetSocketAddress(InetAddress.getLoopbackAddress(), 5000);
      assertThat(dialer.offer(more, Node.DATABASE)).isFalse();
      assertThat(dialer.add(more, Node.DATABASE)).isTrue();
    }
  }

  @Test
  void target_thatIsThisDevice_isDropped() {
    try (Node node = new Node();
        Dialer dialer = dialer(node)) {
      dialer.add(node.listen(), Node.DATABASE);
      Waiting.until("no targets", () -> dialer.targets().isEmpty());
      assertThat(node.count("dialled")).isEqualTo(1);
      assertThat(node.events).isEmpty();
    }
  }

  @Test
  void target_thatHasEnoughNeighbours_isDropped() {
    try (Node server = new Node();
        Node client = new Node();
        Dialer dialer = dialer(client)) {
      dialer.add(server.listen(), Node.DATABASE);
      server.session().close(new CloseReason.Ended(CloseReason.PARTING_CODE, "one among many"));
      Waiting.until("no targets", () -> dialer.targets().isEmpty());
      assertThat(client.count("dialled")).isEqualTo(1);
    }
  }

  @Test
  void target_thatRejectsUs_backsOff() {
    try (Node server = new Node();
        Node client = new Node();
        Dialer dialer = dialer(client)) {
      server.decision = new Decision.Reject("NOT_A_MEMBER", "ask for an invite");
      dialer.add(server.listen(), Node.DATABASE);
      Waiting.until("three attempts", () -> server.count("closed.rejected") >= 3);
      assertThat(dialer.targets().getFirst().lastFailure())
          .isEqualTo(new CloseReason.EndedByPeer("NOT_A_MEMBER", "ask for an invite"));
    }
  }

  @Test
  void bothSidesDialling_keepTheSameSessionAndRest() {
    try (Node left = new Node();
        Node right = new Node();
        Dialer fromLeft = dialer(left);
        Dialer fromRight = dialer(right)) {
      InetSocketAddress leftAddress = left.listen();
      InetSocketAddress rightAddress = right.listen();
      left.forwarding = new KeepsOne(left.identity.id());
      right.forwarding = new KeepsOne(right.identity.id());
      fromLeft.add(rightAddress, Node.DATABASE);
      fromRight.add(leftAddress, Node.DATABASE);
      Node smaller = left.identity.id().compareTo(right.identity.id()) < 0 ? left : right;
      Dialer loser = smaller == left ? fromRight : fromLeft;
      Waiting.until(
          "one session, on the path that the smaller id dialled",
          () ->
              left.transport.sessions().size() == 1
                  && right.transport.sessions().size() == 1
                  && loser.targets().getFirst().state() == Dialer.State.RESTING);
      long dialled = left.count("dialled") + right.count("dialled");
      assertThat(
              Waiting.holdsFor(
                  Duration.ofMillis(1200),
                  () -> left.count("dialled") + right.count("dialled") == dialled))
          .as("nobody dials while connected")
          .isTrue();
      smaller.transport.sessions().iterator().next().close(new CloseReason.Ended("TEST", "drop"));
      Waiting.until(
          "dialled again", () -> left.count("dialled") + right.count("dialled") > dialled);
    }
  }

  @Test
  void preferred_anyPair_isTheSameOnBothDevices() {
    try (Node left = new Node();
        Node right = new Node()) {
      Session fromLeft = left.dial(right.listen());
      Session atRight = right.session();
      DatabaseKeys other = DatabaseKeys.of(new SyncKey(Blake2b.hash256(new byte[1])), 1);
      left.databases.put(other.hint(), other);
      Session fromRight = right.transport.dial(left.listen(), other).toCompletableFuture().join();
      Waiting.until("both sessions on the left", () -> left.established.size() == 2);
      Session atLeft =
          left.established.stream().filter(s -> !s.initiator()).findFirst().orElseThrow();
      DeviceId leftId = left.identity.id();
      DeviceId rightId = right.identity.id();
      boolean leftKeepsItsOwn = Sessions.preferred(fromLeft, atLeft, leftId).equals(fromLeft);
      assertThat(leftKeepsItsOwn).isEqualTo(leftId.compareTo(rightId) < 0);
      assertThat(Sessions.preferred(atRight, fromRight, rightId).equals(atRight))
          .isEqualTo(leftKeepsItsOwn);
      assertThat(Sessions.preferred(atLeft, fromLeft, leftId).equals(fromLeft))
          .as("the order does not matter")
          .isEqualTo(leftKeepsItsOwn);
      assertThat(Sessions.preferred(fromLeft, fromLeft, leftId)).isSameAs(fromLeft);
    }
  }

  @Test
  void preferred_twoCopiesOfADevice_isTheNewer_whoeverDialled() {
    var identity = DeviceIdentity.create(new Random(7));
    try (Node one = new Node();
        Node original = node(identity);
        Node copy = node(identity)) {
      Session toOriginal = one.dial(original.listen());
      copy.dial(one.listen());
      Waiting.until("both sessions", () -> one.established.size() == 2);
      Session fromCopy =
          one.established.stream().filter(s -> !s.initiator()).findFirst().orElseThrow();
      DeviceId own = one.identity.id();
      assertThat(fromCopy.peer()).isEqualTo(toOriginal.peer());
      assertThat(Sessions.preferred(toOriginal, fromCopy, own)).isSameAs(fromCopy);
      assertThat(Sessions.preferred(fromCopy, toOriginal, own)).isSameAs(toOriginal);
    }
  }

  private static Node node(DeviceIdentity identity) {
    return new Node(identity, SessionLimits.defaults(), InstantSource.fixed(Node.NOW));
  }

  private static Dialer dialer(Node node) {
    Dialer.Connector connector =
        new Dialer.Connector() {
          @Override
          public CompletionStage<OpenPath> dial(Candidate candidate, DatabaseKeys database) {
            return node.transport.dial(candidate, database);
          }

          @Override
          public boolean isServed(
              Candidate candidate, DatabaseKeys database, @Nullable DeviceId peer) {
            return node.transport.isServed(candidate, database, peer);
          }
        };
    return new Dialer(connector, node.transport.timers(), Backoff.Limits.defaults(), new Random(3));
  }

  private static Dialer dialer(Scripted connector, Virtual time) {
    return new Dialer(connector, time, Backoff.Limits.defaults(), new Random(4));
  }

  /** A path that came up, for the test to end. */
  private record Path(CompletableFuture<CloseReason> closure) {
    void end(CloseReason reason) {
      closure.complete(reason);
    }
  }

  private static final class Scripted implements Dialer.Connector {
    static final DeviceId PEER = DeviceIdentity.create(new Random(8)).id();

    private final List<CompletableFuture<OpenPath>> attempts = new ArrayList<>();
    private final List<Candidate> dialled = new ArrayList<>();
    private boolean served;

    /** The newest attempt at a candidate is successful. */
    Path up(Candidate candidate) {
      var path = new Path(new CompletableFuture<>());
      attempts
          .get(dialled.lastIndexOf(candidate))
          .complete(new OpenPath(session(), path.closure()));
      return path;
    }

    /** Says with whom it is, and nothing else. */
    private static Session session() {
      return (Session)
          Proxy.newProxyInstance(
              Session.class.getClassLoader(),
              new Class<?>[] {Session.class},
              (self, method, arguments) -> {
                if (method.getName().equals("peer")) {
                  return PEER;
                }
                throw new UnsupportedOperationException(method.getName());
              });
    }

    void failLast(CloseReason reason) {
      attempts.getLast().completeExceptionally(new SessionFailedException(reason));
    }

    @Override
    public CompletionStage<OpenPath> dial(Candidate candidate, DatabaseKeys database) {
      CompletableFuture<OpenPath> attempt = new CompletableFuture<>();
      attempts.add(attempt);
      dialled.add(candidate);
      return attempt;
    }

    @Override
    public boolean isServed(Candidate candidate, DatabaseKeys database, @Nullable DeviceId peer) {
      return served;
    }
  }

  private static final class Virtual implements Timers {
    private record Due(long atMillis, Runnable task) {}

    private final List<Due> dues = new ArrayList<>();
    private long nowMillis;

    @Override
    public Timer schedule(Duration delay, Runnable task) {
      Due due = new Due(nowMillis + delay.toMillis(), task);
      dues.add(due);
      return () -> dues.remove(due);
    }

    void advance(Duration duration) {
      nowMillis += duration.toMillis();
      List<Due> ripe =
          dues.stream()
              .filter(due -> due.atMillis() <= nowMillis)
              .sorted(Comparator.comparingLong(Due::atMillis))
              .toList();
      dues.removeAll(ripe);
      ripe.forEach(due -> due.task().run());
    }
  }

  /** What replication does with duplicates. */
  private static final class KeepsOne implements SessionListener {
    private final DeviceId own;
    private @Nullable Session kept;

    KeepsOne(DeviceId own) {
      this.own = own;
    }

    @Override
    public synchronized void established(Session session) {
      Session before = kept;
      if (before == null) {
        kept = session;
        return;
      }
      kept = Sessions.preferred(before, session, own);
      (kept.equals(session) ? before : session).close(new CloseReason.Duplicate());
    }

    @Override
    public void message(Session session, byte[] message) {}

    @Override
    public void writabilityChanged(Session session) {}

    @Override
    public synchronized void closed(Session session, CloseReason reason) {
      if (session.equals(kept)) {
        kept = null;
      }
    }
  }
}
