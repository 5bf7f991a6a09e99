package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.Difference;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.sequence.Sequence;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.Committed.Own;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.VoidRow;
import io.pluresdb.crdt.store.RunOutcome.Reason;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import io.pluresdb.crdt.store.Staging.StagedDocument;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.ToLongFunction;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A database on this device: a storage and an actor.
 *
 * <p>Changes, local and foreign alike, are staged one after another and then committed in one
 * batch, or discarded together. Staged state is seen by later stagings and by nobody else. One
 * thread stages and commits; {@link #view} may be read from any.
 *
 * <p>Local changes of one commit share a signature: the last one's, which through the hash chain
 * answers for all. A stretch of changes up to a signed one is contiguous in the arrival log and is
 * never split, on the wire or anywhere else.
 */
public final class Replica {
  /** Local changes that may share one signature. */
  public static final int MAX_GROUP_CHANGES = 1_024;

  /** Bytes of local changes that may share one signature; a single change may exceed it. */
  public static final int MAX_GROUP_BYTES = 1 << 20;

  /**
   * The committed state other threads may read. Immutable.
   *
   * @param arrivals length of the arrival log
   */
  public record View(
      Frontier frontier, Membership membership, long documents, Hash stateHash, long arrivals) {}

  private static final byte[] NO_REGISTER = {Register.TEXT};

  private final Storage storage;
  private final ReplicaIdentity identity;
  private final Environment environment;
  private final ChangeLog log;
  private final Limits limits;
  private final ActorGuard guard;
  private final HybridClock clock;
  private final Committed committed;
  private final OpenSequences sequences;
  private final SnapshotInbox inbox;
  private final StandTable stands;

  /** What was here when this replica was opened. */
  private final Frontier opened;

  private volatile View view;
  private long snapshotRefusedUntil = Long.MAX_VALUE;
  private Staging staging;

  private Replica(
      Storage storage,
      ReplicaIdentity identity,
      ActorGuard guard,
      Environment environment,
      long lastTimestamp,
      ChangeLog log,
      Committed committed) {
    this.storage = storage;
    this.identity = identity;
    this.environment = environment;
    this.log = log;
    this.guard = guard;
    this.clock = new HybridClock(lastTimestamp);
    this.committed = committed;
    this.sequences = new OpenSequences(storage, identity.database());
    this.limits = new Limits(storage, identity, log, sequences);
    this.stands = new StandTable(storage, identity.database());
    this.inbox = new SnapshotInbox(storage, identity.database());
    if (inbox.phase() == SnapshotInbox.Phase.JOINING) {
      beginJoining();
    }
    this.view = committed.view();
    this.opened = view.frontier();
    log.counts(view.frontier());
    this.staging = new Staging(storage, committed);
  }

  /**
   * Opens the replica in {@code storage}, making a new one in an empty storage.
   *
   * <p>The device goes on under a new actor when the anchor does not agree with the storage, or
   * when unsynced changes may have been published before an unclean end.
   *
   * @throws StorageException.OpenFailed when a newer version wrote it
   */
  public static Replica open(
      Storage storage, ReplicaIdentity identity, Anchor anchor, Environment environment) {
    byte[] format = storage.get(Table.META, Rows.META_FORMAT);
    if (format == null) {
      initialize(storage, identity.scope(), environment);
    } else if (format.length != 1 || format[0] > Rows.FORMAT) {
      throw new StorageException.OpenFailed(
          "STORAGE_NEWER_FORMAT",
          "the database has format "
              + (format.length == 1 ? format[0] : -1)
              + ", but this version reads up to "
              + Rows.FORMAT
              + ": install a newer PluresDB",
          new CodecException("format"));
    }
    requireScope(storage, identity.scope());
    if (!EdgeIndex.isMade(storage)) {
      EdgeIndex.make(storage);
    }
    byte[] instance = require(storage.get(Table.META, Rows.META_INSTANCE));
    var in = new ByteReader(require(storage.get(Table.META, Rows.META_REPLICA)));
    Rows.requireVersion("replica row", 1, in.u8());
    long documents = in.varint();
    var sum = Fingerprint.read(in);
    long arrivals = in.varint();
    long lastTimestamp = in.i64();
    var entries = new ArrayList<MembershipEntry>();
    var actors = new HashMap<ActorId, ActorRow>();
    var voids = new HashMap<ActorId, VoidRow>();
    LogFloor floor;
    var buckets = new BucketSums(storage, identity.database());
    try (var snapshot = storage.snapshot()) {
      try (var rows = snapshot.scan(Table.MEMBERS, new byte[0], null)) {
        while (rows.next()) {
          entries.add(MembershipEntry.read(new ByteReader(rows.value())));
        }
      }
      try (var rows = snapshot.scan(Table.FRONTIER, new byte[0], null)) {
        while (rows.next()) {
          actors.put(ActorId.read(new ByteReader(rows.key())), ActorRow.read(rows.value()));
        }
      }
      try (var rows = snapshot.scan(Table.VOID, new byte[0], null)) {
        while (rows.next()) {
          voids.put(ActorId.read(new ByteReader(rows.key())), VoidRow.read(rows.value()));
        }
      }
      floor = readFloor(snapshot, identity.database());
      buckets.load(snapshot, sum);
    }
    var membership = Membership.of(identity.database(), identity.founder(), entries);
    var guard = new ActorGuard(storage, anchor, instance);
    var committed = new Committed(buckets, membership, arrivals);
    committed.documents = documents;
    committed.actors.putAll(actors);
    committed.voids.putAll(voids);
    var log = new ChangeLog(storage, floor);
    committed.floor = log.storedFloor();
    byte[] nonce = storage.get(Table.META, Rows.META_ACTOR);
    committed.own = guard.resume(identity.database(), identity.signer().publicKey(), actors, log);
    committed.undeclared.addAll(actors.keySet());
    if (committed.own != null) {
      committed.undeclared.remove(committed.own.actor());
    } else if (nonce != null) {
      noteGivenUp(storage, identity, nonce, committed);
    }
    return new Replica(storage, identity, guard, environment, lastTimestamp, log, committed);
  }

  /**
   * Remembers how far an actor got that was given up just now, should it turn out to have forked.
   */
  private static void noteGivenUp(
      Storage storage, ReplicaIdentity identity, byte[] nonce, Committed committed) {
    ActorId actor = new Genesis(identity.signer().publicKey(), nonce).actor(identity.database());
    ActorRow row = committed.actors.get(actor);
    if (row == null) {
      return;
    }
    VoidRow known = committed.voids.get(actor);
    VoidRow all = known == null ? VoidRow.of(row) : known;
    VoidRow noted = all.givenUpAt(all.tail().seq());
    committed.voids.put(actor, noted);
    try (var batch = storage.newBatch()) {
      batch.put(Table.VOID, Rows.actorKey(actor), noted.toByteArray());
      storage.commit(batch, Durability.SYNCED);
    }
  }

  private static LogFloor readFloor(Storage.Snapshot snapshot, Hash database) {
    byte[] row = snapshot.get(Table.META, Rows.META_FLOOR);
    var heads = new TreeMap<ActorId, Head>();
    try (var rows = snapshot.scan(Table.FLOOR, new byte[0], null)) {
      while (rows.next()) {
        ActorId actor = ActorId.read(new ByteReader(rows.key()));
        heads.put(actor, SignedHead.read(rows.value()).head(database, actor));
      }
    }
    return new LogFloor(Rows.FloorRow.read(row).arrivals(), Frontier.of(heads));
  }

  /** What was omitted is not here: a scope cannot change. */
  private static void requireScope(Storage storage, KeyScope scope) {
    byte[] row = storage.get(Table.META, Rows.META_SCOPE);
    KeyScope stored = row == null ? KeyScope.ALL : KeyScope.read(new ByteReader(row));
    if (!stored.equals(scope)) {
      throw new StorageException.OpenFailed(
          "STORAGE_OTHER_SCOPE",
          "the database holds " + stored + ", but is to be opened for " + scope,
          new CodecException("scope"));
    }
  }

  private static void initialize(Storage storage, KeyScope scope, Environment environment) {
    try (var batch = storage.newBatch()) {
      if (!scope.isAll()) {
        var row = new ByteWriter();
        scope.write(row);
        batch.put(Table.META, Rows.META_SCOPE, row.toByteArray());
      }
      batch.put(Table.META, Rows.META_FORMAT, new byte[] {Rows.FORMAT});
      batch.put(Table.META, Rows.META_INSTANCE, environment.randomBytes(Anchor.INSTANCE_BYTES));
      batch.put(Table.META, Rows.META_REPLICA, Rows.replicaRow(0, Fingerprint.ZERO, 0, 0));
      EdgeIndex.begin(batch);
      storage.commit(batch, Durability.SYNCED);
    }
  }

  private static byte[] require(byte @Nullable [] row) {
    if (row == null) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED",
          "the database lacks its meta rows: it was not made by PluresDB or is damaged",
          new CodecException("meta"));
    }
    return row;
  }

  /** The committed state; any thread. */
  public View view() {
    return view;
  }

  public ChangeLog log() {
    return log;
  }

  public Storage storage() {
    return storage;
  }

  public ReplicaIdentity identity() {
    return identity;
  }

  /** The actor this device writes as now, or null before the first write and after a fence. */
  public @Nullable ActorId ownActor() {
    return committed.own == null ? null : committed.own.actor();
  }

  /** The greatest hybrid time that was seen here. */
  public long lastTimestamp() {
    return clock.last();
  }

  /** Whether there is something to commit. */
  public boolean hasStaged() {
    return !staging.isEmpty();
  }

  /** Whether the local changes staged so far should be committed before further ones. */
  public boolean isGroupFull() {
    return staging.isGroupFull();
  }

  /**
   * Stages a local transaction.
   *
   * @return where it will be once committed
   * @throws CoreException when it cannot be carried out; nothing of it is staged then
   */
  public Receipt stage(Transaction transaction) {
    return stage(transaction, null);
  }

  /**
   * As {@link #stage(Transaction)}.
   *
   * @param ahead what was read for this transaction before, not used by anybody else; or null
   */
  public Receipt stage(Transaction transaction, @Nullable ReadAhead ahead) {
    requireWriter();
    for (Edit edit : transaction.edits()) {
      requireInScope(edit.id());
    }
    Own author = staging.own;
    if (author == null) {
      author = mint();
    }
    long seq = staging.seq(author.actor()) + 1;
    long timestamp = clock.next(environment.wallClock().millis());
    sequences.begin();
    boolean staged = false;
    try {
      ReadAhead.NewDocument made = ahead == null ? null : ahead.newDocument();
      Receipt receipt =
          ahead != null && made != null && staging.isAsRead(made.id(), ahead)
              ? stageNew(made, author, seq, timestamp, transaction.acknowledgement())
              : stageEdits(transaction, ahead, author, seq, timestamp);
      staged = true;
      return receipt;
    } finally {
      sequences.end(staged);
    }
  }

  /** Stages a document of which nothing is known still. */
  private Receipt stageNew(
      ReadAhead.NewDocument made,
      Own author,
      long seq,
      long timestamp,
      Transaction.Acknowledgement acknowledgement) {
    requireRoom(made.body());
    if (staging.own == null) {
      adopt(author);
    }
    byte[] row = made.row().toByteArray(author.actor(), seq, timestamp);
    staging.documents.put(made.id(), new StagedDocument(row));
    return stageOwn(
        author,
        new Change(dependencies(), timestamp, made.body()),
        made.bodyHash(),
        made.edits(),
        acknowledgement);
  }

  private Receipt stageEdits(
      Transaction transaction, @Nullable ReadAhead ahead, Own author, long seq, long timestamp) {
    // Works on copies, so that a refused edit leaves nothing behind.
    Map<DocumentKey, StagedDocument> touched = new LinkedHashMap<>();
    var edits = new ArrayList<DocumentEdit>(transaction.edits().size());
    int index = 0;
    for (Edit edit : transaction.edits()) {
      var id = new DocumentKey(edit.id());
      StagedDocument document = touched.get(id);
      if (document == null) {
        document = staging.document(id, ahead).copy();
        touched.put(id, document);
      }
      List<CrdtOperation> operations = operations(edit, document.state());
      for (CrdtOperation operation : operations) {
        TypedEdits.requireRoom(sequences, edit.id(), operation, author.actor());
      }
      if (operations.size() > ChangeBody.MAX_OPERATIONS) {
        throw CoreException.tooLarge(
            "a document must change in at most "
                + ChangeBody.MAX_OPERATIONS
                + " fields at once, but changes in "
                + operations.size());
      }
      index = apply(edit.id(), operations, document, author.actor(), seq, index, timestamp);
      edits.add(new DocumentEdit(edit.id(), operations));
    }
    byte[] body = ChangeBody.encode(author.actor(), edits);
    requireRoom(body);
    if (staging.own == null) {
      adopt(author);
    }
    staging.documents.putAll(touched);
    return stageOwn(
        author,
        new Change(dependencies(), timestamp, body),
        Hash.bulk(body, body.length),
        edits,
        transaction.acknowledgement());
  }

  private static void requireRoom(byte[] body) {
    if (body.length > ChangeBody.MAX_BYTES) {
      throw CoreException.tooLarge(
          "a transaction must be at most "
              + ChangeBody.MAX_BYTES
              + " bytes once encoded, but is "
              + body.length
              + ": split it or shorten the document");
    }
  }

  /** A device that was just let in has not seen the membership log yet, and may write. */
  private void requireWriter() {
    Membership membership = staging.membership;
    if (membership.isEmpty()) {
      return;
    }
    byte[] device = identity.signer().publicKey();
    if (membership.may(device, Role.WRITE)) {
      return;
    }
    throw new CoreException(
        CoreException.Kind.NOT_ALLOWED,
        membership.isRemoved(device)
            ? "this device was removed from the database: it stays readable here, but takes no"
                + " writes"
            : "this device's role in the database does not include writing");
  }

  /**
   * Refuses what this replica cannot know.
   *
   * @param prefix an id, or what ids begin with
   * @throws CoreException when some of those documents are not held here
   */
  public void requireInScope(byte[] prefix) {
    if (!identity.scope().contains(prefix)) {
      throw CoreException.invalid(
          "this device holds the documents that begin with "
              + identity.scope()
              + ", but \""
              + new String(prefix, StandardCharsets.UTF_8)
              + "\" does not: use a device that holds all");
    }
  }

  private List<CrdtOperation> operations(Edit edit, DocumentState state) {
    boolean mayBeGone = edit instanceof Edit.Put || edit instanceof Edit.Embed;
    if (!mayBeGone && !state.exists()) {
      throw CoreException.notFound(new String(edit.id(), StandardCharsets.UTF_8));
    }
    return switch (edit) {
      case Edit.Put(var id, var leaves, var embedding, var typed) ->
          Difference.put(state, sequences.of(id), leaves, embedding, typed);
      case Edit.Embed(var id, var embedding, var clock) ->
          state.exists() && state.clock().equals(clock)
              ? Difference.embed(state, embedding)
              : List.of();
      case Edit.Patch(var id, var patch) -> Difference.patch(state, sequences.of(id), patch);
      case Edit.Resolve(var id, var path, var leaves) ->
          Difference.resolve(state, sequences.of(id), path, leaves);
      case Edit.Delete(var id) -> Difference.delete(state);
      case Edit.Increment(var id, var path, var amount) ->
          Difference.increment(state, path, amount);
      case Edit.Typed typed -> TypedEdits.operations(typed, state, sequences);
    };
  }

  /** Applies operations in order; returns the index of the next dot. */
  private int apply(
      byte[] id,
      List<CrdtOperation> operations,
      StagedDocument document,
      ActorId actor,
      long seq,
      int firstIndex,
      long timestamp) {
    int index = firstIndex;
    for (CrdtOperation operation : operations) {
      var dot = new Dot(actor, seq, index);
      document.state().apply(operation, dot, timestamp);
      if (operation instanceof CrdtOperation.OnSequence onSequence) {
        sequences.apply(id, onSequence, dot, timestamp);
      }
      if (operation.makesDot()) {
        index++;
      }
    }
    return index;
  }

  private Own mint() {
    byte[] nonce = environment.randomBytes(Genesis.NONCE_BYTES);
    var genesis = new Genesis(identity.signer().publicKey(), nonce);
    return new Own(genesis.actor(identity.database()), genesis);
  }

  /** Goes on under a fresh actor; only together with its first change. */
  private void adopt(Own fresh) {
    staging.own = fresh;
    staging.undeclared = new TreeSet<>(committed.actors.keySet());
    staging.undeclared.addAll(staging.actors.keySet());
    if (committed.joining != null) {
      committed.joining.actors().forEach(staging.undeclared::add);
    }
    staging.batch.put(Table.META, Rows.META_ACTOR, fresh.genesis().nonce());
  }

  private List<Change.Dependency> dependencies() {
    if (staging.undeclared.isEmpty()) {
      return List.of();
    }
    var deps = new ArrayList<Change.Dependency>(staging.undeclared.size());
    for (ActorId actor : staging.undeclared) {
      if (seqToDependOn(actor) > 0) {
        deps.add(new Change.Dependency(actor, seqToDependOn(actor)));
      }
    }
    staging.undeclared = new TreeSet<>();
    return deps;
  }

  /** What a snapshot brings may be seen in its documents before the frontier has it. */
  private long seqToDependOn(ActorId actor) {
    Joining joining = committed.joining;
    return Math.max(staging.seq(actor), joining == null ? 0 : joining.seq(actor));
  }

  private Receipt stageOwn(
      Own author,
      Change change,
      Hash bodyHash,
      List<DocumentEdit> edits,
      Transaction.Acknowledgement acknowledgement) {
    ActorId actor = author.actor();
    ActorRow row = staging.actor(actor);
    Hash previous = row == null ? Hash.ZERO : row.head().hash();
    long seq = row == null ? 1 : row.head().seq() + 1;
    Hash hash =
        new Change.Link(change.deps(), change.timestamp(), bodyHash, change.body().length)
            .hash(identity.database(), actor, seq, previous);
    long arrival = staging.appendOwn(actor, seq, previous, change, edits, hash);
    staging.actors.put(
        actor, new ActorRow(new Head(seq, hash), change.timestamp(), author.genesis()));
    switch (acknowledgement) {
      case LOCAL -> staging.synced = true;
      case RELAXED -> staging.relaxed = true;
    }
    return new Receipt(actor, seq, arrival);
  }

  /**
   * Stages changes of another replica, or of an earlier life of this one.
   *
   * <p>All checks are functions of the run and of what it depends on, so every replica decides the
   * same; only the order in which it waits differs.
   */
  public RunOutcome stage(ChangeRun run) {
    ActorId actor = run.actor();
    ActorRow row = staging.actor(actor);
    long head = row == null ? 0 : row.head().seq();
    if (run.toSeq() <= head) {
      return new RunOutcome.Known();
    }
    if (run.fromSeq() > head + 1 || committed.joining != null) {
      return new RunOutcome.Waiting(actor, head + 1);
    }
    if (isOwn(actor) && staging.actors.containsKey(actor)) {
      // What is staged may fork from this: decide after the commit.
      return new RunOutcome.Waiting(actor, run.toSeq());
    }
    Genesis genesis = row == null ? run.genesis() : row.genesis();
    if (genesis == null || !genesis.actor(identity.database()).equals(actor)) {
      return new RunOutcome.Rejected(
          Reason.WRONG_GENESIS, "actor " + actor + " is not derived from its key");
    }
    Head limit = limits.limit(staging, actor, genesis.deviceKey());
    if (limit != null && limit.seq() <= head) {
      return new RunOutcome.Rejected(
          Reason.NOT_A_MEMBER,
          "the device of actor " + actor + " may not write, or not after change " + head);
    }
    return stageForeign(run, row, genesis, head, limit);
  }

  private RunOutcome stageForeign(
      ChangeRun run, @Nullable ActorRow row, Genesis genesis, long head, @Nullable Head limit) {
    ActorId actor = run.actor();
    long last = limit == null ? run.toSeq() : Math.min(run.toSeq(), limit.seq());
    List<Change> fresh =
        run.changes().subList((int) (head + 1 - run.fromSeq()), (int) (last + 1 - run.fromSeq()));
    long wallMillis = environment.wallClock().millis();
    long timestamp = row == null ? -1 : row.timestamp();
    Hash hash = row == null ? Hash.ZERO : row.head().hash();
    long seq = head;
    var hashes = new ArrayList<Hash>(fresh.size());
    var past = new NamedPast(staging, limits);
    for (Change change : fresh) {
      seq++;
      if (change.timestamp() <= timestamp && seq == head + 1) {
        // It may rise on the other branch of a fork: whoever sends it need not know of ours.
        return doesNotFollow(actor, head, head + fresh.size());
      }
      if (change.timestamp() <= timestamp) {
        return malformed(actor, seq, "hybrid time does not rise");
      }
      timestamp = change.timestamp();
      if (HybridClock.isAhead(timestamp, wallMillis)) {
        return new RunOutcome.Ahead(timestamp);
      }
      for (Change.Dependency dependency : change.deps()) {
        if (dependency.actor().equals(actor)) {
          return malformed(actor, seq, "depends on itself");
        }
        if (past.lacks(dependency.actor(), dependency.seq())) {
          return new RunOutcome.Waiting(dependency.actor(), dependency.seq());
        }
      }
      if (change.omitted() != null && identity.scope().isAll()) {
        return new RunOutcome.Rejected(
            Reason.BODY_MISSING, "change " + seq + " of actor " + actor + " has no body");
      }
      hash = change.hash(identity.database(), actor, seq, hash);
      hashes.add(hash);
    }
    boolean vouched = limit != null && new Head(seq, hash).equals(limit);
    boolean signed =
        last == run.toSeq()
            && identity.verifier().verify(genesis.deviceKey(), hash.bytes(), run.signature());
    if (!signed && !vouched) {
      return doesNotFollow(actor, head, seq);
    }
    var bodies = new ArrayList<List<DocumentEdit>>(fresh.size());
    var elements = new SequenceCheck(sequences, actor, past);
    try {
      for (int i = 0; i < fresh.size(); i++) {
        Change change = fresh.get(i);
        List<DocumentEdit> edits =
            change.omitted() == null ? ChangeBody.decode(actor, change.body()) : List.of();
        RunOutcome refused = checkNamed(actor, head + 1 + i, edits, past, elements);
        if (refused != null) {
          return refused;
        }
        bodies.add(edits);
      }
    } catch (CodecException e) {
      return new RunOutcome.Rejected(Reason.MALFORMED, "actor " + actor + ": " + e.getMessage());
    }
    if (isOwn(actor)) {
      // A peer knows more of our operations than we do: this storage was rolled back.
      stageFence();
    }
    past.note();
    VoidRow known = staging.voidRow(actor);
    integrate(run.actor(), signed ? run.signature() : null, fresh, hashes, bodies, row);
    staging.actors.put(actor, new ActorRow(new Head(seq, hash), timestamp, genesis));
    if (known != null) {
      // Something may count already that had to come after this.
      staging.voids.put(actor, known.endingAt(new Head(seq, hash), timestamp));
      if (head < known.skipped()) {
        var touched = new LinkedHashSet<DocumentKey>();
        bodies.forEach(edits -> edits.forEach(edit -> touched.add(new DocumentKey(edit.id()))));
        limits.rebuild(staging, touched);
      }
    }
    staging.undeclared.add(actor);
    clock.observe(timestamp);
    return new RunOutcome.Applied(fresh.size());
  }

  private boolean isOwn(ActorId actor) {
    return staging.own != null && staging.own.actor().equals(actor);
  }

  private void stageFence() {
    Own given = staging.own;
    ActorRow row = given == null ? null : staging.actor(given.actor());
    if (given != null && row != null) {
      VoidRow known = staging.voidRow(given.actor());
      VoidRow all = known == null ? VoidRow.of(row) : known;
      staging.voids.put(given.actor(), all.givenUpAt(all.tail().seq()));
    }
    staging.own = null;
    staging.batch.delete(Table.META, Rows.META_ACTOR);
    staging.changes++;
    // After power loss the anchor would agree with the storage again.
    staging.synced = true;
  }

  /**
   * Compares a peer's claim about our own actor with what we have: when the peer knows more, or
   * other operations, this storage was rolled back or copied, and the next local write is made
   * under a new actor. Call it when nothing is staged.
   *
   * @return whether the actor was given up
   */
  public boolean compareOwn(Frontier peer) {
    Own author = staging.own;
    Head claimed = author == null ? null : peer.heads().get(author.actor());
    if (author == null || claimed == null) {
      return false;
    }
    ActorRow row = staging.actor(author.actor());
    boolean behind =
        row == null
            || claimed.seq() > row.head().seq()
            || (claimed.seq() == row.head().seq() && !claimed.hash().equals(row.head().hash()));
    if (behind) {
      stageFence();
    }
    return behind;
  }

  private static RunOutcome doesNotFollow(ActorId actor, long head, long seq) {
    return new RunOutcome.Rejected(
        Reason.BAD_SIGNATURE,
        "changes " + (head + 1) + " to " + seq + " of actor " + actor + " do not follow ours");
  }

  private static RunOutcome malformed(ActorId actor, long seq, String what) {
    return new RunOutcome.Rejected(
        Reason.MALFORMED, "change " + seq + " of actor " + actor + ": " + what);
  }

  /**
   * Named dots and elements must lie in the past; returns what to answer when they do not, or null.
   */
  private @Nullable RunOutcome checkNamed(
      ActorId author, long seq, List<DocumentEdit> edits, NamedPast past, SequenceCheck elements) {
    int index = 0;
    for (DocumentEdit edit : edits) {
      for (CrdtOperation operation : edit.operations()) {
        for (Dot dot : operation.namedDots()) {
          if (dot.actor().equals(author)) {
            if (dot.seq() > seq || (dot.seq() == seq && dot.index() >= index)) {
              return malformed(author, seq, "observes a dot of its own future");
            }
          } else if (past.lacks(dot.actor(), dot.seq())) {
            return new RunOutcome.Waiting(dot.actor(), dot.seq());
          }
        }
        if (operation instanceof CrdtOperation.OnSequence onSequence
            && identity.scope().contains(edit.id())) {
          switch (elements.check(edit.id(), onSequence, seq)) {
            case null -> {}
            case SequenceCheck.Problem.Malformed(var what) -> {
              return malformed(author, seq, what);
            }
            case SequenceCheck.Problem.Missing(var other, var next) -> {
              return new RunOutcome.Waiting(other, next);
            }
          }
        }
        if (operation.makesDot()) {
          index++;
        }
      }
    }
    return null;
  }

  private void integrate(
      ActorId actor,
      byte @Nullable [] signature,
      List<Change> fresh,
      List<Hash> hashes,
      List<List<DocumentEdit>> bodies,
      @Nullable ActorRow row) {
    Hash previous = row == null ? Hash.ZERO : row.head().hash();
    long seq = row == null ? 0 : row.head().seq();
    staging.sign(identity.signer());
    for (int i = 0; i < fresh.size(); i++) {
      Change change = fresh.get(i);
      seq++;
      int index = 0;
      for (DocumentEdit edit : bodies.get(i)) {
        if (!identity.scope().contains(edit.id())) {
          // Of a batch that touches ours too: what was before it in this document is not here.
          index += (int) edit.operations().stream().filter(CrdtOperation::makesDot).count();
          continue;
        }
        StagedDocument document = staging.documentForChange(new DocumentKey(edit.id()));
        index =
            apply(edit.id(), edit.operations(), document, actor, seq, index, change.timestamp());
      }
      staging.append(actor, seq, previous, change, bodies.get(i));
      previous = hashes.get(i);
    }
    if (signature == null) {
      staging.log.vouch();
    } else {
      staging.log.sign(signature);
    }
    staging.changes += fresh.size();
  }

  /**
   * Takes one step of changes off the old end of the log.
   *
   * @param cut the greatest seq of an actor that may go: what everybody has who counts
   * @param beforeTimestamp only changes of an earlier hybrid time may go
   * @param settledTimestamp those that depend on void changes only if they are earlier than this,
   *     too; until then void changes may come to count again
   * @return whether there may be more to take; call again then
   */
  public boolean truncate(
      ToLongFunction<ActorId> cut, long beforeTimestamp, long settledTimestamp) {
    if (hasStaged() || !canGiveSnapshot()) {
      return false;
    }
    // The next start looks up in the log what the anchor says.
    anchorOwn();
    LogTruncation.Step step =
        LogTruncation.step(
            storage,
            identity.database(),
            log.floor(),
            cut,
            beforeTimestamp,
            settledTimestamp,
            unwritten());
    committed.voids.putAll(step.voids());
    log.raise(step.floor());
    committed.floor = log.storedFloor();
    return step.more();
  }

  /** Actors with void changes of this replica itself that it has not written again. */
  private Set<ActorId> unwritten() {
    return mayBeForked()
        ? ownVoidChanges().stream().map(VoidChanges::actor).collect(Collectors.toSet())
        : Set.of();
  }

  /**
   * Whether another replica could join the state of this one; if not, this one keeps its whole log.
   * A replica of some documents has no state to give.
   */
  public boolean canGiveSnapshot() {
    return committed.joining == null && identity.scope().isAll();
  }

  /** Names the snapshot this replica gives: the hash of the frontier at which its log begins. */
  public Hash floorHash() {
    return committed.floor.frontier(identity.database()).hash();
  }

  /** Where the members of the database stand. */
  public StandTable stands() {
    return stands;
  }

  /**
   * Makes the next local write under a new actor; call when nothing is staged.
   *
   * @return whether there was one to give up
   * @throws StorageException as {@link #commit} does
   */
  public boolean giveUpActor() {
    if (staging.own == null) {
      return false;
    }
    stageFence();
    commit();
    return true;
  }

  /** The snapshot of a peer that is on its way into this replica. */
  public SnapshotInbox inbox() {
    return inbox;
  }

  /** Whether documents are being joined with a snapshot, so that they are of no one moment. */
  public boolean isJoining() {
    return committed.joining != null;
  }

  /**
   * Looks at further rows of a snapshot that is all here; once it holds, joining begins, and once
   * it does not, it is thrown away. Call when nothing is staged.
   */
  public SnapshotInbox.Verdict verifySnapshot() {
    snapshotRefusedUntil = Long.MAX_VALUE;
    SnapshotInbox.Verdict verdict = inbox.verify(this::refusal);
    if (verdict == SnapshotInbox.Verdict.HOLDS) {
      Own own = committed.own;
      if (own != null
          && inbox.verifiedHeads().containsKey(own.actor())
          && inbox.verifiedHeads().get(own.actor()).seq() > committed.seq(own.actor())) {
        // Signed by us and not known here: this storage was rolled back.
        stageFence();
        commit();
      }
      inbox.startJoining(view.stateHash());
      beginJoining();
      staging.close();
      staging = new Staging(storage, committed);
    }
    return verdict;
  }

  /**
   * Until when the snapshot that failed last cannot hold, milliseconds since 1970: one that is only
   * from the future can later; {@link Long#MAX_VALUE} for any other.
   */
  public long snapshotRefusedUntil() {
    return snapshotRefusedUntil;
  }

  private void beginJoining() {
    var joining = new Joining(storage, identity, committed, inbox);
    committed.joining = joining;
    clock.observe(joining.timestamp());
  }

  /** What keeps a head of a snapshot from being accepted, or null. */
  private @Nullable String refusal(ActorId actor, SignedHead head, Head place) {
    Head limit = limits.limit(staging, actor, head.genesis().deviceKey());
    if (limit != null && limit.seq() < head.seq()) {
      return "the device of actor " + actor + " may not write, or not so far";
    }
    // Where an actor ends there may be no signature; the entry that set the end has the hash.
    if (!place.equals(limit) && !head.isAuthentic(identity.database(), actor)) {
      return "the head of actor " + actor + " is not signed by its device";
    }
    if (HybridClock.isAhead(head.timestamp(), environment.wallClock().millis())) {
      snapshotRefusedUntil =
          HybridClock.wallMillis(head.timestamp()) - HybridClock.MAX_AHEAD_MILLIS;
      return "change " + head.seq() + " of actor " + actor + " is from too far in the future";
    }
    Hash ours = log.hashOf(identity.database(), actor, head.seq());
    if (ours != null && !ours.equals(place.hash())) {
      return "change " + head.seq() + " of actor " + actor + " is another one here";
    }
    return null;
  }

  /**
   * Joins further documents with the snapshot in one commit; call when nothing is staged.
   *
   * @return whether there are more to join
   * @throws StorageException as {@link #commit} does; the step may be tried again when the disk was
   *     full
   */
  public boolean joinStep() {
    Joining joining = committed.joining;
    if (joining == null) {
      return false;
    }
    joining.stage(staging, identity.database());
    if (joining.endsOvertaken()) {
      limits.settleJoined(staging, joining);
    }
    commit();
    sequences.reread();
    if (committed.joining == null) {
      storage.sync();
    }
    return committed.joining != null;
  }

  /**
   * Joins the documents of a transaction before their turn, in a commit of its own: while a
   * snapshot is being joined, {@link #stage} refuses what this was not called for. Call when
   * nothing is staged.
   *
   * @throws StorageException as {@link #commit} does
   */
  public void joinFirst(Transaction transaction) {
    Joining joining = committed.joining;
    if (joining != null) {
      joining.stageFirst(
          staging,
          transaction.edits().stream()
              .map(edit -> new DocumentKey(edit.id()))
              .distinct()
              .map(id -> id.bytes)
              .toList());
      commit();
      sequences.reread();
    }
  }

  /**
   * Stages membership entries, and what follows from them: changes that do not count any more are
   * taken out of the documents, and those that count again come back. Call it when no changes are
   * staged.
   *
   * @return false when none of the entries is new and authentic, or when documents are being joined
   *     with a snapshot: what counts must not change under that
   */
  public boolean stageMembers(Collection<? extends MembershipEntry> entries) {
    if (isJoining()) {
      return false;
    }
    Membership before = staging.membership;
    Membership grown = before.with(entries);
    if (grown == before) {
      return false;
    }
    var kept = new HashSet<Hash>();
    for (MembershipEntry entry : grown.entries()) {
      kept.add(entry.hash());
      staging.batch.put(Table.MEMBERS, entry.hash().bytes(), entry.toByteArray());
    }
    for (MembershipEntry entry : before.entries()) {
      if (!kept.contains(entry.hash())) {
        staging.batch.delete(Table.MEMBERS, entry.hash().bytes());
      }
    }
    staging.membership = grown;
    staging.synced = true;
    limits.settle(staging);
    Own own = staging.own;
    if (own != null && limits.limit(staging, own.actor(), own.genesis().deviceKey()) != null) {
      // Whatever comes next, even after this device was let in again, is another actor's.
      stageFence();
    }
    return true;
  }

  /**
   * Statements that what left the log cannot be taken back, where the membership has actors end
   * before that; none where this device said so already, or may not write. Call it when nothing is
   * staged.
   */
  public List<MembershipEntry.Keep> keeps() {
    if (!mayWrite() || isJoining()) {
      return List.of();
    }
    Membership membership = committed.membership;
    byte[] self = identity.signer().publicKey();
    var keeps = new ArrayList<MembershipEntry.Keep>();
    committed
        .floor
        .heads()
        .forEach(
            (actor, head) -> {
              Head limit = limits.limit(staging, actor, head.genesis().deviceKey());
              if (limit != null
                  && limit.seq() < head.seq()
                  && head.isAuthentic(identity.database(), actor)
                  && membership.keeps().stream()
                      .noneMatch(
                          keep ->
                              Arrays.equals(keep.signer(), self)
                                  && keep.actor().equals(actor)
                                  && keep.head().seq() >= head.seq())) {
                keeps.add(MembershipEntry.Keep.sign(identity.database(), head, identity.signer()));
              }
            });
    return keeps;
  }

  /**
   * Whether this storage may be an earlier one that took the place of another, and has not caught
   * up with a peer since. The others may have cut what it lacks off their logs, because this device
   * had said that it has it.
   */
  public boolean isBehind() {
    return guard.isBehind();
  }

  /**
   * Ends being behind where this replica has all that a peer said to have, and the peer had all
   * that was here. Call it when nothing is staged.
   *
   * @return whether this replica is not behind any more
   * @throws StorageException as {@link #commit} does; it is still behind then
   */
  public boolean catchUp(Frontier peer) {
    boolean done =
        !isJoining()
            && has(view.frontier(), peer, null)
            && has(peer, opened, identity.signer().publicKey());
    if (done) {
      guard.caughtUp();
    }
    return done;
  }

  /** Whether {@code one} has all of {@code other} that may count, but for a device's own. */
  private boolean has(Frontier one, Frontier other, byte @Nullable [] exceptOf) {
    return other.heads().entrySet().stream()
        .allMatch(
            head -> {
              ActorId actor = head.getKey();
              ActorRow row = committed.actors.get(actor);
              return one.seq(actor) >= countable(actor, head.getValue().seq())
                  || (row != null && Arrays.equals(row.genesis().deviceKey(), exceptOf));
            });
  }

  /**
   * A signed removal of a device that accepts what counts of it here.
   *
   * @param keep the role that is left, or null for none
   * @param secret the name of the secret of the epoch that begins, zero for none
   * @throws CoreException when this replica {@link #isBehind} and somebody else is left to catch up
   *     with: it would accept less than others have cut off their logs, and cannot take back
   */
  public MembershipEntry.Revoke removal(
      byte[] device, @Nullable Role keep, long atMillis, Hash secret) {
    if (isBehind() && hasOthers(device)) {
      throw new CoreException(
          CoreException.Kind.BEHIND,
          "the database on this device is an earlier one that was put back, and has not met another"
              + " device since: it may lack what the others have of the device to be removed");
    }
    var heads = new HashMap<ActorId, Head>();
    committed.actors.forEach(
        (actor, row) -> {
          if (row.head().seq() > 0 && Arrays.equals(row.genesis().deviceKey(), device)) {
            heads.put(actor, row.head());
          }
        });
    return MembershipEntry.Revoke.sign(
        identity.database(),
        device,
        keep,
        atMillis,
        heads,
        secret,
        committed.membership.newest(),
        identity.signer());
  }

  /** Whether there are members besides this device and another. */
  private boolean hasOthers(byte[] device) {
    byte[] self = identity.signer().publicKey();
    var devices = new ArrayList<byte[]>();
    committed.membership.members().forEach(member -> devices.add(member.device()));
    if (committed.membership.role(identity.founder()) != null) {
      devices.add(identity.founder()); // It may not have named itself.
    }
    return devices.stream().anyMatch(d -> !Arrays.equals(d, self) && !Arrays.equals(d, device));
  }

  /**
   * Void changes that this device has not written again.
   *
   * @param device who made them, Ed25519 key
   * @param from seq of the first
   * @param to seq of the last
   */
  public record VoidChanges(ActorId actor, byte[] device, long from, long to) {
    public long count() {
      return to - from + 1;
    }
  }

  /** What is kept here and does not count, ascending by actor. Call it when nothing is staged. */
  public List<VoidChanges> voidChanges() {
    var all = new ArrayList<VoidChanges>();
    for (ActorId actor : new TreeSet<>(committed.voids.keySet())) {
      ActorRow row = committed.actors.get(actor);
      VoidRow known = committed.voids.get(actor);
      if (row != null && known != null) {
        byte[] device = row.genesis().deviceKey();
        long head = row.head().seq();
        if (known.adoptedFrom() > head + 1) {
          // They became void later than those behind them.
          all.add(new VoidChanges(actor, device, head + 1, known.adoptedFrom() - 1));
        }
        long from = Math.max(head, known.adoptedTo()) + 1;
        if (from <= known.tail().seq()) {
          all.add(new VoidChanges(actor, device, from, known.tail().seq()));
        }
      }
    }
    return all;
  }

  /**
   * Void changes that this replica itself made, under an actor of which a copy of this data
   * directory, or what this one was restored from, made others: to be written again without being
   * asked. Call it when nothing is staged.
   */
  public List<VoidChanges> ownVoidChanges() {
    var forked = new HashSet<ActorId>();
    committed.membership.forks().forEach(fork -> forked.add(fork.actor()));
    var own = new ArrayList<VoidChanges>();
    for (VoidChanges changes : voidChanges()) {
      VoidRow known = committed.voids.get(changes.actor());
      long last = known == null ? 0 : Math.min(changes.to(), known.own());
      if (last >= changes.from() && forked.contains(changes.actor())) {
        own.add(new VoidChanges(changes.actor(), changes.device(), changes.from(), last));
      }
    }
    return own;
  }

  /** Whether {@link #ownVoidChanges} could be any; costs nothing. */
  public boolean mayBeForked() {
    return !committed.voids.isEmpty() && !isJoining();
  }

  /** Whether this device may write now. */
  public boolean mayWrite() {
    return staging.membership.may(identity.signer().publicKey(), Role.WRITE);
  }

  /** Of an actor, the newest change stored here, void ones too; seq 0 for none. */
  public Head newest(ActorId actor) {
    ActorRow row = committed.actors.get(actor);
    VoidRow known = committed.voids.get(actor);
    return known != null ? known.tail() : row == null ? new Head(0, Hash.ZERO) : row.head();
  }

  /** The device and the nonce behind an actor, or null when it is not known here. */
  public @Nullable Genesis genesis(ActorId actor) {
    ActorRow row = committed.actors.get(actor);
    return row == null ? null : row.genesis();
  }

  /** The hash of a stored change, of the void ones too; null when it is not here. */
  public @Nullable Hash hashOf(ActorId actor, long seq) {
    Head newest = newest(actor);
    if (seq == newest.seq()) {
      return newest.hash();
    }
    return seq == 0 ? Hash.ZERO : log.hashOf(identity.database(), actor, seq);
  }

  /** An adoption under way: what the names in the void changes are in those that replace them. */
  public static final class Adoption {
    private final VoidChanges changes;
    private final Map<Long, Dot> names = new HashMap<>();
    private final Map<DocumentKey, ElementId> elements = new HashMap<>();

    /** Of each register of a document, the dots that replace void ones and were not replaced. */
    private final Map<DocumentKey, List<Dot>> made = new HashMap<>();

    private long next;

    public Adoption(VoidChanges changes) {
      this.changes = changes;
      this.next = changes.from();
    }

    public boolean isDone() {
      return next > changes.to();
    }

    private static DocumentKey place(byte[] id, CrdtOperation operation) {
      return new DocumentKey(SequenceRows.prefix(id, operation.register()));
    }

    private List<Dot> made(byte[] id, CrdtOperation operation) {
      return made.getOrDefault(place(id, operation), List.of());
    }

    private void made(byte[] id, CrdtOperation operation, Dot dot) {
      var dots = new ArrayList<>(made(id, operation));
      dots.removeAll(operation.observedDots());
      if (operation.makesDot()) {
        dots.add(dot);
      }
      made.put(place(id, operation), dots);
    }
  }

  /**
   * Stages the next void change of an adoption as a change of our own that does the same: what it
   * had seen of the others it replaces, what they did since stays beside it. What comes of earlier
   * void changes of the actor it had seen in any case, though what it names may have been another's
   * that had replaced it.
   *
   * @throws CoreException when this device may not write, or the change has no room for it
   */
  public void stage(Adoption adoption) {
    requireWriter();
    Own author = staging.own == null ? mint() : staging.own;
    ActorId voided = adoption.changes.actor();
    long seq = adoption.next++;
    long ownSeq = staging.seq(author.actor()) + 1;
    adoption.names.put(seq, new Dot(author.actor(), ownSeq, 0));
    var edits = new ArrayList<DocumentEdit>();
    var index = new int[1];
    log.changes(
        voided,
        seq,
        seq,
        arrived -> {
          for (DocumentEdit edit : ChangeBody.decode(voided, arrived.change().body())) {
            var operations = new ArrayList<CrdtOperation>();
            for (CrdtOperation operation : edit.operations()) {
              CrdtOperation renamed =
                  operation.renamed(new Renaming(adoption, author.actor(), edit.id(), operation));
              if (renamed != null) {
                operations.add(renamed);
                adoption.made(edit.id(), renamed, new Dot(author.actor(), ownSeq, index[0]));
                index[0] += renamed.makesDot() ? 1 : 0;
              }
            }
            edits.add(new DocumentEdit(edit.id(), operations));
          }
        });
    byte[] body = ChangeBody.encode(author.actor(), edits);
    if (body.length > ChangeBody.MAX_BYTES) {
      throw CoreException.tooLarge("change " + seq + " has no room for what it is to replace");
    }
    long timestamp = clock.next(environment.wallClock().millis());
    int applied = 0;
    for (DocumentEdit edit : edits) {
      StagedDocument document = staging.documentForChange(new DocumentKey(edit.id()));
      applied =
          apply(edit.id(), edit.operations(), document, author.actor(), ownSeq, applied, timestamp);
    }
    if (staging.own == null) {
      adopt(author);
    }
    stageOwn(
        author,
        new Change(dependencies(), timestamp, body),
        Hash.bulk(body, body.length),
        edits,
        Transaction.Acknowledgement.LOCAL);
    VoidRow known = staging.voidRow(voided);
    if (known != null) {
      staging.voids.put(voided, known.adopted(seq));
    }
  }

  /** What the names in a void change are in the change that replaces it. */
  private final class Renaming implements CrdtOperation.Names {
    private final Adoption adoption;
    private final ActorId voided;
    private final ActorId author;
    private final Sequence sequence;
    private final ElementId first;
    private final List<Dot> alsoSeen;

    /** Must be made before anything of the change is applied. */
    Renaming(Adoption adoption, ActorId author, byte[] id, CrdtOperation operation) {
      this.adoption = adoption;
      this.voided = adoption.changes.actor();
      this.author = author;
      alsoSeen = adoption.made(id, operation);
      boolean onSequence = operation instanceof CrdtOperation.OnSequence;
      sequence = onSequence ? sequences.get(id, operation.register()) : Sequence.empty(NO_REGISTER);
      first =
          onSequence
              ? adoption.elements.computeIfAbsent(
                  new DocumentKey(SequenceRows.prefix(id, operation.register())),
                  k -> new ElementId(author, sequence.count(author)))
              : new ElementId(author, 0);
    }

    @Override
    public List<Dot> alsoSeen() {
      return alsoSeen;
    }

    @Override
    public @Nullable Dot dot(Dot dot) {
      Dot again = dot.actor().equals(voided) ? adoption.names.get(dot.seq()) : null;
      if (again != null) {
        return new Dot(again.actor(), again.seq(), dot.index());
      }
      return staging.seq(dot.actor()) >= dot.seq() ? dot : null;
    }

    @Override
    public @Nullable ElementId element(ElementId element) {
      int known = sequence.count(element.actor());
      if (element.counter() < known) {
        return element;
      }
      // The void elements follow those that count, and so do the ones that replace them.
      return element.actor().equals(voided)
          ? new ElementId(author, first.counter() + element.counter() - known)
          : null;
    }

    @Override
    public List<Change.Dependency> seen(List<Change.Dependency> seen) {
      var renamed = new TreeMap<ActorId, Long>();
      for (Change.Dependency last : seen) {
        long counting = Math.min(last.seq(), staging.seq(last.actor()));
        if (counting > 0) {
          renamed.merge(last.actor(), counting, Math::max);
        }
        if (last.actor().equals(voided)) {
          for (Map.Entry<Long, Dot> name : adoption.names.entrySet()) {
            if (name.getKey() <= last.seq()) {
              renamed.merge(author, name.getValue().seq(), Math::max);
            }
          }
        }
      }
      return renamed.entrySet().stream()
          .map(last -> new Change.Dependency(last.getKey(), last.getValue()))
          .toList();
    }
  }

  /**
   * Stages whose an actor is of which nothing counts: without it, changes that depend on its would
   * wait for ever where they never arrived.
   *
   * @return whether that was news
   */
  public boolean stageOrigin(Genesis genesis) {
    return limits.learn(staging, genesis);
  }

  /** The greatest of the changes up to {@code seq} that may ever count, as far as is known here. */
  public long countable(ActorId actor, long seq) {
    ActorRow row = staging.actor(actor);
    Head limit = row == null ? null : limits.limit(staging, actor, row.genesis().deviceKey());
    return limit == null ? seq : Math.min(seq, limit.seq());
  }

  /** The actors of which nothing counts, for {@link #stageOrigin} elsewhere. */
  public List<Genesis> endedActors() {
    var ended = new ArrayList<Genesis>();
    for (ActorId actor : new TreeSet<>(committed.actors.keySet())) {
      ActorRow row = committed.actors.get(actor);
      if (row != null && row.head().seq() == 0) {
        ended.add(row.genesis());
      }
    }
    return ended;
  }

  /**
   * Commits what was staged in one batch: operations, state, version vector, fingerprint and
   * arrivals together. When a staged write asks for it, the batch is on disk before this returns.
   *
   * @throws StorageException.Full when the disk is full: everything staged is discarded, later
   *     commits may succeed
   * @throws StorageException.Failed when writing failed: everything staged is discarded
   */
  public void commit() {
    if (!staging.isEmpty()) {
      write(true).run();
    }
  }

  /**
   * Whether {@link #commitUnsynced} will do for what is staged: durable writes and nothing else.
   */
  public boolean maySyncLater() {
    return staging.synced && !staging.relaxed && staging.membership == committed.membership;
  }

  /**
   * As {@link #commit}, without waiting for the disk: nothing of it may be acknowledged or shown to
   * others before {@link #sync}.
   *
   * @return to be run after that sync, before anything is acknowledged; by any thread, as long as
   *     nothing but {@link #stage}, {@link #commitUnsynced} and {@link #sync} is called meanwhile
   */
  public Runnable commitUnsynced() {
    if (!maySyncLater()) {
      throw new IllegalStateException("what is staged must be synced in its commit");
    }
    return write(false);
  }

  /** Writes what is staged; returns what remains to be done once it is on disk. */
  private Runnable write(boolean waits) {
    Staging staged = staging;
    Runnable onDisk = () -> {};
    BucketSums buckets = committed.buckets;
    long documents = committed.documents;
    try (staged) {
      Storage.Batch batch = staged.batch;
      staged.sign(identity.signer());
      staged.log.close();
      var out = new ByteWriter(1_024);
      Base.Keeper keeper = keeper(staged);
      if (keeper != null) {
        staged.documents.forEach((id, document) -> keeper.document(id, document.before()));
      }
      sequences.write(batch, staged.documents, keeper);
      for (var entry : staged.documents.entrySet()) {
        if (entry.getValue().appears()) {
          buckets.appears(entry.getKey().bytes);
        }
      }
      // In the order of the table: RocksDB and the buckets go on from where the one before went.
      var ordered = new ArrayList<>(staged.documents.entrySet());
      ordered.sort((a, b) -> Arrays.compareUnsigned(a.getKey().bytes, b.getKey().bytes));
      for (var entry : ordered) {
        documents += writeDocument(batch, entry.getKey().bytes, entry.getValue(), out);
      }
      buckets.write(batch);
      for (var entry : staged.actors.entrySet()) {
        batch.put(Table.FRONTIER, Rows.actorKey(entry.getKey()), entry.getValue().toByteArray());
      }
      for (var entry : staged.voids.entrySet()) {
        batch.put(Table.VOID, Rows.actorKey(entry.getKey()), entry.getValue().toByteArray());
      }
      batch.put(
          Table.META,
          Rows.META_REPLICA,
          Rows.replicaRow(documents, buckets.sum(), staged.log.arrivals(), clock.last()));
      boolean marked = staged.relaxed && guard.markRelaxed(batch);
      boolean synced = staged.synced || marked;
      storage.commit(batch, synced && waits ? Durability.SYNCED : Durability.BUFFERED);
      if (staged.relaxed) {
        guard.relaxedCommitted();
      }
      Own author = staged.own;
      ActorRow row = author == null ? null : staged.actors.get(author.actor());
      if (synced && author != null && row != null) {
        onDisk = () -> guard.onDisk(author.actor(), row);
      }
    } catch (RuntimeException e) {
      buckets.discard();
      sequences.discard();
      if (committed.joining != null) {
        committed.joining.discarded();
      }
      staging = new Staging(storage, committed);
      throw e;
    }
    buckets.committed();
    sequences.committed();
    if (committed.joining != null && committed.joining.committed()) {
      log.raise(committed.joining.raised(log.floor(), view.frontier(), identity.database()));
      committed.joining = null;
      committed.floor = log.storedFloor();
    }
    committed.actors.putAll(staged.actors);
    committed.voids.putAll(staged.voids);
    committed.documents = documents;
    committed.arrivals = staged.log.arrivals();
    committed.own = staged.own;
    committed.undeclared = staged.undeclared;
    committed.membership = staged.membership;
    committed.recent.add(committed.arrivals, staged.documents.keySet());
    view = committed.view();
    log.counts(view.frontier());
    staging = new Staging(storage, committed);
    return onDisk;
  }

  /**
   * Cuts one of the buckets that wait for it; call it when nothing is staged.
   *
   * @return whether there was one
   * @throws StorageException when reading or writing failed: nothing has changed
   */
  public boolean cutBucket() {
    BucketSums buckets = committed.buckets;
    try (Storage.Batch batch = storage.newBatch()) {
      if (!buckets.cutOne()) {
        return false;
      }
      buckets.write(batch);
      storage.commit(batch, Durability.BUFFERED);
    } catch (RuntimeException e) {
      buckets.discard();
      throw e;
    }
    buckets.committed();
    return true;
  }

  /** What keeps documents as they were where the log begins; null when it is complete. */
  private Base.@Nullable Keeper keeper(Staging staged) {
    return staged.keepsBase || !committed.hasBase()
        ? null
        : new Base.Keeper(storage, staged.batch, committed::floorSeq);
  }

  /** Writes one document and its fingerprint; returns by how much the number of documents grows. */
  private int writeDocument(
      Storage.Batch batch, byte[] id, StagedDocument document, ByteWriter out) {
    byte[] row = document.row(out);
    if (row != null) {
      batch.put(Table.STATE, id, row);
    } else if (document.before() != null) {
      batch.delete(Table.STATE, id);
    }
    committed.buckets.replace(id, document.before(), row);
    EdgeIndex.replace(batch, id, document.before(), row);
    return (document.exists() ? 1 : 0) - (document.existed() ? 1 : 0);
  }

  /** Forgets what was staged. */
  public void discard() {
    staging.close();
    sequences.discard();
    staging = new Staging(storage, committed);
  }

  /**
   * Records in the anchor how far our own changes have come. Call it before anything that shows
   * them, a frontier included, leaves this device; it does nothing when nothing was written.
   *
   * @throws StorageException.Failed when the anchor could not be written
   */
  public void anchorOwn() {
    Own own = committed.own;
    ActorRow row = own == null ? null : committed.actors.get(own.actor());
    if (own != null && row != null) {
      guard.record(own.actor(), row);
    }
  }

  /**
   * Makes the index of edges anew; call it when nothing is staged.
   *
   * @return how many edges there are
   */
  public long remakeEdges() {
    return EdgeIndex.make(storage);
  }

  /** Makes every earlier commit survive power loss. */
  public void sync() {
    storage.sync();
  }

  /** Ends cleanly: what was published is on disk, and the actor may go on after reopening. */
  public void close() {
    staging.close();
    storage.sync();
    Own own = committed.own;
    guard.close(own, own == null ? null : committed.actors.get(own.actor()));
  }
}
