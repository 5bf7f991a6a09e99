package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.net.RawWebSocket.Circuit;
import io.pluresdb.transport.net.RawWebSocket.Frame;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.WebSocket;
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
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;

/**
 * The relay's WebSocket against RFC 6455: the strict cases of Autobahn's test suite, groups 1 to 7,
 * written anew. One end of a circuit sends, the other echoes every data frame as it came, so that
 * what returns has passed the relay twice.
 */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class RelayConformanceTest {
  private static final int FIN = RawWebSocket.FINAL;
  private static final int TEXT = WebSocket.TEXT;
  private static final int BINARY = WebSocket.BINARY;
  private static final int CLOSE = WebSocket.CLOSE;
  private static final int PING = WebSocket.PING;
  private static final int PONG = WebSocket.PONG;
  private static final byte[] NONE = {};

  private RelayServer relay;

  @BeforeAll
  void start() {
    relay =
        RelayServer.start(
            new RelayOptions(
                Node.anyPort(), null, Map.of(), false, RelayLimits.of(Map.of("drain-millis", 0L))),
            new Environment(InstantSource.system(), new SecureRandom()));
  }

  @AfterAll
  void stop() {
    relay.close();
  }

  /** What is sent, in pieces that are flushed one by one, and what must come back. */
  private record Case(String name, List<byte[]> pieces, List<Frame> echoes, int closeCode) {}

  private static final class Cases {
    final List<Case> all = new ArrayList<>();
    private String name = "";
    private final List<byte[]> pieces = new ArrayList<>();
    private final List<Frame> echoes = new ArrayList<>();

    Cases named(String text) {
      name = text;
      return this;
    }

    Cases send(int first, byte[] payload) {
      pieces.add(RawWebSocket.frame(first, payload));
      return this;
    }

    Cases send(int first, String text) {
      return send(first, utf8(text));
    }

    Cases raw(byte[] bytes) {
      pieces.add(bytes);
      return this;
    }

    /** Everything so far in pieces of that many bytes. */
    Cases chopped(int bytes) {
      byte[] whole = whole();
      pieces.clear();
      for (int at = 0; at < whole.length; at += bytes) {
        pieces.add(Arrays.copyOfRange(whole, at, Math.min(whole.length, at + bytes)));
      }
      return this;
    }

    /** Everything so far in one piece. */
    Cases together() {
      byte[] whole = whole();
      pieces.clear();
      pieces.add(whole);
      return this;
    }

    private byte[] whole() {
      var out = new ByteArrayOutputStream();
      pieces.forEach(out::writeBytes);
      return out.toByteArray();
    }

    Cases back(int first, byte[] payload) {
      echoes.add(new Frame(first, payload));
      return this;
    }

    Cases back(int first, String text) {
      return back(first, utf8(text));
    }

    /** Sends a data frame, which comes back. */
    Cases echo(int first, byte[] payload) {
      return send(first, payload).back(first, payload);
    }

    Cases echo(int first, String text) {
      return echo(first, utf8(text));
    }

    /** The case ends with our close, which is answered. */
    void closes() {
      send(FIN | CLOSE, code(WebSocket.NORMAL, NONE));
      ends(WebSocket.NORMAL);
    }

    /** The case ends with the relay's close. */
    void ends(int closeCode) {
      all.add(new Case(name, List.copyOf(pieces), List.copyOf(echoes), closeCode));
      pieces.clear();
      echoes.clear();
    }
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] code(int code, byte[] reason) {
    return ByteBuffer.allocate(2 + reason.length).putShort((short) code).put(reason).array();
  }

  private static byte[] filled(int length, int with) {
    byte[] bytes = new byte[length];
    Arrays.fill(bytes, (byte) with);
    return bytes;
  }

  private static Cases cases() {
    var cases = new Cases();
    sizes(cases);
    pings(cases);
    reserved(cases);
    fragments(cases);
    text(cases);
    closing(cases);
    return cases;
  }

  private static void sizes(Cases cases) {
    for (int opcode : new int[] {TEXT, BINARY}) {
      int fill = opcode == TEXT ? '*' : 0xfe;
      for (int size : new int[] {0, 125, 126, 127, 128, 65535, 65536}) {
        cases
            .named("1 opcode " + opcode + " size " + size)
            .echo(FIN | opcode, filled(size, fill))
            .closes();
      }
      cases
          .named("1 opcode " + opcode + " size 65536 in chops of 997")
          .echo(FIN | opcode, filled(65536, fill))
          .chopped(997)
          .closes();
    }
  }

  private static void pings(Cases cases) {
    cases.named("2.1 ping without payload").send(FIN | PING, NONE).back(FIN | PONG, NONE).closes();
    cases.named("2.2 ping with text").send(FIN | PING, "hi").back(FIN | PONG, "hi").closes();
    byte[] binary = {0, (byte) 0xff, (byte) 0xfe, (byte) 0xfd, 0};
    cases.named("2.3 ping with bytes").send(FIN | PING, binary).back(FIN | PONG, binary).closes();
    byte[] longest = filled(125, 0xfe);
    cases.named("2.4 ping of 125").send(FIN | PING, longest).back(FIN | PONG, longest).closes();
    cases.named("2.5 ping of 126").send(FIN | PING, filled(126, 0xfe)).ends(1002);
    cases
        .named("2.6 ping of 125 byte by byte")
        .send(FIN | PING, longest)
        .back(FIN | PONG, longest)
        .chopped(1)
        .closes();
    cases.named("2.7 pong nobody asked for").send(FIN | PONG, NONE).closes();
    cases.named("2.8 pong with payload").send(FIN | PONG, "unasked").closes();
    cases
        .named("2.9 pong, then ping")
        .send(FIN | PONG, "unasked")
        .send(FIN | PING, "asked")
        .back(FIN | PONG, "asked")
        .closes();
    for (boolean chopped : new boolean[] {false, true}) {
      cases.named("2." + (chopped ? "11" : "10") + " ten pings");
      for (int i = 0; i < 10; i++) {
        cases.send(FIN | PING, "payload-" + i).back(FIN | PONG, "payload-" + i);
      }
      (chopped ? cases.chopped(1) : cases.together()).closes();
    }
  }

  private static void reserved(Cases cases) {
    for (int bits = 1; bits <= 7; bits++) {
      cases.named("3." + bits + " text with reserved bits " + bits);
      cases.echo(FIN | TEXT, "before").send(FIN | bits << 4 | TEXT, "small").ends(1002);
      cases.named("3." + bits + " ping with reserved bits " + bits);
      cases.send(FIN | bits << 4 | PING, NONE).chopped(1).ends(1002);
    }
    for (int opcode : new int[] {3, 4, 5, 6, 7, 11, 12, 13, 14, 15}) {
      cases.named("4 opcode " + opcode).send(FIN | opcode, NONE).ends(1002);
      cases
          .named("4 opcode " + opcode + " with payload, between others")
          .echo(FIN | TEXT, "before")
          .send(FIN | opcode, "payload")
          .send(FIN | PING, NONE)
          .ends(1002);
    }
  }

  private static void fragments(Cases cases) {
    cases.named("5.1 ping in two").send(PING, "frag").send(FIN, "ment").ends(1002);
    cases.named("5.2 pong in two").send(PONG, "frag").send(FIN, "ment").ends(1002);
    cases.named("5.3 text in two").echo(TEXT, "frag").echo(FIN, "ment").closes();
    cases.named("5.4 in one write").echo(TEXT, "frag").echo(FIN, "ment").together().closes();
    cases.named("5.5 byte by byte").echo(TEXT, "frag").echo(FIN, "ment").chopped(1).closes();
    for (int way = 0; way < 3; way++) {
      cases
          .named("5." + (6 + way) + " ping between")
          .echo(TEXT, "frag")
          .send(FIN | PING, "p")
          .back(FIN | PONG, "p")
          .echo(FIN, "ment");
      (way == 0 ? cases : way == 1 ? cases.together() : cases.chopped(1)).closes();
    }
    cases.named("5.9 continuation of nothing").send(FIN, "x").send(FIN | TEXT, "y").ends(1002);
    cases.named("5.11 the same byte by byte").send(FIN, "x").chopped(1).ends(1002);
    cases.named("5.12 continuation of nothing, more to come").send(0, "x").ends(1002);
    cases
        .named("5.15 continuation after the end")
        .echo(TEXT, "frag")
        .echo(FIN, "ment")
        .send(0, "more")
        .ends(1002);
    cases.named("5.16 continuation, then text").send(0, "x").send(TEXT, "a").ends(1002);
    cases.named("5.18 text in text").echo(TEXT, "frag").send(FIN | TEXT, "ment").ends(1002);
    cases.named("5.19 five pieces and two pings");
    for (int piece = 1; piece <= 5; piece++) {
      cases.echo(piece == 1 ? TEXT : piece == 5 ? FIN : 0, "fragment" + piece);
      if (piece == 2 || piece == 4) {
        cases.send(FIN | PING, "ping" + piece).back(FIN | PONG, "ping" + piece);
      }
    }
    cases.closes();
    cases.named("5 binary in empty pieces").echo(BINARY, "").echo(0, "").echo(FIN, "").closes();
  }

  private static void text(Cases cases) {
    cases.named("6.1.1 empty text").echo(FIN | TEXT, "").closes();
    cases.named("6.1.2 empty pieces").echo(TEXT, "").echo(0, "").echo(FIN, "").closes();
    cases.named("6.1.3 text between").echo(TEXT, "").echo(0, "middle").echo(FIN, "").closes();
    byte[] hello = utf8("Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!");
    cases.named("6.2.1 text").echo(FIN | TEXT, hello).closes();
    cases.named("6.2.2 cut between characters");
    cases.echo(TEXT, "Hello-\u00b5@\u00df\u00f6\u00e4").echo(FIN, "\u00fc\u00e0\u00e1-!!").closes();
    cases.named("6.2.3 one byte a frame");
    for (int i = 0; i < hello.length; i++) {
      int first = i == 0 ? TEXT : i == hello.length - 1 ? FIN : 0;
      cases.echo(first, new byte[] {hello[i]});
    }
    cases.closes();
    String[] valid = {
      "cebae1bdb9cf83cebcceb5", "00", "c280", "e0a080", "f0908080", "7f", "dfbf", "efbfbf",
      "f48fbfbf", "ed9fbf", "ee8080", "efbfbd", "efbfbe", "f0afbfbe", "f3afbfbf", "e18080e18080"
    };
    for (String hex : valid) {
      cases
          .named("6 valid " + hex)
          .echo(FIN | TEXT, HexFormat.of().parseHex(hex))
          .chopped(1)
          .closes();
    }
    String[] invalid = {
      "cebae1bdb9cf83cebcceb5eda080656469746564",
      "f888808080",
      "fc8480808080",
      "f7bfbfbf",
      "fbbfbfbfbf",
      "fdbfbfbfbfbf",
      "f4908080",
      "80",
      "bf",
      "80bf",
      "80bf80bf",
      "c0",
      "fe",
      "ff",
      "feff",
      "c020",
      "e0",
      "e080",
      "f08080",
      "dfc0",
      "c0af",
      "e080af",
      "f08080af",
      "f8808080af",
      "c1bf",
      "e09fbf",
      "f08fbfbf",
      "f887bfbfbf",
      "eda080",
      "edad bf".replace(" ", ""),
      "edbfbf",
      "eda080edb080",
      "cebae1bdb9cf83cebcceb5f4908080656469746564",
      "e2828f20e2",
      "f5808080"
    };
    for (String hex : invalid) {
      byte[] bytes = HexFormat.of().parseHex(hex);
      cases.named("6 invalid " + hex).send(FIN | TEXT, bytes).ends(1007);
      cases.named("6 invalid " + hex + " in two frames");
      // The first may be right so far, and is passed on then.
      cases.echo(TEXT, Arrays.copyOf(bytes, bytes.length / 2));
      cases.send(FIN, Arrays.copyOfRange(bytes, bytes.length / 2, bytes.length)).ends(1007);
    }
    cases.named("6.4 fails before the message is whole");
    cases.send(TEXT, HexFormat.of().parseHex("cebaf4908080")).ends(1007);
    cases.named("6 binary needs no UTF-8").echo(FIN | BINARY, filled(8, 0xff)).closes();
  }

  private static void closing(Cases cases) {
    cases.named("7.1.1 message, then close").echo(FIN | TEXT, "Hello World!").closes();
    cases
        .named("7.1.2 two closes")
        .send(FIN | CLOSE, code(1000, NONE))
        .send(FIN | CLOSE, code(1000, NONE))
        .together()
        .ends(1000);
    cases
        .named("7.1.3 ping after close")
        .send(FIN | CLOSE, code(1000, NONE))
        .send(FIN | PING, NONE)
        .together()
        .ends(1000);
    cases
        .named("7.1.4 text after close")
        .send(FIN | CLOSE, code(1000, NONE))
        .send(FIN | TEXT, "late")
        .together()
        .ends(1000);
    cases
        .named("7.1.5 close inside a message")
        .echo(TEXT, "frag")
        .send(FIN | CLOSE, code(1000, NONE))
        .ends(1000);
    cases.named("7.3.1 close without payload").send(FIN | CLOSE, NONE).ends(1000);
    cases.named("7.3.2 close with one byte").send(FIN | CLOSE, "a").ends(1002);
    cases.named("7.3.3 close with a code").send(FIN | CLOSE, code(1000, NONE)).ends(1000);
    cases.named("7.3.4 and a reason").send(FIN | CLOSE, code(1000, utf8("Hello"))).ends(1000);
    cases.named("7.3.5 longest reason").send(FIN | CLOSE, code(1000, filled(123, '*'))).ends(1000);
    cases.named("7.3.6 too long").send(FIN | CLOSE, code(1000, filled(124, '*'))).ends(1002);
    byte[] wrong = HexFormat.of().parseHex("cebae1bdb9eda080");
    cases.named("7.5.1 reason is no UTF-8").send(FIN | CLOSE, code(1000, wrong)).ends(1007);
    for (int good :
        new int[] {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999}) {
      cases.named("7.7 code " + good).send(FIN | CLOSE, code(good, NONE)).ends(good);
    }
    for (int bad :
        new int[] {0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535}) {
      cases.named("7.9 code " + bad).send(FIN | CLOSE, code(bad, NONE)).ends(1002);
    }
    // Of section 5.1 and 5.2, which Autobahn has no case for.
    cases.named("unmasked frame").raw(new byte[] {(byte) 0x81, 1, 'x'}).ends(1002);
    cases
        .named("length of 2 bytes where 1 would do")
        .raw(HexFormat.of().parseHex("82fe007d00000000"))
        .ends(1002);
    cases
        .named("length of 8 bytes where 2 would do")
        .raw(HexFormat.of().parseHex("82ff000000000000ffff00000000"))
        .ends(1002);
    cases
        .named("negative length")
        .raw(HexFormat.of().parseHex("82ffffffffffffffffff00000000"))
        .ends(1002);
  }

  @TestFactory
  Stream<DynamicTest> relay_passes() {
    List<Case> all = cases().all;
    assertThat(all).hasSizeGreaterThan(200);
    return all.stream().map(each -> DynamicTest.dynamicTest(each.name(), () -> run(each)));
  }

  private void run(Case each) throws IOException {
    try (Circuit circuit = Circuit.open(relay.address().getPort())) {
      Thread echo = Thread.ofVirtual().start(circuit.acceptor()::echo);
      List<Frame> pongs = each.echoes().stream().filter(f -> f.opcode() == PONG).toList();
      List<Frame> expected = each.echoes().stream().filter(f -> f.opcode() != PONG).toList();
      boolean waits = each.closeCode() == WebSocket.NORMAL && !each.echoes().isEmpty();
      var controls = new ArrayList<Frame>();
      var messages = new ArrayList<Frame>();
      for (int i = 0; i < each.pieces().size(); i++) {
        if (waits && i == each.pieces().size() - 1) {
          // All is back before the close goes.
          while (controls.size() + messages.size() < each.echoes().size()) {
            take(circuit.dialler().next(), controls, messages);
          }
        }
        try {
          circuit.dialler().raw(each.pieces().get(i));
        } catch (IOException e) {
          // The relay has closed already, as it should, where it comes so far.
          assertThat(waits).isFalse();
        }
      }
      Frame frame = circuit.dialler().next();
      while (frame.opcode() != CLOSE) {
        take(frame, controls, messages);
        frame = circuit.dialler().next();
      }
      assertThat(frame.closeCode()).isEqualTo(each.closeCode());
      assertThat(circuit.dialler().read()).as("nothing follows a close").isNull();
      assertThat(controls).hasSizeLessThanOrEqualTo(pongs.size());
      assertThat(messages).hasSizeLessThanOrEqualTo(expected.size());
      assertThat(controls).isEqualTo(pongs.subList(0, controls.size()));
      assertThat(messages).isEqualTo(expected.subList(0, messages.size()));
      if (waits) {
        assertThat(controls).isEqualTo(pongs);
        assertThat(messages).isEqualTo(expected);
      }
      echo.interrupt();
    }
  }

  private static void take(Frame frame, List<Frame> controls, List<Frame> messages) {
    (frame.opcode() == PONG ? controls : messages).add(frame);
  }
}
