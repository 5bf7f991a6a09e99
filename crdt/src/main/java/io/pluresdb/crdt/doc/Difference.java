package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.doc.DocumentState.RegisterState;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.Assign;
import io.pluresdb.crdt.op.CrdtOperation.Remove;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.value.JsonPatch;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Turns what a caller wants of a document into the fewest operations, against the view the caller
 * has: unchanged leaves are not touched, so concurrent edits of different fields both survive.
 */
public final class Difference {
  private static final byte[] NOTHING = {};

  private Difference() {}

  /**
   * The document becomes {@code wanted}, and exists. A text, list or set stays one where the wanted
   * value could be its content, and changes by what differs.
   *
   * @param state the local state; changes nothing in it
   * @param wanted leaves ascending by path
   * @param embedding raw little-endian floats; empty for none; or null: then a stored one stays
   *     only while the document does not change
   * @param declared registers of texts, lists and sets that leaves become, whatever is there
   */
  public static List<CrdtOperation> put(
      DocumentState state,
      SequenceEdits sequences,
      List<Leaf> wanted,
      byte @Nullable [] embedding,
      List<byte[]> declared) {
    if (state.registers().isEmpty() && declared.isEmpty()) {
      return fresh(wanted, embedding);
    }
    var operations = new ArrayList<CrdtOperation>(wanted.size() + 2);
    operations.add(assign(state, Register.exists(), NOTHING));
    DocumentView view =
        state.exists() ? DocumentView.of(state, sequences) : DocumentView.of(List.of());
    var fields = new ArrayList<CrdtOperation>();
    var typed = new TypedDifference(state, sequences, view);
    List<Leaf> plain = typed.put(wanted, declared, fields);
    replaceFields(state, view, plain, typed, fields);
    RegisterState stored = state.register(Register.embedding());
    if (embedding != null && embedding.length > 0) {
      operations.add(assign(state, Register.embedding(), embedding));
    } else if (stored != null && (embedding != null || !fields.isEmpty() || !state.exists())) {
      operations.add(new Remove(stored.key(), stored.dots()));
    }
    operations.addAll(fields);
    return operations;
  }

  /**
   * A document of which nothing is known becomes {@code wanted}; the operations name no other.
   *
   * @param embedding raw little-endian floats, or null or empty for none
   */
  public static List<CrdtOperation> fresh(List<Leaf> wanted, byte @Nullable [] embedding) {
    var operations = new ArrayList<CrdtOperation>(wanted.size() + 2);
    operations.add(new Assign(Register.exists(), List.of(), NOTHING));
    if (embedding != null && embedding.length > 0) {
      operations.add(new Assign(Register.embedding(), List.of(), embedding));
    }
    for (Leaf leaf : wanted) {
      operations.add(new Assign(Register.field(leaf.path()), List.of(), leaf.value()));
    }
    return operations;
  }

  /**
   * A document gets an embedding and stays what it is else.
   *
   * @param embedding raw little-endian floats
   */
  public static List<CrdtOperation> embed(DocumentState state, byte[] embedding) {
    return List.of(assign(state, Register.embedding(), embedding));
  }

  /** Walks the registers and the wanted leaves, both ascending, side by side. */
  private static void replaceFields(
      DocumentState state,
      DocumentView view,
      List<Leaf> wanted,
      TypedDifference typed,
      List<CrdtOperation> operations) {
    int next = 0;
    for (RegisterState register : state.registers()) {
      if (!register.isField()) {
        continue;
      }
      byte[] path = register.path();
      int order = -1;
      while (next < wanted.size()
          && (order = Arrays.compareUnsigned(wanted.get(next).path(), path)) < 0) {
        Leaf fresh = wanted.get(next++);
        operations.add(new Assign(Register.field(fresh.path()), List.of(), fresh.value()));
      }
      if (next < wanted.size() && order == 0) {
        Leaf leaf = wanted.get(next++);
        if (!view.shows(leaf)) {
          operations.add(new Assign(register.key(), register.dots(), leaf.value()));
        }
      } else if (!typed.isUnchanged(path)) {
        operations.add(new Remove(register.key(), register.dots()));
      }
    }
    while (next < wanted.size()) {
      Leaf fresh = wanted.get(next++);
      operations.add(new Assign(Register.field(fresh.path()), List.of(), fresh.value()));
    }
  }

  /**
   * Applies a merge patch (RFC 7396) to a document that exists; it goes on existing, also against a
   * concurrent delete. Only paths that change are touched, and what lost a conflict at, above or
   * below one of them goes with it, so that it cannot come back.
   */
  public static List<CrdtOperation> patch(
      DocumentState state, SequenceEdits sequences, JsonPatch patch) {
    DocumentView view = DocumentView.of(state, sequences);
    List<Leaf> wanted = patch.apply(view.leaves());
    DocumentView after = DocumentView.of(wanted);
    var operations = new ArrayList<CrdtOperation>();
    operations.add(assign(state, Register.exists(), NOTHING));
    var typed = new TypedDifference(state, sequences, view);
    var touched = new TreeSet<byte[]>(Arrays::compareUnsigned);
    for (Leaf leaf : wanted) {
      if (!view.shows(leaf)) {
        touched.add(leaf.path());
        if (!typed.replace(leaf, operations)) {
          operations.add(assign(state, Register.field(leaf.path()), leaf.value()));
        }
      }
    }
    for (Leaf leaf : view.leaves()) {
      if (!after.showsAt(leaf.path())) {
        touched.add(leaf.path());
      }
    }
    for (RegisterState register : state.registers()) {
      if (register.isField()
          && !after.showsAt(register.path())
          && isRelated(register.path(), touched)
          && !isObjectMarkerAbove(register, after)) {
        operations.add(new Remove(register.key(), register.dots()));
      }
    }
    typed.clearWhere(path -> !after.showsAt(path) && isRelated(path, touched), operations);
    return operations;
  }

  /**
   * Ends a contest: what was chosen is assigned in sight of all that competes at, above or below
   * the path, so that nothing of it can come back. The document goes on existing.
   *
   * @param chosen leaves at or below the path, ascending by path
   */
  public static List<CrdtOperation> resolve(
      DocumentState state, SequenceEdits sequences, byte[] path, List<Leaf> chosen) {
    var operations = new ArrayList<CrdtOperation>();
    operations.add(assign(state, Register.exists(), NOTHING));
    DocumentView after = DocumentView.of(chosen);
    var typed = new TypedDifference(state, sequences, DocumentView.of(state, sequences));
    for (Leaf leaf : chosen) {
      if (!typed.replace(leaf, operations)) {
        operations.add(assign(state, Register.field(leaf.path()), leaf.value()));
      }
    }
    for (RegisterState register : state.registers()) {
      if (register.isField()
          && !after.showsAt(register.path())
          && (Path.isWithin(register.path(), path) || Path.isWithin(path, register.path()))
          && !isObjectMarkerAbove(register, after)) {
        operations.add(new Remove(register.key(), register.dots()));
      }
    }
    typed.clearWhere(
        other ->
            !after.showsAt(other) && (Path.isWithin(other, path) || Path.isWithin(path, other)),
        operations);
    return operations;
  }

  /** Whether {@code path} lies at, above or below one of {@code touched}. */
  private static boolean isRelated(byte[] path, NavigableSet<byte[]> touched) {
    byte[] end = Path.subtreeEnd(path);
    var below = end == null ? touched : touched.subSet(path, true, end, false);
    return !below.isEmpty() || Path.ancestors(path).stream().anyMatch(touched::contains);
  }

  /** Whether a register only says "an object is here" and fields below it are shown. */
  private static boolean isObjectMarkerAbove(RegisterState register, DocumentView after) {
    return register.siblings().stream().allMatch(DocumentView::isObject)
        && after.showsBelow(register.path());
  }

  /** The document stops existing; its fields stay hidden and return with a concurrent edit. */
  public static List<CrdtOperation> delete(DocumentState state) {
    RegisterState exists = state.register(Register.exists());
    return exists == null ? List.of() : List.of(new Remove(exists.key(), exists.dots()));
  }

  /** Adds to the counter at {@code path} of a document that exists. */
  public static List<CrdtOperation> increment(DocumentState state, byte[] path, long amount) {
    return List.of(
        assign(state, Register.exists(), NOTHING),
        new CrdtOperation.Increment(Register.field(path), amount));
  }

  private static Assign assign(DocumentState state, byte[] register, byte[] value) {
    RegisterState stored = state.register(register);
    return new Assign(register, stored == null ? List.of() : stored.dots(), value);
  }
}
