package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.doc.DocumentState.RegisterState;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.Assign;
import io.pluresdb.crdt.op.CrdtOperation.Remove;
import io.pluresdb.crdt.op.FieldType;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.value.Leaf;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;

/** The part of a {@link Difference} that concerns texts, lists and sets. */
final class TypedDifference {
  private static final byte[] NOTHING = {};

  private final DocumentState state;
  private final SequenceEdits sequences;
  private final DocumentView view;
  // Every typed register of the document by its key, those of a set's elements under the set's.
  private final TreeMap<byte[], List<RegisterState>> registers =
      new TreeMap<>(Arrays::compareUnsigned);
  private final TreeSet<byte[]> unchanged = new TreeSet<>(Arrays::compareUnsigned);

  TypedDifference(DocumentState state, SequenceEdits sequences, DocumentView view) {
    this.state = state;
    this.sequences = sequences;
    this.view = view;
    for (RegisterState register : state.registers()) {
      if (Register.isTyped(register.key())) {
        byte[] key = Register.at(register.key()[0], register.path());
        registers.computeIfAbsent(key, k -> new ArrayList<>()).add(register);
      }
    }
  }

  /**
   * Makes what is typed agree with {@code wanted}.
   *
   * @param declared registers of texts, lists and sets that leaves become, whatever is there
   * @return the leaves that plain fields must hold
   */
  List<Leaf> put(List<Leaf> wanted, List<byte[]> declared, List<CrdtOperation> operations) {
    if (registers.isEmpty() && declared.isEmpty()) {
      return wanted;
    }
    var plain = new TreeMap<byte[], Leaf>(Arrays::compareUnsigned);
    wanted.forEach(leaf -> plain.put(leaf.path(), leaf));
    var settled = new TreeSet<byte[]>(Arrays::compareUnsigned);
    for (byte[] key : declared) {
      byte[] path = Register.path(key);
      Leaf leaf = plain.remove(path);
      if (leaf == null) {
        throw new IllegalStateException("what is declared has a leaf");
      }
      settled.add(key);
      if (isShown(key) && view.shows(leaf)) {
        unchanged.add(path);
      } else {
        become(key, leaf.value(), operations);
      }
    }
    for (byte[] key : registers.keySet()) {
      byte[] path = Register.path(key);
      if (settled.contains(key) || unchanged.contains(path)) {
        // What lost against what stays may stay as its conflict.
        continue;
      }
      Leaf leaf = plain.get(path);
      boolean shown = isShown(key);
      if (leaf != null && shown && fits(key, leaf.value())) {
        plain.remove(path);
        if (view.shows(leaf)) {
          unchanged.add(path);
        } else {
          become(key, leaf.value(), operations);
        }
      } else if (leaf == null || shown || !view.shows(leaf)) {
        // What lost against a leaf that stays may stay as its conflict.
        clear(key, operations);
      }
    }
    return List.copyOf(plain.values());
  }

  /** Whether the typed value at {@code path} stays as it is, and so does what lost against it. */
  boolean isUnchanged(byte[] path) {
    return unchanged.contains(path);
  }

  /**
   * Makes {@code leaf} the content of what is typed at its path, and clears what else is there.
   *
   * @return false when it must become a plain value
   */
  boolean replace(Leaf leaf, List<CrdtOperation> operations) {
    boolean replaced = false;
    for (byte[] key : registers.keySet()) {
      if (Arrays.equals(Register.path(key), leaf.path())) {
        if (!replaced && isShown(key) && fits(key, leaf.value())) {
          become(key, leaf.value(), operations);
          replaced = true;
        } else {
          clear(key, operations);
        }
      }
    }
    RegisterState plain = state.register(Register.field(leaf.path()));
    if (replaced && plain != null) {
      operations.add(new Remove(plain.key(), plain.dots()));
    }
    return replaced;
  }

  /** Clears what is typed at the paths that {@code gone} accepts. */
  void clearWhere(Predicate<byte[]> gone, List<CrdtOperation> operations) {
    for (byte[] key : registers.keySet()) {
      if (gone.test(Register.path(key))) {
        clear(key, operations);
      }
    }
  }

  private boolean isShown(byte[] key) {
    return view.typed().stream().anyMatch(shown -> Arrays.equals(shown, key));
  }

  private static boolean fits(byte[] key, byte[] value) {
    return FieldType.of(key).holds(value);
  }

  private void become(byte[] key, byte[] value, List<CrdtOperation> operations) {
    if (key[0] != Register.SET) {
      operations.addAll(sequences.become(key, dots(key), value));
      return;
    }
    Set<byte[]> wanted = FieldType.distinct(value);
    if (wanted == null) {
      throw new IllegalStateException("an array that fits a set holds nothing twice");
    }
    for (RegisterState register : registers.getOrDefault(key, List.of())) {
      byte[] element = Register.elementJson(register.key());
      if (element != null && !wanted.remove(element)) {
        operations.add(new Remove(register.key(), register.dots()));
      }
    }
    List<Dot> declared = dots(key);
    if (!wanted.isEmpty() || declared.isEmpty()) {
      operations.add(new Assign(key, declared, NOTHING));
      for (byte[] element : wanted) {
        operations.add(new Assign(Register.element(key, element), List.of(), NOTHING));
      }
    }
  }

  private List<Dot> dots(byte[] key) {
    RegisterState register = state.register(key);
    return register == null ? List.of() : register.dots();
  }

  private void clear(byte[] key, List<CrdtOperation> operations) {
    if (key[0] != Register.SET) {
      operations.addAll(sequences.clear(key));
    }
    for (RegisterState register : registers.getOrDefault(key, List.of())) {
      operations.add(new Remove(register.key(), register.dots()));
    }
  }
}
