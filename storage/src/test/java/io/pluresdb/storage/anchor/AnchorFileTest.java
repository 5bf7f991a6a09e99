package io.pluresdb.storage.anchor;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.store.Anchor.Mark;
import io.pluresdb.crdt.store.Anchor.Reading;
import io.pluresdb.crdt.store.Anchor.Reading.Damaged;
import io.pluresdb.crdt.store.Anchor.Reading.Missing;
import io.pluresdb.crdt.store.Anchor.Reading.Valid;
import io.pluresdb.crdt.store.StorageException;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.SplittableRandom;
import java.util.zip.CRC32C;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AnchorFileTest {
  @TempDir Path temporary;

  @SuppressWarnings("NullAway.Init") // set before every test
  private Path path;

  @BeforeEach
  void name() {
    path = temporary.resolve("default.anchor");
  }

  @Test
  void read_ofANewFile_isMissing() throws IOException {
    assertThat(reopened()).isEqualTo(new Missing());
    assertThat(reopened()).as("as created").isEqualTo(new Missing());
    assertThat(Files.size(path)).isEqualTo(AnchorFile.FILE_BYTES);
  }

  @Test
  void write_tenThousandTimes_alternatesAndTheNewestWins() throws IOException {
    try (AnchorFile file = AnchorFile.open(path)) {
      for (long seq = 1; seq <= 10_000; seq++) {
        file.record(mark(seq));
        assertThat(file.read()).isEqualTo(new Valid(mark(seq)));
      }
    }
    assertThat(reopened()).isEqualTo(new Valid(mark(10_000)));
    flipBit(slotOf(10_000), 30);
    assertThat(reopened()).as("the slot before it").isEqualTo(new Valid(mark(9_999)));
    assertThat(Files.size(path)).isEqualTo(AnchorFile.FILE_BYTES);
  }

  @Test
  void write_afterReopening_goesOnAlternating() {
    for (long seq = 1; seq <= 5; seq++) {
      try (AnchorFile file = AnchorFile.open(path)) {
        file.record(mark(seq));
      }
      assertThat(reopened()).isEqualTo(new Valid(mark(seq)));
    }
  }

  @Test
  void write_afterALostSlot_keepsTheValidOne() throws IOException {
    write(2);
    flipBit(slotOf(2), 40);
    try (AnchorFile file = AnchorFile.open(path)) {
      assertThat(file.read()).isEqualTo(new Valid(mark(1)));
      file.record(mark(7));
    }
    flipBit(slotOf(2), 40);
    assertThat(reopened()).as("the new one lies in the lost slot").isEqualTo(new Valid(mark(1)));
  }

  @Test
  void read_withAnyBitFlipped_fallsBackToTheOtherSlot() throws IOException {
    write(2);
    for (int bit = 0; bit < 8 * AnchorFile.SLOT_BYTES; bit++) {
      flipBit(slotOf(2), bit);
      assertThat(reopened()).as("bit %d", bit).isEqualTo(new Valid(mark(1)));
      flipBit(slotOf(2), bit);
    }
    assertThat(reopened()).isEqualTo(new Valid(mark(2)));
  }

  @Test
  void read_ofATornSlot_fallsBackToTheOtherSlot() throws IOException {
    write(3);
    byte[] older = Files.readAllBytes(path);
    write(4);
    byte[] newer = Files.readAllBytes(path);
    int at = slotOf(4);
    for (int torn = 20; torn < AnchorFile.SLOT_BYTES - 4; torn++) {
      byte[] bytes = newer.clone();
      System.arraycopy(older, at + torn, bytes, at + torn, AnchorFile.SLOT_BYTES - torn);
      Files.write(path, bytes);
      assertThat(reopened()).as("torn after %d bytes", torn).isEqualTo(new Valid(mark(3)));
    }
  }

  @Test
  void read_withBothSlotsLost_isDamaged() throws IOException {
    write(2);
    flipBit(slotOf(1), 200);
    flipBit(slotOf(2), 200);
    assertThat(reopened()).isInstanceOf(Damaged.class);
    try (AnchorFile file = AnchorFile.open(path)) {
      file.record(mark(9));
    }
    assertThat(reopened()).as("usable again").isEqualTo(new Valid(mark(9)));
  }

  @Test
  void read_ofOneSlotWrittenAndLost_isDamagedNotMissing() throws IOException {
    write(1);
    flipBit(slotOf(1), 200);
    assertThat(reopened()).isInstanceOf(Damaged.class);
  }

  @Test
  void read_ofAFileCutShort_keepsWhatIsWhole() throws IOException {
    write(2);
    try (var file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(AnchorFile.SLOT_STRIDE_BYTES + 10L);
    }
    assertThat(reopened()).isEqualTo(new Valid(mark(2)));
  }

  @Test
  void open_ofAnOpenFile_isLocked() {
    try (AnchorFile file = AnchorFile.open(path)) {
      assertThat(file.read()).isEqualTo(new Missing());
      assertThat(openFailure().code()).isEqualTo("STORAGE_LOCKED");
    }
  }

  @Test
  void open_ofANewerFormat_isRefusedWithBothVersions() throws IOException {
    write(1);
    byte[] bytes = Files.readAllBytes(path);
    ByteBuffer slot = ByteBuffer.wrap(bytes, slotOf(1), AnchorFile.SLOT_BYTES).slice();
    slot.putInt(8, 2);
    CRC32C crc = new CRC32C();
    crc.update(slot.duplicate().limit(AnchorFile.SLOT_BYTES - 4));
    slot.putInt(AnchorFile.SLOT_BYTES - 4, (int) crc.getValue());
    Files.write(path, bytes);
    StorageException refusal = openFailure();
    assertThat(refusal.code()).isEqualTo("STORAGE_NEWER_FORMAT");
    assertThat(refusal).hasMessageContaining("format 2").hasMessageContaining("up to 1");
  }

  @Test
  void slot_ofAKnownAnchor_hasTheGoldenBytes() throws IOException {
    byte[] instance = HexFormat.of().parseHex("000102030405060708090a0b0c0d0e0f");
    var actor = new ActorId(0x1011121314151617L, 0x18191a1b1c1d1e1fL);
    byte[] head = new byte[32];
    head[0] = (byte) 0xff;
    try (AnchorFile file = AnchorFile.open(path)) {
      file.record(new Mark(instance, actor, 258, new Hash(head)));
    }
    byte[] bytes = Files.readAllBytes(path);
    assertThat(HexFormat.of().formatHex(bytes, 4096, 4096 + AnchorFile.SLOT_BYTES))
        .isEqualTo(
            "504c414e43484f52" // magic
                + "00000001" // version
                + "0000000000000001" // generation
                + "000102030405060708090a0b0c0d0e0f" // instance
                + "101112131415161718191a1b1c1d1e1f" // actor
                + "0000000000000102" // seq
                + "ff00000000000000000000000000000000000000000000000000000000000000" // head
                + "a9c6819c"); // CRC-32C
  }

  private void write(long newest) {
    try (AnchorFile file = AnchorFile.open(path)) {
      long first = file.read() instanceof Valid(Mark mark) ? mark.seq() + 1 : 1;
      for (long seq = first; seq <= newest; seq++) {
        file.record(mark(seq));
      }
    }
  }

  private Reading reopened() {
    try (AnchorFile file = AnchorFile.open(path)) {
      return file.read();
    }
  }

  private StorageException openFailure() {
    return catchThrowableOfType(
        StorageException.OpenFailed.class, () -> AnchorFile.open(path).close());
  }

  private static int slotOf(long generation) {
    return (int) (generation & 1) * AnchorFile.SLOT_STRIDE_BYTES;
  }

  private void flipBit(int slot, int bit) throws IOException {
    try (var file = new RandomAccessFile(path.toFile(), "rw")) {
      int at = slot + bit / 8;
      file.seek(at);
      int old = file.read();
      file.seek(at);
      file.write(old ^ (1 << (bit % 8)));
    }
  }

  private static Mark mark(long seq) {
    SplittableRandom random = new SplittableRandom(seq);
    byte[] instance = new byte[16];
    byte[] head = new byte[32];
    random.nextBytes(instance);
    random.nextBytes(head);
    return new Mark(
        instance, new ActorId(random.nextLong(), random.nextLong()), seq, new Hash(head));
  }
}
