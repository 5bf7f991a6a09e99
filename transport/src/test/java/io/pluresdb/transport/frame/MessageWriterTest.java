package io.pluresdb.transport.frame;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** One direction of a session over paths that break off anywhere. */
class MessageWriterTest {
  /** The receiving side: what a session does with what its paths bring. */
  private static final class Receiver {
    private final List<Integer> delivered = new ArrayList<>();

    /** Where a path is: the number of its next message, and what was read of it. */
    private final class Path {
      private final MessageReader reader = new MessageReader(1 << 20);
      private long next;

      Path(long from) {
        next = from;
      }

      void read(byte[] frame, int end) throws FrameException {
        reader.read(frame, 0, end, this::arrived);
      }

      private void arrived(byte[] message) {
        long number = next++;
        assertThat(number).isLessThanOrEqualTo(delivered.size());
        if (number == delivered.size()) {
          delivered.add(ByteBuffer.wrap(message).getInt());
        }
      }
    }
  }

  private record Frame(byte[] bytes, int end, Receiver.Path path) {}

  @Test
  void messages_overPathsThatBreakOffAnywhere_arriveOnceAndInOrder() throws FrameException {
    long seed = 77;
    System.out.println("paths seed=" + seed);
    Random random = new Random(seed);
    int moves = 0;
    for (int round = 0; round < 400; round++) {
      var writer = new MessageWriter();
      var receiver = new Receiver();
      var onTheWay = new ArrayList<Frame>();
      var old = new ArrayList<Frame>();
      int count = random.nextInt(200);
      int added = 0;
      Object turn = new Object();
      writer.turnTo(turn, 0);
      Receiver.Path path = receiver.new Path(0);
      while (receiver.delivered.size() < count) {
        switch (random.nextInt(7)) {
          case 0 -> {
            for (int i = 0; i < 20 && added < count; i++) {
              byte[] message = new byte[4 + random.nextInt(400)];
              ByteBuffer.wrap(message).putInt(added++);
              writer.add(message);
            }
          }
          case 1, 2 -> {
            byte[] frame = new byte[1 + random.nextInt(700)];
            int end = writer.fill(turn, frame, 0, frame.length);
            if (end > 0) {
              onTheWay.add(new Frame(frame, end, path));
            }
          }
          case 3, 4 -> {
            // The older path is late, and still in order.
            List<Frame> from = !old.isEmpty() && random.nextBoolean() ? old : onTheWay;
            if (!from.isEmpty()) {
              Frame frame = from.removeFirst();
              frame.path().read(frame.bytes(), frame.end());
            }
          }
          case 5 -> writer.received(receiver.delivered.size());
          default -> {
            if (random.nextInt(10) == 0) {
              long said = receiver.delivered.size();
              if (random.nextBoolean() && !onTheWay.isEmpty()) {
                // Something still comes and is acknowledged before the move is made.
                Frame frame = onTheWay.removeFirst();
                frame.path().read(frame.bytes(), frame.end());
                writer.received(receiver.delivered.size());
              }
              turn = new Object();
              writer.turnTo(turn, said);
              path = receiver.new Path(writer.received());
              old.clear();
              if (random.nextBoolean()) {
                old.addAll(onTheWay);
              }
              onTheWay.clear();
              moves++;
            }
          }
        }
      }
      for (int i = 0; i < count; i++) {
        assertThat(receiver.delivered.get(i)).as("seed %d round %d", seed, round).isEqualTo(i);
      }
      assertThat(receiver.delivered).hasSize(count);
    }
    assertThat(moves).as("paths that broke off").isGreaterThan(1_000);
  }

  @Test
  void received_moreThanWasWritten_isRefused() throws FrameException {
    var writer = new MessageWriter();
    var path = new Object();
    writer.turnTo(path, 0);
    writer.add(new byte[10]);
    writer.add(new byte[10]);
    writer.fill(path, new byte[14], 0, 14);
    writer.received(1);
    assertThatThrownBy(() -> writer.received(2)).isInstanceOf(FrameException.class);
    assertThatThrownBy(() -> writer.turnTo(new Object(), 2)).isInstanceOf(FrameException.class);
  }

  @Test
  void fill_windowFull_writesNothingUntilThePeerHasSome() throws FrameException {
    var writer = new MessageWriter();
    var path = new Object();
    writer.turnTo(path, 0);
    int size = 1 << 20;
    int fit = MessageWriter.WINDOW_BYTES / size + 1;
    for (int i = 0; i < 2 * fit; i++) {
      writer.add(new byte[size]);
    }
    byte[] out = new byte[2 * fit * (size + MessageReader.LENGTH_BYTES)];
    int first = writer.fill(path, out, 0, out.length);
    assertThat(first / size).isBetween(fit - 1, fit);
    assertThat(writer.hasMore(path)).isFalse();
    writer.received(2);
    assertThat(writer.hasMore(path)).isTrue();
    assertThat(writer.fill(path, out, 0, out.length)).isGreaterThan(size);
  }

  @Test
  void turnTo_anotherPath_leavesTheOldOneNothing() throws FrameException {
    var writer = new MessageWriter();
    var first = new Object();
    var second = new Object();
    writer.turnTo(first, 0);
    writer.add(new byte[100]);
    assertThat(writer.fill(first, new byte[50], 0, 50)).isEqualTo(50);
    assertThat(writer.turnTo(second, 0)).as("bytes to write again").isEqualTo(50);
    assertThat(writer.hasMore(first)).isFalse();
    assertThat(writer.fill(first, new byte[50], 0, 50)).isZero();
    assertThat(writer.fill(second, new byte[200], 0, 200)).isEqualTo(104);
  }
}
