package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.doc.DocumentState.RegisterState;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What a reader sees of a document: a pure function of its surviving dots and the content of its
 * sequences.
 *
 * <p>At each path the sibling with the greatest {@code (hybrid time, actor, seq, index)} is shown
 * and the others are conflicts. Where a value and a subtree meet at one path, the one with the
 * greatest such stamp is shown. The empty object never competes with fields below it. Increments
 * survive together: they are added to the shown integer of their register, or to 0. A text, list or
 * set competes at its path like one value, with the stamp of its newest assertion.
 *
 * @param leaves what is shown, ascending by path
 * @param conflicts what lost, ascending by path
 * @param typed registers of the texts, lists and sets among the leaves, ascending by path
 */
public record DocumentView(List<Leaf> leaves, List<Conflict> conflicts, List<byte[]> typed) {
  private static final byte[] EMPTY_OBJECT = {'{', '}'};

  /**
   * A value that lost against a concurrent one.
   *
   * @param path where
   * @param sibling what lost and who wrote it
   */
  public record Conflict(byte[] path, Sibling sibling) {}

  /** Stands for the content of sequences where only its being there matters. */
  private static final Content.Source UNREAD =
      register ->
          new Content(
              register[0] == Register.TEXT ? new byte[] {'"', '"'} : new byte[] {'[', ']'},
              List.of());

  /** Leaves without losers. */
  static DocumentView of(List<Leaf> leaves) {
    return new DocumentView(leaves, List.of(), List.of());
  }

  /** The view in which every text and list is empty: what is shown where is the same. */
  public static DocumentView withoutSequences(DocumentState state) {
    return of(state, UNREAD);
  }

  public static DocumentView of(DocumentState state, Content.Source source) {
    var typed = new ArrayList<Typed>();
    DocumentView view = of(fields(state, source, typed), 0);
    for (Typed value : typed) {
      value.complete(view);
    }
    view.typed.sort((a, b) -> Arrays.compareUnsigned(Register.path(a), Register.path(b)));
    if (!typed.isEmpty()) {
      view.conflicts.sort((a, b) -> Arrays.compareUnsigned(a.path, b.path));
    }
    return view;
  }

  /** The plain fields, with a text, list or set as one more sibling at its path. */
  static List<RegisterState> fields(DocumentState state, Content.Source source) {
    return fields(state, source, new ArrayList<>());
  }

  private static List<RegisterState> fields(
      DocumentState state, Content.Source source, List<Typed> typed) {
    var fields = new ArrayList<RegisterState>(state.registers().size());
    for (RegisterState register : state.registers()) {
      if (register.isField()) {
        fields.add(register);
      } else if (Register.isSequence(register.key())) {
        Content content = source.of(register.key());
        typed.add(new Typed(register.key(), register.path(), content, greatest(register)));
      }
    }
    addSets(state, typed);
    for (Typed value : typed) {
      value.addTo(fields);
    }
    return fields;
  }

  /** The view of fields that share the first {@code depthBytes} bytes of their paths. */
  static DocumentView of(List<RegisterState> fields, int depthBytes) {
    var builder = new Builder();
    builder.show(fields, 0, fields.size(), depthBytes);
    return new DocumentView(builder.leaves, builder.conflicts, new ArrayList<>());
  }

  /** Puts the registers of each set's elements together: one array, ascending by their bytes. */
  private static void addSets(DocumentState state, List<Typed> typed) {
    var sets = new TreeMap<byte[], List<RegisterState>>(Arrays::compareUnsigned);
    for (RegisterState register : state.registers()) {
      if (register.key()[0] == Register.SET) {
        sets.computeIfAbsent(register.path(), p -> new ArrayList<>()).add(register);
      }
    }
    sets.forEach(
        (path, registers) -> {
          var json = new ByteWriter(256).u8('[');
          Sibling newest = greatest(registers.getFirst());
          for (RegisterState register : registers) {
            newest = greater(newest, greatest(register));
            byte[] element = Register.elementJson(register.key());
            if (element != null) {
              (json.size() > 1 ? json.u8(',') : json).bytes(element);
            }
          }
          var content = new Content(json.u8(']').toByteArray(), List.of());
          typed.add(new Typed(Register.at(Register.SET, path), path, content, newest));
        });
  }

  private static Sibling greatest(RegisterState register) {
    return Collections.max(register.siblings(), Sibling.BY_TIME);
  }

  /** A text, list or set as one value. */
  private record Typed(byte[] key, byte[] path, Content content, Sibling newest) {
    /** Puts it among the plain fields, as one sibling at its path. */
    void addTo(List<RegisterState> fields) {
      var sibling = new Sibling(newest.dot(), newest.timestamp(), content.json());
      byte[] field = Register.field(path);
      int at = 0;
      while (at < fields.size() && Arrays.compareUnsigned(fields.get(at).key(), field) < 0) {
        at++;
      }
      var siblings = new ArrayList<Sibling>();
      if (at < fields.size() && Arrays.equals(fields.get(at).key(), field)) {
        siblings.addAll(fields.remove(at).siblings());
      }
      siblings.add(sibling);
      fields.add(at, new RegisterState(field, siblings));
    }

    /** When it is shown, says so and adds the conflicts inside it. */
    void complete(DocumentView view) {
      int at = Collections.binarySearch(view.leaves, new Leaf(path, EMPTY_OBJECT));
      if (at >= 0 && isSame(view.leaves.get(at).value(), content.json())) {
        view.typed.add(key);
        for (Sibling loser : content.conflicts()) {
          view.conflicts.add(new Conflict(path, loser));
        }
      }
    }

    /** Whether the bytes come from the same register, not merely look the same. */
    @SuppressWarnings("ReferenceEquality")
    private static boolean isSame(byte[] shown, byte[] own) {
      return shown == own;
    }
  }

  /** The shown document as canonical JSON. */
  public byte[] json() {
    return CanonicalJson.join(leaves);
  }

  private static final class Builder {
    final ArrayList<Leaf> leaves = new ArrayList<>();
    final ArrayList<Conflict> conflicts = new ArrayList<>();

    /** Shows the registers {@code [from, to)}, which share their first {@code depthBytes} bytes. */
    void show(List<RegisterState> fields, int from, int to, int depthBytes) {
      for (int i = from; i < to; ) {
        RegisterState first = fields.get(i);
        boolean here = first.key().length - 1 == depthBytes;
        if (here && i + 1 == to) {
          value(first);
          return;
        }
        if (here) {
          contest(first, fields, i + 1, to, depthBytes);
          return;
        }
        int end = subtreeEnd(fields, i, to, depthBytes);
        show(fields, i, end, keyEnd(first.key(), depthBytes));
        i = end;
      }
    }

    /** A value at a path against the fields below it. */
    private void contest(
        RegisterState register, List<RegisterState> fields, int from, int to, int depthBytes) {
      Sibling below = greatest(fields, from, to);
      Sibling objectHere = greatestWhere(register, true);
      if (objectHere != null && Sibling.BY_TIME.compare(objectHere, below) > 0) {
        below = objectHere;
      }
      Sibling value = greatestWhere(register, false);
      if (value == null || Sibling.BY_TIME.compare(value, below) < 0) {
        for (Sibling sibling : register.siblings()) {
          if (!isObject(sibling)) {
            conflicts.add(new Conflict(register.path(), sibling));
          }
        }
        for (int i = from; i < to; ) {
          int end = subtreeEnd(fields, i, to, depthBytes);
          show(fields, i, end, keyEnd(fields.get(i).key(), depthBytes));
          i = end;
        }
      } else {
        value(register);
        for (int i = from; i < to; i++) {
          for (Sibling sibling : fields.get(i).siblings()) {
            conflicts.add(new Conflict(fields.get(i).path(), sibling));
          }
        }
      }
    }

    /** Shows one register on its own. */
    private void value(RegisterState register) {
      List<Sibling> siblings = register.siblings();
      if (siblings.size() == 1 && !siblings.getFirst().isIncrement()) {
        leaves.add(new Leaf(register.path(), siblings.getFirst().value()));
        return;
      }
      Sibling shown = null;
      Sibling lastIncrement = null;
      BigInteger sum = BigInteger.ZERO;
      for (Sibling sibling : siblings) {
        if (sibling.isIncrement()) {
          sum = sum.add(amount(sibling));
          lastIncrement = greater(lastIncrement, sibling);
        } else {
          shown = greater(shown, sibling);
        }
      }
      boolean counts =
          lastIncrement != null
              && (shown == null
                  || isInteger(shown.value())
                  || Sibling.BY_TIME.compare(lastIncrement, shown) > 0);
      byte[] value;
      if (counts) {
        boolean added = shown != null && isInteger(shown.value());
        BigInteger base =
            added && shown != null ? new BigInteger(text(shown.value())) : BigInteger.ZERO;
        value = clamped(base.add(sum)).getBytes(StandardCharsets.US_ASCII);
        if (!added) {
          shown = null;
        }
      } else if (shown != null) {
        value = shown.value();
      } else {
        throw new IllegalStateException("a register without siblings is not stored");
      }
      leaves.add(new Leaf(register.path(), value));
      for (Sibling sibling : siblings) {
        boolean joined = counts && sibling.isIncrement();
        if (!sibling.equals(shown) && !joined) {
          conflicts.add(new Conflict(register.path(), sibling));
        }
      }
    }

    private static @Nullable Sibling greatestWhere(RegisterState register, boolean object) {
      Sibling greatest = null;
      for (Sibling sibling : register.siblings()) {
        if (isObject(sibling) == object) {
          greatest = greater(greatest, sibling);
        }
      }
      return greatest;
    }

    private static Sibling greatest(List<RegisterState> fields, int from, int to) {
      Sibling greatest = fields.get(from).siblings().getFirst();
      for (int i = from; i < to; i++) {
        for (Sibling sibling : fields.get(i).siblings()) {
          greatest = greater(greatest, sibling);
        }
      }
      return greatest;
    }
  }

  private static Sibling greater(@Nullable Sibling a, Sibling b) {
    return a == null || Sibling.BY_TIME.compare(b, a) > 0 ? b : a;
  }

  static boolean isObject(Sibling sibling) {
    return Arrays.equals(sibling.value(), EMPTY_OBJECT);
  }

  static BigInteger amount(Sibling increment) {
    return new BigInteger(text(increment.value()).substring(1));
  }

  static String clamped(BigInteger value) {
    if (value.bitLength() < 64) {
      return value.toString();
    }
    return Long.toString(value.signum() < 0 ? Long.MIN_VALUE : Long.MAX_VALUE);
  }

  static boolean isInteger(byte[] value) {
    for (int i = 0; i < value.length; i++) {
      if ((value[i] < '0' || value[i] > '9') && !(i == 0 && value[i] == '-')) {
        return false;
      }
    }
    return value.length > 0;
  }

  private static String text(byte[] value) {
    return new String(value, StandardCharsets.UTF_8);
  }

  // Keys are a space byte and a path; depthBytes counts path bytes.
  private static int keyEnd(byte[] key, int depthBytes) {
    int i = depthBytes + 1;
    while (key[i] != 0) {
      i++;
    }
    return i;
  }

  private static int subtreeEnd(List<RegisterState> fields, int from, int to, int depthBytes) {
    byte[] key = fields.get(from).key();
    int end = keyEnd(key, depthBytes) + 1;
    int next = from + 1;
    while (next < to
        && fields.get(next).key().length >= end
        && Arrays.mismatch(key, 0, end, fields.get(next).key(), 0, end) < 0) {
      next++;
    }
    return next;
  }

  /** Whether {@code leaf} is shown. */
  public boolean shows(Leaf leaf) {
    int at = Collections.binarySearch(leaves, leaf);
    return at >= 0 && leaves.get(at).equals(leaf);
  }

  /** Whether something is shown at {@code path} itself. */
  public boolean showsAt(byte[] path) {
    return Collections.binarySearch(leaves, new Leaf(path, EMPTY_OBJECT)) >= 0;
  }

  /** Whether something is shown at {@code path} or below it. */
  boolean showsBelow(byte[] path) {
    int at = Collections.binarySearch(leaves, new Leaf(path, EMPTY_OBJECT));
    int next = at < 0 ? -at - 1 : at;
    return next < leaves.size() && Path.isWithin(leaves.get(next).path(), path);
  }

  /** The object keys of a conflict's path, joined by dots, for people. */
  public static String pathText(Conflict conflict) {
    return Path.text(conflict.path());
  }
}
