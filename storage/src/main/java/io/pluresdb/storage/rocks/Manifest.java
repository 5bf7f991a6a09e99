package io.pluresdb.storage.rocks;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;

/**
 * What RocksDB's manifest says of the write-ahead log: which of its files hold something that is in
 * no table file yet. Older ones may still be there after a crash, whole, in part or not at all.
 *
 * <p>It is a log of edits, each a list of a tag and what belongs to it (RocksDB's {@code
 * version_edit.cc}).
 */
final class Manifest {
  private static final int LOG_NUMBER = 2;
  private static final int LEAST_LOG_KEPT = 10;
  private static final int COLUMN_FAMILY = 200;
  private static final int FAMILY_ADDED = 201;
  private static final int FAMILY_DROPPED = 202;

  /** Said of tags that any version may pass over: a length and so many bytes follow. */
  private static final int IGNORABLE = 1 << 13;

  /** Ends the list of what is said of a file. */
  private static final int LAST_OF_FILE = 1;

  private final Map<Integer, Long> logs = new HashMap<>();
  private long leastKept;

  private Manifest() {}

  /** The number of the oldest file of the log that counts; 0 where it cannot be told. */
  static long oldestLog(Path directory) {
    try {
      String name =
          Files.readString(directory.resolve("CURRENT"), StandardCharsets.ISO_8859_1).strip();
      ByteBuffer bytes =
          ByteBuffer.wrap(Files.readAllBytes(directory.resolve(name)))
              .order(ByteOrder.LITTLE_ENDIAN);
      var manifest = new Manifest();
      WriteAheadLog.records(bytes, manifest::apply);
      long oldest = manifest.logs.values().stream().mapToLong(Long::longValue).min().orElse(0);
      return Math.max(oldest, manifest.leastKept);
    } catch (IOException
        | BufferUnderflowException
        | IllegalArgumentException
        | ArithmeticException e) {
      // Opening the database will say what is wrong with it.
      return 0;
    }
  }

  private void apply(ByteBuffer edit) {
    int family = 0;
    long log = -1;
    boolean added = false;
    boolean dropped = false;
    while (edit.hasRemaining()) {
      int tag = (int) WriteAheadLog.varlong(edit);
      switch (tag) {
        case LOG_NUMBER -> log = WriteAheadLog.varlong(edit);
        case LEAST_LOG_KEPT -> leastKept = Math.max(leastKept, WriteAheadLog.varlong(edit));
        case COLUMN_FAMILY -> family = (int) WriteAheadLog.varlong(edit);
        case FAMILY_ADDED -> {
          skipSlice(edit);
          added = true;
        }
        case FAMILY_DROPPED -> dropped = true;
        default -> skip(tag, edit);
      }
    }
    if (dropped) {
      logs.remove(family);
    } else if (log >= 0) {
      logs.merge(family, log, Math::max);
    } else if (added) {
      logs.putIfAbsent(family, 0L);
    }
  }

  private static void skip(int tag, ByteBuffer edit) {
    switch (tag) {
      // Next file, last sequence, log before, greatest family, files of an atomic group to come.
      case 3, 4, 9, 203, 300 -> WriteAheadLog.varlong(edit);
      // Comparator; times in keys.
      case 1 -> skipSlice(edit);
      // A place where compaction goes on: level, key.
      case 5 -> {
        WriteAheadLog.varlong(edit);
        skipSlice(edit);
      }
      // A file that is gone: level, number.
      case 6 -> {
        WriteAheadLog.varlong(edit);
        WriteAheadLog.varlong(edit);
      }
      case 103 -> skipFile(edit);
      default -> {
        if ((tag & IGNORABLE) == 0) {
          throw new IllegalArgumentException("manifest tag " + tag);
        }
        skipSlice(edit);
      }
    }
  }

  /** A new file: level, number, size, its keys, its sequence numbers, and a list of more. */
  private static void skipFile(ByteBuffer edit) {
    for (int i = 0; i < 3; i++) {
      WriteAheadLog.varlong(edit);
    }
    skipSlice(edit);
    skipSlice(edit);
    WriteAheadLog.varlong(edit);
    WriteAheadLog.varlong(edit);
    while (WriteAheadLog.varlong(edit) != LAST_OF_FILE) {
      skipSlice(edit);
    }
  }

  private static void skipSlice(ByteBuffer edit) {
    int length = Math.toIntExact(WriteAheadLog.varlong(edit));
    edit.position(edit.position() + length);
  }
}
