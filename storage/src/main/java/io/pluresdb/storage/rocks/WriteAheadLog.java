package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.StorageException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * The write-ahead log of a database directory, read without opening the database and without
 * changing anything.
 *
 * <p>RocksDB stops at the first record it cannot read and takes some damage for the end of the log;
 * this looks on behind it. Where something whole follows, commits in between were lost. The numbers
 * of the commits follow each other, so it also sees that a file is gone between two others, or that
 * one ends too early.
 *
 * <pre>
 * file   := block of 32 KiB *
 * block  := (crc32c masked (4) length (2) type (1) [log number (4)] payload) *, zero bytes   little-endian
 * type   := 0 nothing yet | 1 whole | 2 first | 3 middle | 4 last | 5 to 8 the same, with log number
 *         | 9 to 11, 130, 131 about the file, no commit
 * commit := sequence (8) rows (4) record *                                      little-endian
 * </pre>
 */
public final class WriteAheadLog {
  private static final int BLOCK_BYTES = 32 << 10;
  private static final int HEADER_BYTES = 7;
  private static final int LOG_NUMBER_BYTES = 4;
  private static final int COMMIT_HEADER_BYTES = 12;
  private static final int MASK_DELTA = 0xa282ead8;

  /** What is wrong with a log. */
  public enum Kind {
    /** A record whose checksum or length is wrong, before others that hold. */
    CORRUPT_ENTRY("STORAGE_WAL_CORRUPT_ENTRY"),
    /** Commits are missing between two files, or at the end of one that is not the last. */
    MISSING("STORAGE_WAL_MISSING"),
    /**
     * The last file ends inside a record, as it does when the process or the power ended while it
     * was written: it was not acknowledged as synced, unless the file was cut.
     */
    TRUNCATED("STORAGE_WAL_TRUNCATED");

    private final String code;

    Kind(String code) {
      this.code = code;
    }

    /** The public code. */
    public String code() {
      return code;
    }
  }

  /**
   * The first place where the log is not as it was written.
   *
   * @param file where it is
   * @param offset of the first byte that cannot be read, in the file
   * @param detail in words
   */
  public record Damage(Kind kind, Path file, long offset, String detail) {
    /** Whether commits behind it are lost when the database is opened as it is. */
    public boolean isHarmful() {
      return kind != Kind.TRUNCATED;
    }

    @Override
    public String toString() {
      return kind.code() + " at byte " + offset + " of " + file.getFileName() + ": " + detail;
    }
  }

  /**
   * What a log holds.
   *
   * @param files how many there are
   * @param commits that can be read and precede all damage
   * @param behind commits that can still be read behind the damage; a salvage loses them
   * @param lostRows rows of the commits at and behind the damage, as far as their numbers tell
   * @param damage null when there is none
   * @param greatestKeys for each table, by its number, the greatest key written behind the damage
   */
  public record Report(
      int files,
      long commits,
      long behind,
      long lostRows,
      @Nullable Damage damage,
      Map<Integer, byte[]> greatestKeys) {}

  private final Map<Integer, byte[]> greatestKeys = new HashMap<>();
  private @Nullable Damage damage;
  private long commits;
  private long behind;
  private int files;

  /** The number of the next commit's first row; 0 before the first commit. */
  private long nextSequence;

  /** As above where the damage begins. */
  private long damagedSequence;

  private WriteAheadLog() {}

  /**
   * Reads the log of a database directory. While the database is open elsewhere, what is just being
   * written may look truncated.
   *
   * @throws StorageException.Failed when a file cannot be read
   */
  public static Report inspect(Path directory) {
    return inspect(directory, Manifest.oldestLog(directory));
  }

  /** The same of the files with at least a number: RocksDB reads no others. */
  static Report inspect(Path directory, long oldest) {
    var log = new WriteAheadLog();
    var files = new TreeMap<Long, Path>();
    try (var paths = Files.newDirectoryStream(directory, "*.log")) {
      for (Path path : paths) {
        String name = String.valueOf(path.getFileName());
        if (name.matches("\\d{1,18}\\.log")) {
          files.put(Long.parseLong(name.substring(0, name.length() - 4)), path);
        }
      }
      for (Path path : files.tailMap(oldest, true).values()) {
        log.read(path);
      }
    } catch (IOException e) {
      throw new StorageException.Failed(
          "the write-ahead log in " + directory + " cannot be read: " + e, e);
    }
    long lostRows = log.damagedSequence == 0 ? 0 : log.nextSequence - log.damagedSequence;
    return new Report(
        log.files,
        log.commits,
        log.behind,
        Math.max(0, lostRows),
        log.damage,
        Map.copyOf(log.greatestKeys));
  }

  private void read(Path path) throws IOException {
    ByteBuffer bytes;
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      if (channel.size() == 0) {
        files++;
        return;
      }
      // At most some write buffers long.
      bytes = channel.map(MapMode.READ_ONLY, 0, channel.size()).order(ByteOrder.LITTLE_ENDIAN);
    } catch (NoSuchFileException obsolete) {
      return;
    }
    files++;
    Damage unfinished = damage;
    if (unfinished != null && unfinished.kind == Kind.TRUNCATED) {
      // Not the last file after all; whether commits are missing their numbers say.
      damage = null;
    }
    readRecords(path, bytes);
  }

  /** A record where one was looked for. */
  private record Found(int type, int payload, int length, int end) {}

  /**
   * Gives every record of another file of this form, such as the manifest, up to the first that
   * does not hold.
   */
  static void records(ByteBuffer bytes, Consumer<ByteBuffer> receiver) {
    var parts = new ArrayList<Found>();
    int at = 0;
    while (at < bytes.limit()) {
      int blockEnd = Math.min(bytes.limit(), (at / BLOCK_BYTES + 1) * BLOCK_BYTES);
      if (blockEnd - at < HEADER_BYTES) {
        at = blockEnd;
        continue;
      }
      Found found = record(bytes, at, blockEnd);
      if (found == null) {
        return;
      }
      parts.add(found);
      if (found.type == 1 || found.type == 4) {
        receiver.accept(joined(bytes, parts));
        parts.clear();
      }
      at = found.end;
    }
  }

  private void readRecords(Path path, ByteBuffer bytes) {
    int at = 0;
    int commitStart = 0;
    var parts = new ArrayList<Found>();
    while (at < bytes.limit()) {
      int blockEnd = Math.min(bytes.limit(), (at / BLOCK_BYTES + 1) * BLOCK_BYTES);
      if (blockEnd - at < HEADER_BYTES && blockEnd < bytes.limit()) {
        at = blockEnd;
        continue;
      }
      Found found = record(bytes, at, blockEnd);
      if (found == null) {
        int next = nextRecord(bytes, at + 1);
        int start = parts.isEmpty() ? at : commitStart;
        if (next < 0) {
          ended(path, start, bytes);
          return;
        }
        damaged(
            new Damage(
                Kind.CORRUPT_ENTRY,
                path,
                at,
                "a record fails its checksum, and whole ones follow from byte " + next));
        parts.clear();
        at = next;
        continue;
      }
      int kind = found.type > 4 && found.type <= 8 ? found.type - 4 : found.type;
      switch (kind) {
        case 1 -> {
          parts.clear();
          commit(path, at, joined(bytes, List.of(found)));
        }
        case 2 -> {
          parts.clear();
          parts.add(found);
          commitStart = at;
        }
        case 3, 4 -> {
          // One whose beginning was damaged is passed over.
          if (!parts.isEmpty()) {
            parts.add(found);
            if (kind == 4) {
              commit(path, commitStart, joined(bytes, parts));
              parts.clear();
            }
          }
        }
        default -> {
          // About the file.
        }
      }
      at = found.end;
    }
    if (!parts.isEmpty()) {
      ended(path, commitStart, bytes);
    }
  }

  /** Nothing whole follows: blank room, or a commit that was being written. */
  private void ended(Path path, int at, ByteBuffer bytes) {
    boolean blank = true;
    for (int i = at; i < bytes.limit() && blank; i++) {
      blank = bytes.get(i) == 0;
    }
    if (!blank && damage == null) {
      damage = new Damage(Kind.TRUNCATED, path, at, "the log ends inside a record");
    }
  }

  private void damaged(Damage found) {
    if (damage == null || damage.kind == Kind.TRUNCATED) {
      damage = found;
      damagedSequence = nextSequence;
    }
  }

  /** The record at a place, or null when none holds there. */
  private static @Nullable Found record(ByteBuffer bytes, int at, int blockEnd) {
    if (blockEnd - at < HEADER_BYTES) {
      return null;
    }
    int length = Short.toUnsignedInt(bytes.getShort(at + 4));
    int type = Byte.toUnsignedInt(bytes.get(at + 6));
    boolean numbered = (type >= 5 && type <= 8) || type == 11 || type == 131;
    int payload = at + HEADER_BYTES + (numbered ? LOG_NUMBER_BYTES : 0);
    boolean known = (type >= 1 && type <= 11) || type == 130 || type == 131;
    if (!known || payload + length > blockEnd) {
      return null;
    }
    var sum = new CRC32C();
    sum.update(bytes.slice(at + 6, payload + length - at - 6));
    int crc = (int) sum.getValue();
    int masked = Integer.rotateRight(crc, 15) + MASK_DELTA;
    return masked == bytes.getInt(at) ? new Found(type, payload, length, payload + length) : null;
  }

  /** Where the next whole record begins that is or begins a commit, or -1. */
  private static int nextRecord(ByteBuffer bytes, int from) {
    for (int at = from; at + HEADER_BYTES <= bytes.limit(); at++) {
      int blockEnd = Math.min(bytes.limit(), (at / BLOCK_BYTES + 1) * BLOCK_BYTES);
      if (bytes.getInt(at) != 0 && record(bytes, at, blockEnd) != null) {
        return at;
      }
    }
    return -1;
  }

  private static ByteBuffer joined(ByteBuffer bytes, List<Found> parts) {
    if (parts.size() == 1) {
      Found only = parts.getFirst();
      return bytes.slice(only.payload, only.length).order(ByteOrder.LITTLE_ENDIAN);
    }
    ByteBuffer whole =
        ByteBuffer.allocate(parts.stream().mapToInt(Found::length).sum())
            .order(ByteOrder.LITTLE_ENDIAN);
    for (Found part : parts) {
      whole.put(bytes.slice(part.payload, part.length));
    }
    return whole.flip();
  }

  private void commit(Path path, int at, ByteBuffer commit) {
    if (commit.limit() < COMMIT_HEADER_BYTES) {
      damaged(new Damage(Kind.CORRUPT_ENTRY, path, at, "a commit is too short"));
      return;
    }
    long sequence = commit.getLong(0);
    long rows = Integer.toUnsignedLong(commit.getInt(8));
    if (nextSequence != 0 && sequence > nextSequence && damage == null) {
      damaged(
          new Damage(
              Kind.MISSING,
              path,
              at,
              (sequence - nextSequence)
                  + " rows are missing before it: a file is gone, or was cut"));
    }
    nextSequence = Math.max(nextSequence, sequence + rows);
    if (damage == null) {
      commits++;
    } else {
      behind++;
      noteKeys(commit.position(COMMIT_HEADER_BYTES));
    }
  }

  /** Remembers the greatest key of each table; stops at a record that is not one of ours. */
  private void noteKeys(ByteBuffer commit) {
    while (commit.hasRemaining()) {
      int type = commit.get();
      boolean familyNamed = type == BatchEncoder.PUT || type == BatchEncoder.DELETE;
      // 0 and 1: the same of the default family, which the format row is in.
      if (!familyNamed && type != 0 && type != 1) {
        return;
      }
      int family = familyNamed ? varint(commit) : 0;
      byte[] key = new byte[varint(commit)];
      commit.get(key);
      if (type == BatchEncoder.PUT || type == 1) {
        commit.position(varint(commit) + commit.position());
        greatestKeys.merge(family, key, (a, b) -> Arrays.compareUnsigned(a, b) >= 0 ? a : b);
      }
    }
  }

  private static int varint(ByteBuffer in) {
    return Math.toIntExact(varlong(in));
  }

  static long varlong(ByteBuffer in) {
    long value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      byte next = in.get();
      value |= (next & 0x7fL) << shift;
      if (next >= 0) {
        break;
      }
    }
    return value;
  }
}
