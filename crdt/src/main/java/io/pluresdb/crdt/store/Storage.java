package io.pluresdb.crdt.store;

import org.jspecify.annotations.Nullable;

/**
 * An ordered, transactional byte store with a fixed set of tables: the port between the replica and
 * the disk.
 *
 * <p>Keys order as unsigned bytes. One thread commits (the replica loop), except that rows of
 * {@link Table#INDEX} but those of edges are another's, who commits nothing else; any thread reads,
 * and any may {@link #sync} meanwhile. Reads never write and never wait for a commit. A commit that
 * survives is preceded by all that were made before it. Arrays given to or taken from a storage
 * must not be modified afterwards.
 */
public interface Storage extends AutoCloseable {

  /** The tables. The order and the names are part of the disk format. */
  enum Table {
    /** Singletons: format, identity, clock, counters, the own actor. */
    META,
    /** The operation log: (actor, first seq) to consecutive changes. */
    LOG,
    /** Document id to the document's state. */
    STATE,
    /** Local arrival index to the run of changes that arrived there. */
    ARRIVAL,
    /** Actor to (seq, head hash): the version vector. */
    FRONTIER,
    /** Membership entries by hash. */
    MEMBERS,
    /** Least document id of a bucket to what its documents add up to. */
    BUCKET,
    /** (Document id, register, actor, number) to elements of a text or list. */
    SEQUENCE,
    /** Actor to the last of its changes that are no longer in the log. */
    FLOOR,
    /** Device to the newest that it said about what it has. */
    STAND,
    /** A peer's state on its way into this replica, and how far it has come. */
    SNAPSHOT,
    /** Actors with changes that are kept but do not count: their newest stored change. */
    VOID,
    /** The documents as they were where the log begins, where they are others now. */
    BASE,
    /** What can be computed again from the others, to find documents by what they hold. */
    INDEX
  }

  /** How far a commit must have got before it returns. */
  enum Durability {
    /** On disk: survives power loss. */
    SYNCED,
    /** In the operating system's hands: survives the end of the process, not power loss. */
    BUFFERED
  }

  /** Returns an empty batch to fill and hand to {@link #commit}. */
  Batch newBatch();

  /**
   * Makes everything in {@code batch} visible at once, or nothing of it.
   *
   * @throws StorageException.Full when the disk has no room; nothing was written, later commits may
   *     succeed
   * @throws StorageException.Failed on any other error; this storage refuses every later commit,
   *     because a failed fsync must not be retried
   */
  void commit(Batch batch, Durability durability);

  /**
   * Makes every earlier {@link Durability#BUFFERED} commit survive power loss.
   *
   * @throws StorageException.Failed as {@link #commit} does
   */
  void sync();

  /**
   * Returns the value of {@code key} as of the newest commit, or null.
   *
   * @throws StorageException.Failed when the stored bytes fail their checksum
   */
  byte @Nullable [] get(Table table, byte[] key);

  /** Returns a view of the newest commit that later commits do not change; close it. */
  Snapshot snapshot();

  /** Bytes this storage occupies on disk; 0 for one in memory. */
  long bytesOnDisk();

  /** Closes without losing a commit; a later call does nothing. */
  @Override
  void close();

  /** Writes that become visible together. Not thread-safe. */
  interface Batch extends AutoCloseable {
    void put(Table table, byte[] key, byte[] value);

    void delete(Table table, byte[] key);

    /** Number of puts and deletes so far. */
    int size();

    /** Releases the batch's memory; a committed batch must be closed too. */
    @Override
    void close();
  }

  /** A fixed view of one commit. Usable from one thread at a time. */
  interface Snapshot extends AutoCloseable {
    byte @Nullable [] get(Table table, byte[] key);

    /**
     * Returns the rows of {@code table} with {@code from <= key}, and {@code key < to} unless
     * {@code to} is null, in key order. Close it; it must not outlive the snapshot.
     */
    Cursor scan(Table table, byte[] from, byte @Nullable [] to);

    /** As {@link #scan}, in descending order of keys. */
    Cursor scanBackwards(Table table, byte[] from, byte @Nullable [] to);

    @Override
    void close();
  }

  /** Rows in key order: {@code while (cursor.next()) use(cursor.key(), cursor.value())}. */
  interface Cursor extends AutoCloseable {
    /**
     * Moves to the next row; false at the end.
     *
     * @throws StorageException.Failed when the end was reached through a read error: a scan fails
     *     rather than shortens
     */
    boolean next();

    byte[] key();

    byte[] value();

    @Override
    void close();
  }
}
