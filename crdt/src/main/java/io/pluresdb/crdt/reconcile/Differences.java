package io.pluresdb.crdt.reconcile;

import java.util.Arrays;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * The documents in which two replicas differ, ascending by id.
 *
 * <p>At most so many as the maker allowed; {@link #complete} says whether there are more.
 */
public final class Differences {
  /** Who has the document as it is. */
  public enum Side {
    /** It is missing there. */
    HERE,
    /** It is missing here. */
    THERE,
    /** It is on both sides, with other content. */
    BOTH
  }

  private final TreeMap<byte[], Side> documents = new TreeMap<>(Arrays::compareUnsigned);
  private final int max;
  private boolean complete = true;

  Differences(int max) {
    this.max = max;
  }

  /** The ids of the documents, ascending; not to be changed. */
  public NavigableMap<byte[], Side> documents() {
    return documents;
  }

  public boolean isEmpty() {
    return documents.isEmpty();
  }

  /** False when there were more than could be kept. */
  public boolean complete() {
    return complete;
  }

  int max() {
    return max;
  }

  void onlyHere(byte[] id) {
    add(id, Side.HERE);
  }

  void onlyThere(byte[] id) {
    add(id, Side.THERE);
  }

  private void add(byte[] id, Side side) {
    if (documents.size() >= max && !documents.containsKey(id)) {
      complete = false;
    } else {
      documents.merge(id, side, (known, fresh) -> known == fresh ? known : Side.BOTH);
    }
  }
}
