package io.pluresdb.harness.check;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The hash chains of one storage, computed again from the rows that are written to it: the log may
 * only grow, by one change after another, each after what it depends on; what counts of it ends
 * where the stored membership says; and what leaves it is at its beginning.
 *
 * <p>A chain of which the beginning left the log, or came as part of a snapshot, goes on from the
 * floor that was stored in its place.
 */
public final class Chains {
  private record Link(Hash hash, long timestamp) {}

  /** Whose chains they are. */
  public record Owner(Hash database, byte[] founder, byte[] device, int author) {}

  private static final ActorId NO_ACTOR = ActorId.read(new ByteReader(new byte[ActorId.BYTES]));
  private static final byte[] PROGRESS = {0};

  /** The first byte of the rows of BASE that tell its heads. */
  private static final byte BASE_HEAD = 0;

  private static final int JOINING = 3;

  private final Owner owner;
  private final Ledger ledger;
  private final TreeMap<ActorId, TreeMap<Long, Link>> links = new TreeMap<>();

  /** How much of each chain counts. */
  private final TreeMap<ActorId, Long> heads = new TreeMap<>();

  private final TreeMap<ActorId, Genesis> origins = new TreeMap<>();
  private final TreeMap<ActorId, Long> floors = new TreeMap<>();

  /**
   * Where the state begins that void changes can be taken back from: a joined snapshot raises it.
   */
  private final TreeMap<ActorId, Long> bases = new TreeMap<>();

  /**
   * How far each actor was depended on while that was void, as the storage that is scanned says.
   */
  private final TreeMap<ActorId, Long> skipped = new TreeMap<>();

  /** Where the stored log of each actor ends that has, or had, void changes. */
  private final TreeMap<ActorId, Long> voidTails = new TreeMap<>();

  private final NavigableMap<byte[], byte[]> members = new TreeMap<>(Arrays::compareUnsigned);
  private final TreeMap<Long, Ledger.Key> arrived = new TreeMap<>();
  private Membership membership;
  private TreeMap<ActorId, Long> durable = new TreeMap<>();

  /** Whether a snapshot is being joined: local writes may depend on what it brings. */
  private boolean joining;

  /** Whether members that are silent may be left behind, or the log is cut above the cut. */
  private boolean cutsFreely;

  /** The chains of an empty storage. */
  public Chains(Owner owner, Ledger ledger) {
    this.owner = owner;
    this.ledger = ledger;
    membership = ledger.membership(owner.database, owner.founder, List.of());
  }

  /** The chains of what a storage holds now, all of it on disk. */
  public static Chains scan(Owner owner, Ledger ledger, Storage storage) {
    var chains = new Chains(owner, ledger);
    try (var snapshot = storage.snapshot()) {
      chains.scan(snapshot);
    }
    chains.synced();
    return chains;
  }

  /** From now on the log may lose what a member lacks that counts. */
  public void cutsFreely(boolean now) {
    cutsFreely = now;
  }

  private void scan(Storage.Snapshot snapshot) {
    scan(snapshot, Table.MEMBERS, members::put);
    readMembership();
    scan(snapshot, Table.FRONTIER, this::learn);
    scan(snapshot, Table.FLOOR, (key, row) -> raise(key, row, false));
    scan(snapshot, Table.BASE, this::raiseBase);
    byte[] progress = snapshot.get(Table.SNAPSHOT, PROGRESS);
    joining = progress != null && progress[1] == JOINING;
    var tails = new TreeMap<ActorId, Long>();
    scan(
        snapshot,
        Table.FRONTIER,
        (key, row) -> tails.put(actor(key), new ByteReader(row).varint()));
    scan(
        snapshot,
        Table.VOID,
        (key, row) -> {
          var in = new ByteReader(row);
          long tail = in.varint();
          tails.put(actor(key), tail);
          voidTails.put(actor(key), tail);
          in.skip(Hash.BYTES + 8);
          skipped.put(actor(key), in.varint());
        });
    // By order of arrival: log rows are ordered by actor.
    scan(
        snapshot,
        Table.ARRIVAL,
        (key, row) -> {
          var in = new ByteReader(row);
          ActorId actor = ActorId.read(in);
          if (!actor.equals(NO_ACTOR)) { // Otherwise documents changed without a change.
            long from = in.varint();
            scanArrival(
                snapshot, new ByteReader(key).i64(), actor, from, from + in.varint(), tails);
          }
        });
    skipped.clear();
    for (ActorId actor : links.keySet()) {
      if (!tails.containsKey(actor)) {
        throw new Violation(Invariant.I12, "log and frontier name different actors");
      }
    }
    scan(snapshot, Table.FRONTIER, this::checkHead);
  }

  private interface Row {
    void read(byte[] key, byte[] value);
  }

  private static void scan(Storage.Snapshot snapshot, Table table, Row row) {
    try (var rows = snapshot.scan(table, new byte[0], null)) {
      while (rows.next()) {
        row.read(rows.key(), rows.value());
      }
    }
  }

  private void scanArrival(
      Storage.Snapshot snapshot,
      long arrival,
      ActorId actor,
      long from,
      long to,
      Map<ActorId, Long> tails) {
    long seq = from;
    // Void changes that left the log leave rows behind that say they arrived.
    long last = Math.min(to - 1, tails.getOrDefault(actor, 0L));
    while (seq <= last) {
      byte[] log = snapshot.get(Table.LOG, logKey(actor, seq));
      if (log == null) {
        throw new Violation(
            Invariant.I12, "change " + seq + " of " + actor + " arrived and is not logged");
      }
      if (new ByteReader(log, 1, log.length).i64() != arrival + seq - from) {
        return; // They went, and came again later.
      }
      seq += appendSegment(actor, seq, log);
    }
  }

  private static byte[] logKey(ActorId actor, long seq) {
    var out = new ByteWriter(ActorId.BYTES + 8);
    actor.write(out);
    return out.i64(seq).toByteArray();
  }

  private static ActorId actor(byte[] key) {
    return ActorId.read(new ByteReader(key));
  }

  // Commits.

  /** Takes note of the rows of a commit. */
  public void committed(List<Written> rows) {
    boolean entries = false;
    boolean cut = false;
    for (Written row : rows) {
      byte[] value = row.value();
      switch (row.table()) {
        case MEMBERS -> {
          entries = true;
          if (value == null) {
            members.remove(row.key());
          } else {
            members.put(row.key(), value);
          }
        }
        case FRONTIER -> {
          if (value != null) {
            learn(row.key(), value);
          }
        }
        case SNAPSHOT -> {
          if (Arrays.equals(row.key(), PROGRESS)) {
            joining = value != null && value[1] == JOINING;
          }
        }
        case ARRIVAL -> cut |= value == null;
        default -> {}
      }
    }
    if (entries) {
      readMembership();
    }
    boolean cuts = cut;
    each(rows, Table.LOG, (key, row) -> appendSegment(actor(key), seq(key), row));
    each(rows, Table.FLOOR, (key, row) -> raise(key, row, cuts));
    each(rows, Table.BASE, this::raiseBase);
    each(rows, Table.VOID, (key, row) -> endVoids(actor(key), new ByteReader(row).varint()));
    each(rows, Table.FRONTIER, this::checkHead);
    if (entries) {
      heads.forEach((actor, seq) -> checkEnd(actor, seq));
    }
    for (Written row : rows) {
      byte[] before = row.before();
      if (row.table() == Table.LOG && row.value() == null && before != null) {
        checkRemoved(actor(row.key()), seq(row.key()), before);
      }
    }
  }

  private static void each(List<Written> rows, Table table, Row action) {
    for (Written row : rows) {
      byte[] value = row.value();
      if (row.table() == table && value != null) {
        action.read(row.key(), value);
      }
    }
  }

  private static long seq(byte[] logKey) {
    return new ByteReader(logKey, ActorId.BYTES, logKey.length).i64();
  }

  private void readMembership() {
    membership = ledger.membership(owner.database, owner.founder, members.values());
  }

  /** Takes note of whose an actor is. */
  private void learn(byte[] key, byte[] frontierRow) {
    ActorId actor = actor(key);
    var in = new ByteReader(frontierRow);
    in.varint();
    in.skip(Hash.BYTES);
    in.i64();
    Genesis genesis = Genesis.read(in);
    origins.put(actor, genesis);
    ledger.originates(actor, genesis);
  }

  /** Up to where an actor counts by the stored membership, or null without end. */
  private @Nullable Head limit(ActorId actor) {
    Genesis genesis = origins.get(actor);
    if (genesis == null) {
      return null;
    }
    byte[] device = genesis.deviceKey();
    boolean isNew =
        Arrays.equals(device, owner.device)
            && membership.role(device) == null
            && membership.lastAdmission(device) == null
            && membership.removals(device).isEmpty();
    // What a device writes before it hears that it was let in counts there.
    return isNew ? null : membership.limit(actor, device);
  }

  /** Appends a log row; returns how many changes are in it. */
  private long appendSegment(ActorId actor, long fromSeq, byte[] row) {
    var in = new ByteReader(row);
    in.u8();
    long arrival = in.i64();
    var previous = new Hash(in.bytes(Hash.BYTES));
    long count = in.varint();
    for (long i = 0; i < count; i++) {
      previous = append(actor, fromSeq + i, previous, Change.read(in));
      arrived.put(arrival + i, new Ledger.Key(actor, fromSeq + i));
    }
    return count;
  }

  private Hash append(ActorId actor, long seq, Hash previous, Change change) {
    TreeMap<Long, Link> chain = links.computeIfAbsent(actor, a -> new TreeMap<>());
    Link before = chain.get(seq - 1);
    if (seq > floors.getOrDefault(actor, 0L)) {
      if (seq != end(actor) + 1) {
        throw new Violation(
            Invariant.I4,
            "change " + seq + " of actor " + actor + " is written after " + end(actor));
      }
      if (!previous.equals(before == null ? Hash.ZERO : before.hash)) {
        throw new Violation(
            Invariant.I4, "log row " + seq + " of actor " + actor + " does not follow ours");
      }
    }
    rises(actor, seq, change, before == null ? null : before.timestamp);
    for (Change.Dependency dependency : change.deps()) {
      follows(actor, seq, change, dependency);
    }
    Hash hash = change.hash(owner.database, actor, seq, previous);
    ledger.record(owner.author, actor, seq, new Ledger.Entry(hash, previous, change));
    chain.put(seq, new Link(hash, change.timestamp()));
    return hash;
  }

  /** A change comes after what it depends on, unless that is void and all that counts is here. */
  private void follows(ActorId actor, long seq, Change change, Change.Dependency dependency) {
    ActorId other = dependency.actor();
    if (end(other) < dependency.seq()) {
      Head limit = limit(other);
      boolean isVoid = limit != null && limit.seq() < dependency.seq() && end(other) >= limit.seq();
      boolean isJoined = joining && ledger.holds(other, dependency.seq());
      // It may have been void when this was applied, and count again by a later entry.
      boolean wasVoid = skipped.getOrDefault(other, 0L) >= dependency.seq();
      if (!isVoid && !wasVoid && !isJoined) {
        throw new Violation(
            Invariant.I5,
            "change " + seq + " of actor " + actor + " is visible before " + dependency);
      }
      return;
    }
    // Whoever lies about time lies about its own only: its chain rises, as its receivers see to.
    if (!ledger.isLiar(actor)) {
      rises(actor, seq, change, ledger.timestamp(other, dependency.seq()));
    }
  }

  private static void rises(ActorId actor, long seq, Change change, @Nullable Long before) {
    if (before != null && before >= change.timestamp()) {
      throw new Violation(
          Invariant.I10, "change " + seq + " of actor " + actor + " is not later than its past");
    }
  }

  /** A floor is a change of ours, or, where a snapshot was joined, one that somebody wrote. */
  private void raise(byte[] key, byte[] row, boolean cuts) {
    ActorId actor = actor(key);
    SignedHead floor = SignedHead.read(row);
    Head head = floor.head(owner.database, actor);
    TreeMap<Long, Link> chain = links.computeIfAbsent(actor, a -> new TreeMap<>());
    Link here = chain.get(head.seq());
    if (here != null && !here.hash.equals(head.hash())) {
      throw new Violation(
          Invariant.I12, "the floor of actor " + actor + " is another change " + head.seq());
    }
    if (here == null && !ledger.holds(actor, head.seq(), head.hash())) {
      throw new Violation(
          Invariant.I4, "nobody wrote change " + head.seq() + " of " + actor + ", a floor");
    }
    if (cuts && !cutsFreely && head.seq() > floors.getOrDefault(actor, 0L)) {
      checkCut(actor, head.seq());
    }
    chain.put(head.seq(), new Link(head.hash(), floor.timestamp()));
    floors.put(actor, head.seq());
  }

  private void raiseBase(byte[] key, byte[] row) {
    if (key[0] == BASE_HEAD) {
      bases.put(ActorId.read(new ByteReader(key, 1, key.length)), SignedHead.read(row).seq());
    }
  }

  /**
   * What leaves the log is on the disk of every other member. Here it was committed before: where
   * power loss takes that, it takes the cut too.
   */
  private void checkCut(ActorId actor, long seq) {
    for (var member : membership.members()) {
      byte[] device = member.device();
      boolean isOther = !Arrays.equals(device, owner.device);
      if (isOther && membership.role(device) != null && ledger.everDurable(device, actor) < seq) {
        throw new Violation(
            Invariant.I3,
            "change " + seq + " of actor " + actor + " leaves the log before every member has it");
      }
    }
  }

  /** Void changes that left the log, or that never were. */
  private void endVoids(ActorId actor, long tail) {
    voidTails.put(actor, tail);
    TreeMap<Long, Link> chain = links.get(actor);
    if (chain != null) {
      chain.tailMap(tail, false).clear();
    }
  }

  private void checkRemoved(ActorId actor, long fromSeq, byte[] segment) {
    var in = new ByteReader(segment);
    in.skip(1 + 8 + Hash.BYTES);
    long last = fromSeq + in.varint() - 1;
    long counts = heads.getOrDefault(actor, 0L);
    boolean counting = Math.min(last, counts) > floors.getOrDefault(actor, 0L);
    // Void changes of an actor go all together.
    boolean kept = last > counts && end(actor) > counts;
    if (counting || kept) {
      throw new Violation(
          Invariant.I12,
          "changes " + fromSeq + " to " + last + " of " + actor + " leave the log above its floor");
    }
  }

  /**
   * Compares a frontier row with the chain: it is at its end, or where the membership says that the
   * actor ends, though not below what left the log.
   */
  private void checkHead(byte[] key, byte[] row) {
    ActorId actor = actor(key);
    var in = new ByteReader(row);
    long seq = in.varint();
    var hash = new Hash(in.bytes(Hash.BYTES));
    checkEnd(actor, seq);
    TreeMap<Long, Link> chain = links.get(actor);
    Link link = chain == null ? null : chain.get(seq);
    if (!hash.equals(seq == 0 ? Hash.ZERO : link == null ? null : link.hash)) {
      throw new Violation(
          Invariant.I12, "frontier has another change " + seq + " of actor " + actor);
    }
    heads.put(actor, seq);
  }

  private void checkEnd(ActorId actor, long seq) {
    long end = end(actor);
    Head limit = limit(actor);
    long counts =
        limit == null ? end : Math.max(bases.getOrDefault(actor, 0L), Math.min(limit.seq(), end));
    if (seq != counts) {
      throw new Violation(
          limit == null ? Invariant.I12 : Invariant.I9,
          "frontier says "
              + seq
              + " of actor "
              + actor
              + ", the log "
              + end
              + ", the members "
              + (limit == null ? "nothing" : limit.seq()));
    }
  }

  /** Everything so far survives power loss. */
  public void synced() {
    var now = new TreeMap<ActorId, Long>();
    for (ActorId actor : links.keySet()) {
      now.put(actor, end(actor));
      ledger.durable(owner.device, actor, end(actor));
    }
    durable = now;
  }

  // Questions.

  private long end(ActorId actor) {
    TreeMap<Long, Link> chain = links.get(actor);
    return chain == null || chain.isEmpty() ? 0 : chain.lastKey();
  }

  /** The change that arrived as number {@code arrival}, from 1; null when none did that counts. */
  public Ledger.@Nullable Key arrived(long arrival) {
    Ledger.Key key = arrived.get(arrival);
    return key != null && key.seq() <= heads.getOrDefault(key.actor(), 0L) ? key : null;
  }

  /** The newest change here of an actor, void ones too; 0 for none. */
  public long seq(ActorId actor) {
    return end(actor);
  }

  /** The newest change of an actor that survives power loss, 0 for none. */
  public long durableSeq(ActorId actor) {
    return durable.getOrDefault(actor, 0L);
  }

  /** The hash of a change, or null when it is not known here. */
  public @Nullable Hash hash(ActorId actor, long seq) {
    TreeMap<Long, Link> chain = links.get(actor);
    Link link = chain == null ? null : chain.get(seq);
    return link == null ? null : link.hash;
  }

  /** Whether a change is here, or something that comes after it and holds it. */
  public boolean has(ActorId actor, long seq, Hash hash) {
    Hash here = hash(actor, seq);
    return here == null ? isBelowFloor(actor, seq, hash) : here.equals(hash);
  }

  /** Where an actor forked, the floor is on one branch only. */
  private boolean isBelowFloor(ActorId actor, long seq, Hash hash) {
    long floor = floors.getOrDefault(actor, 0L);
    Hash head = hash(actor, floor);
    return seq <= floor
        && (!ledger.isForked(actor)
            || (head != null
                && ledger
                    .chain(actor, new Head(floor, head))
                    .get(Math.toIntExact(seq - 1))
                    .hash()
                    .equals(hash)));
  }

  /** Whether a change does not count, whatever comes. */
  public boolean isVoid(ActorId actor, long seq) {
    Head limit = limit(actor);
    return limit != null && limit.seq() < seq;
  }

  /** Whether a change does not count, and left the log because its time there was over. */
  public boolean isVoidAndGone(ActorId actor, long seq) {
    return isVoid(actor, seq) && voidTails.getOrDefault(actor, Long.MAX_VALUE) < seq;
  }

  /** The stored membership. */
  public Membership membership() {
    return membership;
  }

  /** Whether the device was a member, and is none any more. */
  public boolean isRemoved(byte[] device) {
    return membership.role(device) == null && isLowered(device);
  }

  /** Whether something was taken from the device's roles. */
  private boolean isLowered(byte[] device) {
    return !membership.removals(device).isEmpty();
  }

  /** Whether the device may write, by the stored membership. */
  public boolean mayWrite(byte[] device) {
    return membership.may(device, Role.WRITE);
  }

  /** Whether a frontier names exactly what counts of these chains. */
  public boolean equal(Frontier frontier) {
    var seqs = new TreeMap<ActorId, Long>();
    frontier.heads().forEach((actor, head) -> seqs.put(actor, head.seq()));
    heads.forEach(
        (actor, seq) -> {
          if (seq == 0) {
            seqs.putIfAbsent(actor, seq);
          }
        });
    return seqs.equals(heads)
        && frontier.heads().entrySet().stream()
            .allMatch(
                head -> head.getValue().hash().equals(hash(head.getKey(), head.getValue().seq())));
  }
}
