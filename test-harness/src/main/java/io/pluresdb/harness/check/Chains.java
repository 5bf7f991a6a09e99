package io.pluresdb.harness.check;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The hash chains of one storage, computed again from the rows that are written to it: the log may
 * only grow, by one change after another, each after what it depends on.
 */
public final class Chains {
  private record Link(Hash hash, long timestamp) {}

  private static final ActorId NO_ACTOR = ActorId.read(new ByteReader(new byte[ActorId.BYTES]));

  private final Hash database;
  private final Ledger ledger;
  private final int device;
  private final TreeMap<ActorId, List<Link>> links = new TreeMap<>();

  /** How much of each chain counts. */
  private final TreeMap<ActorId, Long> heads = new TreeMap<>();

  private final TreeMap<Long, Ledger.Key> arrived = new TreeMap<>();
  private TreeMap<ActorId, Long> durable = new TreeMap<>();

  /** The chains of an empty storage of {@code device}. */
  public Chains(Hash database, Ledger ledger, int device) {
    this.database = database;
    this.ledger = ledger;
    this.device = device;
  }

  /** The chains of what a storage holds now, all of it on disk. */
  public static Chains scan(Hash database, Ledger ledger, int device, Storage storage) {
    var chains = new Chains(database, ledger, device);
    try (var snapshot = storage.snapshot()) {
      // By order of arrival: log rows are ordered by actor.
      try (var rows = snapshot.scan(Table.ARRIVAL, new byte[0], null)) {
        while (rows.next()) {
          var in = new ByteReader(rows.value());
          ActorId actor = ActorId.read(in);
          if (actor.equals(NO_ACTOR)) {
            // Documents that changed without a change.
            continue;
          }
          long from = in.varint();
          long count = in.varint();
          long seq = from;
          while (seq < from + count) {
            byte[] log = snapshot.get(Table.LOG, logKey(actor, seq));
            if (log == null) {
              throw new Violation(
                  Invariant.I12, "change " + seq + " of " + actor + " arrived and is not logged");
            }
            seq += chains.appendSegment(actor, seq, log);
          }
        }
      }
      int actors = 0;
      try (var rows = snapshot.scan(Table.FRONTIER, new byte[0], null)) {
        while (rows.next()) {
          chains.checkHead(rows.key(), rows.value());
          actors++;
        }
      }
      if (actors != chains.links.size()) {
        throw new Violation(Invariant.I12, "log and frontier name different actors");
      }
    }
    chains.synced();
    return chains;
  }

  private static byte[] logKey(ActorId actor, long seq) {
    var out = new io.pluresdb.crdt.codec.ByteWriter(ActorId.BYTES + 8);
    actor.write(out);
    return out.i64(seq).toByteArray();
  }

  /** Takes note of a log row that was committed. */
  public void appendLog(byte[] key, byte[] row) {
    var in = new ByteReader(key);
    appendSegment(ActorId.read(in), in.i64(), row);
  }

  /** Appends a log row; returns how many changes are in it. */
  private long appendSegment(ActorId actor, long fromSeq, byte[] row) {
    var in = new ByteReader(row);
    in.u8();
    long arrival = in.i64();
    var previous = new Hash(in.bytes(Hash.BYTES));
    List<Link> chain = links.getOrDefault(actor, List.of());
    if (!previous.equals(chain.isEmpty() ? Hash.ZERO : chain.getLast().hash)) {
      throw new Violation(
          Invariant.I4, "log row " + fromSeq + " of actor " + actor + " does not follow ours");
    }
    long count = in.varint();
    for (long i = 0; i < count; i++) {
      append(actor, fromSeq + i, Change.read(in));
      arrived.put(arrival + i, new Ledger.Key(actor, fromSeq + i));
    }
    return count;
  }

  private void append(ActorId actor, long seq, Change change) {
    List<Link> chain = links.computeIfAbsent(actor, a -> new ArrayList<>());
    if (seq != chain.size() + 1) {
      throw new Violation(
          Invariant.I4,
          "change " + seq + " of actor " + actor + " is written after " + chain.size());
    }
    Link last = chain.isEmpty() ? null : chain.getLast();
    rises(actor, seq, change, last);
    for (Change.Dependency dependency : change.deps()) {
      List<Link> other = links.get(dependency.actor());
      if (other == null || other.size() < dependency.seq()) {
        if (ledger.isForked(dependency.actor())) {
          // Void, and nobody gives it any more.
          continue;
        }
        throw new Violation(
            Invariant.I5,
            "change " + seq + " of actor " + actor + " is visible before " + dependency);
      }
      // Whoever lies about time lies about its own only: its chain rises, as its receivers see to.
      if (!ledger.isLiar(actor)) {
        rises(actor, seq, change, other.get((int) dependency.seq() - 1));
      }
    }
    Hash hash = change.hash(database, actor, seq, last == null ? Hash.ZERO : last.hash);
    ledger.record(device, actor, seq, hash, change);
    chain.add(new Link(hash, change.timestamp()));
  }

  private static void rises(ActorId actor, long seq, Change change, @Nullable Link before) {
    if (before != null && before.timestamp >= change.timestamp()) {
      throw new Violation(
          Invariant.I10, "change " + seq + " of actor " + actor + " is not later than its past");
    }
  }

  /**
   * Compares a frontier row with the chain: it is at its end, or, where a device wrote twice, at
   * the last change that is in both branches.
   */
  public void checkHead(byte[] key, byte[] row) {
    ActorId actor = ActorId.read(new ByteReader(key));
    var in = new ByteReader(row);
    long seq = in.varint();
    var hash = new Hash(in.bytes(Hash.BYTES));
    List<Link> chain = links.getOrDefault(actor, List.of());
    boolean reaches = seq == chain.size() || (seq < chain.size() && ledger.isForked(actor));
    if (!reaches || !hash.equals(seq == 0 ? Hash.ZERO : chain.get((int) seq - 1).hash)) {
      throw new Violation(
          Invariant.I12,
          "frontier says " + seq + " of actor " + actor + ", the log " + chain.size());
    }
    heads.put(actor, seq);
  }

  /** Everything so far survives power loss. */
  public void synced() {
    var now = new TreeMap<ActorId, Long>();
    links.forEach((actor, chain) -> now.put(actor, (long) chain.size()));
    durable = now;
  }

  /** The change that arrived as number {@code arrival}, from 1; null when none did that counts. */
  public Ledger.@Nullable Key arrived(long arrival) {
    Ledger.Key key = arrived.get(arrival);
    return key != null && key.seq() <= heads.getOrDefault(key.actor(), 0L) ? key : null;
  }

  public long seq(ActorId actor) {
    return links.getOrDefault(actor, List.of()).size();
  }

  /** The newest change of an actor that survives power loss, 0 for none. */
  public long durableSeq(ActorId actor) {
    return durable.getOrDefault(actor, 0L);
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
            .allMatch(head -> isAt(head.getKey(), head.getValue()));
  }

  private boolean isAt(ActorId actor, Frontier.Head head) {
    List<Link> chain = links.getOrDefault(actor, List.of());
    return chain.get((int) head.seq() - 1).hash.equals(head.hash());
  }
}
