package io.pluresdb.storage.rocks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;

import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.rocks.RocksOptions.WalRecovery;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.rocksdb.ColumnFamilyDescriptor;
import org.rocksdb.ColumnFamilyHandle;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksIterator;

/** The storage on real files: killed, damaged, locked, full and from the future. */
class RocksDurabilityTest {
  private static final int ROUNDS = 4;
  private static final int ROWS = 2000;

  /** The unit of RocksDB's log: a record's length is believed as far as the last one. */
  private static final int LOG_BLOCK_BYTES = 32 << 10;

  @TempDir Path temporary;

  @Test
  void kill_duringCommits_losesNothingAcknowledged() throws Exception {
    Path database = temporary.resolve("db");
    long next = 0;
    for (int round = 0; round < ROUNDS; round++) {
      long acknowledged = commitUntilKilled(database, next, 300 + 700L * round);
      try (RocksStorage storage = open(database)) {
        for (long seq = 0; seq <= acknowledged; seq++) {
          assertThat(storage.get(Table.LOG, CommittingChild.key(seq)))
              .as("round %d, row %d of %d", round, seq, acknowledged)
              .isEqualTo(CommittingChild.value(seq));
        }
        long rows = count(storage, Table.LOG);
        assertThat(rows).as("one commit may be unacknowledged").isBetween(1L, acknowledged + 2);
        assertThat(count(storage, Table.STATE)).as("a commit is whole").isEqualTo(rows);
        next = rows;
      }
    }
  }

  @Test
  void open_withAFlippedBitInTheLog_refuses() throws Exception {
    Path damaged = logOnly("damaged");
    flipBit(log(damaged), Files.size(log(damaged)) / 2);
    List<String> before = names(damaged);
    var refusal = openFailure(damaged, Directories.options());
    assertThat(refusal.code()).isEqualTo("STORAGE_WAL_CORRUPT_ENTRY");
    assertThat(refusal).hasMessageContaining(damaged.toString()).hasMessageContaining("backup");
    assertThat(names(damaged)).as("nothing is cleaned away").containsAll(before);
    assertThat(openFailure(damaged, Directories.options()).code())
        .as("still refused the second time")
        .isEqualTo("STORAGE_WAL_CORRUPT_ENTRY");
  }

  @Test
  void open_withAFlippedBitAndTheDefenceOff_losesAcknowledgedRowsSilently() throws Exception {
    Path damaged = logOnly("damaged");
    flipBit(log(damaged), Files.size(log(damaged)) / 2);
    try (RocksStorage storage =
        RocksStorage.open(damaged, Directories.options().with(WalRecovery.KEEP_PREFIX))) {
      assertThat(count(storage, Table.LOG)).isBetween(1L, ROWS - 1L);
    }
  }

  @Test
  void open_withAFlippedBitAnywhereInTheLog_isSilentOnlyInTheLastRecord() throws Exception {
    Path whole = logOnly("whole");
    byte[] bytes = Files.readAllBytes(log(whole));
    int lastRecord = bytes.length - 1_100;
    int refused = 0;
    for (int i = 0; i < 100; i++) {
      // Headers and payloads of records alike: the step is prime.
      int offset = (int) (i * 15_485_863L % bytes.length);
      bytes[offset] ^= 0x10;
      Files.write(log(whole), bytes);
      bytes[offset] ^= 0x10;
      Path copy = crashCopy(whole, temporary.resolve("flipped-" + i));
      try (RocksStorage storage = open(copy)) {
        long rows = count(storage, Table.LOG);
        assertThat(rows == ROWS || offset >= lastRecord)
            .as("bit flipped at %d of %d: %d rows of %d", offset, bytes.length, rows, ROWS)
            .isTrue();
      } catch (StorageException.OpenFailed refusal) {
        assertThat(refusal.code()).as("at %d", offset).isEqualTo("STORAGE_WAL_CORRUPT_ENTRY");
        refused++;
      }
    }
    assertThat(refused).isGreaterThan(90);
  }

  @Test
  void open_withADamagedLengthInTheLastBlock_isRefusedThoughRocksDbTakesItForTheEnd()
      throws Exception {
    Path damaged = logOnly("damaged");
    byte[] bytes = Files.readAllBytes(log(damaged));
    int record = firstRecordOfLastBlock(bytes);
    bytes[record + 5] = (byte) 0xff; // the length's high byte: now it points beyond the file
    Files.write(log(damaged), bytes);
    var refusal = openFailure(damaged, Directories.options());
    assertThat(refusal.code()).isEqualTo("STORAGE_WAL_CORRUPT_ENTRY");
    assertThat(refusal).hasMessageContaining("byte " + record);
  }

  @Test
  void open_withALogFileGoneBetweenOthers_isRefused() throws Exception {
    Path damaged = threeLogs("gone");
    List<Path> logs = logs(damaged);
    assertThat(WriteAheadLog.inspect(damaged))
        .extracting(WriteAheadLog.Report::files, WriteAheadLog.Report::damage)
        .containsExactly(3, null);
    Files.delete(logs.get(1));
    var refusal = openFailure(damaged, Directories.options());
    assertThat(refusal.code()).isEqualTo("STORAGE_WAL_MISSING");
    assertThat(refusal).hasMessageContaining(logs.get(2).getFileName().toString());
  }

  @Test
  void open_withALogFileCutBeforeAnother_isRefused() throws Exception {
    Path damaged = threeLogs("cut");
    try (var file = new RandomAccessFile(logs(damaged).get(1).toFile(), "rw")) {
      file.setLength(file.length() / 2);
    }
    assertThat(openFailure(damaged, Directories.options()).code()).isEqualTo("STORAGE_WAL_MISSING");
  }

  /** After a crash files may be left of which everything is in tables, in any selection. */
  @Test
  void open_withLeftOverLogFiles_isNotMisled() throws Exception {
    Path source = temporary.resolve("source");
    Path copy;
    try (RocksStorage storage = open(source)) {
      for (long seq = 0; seq < ROWS; seq++) {
        putLog(storage, seq);
      }
      storage.sync();
      Path old = log(source);
      byte[] bytes = Files.readAllBytes(old);
      storage.compact();
      putLog(storage, ROWS);
      storage.sync();
      copy = crashCopy(source, temporary.resolve("copy"));
      bytes[bytes.length / 2] ^= 1;
      Files.write(copy.resolve(String.valueOf(old.getFileName())), bytes);
    }
    assertThat(WriteAheadLog.inspect(copy).damage()).isNull();
    assertThat(WriteAheadLog.inspect(copy, 0).damage()).as("control: it is damaged").isNotNull();
    try (RocksStorage storage = open(copy)) {
      assertThat(count(storage, Table.LOG)).isEqualTo(ROWS + 1);
    }
  }

  @Test
  void inspect_saysWhereTheDamageIsAndWhatLiesBehindIt() throws Exception {
    Path damaged = logOnly("damaged");
    WriteAheadLog.Report whole = WriteAheadLog.inspect(damaged);
    assertThat(whole.damage()).isNull();
    assertThat(whole.commits()).as("and the format row").isEqualTo(ROWS + 1);
    long at = Files.size(log(damaged)) / 2;
    flipBit(log(damaged), at);
    WriteAheadLog.Report report = WriteAheadLog.inspect(damaged);
    WriteAheadLog.Damage damage = Objects.requireNonNull(report.damage());
    assertThat(damage.kind()).isEqualTo(WriteAheadLog.Kind.CORRUPT_ENTRY);
    assertThat(damage.file()).isEqualTo(log(damaged));
    assertThat(damage.offset()).isBetween(at - 2_100, at);
    assertThat(report.commits() + report.behind()).isBetween(ROWS - 1L, ROWS + 0L);
    assertThat(report.lostRows()).isEqualTo(ROWS + 1 - report.commits());
    try (RocksStorage storage =
        RocksStorage.open(damaged, Directories.options().with(WalRecovery.KEEP_PREFIX))) {
      assertThat(count(storage, Table.LOG)).as("what it kept").isEqualTo(report.commits() - 1);
      assertThat(storage.greatestKeyBehind(report, Table.LOG))
          .isEqualTo(CommittingChild.key(ROWS - 1));
    }
  }

  @Test
  void inspect_ofALogCutShort_saysSoWithoutHarm() throws Exception {
    Path cut = logOnly("cut");
    try (var file = new RandomAccessFile(log(cut).toFile(), "rw")) {
      file.setLength(file.length() - 500);
    }
    WriteAheadLog.Damage damage = Objects.requireNonNull(WriteAheadLog.inspect(cut).damage());
    assertThat(damage.kind()).isEqualTo(WriteAheadLog.Kind.TRUNCATED);
    assertThat(damage.isHarmful()).isFalse();
  }

  @Test
  void open_withoutCurrent_isRefusedInsteadOfMakingAnEmptyDatabase() throws Exception {
    Path damaged = logOnly("damaged");
    Files.delete(damaged.resolve("CURRENT"));
    List<String> before = names(damaged);
    assertThat(openFailure(damaged, Directories.options()))
        .hasMessageContaining("CURRENT")
        .extracting(StorageException::code)
        .isEqualTo("STORAGE_OPEN_FAILED");
    assertThat(names(damaged)).isEqualTo(before);
  }

  @Test
  void verifyChecksums_withATableGone_namesIt() throws Exception {
    Path database = temporary.resolve("db");
    try (RocksStorage storage = open(database)) {
      for (long seq = 0; seq < ROWS; seq++) {
        putLog(storage, seq);
      }
      storage.compact();
      storage.verifyChecksums();
      Path table = largest(database, ".sst");
      Files.delete(table);
      assertThatThrownBy(storage::verifyChecksums)
          .hasMessageContaining(String.valueOf(table.getFileName()))
          .hasMessageContaining("missing");
    }
    assertThat(openFailure(database, Directories.options()).code())
        .isEqualTo("STORAGE_OPEN_FAILED");
  }

  /** Nobody may wait for merging: what fails there is kept to be asked for. */
  @Test
  void compact_overADamagedTable_failsAndIsRemembered() throws Exception {
    Path database = temporary.resolve("db");
    try (RocksStorage storage = open(database)) {
      for (long seq = 0; seq < ROWS; seq++) {
        putLog(storage, seq);
      }
      storage.compact();
    }
    flipBit(largest(database, ".sst"), 50);
    try (RocksStorage storage = open(database)) {
      assertThat(storage.backgroundFailure()).isNull();
      for (long seq = 0; seq < ROWS; seq++) {
        putLog(storage, seq);
      }
      assertThatThrownBy(storage::compact).isInstanceOf(StorageException.Failed.class);
      assertThat(storage.backgroundFailure()).startsWith("compaction failed: Corruption");
    }
  }

  @Test
  void open_withTheLastLogFileGone_opensWithoutItSoTheAnchorIsNeeded() throws Exception {
    Path damaged = logOnly("damaged");
    Files.delete(log(damaged));
    try (RocksStorage storage = open(damaged)) {
      assertThat(count(storage, Table.LOG)).isZero();
    }
  }

  @Test
  void open_withPagesNeverWrittenAtTheLogsEnd_refusesUntilSalvaged() throws Exception {
    // Power loss may leave a hole in what was not synced, with the file already at full length.
    Path torn = logOnly("torn");
    long length = Files.size(log(torn));
    try (var file = new RandomAccessFile(log(torn).toFile(), "rw")) {
      file.seek(length - 8192);
      file.write(new byte[4096]);
    }
    assertThat(openFailure(torn, Directories.options()).code())
        .isEqualTo("STORAGE_WAL_CORRUPT_ENTRY");
    try (RocksStorage storage =
        RocksStorage.open(torn, Directories.options().with(WalRecovery.KEEP_PREFIX))) {
      assertThat(count(storage, Table.LOG)).isBetween(ROWS - 10L, ROWS - 7L);
      put(storage, ROWS);
    }
    try (RocksStorage storage = open(torn)) {
      assertThat(storage.get(Table.LOG, CommittingChild.key(ROWS))).isNotNull();
    }
  }

  @Test
  void open_withADamagedManifest_saysTheDatabaseDoesNotOpen() throws Exception {
    Path damaged = logOnly("damaged");
    Path manifest;
    try (Stream<Path> files = Files.list(damaged)) {
      manifest =
          files.filter(file -> file.toString().contains("MANIFEST")).findFirst().orElseThrow();
    }
    flipBit(manifest, 20);
    assertThat(openFailure(damaged, Directories.options()).code()).isEqualTo("STORAGE_OPEN_FAILED");
  }

  @Test
  void commit_afterAFailedWrite_isRefusedForGood() throws Exception {
    Path database = temporary.resolve("db");
    Path away = temporary.resolve("away");
    try (RocksStorage storage =
        RocksStorage.open(database, Directories.options().withWriteBuffer(1))) {
      put(storage, 0);
      Files.move(database, away); // the next log file cannot be created
      assertThatThrownBy(
              () -> {
                for (long seq = 1; seq < 100_000; seq++) {
                  put(storage, seq);
                }
              })
          .isInstanceOf(StorageException.Failed.class);
      Files.move(away, database);
      for (int i = 0; i < 3; i++) {
        assertThatThrownBy(() -> put(storage, 1)).isInstanceOf(StorageException.Failed.class);
        assertThatThrownBy(storage::sync).isInstanceOf(StorageException.Failed.class);
      }
      assertThat(storage.get(Table.LOG, CommittingChild.key(0))).as("reads go on").isNotNull();
    }
  }

  @Test
  void open_withTheLogCutShort_keepsAPrefix() throws Exception {
    for (long cut : new long[] {1, 500, 40_000, 1_000_000}) {
      Path torn = logOnly("torn-" + cut);
      try (var file = new RandomAccessFile(log(torn).toFile(), "rw")) {
        file.setLength(file.length() - cut);
      }
      try (RocksStorage storage = open(torn)) {
        long rows = count(storage, Table.LOG);
        assertThat(rows).as("cut by %d", cut).isBetween(ROWS - 2 - cut / 1000, ROWS - 1L);
        for (long seq = 0; seq < rows; seq++) {
          assertThat(storage.get(Table.LOG, CommittingChild.key(seq)))
              .isEqualTo(CommittingChild.value(seq));
        }
        put(storage, ROWS);
      }
      try (RocksStorage storage = open(torn)) {
        assertThat(storage.get(Table.LOG, CommittingChild.key(ROWS))).isNotNull();
      }
    }
  }

  @Test
  void scan_overAFlippedBitInATable_throwsRatherThanShortens() throws Exception {
    Path database = temporary.resolve("db");
    try (RocksStorage storage = open(database)) {
      for (long seq = 0; seq < ROWS; seq++) {
        putLog(storage, seq);
      }
      storage.compact();
    }
    Path table = largest(database, ".sst");
    // Nothing is read here: blocks in the cache, which all storages share, would hide the damage.
    try (RocksStorage storage = open(database)) {
      storage.verifyChecksums();
    }
    flipBit(table, Files.size(table) / 2);
    withRaw(
        database,
        List.of("LOG"),
        (raw, families) -> {
          try (RocksIterator rows = raw.newIterator(families.getFirst())) {
            long seen = 0;
            for (rows.seekToFirst(); rows.isValid(); rows.next()) {
              seen++;
            }
            assertThat(seen).as("control: without the status it just ends").isLessThan(ROWS);
          }
        });
    try (RocksStorage storage = open(database)) {
      assertThatThrownBy(() -> count(storage, Table.LOG))
          .isInstanceOf(StorageException.Failed.class);
      assertThatThrownBy(
              () -> {
                for (long seq = 0; seq < ROWS; seq++) {
                  storage.get(Table.LOG, CommittingChild.key(seq));
                }
              })
          .isInstanceOf(StorageException.Failed.class);
      assertThatThrownBy(storage::verifyChecksums)
          .isInstanceOf(StorageException.Failed.class)
          .hasMessageContaining(String.valueOf(table.getFileName()));
    }
  }

  @Test
  void open_ofAnOpenDirectory_isLocked() {
    Path database = temporary.resolve("db");
    try (RocksStorage storage = open(database)) {
      put(storage, 1);
      var refusal = openFailure(database, Directories.options());
      assertThat(refusal.code()).isEqualTo("STORAGE_LOCKED");
      assertThat(refusal)
          .hasMessageContaining(database.toString())
          .hasMessageContaining("stop the daemon");
      assertThat(storage.get(Table.LOG, CommittingChild.key(1))).isNotNull();
    }
    open(database).close();
  }

  @Test
  void open_inAnotherProcess_isLocked() throws Exception {
    Path database = temporary.resolve("db");
    Process child = start(database, 0);
    try (BufferedReader lines = child.inputReader()) {
      assertThat(lines.readLine()).isEqualTo("0");
      assertThat(openFailure(database, Directories.options()).code()).isEqualTo("STORAGE_LOCKED");
    } finally {
      kill(child);
    }
    open(database).close();
  }

  @Test
  void open_ofANewerFormat_isRefusedWithBothVersions() throws Exception {
    Path database = temporary.resolve("db");
    open(database).close();
    rewriteFormat(database, 7);
    var refusal = openFailure(database, Directories.options());
    assertThat(refusal.code()).isEqualTo("STORAGE_NEWER_FORMAT");
    assertThat(refusal).hasMessageContaining("format 7").hasMessageContaining("up to 1");
    rewriteFormat(database, RocksStorage.FORMAT);
    open(database).close();
  }

  @Test
  void open_withAnUnknownTable_isRefusedByName() throws Exception {
    Path database = temporary.resolve("db");
    open(database).close();
    withRaw(
        database,
        List.of(),
        (raw, families) ->
            raw.createColumnFamily(
                    new ColumnFamilyDescriptor("VECTORS".getBytes(StandardCharsets.US_ASCII)))
                .close());
    var refusal = openFailure(database, Directories.options());
    assertThat(refusal.code()).isEqualTo("STORAGE_NEWER_FORMAT");
    assertThat(refusal).hasMessageContaining("VECTORS");
  }

  @Test
  void checkpoint_isADatabaseOfItsOwn() {
    Path copy = temporary.resolve("copy");
    try (RocksStorage storage = open(temporary.resolve("db"))) {
      put(storage, 1);
      storage.checkpoint(copy);
      put(storage, 2);
      assertThat(storage.bytesOnDisk()).isPositive();
    }
    try (RocksStorage restored = open(copy)) {
      assertThat(count(restored, Table.LOG)).isEqualTo(1);
    }
  }

  @Test
  void fullDisk_refusesWritesAndResumesWhenFreed() throws Exception {
    Path mount = Files.createDirectory(temporary.resolve("small"));
    Assumptions.assumeTrue(
        run("mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", mount.toString()) == 0,
        "fullDisk_refusesWritesAndResumesWhenFreed needs root to mount a small tmpfs");
    try {
      // The log reserves its room, so now its own records meet the full disk first, now a table
      // that is flushed, and then what waits for the flush.
      for (int free = 4_000; free < 12_000; free += 1_400) {
        int kibibytes = free;
        Path elsewhere = Files.createDirectory(temporary.resolve("full-" + free));
        assertTimeoutPreemptively(
            Duration.ofMinutes(1),
            () -> fillAndFree(mount, (24 << 20) - (kibibytes << 10), elsewhere),
            () -> "a write waits for ever with " + kibibytes + " KiB free at first");
      }
    } finally {
      run("umount", "--lazy", mount.toString());
    }
  }

  private static void fillAndFree(Path mount, int ballastBytes, Path elsewhere) throws IOException {
    Path database = mount.resolve("db");
    Path ballast = mount.resolve("ballast");
    Files.write(ballast, new byte[ballastBytes]);
    List<Long> acknowledged = new ArrayList<>();
    long next = 0;
    int refusals = 0;
    // RocksDB's files with small buffers: flushes too meet the full disk.
    try (RocksStorage storage =
        RocksStorage.open(database, Directories.options().withWriteBuffer(1))) {
      while (refusals < 20) {
        assertThat(next).as("the disk fills").isLessThan(100_000);
        try {
          put(storage, next);
          acknowledged.add(next);
        } catch (StorageException.Full full) {
          assertThat(full.code()).isEqualTo("STORAGE_FULL");
          assertThat(storage.get(Table.LOG, CommittingChild.key(next)))
              .as("nothing half-visible")
              .isNull();
          refusals++;
        }
        next++;
      }
      assertThat(acknowledged).isNotEmpty();
      assertThat(count(storage, Table.LOG)).isEqualTo(acknowledged.size());
      requireExactly(crashCopy(database, elsewhere.resolve("while-full")), acknowledged);
      Files.delete(ballast);
      long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
      boolean resumed = false;
      while (!resumed) {
        assertThat(System.nanoTime()).as("writes resume").isLessThan(deadline);
        try {
          put(storage, next);
          acknowledged.add(next);
          resumed = true;
        } catch (StorageException.Full stillFull) {
          Thread.onSpinWait();
        }
        next++;
      }
      for (int i = 0; i < 500; i++) {
        put(storage, next);
        acknowledged.add(next++);
      }
      assertThat(count(storage, Table.LOG)).isEqualTo(acknowledged.size());
      assertThat(storage.backgroundFailure()).as("what was overcome is not told any more").isNull();
      requireExactly(crashCopy(database, elsewhere.resolve("after-resuming")), acknowledged);
    }
    requireExactly(database, acknowledged);
    try (Stream<Path> files = Files.list(database)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
  }

  private static void requireExactly(Path database, List<Long> acknowledged) {
    try (RocksStorage storage = open(database)) {
      for (long seq : acknowledged) {
        assertThat(storage.get(Table.LOG, CommittingChild.key(seq)))
            .as("row %d", seq)
            .isEqualTo(CommittingChild.value(seq));
      }
      assertThat(count(storage, Table.LOG)).isEqualTo(acknowledged.size());
    }
  }

  private static long commitUntilKilled(Path database, long first, long commits) throws Exception {
    Process child = start(database, first);
    long acknowledged = first - 1;
    try (BufferedReader lines = child.inputReader()) {
      for (long i = 0; i < commits; i++) {
        acknowledged = Long.parseLong(lines.readLine());
      }
      child.toHandle().destroyForcibly(); // unlike the process's own method, keeps its output
      // What it printed before it died was acknowledged too; a last line may be cut short.
      String line = lines.readLine();
      while (line != null) {
        if (line.equals(Long.toString(acknowledged + 1))) {
          acknowledged++;
        }
        line = lines.readLine();
      }
    } finally {
      kill(child);
    }
    assertThat(acknowledged).isGreaterThanOrEqualTo(first + commits - 1);
    return acknowledged;
  }

  private static Process start(Path database, long first) throws IOException {
    return new ProcessBuilder(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UseSerialGC",
            "-Xmx64m",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            CommittingChild.class.getName(),
            database.toString(),
            Long.toString(first))
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  private static void kill(Process child) throws InterruptedException {
    child.destroyForcibly();
    assertThat(child.waitFor(30, TimeUnit.SECONDS)).isTrue();
  }

  /** Returns a database as power loss would leave it whose rows are all in the log. */
  private Path logOnly(String name) throws IOException {
    Path source = temporary.resolve(name + "-source");
    try (RocksStorage storage = open(source)) {
      for (long seq = 0; seq < ROWS; seq++) {
        putLog(storage, seq);
      }
      storage.sync();
      return crashCopy(source, temporary.resolve(name));
    }
  }

  /** Copies an open database as the end of its process would leave it: between two file changes. */
  private static Path crashCopy(Path source, Path target) throws IOException {
    for (int attempt = 0; attempt < 100; attempt++) {
      Path copy =
          Files.createDirectory(target.resolveSibling(target.getFileName() + "-" + attempt));
      try {
        Map<String, Long> before = sizes(source);
        for (String name : before.keySet()) {
          Files.copy(source.resolve(name), copy.resolve(name));
        }
        if (sizes(source).equals(before) && sizes(copy).equals(before)) {
          return copy;
        }
      } catch (NoSuchFileException compactedMeanwhile) {
        assertThat(compactedMeanwhile).hasMessageContaining(source.toString());
      }
    }
    throw new AssertionError("the files of " + source + " never held still");
  }

  private static Map<String, Long> sizes(Path directory) throws IOException {
    Map<String, Long> sizes = new TreeMap<>();
    try (Stream<Path> files = Files.list(directory)) {
      for (Path file : files.toList()) {
        sizes.put(String.valueOf(file.getFileName()), Files.size(file));
      }
    }
    return sizes;
  }

  /** Returns a database as the end of its process would leave it, with three files of log. */
  private Path threeLogs(String name) throws IOException {
    Path source = temporary.resolve(name + "-source");
    Path copy;
    try (RocksStorage storage =
        RocksStorage.open(source, Directories.options().withWriteBuffer(1))) {
      // Rows of a small table hold the log while buffers of a large one are flushed.
      put(storage, 0);
      for (long seq = 1; logs(source).size() < 3; seq++) {
        putLog(storage, seq);
      }
      putLog(storage, 1_000_000);
      storage.sync();
      copy = crashCopy(source, temporary.resolve(name));
    }
    return copy;
  }

  private static List<Path> logs(Path database) throws IOException {
    try (Stream<Path> files = Files.list(database)) {
      return files.filter(file -> file.toString().endsWith(".log")).sorted().toList();
    }
  }

  /** Offset of the first record header in the last block: crc (4), length (2), type (1). */
  private static int firstRecordOfLastBlock(byte[] log) {
    return log.length / LOG_BLOCK_BYTES * LOG_BLOCK_BYTES;
  }

  private static Path log(Path database) throws IOException {
    return largest(database, ".log");
  }

  private static Path largest(Path database, String suffix) throws IOException {
    try (Stream<Path> files = Files.list(database)) {
      return files
          .filter(file -> file.toString().endsWith(suffix))
          .max(Comparator.comparingLong(file -> file.toFile().length()))
          .orElseThrow();
    }
  }

  private static List<String> names(Path directory) throws IOException {
    try (Stream<Path> files = Files.list(directory)) {
      return files
          .map(file -> String.valueOf(file.getFileName()))
          .filter(name -> name.endsWith(".log") || name.endsWith(".sst"))
          .toList();
    }
  }

  private static void flipBit(Path path, long offset) throws IOException {
    try (var file = new RandomAccessFile(path.toFile(), "rw")) {
      file.seek(offset);
      int old = file.read();
      file.seek(offset);
      file.write(old ^ 1);
    }
  }

  private interface Raw {
    void use(RocksDB database, List<ColumnFamilyHandle> families) throws Exception;
  }

  private static void rewriteFormat(Path database, int format) throws Exception {
    withRaw(
        database,
        List.of(),
        (raw, families) ->
            raw.put(
                "format".getBytes(StandardCharsets.US_ASCII),
                ByteBuffer.allocate(Integer.BYTES).putInt(format).array()));
  }

  /** Opens the database as any program could; {@code use} gets the named families first. */
  private static void withRaw(Path database, List<String> first, Raw use) throws Exception {
    List<ColumnFamilyDescriptor> families = new ArrayList<>();
    for (String name : first) {
      families.add(new ColumnFamilyDescriptor(name.getBytes(StandardCharsets.US_ASCII)));
    }
    try (Options plain = new Options()) {
      for (byte[] name : RocksDB.listColumnFamilies(plain, database.toString())) {
        if (!first.contains(new String(name, StandardCharsets.US_ASCII))) {
          families.add(new ColumnFamilyDescriptor(name));
        }
      }
    }
    List<ColumnFamilyHandle> handles = new ArrayList<>();
    try (RocksDB raw = RocksDB.open(database.toString(), families, handles)) {
      use.use(raw, handles);
    }
  }

  private static int run(String... command) throws IOException, InterruptedException {
    return new ProcessBuilder(command).inheritIO().start().waitFor();
  }

  private static StorageException openFailure(Path database, RocksOptions options) {
    return catchThrowableOfType(
        StorageException.OpenFailed.class, () -> RocksStorage.open(database, options).close());
  }

  private static RocksStorage open(Path database) {
    return RocksStorage.open(database, Directories.options());
  }

  private static void put(RocksStorage storage, long seq) {
    try (var batch = storage.newBatch()) {
      batch.put(Table.LOG, CommittingChild.key(seq), CommittingChild.value(seq));
      batch.put(Table.STATE, CommittingChild.key(seq), CommittingChild.value(seq));
      storage.commit(batch, Durability.SYNCED);
    }
  }

  private static void putLog(RocksStorage storage, long seq) {
    try (var batch = storage.newBatch()) {
      batch.put(Table.LOG, CommittingChild.key(seq), CommittingChild.value(seq));
      storage.commit(batch, Durability.BUFFERED);
    }
  }

  private static long count(RocksStorage storage, Table table) {
    long rows = 0;
    try (var snapshot = storage.snapshot();
        var cursor = snapshot.scan(table, new byte[0], null)) {
      while (cursor.next()) {
        rows++;
      }
    }
    return rows;
  }
}
