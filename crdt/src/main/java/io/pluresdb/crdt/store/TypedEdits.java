package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.doc.DocumentState.RegisterState;
import io.pluresdb.crdt.doc.DocumentView;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.Assign;
import io.pluresdb.crdt.op.CrdtOperation.Remove;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.sequence.ListSequence;
import io.pluresdb.crdt.sequence.Sequence;
import io.pluresdb.crdt.sequence.TextSequence;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** Turns edits of texts, lists and sets into operations, against what the replica loop sees. */
final class TypedEdits {
  private static final byte[] NOTHING = {};

  private TypedEdits() {}

  /**
   * The operations of an edit of a document that exists.
   *
   * @throws CoreException when something else is at the path, or a position is out of range
   */
  static List<CrdtOperation> operations(
      Edit.Typed edit, DocumentState state, OpenSequences sequences) {
    byte[] register = Register.at(edit.space(), edit.path());
    requireType(state, register);
    var operations = new ArrayList<CrdtOperation>();
    operations.add(new Assign(Register.exists(), dots(state, Register.exists()), NOTHING));
    List<Dot> observed = dots(state, register);
    switch (edit) {
      case Edit.TextSplice(var id, var path, var at, var delete, var insert) -> {
        var text = (TextSequence) sequences.get(id, register);
        operations.addAll(text.splice(register, observed, position(at, text), delete, insert));
      }
      case Edit.ListInsert(var id, var path, var at, var values) -> {
        ListSequence list = list(sequences, id, register);
        operations.addAll(list.insert(register, observed, position(at, list), values));
      }
      case Edit.ListDelete(var id, var path, var at, var count) ->
          operations.addAll(list(sequences, id, register).delete(register, at, count));
      case Edit.ListMove(var id, var path, var from, var to) ->
          operations.addAll(list(sequences, id, register).move(register, observed, from, to));
      case Edit.ListSet(var id, var path, var at, var value) ->
          operations.addAll(list(sequences, id, register).set(register, observed, at, value));
      case Edit.SetAdd(var id, var path, var values) -> {
        operations.add(new Assign(register, observed, NOTHING));
        for (byte[] value : values) {
          byte[] element = Register.element(register, value);
          operations.add(new Assign(element, dots(state, element), NOTHING));
        }
      }
      case Edit.SetRemove(var id, var path, var values) -> {
        for (byte[] value : values) {
          byte[] element = Register.element(register, value);
          List<Dot> seen = dots(state, element);
          if (!seen.isEmpty()) {
            operations.add(new Remove(element, seen));
          }
        }
      }
    }
    return operations;
  }

  private static ListSequence list(OpenSequences sequences, byte[] id, byte[] register) {
    return (ListSequence) sequences.get(id, register);
  }

  private static int position(int at, Sequence sequence) {
    return at == Edit.END ? sequence.length() : at;
  }

  private static List<Dot> dots(DocumentState state, byte[] register) {
    RegisterState stored = state.register(register);
    return stored == null ? List.of() : stored.dots();
  }

  /** Checks that {@code author} may put as many elements into a sequence as the operation does. */
  static void requireRoom(
      OpenSequences sequences, byte[] id, CrdtOperation operation, ActorId author) {
    int length =
        switch (operation) {
          case CrdtOperation.TextInsert insert -> insert.text().length();
          case CrdtOperation.ListInsert insert -> insert.values().size();
          case CrdtOperation.ListMove move -> 1;
          default -> 0;
        };
    if (length > 0) {
      int count = sequences.get(id, operation.register()).count(author);
      if (count > ElementId.MAX_COUNTER + 1 - length) {
        throw CoreException.tooLarge(
            "a device may put at most "
                + (ElementId.MAX_COUNTER + 1)
                + " elements into a text or list, deleted ones included, but has put "
                + count);
      }
    }
  }

  /** Checks that nothing but this register, or nothing at all, is at its path. */
  private static void requireType(DocumentState state, byte[] register) {
    byte[] path = Register.path(register);
    if (state.register(register) != null && isAlone(state, register, path)) {
      return;
    }
    DocumentView view = DocumentView.withoutSequences(state);
    for (byte[] shown : view.typed()) {
      if (Arrays.equals(shown, register)) {
        return;
      }
      if (Arrays.equals(Register.path(shown), path)) {
        throw mismatch(path, register, "a " + name(shown));
      }
    }
    for (Leaf leaf : view.leaves()) {
      boolean emptyObject = leaf.value()[0] == '{';
      if (Path.isWithin(leaf.path(), path)) {
        throw mismatch(
            path,
            register,
            emptyObject || leaf.path().length > path.length ? "an object" : "a plain value");
      }
      if (!emptyObject && Path.isWithin(path, leaf.path())) {
        throw CoreException.invalid(
            "field \"" + Path.text(leaf.path()) + "\" is no object, so nothing can be below it");
      }
    }
  }

  private static boolean isAlone(DocumentState state, byte[] register, byte[] path) {
    for (RegisterState other : state.registers()) {
      byte[] key = other.key();
      if (key[0] >= Register.FIELD && !Arrays.equals(key, register)) {
        byte[] otherPath = other.path();
        boolean ownElement = key[0] == register[0] && Arrays.equals(otherPath, path);
        if (!ownElement && (Path.isWithin(otherPath, path) || Path.isWithin(path, otherPath))) {
          return false;
        }
      }
    }
    return true;
  }

  private static String name(byte[] register) {
    return switch (register[0]) {
      case Register.TEXT -> "text";
      case Register.LIST -> "list";
      default -> "set";
    };
  }

  private static CoreException mismatch(byte[] path, byte[] register, String found) {
    return CoreException.invalid(
        "field \""
            + Path.text(path)
            + "\" holds "
            + found
            + ", not a "
            + name(register)
            + ": remove it first");
  }
}
