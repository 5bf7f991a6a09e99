package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.net.RawWebSocket.Circuit;
import io.pluresdb.transport.net.RawWebSocket.Frame;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.relay.WebSocketException;
import io.pluresdb.transport.relay.WebSocketReader;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Random and mutated bytes at a relay. Everything follows from the seeds. */
class WebSocketGarbageTest {
  private static final long SEED = 20_261;
  private static final int ROUNDS = 20_000;
  private static final int MAX_FRAME_BYTES = 70_000;

  /** Everything a reader said, payloads put together, and how it ended. */
  private static final class Report implements WebSocketReader.Sink {
    private final StringBuilder text = new StringBuilder();
    private final ByteArrayOutputStream payload = new ByteArrayOutputStream();
    private ByteBuffer input = ByteBuffer.allocate(0);
    private long left = -1;
    private long payloadBytes;

    @Override
    public void frame(int opcode, boolean last, long length) {
      assertThat(left).as("a frame begins inside another").isEqualTo(-1);
      assertThat(length).isBetween(0L, (long) MAX_FRAME_BYTES);
      left = length;
      text.append("frame ").append(opcode).append(last).append(length).append('\n');
    }

    @Override
    public void payload(int position, int length) {
      assertThat(length).isPositive();
      left -= length;
      payloadBytes += length;
      assertThat(left).isNotNegative();
      for (int i = 0; i < length; i++) {
        payload.write(input.get(position + i));
      }
    }

    @Override
    public void frameEnd() {
      assertThat(left).isZero();
      left = -1;
      text.append(HexFormat.of().formatHex(payload.toByteArray())).append('\n');
      payload.reset();
    }

    @Override
    public void control(int opcode, byte[] bytes) {
      assertThat(bytes.length).isLessThanOrEqualTo(WebSocket.MAX_CONTROL_BYTES);
      text.append("control ").append(opcode).append(HexFormat.of().formatHex(bytes)).append('\n');
    }

    private void read(WebSocketReader reader, byte[] bytes) throws WebSocketException {
      input = ByteBuffer.wrap(bytes);
      reader.read(input, this);
      assertThat(input.hasRemaining() && !text.toString().contains("control 8")).isFalse();
    }

    /** Reads {@code bytes} in pieces that end at {@code cuts}, and one at the end. */
    static String of(byte[] bytes, List<Integer> cuts) {
      var report = new Report();
      var reader = new WebSocketReader(true, MAX_FRAME_BYTES);
      int from = 0;
      var ends = new ArrayList<>(cuts);
      ends.add(bytes.length);
      try {
        for (int end : ends) {
          report.read(reader, Arrays.copyOfRange(bytes, from, end));
          from = end;
        }
      } catch (WebSocketException e) {
        assertThat(e.closeCode()).isBetween(1000, 1015);
        report.text.append("refused ").append(e.closeCode());
        // How much of the frame it is in was reported depends on the cuts.
        return report.text.toString();
      }
      assertThat(report.payloadBytes).isLessThanOrEqualTo(bytes.length);
      return report.text.append(HexFormat.of().formatHex(report.payload.toByteArray())).toString();
    }
  }

  /** Frames as clients send them, sometimes damaged. */
  private static byte[] stream(Random random) {
    var out = new ByteArrayOutputStream();
    int frames = 1 + random.nextInt(6);
    for (int i = 0; i < frames; i++) {
      int first =
          random.nextInt(4) == 0
              ? random.nextInt(256)
              : RawWebSocket.FINAL
                  | List.of(WebSocket.BINARY, WebSocket.TEXT, WebSocket.PING, WebSocket.CLOSE)
                      .get(Math.min(3, random.nextInt(12) / 3));
      int length =
          switch (random.nextInt(6)) {
            case 0 -> 0;
            case 1 -> 120 + random.nextInt(12);
            case 2 -> random.nextInt(2_000);
            case 3 -> random.nextInt(60) == 0 ? 65_530 + random.nextInt(12) : 3;
            default -> random.nextInt(64);
          };
      byte[] payload = new byte[length];
      for (int at = 0; at < length; at++) {
        payload[at] = (byte) (random.nextInt(40) == 0 ? random.nextInt(256) : 'a' + at % 26);
      }
      out.writeBytes(RawWebSocket.frame(first, payload));
    }
    byte[] bytes = out.toByteArray();
    for (int flips = random.nextInt(3); flips > 0; flips--) {
      bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
    }
    return random.nextInt(4) == 0 ? Arrays.copyOf(bytes, random.nextInt(bytes.length)) : bytes;
  }

  private static byte[] noise(Random random, int most) {
    byte[] bytes = new byte[random.nextInt(most)];
    random.nextBytes(bytes);
    return bytes;
  }

  @Test
  void anyBytes_areReadAlikeHoweverTheyAreCut_orRefusedAlike() {
    int refused = 0;
    int read = 0;
    for (int round = 0; round < ROUNDS; round++) {
      var random = new Random(SEED + round);
      byte[] bytes = random.nextInt(10) == 0 ? noise(random, 300) : stream(random);
      String whole = Report.of(bytes, List.of());
      List<Integer> cuts =
          random.ints(random.nextInt(20), 0, bytes.length + 1).sorted().boxed().toList();
      assertThat(Report.of(bytes, cuts)).as("seed %d", SEED + round).isEqualTo(whole);
      if (whole.contains("refused")) {
        refused++;
      } else {
        read++;
      }
    }
    assertThat(refused).isGreaterThan(ROUNDS / 10);
    assertThat(read).isGreaterThan(ROUNDS / 10);
  }

  private static RelayMessage message(Random random) {
    var rendezvous = new Rendezvous(bytes(random, Rendezvous.RENDEZVOUS_BYTES));
    var tag = new PeerTag(bytes(random, PeerTag.TAG_BYTES));
    return switch (random.nextInt(8)) {
      case 0 -> new RelayMessage.Register(rendezvous, tag);
      case 1 -> new RelayMessage.Unregister(rendezvous, tag);
      case 2 -> new RelayMessage.Present(rendezvous, tag);
      case 3 -> new RelayMessage.Gone(rendezvous, tag);
      case 4 -> new RelayMessage.Incoming(rendezvous, bytes(random, RelayMessage.CIRCUIT_BYTES));
      case 5 -> new RelayMessage.Refused(rendezvous, "registrations");
      case 6 -> new RelayMessage.Leave(random.nextInt(65_536));
      default ->
          new RelayMessage.Welcome(1, 60, 256, bytes(random, random.nextBoolean() ? 4 : 16), 443);
    };
  }

  private static byte[] bytes(Random random, int length) {
    byte[] bytes = new byte[length];
    random.nextBytes(bytes);
    return bytes;
  }

  @Test
  void relayMessages_mutated_neverThrow_andWhatIsReadIsWrittenAlike() {
    int read = 0;
    int refused = 0;
    for (int round = 0; round < ROUNDS; round++) {
      var random = new Random(SEED + round);
      byte[] bytes = random.nextInt(5) == 0 ? noise(random, 400) : message(random).encode();
      if (bytes.length > 0 && random.nextBoolean()) {
        bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
      }
      if (random.nextInt(4) == 0) {
        bytes = Arrays.copyOf(bytes, random.nextInt(bytes.length + 3));
      }
      RelayMessage message = RelayMessage.decode(bytes);
      if (message == null) {
        refused++;
      } else {
        read++;
        assertThat(message.encode()).as("seed %d", SEED + round).isEqualTo(bytes);
      }
    }
    assertThat(refused).isGreaterThan(ROUNDS / 10);
    assertThat(read).isGreaterThan(ROUNDS / 10);
  }

  /** Strangers say anything in circuits, on control connections and instead of a request. */
  @Test
  void garbageAtARelay_endsWhoSaidIt_andNobodyElse() throws Exception {
    try (RelayServer relay =
        RelayServer.start(
            new RelayOptions(
                Node.anyPort(), null, Map.of(), false, RelayLimits.of(Map.of("drain-millis", 0L))),
            new Environment(InstantSource.system(), new SecureRandom()))) {
      int port = relay.address().getPort();
      try (Circuit honest = Circuit.open(port)) {
        for (int round = 0; round < 300; round++) {
          var random = new Random(SEED + round);
          attack(port, random);
          byte[] said = ("round " + round).getBytes(StandardCharsets.UTF_8);
          honest.dialler().send(RawWebSocket.FINAL | WebSocket.BINARY, said);
          assertThat(honest.acceptor().read())
              .as("seed %d", SEED + round)
              .isEqualTo(new Frame(RawWebSocket.FINAL | WebSocket.BINARY, said));
        }
      }
      assertThat(relay.counted(RelayCounter.PROTOCOL_VIOLATIONS)).isGreaterThan(50);
      assertThat(relay.counted(RelayCounter.REFUSED_MALFORMED)).isPositive();
      io.pluresdb.transport.Waiting.until("nothing left", () -> relay.connections() == 0);
    }
  }

  private static void attack(int port, Random random) throws IOException {
    try {
      switch (random.nextInt(3)) {
        case 0 -> {
          try (Circuit circuit = Circuit.open(port)) {
            circuit.dialler().raw(stream(random));
            circuit.acceptor().raw(stream(random));
          }
        }
        case 1 -> {
          try (RawWebSocket control = RawWebSocket.control(port)) {
            control.raw(stream(random));
            control.raw(
                RawWebSocket.frame(
                    RawWebSocket.FINAL | WebSocket.BINARY, message(random).encode()));
          }
        }
        default -> {
          byte[] request =
              RawWebSocket.request(RelayMessage.CONTROL_PATH).getBytes(StandardCharsets.ISO_8859_1);
          for (int flips = 1 + random.nextInt(20); flips > 0; flips--) {
            request[random.nextInt(request.length)] ^= (byte) (1 << random.nextInt(8));
          }
          try (RawWebSocket garbage = RawWebSocket.control(port)) {
            garbage.raw(noise(random, 5_000));
          }
          RawWebSocket.ask(port, new String(request, StandardCharsets.ISO_8859_1) + "\r\n\r\n");
        }
      }
    } catch (RawWebSocket.RefusedException | java.net.SocketException e) {
      // Refused, or ended while it was said.
    }
  }
}
