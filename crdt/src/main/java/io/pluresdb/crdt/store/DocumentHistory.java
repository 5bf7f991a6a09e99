package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.ElementRange;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.store.ChangeLog.Segments;
import io.pluresdb.crdt.store.History.Effect;
import io.pluresdb.crdt.store.History.Step;
import io.pluresdb.crdt.store.History.Version;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.ArrivalRow;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * What the log says about single documents.
 *
 * <p>The rows of the arrival log name the documents that are touched ({@link TouchedIds}), so only
 * changes near those of the document are read. Usable from any thread; each call sees one commit.
 */
public final class DocumentHistory {
  private final Storage storage;

  public DocumentHistory(Storage storage) {
    this.storage = storage;
  }

  /** Public key of the device that an actor writes for, 32 bytes; null for an unknown actor. */
  public byte @Nullable [] deviceKey(ActorId actor) {
    byte[] row = storage.get(Table.FRONTIER, Rows.actorKey(actor));
    return row == null ? null : ActorRow.read(row).genesis().deviceKey();
  }

  /** A change of the document. */
  private record Found(
      ActorId actor, long seq, long arrival, Change change, List<DocumentEdit> edits) {}

  /**
   * Versions of a document, whether it exists or not.
   *
   * @param id UTF-8
   * @param limit 1 to {@link History#MAX_VERSIONS}
   * @param before arrivals below this; {@link History#next} of the page before, or {@link
   *     Long#MAX_VALUE}
   */
  public History page(byte[] id, int limit, long before) {
    if (limit < 1 || limit > History.MAX_VERSIONS) {
      throw CoreException.invalid(
          "limit must be 1 to " + History.MAX_VERSIONS + ", but is " + limit);
    }
    if (before < 1) {
      throw CoreException.invalid("before must be 1 or more, but is " + before);
    }
    var versions = new ArrayList<Version>();
    int bytes = 0;
    try (var snapshot = storage.snapshot();
        var rows =
            snapshot.scanBackwards(Table.ARRIVAL, Rows.arrivalKey(0), Rows.arrivalKey(before))) {
      var wanted = TouchedIds.Wanted.of(id);
      while (rows.next()) {
        if (!ArrivalRow.mayTouch(rows.value(), wanted)) {
          continue;
        }
        for (Found found : found(snapshot, rows, id).reversed()) {
          if (found.arrival >= before) {
            continue;
          }
          if (versions.size() == limit || (!versions.isEmpty() && bytes >= History.PAGE_BYTES)) {
            return new History(versions, versions.getLast().arrival(), false);
          }
          versions.add(version(id, found));
          bytes += versions.getLast().bytes();
        }
      }
      return new History(versions, 0, !new Floor(snapshot).isEmpty());
    }
  }

  /** The changes of the row under the cursor that are about the document, oldest first. */
  private static List<Found> found(Storage.Snapshot snapshot, Storage.Cursor rows, byte[] id) {
    ArrivalRow row = ArrivalRow.read(rows.value());
    long arrival = Rows.arrival(rows.key());
    var found = new ArrayList<Found>();
    byte[] head = snapshot.get(Table.FRONTIER, Rows.actorKey(row.actor()));
    long counting = head == null ? 0 : ActorRow.read(head).head().seq();
    try (var log = new Segments(snapshot, row.actor(), row.fromSeq(), row.lastSeq())) {
      while (log.next()) {
        Change change = log.change();
        if (log.seq() > counting || !holds(change.body(), id)) {
          continue;
        }
        List<DocumentEdit> edits = ChangeBody.decode(row.actor(), change.body());
        if (edits.stream().anyMatch(edit -> Arrays.equals(edit.id(), id))) {
          found.add(
              new Found(
                  row.actor(), log.seq(), arrival + log.seq() - row.fromSeq(), change, edits));
        }
      }
    }
    return found;
  }

  /** Whether the id's bytes occur in a body: cheaper than decoding it. */
  private static boolean holds(byte[] body, byte[] id) {
    byte first = id[0];
    for (int i = 0; i <= body.length - id.length; i++) {
      if (body[i] == first && Arrays.equals(body, i, i + id.length, id, 0, id.length)) {
        return true;
      }
    }
    return false;
  }

  private static Version version(byte[] id, Found found) {
    var steps = new ArrayList<Step>();
    int omitted = 0;
    int index = 0;
    Effect effect = Effect.UPDATED;
    for (DocumentEdit edit : found.edits) {
      boolean about = Arrays.equals(edit.id(), id);
      for (CrdtOperation operation : edit.operations()) {
        if (about) {
          effect = effect(operation, effect);
          Step step = step(operation, index);
          if (step != null && steps.size() < Version.MAX_STEPS) {
            steps.add(step);
          } else if (step != null) {
            omitted++;
          }
        }
        if (operation.makesDot()) {
          index++;
        }
      }
    }
    return new Version(
        found.actor,
        found.seq,
        found.arrival,
        found.change.timestamp(),
        effect,
        List.copyOf(steps),
        omitted);
  }

  private static Effect effect(CrdtOperation operation, Effect before) {
    if (operation.register().length == 0 || operation.register()[0] != Register.EXISTS) {
      return before;
    }
    return switch (operation) {
      case CrdtOperation.Remove remove -> Effect.DELETED;
      case CrdtOperation.Assign(var register, var observed, var value) ->
          observed.isEmpty() ? Effect.CREATED : before;
      case CrdtOperation.Increment increment -> before;
      case CrdtOperation.OnSequence onSequence -> before;
      case CrdtOperation.Unknown unknown -> before;
    };
  }

  /** What an operation shows in a version; null for existence, which is the version's effect. */
  private static @Nullable Step step(CrdtOperation operation, int index) {
    byte[] register = operation.register();
    byte space = register.length == 0 ? 0 : register[0];
    if (space == Register.EXISTS) {
      return null;
    }
    boolean embedding = space == Register.EMBEDDING;
    return switch (operation) {
      case CrdtOperation.Assign(var key, var observed, var value) ->
          embedding ? new Step.Embedded(index, value.length / 4) : set(key, index, value);
      case CrdtOperation.Remove remove ->
          embedding ? new Step.EmbeddingRemoved() : removed(register);
      case CrdtOperation.Increment(var key, var amount) ->
          new Step.Incremented(path(key), index, amount);
      case CrdtOperation.TextInsert(var key, var observed, var place, var text) ->
          new Step.Edited(path(key), "text.insert", text.codePointCount(0, text.length()));
      case CrdtOperation.TextDelete(var key, var ranges) ->
          new Step.Edited(path(key), "text.delete", count(ranges));
      case CrdtOperation.ListInsert(var key, var observed, var place, var values) ->
          new Step.Edited(path(key), "list.insert", values.size());
      case CrdtOperation.ListDelete(var key, var seen, var ranges) ->
          new Step.Edited(path(key), "list.delete", count(ranges));
      case CrdtOperation.ListSet s -> new Step.Edited(path(register), "list.set", 1);
      case CrdtOperation.ListMove m -> new Step.Edited(path(register), "list.move", 1);
      case CrdtOperation.Unknown(var tag, var key, var payload) -> new Step.Unknown("", index, tag);
    };
  }

  private static Step set(byte[] register, int index, byte[] value) {
    return register[0] == Register.SET
        ? new Step.Edited(path(register), "set.add", Register.elementJson(register) == null ? 0 : 1)
        : new Step.Set(path(register), index, shortValue(value), value.length);
  }

  private static Step removed(byte[] register) {
    return register[0] == Register.SET && Register.elementJson(register) != null
        ? new Step.Edited(path(register), "set.remove", 1)
        : new Step.Removed(path(register));
  }

  private static int count(List<ElementRange> ranges) {
    return ranges.stream().mapToInt(ElementRange::length).sum();
  }

  private static String path(byte[] register) {
    return Path.text(Register.path(register));
  }

  private static @Nullable String shortValue(byte[] value) {
    return value.length > Step.MAX_VALUE_BYTES ? null : new String(value, StandardCharsets.UTF_8);
  }

  /**
   * The document as it was at a moment: the replay of its changes that belong to the moment.
   *
   * @param id UTF-8
   * @return empty when it did not exist then
   * @throws CoreException {@code CORE_VERSION_NOT_FOUND} when the moment names a change that is not
   *     here, {@code CORE_HISTORY_TRUNCATED} when the log no longer tells
   */
  public Optional<NodeRecord> asOf(byte[] id, Moment moment) {
    try (var snapshot = storage.snapshot()) {
      var floor = new Floor(snapshot);
      try (var cut = Cut.of(snapshot, moment, floor)) {
        var replay = new Replay(snapshot, id, floor);
        var wanted = TouchedIds.Wanted.of(id);
        try (var rows = snapshot.scan(Table.ARRIVAL, Rows.arrivalKey(0), null)) {
          while (rows.next()) {
            if (ArrivalRow.mayTouch(rows.value(), wanted)) {
              for (Found found : found(snapshot, rows, id)) {
                if (floor.covers(found.actor, found.seq)) {
                  continue;
                }
                long timestamp = found.change.timestamp();
                boolean counts = cut.covers(found.actor, found.seq, timestamp);
                replay.change(found.actor, found.seq, timestamp, found.edits, counts);
              }
            }
          }
        }
        return Optional.ofNullable(NodeRecord.of(id, replay.state(), replay.sequences()));
      }
    }
  }
}
