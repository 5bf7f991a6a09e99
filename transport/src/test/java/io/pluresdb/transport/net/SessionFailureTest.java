package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Decision;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.SyncKey;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Sessions that must not come to be, and connections that mean harm. */
class SessionFailureTest {
  private static final SessionLimits QUICK =
      SessionLimits.defaults().withHandshakes(Duration.ofMillis(300), 8, 4);

  @Test
  void dial_anotherSyncKey_failsWithoutAWordFromThePeer() {
    try (Node server = new Node();
        Node client = new Node()) {
      byte[] other = new byte[32];
      other[0] = 1;
      CloseReason reason =
          client.dialInVain(server.listen(), DatabaseKeys.of(new SyncKey(other), 1));
      assertThat(reason).isInstanceOf(CloseReason.Disconnected.class);
      assertThat(server.count("closed.handshake_failed")).isEqualTo(1);
      assertThat(server.count("bytes.sent")).isZero();
      assertThat(server.events).isEmpty();
    }
  }

  @Test
  void dial_rightHintWrongPsk_failsAtTheServersFirstTag() {
    DatabaseKeys wrong = DatabaseKeys.of("another id", new SyncKey(new byte[32]), 1);
    try (Node server = new Node();
        Node client = new Node()) {
      assertThat(client.dialInVain(server.listen(), wrong))
          .isInstanceOf(CloseReason.Disconnected.class);
      assertThat(server.count("closed.handshake_failed")).isEqualTo(1);
      assertThat(server.count("bytes.sent")).isZero();
    }
  }

  @Test
  void dial_rejectedByTheListener_seesWhy() {
    try (Node server = new Node();
        Node client = new Node()) {
      server.decision = new Decision.Reject("NOT_A_MEMBER", "ask for an invite");
      assertThat(client.dialInVain(server.listen(), Node.DATABASE))
          .isEqualTo(new CloseReason.EndedByPeer("NOT_A_MEMBER", "ask for an invite"));
      assertThat(server.count("closed.rejected")).isEqualTo(1);
      assertThat(server.events).isEmpty();
      assertThat(client.events).isEmpty();
    }
  }

  @Test
  void dial_rejectedByTheDialler_isToldToTheListener() {
    try (Node server = new Node();
        Node client = new Node()) {
      client.decision = new Decision.Reject("REVOKED", "this device was revoked");
      assertThat(client.dialInVain(server.listen(), Node.DATABASE))
          .isEqualTo(new CloseReason.Rejected("REVOKED", "this device was revoked"));
      Waiting.until("the word", () -> server.count("closed.ended_by_peer") == 1);
      assertThat(server.events).isEmpty();
    }
  }

  @Test
  void dial_expiredCredential_seesThatClocksDiffer() {
    InstantSource past = InstantSource.fixed(Node.NOW.minus(Duration.ofDays(30)));
    try (Node server = new Node();
        Node client =
            new Node(DeviceIdentity.create(new SecureRandom()), SessionLimits.defaults(), past)) {
      assertThat(client.dialInVain(server.listen(), Node.DATABASE))
          .isInstanceOfSatisfying(
              CloseReason.EndedByPeer.class,
              e -> assertThat(e.code()).isEqualTo("CREDENTIAL_EXPIRED"));
    }
  }

  @Test
  void dial_ourOwnAddress_isRecognised() {
    try (Node node = new Node()) {
      assertThat(node.dialInVain(node.listen(), Node.DATABASE))
          .isEqualTo(new CloseReason.SelfConnection());
    }
  }

  @Test
  void dial_nobodyThere_failsToConnect() throws IOException {
    InetSocketAddress address;
    try (ServerSocket gone = new ServerSocket()) {
      gone.bind(Node.anyPort());
      address = (InetSocketAddress) gone.getLocalSocketAddress();
    }
    try (Node client = new Node()) {
      assertThat(client.dialInVain(address, Node.DATABASE))
          .isInstanceOf(CloseReason.ConnectFailed.class);
      assertThat(client.count("closed.connect_failed")).isEqualTo(1);
    }
  }

  @Test
  void dial_serverThatSaysNothing_timesOut() throws IOException {
    try (ServerSocket mute = new ServerSocket();
        Node client = new Node(QUICK)) {
      mute.bind(Node.anyPort());
      assertThat(client.dialInVain((InetSocketAddress) mute.getLocalSocketAddress(), Node.DATABASE))
          .isEqualTo(new CloseReason.HandshakeTimedOut());
    }
  }

  @Test
  void listen_wrongVersion_isClosedWithoutAnAnswer() throws IOException {
    try (Node server = new Node()) {
      byte[] preamble = new byte[22];
      System.arraycopy(new byte[] {'P', 'L', 'U', 'R', 2, 1}, 0, preamble, 0, 6);
      System.arraycopy(Node.DATABASE.hint().bytes(), 0, preamble, 6, 16);
      assertThat(answer(server.listen(), preamble)).isEmpty();
      assertThat(server.count("closed.handshake_failed")).isEqualTo(1);
    }
  }

  @Test
  void listen_randomGarbage_isClosedWithoutAnAnswer() throws IOException {
    long seed = 41;
    System.out.println("socket garbage seed=" + seed);
    Random random = new Random(seed);
    try (Node server = new Node(QUICK);
        Node client = new Node()) {
      InetSocketAddress address = server.listen();
      for (int i = 0; i < 60; i++) {
        byte[] garbage = new byte[22 + random.nextInt(5000)];
        random.nextBytes(garbage);
        if (i % 2 == 0) {
          System.arraycopy(new byte[] {'P', 'L', 'U', 'R', 1, 1}, 0, garbage, 0, 6);
          System.arraycopy(Node.DATABASE.hint().bytes(), 0, garbage, 6, 16);
          if (i % 4 == 0 && garbage.length > 24) {
            garbage[22] = 0;
            garbage[23] = 48;
          }
        }
        assertThat(answer(address, garbage)).as("seed %d round %d", seed, i).isEmpty();
      }
      assertThat(server.count("bytes.sent")).isZero();
      Waiting.until("no half-open left", () -> server.transport.halfOpenHandshakes() == 0);
      assertThat(client.dial(address).peer()).isEqualTo(server.identity.id());
    }
  }

  @Test
  void listen_halfOpenConnections_areCappedThenTimeOut() throws IOException {
    try (Node server = new Node(QUICK)) {
      InetSocketAddress address = server.listen();
      List<Socket> open = new ArrayList<>();
      for (int i = 0; i < 10; i++) {
        open.add(new Socket(address.getAddress(), address.getPort()));
      }
      Waiting.until("six refused", () -> server.count("closed.refused") == 6);
      Waiting.until("four timed out", () -> server.count("closed.handshake_timeout") == 4);
      Waiting.until("none half-open", () -> server.transport.halfOpenHandshakes() == 0);
      for (Socket socket : open) {
        assertThat(readAll(socket)).isEmpty();
        socket.close();
      }
      try (Node client = new Node()) {
        assertThat(client.dial(address).peer()).isEqualTo(server.identity.id());
        Waiting.until("none half-open", () -> server.transport.halfOpenHandshakes() == 0);
      }
    }
  }

  @Test
  void dial_aboveTheSessionLimit_isRefused() {
    try (Node server = new Node(SessionLimits.defaults().withSessions(1));
        Node first = new Node();
        Node second = new Node()) {
      InetSocketAddress address = server.listen();
      first.dial(address);
      assertThat(second.dialInVain(address, Node.DATABASE))
          .isInstanceOf(CloseReason.Disconnected.class);
      assertThat(server.count("closed.refused")).isEqualTo(1);
    }
  }

  @Test
  void session_bytesChangedReplayedOrInjectedOnTheWay_endIt() throws IOException {
    for (Relay.Harm harm : Relay.Harm.values()) {
      try (Node server = new Node();
          Node client = new Node();
          Relay relay = new Relay(server.listen(), harm)) {
        Session session = client.dial(relay.address());
        server.session();
        Waiting.until("a first probe", () -> session.roundTrip() != null);
        relay.arm();
        session.send(new byte[100]);
        session.flush();
        Waiting.until("the end after " + harm, () -> !server.closings.isEmpty());
        assertThat(server.closings.element())
            .as("harm %s", harm)
            .isEqualTo(new CloseReason.DecryptionFailed());
        assertThat(server.count("closed.decryption_failed")).isEqualTo(1);
        assertThat(server.messageCount.get()).isEqualTo(harm == Relay.Harm.REPLAY ? 1 : 0);
        Waiting.until("the other end", () -> !client.closings.isEmpty());
        assertThat(client.closings.element()).isInstanceOf(CloseReason.Disconnected.class);
      }
    }
  }

  private static byte[] answer(InetSocketAddress address, byte[] sent) throws IOException {
    try (Socket socket = new Socket(address.getAddress(), address.getPort())) {
      try {
        socket.getOutputStream().write(sent);
      } catch (IOException e) {
        // Closed on us already: no answer either.
        return new byte[0];
      }
      return readAll(socket);
    }
  }

  private static byte[] readAll(Socket socket) throws IOException {
    socket.setSoTimeout(20_000);
    try (InputStream in = socket.getInputStream()) {
      return in.readAllBytes();
    } catch (SocketException e) {
      return new byte[0]; // reset: closed with our bytes unread
    }
  }
}
