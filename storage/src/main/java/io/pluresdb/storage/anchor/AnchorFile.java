package io.pluresdb.storage.anchor;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.file.DurableFiles;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * A small file outside the database directory that holds the newest {@link Anchor.Mark}.
 *
 * <p>Two slots in separate blocks are written in turn, each with a generation and a checksum: a
 * write that is torn leaves the slot before it whole. The file has its full length from the start,
 * so a write changes no metadata and its sync costs one block.
 *
 * <pre>
 * file := slot at 0, slot at 4096; 8192 bytes
 * slot := magic "PLANCHOR" (8) version=1 (4) generation (8) instance (16) actor (16)
 *         seq (8) headHash (32) crc32c of all before (4)      big-endian
 * </pre>
 *
 * Used by one thread at a time; one open file at a time, across processes.
 */
public final class AnchorFile implements Anchor, AutoCloseable {

  static final int SLOT_STRIDE_BYTES = 4096;
  static final int FILE_BYTES = 2 * SLOT_STRIDE_BYTES;
  static final int VERSION = 1;
  private static final long MAGIC = 0x504c414e43484f52L; // PLANCHOR
  private static final int CRC_OFFSET = 8 + 4 + 8 + INSTANCE_BYTES + ActorId.BYTES + 8 + Hash.BYTES;
  static final int SLOT_BYTES = CRC_OFFSET + 4;

  private final Path path;
  private final FileChannel channel;
  private final ByteBuffer slot = ByteBuffer.allocateDirect(SLOT_BYTES);
  private Reading reading;
  private long generation;
  private boolean failed;

  private AnchorFile(Path path, FileChannel channel, Slots slots) {
    this.path = path;
    this.channel = channel;
    this.reading = slots.reading;
    this.generation = slots.generation;
  }

  /**
   * Opens the file, or creates an empty one whose directory entry is durable when this returns.
   *
   * @throws StorageException.OpenFailed with {@code STORAGE_LOCKED} when it is open elsewhere,
   *     {@code STORAGE_NEWER_FORMAT} when a newer version wrote it, {@code STORAGE_OPEN_FAILED}
   *     otherwise
   */
  public static AnchorFile open(Path path) {
    FileChannel channel = null;
    try {
      boolean created = !Files.exists(path);
      channel =
          FileChannel.open(
              path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
      FileLock lock = tryLock(channel);
      if (lock == null) {
        channel.close();
        throw new StorageException.OpenFailed(
            "STORAGE_LOCKED",
            path + " is in use by another process: stop the daemon that holds it",
            new IOException("locked"));
      }
      if (channel.size() < FILE_BYTES) {
        created |= channel.size() == 0;
        preallocate(channel);
        if (created) {
          DurableFiles.syncName(path);
        }
      }
      // The newest mark may only have been noted, and the next one takes the other slot.
      channel.force(false);
      return new AnchorFile(path, channel, slots(path, channel));
    } catch (IOException cause) {
      closeQuietly(channel, cause);
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", path + " cannot be opened", cause);
    } catch (StorageException cause) {
      closeQuietly(channel, cause);
      throw cause;
    }
  }

  /** What the file says: as found when opened, or the newest anchor written since. */
  @Override
  public Reading read() {
    return reading;
  }

  /**
   * {@inheritDoc}
   *
   * @throws StorageException.Failed when it may not be on disk; the mark before it still is, and
   *     this file takes no more marks
   */
  @Override
  public void record(Mark mark) {
    write(mark);
    try {
      channel.force(false);
    } catch (IOException cause) {
      throw failure(cause);
    }
    generation++;
  }

  /**
   * {@inheritDoc}
   *
   * @throws StorageException.Failed when it could not be written; this file takes no more marks
   */
  @Override
  public void note(Mark mark) {
    // Into the slot that the next recorded mark takes: the last recorded one stays whole.
    write(mark);
  }

  private void write(Mark mark) {
    if (failed) {
      throw new StorageException.Failed(
          path + " takes no more writes: an earlier one failed", new IOException("earlier"));
    }
    long next = generation + 1;
    slot.clear();
    slot.putLong(MAGIC).putInt(VERSION).putLong(next);
    slot.put(mark.instance()).putLong(mark.actor().high()).putLong(mark.actor().low());
    slot.putLong(mark.seq()).put(mark.headHash().bytes());
    slot.putInt(crc(slot));
    slot.flip();
    try {
      long offset = offset(next);
      while (slot.hasRemaining()) {
        offset += channel.write(slot, offset);
      }
    } catch (IOException cause) {
      throw failure(cause);
    }
    reading = new Reading.Valid(mark);
  }

  private StorageException failure(IOException cause) {
    failed = true;
    return new StorageException.Failed(path + " could not be written", cause);
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException cause) {
      throw new StorageException.Failed(path + " could not be closed", cause);
    }
  }

  private record Slots(Reading reading, long generation) {}

  /** One slot's content; mark is null for a slot that is blank or cannot be trusted. */
  private record Slot(long generation, @Nullable Mark mark, boolean blank) {}

  private static Slots slots(Path path, FileChannel channel) throws IOException {
    Slot even = slot(path, channel, 0);
    Slot odd = slot(path, channel, 1);
    Slot newest = Long.compareUnsigned(even.generation, odd.generation) > 0 ? even : odd;
    Mark mark = newest.mark;
    if (mark != null) {
      return new Slots(new Reading.Valid(mark), newest.generation);
    }
    if (even.blank && odd.blank) {
      return new Slots(new Reading.Missing(), 0);
    }
    return new Slots(new Reading.Damaged("both slots of " + path + " fail their checksum"), 0);
  }

  private static Slot slot(Path path, FileChannel channel, int index) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(SLOT_BYTES);
    long offset = (long) index * SLOT_STRIDE_BYTES;
    while (bytes.hasRemaining() && channel.read(bytes, offset + bytes.position()) >= 0) {}
    if (bytes.hasRemaining()) {
      return new Slot(0, null, false);
    }
    boolean blank = true;
    for (byte b : bytes.array()) {
      blank &= b == 0;
    }
    int crc = crc(bytes);
    bytes.rewind();
    if (blank || bytes.getLong() != MAGIC || bytes.getInt(CRC_OFFSET) != crc) {
      return new Slot(0, null, blank);
    }
    int version = bytes.getInt();
    if (version != VERSION) {
      throw new StorageException.OpenFailed(
          "STORAGE_NEWER_FORMAT",
          "%s has anchor format %d, this version reads up to %d: use a newer PluresDB"
              .formatted(path, version, VERSION),
          new IOException("anchor format " + version));
    }
    long generation = bytes.getLong();
    byte[] instance = new byte[INSTANCE_BYTES];
    bytes.get(instance);
    var actor = new ActorId(bytes.getLong(), bytes.getLong());
    long seq = bytes.getLong();
    byte[] headHash = new byte[Hash.BYTES];
    bytes.get(headHash);
    return new Slot(generation, new Mark(instance, actor, seq, new Hash(headHash)), false);
  }

  private static long offset(long generation) {
    return (generation & 1) * SLOT_STRIDE_BYTES;
  }

  private static int crc(ByteBuffer slot) {
    CRC32C crc = new CRC32C();
    crc.update(slot.duplicate().position(0).limit(CRC_OFFSET));
    return (int) crc.getValue();
  }

  private static void preallocate(FileChannel channel) throws IOException {
    long position = channel.size();
    ByteBuffer zeros = ByteBuffer.allocate((int) (FILE_BYTES - position));
    while (zeros.hasRemaining()) {
      position += channel.write(zeros, position);
    }
    channel.force(true);
  }

  private static @Nullable FileLock tryLock(FileChannel channel) throws IOException {
    try {
      return channel.tryLock();
    } catch (OverlappingFileLockException here) {
      return null;
    }
  }

  private static void closeQuietly(@Nullable FileChannel channel, Exception cause) {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException second) {
        cause.addSuppressed(second);
      }
    }
  }
}
