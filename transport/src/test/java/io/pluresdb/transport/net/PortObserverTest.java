package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.path.DatagramKind;
import io.pluresdb.transport.path.PortEcho;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** A device asks relays where they see its UDP port. */
class PortObserverTest {
  private static final byte[] TOKEN = {1, 2, 3, 4, 5, 6, 7, 8};

  private static RelayServer relay(boolean trustForwarded) {
    return RelayServer.start(
        new RelayOptions(Node.anyPort(), null, Map.of(), trustForwarded, RelayLimits.of(Map.of())),
        new Environment(InstantSource.system(), new SplittableRandom(1)));
  }

  private static InetSocketAddress loopback(int port) {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
  }

  private static DatagramSocket socket() throws IOException {
    var socket = new DatagramSocket(Node.anyPort());
    socket.setSoTimeout(20_000);
    return socket;
  }

  private static void send(DatagramSocket from, InetSocketAddress to, byte[] datagram)
      throws IOException {
    from.send(new DatagramPacket(datagram, datagram.length, to));
  }

  private static byte[] receive(DatagramSocket at) throws IOException {
    var packet = new DatagramPacket(new byte[100], 100);
    at.receive(packet);
    return Arrays.copyOf(packet.getData(), packet.getLength());
  }

  @Test
  void relays_tellWhereTheySeeThePort_andTheSilentAreNotWaitedForLong() throws Exception {
    try (RelayServer one = relay(false);
        RelayServer other = relay(false);
        DatagramSocket silent = socket();
        UdpSocket udp = UdpSocket.bind(Node.anyPort())) {
      var observer = new PortObserver(udp, new Random(1));
      assertThat(observer.ask(List.of(one.address(), other.address())).get())
          .containsExactly(udp.address(), udp.address());
      var quiet = (InetSocketAddress) silent.getLocalSocketAddress();
      assertThat(observer.ask(List.of(quiet, one.address())).get()).containsExactly(udp.address());
      assertThat(one.counted(RelayCounter.ECHOES)).isEqualTo(2);
      assertThat(observer.ask(List.of()).get()).isEmpty();
    }
  }

  @Test
  void answers_ofSomebodyElse_orWithAnotherToken_doNotCount() throws Exception {
    try (DatagramSocket relay = socket();
        DatagramSocket stranger = socket();
        UdpSocket udp = UdpSocket.bind(Node.anyPort())) {
      var observer = new PortObserver(udp, new Random(1));
      var asked = observer.ask(List.of((InetSocketAddress) relay.getLocalSocketAddress()));
      byte[] question = receive(relay);
      assertThat(question).hasSize(PortEcho.QUESTION_BYTES);
      assertThat(PortEcho.decode(question, question.length)).isInstanceOf(PortEcho.Question.class);
      byte[] token = Arrays.copyOfRange(question, 2, 2 + PortEcho.TOKEN_BYTES);
      var wrong = new InetSocketAddress("203.0.113.5", 9);
      send(stranger, udp.address(), new PortEcho.Answer(token, wrong).encode());
      send(relay, udp.address(), new PortEcho.Answer(TOKEN, wrong).encode());
      var right = new InetSocketAddress("203.0.113.6", 10);
      send(relay, udp.address(), new PortEcho.Answer(token, right).encode());
      assertThat(asked.get()).containsExactly(right);
    }
  }

  @Test
  void relay_answersQuestionsOnly_upToItsLimit_andNeverAtLength() throws Exception {
    try (RelayServer relay = relay(false);
        DatagramSocket asker = socket()) {
      byte[] question = new PortEcho.Question(TOKEN).encode();
      send(asker, relay.address(), new byte[0]);
      send(asker, relay.address(), Arrays.copyOf(question, question.length - 1));
      send(asker, relay.address(), Arrays.copyOf(question, question.length + 1));
      send(asker, relay.address(), Arrays.copyOf(question, 2_000));
      send(asker, relay.address(), new PortEcho.Answer(TOKEN, relay.address()).encode());
      send(asker, relay.address(), question);
      byte[] answer = receive(asker);
      assertThat(answer.length).isLessThanOrEqualTo(question.length);
      assertThat(PortEcho.decode(answer, answer.length))
          .isInstanceOfSatisfying(
              PortEcho.Answer.class,
              read -> {
                assertThat(read.token()).isEqualTo(TOKEN);
                assertThat(read.seen()).isEqualTo(asker.getLocalSocketAddress());
              });
      assertThat(relay.counted(RelayCounter.ECHOES)).isEqualTo(1);
      asker.setSoTimeout(100);
      assertThatThrownBy(() -> receive(asker)).isInstanceOf(SocketTimeoutException.class);
    }
  }

  @Test
  void relayBehindAReverseProxy_hasNoPortToAskAt() throws Exception {
    try (RelayServer relay = relay(true);
        var free = new DatagramSocket(relay.address())) {
      assertThat(free.isBound()).isTrue();
    }
  }

  @Test
  void relayWhoseUdpPortIsTaken_servesWithoutIt() throws Exception {
    int port;
    try (RelayServer first = relay(false)) {
      port = first.address().getPort();
    }
    try (var taken = new DatagramSocket(loopback(port));
        RelayServer relay =
            RelayServer.start(
                new RelayOptions(loopback(port), null, Map.of(), false, RelayLimits.of(Map.of())),
                new Environment(InstantSource.system(), new SplittableRandom(1)))) {
      assertThat(taken.isBound()).isTrue();
      try (var client = new Socket()) {
        client.connect(relay.address());
        Waiting.until("the connection", () -> relay.connections() == 1);
        assertThat(client.isConnected()).isTrue();
      }
    }
  }

  @Test
  void datagrams_haveTheirGoldenBytes_andNothingElseIsRead() {
    var hex = HexFormat.of();
    byte[] question = new PortEcho.Question(TOKEN).encode();
    assertThat(hex.formatHex(question)).isEqualTo("10020102030405060708" + "00".repeat(22));
    byte[] four = new PortEcho.Answer(TOKEN, new InetSocketAddress("203.0.113.5", 34_570)).encode();
    assertThat(hex.formatHex(four)).isEqualTo("1003010203040506070804cb007105870a");
    byte[] six = new PortEcho.Answer(TOKEN, new InetSocketAddress("2001:db8::1", 1)).encode();
    assertThat(six).hasSize(29);
    assertThat(DatagramKind.of(four[0], four[1])).isEqualTo(DatagramKind.ECHO);
    assertThat(DatagramKind.of(question[0], question[1])).isEqualTo(DatagramKind.PUNCH);
    for (byte[] whole : List.of(question, four, six)) {
      assertThat(PortEcho.decode(whole, whole.length)).isNotNull();
      for (int length = 0; length < whole.length; length++) {
        assertThat(PortEcho.decode(whole, length)).isNull();
      }
      byte[] longer = Arrays.copyOf(whole, whole.length + 1);
      assertThat(PortEcho.decode(longer, longer.length)).isNull();
    }
    byte[] noPort = four.clone();
    noPort[noPort.length - 1] = 0;
    noPort[noPort.length - 2] = 0;
    assertThat(PortEcho.decode(noPort, noPort.length)).isNull();
    byte[] mapped = six.clone();
    Arrays.fill(mapped, 11, 21, (byte) 0);
    mapped[21] = -1;
    mapped[22] = -1;
    assertThat(PortEcho.decode(mapped, mapped.length)).isNull();
  }
}
