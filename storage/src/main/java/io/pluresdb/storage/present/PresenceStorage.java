package io.pluresdb.storage.present;

import io.pluresdb.crdt.store.Storage;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.ReentrantLock;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * A storage that remembers the keys of {@link Storage.Table#STATE} in another one, so that most
 * documents that are not there are not looked for: {@link PresentKeys}. It stands in front of
 * encryption, which would otherwise hide each key first.
 */
public final class PresenceStorage implements Storage {
  private static final byte[] LEAST_KEY = {};

  private final Storage inner;
  private final PresentKeys documents;

  /** One commit at a time, so that a moment without one can be waited for. */
  private final ReentrantLock committing = new ReentrantLock();

  /**
   * In front of {@code inner}, which it closes; all commits go through this one.
   *
   * @param estimatedDocuments number of rows of {@code STATE}, roughly
   */
  public PresenceStorage(Storage inner, LongSupplier estimatedDocuments) {
    this(inner, estimatedDocuments, PresentKeys.MIN_MISSES);
  }

  PresenceStorage(Storage inner, LongSupplier estimatedDocuments, int minMisses) {
    this.inner = inner;
    this.documents =
        new PresentKeys(new Documents(estimatedDocuments), minMisses, PresentKeys.PROCESS);
  }

  @Override
  public Batch newBatch() {
    return new KeyedBatch(this, inner.newBatch());
  }

  @Override
  public void commit(Batch batch, Durability durability) {
    if (!(batch instanceof KeyedBatch mine) || mine.owner != this) {
      throw new IllegalArgumentException("the batch was made by another storage");
    }
    committing.lock();
    try {
      documents.put(mine.documents);
      inner.commit(mine.batch, durability);
    } finally {
      committing.unlock();
    }
  }

  @Override
  public void sync() {
    inner.sync();
  }

  @Override
  public byte @Nullable [] get(Table table, byte[] key) {
    if (table != Table.STATE) {
      return inner.get(table, key);
    }
    if (!documents.mayContain(key)) {
      return null;
    }
    byte[] value = inner.get(table, key);
    if (value == null) {
      documents.missed();
    }
    return value;
  }

  @Override
  public Snapshot snapshot() {
    return inner.snapshot();
  }

  @Override
  public long bytesOnDisk() {
    return inner.bytesOnDisk();
  }

  @Override
  public void close() {
    documents.forget();
    inner.close();
  }

  /** The rows of STATE. */
  private final class Documents implements PresentKeys.Table {
    private final LongSupplier estimated;

    Documents(LongSupplier estimated) {
      this.estimated = estimated;
    }

    @Override
    public void read(Consumer<byte[]> keys) {
      Snapshot snapshot;
      committing.lock();
      try {
        snapshot = snapshot();
      } finally {
        committing.unlock();
      }
      try (snapshot;
          Cursor rows = snapshot.scan(Table.STATE, LEAST_KEY, null)) {
        while (rows.next()) {
          keys.accept(rows.key());
        }
      }
    }

    @Override
    public long estimatedRows() {
      return estimated.getAsLong();
    }
  }

  private static final class KeyedBatch implements Batch {
    private final PresenceStorage owner;
    private final Batch batch;

    /** Keys of the rows of STATE that are put. */
    private final List<byte[]> documents = new ArrayList<>();

    KeyedBatch(PresenceStorage owner, Batch batch) {
      this.owner = owner;
      this.batch = batch;
    }

    @Override
    public void put(Table table, byte[] key, byte[] value) {
      batch.put(table, key, value);
      if (table == Table.STATE) {
        documents.add(key);
      }
    }

    @Override
    public void delete(Table table, byte[] key) {
      batch.delete(table, key);
    }

    @Override
    public int size() {
      return batch.size();
    }

    @Override
    public void close() {
      batch.close();
    }
  }
}
