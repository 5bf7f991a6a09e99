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

  private final TreeMap<String, Document> documents = new TreeMap<>();
  private final TreeMap<Ledger.Key, Map<ActorId, Long>> pasts = new TreeMap<>();

  /** Takes in a change whose past has been taken in. */
  public void apply(ActorId actor, long seq, Change change) {
    apply(actor, seq, change, false);
  }

  /**
   * Takes in a change whose past has been taken in.
   *
   * @param liar whether the author may hide what it saw; then its documents are told by dots only
   */
  void apply(ActorId actor, long seq, Change change, boolean liar) {
    var past = new TreeMap<ActorId, Long>();
    merge(past, actor, seq - 1);
    for (Change.Dependency dependency : change.deps()) {
      merge(past, dependency.actor(), dependency.seq());
    }
    var upTo = new TreeMap<>(past);
    upTo.put(actor, seq);
    pasts.put(new Ledger.Key(actor, seq), upTo);
    var event = new Event(actor, seq, past);
    int index = 0;
    for (DocumentEdit edit : ChangeBody.decode(actor, change.body())) {
      String id = new String(edit.id(), StandardCharsets.UTF_8);
      Document document = documents.computeIfAbsent(id, i -> new Document());
      document.causalityUnknown |= liar;
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

  private void merge(Map<ActorId, Long> past, ActorId actor, long seq) {
    if (seq > 0) {
      pasts
          .getOrDefault(new Ledger.Key(actor, seq), Map.of())
          .forEach((other, known) -> past.merge(other, known, Math::max));
    }
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
