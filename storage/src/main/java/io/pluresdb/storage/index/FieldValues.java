package io.pluresdb.storage.index;

import io.pluresdb.crdt.doc.RowFields;
import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The values at some paths of one document after another. One thread. */
final class FieldValues {
  private static final byte[] NONE = {};

  private final List<byte[]> paths;
  private final RowFields rows;
  private final byte[][] values;
  private boolean whole;

  FieldValues(List<byte[]> paths) {
    this.paths = paths;
    this.rows = new RowFields(paths);
    this.values = new byte[paths.size()][];
  }

  /** Reads the next document; false when it does not exist. */
  boolean read(CommitView view, byte[] id, byte[] row) {
    switch (rows.read(row)) {
      case ABSENT -> {
        return false;
      }
      case READ -> {
        whole = false;
        return true;
      }
      case UNDECIDED -> {
        NodeRecord document = view.document(id, row);
        if (document == null) {
          return false;
        }
        take(document.data());
        return true;
      }
    }
    throw new IllegalStateException("no outcome");
  }

  /** Takes the values of a document from its canonical JSON. */
  void take(byte[] json) {
    whole = true;
    List<Leaf> leaves = CanonicalJson.leaves(json);
    for (int i = 0; i < values.length; i++) {
      byte[] path = paths.get(i);
      var below = new ArrayList<Leaf>();
      for (Leaf leaf : leaves) {
        if (Path.isWithin(leaf.path(), path)) {
          below.add(
              new Leaf(
                  Arrays.copyOfRange(leaf.path(), path.length, leaf.path().length), leaf.value()));
        }
      }
      values[i] = below.isEmpty() ? NONE : CanonicalJson.join(below);
    }
  }

  byte[] array(int number) {
    return whole ? values[number] : rows.row();
  }

  /** Where the value begins in {@link #array}; -1 when there is none. */
  int from(int number) {
    if (!whole) {
      return rows.from(number);
    }
    return values[number].length == 0 ? -1 : 0;
  }

  int to(int number) {
    return whole ? values[number].length : rows.to(number);
  }

  /** The values, each on its own; empty where there is none. */
  List<byte[]> copies() {
    var copies = new ArrayList<byte[]>(values.length);
    for (int i = 0; i < values.length; i++) {
      copies.add(from(i) < 0 ? NONE : Arrays.copyOfRange(array(i), from(i), to(i)));
    }
    return copies;
  }

  byte[] sortKey(int number) {
    return from(number) < 0
        ? SortKey.missing()
        : SortKey.of(array(number), from(number), to(number));
  }
}
