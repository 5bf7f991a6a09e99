package io.pluresdb.transport.net;

import static java.util.Objects.requireNonNull;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.frame.FrameException;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.Suite;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Established sessions over loopback TCP. */
class SessionTest {
  private static final int KIB = 1024;

  /** Few enough to fit into a channel's buffer. */
  private static final int FRAMES_A_ROUND = 1000;

  @ParameterizedTest
  @EnumSource
  void dial_acceptingPeer_establishesBothSidesWithTheirIdentities(Suite suite) {
    DeviceIdentity identity = DeviceIdentity.create(new SecureRandom());
    try (Node server = new Node();
        Node client =
            new Node(identity, SessionLimits.defaults(), InstantSource.fixed(Node.NOW), suite)) {
      server.attachment = "from server".getBytes(StandardCharsets.UTF_8);
      client.attachment = new byte[1024];
      Session dialled = client.dial(server.listen());
      Session accepted = server.session();
      assertThat(dialled.peer()).isEqualTo(server.identity.id());
      assertThat(dialled.peerPublicKey()).isEqualTo(server.identity.publicKey());
      assertThat(dialled.peerAttachment()).asString().isEqualTo("from server");
      assertThat(dialled.initiator()).isTrue();
      assertThat(accepted.peer()).isEqualTo(client.identity.id());
      assertThat(accepted.peerAttachment()).hasSize(1024);
      assertThat(accepted.initiator()).isFalse();
      assertThat(accepted.databaseId()).isEqualTo(Node.DATABASE.databaseId());
      assertThat(client.transport.isConnected(accepted.databaseId(), accepted.peer())).isFalse();
      assertThat(client.transport.isConnected(accepted.databaseId(), dialled.peer())).isTrue();
      exchange(dialled, server, "there");
      exchange(accepted, client, "back");
      Waiting.until(
          "equal byte counts",
          () ->
              dialled.bytesSent() == accepted.bytesReceived()
                  && accepted.bytesSent() == dialled.bytesReceived());
      assertThat(dialled.bytesSent()).isGreaterThan(22 + 50 + 1200);
    }
  }

  @Test
  void send_hundredThousandSmallMessages_arriveInOrderAndCoalesced() {
    int count = 100_000;
    try (Node server = new Node();
        Node client = new Node()) {
      Session session = client.dial(server.listen());
      for (int i = 0; i < count; i++) {
        while (!session.isWritable()) {
          Thread.onSpinWait();
        }
        session.send(ByteBuffer.allocate(8).putInt(i).putInt(~i).array());
        if (i % 100 == 99) {
          session.flush();
        }
      }
      Waiting.until("all messages", () -> server.messageCount.get() == count);
      int expected = 0;
      for (byte[] message : server.messages) {
        assertThat(ByteBuffer.wrap(message).getInt()).isEqualTo(expected++);
      }
      // 12 bytes each on the stream; one frame a message would make it 31.
      assertThat(session.bytesSent()).isLessThan(13L * count);
    }
  }

  @Test
  void send_sizesAroundFrameBoundariesAndTheLimit_arriveWhole() {
    int limit = 300 * KIB;
    SessionLimits limits = SessionLimits.defaults().withMessageBytes(limit);
    Random random = new Random(5);
    try (Node server = new Node(limits);
        Node client = new Node(limits)) {
      Session session = client.dial(server.listen());
      List<byte[]> sent = new ArrayList<>();
      for (int size :
          new int[] {0, 1, 3, 65513, 65514, 65515, 65518, 65519, 65535, 65536, 131036, limit}) {
        byte[] message = new byte[size];
        random.nextBytes(message);
        sent.add(message);
        session.send(message);
        if (size % 2 == 1) {
          session.flush();
        }
      }
      session.flush();
      Waiting.until("all messages", () -> server.messageCount.get() == sent.size());
      assertThat(server.messages.toArray(byte[][]::new)).isDeepEqualTo(sent.toArray(byte[][]::new));
      assertThatIllegalArgumentException()
          .isThrownBy(() -> session.send(new byte[limit + 1]))
          .withMessageContaining("0 to 307200 bytes, but has 307201");
    }
  }

  @Test
  void send_messageAboveThePeersLimit_endsTheSessionOnBothSides() {
    try (Node server = new Node(SessionLimits.defaults().withMessageBytes(1000));
        Node client = new Node()) {
      Session session = client.dial(server.listen());
      session.send(new byte[1000]);
      session.send(new byte[1001]);
      session.flush();
      Waiting.until("the end", () -> !client.closings.isEmpty() && !server.closings.isEmpty());
      assertThat(server.messageCount.get()).isEqualTo(1);
      assertThat(server.closings.element())
          .isEqualTo(new CloseReason.FrameViolation(FrameException.Kind.MESSAGE_TOO_LARGE, 1001));
      assertThat(client.closings.element())
          .isEqualTo(new CloseReason.EndedByPeer("MESSAGE_TOO_LARGE", "value 1001"));
      assertThat(server.count("closed.frame_violation")).isEqualTo(1);
    }
  }

  @Test
  void send_fromManyThreads_keepsEachThreadsOrderAndEveryMessage() throws InterruptedException {
    int threads = 8;
    int each = 5_000;
    try (Node server = new Node();
        Node client = new Node()) {
      Session session = client.dial(server.listen());
      List<Thread> senders = new ArrayList<>();
      for (int t = 0; t < threads; t++) {
        int id = t;
        senders.add(
            Thread.ofPlatform()
                .start(
                    () -> {
                      for (int i = 0; i < each; i++) {
                        int size = 8 + (i * 31 + id) % 300;
                        session.send(ByteBuffer.allocate(size).putInt(id).putInt(i).array());
                        session.flush();
                      }
                    }));
      }
      for (Thread sender : senders) {
        sender.join();
      }
      Waiting.until("all messages", () -> server.messageCount.get() == threads * each);
      int[] next = new int[threads];
      for (byte[] message : server.messages) {
        ByteBuffer in = ByteBuffer.wrap(message);
        int id = in.getInt();
        int number = in.getInt();
        assertThat(number).isEqualTo(next[id]++);
        assertThat(message).hasSize(8 + (number * 31 + id) % 300);
      }
    }
  }

  @Test
  void send_peerThatStopsReading_isNotWritableUntilItReadsAgain() {
    try (Node server = new Node();
        Node client = new Node()) {
      Session session = client.dial(server.listen());
      server.session().pauseReading();
      byte[] message = new byte[64 * KIB];
      long sent = 0;
      // The kernel takes its share first, so a short pause is not yet the end.
      do {
        while (session.isWritable()) {
          session.send(message);
          session.flush();
          sent++;
          assertThat(sent).as("messages before the session stops being writable").isLessThan(2000);
        }
      } while (!Waiting.holdsFor(Duration.ofMillis(200), () -> !session.isWritable()));
      Waiting.until("the event", () -> client.events.contains("writable false"));
      server.session().resumeReading();
      long all = sent;
      Waiting.until("everything", () -> server.messageCount.get() == all);
      Waiting.until("writable again", session::isWritable);
      Waiting.until("the event", () -> client.events.contains("writable true"));
    }
  }

  @Test
  void send_waitingForWritability_neverWaitsForever() {
    int count = 10_000;
    try (Node server = new Node();
        Node client = new Node()) {
      server.keepMessages = false;
      Session session = client.dial(server.listen());
      byte[] message = new byte[64 * KIB];
      for (int i = 0; i < count; i++) {
        if (!session.isWritable()) {
          Waiting.until("writable again", session::isWritable);
        }
        session.send(message);
        session.flush();
      }
      Waiting.until("all messages", () -> server.messageCount.get() == count);
    }
  }

  @Test
  void send_regardlessOfWritability_endsTheSessionAtTheQueueLimit() {
    SessionLimits limits =
        SessionLimits.defaults()
            .withMessageBytes(64 * KIB)
            .withWaterBytes(64 * KIB, 128 * KIB, 1024 * KIB);
    try (Node server = new Node();
        Node client = new Node(limits)) {
      Session session = client.dial(server.listen());
      server.session().pauseReading();
      byte[] message = new byte[64 * KIB];
      Waiting.until(
          "the session to end",
          () -> {
            session.send(message);
            session.flush();
            return !client.closings.isEmpty();
          });
      assertThat(client.closings.element()).isInstanceOf(CloseReason.QueueFull.class);
      assertThat(client.count("closed.queue_full")).isEqualTo(1);
    }
  }

  @Test
  void session_idle_isKeptAliveByBothSides() {
    SessionLimits limits =
        SessionLimits.defaults().withKeepAlive(Duration.ofMillis(50), Duration.ofMillis(1000));
    try (Node server = new Node(limits);
        Node client = new Node(limits)) {
      Session session = client.dial(server.listen());
      long before = session.bytesReceived();
      Waiting.until("keep-alives", () -> session.bytesReceived() - before >= 10L * (2 + 1 + 16));
      assertThat(client.closings).isEmpty();
      assertThat(server.closings).isEmpty();
      assertThat(server.messageCount.get()).isZero();
    }
  }

  @Test
  void session_silentPeer_isDeclaredDead() {
    SessionLimits impatient =
        SessionLimits.defaults()
            .withKeepAlive(Duration.ofMillis(30), Duration.ofMillis(150))
            .withStranded(Duration.ofMillis(100));
    try (Node server = new Node();
        Node client = new Node(impatient)) {
      client.dial(server.listen());
      server.session().pauseReading();
      Waiting.until("the end", () -> !client.closings.isEmpty());
      assertThat(client.closings.element())
          .isEqualTo(new CloseReason.Silent(Duration.ofMillis(150)));
      server.session().resumeReading();
      Waiting.until("the other end", () -> !server.closings.isEmpty());
      assertThat(server.closings.element()).isInstanceOf(CloseReason.Disconnected.class);
    }
  }

  @Test
  void close_withAReason_isHeardByThePeerAndOnlyOnce() {
    try (Node server = new Node();
        Node client = new Node()) {
      Session session = client.dial(server.listen());
      session.close(new CloseReason.Ended("TIRED", "enough for today"));
      session.close(new CloseReason.Shutdown());
      Waiting.until("the end", () -> !server.closings.isEmpty());
      assertThat(server.closings)
          .containsExactly(new CloseReason.EndedByPeer("TIRED", "enough for today"));
      assertThat(client.closings)
          .containsExactly(new CloseReason.Ended("TIRED", "enough for today"));
      assertThat(session.closure().toCompletableFuture().join())
          .isEqualTo(new CloseReason.Ended("TIRED", "enough for today"));
      session.send(new byte[10]);
      session.flush();
      assertThat(server.events).containsExactly("established", "closed ended_by_peer");
    }
  }

  @Test
  void close_ofTheTransport_tellsEveryPeer() {
    try (Node server = new Node();
        Node client = new Node()) {
      client.dial(server.listen());
      server.session();
      client.transport.close();
      Waiting.until("the end", () -> !server.closings.isEmpty());
      assertThat(server.closings.element())
          .isInstanceOfSatisfying(
              CloseReason.EndedByPeer.class, e -> assertThat(e.code()).isEqualTo("SHUTDOWN"));
      assertThat(client.dialInVain(Node.anyPort(), Node.DATABASE))
          .isEqualTo(new CloseReason.Shutdown());
    }
  }

  @Test
  void listener_thatThrows_endsOnlyItsSession() {
    try (Node server = new Node();
        Node client = new Node();
        Node other = new Node()) {
      var address = server.listen();
      Session healthy = other.dial(address);
      Session session = client.dial(address);
      server.forwarding = new Throwing();
      session.send("boom".getBytes(StandardCharsets.UTF_8));
      session.flush();
      Waiting.until("the end", () -> !client.closings.isEmpty());
      assertThat(server.closings.element()).isInstanceOf(CloseReason.LocalFault.class);
      server.forwarding = null;
      server.messages.clear();
      exchange(healthy, server, "still here");
    }
  }

  @Test
  void close_insideAMessage_deliversNothingMore() {
    try (Node server = new Node();
        Node client = new Node()) {
      Session session = client.dial(server.listen());
      server.forwarding = new ClosingAtFirst();
      for (int i = 0; i < 100; i++) {
        session.send(new byte[] {(byte) i});
      }
      session.flush();
      Waiting.until("the end", () -> !client.closings.isEmpty());
      assertThat(server.messageCount.get()).isEqualTo(1);
      assertThat(server.events).containsExactly("established", "closed ended");
    }
  }

  @Test
  void session_afterTwoRekeysOfEachSide_stillWorks() {
    int rounds = 2 * 65_536 / FRAMES_A_ROUND + 1;
    try (Node server = new Node();
        Node client = new Node()) {
      server.keepMessages = false;
      client.keepMessages = false;
      Session dialled = client.dial(server.listen());
      Session accepted = server.session();
      for (int round = 1; round <= rounds; round++) {
        sendFrames(dialled);
        sendFrames(accepted);
        int all = round * FRAMES_A_ROUND;
        Waiting.until(
            "all frames",
            () -> server.messageCount.get() == all && client.messageCount.get() == all);
      }
      assertThat(client.closings).isEmpty();
      assertThat(server.closings).isEmpty();
      // Two bytes of length, 16 of tag, one of kind, four of the message's length, one of message.
      long bytes = 24L * FRAMES_A_ROUND * rounds;
      assertThat(dialled.bytesSent()).isGreaterThan(bytes);
      assertThat(accepted.bytesSent()).isGreaterThan(bytes);
    }
  }

  /** Sends messages in frames of their own; on the event loop, where no hand-over is waited for. */
  private static void sendFrames(Session session) {
    SessionHandler path = requireNonNull(((LiveSession) session).current);
    path.loop()
        .execute(
            () -> {
              for (int i = 0; i < FRAMES_A_ROUND; i++) {
                session.send(new byte[] {1});
                path.drain();
              }
            });
  }

  private static void exchange(Session from, Node to, String text) {
    int before = to.messages.size();
    from.send(text.getBytes(StandardCharsets.UTF_8));
    from.flush();
    Waiting.until("message " + text, () -> to.messages.size() > before);
    assertThat(to.messages)
        .anySatisfy(
            message ->
                assertThat(Arrays.equals(message, text.getBytes(StandardCharsets.UTF_8))).isTrue());
  }

  private static class Silent implements SessionListener {
    @Override
    public void established(Session session) {}

    @Override
    public void message(Session session, byte[] message) {}

    @Override
    public void writabilityChanged(Session session) {}

    @Override
    public void closed(Session session, CloseReason reason) {}
  }

  private static final class Throwing extends Silent {
    @Override
    public void message(Session session, byte[] message) {
      throw new IllegalStateException("a listener's bug, on purpose");
    }
  }

  private static final class ClosingAtFirst extends Silent {
    @Override
    public void message(Session session, byte[] message) {
      session.close(new CloseReason.Ended("ENOUGH", "one is enough"));
    }
  }
}
