package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.StorageException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.rocksdb.CompressionType;
import org.rocksdb.Options;
import org.rocksdb.RocksDB;
import org.rocksdb.RocksDBException;
import org.rocksdb.WriteBatch;
import org.rocksdb.WriteOptions;

/**
 * RocksDB without us: what the machine and the engine give, to hold our own figures against.
 *
 * <p>One column family, RocksDB's default sizes (64 MiB write buffer) and LZ4, two background jobs:
 * the settings that favour it. Keys are 20 bytes, values random and so incompressible. Every method
 * measures wall time and adds rows to the database. A directory must hold no database yet. The
 * native library goes to {@code native} beside it unless it is loaded already.
 */
public final class RawRocks implements AutoCloseable {
  /** Values are cut from one random block of this size plus the value's own. */
  private static final int NOISE_BYTES = 1 << 20;

  /** Puts one group commit takes at most, and clients may have queued. */
  private static final int MAX_GROUP = 4096;

  private final Options options;
  private final RocksDB database;
  private final WriteOptions synced = new WriteOptions().setSync(true);

  /** The next row's number: no key is written twice. */
  private int next;

  private RawRocks(Options options, RocksDB database) {
    this.options = options;
    this.database = database;
  }

  /** Makes a database that stays open, so that it grows with what is measured on it. */
  public static RawRocks open(Path directory) {
    loadLibrary(directory);
    Options options = options();
    return new RawRocks(options, open(options, directory));
  }

  @Override
  public void close() {
    database.close();
    synced.close();
    options.close();
  }

  /** Two percentiles of a sample, in microseconds. */
  public record Percentiles(double p50Micros, double p99Micros) {}

  /** Writes {@code docs} rows in synced batches of {@code batch}; returns rows per second. */
  public double batchedPuts(int docs, int valueBytes, int batch) {
    byte[] noise = noise(valueBytes);
    byte[] value = new byte[valueBytes];
    int first = next;
    next += docs;
    try (WriteBatch rows = new WriteBatch()) {
      long start = System.nanoTime();
      for (int doc = first; doc < next; ) {
        rows.clear();
        for (int end = Math.min(next, doc + batch); doc < end; doc++) {
          cut(noise, doc, value);
          rows.put(key(doc), value);
        }
        database.write(synced, rows);
      }
      return docs / seconds(start);
    } catch (RocksDBException cause) {
      throw failure(cause);
    }
  }

  /**
   * Lets {@code clients} virtual threads put one row at a time, each waiting until its row is
   * synced, while one writer drains their queue into one synced batch; returns puts per second.
   */
  public double groupCommittedPuts(int clients, int puts, int valueBytes) {
    byte[] noise = noise(valueBytes);
    int first = next;
    next += puts;
    try (WriteBatch rows = new WriteBatch()) {
      return groupCommit(
          clients,
          first,
          puts,
          doc -> value(noise, doc, valueBytes),
          group -> {
            rows.clear();
            for (Put put : group) {
              rows.put(put.key, put.value);
            }
            database.write(synced, rows);
          });
    }
  }

  /**
   * Lets {@code clients} threads call RocksDB themselves, one synced row at a time, which it groups
   * as it sees fit; returns puts per second. Platform threads: a call into native code holds one.
   */
  public double syncedPuts(int clients, int puts, int valueBytes) {
    byte[] noise = noise(valueBytes);
    int first = next;
    next += puts;
    try (ExecutorService executor = Executors.newFixedThreadPool(clients)) {
      return perSecond(
          executor,
          clients,
          first,
          puts,
          doc -> database.put(synced, key(doc), value(noise, doc, valueBytes)));
    }
  }

  /** Syncs of a growing file, 256 bytes each: the floor under every durable commit. */
  public static Percentiles fdatasyncMicros(Path directory, int count) {
    Path file = directory.resolve("fdatasync");
    long[] nanos = new long[count];
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      ByteBuffer bytes = ByteBuffer.allocateDirect(256);
      for (int i = 0; i < count; i++) {
        channel.write(bytes.clear());
        long start = System.nanoTime();
        channel.force(false);
        nanos[i] = System.nanoTime() - start;
      }
      Files.delete(file);
    } catch (IOException cause) {
      throw new UncheckedIOException(cause);
    }
    Arrays.sort(nanos);
    return new Percentiles(nanos[count / 2] / 1e3, nanos[count * 99 / 100] / 1e3);
  }

  /** A row of the group commit baseline, and who waits for it. */
  record Put(byte[] key, byte[] value, CompletableFuture<Boolean> durable) {}

  interface Values {
    byte[] of(int doc);
  }

  interface Commit {
    void rows(List<Put> group) throws RocksDBException;
  }

  static double groupCommit(int clients, int first, int puts, Values values, Commit commit) {
    BlockingQueue<Put> queue = new ArrayBlockingQueue<>(MAX_GROUP);
    Thread writer = Thread.ofPlatform().name("raw-writer").start(() -> commitGroups(queue, commit));
    try (ExecutorService executor = Executors.newVirtualThreadPerTaskExecutor()) {
      return perSecond(
          executor,
          clients,
          first,
          puts,
          doc -> {
            Put put = new Put(key(doc), values.of(doc), new CompletableFuture<>());
            queue.put(put);
            put.durable.get();
          });
    } finally {
      writer.interrupt();
      join(writer);
    }
  }

  private interface Write {
    void row(int doc) throws Exception;
  }

  /** Rows a second that {@code clients} write in turn, each one at a time. */
  private static double perSecond(
      ExecutorService executor, int clients, int first, int puts, Write write) {
    long start = System.nanoTime();
    List<Future<Boolean>> running = new ArrayList<>();
    for (int client = 0; client < clients; client++) {
      int own = first + client;
      running.add(
          executor.submit(
              () -> {
                for (int doc = own; doc < first + puts; doc += clients) {
                  write.row(doc);
                }
                return true;
              }));
    }
    try {
      for (Future<Boolean> client : running) {
        client.get();
      }
      return puts / seconds(start);
    } catch (InterruptedException cause) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while measuring", cause);
    } catch (ExecutionException cause) {
      throw new IllegalStateException("a client failed", cause);
    }
  }

  private static void commitGroups(BlockingQueue<Put> queue, Commit commit) {
    List<Put> group = new ArrayList<>(MAX_GROUP);
    try {
      while (true) {
        group.add(queue.take());
        queue.drainTo(group, MAX_GROUP - 1);
        try {
          commit.rows(group);
          group.forEach(put -> put.durable.complete(true));
        } catch (RocksDBException | RuntimeException cause) {
          group.forEach(put -> put.durable.completeExceptionally(cause));
        }
        group.clear();
      }
    } catch (InterruptedException finished) {
      Thread.currentThread().interrupt();
    }
  }

  private static void join(Thread writer) {
    try {
      writer.join();
    } catch (InterruptedException cause) {
      Thread.currentThread().interrupt();
    }
  }

  private static void loadLibrary(Path directory) {
    NativeLibrary.load(directory.toAbsolutePath().resolveSibling("native"));
  }

  private static Options options() {
    return new Options()
        .setCreateIfMissing(true)
        .setErrorIfExists(true)
        .setMaxBackgroundJobs(2)
        .setCompressionType(CompressionType.LZ4_COMPRESSION);
  }

  private static RocksDB open(Options options, Path directory) {
    try {
      Files.createDirectories(directory);
      return RocksDB.open(options, directory.toString());
    } catch (IOException cause) {
      throw new UncheckedIOException(cause);
    } catch (RocksDBException cause) {
      throw failure(cause);
    }
  }

  /** 20 bytes in an order unlike that of writing, as document ids come. */
  static byte[] key(int doc) {
    long mixed = doc * 0x9e3779b97f4a7c15L;
    return ByteBuffer.allocate(20)
        .put("doc/".getBytes(StandardCharsets.US_ASCII))
        .putLong(mixed)
        .putLong(doc)
        .array();
  }

  static byte[] noise(int valueBytes) {
    byte[] noise = new byte[NOISE_BYTES + valueBytes];
    new SplittableRandom(1).nextBytes(noise);
    return noise;
  }

  static byte[] value(byte[] noise, int doc, int bytes) {
    byte[] value = new byte[bytes];
    cut(noise, doc, value);
    return value;
  }

  static void cut(byte[] noise, int doc, byte[] value) {
    int at = (int) (doc * 7919L % NOISE_BYTES);
    System.arraycopy(noise, at, value, 0, value.length);
    if (value.length >= Integer.BYTES) {
      ByteBuffer.wrap(value).putInt(doc);
    }
  }

  private static double seconds(long start) {
    return (System.nanoTime() - start) / 1e9;
  }

  private static StorageException failure(RocksDBException cause) {
    return RocksErrors.onWrite(cause);
  }
}
