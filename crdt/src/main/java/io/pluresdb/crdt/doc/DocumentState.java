package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.reconcile.Fingerprint;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * The surviving dots of one document: a set of multi-value registers in ascending order of keys.
 *
 * <p>The encoding is canonical: two replicas with the same operations hold the same bytes.
 *
 * <pre>
 * row      := version u8 = 1 or 2 | contexts varint | context * | registers varint | register *
 *             | sum 32 in version 2
 * context  := actor 16 | seq varint | timestamp u64                      ascending, only used ones
 * register := keyLength varint | key | siblings varint | sibling *       ascending, none empty
 * sibling  := context index varint | dot index varint | valueLength varint | value   ascending
 * </pre>
 *
 * The sum is that of the keyed hashes of the document's sequence rows, so equal document rows mean
 * equal texts and lists. A document without such rows has version 1.
 *
 * <p>Mutable, and owned by one thread.
 */
public final class DocumentState {
  private static final int VERSION = 1;
  private static final int WITH_SEQUENCES = 2;
  private static final byte[] NOTHING = {};
  private static final int MAX_REGISTERS = 1 << 22;

  /** A register with its siblings in ascending order of dots; never empty. */
  public record RegisterState(byte[] key, List<Sibling> siblings) {
    public boolean isField() {
      return key[0] == Register.FIELD;
    }

    public byte[] path() {
      return Register.path(key);
    }

    /** The dots an author who reads this register observes. */
    public List<Dot> dots() {
      var dots = new ArrayList<Dot>(siblings.size());
      for (Sibling sibling : siblings) {
        dots.add(sibling.dot());
      }
      return dots;
    }
  }

  private final List<RegisterState> registers;
  private Fingerprint sequenceSum;

  public DocumentState() {
    this(new ArrayList<>(), Fingerprint.ZERO);
  }

  /** Takes over registers in ascending order of keys, none of them empty. */
  DocumentState(List<RegisterState> registers, Fingerprint sequenceSum) {
    this.registers = registers;
    this.sequenceSum = sequenceSum;
  }

  /** What the rows of all sequences of the document add up to, deleted ones included. */
  public Fingerprint sequenceSum() {
    return sequenceSum;
  }

  public void sequenceSum(Fingerprint sum) {
    sequenceSum = sum;
  }

  /** A copy that can change without changing this one. */
  public DocumentState copy() {
    var copy = new ArrayList<RegisterState>(registers.size());
    for (RegisterState register : registers) {
      copy.add(new RegisterState(register.key, new ArrayList<>(register.siblings)));
    }
    return new DocumentState(copy, sequenceSum);
  }

  /** What is left of this state when only some dots had ever been made. */
  public DocumentState where(Predicate<Dot> made) {
    var kept = new ArrayList<RegisterState>();
    for (RegisterState register : registers) {
      var siblings = new ArrayList<>(register.siblings);
      siblings.removeIf(sibling -> !made.test(sibling.dot()));
      if (!siblings.isEmpty()) {
        kept.add(new RegisterState(register.key, siblings));
      }
    }
    return new DocumentState(kept, sequenceSum);
  }

  /** Registers in ascending order of keys; do not modify. */
  public List<RegisterState> registers() {
    return registers;
  }

  public @Nullable RegisterState register(byte[] key) {
    int at = find(key);
    return at < 0 ? null : registers.get(at);
  }

  /** Whether any assignment of existence survives. */
  public boolean exists() {
    return !registers.isEmpty() && isExistence(registers.getFirst().key);
  }

  static boolean isExistence(byte[] register) {
    return register[0] == Register.EXISTS;
  }

  /** Whether it has a text or list, whose content is in rows of its own. */
  public boolean hasSequences() {
    for (RegisterState register : registers) {
      if (Register.isSequence(register.key)) {
        return true;
      }
    }
    return false;
  }

  /** Whether nothing at all is left, so that no row is needed. */
  public boolean isEmpty() {
    return registers.isEmpty() && sequenceSum.equals(Fingerprint.ZERO);
  }

  /**
   * Applies one operation.
   *
   * @param dot the dot it makes; ignored by one that makes none
   * @param timestamp hybrid time of its change
   */
  public void apply(CrdtOperation operation, Dot dot, long timestamp) {
    switch (operation) {
      case CrdtOperation.Assign(var register, var observed, var value) ->
          replace(register, observed, new Sibling(dot, timestamp, value));
      case CrdtOperation.Remove(var register, var observed) -> replace(register, observed, null);
      case CrdtOperation.Increment(var register, var amount) -> {
        byte[] value = ("+" + amount).getBytes(StandardCharsets.US_ASCII);
        replace(register, List.of(), new Sibling(dot, timestamp, value));
      }
      // What it does inside the sequence is in the sequence's rows.
      case CrdtOperation.OnSequence edit when edit.makesDot() ->
          replace(edit.register(), edit.observed(), new Sibling(dot, timestamp, NOTHING));
      case CrdtOperation.OnSequence edit -> {}
      case CrdtOperation.Unknown unknown -> {}
    }
  }

  private void replace(byte[] key, List<Dot> observed, @Nullable Sibling added) {
    int at = find(key);
    if (at < 0) {
      if (added != null) {
        var siblings = new ArrayList<Sibling>(1);
        siblings.add(added);
        registers.add(-at - 1, new RegisterState(key, siblings));
      }
      return;
    }
    List<Sibling> siblings = registers.get(at).siblings;
    if (!observed.isEmpty()) {
      Collection<Dot> gone = observed.size() > 8 ? new HashSet<>(observed) : observed;
      siblings.removeIf(sibling -> gone.contains(sibling.dot()));
    }
    if (added != null) {
      int position = siblings.size();
      while (position > 0 && siblings.get(position - 1).dot().compareTo(added.dot()) > 0) {
        position--;
      }
      siblings.add(position, added);
    }
    if (siblings.isEmpty()) {
      registers.remove(at);
    }
  }

  private int find(byte[] key) {
    int low = 0;
    int high = registers.size() - 1;
    // Fresh documents are written in ascending order: look at the end first.
    if (high >= 0 && Arrays.compareUnsigned(registers.get(high).key, key) < 0) {
      return -registers.size() - 1;
    }
    while (low <= high) {
      int middle = (low + high) >>> 1;
      int order = Arrays.compareUnsigned(registers.get(middle).key, key);
      if (order < 0) {
        low = middle + 1;
      } else if (order > 0) {
        high = middle - 1;
      } else {
        return middle;
      }
    }
    return -low - 1;
  }

  private record Context(ActorId actor, long seq) implements Comparable<Context> {
    @Override
    public int compareTo(Context other) {
      int order = actor.compareTo(other.actor);
      return order != 0 ? order : Long.compare(seq, other.seq);
    }
  }

  private static final class Slot {
    final long timestamp;
    int index;

    Slot(long timestamp) {
      this.timestamp = timestamp;
    }
  }

  public void write(ByteWriter out) {
    Dot single = singleContext();
    int version = sequenceSum.equals(Fingerprint.ZERO) ? VERSION : WITH_SEQUENCES;
    if (single != null) {
      long timestamp = registers.getFirst().siblings.getFirst().timestamp();
      writeHead(out, version, single.actor(), single.seq(), timestamp);
      writeRegisters(out, null);
    } else {
      var contexts = new TreeMap<Context, Slot>();
      for (RegisterState register : registers) {
        for (Sibling sibling : register.siblings) {
          contexts.computeIfAbsent(
              new Context(sibling.dot().actor(), sibling.dot().seq()),
              c -> new Slot(sibling.timestamp()));
        }
      }
      out.u8(version).varint(contexts.size());
      int index = 0;
      for (var entry : contexts.entrySet()) {
        entry.getKey().actor.write(out);
        out.varint(entry.getKey().seq).i64(entry.getValue().timestamp);
        entry.getValue().index = index++;
      }
      writeRegisters(out, contexts);
    }
    if (!sequenceSum.equals(Fingerprint.ZERO)) {
      sequenceSum.write(out);
    }
  }

  /** What a row begins with whose siblings one change made, and that has no sequences. */
  static void writeHead(ByteWriter out, ActorId actor, long seq, long timestamp) {
    writeHead(out, VERSION, actor, seq, timestamp);
  }

  private static void writeHead(
      ByteWriter out, int version, ActorId actor, long seq, long timestamp) {
    out.u8(version).varint(1);
    actor.write(out);
    out.varint(seq).i64(timestamp);
  }

  /** Bytes that {@link #writeHead} takes. */
  static int headBytes(long seq) {
    return 2 + ActorId.BYTES + ByteWriter.varintBytes(seq) + Long.BYTES;
  }

  /** Bytes that {@link #writeSibling} takes in the first context. */
  static int siblingBytes(int index, byte[] value) {
    return 1 + ByteWriter.varintBytes(index) + ByteWriter.blockBytes(value);
  }

  static void writeSibling(ByteWriter out, int context, int index, byte[] value) {
    out.varint(context).varint(index).block(value);
  }

  private void writeRegisters(ByteWriter out, @Nullable Map<Context, Slot> contexts) {
    out.varint(registers.size());
    for (RegisterState register : registers) {
      out.block(register.key).varint(register.siblings.size());
      for (Sibling sibling : register.siblings) {
        Dot dot = sibling.dot();
        Slot slot = contexts == null ? null : contexts.get(new Context(dot.actor(), dot.seq()));
        writeSibling(out, slot == null ? 0 : slot.index, dot.index(), sibling.value());
      }
    }
  }

  /** The dot whose change made every sibling, or null: most documents were written once. */
  private @Nullable Dot singleContext() {
    Dot first = null;
    for (RegisterState register : registers) {
      for (Sibling sibling : register.siblings) {
        Dot dot = sibling.dot();
        if (first == null) {
          first = dot;
        } else if (first.seq() != dot.seq() || !first.actor().equals(dot.actor())) {
          return null;
        }
      }
    }
    return first;
  }

  /** Says something of a change. */
  public interface ChangeTest {
    boolean test(ActorId actor, long seq);
  }

  /**
   * Whether any change that made a sibling of a row passes; reads no more of it than that takes.
   *
   * @throws CodecException when it is not a row
   */
  public static boolean anyChange(byte[] row, ChangeTest test) {
    var in = new ByteReader(row);
    in.u8();
    int count = in.count("contexts of a document", MAX_REGISTERS);
    for (int i = 0; i < count; i++) {
      ActorId actor = ActorId.read(in);
      long seq = in.varint();
      in.i64();
      if (test.test(actor, seq)) {
        return true;
      }
    }
    return false;
  }

  public byte[] toByteArray() {
    var out = new ByteWriter(256);
    write(out);
    return out.toByteArray();
  }

  /**
   * Decodes a row.
   *
   * @throws CodecException when it is not one
   */
  public static DocumentState read(byte[] row) {
    var in = new ByteReader(row);
    int version = in.u8();
    if (version != VERSION && version != WITH_SEQUENCES) {
      throw new CodecException("document row version must be 1 or 2, but is " + version);
    }
    int contextCount = in.count("contexts of a document", MAX_REGISTERS);
    var actors = new ArrayList<ActorId>(Math.min(contextCount, 16));
    long[] seqs = new long[Math.min(contextCount, row.length)];
    long[] timestamps = new long[seqs.length];
    for (int i = 0; i < contextCount; i++) {
      actors.add(ActorId.read(in));
      seqs[i] = in.varint();
      timestamps[i] = in.i64();
    }
    int registerCount = in.count("registers of a document", MAX_REGISTERS);
    var registers = new ArrayList<RegisterState>(Math.min(registerCount, 1_024));
    for (int i = 0; i < registerCount; i++) {
      byte[] key = in.block("register bytes", row.length);
      int siblingCount = in.count("siblings of a register", MAX_REGISTERS);
      var siblings = new ArrayList<Sibling>(Math.min(siblingCount, 16));
      for (int j = 0; j < siblingCount; j++) {
        int context = in.count("context index", contextCount - 1);
        int index = in.count("dot index", Integer.MAX_VALUE);
        byte[] value = in.block("value bytes", row.length);
        siblings.add(
            new Sibling(
                new Dot(actors.get(context), seqs[context], index), timestamps[context], value));
      }
      registers.add(new RegisterState(key, siblings));
    }
    Fingerprint sum = version == VERSION ? Fingerprint.ZERO : Fingerprint.read(in);
    in.end();
    return new DocumentState(registers, sum);
  }

  /** The join of the dots of all surviving operations: each actor with its greatest seq. */
  public NavigableMap<ActorId, Long> clock() {
    var clock = new TreeMap<ActorId, Long>();
    for (RegisterState register : registers) {
      for (Sibling sibling : register.siblings) {
        clock.merge(sibling.dot().actor(), sibling.dot().seq(), Math::max);
      }
    }
    return clock;
  }

  /** The greatest surviving hybrid timestamp, 0 when nothing survives. */
  public long timestamp() {
    long greatest = 0;
    for (RegisterState register : registers) {
      for (Sibling sibling : register.siblings) {
        greatest = Math.max(greatest, sibling.timestamp());
      }
    }
    return greatest;
  }
}
