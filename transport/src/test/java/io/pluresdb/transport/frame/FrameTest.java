package io.pluresdb.transport.frame;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Frames and messages without encryption or network. */
class FrameTest {
  private static final int LIMIT = 1000;

  @Test
  void fill_framesCutAnywhere_giveTheSameFrames() throws FrameException {
    long seed = 31;
    System.out.println("frame cuts seed=" + seed);
    Random random = new Random(seed);
    for (int round = 0; round < 200; round++) {
      ByteBuffer wire = ByteBuffer.allocate(200_000);
      List<byte[]> frames = new ArrayList<>();
      for (int i = 0; i < 1 + random.nextInt(5); i++) {
        byte[] frame = new byte[17 + random.nextInt(20_000)];
        random.nextBytes(frame);
        frames.add(frame);
        wire.putShort((short) frame.length).put(frame);
      }
      wire.flip();
      FrameReader reader = new FrameReader();
      reader.expectFrames(17, 65535);
      List<byte[]> read = new ArrayList<>();
      while (wire.hasRemaining()) {
        int piece = Math.min(wire.remaining(), 1 + random.nextInt(9000));
        ByteBuffer in = wire.slice(wire.position(), piece);
        wire.position(wire.position() + piece);
        while (reader.fill(in)) {
          read.add(Arrays.copyOf(reader.array(), reader.length()));
          reader.next();
        }
      }
      assertThat(read.toArray(byte[][]::new))
          .as("seed %d", seed)
          .isDeepEqualTo(frames.toArray(byte[][]::new));
    }
  }

  @Test
  void fill_lengthOutsideTheLimits_isRefusedBeforeTheFrame() {
    FrameReader reader = new FrameReader();
    reader.expectFrames(17, 1000);
    assertKind(() -> reader.fill(wire(0x03e9)), FrameException.Kind.FRAME_LENGTH);
    reader.expectFrames(17, 1000);
    assertKind(() -> reader.fill(wire(0x0010)), FrameException.Kind.FRAME_LENGTH);
  }

  @Test
  void expectRaw_thenFrames_readsBoth() throws FrameException {
    FrameReader reader = new FrameReader();
    reader.expectRaw(3);
    ByteBuffer in = ByteBuffer.wrap(new byte[] {7, 8, 9, 0, 2, 5, 6});
    assertThat(reader.fill(in)).isTrue();
    assertThat(Arrays.copyOf(reader.array(), reader.length())).containsExactly(7, 8, 9);
    reader.expectFrames(1, 10);
    assertThat(reader.fill(in)).isTrue();
    assertThat(Arrays.copyOf(reader.array(), reader.length())).containsExactly(5, 6);
  }

  @Test
  void messages_packedAndCutAnywhere_arriveEqual() throws FrameException {
    long seed = 32;
    System.out.println("message cuts seed=" + seed);
    Random random = new Random(seed);
    for (int round = 0; round < 300; round++) {
      MessageWriter writer = new MessageWriter();
      List<byte[]> sent = new ArrayList<>();
      for (int i = 0; i < random.nextInt(40); i++) {
        byte[] message = new byte[random.nextInt(LIMIT + 1)];
        random.nextBytes(message);
        sent.add(message);
        writer.add(message);
      }
      MessageReader reader = new MessageReader(LIMIT);
      List<byte[]> received = new ArrayList<>();
      byte[] frame = new byte[2 + random.nextInt(3000)];
      Object path = new Object();
      writer.turnTo(path, 0);
      while (writer.hasMore(path)) {
        int end = writer.fill(path, frame, 1, frame.length);
        reader.read(frame, 1, end, received::add);
      }
      assertThat(received.toArray(byte[][]::new))
          .as("seed %d", seed)
          .isDeepEqualTo(sent.toArray(byte[][]::new));
    }
  }

  @Test
  void read_oneByteAboveTheLimit_isRefusedWithoutAllocating() throws FrameException {
    List<byte[]> received = new ArrayList<>();
    MessageReader reader = new MessageReader(LIMIT);
    reader.read(message(LIMIT), 0, LIMIT + 4, received::add);
    assertThat(received).hasSize(1);
    byte[] above = message(LIMIT + 1);
    assertKind(
        () -> reader.read(above, 0, above.length, received::add),
        FrameException.Kind.MESSAGE_TOO_LARGE);
    MessageReader other = new MessageReader(LIMIT);
    byte[] huge = {(byte) 0xff, (byte) 0xff, (byte) 0xff, (byte) 0xff};
    assertThatThrownBy(() -> other.read(huge, 0, 4, received::add))
        .isInstanceOfSatisfying(
            FrameException.class, e -> assertThat(e.value()).isEqualTo(0xffffffffL));
    assertThat(received).hasSize(1);
  }

  @Test
  void read_randomBytes_onlyEverRefuses() {
    long seed = 33;
    System.out.println("message garbage seed=" + seed);
    Random random = new Random(seed);
    for (int i = 0; i < 20_000; i++) {
      byte[] garbage = new byte[random.nextInt(300)];
      random.nextBytes(garbage);
      if (random.nextBoolean() && garbage.length > 3) {
        Arrays.fill(garbage, 0, 3, (byte) 0);
      }
      MessageReader reader = new MessageReader(LIMIT);
      try {
        reader.read(garbage, 0, garbage.length, m -> assertThat(m.length).isLessThan(LIMIT + 1));
      } catch (FrameException e) {
        assertThat(e.kind()).isEqualTo(FrameException.Kind.MESSAGE_TOO_LARGE);
      }
    }
  }

  @Test
  void goodbye_encoded_isReadEqualAndCut() throws FrameException {
    byte[] out = new byte[1000];
    Goodbye goodbye = new Goodbye("NOT_A_MEMBER", "frag \u00fcber ein Ger\u00e4t");
    int end = goodbye.encode(out, 1);
    assertThat(Goodbye.decode(out, 1, end)).isEqualTo(goodbye);
    Goodbye cut = new Goodbye("X", "\ud83d\ude00".repeat(1000));
    assertThat(cut.message()).isEqualTo("\ud83d\ude00".repeat(128));
    assertThatIllegalArgumentException().isThrownBy(() -> new Goodbye("", ""));
    assertThatIllegalArgumentException().isThrownBy(() -> new Goodbye("lower", ""));
    assertThatIllegalArgumentException().isThrownBy(() -> new Goodbye("A".repeat(65), ""));
  }

  @Test
  void goodbye_randomBytes_isRefusedOrValid() {
    long seed = 34;
    System.out.println("goodbye garbage seed=" + seed);
    Random random = new Random(seed);
    for (int i = 0; i < 50_000; i++) {
      byte[] garbage = new byte[random.nextInt(700)];
      random.nextBytes(garbage);
      if (garbage.length > 2 && random.nextBoolean()) {
        garbage[0] = 1;
        garbage[1] = 'A';
        Arrays.fill(garbage, 2, garbage.length, (byte) 'm');
      }
      try {
        Goodbye read = Goodbye.decode(garbage, 0, garbage.length);
        assertThat(read.code()).isNotEmpty();
      } catch (FrameException e) {
        assertThat(e.kind()).isEqualTo(FrameException.Kind.MALFORMED_CONTROL);
      }
    }
  }

  @Test
  void kind_unknownByte_isRefused() throws FrameException {
    for (FrameKind kind : FrameKind.values()) {
      assertThat(FrameKind.of(kind.code())).isEqualTo(kind);
    }
    assertKind(() -> FrameKind.of((byte) 8), FrameException.Kind.UNKNOWN_KIND);
    assertKind(() -> FrameKind.of((byte) -1), FrameException.Kind.UNKNOWN_KIND);
  }

  private interface Call {
    void run() throws FrameException;
  }

  private static void assertKind(Call call, FrameException.Kind kind) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(FrameException.class, e -> assertThat(e.kind()).isEqualTo(kind));
  }

  private static ByteBuffer wire(int length) {
    return ByteBuffer.allocate(2).putShort((short) length).flip();
  }

  private static byte[] message(int length) {
    return ByteBuffer.allocate(4 + length).putInt(length).array();
  }
}
