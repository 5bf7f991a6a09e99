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

  private static final class Document {
    final TreeSet<Dot> made = new TreeSet<>();
    final TreeSet<Dot> observed = new TreeSet<>();
    final List<Event> writes = new ArrayList<>();
    final List<Event> deletes = new ArrayList<>();
  }

  private final TreeMap<String, Document> documents = new TreeMap<>();
  private final TreeMap<Ledger.Key, Map<ActorId, Long>> pasts = new TreeMap<>();

  /** Takes in a change whose past has been taken in. */
  public void apply(ActorId actor, long seq, Change change) {
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
      for (CrdtOperation operation : edit.operations()) {
        boolean existence = operation.register()[0] == Register.EXISTS;
        switch (operation) {
          case CrdtOperation.Assign(var register, var observed, var value) -> {
            document.observed.addAll(observed);
            if (existence) {
              document.writes.add(event);
            }
          }
          case CrdtOperation.Remove(var register, var observed) -> {
            document.observed.addAll(observed);
            if (existence) {
              document.deletes.add(event);
            }
          }
          case CrdtOperation.Increment increment -> {}
          case CrdtOperation.OnSequence onSequence ->
              document.observed.addAll(onSequence.observed());
          case CrdtOperation.Unknown unknown -> {}
        }
        if (operation.makesDot()) {
          document.made.add(new Dot(actor, seq, index++));
        }
      }
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

  /** By dots: what survives. */
  Set<Dot> dots(String id) {
    Document document = documents.get(id);
    var dots = new TreeSet<Dot>();
    if (document != null) {
      dots.addAll(document.made);
      dots.removeAll(document.observed);
    }
    return dots;
  }

  /** Documents that exist. */
  List<String> existing() {
    return documents.keySet().stream().filter(this::exists).toList();
  }
}
