package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.rocksdb.AbstractNativeReference;
import org.rocksdb.BlockBasedTableConfig;
import org.rocksdb.BloomFilter;
import org.rocksdb.Cache;
import org.rocksdb.ColumnFamilyOptions;
import org.rocksdb.CompressionOptions;
import org.rocksdb.CompressionType;
import org.rocksdb.DBOptions;
import org.rocksdb.Filter;
import org.rocksdb.InfoLogLevel;
import org.rocksdb.LRUCache;
import org.rocksdb.WALRecoveryMode;

/**
 * RocksDB's options for our tables, and the native memory they own; docs/design/storage.md has the
 * measurements behind the numbers.
 */
final class RocksTuning implements AutoCloseable {
  private static final long KIB = 1024;
  private static final long MIB = 1024 * KIB;

  /** One buffer fills while up to two wait for the disk. */
  private static final int WRITE_BUFFERS = 3;

  /** Tables of a few rows, rewritten often: a buffer holds thousands of rewrites. */
  private static final long SMALL_BUFFER_BYTES = MIB;

  /** The write-ahead log in write buffers: it is replayed at start, and small tables hold it. */
  private static final long WAL_BUFFERS = 4;

  /** Twice RocksDB's: half the merging while documents pour in, a few more files to search. */
  private static final int FILES_BEFORE_COMPACTION = 8;

  /** So far behind, writes are slowed; a burst below it is only buffered. */
  private static final int FILES_BEFORE_SLOWDOWN = 4 * FILES_BEFORE_COMPACTION;

  private static final int FILES_BEFORE_STOP = 6 * FILES_BEFORE_COMPACTION;

  /** Written back while it is produced: no burst that the next sync of the log would wait for. */
  private static final long BYTES_PER_SYNC = MIB;

  private static final double BLOOM_BITS_PER_KEY = 10;

  /** RocksDB's 3 saves one or two percent of the disk, and was the first item in its profile. */
  private static final int ZSTD_LEVEL = 1;

  /** A filter in front of each write buffer too: most documents that are written are new. */
  private static final double BUFFER_BLOOM_SHARE = 0.02;

  /** The filter of a file of documents is then 160 KB: many of them fit into the block cache. */
  private static final long MAX_FILE_BYTES = 32 * MIB;

  /**
   * Least size of a shard of the block cache. RocksDB's is 512 KiB; of filters that large two evict
   * each other, and each read of an absent document then reads one from the disk.
   */
  private static final int SHARD_MIB = 4;

  private static final int MAX_SHARD_BITS = 6;

  /** Blocks of all databases of this process, by the size in MiB; never closed. */
  private static final Map<Integer, Cache> CACHES = new ConcurrentHashMap<>();

  private final List<AbstractNativeReference> owned = new ArrayList<>();
  private final RocksOptions options;
  private final Cache blockCache;
  private final Filter bloom;
  private final CompressionOptions fast;
  private final BackgroundErrors backgroundErrors;

  RocksTuning(RocksOptions options) {
    this.options = options;
    this.blockCache =
        CACHES.computeIfAbsent(
            options.blockCacheMebibytes(), mib -> new LRUCache(mib * MIB, shardBits(mib)));
    this.backgroundErrors = own(new BackgroundErrors());
    this.bloom = own(new BloomFilter(BLOOM_BITS_PER_KEY));
    this.fast = own(new CompressionOptions()).setEnabled(true).setLevel(ZSTD_LEVEL);
  }

  /** Binary logarithm of the number of shards of a block cache. */
  static int shardBits(int mib) {
    int bits = Integer.SIZE - 1 - Integer.numberOfLeadingZeros(Math.max(1, mib / SHARD_MIB));
    return Math.min(bits, MAX_SHARD_BITS);
  }

  /** Hears what goes wrong on RocksDB's own threads. */
  BackgroundErrors backgroundErrors() {
    return backgroundErrors;
  }

  DBOptions database() {
    return own(new DBOptions())
        .setListeners(List.of(backgroundErrors))
        .setCreateIfMissing(true)
        .setCreateMissingColumnFamilies(true)
        .setWalRecoveryMode(
            switch (options.walRecovery()) {
              case REFUSE_DAMAGE -> WALRecoveryMode.TolerateCorruptedTailRecords;
              case KEEP_PREFIX -> WALRecoveryMode.PointInTimeRecovery;
            })
        .setMaxTotalWalSize(WAL_BUFFERS * options.writeBufferMebibytes() * MIB)
        .setMaxBackgroundJobs(options.backgroundThreads())
        .setMaxOpenFiles(options.maxOpenFiles())
        .setBytesPerSync(BYTES_PER_SYNC)
        // One writer: nothing to run in parallel, nobody to wait for.
        .setAllowConcurrentMemtableWrite(false)
        .setEnableWriteThreadAdaptiveYield(false)
        .setAvoidUnnecessaryBlockingIO(true)
        .setSkipStatsUpdateOnDbOpen(true)
        .setManifestPreallocationSize(64 * KIB)
        .setInfoLogLevel(InfoLogLevel.WARN_LEVEL)
        .setMaxLogFileSize(MIB)
        .setKeepLogFileNum(2)
        .setStatsDumpPeriodSec(0)
        .setStatsPersistPeriodSec(0);
  }

  /** What the flush of one full table may need on disk, in bytes. */
  long flushBytes() {
    return options.writeBufferMebibytes() * MIB * WRITE_BUFFERS;
  }

  ColumnFamilyOptions defaultFamily() {
    return small(new BlockBasedTableConfig());
  }

  ColumnFamilyOptions family(Table table) {
    return switch (table) {
      case META, FRONTIER, MEMBERS, BUCKET, FLOOR, STAND, VOID ->
          small(new BlockBasedTableConfig());
      case ARRIVAL -> small(new BlockBasedTableConfig()).setCompressionType(above());
      // In the order of keys as they come: files that need no other compression move down whole.
      case LOG, SNAPSHOT -> large(new BlockBasedTableConfig().setBlockSize(16 * KIB));
      case STATE, SEQUENCE, BASE, INDEX ->
          large(new BlockBasedTableConfig().setBlockSize(8 * KIB).setFilterPolicy(bloom))
              .setBottommostCompressionType(bottom())
              .setBottommostCompressionOptions(fast)
              .setMemtableWholeKeyFiltering(true)
              .setMemtablePrefixBloomSizeRatio(BUFFER_BLOOM_SHARE);
    };
  }

  private CompressionType above() {
    return options.compressed() ? CompressionType.LZ4_COMPRESSION : CompressionType.NO_COMPRESSION;
  }

  private CompressionType bottom() {
    return options.compressed() ? CompressionType.ZSTD_COMPRESSION : CompressionType.NO_COMPRESSION;
  }

  private ColumnFamilyOptions small(BlockBasedTableConfig blocks) {
    return family(blocks)
        .setWriteBufferSize(SMALL_BUFFER_BYTES)
        .setArenaBlockSize(64 * KIB)
        .setMaxWriteBufferNumber(2)
        .setCompressionType(CompressionType.NO_COMPRESSION);
  }

  private ColumnFamilyOptions large(BlockBasedTableConfig blocks) {
    long buffer = options.writeBufferMebibytes() * MIB;
    return family(blocks)
        .setWriteBufferSize(buffer)
        .setMaxWriteBufferNumber(WRITE_BUFFERS)
        .setTargetFileSizeBase(Math.min(2 * buffer, MAX_FILE_BYTES))
        .setMaxBytesForLevelBase(8 * buffer)
        .setLevelZeroFileNumCompactionTrigger(FILES_BEFORE_COMPACTION)
        .setLevelZeroSlowdownWritesTrigger(FILES_BEFORE_SLOWDOWN)
        .setLevelZeroStopWritesTrigger(FILES_BEFORE_STOP)
        .setCompressionType(above());
  }

  private ColumnFamilyOptions family(BlockBasedTableConfig blocks) {
    return own(new ColumnFamilyOptions())
        .setTableFormatConfig(
            blocks
                .setBlockCache(blockCache)
                .setCacheIndexAndFilterBlocks(true)
                .setPinL0FilterAndIndexBlocksInCache(true));
  }

  private <T extends AbstractNativeReference> T own(T reference) {
    owned.add(reference);
    return reference;
  }

  @Override
  public void close() {
    owned.reversed().forEach(AbstractNativeReference::close);
    owned.clear();
  }
}
