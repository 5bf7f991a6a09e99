package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.store.ChangeLog.Arrived;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.JoinedRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Staging.StagedDocument;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Keeps what counts of each actor in step with the membership: the state, the frontier and the
 * fingerprint are those of the changes up to each actor's limit, whichever a replica had applied
 * before it heard. Changes beyond stay in the log, void; when the limit moves they count again.
 */
final class Limits {
  private final Storage storage;
  private final ReplicaIdentity identity;
  private final ChangeLog log;
  private final OpenSequences sequences;

  Limits(Storage storage, ReplicaIdentity identity, ChangeLog log, OpenSequences sequences) {
    this.storage = storage;
    this.identity = identity;
    this.log = log;
    this.sequences = sequences;
  }

  /** Up to where an actor counts in the staged membership, or null without end. */
  @Nullable Head limit(Staging staging, ActorId actor, byte[] device) {
    if (isOwnBeforeAdmission(staging, device)) {
      return null;
    }
    return staging.membership.limit(actor, device);
  }

  /**
   * A device that was just let in has not seen the membership log yet: its first writes count once
   * the others have its entry, which they have before its changes.
   */
  private boolean isOwnBeforeAdmission(Staging staging, byte[] device) {
    return Arrays.equals(device, identity.signer().publicKey())
        && staging.membership.role(device) == null
        && staging.membership.lastAdmission(device) == null
        && staging.membership.removals(device).isEmpty();
  }

  /**
   * Whether a dependency needs no waiting for: the change is void, and everything of its actor that
   * counts is here.
   */
  boolean isSkipped(Staging staging, ActorId actor, long seq) {
    ActorRow row = staging.actor(actor);
    if (row == null) {
      return false;
    }
    Head limit = limit(staging, actor, row.genesis().deviceKey());
    return limit != null && limit.seq() < seq && row.head().seq() >= limit.seq();
  }

  /** Remembers that a change was let through although it depends on a void one. */
  void skip(Staging staging, ActorId actor, long seq) {
    ActorRow row = staging.actor(actor);
    if (row != null) {
      VoidRow known = staging.voidRow(actor);
      staging.voids.put(actor, (known == null ? VoidRow.of(row) : known).skipping(seq));
    }
  }

  /** Remembers whose an actor is of which nothing is here and nothing counts. */
  boolean learn(Staging staging, Genesis genesis) {
    ActorId actor = genesis.actor(identity.database());
    if (staging.actor(actor) != null) {
      return false;
    }
    Head limit = limit(staging, actor, genesis.deviceKey());
    if (limit == null || limit.seq() > 0) {
      return false;
    }
    staging.actors.put(actor, new ActorRow(new Head(0, Hash.ZERO), -1, genesis));
    staging.changes++;
    return true;
  }

  /**
   * Moves the heads to where the staged membership has them. Nothing but entries may be staged.
   *
   * @return whether anything moved
   */
  boolean settle(Staging staging) {
    Set<DocumentKey> touched = new LinkedHashSet<>();
    boolean moved = false;
    Floor floor = log.storedFloor();
    boolean clean = staging.log.arrivals() == staging.committedArrivals();
    for (ActorId actor : staging.allActors()) {
      ActorRow row = staging.actor(actor);
      if (row == null) {
        continue;
      }
      VoidRow known = staging.voidRow(actor);
      Head tail = known == null ? row.head() : known.tail();
      Head limit = limit(staging, actor, row.genesis().deviceKey());
      long from = row.head().seq();
      // What left the log cannot be taken back; nobody accepts less who had acknowledged it.
      long to =
          limit == null
              ? tail.seq()
              : Math.max(floor.seq(actor), Math.min(limit.seq(), tail.seq()));
      if (from == to) {
        continue;
      }
      if (!clean) {
        throw new IllegalStateException("changes are staged: commit them before the membership");
      }
      moved = true;
      VoidRow all = known == null ? VoidRow.of(row) : known;
      staging.voids.put(actor, all.skipping(tail.seq()));
      staging.actors.put(actor, rowAt(actor, to, row.genesis(), all));
      staging.undeclared.add(actor);
      touched.addAll(touchedBy(actor, Math.min(from, to) + 1, Math.max(from, to)));
      staging.changes++;
    }
    if (!touched.isEmpty()) {
      rebuild(staging, touched);
      staging.log.joined(new JoinedRow(touched.stream().map(id -> id.bytes).toList()));
    }
    return moved;
  }

  private ActorRow rowAt(ActorId actor, long seq, Genesis genesis, VoidRow all) {
    if (seq == 0) {
      return new ActorRow(new Head(0, Hash.ZERO), -1, genesis);
    }
    if (seq == all.tail().seq()) {
      return new ActorRow(all.tail(), all.timestamp(), genesis);
    }
    ChangeLog.Place place = log.place(identity.database(), actor, seq);
    return new ActorRow(new Head(seq, place.hash()), place.timestamp(), genesis);
  }

  private Set<DocumentKey> touchedBy(ActorId actor, long from, long to) {
    var touched = new LinkedHashSet<DocumentKey>();
    log.changes(
        actor,
        from,
        to,
        arrived -> {
          if (arrived.change().omitted() == null) {
            for (DocumentEdit edit : ChangeBody.decode(actor, arrived.change().body())) {
              touched.add(new DocumentKey(edit.id()));
            }
          }
        });
    return touched;
  }

  /**
   * Makes the documents anew in which changes name what a snapshot brings: they were let through
   * while that was void, and removed it before it was here. For the last commit of joining.
   */
  void settleJoined(Staging staging, Joining joining) {
    Set<DocumentKey> touched = new LinkedHashSet<>();
    for (ActorId actor : staging.allActors()) {
      if (staging.seq(actor) <= joining.floorSeq(actor)) {
        continue;
      }
      log.changes(
          actor,
          joining.floorSeq(actor) + 1,
          staging.seq(actor),
          arrived -> {
            if (arrived.change().omitted() == null) {
              for (DocumentEdit edit : ChangeBody.decode(actor, arrived.change().body())) {
                if (edit.operations().stream().anyMatch(each -> names(each, joining))) {
                  touched.add(new DocumentKey(edit.id()));
                }
              }
            }
          });
    }
    if (!touched.isEmpty()) {
      staging.keepsBase = false;
      rebuild(staging, touched, joining::floorSeq);
      staging.log.joined(new JoinedRow(touched.stream().map(id -> id.bytes).toList()));
    }
  }

  private static boolean names(CrdtOperation operation, Joining joining) {
    return operation.namedDots().stream().anyMatch(dot -> joining.brings(dot.actor(), dot.seq()))
        || (operation instanceof CrdtOperation.ListDelete delete
            && delete.seen().stream().anyMatch(last -> joining.bringsSome(last.actor())))
        || (operation instanceof CrdtOperation.OnSequence onSequence
            && onSequence.namedElements().stream()
                .anyMatch(element -> joining.bringsSome(element.actor())));
  }

  /** Makes documents anew from the base, the log, and what is staged. */
  void rebuild(Staging staging, Set<DocumentKey> wanted) {
    rebuild(staging, wanted, log.storedFloor()::seq);
  }

  private void rebuild(Staging staging, Set<DocumentKey> wanted, ToLongFunction<ActorId> floor) {
    var rebuild = new Rebuild(sequences);
    try (var snapshot = storage.snapshot()) {
      var base = new Base(snapshot, floor);
      for (DocumentKey id : wanted) {
        Base.Document begun = base.document(id.bytes);
        sequences.beginAnew(id.bytes, begun.sequences());
        DocumentState state =
            begun.row() == null ? new DocumentState() : DocumentState.read(begun.row());
        // All rows of its texts and lists are written anew, and added then.
        state.sequenceSum(Fingerprint.ZERO);
        rebuild.want(id, state);
      }
    }
    log.touching(
        wanted.stream().map(id -> id.bytes).toList(),
        change -> {
          if (change.seq() > floor.applyAsLong(change.actor())) {
            add(staging, rebuild, change);
          }
        });
    staging.recent.forEach(change -> add(staging, rebuild, change));
    for (Map.Entry<DocumentKey, DocumentState> made : rebuild.documents().entrySet()) {
      StagedDocument before = staging.document(made.getKey());
      staging.documents.put(
          made.getKey(), new StagedDocument(made.getValue(), before.before(), before.existed()));
    }
  }

  private static void add(Staging staging, Rebuild rebuild, Arrived change) {
    if (change.seq() <= staging.seq(change.actor())) {
      VoidRow known = staging.voidRow(change.actor());
      rebuild.add(change, known != null && change.seq() <= known.skipped());
    }
  }
}
