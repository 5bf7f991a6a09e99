package io.pluresdb.crdt.reconcile;

import java.util.List;

/** The documents of one replica at one moment, by key range. Usable from one thread at a time. */
public interface RangeSource {
  /** A document and its content. */
  record Item(byte[] id, Digest digest) {}

  /** A piece of a range. */
  record Part(KeyRange range, Summary summary) {}

  Summary summary(KeyRange range);

  /**
   * Cuts a range into contiguous pieces, of about as many documents each where that costs nothing.
   *
   * @param pieces most pieces, 2 or more
   * @return 1 to {@code pieces} pieces that cover the range, in order; several whenever the range
   *     holds two documents
   */
  List<Part> cut(KeyRange range, int pieces);

  /** The first {@code atMost} documents of a range in order. */
  List<Item> items(KeyRange range, int atMost);

  /** Rows read so far: what the answers have cost. */
  long rowsRead();
}
