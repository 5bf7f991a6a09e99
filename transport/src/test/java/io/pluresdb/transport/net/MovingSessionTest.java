package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.path.NatKind;
import io.pluresdb.transport.path.Reachability;
import io.pluresdb.transport.relay.RelayAccess;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.OpenPath;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionPath;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.PeerTag;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** A session that moves between relay, QUIC and TCP while messages stream both ways. */
class MovingSessionTest {
  private RelayServer relay;
  private Node early;
  private Node late;
  private UdpSocket udp;
  private UdpSocket otherUdp;
  private Candidate.Relayed relayed;

  @BeforeEach
  void start() {
    relay =
        RelayServer.start(
            new RelayOptions(
                Node.anyPort(), null, Map.of(), false, RelayLimits.of(Map.of("drain-millis", 0L))),
            new Environment(InstantSource.system(), new SecureRandom()));
    early = new Node();
    late = new Node();
    udp = UdpSocket.bind(Node.anyPort());
    otherUdp = UdpSocket.bind(Node.anyPort());
    assertThat(early.transport.speakQuic(udp, Node::nowhere)).isEmpty();
    assertThat(late.transport.speakQuic(otherUdp, Node::nowhere)).isEmpty();
    register(early);
    Queue<Candidate.Relayed> found = register(late);
    Waiting.until("found", () -> !found.isEmpty());
    relayed = found.element();
  }

  @AfterEach
  void stop() {
    early.close();
    late.close();
    udp.close();
    otherUdp.close();
    relay.close();
  }

  private Queue<Candidate.Relayed> register(Node node) {
    var found = new ConcurrentLinkedQueue<Candidate.Relayed>();
    RelayClient client =
        node.transport.relay(
            new RelayAccess(
                RelayUrl.parse("ws://127.0.0.1:" + relay.address().getPort()), null, null),
            new RelayClient.Listener() {
              @Override
              public void found(DatabaseKeys database, Candidate.Relayed peer) {
                found.add(peer);
              }

              @Override
              public void gone(DatabaseKeys database, Candidate.Relayed peer) {}
            });
    client.follow(Node.DATABASE);
    Waiting.until("registered", () -> client.status().topics() > 0);
    return found;
  }

  private static OpenPath dial(Node node, Candidate candidate) {
    try {
      return node.transport
          .dial(candidate, Node.DATABASE)
          .toCompletableFuture()
          .get(20, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new AssertionError(e);
    }
  }

  /** Numbered messages, as fast as the session takes them, until told to stop. */
  private static final class Stream {
    private final AtomicBoolean stop = new AtomicBoolean();
    private final Thread thread;
    private int sent;

    Stream(Session session) {
      thread =
          Thread.ofPlatform()
              .start(
                  () -> {
                    while (!stop.get()) {
                      if (session.isWritable()) {
                        session.send(ByteBuffer.allocate(1000).putInt(sent++).array());
                        session.flush();
                      } else {
                        Thread.onSpinWait();
                      }
                    }
                  });
    }

    int end() {
      stop.set(true);
      try {
        thread.join();
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
      return sent;
    }
  }

  private static void assertAllInOrder(Node node, int sent) {
    Waiting.until("all messages", () -> node.messageCount.get() >= sent);
    int expected = 0;
    for (byte[] message : node.messages) {
      assertThat(ByteBuffer.wrap(message).getInt()).isEqualTo(expected++);
    }
    assertThat(expected).isEqualTo(sent);
  }

  private static void more(Node node) {
    int before = node.messageCount.get();
    Waiting.until("more messages", () -> node.messageCount.get() > before + 500);
  }

  private void path(Class<? extends SessionPath> kind) {
    Waiting.until(
        "both sides on " + kind.getSimpleName(),
        () ->
            kind.isInstance(early.session().path())
                && kind.isInstance(late.session().path())
                && early.session().hasPath()
                && late.session().hasPath());
  }

  @Test
  void session_thatMovesUpAndFallsBack_deliversEveryMessageOnceAndInOrder() throws IOException {
    Session session = dial(late, relayed).session();
    Session back = early.session();
    var there = new Stream(session);
    var here = new Stream(back);
    more(early);
    OpenPath quic = dial(late, new Candidate.Quic(udp.address()));
    assertThat(quic.session()).isSameAs(session);
    path(SessionPath.Quic.class);
    more(early);
    more(late);
    try (var cut = new Cut(early.listen())) {
      // The other side initiates nothing here; the later path is better than the first two.
      OpenPath tcp = dial(late, new Candidate.Direct(cut.address()));
      assertThat(tcp.session()).isSameAs(session);
      path(SessionPath.Direct.class);
      more(early);
      more(late);
      cut.now();
      Waiting.until("no path", () -> !session.hasPath() && !back.hasPath());
    }
    dial(late, relayed);
    path(SessionPath.Relayed.class);
    more(early);
    more(late);
    dial(early, new Candidate.Quic(otherUdp.address()));
    path(SessionPath.Quic.class);
    more(early);
    more(late);
    int sentThere = there.end();
    int sentBack = here.end();
    assertAllInOrder(early, sentThere);
    assertAllInOrder(late, sentBack);
    assertThat(early.established).hasSize(1);
    assertThat(late.established).hasSize(1);
    assertThat(early.closings).isEmpty();
    assertThat(late.count("continued")).isEqualTo(4);
    assertThat(session.roundTrip()).isBetween(Duration.ofNanos(1), Duration.ofSeconds(5));
    session.close(new CloseReason.Ended("TEST", "enough"));
    Waiting.until("closed", () -> !early.closings.isEmpty());
    assertThat(early.closings.element()).isEqualTo(new CloseReason.EndedByPeer("TEST", "enough"));
  }

  @Test
  void bothSides_dialBetterPathsAtOnce_againAndAgain_andOneStays() {
    Session session = dial(late, relayed).session();
    var there = new Stream(session);
    var here = new Stream(early.session());
    for (int i = 0; i < 10; i++) {
      var one = late.transport.dial(new Candidate.Quic(udp.address()), Node.DATABASE);
      var other = early.transport.dial(new Candidate.Quic(otherUdp.address()), Node.DATABASE);
      // A busy machine may let an attempt time out; whatever comes of both, one path stays.
      one.handle((path, failure) -> true).toCompletableFuture().join();
      other.handle((path, failure) -> true).toCompletableFuture().join();
    }
    Waiting.until("up", () -> session.hasPath() && early.session().hasPath());
    assertGoesOn(there, here);
  }

  /** Each side still gets all that the other sends, and was told of no end. */
  private void assertGoesOn(Stream there, Stream here) {
    more(early);
    more(late);
    assertAllInOrder(early, there.end());
    assertAllInOrder(late, here.end());
    assertThat(early.closings).isEmpty();
    assertThat(late.closings).isEmpty();
  }

  @Test
  void relayedSession_whosePortsAreKnown_isPunchedToQuicByItself_andAgainAfterAFallback() {
    try (Node first = new Node();
        Node second = new Node();
        UdpSocket firstUdp = UdpSocket.bind(Node.anyPort());
        UdpSocket secondUdp = UdpSocket.bind(Node.anyPort())) {
      speak(first, firstUdp);
      speak(second, secondUdp);
      register(first);
      Queue<Candidate.Relayed> found = register(second);
      // The two that every test has are registered there, too.
      Waiting.until("found", () -> found.size() == 3);
      found.forEach(peer -> second.transport.dial(peer, Node.DATABASE));
      Waiting.until("the session", () -> !first.established.isEmpty());
      Session session = first.session();
      Waiting.until("the session there", () -> with(second, first).isPresent());
      Session back = with(second, first).orElseThrow();
      var stream = new Stream(session);
      for (int fallbacks = 0; fallbacks < 3; fallbacks++) {
        Waiting.until(
            "punched",
            () ->
                session.path() instanceof SessionPath.Quic
                    && back.path() instanceof SessionPath.Quic);
        assertThat(session.remoteAddress()).isEqualTo(secondUdp.address());
        int continued = (int) second.count("continued");
        lose((LiveSession) back);
        Waiting.until("stranded", () -> !session.hasPath() || !back.hasPath());
        found.forEach(peer -> second.transport.dial(peer, Node.DATABASE));
        Waiting.until("back", () -> second.count("continued") > continued);
      }
      int sent = stream.end();
      Waiting.until("all", () -> second.messageCount.get() >= sent);
      assertAllInOrder(second, sent);
      assertThat(first.closings).isEmpty();
    }
  }

  private static Optional<Session> with(Node node, Node peer) {
    return node.established.stream()
        .filter(session -> session.peer().equals(peer.identity.id()))
        .findFirst();
  }

  /** As if the network did. */
  private static void lose(LiveSession session) {
    SessionHandler path = session.current;
    if (path != null) {
      path.abandon();
    }
  }

  private static void speak(Node node, UdpSocket port) {
    var reach = new Reachability(NatKind.CONE, port.address(), List.of(port.address()));
    assertThat(node.transport.speakQuic(port, () -> CompletableFuture.completedStage(reach)))
        .isEmpty();
  }

  @Test
  void worsePath_isNotTaken() {
    Session session = dial(late, new Candidate.Quic(udp.address())).session();
    OpenPath second = dial(late, relayed);
    assertThat(second.session()).isSameAs(session);
    assertThat(second.closure().toCompletableFuture().orTimeout(20, TimeUnit.SECONDS).join())
        .isEqualTo(new CloseReason.Moved());
    assertThat(session.path()).isEqualTo(new SessionPath.Quic());
    assertThat(session.hasPath()).isTrue();
  }

  /** Held back is the word that goes on by the path, or the answer to it. */
  @ParameterizedTest
  @EnumSource
  void pathThatWasSaidToBeGone_andComesUpLater_isNotTaken(Cut.Side held) throws Exception {
    Session session = dial(late, relayed).session();
    Session back = early.session();
    try (var cut = new Cut(early.listen())) {
      cut.freezeAfterFirst(held);
      var slow =
          late.transport
              .dial(new Candidate.Direct(cut.address()), Node.DATABASE)
              .toCompletableFuture();
      // One side does not know of what the other has done, and then everything is lost.
      Waiting.until("held back", cut::hasHeldBack);
      assertThat(back.path())
          .isInstanceOf(
              held == Cut.Side.LISTENING ? SessionPath.Direct.class : SessionPath.Relayed.class);
      lose((LiveSession) session);
      Waiting.until("stranded", () -> !session.hasPath());
      dial(late, relayed);
      path(SessionPath.Relayed.class);
      cut.thaw();
      assertThat(slow.get(20, TimeUnit.SECONDS).closure().toCompletableFuture())
          .succeedsWithin(Duration.ofSeconds(20))
          .isIn(
              new CloseReason.Moved(),
              new CloseReason.EndedByPeer("MOVED", "the session goes on by a better path"));
    }
    path(SessionPath.Relayed.class);
    var there = new Stream(session);
    var here = new Stream(back);
    assertGoesOn(there, here);
  }

  @Test
  void session_withoutAPathForTooLong_ends() throws IOException {
    try (var cut = new Cut(early.listen())) {
      Session session = dial(late, new Candidate.Direct(cut.address())).session();
      early.session();
      cut.now();
      Waiting.until("stranded", () -> !session.hasPath());
      assertThat(late.closings).isEmpty();
      Waiting.until("closed", () -> !late.closings.isEmpty() && !early.closings.isEmpty());
      assertThat(late.closings.element()).isInstanceOf(CloseReason.Disconnected.class);
    }
  }

  /** Looks at silent paths ten times as often as usual, and gives none up by itself. */
  private static final SessionLimits HASTY =
      SessionLimits.defaults().withKeepAlive(Duration.ofMillis(1_500), Duration.ofSeconds(60));

  /** Two devices with a way over TCP that may stand still, and a relay. */
  private final class Still implements AutoCloseable {
    private final Node first = new Node(HASTY);
    private final Node second = new Node(HASTY);
    private final AtomicInteger suspicions = new AtomicInteger();
    private final Candidate.Relayed around;
    private final Cut cut;
    private final Session session;
    private final Session back;

    Still(boolean hasOtherWay) throws IOException {
      register(first);
      Queue<Candidate.Relayed> found = register(second);
      Candidate.Relayed wanted =
          new Candidate.Relayed(
              relayed.relay(),
              relayed.rendezvous(),
              PeerTag.of(Node.DATABASE, relayed.rendezvous(), first.identity.id()));
      Waiting.until("found", () -> found.contains(wanted));
      around = wanted;
      cut = new Cut(first.listen());
      session = dial(second, new Candidate.Direct(cut.address())).session();
      back = first.session();
      second.transport.onPaths(
          new TcpTransport.PathListener() {
            @Override
            public void moved(Session moved) {}

            @Override
            public void stranded(Session stranded, CloseReason reason) {}

            @Override
            public void suspected(Session suspected) {
              suspicions.incrementAndGet();
              if (hasOtherWay) {
                var _ = second.transport.dial(around, Node.DATABASE);
              }
            }
          });
    }

    @Override
    public void close() throws IOException {
      cut.close();
      first.close();
      second.close();
    }
  }

  @Test
  void pathThatFallsSilent_givesWayToAnother_longBeforeItIsGivenUp() throws IOException {
    try (var still = new Still(true)) {
      var stream = new Stream(still.session);
      var other = new Stream(still.back);
      more(still.first);
      more(still.second);
      still.cut.freeze();
      Waiting.until(
          "the relay",
          () ->
              still.session.path() instanceof SessionPath.Relayed
                  && still.back.path() instanceof SessionPath.Relayed);
      more(still.first);
      more(still.second);
      // What was held back arrives late, on a path that is not used any more.
      still.cut.thaw();
      more(still.first);
      assertAllInOrder(still.first, stream.end());
      assertAllInOrder(still.second, other.end());
      assertThat(still.first.closings).isEmpty();
      assertThat(still.second.closings).isEmpty();
    }
  }

  @Test
  void idlePathThatFallsSilent_givesWayToo() throws IOException {
    try (var still = new Still(true)) {
      still.cut.freeze();
      Waiting.until("the relay", () -> still.session.path() instanceof SessionPath.Relayed);
      still.session.send(new byte[] {1});
      still.session.flush();
      Waiting.until("the message", () -> still.first.messageCount.get() == 1);
    }
  }

  @Test
  void onlyPath_isKeptWhileItIsSilent_andUsedWhenItSpeaksAgain() throws IOException {
    try (var still = new Still(false)) {
      var stream = new Stream(still.session);
      more(still.first);
      still.cut.freeze();
      Waiting.until("suspected", () -> still.suspicions.get() > 0);
      assertThat(((LiveSession) still.session).hasTrustedPath()).isFalse();
      still.cut.thaw();
      Waiting.until("trusted", () -> ((LiveSession) still.session).hasTrustedPath());
      more(still.first);
      assertAllInOrder(still.first, stream.end());
      assertThat(still.second.count("continued")).isZero();
      // Trusted again: a worse path is not taken.
      assertThat(
              dial(still.second, still.around)
                  .closure()
                  .toCompletableFuture()
                  .orTimeout(20, TimeUnit.SECONDS)
                  .join())
          .isEqualTo(new CloseReason.Moved());
      assertThat(still.session.path()).isInstanceOf(SessionPath.Direct.class);
    }
  }

  @Test
  void peerThatReadsNothing_isNotTakenForDead() throws IOException {
    try (var still = new Still(true)) {
      still.back.pauseReading();
      var stream = new Stream(still.session);
      assertThat(Waiting.holdsFor(Duration.ofSeconds(3), () -> still.suspicions.get() == 0))
          .isTrue();
      still.back.resumeReading();
      more(still.first);
      assertAllInOrder(still.first, stream.end());
      assertThat(still.session.path()).isInstanceOf(SessionPath.Direct.class);
    }
  }

  @Test
  void pathThatIsStillAgainAndAgain_isLeftLessOften() throws IOException {
    try (var still = new Still(true)) {
      var session = (LiveSession) still.session;
      int patience = 1;
      for (int round = 0; round < 2; round++) {
        assertThat(session.patience()).isEqualTo(patience);
        still.cut.freeze();
        Waiting.until("the relay", () -> session.path() instanceof SessionPath.Relayed);
        patience = session.patience();
        still.cut.thaw();
        dial(still.second, new Candidate.Direct(still.cut.address()));
        Waiting.until("direct", () -> session.path() instanceof SessionPath.Direct);
      }
      assertThat(patience).isEqualTo(4);
    }
  }
}
