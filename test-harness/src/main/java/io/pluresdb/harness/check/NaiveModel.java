package io.pluresdb.harness.check;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.Register;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;

/**
 * The meaning of a set of changes, told twice and naively.
 *
 * <p>Once by dots: a document is all dots ever made in it, less all dots that some operation names
 * as observed. Once by causality: a document exists when some write of it lies in the past of no
 * delete. Neither depends on order, so hand in the changes in any causal one.
 */
public final class NaiveModel {
  private record Event(ActorId actor, long seq, Map<ActorId, Long> past) {
    boolean isBefore(Event other) {
      return other.past.getOrDefault(actor, 0L) >= seq;
    }
  }

  /** A dot in a register: naming it as observed in another one means nothing. */
  private record Placed(String register, Dot dot) implements Comparable<Placed> {
    static Placed at(byte[] register, Dot dot) {
      return new Placed(new String(register, StandardCharsets.ISO_8859_1), dot);
    }

    @Override
    public int compareTo(Placed other) {
      int order = dot.compareTo(other.dot);
      return order != 0 ? order : register.compareTo(other.register);
    }
  }

  private static final class Document {
    final TreeSet<Placed> made = new TreeSet<>();
    final TreeSet<Placed> observed = new TreeSet<>();
    final List<Event> writes = new ArrayList<>();
    final List<Event> deletes = new ArrayList<>();

    /** Whether somebody wrote here who does not name all that he saw. */
    boolean causalityUnknown;
  }

  /**
   * What a change had seen and it itself.
   *
   * @param isWhole false when it may have seen more
   */
  private record Past(Map<ActorId, Long> seqs, boolean isWhole) {}

  private final TreeMap<String, Document> documents = new TreeMap<>();
  private final TreeMap<Ledger.Key, Past> pasts = new TreeMap<>();
  private final TreeMap<Ledger.Key, List<Change>> known = new TreeMap<>();

  /** Takes note of a change, whether it counts or not: others may have seen more by way of it. */
  void know(ActorId actor, long seq, Change change) {
    known.computeIfAbsent(new Ledger.Key(actor, seq), k -> new ArrayList<>()).add(change);
  }

  /** Takes in a change whose past has been taken in. */
  public void apply(ActorId actor, long seq, Change change) {
    apply(actor, seq, change, false);
  }

  /**
   * Takes in a change whose past has been taken in.
   *
   * @param dotsOnly whether the author may hide what it saw, or others did not see what it did
   *     though their past says so; then its documents are told by dots only
   */
  void apply(ActorId actor, long seq, Change change, boolean dotsOnly) {
    var past = new TreeMap<ActorId, Long>();
    boolean isWhole = mergePast(past, actor, seq, change);
    var upTo = new TreeMap<>(past);
    upTo.put(actor, seq);
    pasts.put(new Ledger.Key(actor, seq), new Past(upTo, isWhole));
    var event = new Event(actor, seq, past);
    int index = 0;
    for (DocumentEdit edit : ChangeBody.decode(actor, change.body())) {
      String id = new String(edit.id(), StandardCharsets.UTF_8);
      Document document = documents.computeIfAbsent(id, i -> new Document());
      document.causalityUnknown |= dotsOnly || !isWhole;
      for (CrdtOperation operation : edit.operations()) {
        boolean existence = operation.register()[0] == Register.EXISTS;
        switch (operation) {
          case CrdtOperation.Assign(var register, var observed, var value) -> {
            observed.forEach(dot -> document.observed.add(Placed.at(register, dot)));
            if (existence) {
              document.writes.add(event);
            }
          }
          case CrdtOperation.Remove(var register, var observed) -> {
            observed.forEach(dot -> document.observed.add(Placed.at(register, dot)));
            if (existence) {
              document.deletes.add(event);
            }
          }
          case CrdtOperation.Increment increment -> {}
          // What it does inside the sequence is compared on replay, as rows.
          case CrdtOperation.OnSequence onSequence ->
              onSequence
                  .observed()
                  .forEach(dot -> document.observed.add(Placed.at(onSequence.register(), dot)));
          case CrdtOperation.Unknown unknown -> {}
        }
        if (operation.makesDot()) {
          document.made.add(Placed.at(operation.register(), new Dot(actor, seq, index++)));
        }
      }
    }
  }

  /**
   * Takes note of a change that does not count. Who saw it may have overwritten by way of it what
   * counts, and that counts again: its documents are told by dots only.
   */
  void ignore(ActorId actor, Change change) {
    for (DocumentEdit edit : ChangeBody.decode(actor, change.body())) {
      String id = new String(edit.id(), StandardCharsets.UTF_8);
      documents.computeIfAbsent(id, i -> new Document()).causalityUnknown = true;
    }
  }

  /** Adds what a change had seen; false when that is not known in full. */
  private boolean mergePast(Map<ActorId, Long> past, ActorId actor, long seq, Change change) {
    boolean isWhole = merge(past, actor, seq - 1);
    for (Change.Dependency dependency : change.deps()) {
      isWhole &= merge(past, dependency.actor(), dependency.seq());
    }
    return isWhole;
  }

  /** Adds a change, whether it counts or not, and what it had seen. */
  private boolean merge(Map<ActorId, Long> past, ActorId actor, long seq) {
    if (seq == 0) {
      return true;
    }
    var key = new Ledger.Key(actor, seq);
    Past seen = pasts.get(key);
    if (seen == null) {
      seen = pastOfVoid(key);
      pasts.put(key, seen);
    }
    seen.seqs.forEach((other, last) -> past.merge(other, last, Math::max));
    return seen.isWhole;
  }

  private Past pastOfVoid(Ledger.Key key) {
    var upTo = new TreeMap<ActorId, Long>();
    List<Change> variants = known.getOrDefault(key, List.of());
    // Of two branches of one actor it is not told which was seen.
    boolean isWhole =
        variants.size() == 1 && mergePast(upTo, key.actor(), key.seq(), variants.getFirst());
    upTo.put(key.actor(), key.seq());
    return new Past(upTo, isWhole);
  }

  /** By causality: whether some write of the document lies in the past of no delete. */
  boolean exists(String id) {
    Document document = documents.get(id);
    return document != null
        && document.writes.stream()
            .anyMatch(write -> document.deletes.stream().noneMatch(write::isBefore));
  }

  /** Whether {@link #exists} knows about the document. */
  boolean isCausal(String id) {
    Document document = documents.get(id);
    return document == null || !document.causalityUnknown;
  }

  /** By dots: what survives. */
  Set<Dot> dots(String id) {
    Document document = documents.get(id);
    var dots = new TreeSet<Dot>();
    if (document != null) {
      for (Placed made : document.made) {
        if (!document.observed.contains(made)) {
          dots.add(made.dot);
        }
      }
    }
    return dots;
  }

  /** Documents that exist. */
  List<String> existing() {
    return documents.keySet().stream().filter(this::isCausal).filter(this::exists).toList();
  }
}
