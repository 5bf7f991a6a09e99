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
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The hash chains of one storage, computed again from the rows that are written to it: the log may
 * only grow, by one change after another, each after what it depends on.
 */
public final class Chains {
  private record Link(Hash hash, long timestamp) {}

  private final Hash database;
  private final Ledger ledger;
  private final int device;
  private final TreeMap<ActorId, List<Link>> links = new TreeMap<>();
  private final List<Ledger.Key> arrived = new ArrayList<>();
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
    in.i64();
    var previous = new Hash(in.bytes(Hash.BYTES));
    List<Link> chain = links.getOrDefault(actor, List.of());
    if (!previous.equals(chain.isEmpty() ? Hash.ZERO : chain.getLast().hash)) {
      throw new Violation(
          Invariant.I4, "log row " + fromSeq + " of actor " + actor + " does not follow ours");
    }
    long count = in.varint();
    for (long i = 0; i < count; i++) {
      append(actor, fromSeq + i, Change.read(in));
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
    arrived.add(new Ledger.Key(actor, seq));
  }

  private static void rises(ActorId actor, long seq, Change change, @Nullable Link before) {
    if (before != null && before.timestamp >= change.timestamp()) {
      throw new Violation(
          Invariant.I10, "change " + seq + " of actor " + actor + " is not later than its past");
    }
  }

  /** Compares a frontier row with the chain. */
  public void checkHead(byte[] key, byte[] row) {
    ActorId actor = ActorId.read(new ByteReader(key));
    var in = new ByteReader(row);
    long seq = in.varint();
    var hash = new Hash(in.bytes(Hash.BYTES));
    List<Link> chain = links.getOrDefault(actor, List.of());
    if (chain.size() != seq || !chain.getLast().hash.equals(hash)) {
      throw new Violation(
          Invariant.I12,
          "frontier says " + seq + " of actor " + actor + ", the log " + chain.size());
    }
  }

  /** Everything so far survives power loss. */
  public void synced() {
    var now = new TreeMap<ActorId, Long>();
    links.forEach((actor, chain) -> now.put(actor, (long) chain.size()));
    durable = now;
  }

  /** The change that arrived as number {@code arrival}, from 1. */
  public Ledger.Key arrived(long arrival) {
    return arrived.get(Math.toIntExact(arrival - 1));
  }

  public long seq(ActorId actor) {
    return links.getOrDefault(actor, List.of()).size();
  }

  /** The newest change of an actor that survives power loss, 0 for none. */
  public long durableSeq(ActorId actor) {
    return durable.getOrDefault(actor, 0L);
  }

  /** Whether a frontier names exactly these chains. */
  public boolean equal(Frontier frontier) {
    if (frontier.heads().size() != links.size()) {
      return false;
    }
    for (Map.Entry<ActorId, Frontier.Head> head : frontier.heads().entrySet()) {
      List<Link> chain = links.getOrDefault(head.getKey(), List.of());
      if (chain.size() != head.getValue().seq()
          || !chain.getLast().hash.equals(head.getValue().hash())) {
        return false;
      }
    }
    return true;
  }
}
