package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.Locale;
import java.util.stream.Stream;
import org.rocksdb.RocksDBException;

/**
 * Our storage beside raw RocksDB with the same rows; run by hand, never by the build.
 *
 * <p>{@code CommitBench <directory> <scenario> [number...]}; docs/design/storage.md lists the runs.
 */
final class CommitBench {
  private static final int VALUE_BYTES = 250;

  private CommitBench() {}

  public static void main(String[] arguments) throws IOException {
    Path directory = Path.of(arguments[0]);
    Path database = directory.resolve("db");
    Files.createDirectories(directory);
    Path library = directory.resolve("native");
    RocksOptions options = RocksOptions.defaults(library);
    int number = arguments.length > 2 ? Integer.parseInt(arguments[2]) : 0;
    if (arguments.length > 3) {
      options = options.withWriteBuffer(Integer.parseInt(arguments[3]));
    }
    if (!arguments[1].startsWith("open")) {
      delete(database);
      var sync = RawRocks.fdatasyncMicros(directory, 500);
      print("fdatasync p50 µs", sync.p50Micros());
      print("fdatasync p99 µs", sync.p99Micros());
    }
    switch (arguments[1]) {
      case "raw-batched" -> {
        try (RawRocks raw = RawRocks.open(database)) {
          print("raw rows/s", raw.batchedPuts(number, VALUE_BYTES, 1000));
        }
      }
      case "raw-group" -> {
        int clients = Integer.parseInt(arguments[3]);
        try (RawRocks raw = RawRocks.open(database)) {
          print("raw puts/s", raw.groupCommittedPuts(clients, number, VALUE_BYTES));
        }
      }
      case "batched" -> batched(database, options, number, false);
      case "apply" -> batched(database, options, number, true);
      case "group" -> {
        int clients = Integer.parseInt(arguments[3]);
        group(database, RocksOptions.defaults(library), number, clients);
      }
      case "encode" -> encode(library, number);
      case "open" -> openAndRead(database, options);
      default -> throw new IllegalArgumentException("no scenario " + arguments[1]);
    }
    print("resident MiB", residentMebibytes());
  }

  /**
   * Batches of 1000 rows; with {@code log} each also writes one 200 KB row to LOG and its index.
   */
  private static void batched(Path directory, RocksOptions options, int docs, boolean log) {
    byte[] noise = RawRocks.noise(200_000);
    byte[] value = new byte[VALUE_BYTES];
    byte[] change = new byte[200_000];
    try (RocksStorage storage = RocksStorage.open(directory, options)) {
      long start = System.nanoTime();
      for (int doc = 0; doc < docs; ) {
        try (var batch = storage.newBatch()) {
          for (int end = Math.min(docs, doc + 1000); doc < end; doc++) {
            RawRocks.cut(noise, doc, value);
            batch.put(Table.STATE, RawRocks.key(doc), value);
          }
          if (log) {
            RawRocks.cut(noise, doc, change);
            byte[] seq = ByteBuffer.allocate(24).putLong(16, doc / 1000).array();
            batch.put(Table.LOG, seq, change);
            batch.put(Table.ARRIVAL, ByteBuffer.allocate(8).putLong(doc / 1000).array(), seq);
            batch.put(Table.FRONTIER, new byte[16], new byte[40]);
            batch.put(Table.META, new byte[] {1}, new byte[40]);
          }
          storage.commit(batch, Durability.SYNCED);
        }
      }
      print("rows/s", docs / ((System.nanoTime() - start) / 1e9));
      print("resident MiB before close", residentMebibytes());
      print("MiB on disk", storage.bytesOnDisk() / 1048576.0);
    }
  }

  private static void group(Path directory, RocksOptions options, int puts, int clients) {
    byte[] noise = RawRocks.noise(VALUE_BYTES);
    try (RocksStorage storage = RocksStorage.open(directory, options)) {
      double rate =
          RawRocks.groupCommit(
              clients,
              0,
              puts,
              doc -> RawRocks.value(noise, doc, VALUE_BYTES),
              rows -> {
                try (var batch = storage.newBatch()) {
                  for (RawRocks.Put put : rows) {
                    batch.put(Table.STATE, put.key(), put.value());
                  }
                  storage.commit(batch, Durability.SYNCED);
                }
                if (rows.isEmpty()) {
                  throw new RocksDBException("no rows");
                }
              });
      print("puts/s", rate);
    }
  }

  /** What handing a batch of 1000 rows to the native side costs, both ways. */
  private static void encode(Path library, int rounds) {
    NativeLibrary.load(library);
    byte[] value = new byte[VALUE_BYTES];
    for (int warm = 0; warm < 2; warm++) {
      long start = System.nanoTime();
      BatchEncoder encoder = new BatchEncoder();
      for (int round = 0; round < rounds; round++) {
        encoder.clear();
        for (int doc = 0; doc < 1000; doc++) {
          encoder.put(1, RawRocks.key(doc), value);
        }
        new org.rocksdb.WriteBatch(encoder.toByteArray()).close();
      }
      print("encoded in Java, ns/row", (System.nanoTime() - start) / 1e3 / rounds);
      start = System.nanoTime();
      try (var batch = new org.rocksdb.WriteBatch()) {
        for (int round = 0; round < rounds; round++) {
          batch.clear();
          for (int doc = 0; doc < 1000; doc++) {
            batch.put(RawRocks.key(doc), value);
          }
        }
      } catch (RocksDBException cause) {
        throw new IllegalStateException(cause);
      }
      print("native puts, ns/row", (System.nanoTime() - start) / 1e3 / rounds);
    }
  }

  private static void openAndRead(Path directory, RocksOptions options) throws IOException {
    print("resident MiB before open", residentMebibytes());
    long start = System.nanoTime();
    try (RocksStorage storage = RocksStorage.open(directory, options)) {
      print("open ms", (System.nanoTime() - start) / 1e6);
      print("resident MiB after open", residentMebibytes());
      long rows = 0;
      start = System.nanoTime();
      try (var snapshot = storage.snapshot();
          var cursor = snapshot.scan(Table.STATE, new byte[0], null)) {
        while (cursor.next()) {
          rows += cursor.value().length > 0 ? 1 : 0;
        }
      }
      double seconds = (System.nanoTime() - start) / 1e9;
      print("scan rows/s", rows / seconds);
      print("rows", (double) rows);
      int gets = 100_000;
      int found = 0;
      start = System.nanoTime();
      for (int i = 0; i < gets; i++) {
        found +=
            storage.get(Table.STATE, RawRocks.key((int) (i * 7919L % Math.max(1, rows)))) == null
                ? 0
                : 1;
      }
      print("gets/s", gets / ((System.nanoTime() - start) / 1e9));
      print("found", found);
      print("resident MiB after reading", residentMebibytes());
    }
  }

  private static double residentMebibytes() throws RuntimeException {
    try (Stream<String> lines = Files.lines(Path.of("/proc/self/status"))) {
      String line = lines.filter(row -> row.startsWith("VmRSS")).findFirst().orElse("VmRSS 0 kB");
      return Long.parseLong(line.replaceAll("\\D", "")) / 1024.0;
    } catch (IOException cause) {
      throw new IllegalStateException(cause);
    }
  }

  private static void print(String what, double figure) {
    System.out.printf(Locale.ROOT, "%-28s %,14.1f%n", what, figure);
  }

  private static void delete(Path directory) throws IOException {
    if (Files.exists(directory)) {
      try (Stream<Path> files = Files.walk(directory)) {
        for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
          Files.delete(file);
        }
      }
    }
  }
}
