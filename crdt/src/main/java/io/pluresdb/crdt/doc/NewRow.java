package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.Assign;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The row of a document that one change makes, but for the name and time of that change: all of it
 * that can be encoded before the change has its turn.
 */
public final class NewRow {
  private final byte[] registers;

  private NewRow(byte[] registers) {
    this.registers = registers;
  }

  /**
   * The row of the document that {@code operations} make of nothing.
   *
   * @param operations of one change, numbered from 0
   * @return null where they do anything but assign to one register after another, in ascending
   *     order of keys, first that the document exists
   */
  public static @Nullable NewRow of(List<CrdtOperation> operations) {
    int bytes = ByteWriter.varintBytes(operations.size());
    byte[] last = null;
    int index = 0;
    for (CrdtOperation operation : operations) {
      if (!(operation instanceof Assign(var register, var observed, var value))
          || !observed.isEmpty()
          || (last != null && Arrays.compareUnsigned(last, register) >= 0)) {
        return null;
      }
      last = register;
      bytes += ByteWriter.blockBytes(register) + 1 + DocumentState.siblingBytes(index++, value);
    }
    if (operations.isEmpty() || !DocumentState.isExistence(operations.getFirst().register())) {
      return null;
    }
    var out = new ByteWriter(bytes);
    out.varint(operations.size());
    for (int i = 0; i < operations.size(); i++) {
      var assign = (Assign) operations.get(i);
      out.block(assign.register()).varint(1);
      DocumentState.writeSibling(out, 0, i, assign.value());
    }
    return new NewRow(out.take());
  }

  /** The row, made by change {@code seq} of {@code actor}. */
  public byte[] toByteArray(ActorId actor, long seq, long timestamp) {
    var out = new ByteWriter(DocumentState.headBytes(seq) + registers.length);
    DocumentState.writeHead(out, actor, seq, timestamp);
    return out.bytes(registers).take();
  }
}
