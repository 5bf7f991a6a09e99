package io.pluresdb.crdt.store;

import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.store.SnapshotEntry.Place;
import java.security.MessageDigest;

/** SHA-256 of consecutive rows of a snapshot: {@code (place | block row) *}. */
final class SnapshotDigest {
  private final MessageDigest digest = Hash.newBulkDigest();
  private final ByteWriter head = new ByteWriter(64);
  private long bytes;

  void add(Place place, byte[] row) {
    head.clear();
    place.write(head);
    head.varint(row.length);
    digest.update(head.array(), 0, head.size());
    digest.update(row);
    bytes += head.size() + row.length;
  }

  /** Bytes so far. */
  long bytes() {
    return bytes;
  }

  /** Of everything so far; then it begins anew. */
  Hash hash() {
    bytes = 0;
    return new Hash(digest.digest());
  }
}
