package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Objects;

/** Changes what a storage holds behind its replica's back. */
public final class Tampering {
  private Tampering() {}

  /**
   * Gives a stored document another content.
   *
   * @param withSums whether the fingerprints are made to fit, as a defect in applying operations
   *     would leave them; the replica must be opened after, since it keeps them in memory
   */
  public static void changeRow(Storage storage, Hash database, String document, boolean withSums) {
    byte[] id = document.getBytes(StandardCharsets.UTF_8);
    byte[] old = Objects.requireNonNull(storage.get(Table.STATE, id), document);
    var state = DocumentState.read(old);
    state.apply(
        new CrdtOperation.Assign(
            Register.field(document.getBytes(StandardCharsets.UTF_8)), List.of(), new byte[] {'7'}),
        new Dot(new ActorId(1, 1), 1, 0),
        1 << 16);
    var row = new ByteWriter();
    state.write(row);
    var hasher = new DocumentHasher(database);
    Fingerprint before = hasher.of(id, old);
    Fingerprint after = hasher.of(id, row.toByteArray());
    try (var batch = storage.newBatch()) {
      batch.put(Table.STATE, id, row.toByteArray());
      if (withSums) {
        try (var snapshot = storage.snapshot()) {
          var bucket = BucketSums.read(snapshot).floorEntry(id);
          var sum = Objects.requireNonNull(bucket).getValue().minus(before).plus(after);
          var delta = new ByteWriter().varint(1).block(bucket.getKey()).varint(sum.count());
          sum.sum().write(delta);
          // A number above all others: what it says counts.
          batch.put(
              Table.BUCKET,
              new ByteWriter().u8(0xff).i64(1L << 40).toByteArray(),
              delta.toByteArray());
        }
        byte[] meta = Objects.requireNonNull(storage.get(Table.META, Rows.META_REPLICA));
        var in = new ByteReader(meta, 1, meta.length);
        long documents = in.varint();
        Fingerprint sum = Fingerprint.read(in);
        batch.put(
            Table.META,
            Rows.META_REPLICA,
            Rows.replicaRow(documents, sum.minus(before).plus(after), in.varint(), in.i64()));
      }
      storage.commit(batch, Durability.SYNCED);
    }
  }
}
