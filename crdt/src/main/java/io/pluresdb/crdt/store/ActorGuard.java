package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.store.Committed.Own;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.Arrays;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Keeps an actor from being used twice: compares the storage with the anchor when it is opened, and
 * moves the anchor before anything is published. What nobody else has seen is only noted: power
 * loss may take the note, not the end of the process.
 */
final class ActorGuard {
  private final Storage storage;
  private final Anchor anchor;
  private final byte[] instance;

  /** Whether the storage says that unsynced changes may have been published. */
  private boolean relaxedMarked;

  /** Whether the anchor is past the commit that made that mark: older copies are behind it. */
  private boolean recordedMark;

  /** Whether this storage may be an earlier one that took the place of another. */
  private boolean behind;

  /** What the anchor says, if it was recorded since the start: before, it may be only noted. */
  private Anchor.@Nullable Mark recorded;

  ActorGuard(Storage storage, Anchor anchor, byte[] instance) {
    this.storage = storage;
    this.anchor = anchor;
    this.instance = instance;
  }

  /** The stored actor if it may go on writing; null when there is none or it was given up now. */
  @Nullable Own resume(
      Hash database, byte[] deviceKey, Map<ActorId, ActorRow> actors, ChangeLog log) {
    byte[] nonce = storage.get(Table.META, Rows.META_ACTOR);
    relaxedMarked = storage.get(Table.META, Rows.META_RELAXED) != null;
    behind = storage.get(Table.META, Rows.META_BEHIND) != null;
    Anchor.Reading reading = anchor.read();
    if (nonce == null) {
      behind |= isAheadOf(actors, reading);
      return null;
    }
    var genesis = new Genesis(deviceKey, nonce);
    ActorId actor = genesis.actor(database);
    ActorRow row = actors.get(actor);
    // An actor without a change here may have one elsewhere: this may be a backup from just before.
    boolean trusted =
        row != null
            && switch (reading) {
              case Anchor.Reading.Missing() -> false;
              case Anchor.Reading.Damaged(var detail) -> false;
              case Anchor.Reading.Valid(var mark) ->
                  agrees(mark, log.hashOf(database, actor, mark.seq()), actor, row);
            };
    if (trusted && !relaxedMarked) {
      return new Own(actor, genesis);
    }
    behind |= !trusted;
    fence();
    return null;
  }

  /** Whether the anchor knows, or may have known, more than a storage that has no actor. */
  private boolean isAheadOf(Map<ActorId, ActorRow> actors, Anchor.Reading reading) {
    return switch (reading) {
      case Anchor.Reading.Missing() -> !actors.isEmpty();
      case Anchor.Reading.Damaged(var detail) -> true;
      case Anchor.Reading.Valid(var mark) -> {
        ActorRow row = actors.get(mark.actor());
        yield !Arrays.equals(mark.instance(), instance)
            || row == null
            || row.head().seq() < mark.seq();
      }
    };
  }

  private boolean agrees(Anchor.Mark mark, @Nullable Hash here, ActorId actor, ActorRow row) {
    // A longer log is not enough: a copy may hold changes that were never shown, beside others of
    // the same numbers that were, after an earlier copy had been restored.
    return Arrays.equals(mark.instance(), instance)
        && mark.actor().equals(actor)
        && row.head().seq() >= mark.seq()
        && mark.headHash().equals(here);
  }

  private void fence() {
    try (var batch = storage.newBatch()) {
      batch.delete(Table.META, Rows.META_ACTOR);
      batch.delete(Table.META, Rows.META_RELAXED);
      if (behind) {
        batch.put(Table.META, Rows.META_BEHIND, new byte[] {1});
      }
      storage.commit(batch, Durability.SYNCED);
    }
    relaxedMarked = false;
  }

  /** Whether others may have cut off their logs what this storage had and lost. */
  boolean isBehind() {
    return behind;
  }

  /** What this storage had and lost is here again. */
  void caughtUp() {
    try (var batch = storage.newBatch()) {
      batch.delete(Table.META, Rows.META_BEHIND);
      storage.commit(batch, Durability.BUFFERED);
    }
    behind = false;
  }

  /**
   * Adds to a batch with unsynced changes of our own what lets the next start know of them.
   *
   * @return whether the batch must be synced: then the mark is on disk before the first unsynced
   *     change can be published
   */
  boolean markRelaxed(Storage.Batch batch) {
    if (relaxedMarked) {
      return false;
    }
    batch.put(Table.META, Rows.META_RELAXED, new byte[] {1});
    return true;
  }

  /** The batch with the mark is committed. */
  void relaxedCommitted() {
    relaxedMarked = true;
  }

  /** An actor's newest row is on disk; nothing of it has been shown to others. */
  void onDisk(ActorId actor, ActorRow row) {
    if (knows(actor)) {
      note(actor, row);
    } else {
      // An actor that is not in the anchor would be given up at the next start.
      record(actor, row);
    }
  }

  /** Whether the anchor is about this actor. */
  private boolean knows(ActorId actor) {
    return recorded != null && recorded.actor().equals(actor);
  }

  /**
   * Records what may be published from now on. Needless while the storage is marked: every copy
   * made since gives the actor up, and every earlier one is behind the anchor.
   */
  void record(ActorId actor, ActorRow row) {
    if (isRecorded(actor, row)) {
      return;
    }
    Anchor.Mark mark = mark(actor, row);
    anchor.record(mark);
    recorded = mark;
    recordedMark = relaxedMarked;
  }

  /**
   * Notes what is on disk and nobody else has seen yet: an earlier copy that is restored would use
   * its numbers once more, and this one could come back after it.
   */
  private void note(ActorId actor, ActorRow row) {
    if (!isRecorded(actor, row)) {
      anchor.note(mark(actor, row));
    }
  }

  private boolean isRecorded(ActorId actor, ActorRow row) {
    return knows(actor)
        && (recordedMark || (recorded != null && recorded.seq() == row.head().seq()));
  }

  private Anchor.Mark mark(ActorId actor, ActorRow row) {
    return new Anchor.Mark(instance, actor, row.head().seq(), row.head().hash());
  }

  /** Ends cleanly; everything is on disk. {@code row} is the own actor's newest, if it has one. */
  void close(@Nullable Own own, @Nullable ActorRow row) {
    if (!relaxedMarked || own == null) {
      return;
    }
    if (row != null) {
      recordedMark = false;
      record(own.actor(), row);
    }
    try (var batch = storage.newBatch()) {
      batch.delete(Table.META, Rows.META_RELAXED);
      storage.commit(batch, Durability.SYNCED);
    }
    relaxedMarked = false;
  }
}
