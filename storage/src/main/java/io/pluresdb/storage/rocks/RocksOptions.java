package io.pluresdb.storage.rocks;

import java.nio.file.Path;

/**
 * The settings of a {@link RocksStorage}; one that exists is valid.
 *
 * @param nativeDirectory where the native library is extracted to, once for all databases; created
 *     when missing
 * @param writeBufferMebibytes size of the write buffer of the two large tables (LOG and STATE), 1
 *     to 256; up to three of each exist under load, one when idle
 * @param blockCacheMebibytes memory for blocks read from disk, shared by all storages of this
 *     process that name the same size, 1 to 4096
 * @param maxOpenFiles table files kept open, 16 to 65,536
 * @param backgroundThreads threads that flush and compact, 1 to 64
 * @param walRecovery how a damaged write-ahead log is met
 * @param compressed whether table files are compressed; needless where values are encrypted
 */
public record RocksOptions(
    Path nativeDirectory,
    int writeBufferMebibytes,
    int blockCacheMebibytes,
    int maxOpenFiles,
    int backgroundThreads,
    WalRecovery walRecovery,
    boolean compressed) {

  /** Write buffers of one table that databases share among them. */
  private static final int SHARED_BUFFER_MEBIBYTES = 64;

  /** What opening does with a write-ahead log that fails its checksums. */
  public enum WalRecovery {
    /** Forgives an unfinished last record; any other damage refuses to open. */
    REFUSE_DAMAGE,
    /**
     * Opens with what lies before the damage and drops the acknowledged commits behind it without a
     * word. For salvage under a new actor only; RocksDB's own default.
     */
    KEEP_PREFIX
  }

  /** Checks every range. */
  public RocksOptions {
    require("storage.write-buffer-mib", 1, 256, writeBufferMebibytes);
    require("storage.block-cache-mib", 1, 4096, blockCacheMebibytes);
    require("storage.max-open-files", 16, 65_536, maxOpenFiles);
    require("storage.background-threads", 1, 64, backgroundThreads);
  }

  /** The defaults of a daemon that shares its machine; docs/design/storage.md has the figures. */
  public static RocksOptions defaults(Path nativeDirectory) {
    return new RocksOptions(nativeDirectory, 16, 8, 512, 2, WalRecovery.REFUSE_DAMAGE, true);
  }

  /** Returns these settings with another answer to a damaged log. */
  public RocksOptions with(WalRecovery recovery) {
    return new RocksOptions(
        nativeDirectory,
        writeBufferMebibytes,
        blockCacheMebibytes,
        maxOpenFiles,
        backgroundThreads,
        recovery,
        compressed);
  }

  /** Returns these settings with another size of the large write buffers, in MiB. */
  public RocksOptions withWriteBuffer(int mebibytes) {
    return new RocksOptions(
        nativeDirectory,
        mebibytes,
        blockCacheMebibytes,
        maxOpenFiles,
        backgroundThreads,
        walRecovery,
        compressed);
  }

  /**
   * Returns these settings for the {@code nth} database of a process, from 1: the first have large
   * write buffers, and many together do not take more memory than some large ones.
   */
  public RocksOptions ofMany(int nth) {
    return withWriteBuffer(Math.clamp(SHARED_BUFFER_MEBIBYTES / nth, 1, writeBufferMebibytes));
  }

  /** Returns these settings for values that do not compress. */
  public RocksOptions uncompressed() {
    return new RocksOptions(
        nativeDirectory,
        writeBufferMebibytes,
        blockCacheMebibytes,
        maxOpenFiles,
        backgroundThreads,
        walRecovery,
        false);
  }

  private static void require(String setting, int least, int most, int value) {
    if (value < least || value > most) {
      throw new IllegalArgumentException(
          "%s must be %d to %d, but is %d".formatted(setting, least, most, value));
    }
  }
}
