package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.value.Path;
import java.util.Arrays;
import java.util.List;

/**
 * Values at some paths, read straight from the rows of documents without decoding them: what a scan
 * over many documents looks at.
 *
 * <p>Most documents have one value in each register and no texts, lists or sets; of any other, and
 * of one with fields below a wanted path, it says so and {@link DocumentView} must be asked. One
 * thread.
 */
public final class RowFields {
  /** What a row is. */
  public enum Outcome {
    /** The document does not exist. */
    ABSENT,
    /** The values are there. */
    READ,
    /** Only the whole view tells. */
    UNDECIDED
  }

  private final List<byte[]> keys;
  private final int[] from;
  private final int[] to;
  private byte[] row = {};
  private boolean undecided;

  /**
   * @param paths as {@link Path} encodes them, not the root
   */
  public RowFields(List<byte[]> paths) {
    keys = paths.stream().map(Register::field).toList();
    from = new int[keys.size()];
    to = new int[keys.size()];
  }

  /** Looks at the next row. */
  public Outcome read(byte[] newRow) {
    row = newRow;
    undecided = false;
    Arrays.fill(from, -1);
    var in = new ByteReader(newRow);
    int version = in.u8();
    int contexts = in.count("contexts of a document", Integer.MAX_VALUE);
    for (int i = 0; i < contexts; i++) {
      in.skip(16);
      in.varint();
      in.skip(8);
    }
    int registers = in.count("registers of a document", Integer.MAX_VALUE);
    boolean exists = false;
    for (int i = 0; i < registers && !undecided; i++) {
      int length = in.count("register bytes", newRow.length);
      int key = in.position();
      in.skip(length);
      int siblings = in.count("siblings of a register", Integer.MAX_VALUE);
      int space = newRow[key];
      exists |= space == Register.EXISTS;
      undecided = space > Register.FIELD || (!exists && i == 0 && version > 1);
      for (int j = 0; j < siblings; j++) {
        in.varint();
        in.varint();
        int bytes = in.count("value bytes", newRow.length);
        if (space == Register.FIELD) {
          value(key, key + length, siblings, in.position(), in.position() + bytes);
        }
        in.skip(bytes);
      }
      if (!exists) {
        return Outcome.ABSENT;
      }
    }
    if (undecided) {
      return Outcome.UNDECIDED;
    }
    return exists ? Outcome.READ : Outcome.ABSENT;
  }

  private void value(int key, int keyEnd, int siblings, int valueFrom, int valueTo) {
    for (int i = 0; i < from.length; i++) {
      byte[] wanted = keys.get(i);
      int common = Math.min(wanted.length, keyEnd - key);
      if (!Arrays.equals(wanted, 0, common, row, key, key + common)) {
        continue;
      }
      boolean increment = valueTo > valueFrom && row[valueFrom] == '+';
      boolean emptyObject =
          valueTo - valueFrom == 2 && row[valueFrom] == '{' && row[valueFrom + 1] == '}';
      if (common < wanted.length) {
        // At an object around the wanted path: a value there competes with what is below.
        undecided |= !emptyObject;
      } else if (common < keyEnd - key || siblings > 1 || increment || from[i] >= 0) {
        undecided = true;
      } else {
        from[i] = valueFrom;
        to[i] = valueTo;
      }
    }
  }

  /** Whether something is shown at the path of that number; after {@link Outcome#READ}. */
  public boolean has(int number) {
    return from[number] >= 0;
  }

  /** The row read last, where the values are. */
  public byte[] row() {
    return row;
  }

  /** Where the canonical JSON begins; -1 when nothing is shown. */
  public int from(int number) {
    return from[number];
  }

  /** Where it ends, exclusive. */
  public int to(int number) {
    return to[number];
  }
}
