package io.pluresdb.storage.search;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.storage.embedding.EmbedText;
import io.pluresdb.storage.index.DerivedIndex;
import io.pluresdb.storage.search.Searches.EmbeddingStats;
import io.pluresdb.storage.text.TextFields;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * Gives documents with text the embeddings they lack, and new ones where their text became another
 * than that which was embedded here. Embeddings that somebody else supplied stay as they are.
 *
 * <p>It follows the arrival log like an index: what waits is in the log and not in memory, so
 * however slow the model is, nothing is dropped and no write waits for it. An embedding is a change
 * like any other; it is left out when the document became another meanwhile, which arrives next.
 *
 * <pre>
 * 06    -> arrivals varint
 * 07 id -> crc32c of the text u32 | crc32c of the embedding u32
 * </pre>
 */
final class MissingEmbeddings implements DerivedIndex {
  private static final byte[] MARK = {6};
  private static final byte MADE = 7;

  /** Characters of a document that are embedded; models look at less. */
  private static final int MAX_TEXT = 16_384;

  private final Storage storage;
  private final CrdtStore store;
  private final EmbedText embedder;
  private final List<String> fields;
  private volatile long arrivals;
  private final AtomicLong embedded = new AtomicLong();
  private final AtomicLong calls = new AtomicLong();
  private final AtomicLong callMillis = new AtomicLong();
  private volatile int dimension;
  private volatile boolean stopping;

  /**
   * @param fields dotted names of the fields whose text is embedded; empty for all
   */
  MissingEmbeddings(Storage storage, CrdtStore store, EmbedText embedder, List<String> fields) {
    this.storage = storage;
    this.store = store;
    this.embedder = embedder;
    this.fields = List.copyOf(fields);
    byte[] mark = storage.get(Table.INDEX, MARK);
    this.arrivals = mark == null ? DerivedIndex.NOTHING : new ByteReader(mark).varint();
  }

  @Override
  public String name() {
    return "embeddings";
  }

  @Override
  public long arrivals() {
    return arrivals;
  }

  /** Lets a step that takes long end early. */
  void stop() {
    stopping = true;
  }

  EmbeddingStats stats(long arrived, @Nullable RuntimeException failure) {
    return new EmbeddingStats(
        embedder.name(),
        dimension,
        Math.max(0, arrived - Math.max(0, arrivals)),
        embedded.get(),
        calls.get(),
        callMillis.get(),
        failure == null ? "" : String.valueOf(failure.getMessage()));
  }

  /** A document that is to be embedded. */
  private record Wanted(NodeRecord document, String text) {}

  @Override
  public void rebuild(CommitView view) {
    var batch = new ArrayList<Wanted>();
    try (var rows = view.snapshot().scan(Table.STATE, new byte[0], null)) {
      while (rows.next()) {
        take(view.document(rows.key(), rows.value()), batch, embedder.batch());
      }
    }
    embed(batch);
    reached(view.arrivals());
  }

  @Override
  public void apply(CommitView view, List<byte[]> ids, long next) {
    var batch = new ArrayList<Wanted>();
    for (byte[] id : ids) {
      NodeRecord document = view.document(id);
      if (document == null) {
        forget(id);
      }
      take(document, batch, embedder.batch());
    }
    embed(batch);
    reached(next);
  }

  private void take(@Nullable NodeRecord document, List<Wanted> batch, int most) {
    String text = document == null ? "" : text(document);
    if (document != null && !text.isBlank() && isWanted(document, text)) {
      batch.add(new Wanted(document, text));
      if (batch.size() == most) {
        embed(batch);
        batch.clear();
      }
    }
  }

  private String text(NodeRecord document) {
    var text = new StringBuilder();
    TextFields.of(
        document.data(),
        (field, value) -> {
          if (text.length() < MAX_TEXT && (fields.isEmpty() || fields.contains(field))) {
            text.append(text.isEmpty() ? "" : "\n").append(value);
          }
        });
    return text.length() <= MAX_TEXT ? text.toString() : text.substring(0, MAX_TEXT);
  }

  private boolean isWanted(NodeRecord document, String text) {
    float[] there = document.embedding();
    if (there == null) {
      return true;
    }
    byte[] made = storage.get(Table.INDEX, key(document.id().getBytes(StandardCharsets.UTF_8)));
    return made != null
        && Arrays.equals(made, 4, 8, row(text, there), 4, 8)
        && !Arrays.equals(made, row(text, there));
  }

  private void embed(List<Wanted> batch) {
    if (batch.isEmpty()) {
      return;
    }
    if (stopping) {
      throw new CoreException(CoreException.Kind.CLOSED, "the database has been closed");
    }
    long began = System.nanoTime();
    List<float[]> vectors = embedder.embed(batch.stream().map(Wanted::text).toList());
    callMillis.addAndGet((System.nanoTime() - began) / 1_000_000);
    calls.incrementAndGet();
    var edits = new ArrayList<Edit>();
    try (var rows = storage.newBatch()) {
      for (int i = 0; i < batch.size(); i++) {
        Wanted wanted = batch.get(i);
        float[] vector = vectors.get(i);
        dimension = vector.length;
        edits.add(Edit.embed(wanted.document, vector));
        rows.put(
            Table.INDEX,
            key(wanted.document.id().getBytes(StandardCharsets.UTF_8)),
            row(wanted.text, vector));
      }
      // Before the change: one without the row would count as somebody else's.
      storage.commit(rows, Durability.BUFFERED);
    }
    CrdtStore.await(store.submit(new Transaction(edits, Acknowledgement.LOCAL)));
    embedded.addAndGet(batch.size());
  }

  private void forget(byte[] id) {
    if (storage.get(Table.INDEX, key(id)) != null) {
      try (var rows = storage.newBatch()) {
        rows.delete(Table.INDEX, key(id));
        storage.commit(rows, Durability.BUFFERED);
      }
    }
  }

  private void reached(long next) {
    try (var rows = storage.newBatch()) {
      rows.put(Table.INDEX, MARK, new ByteWriter(9).varint(next).toByteArray());
      storage.commit(rows, Durability.BUFFERED);
    }
    arrivals = next;
  }

  private static byte[] key(byte[] id) {
    byte[] key = new byte[1 + id.length];
    key[0] = MADE;
    System.arraycopy(id, 0, key, 1, id.length);
    return key;
  }

  private static byte[] row(String text, float[] vector) {
    var ofText = new CRC32C();
    ofText.update(text.getBytes(StandardCharsets.UTF_8));
    var ofVector = new CRC32C();
    for (float value : vector) {
      int bits = Float.floatToIntBits(value);
      for (int shift = 0; shift < 32; shift += 8) {
        ofVector.update(bits >>> shift);
      }
    }
    return ByteBuffer.allocate(8)
        .putInt((int) ofText.getValue())
        .putInt((int) ofVector.getValue())
        .array();
  }

  /** Every step makes on disk how far it is. */
  @Override
  public void save(boolean atOnce) {}

  @Override
  public void close() {
    stop();
  }
}
