package io.pluresdb.crdt.model;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.DocumentReader;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.Transaction;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** The product's replicas, driven by the steps of a history. */
class Cluster {
  static final Hash DATABASE = ReplicaIdentity.databaseHash("histories");
  static final ReplicaIdentity IDENTITY = identity();

  /** One replica. All of them are the same device, so that no time goes into memberships. */
  static final class Node {
    private final SplittableRandom random;
    private final MemoryAnchor anchor = new MemoryAnchor();
    private @Nullable MemoryStorage backup;
    long wallMillis;
    MemoryStorage storage = new MemoryStorage();
    ReplicaEngine engine;

    Node(long seed, long wallMillis) {
      random = new SplittableRandom(seed);
      this.wallMillis = wallMillis;
      engine = open();
    }

    private ReplicaEngine open() {
      var environment = new Environment(() -> Instant.ofEpochMilli(wallMillis), random);
      return new ReplicaEngine(
          Replica.open(storage, IDENTITY, anchor, environment), environment, event -> {});
    }

    /** A replica with the same storage, that goes its own way. */
    Node copy() {
      var copy = new Node(98, wallMillis);
      copy.storage = storage.copy();
      copy.engine = copy.open();
      return copy;
    }

    Replica replica() {
      return engine.replica();
    }

    @Nullable Receipt write(List<EditSpec> edits) {
      return write(edits.stream().map(EditSpec::toEdit).toArray(Edit[]::new));
    }

    /** A transaction; null when it was refused. */
    @Nullable Receipt write(Edit... edits) {
      var receipts = new ArrayList<Receipt>();
      var failures = new ArrayList<RuntimeException>();
      engine.submit(
          Transaction.of(edits),
          (receipt, failure) -> {
            if (receipt != null) {
              receipts.add(receipt);
            } else if (failure != null) {
              failures.add(failure);
            }
          });
      engine.turn(true);
      // In the model every write counts as published.
      replica().anchorOwn();
      for (RuntimeException failure : failures) {
        if (!(failure instanceof CoreException)) {
          throw failure;
        }
      }
      return receipts.isEmpty() ? null : receipts.getFirst();
    }

    void deliver(ChangeRun run) {
      engine.apply(run);
      engine.turn(true);
    }

    void tick() {
      engine.tick();
      engine.turn(true);
    }

    /** All runs of this replica, in order of arrival. */
    List<ChangeRun> runsFor(Node other) {
      var frontier = other.replica().view().frontier();
      var runs = new ArrayList<ChangeRun>();
      long end = replica().view().arrivals();
      for (long cursor = 0; cursor < end; ) {
        var batch = replica().log().read(cursor, end, frontier::seq, 1 << 20);
        runs.addAll(batch.runs());
        cursor = batch.cursor();
      }
      return runs;
    }

    /** All rows of a table as hex. */
    Map<String, String> rows(Table table) {
      var rows = new LinkedHashMap<String, String>();
      try (var snapshot = storage.snapshot();
          var cursor = snapshot.scan(table, new byte[0], null)) {
        while (cursor.next()) {
          rows.put(
              HexFormat.of().formatHex(cursor.key()), HexFormat.of().formatHex(cursor.value()));
        }
      }
      return rows;
    }

    String observe() {
      var out = new StringBuilder();
      for (String id : History.IDS) {
        byte[] key = id.getBytes(StandardCharsets.UTF_8);
        NodeRecord record = DocumentReader.read(storage, key);
        if (record == null) {
          continue;
        }
        out.append(shown(record));
      }
      Replica.View view = replica().view();
      var seen = new LinkedHashMap<String, Long>();
      view.frontier().heads().forEach((actor, head) -> seen.put(actor.hex(), head.seq()));
      return out.append("documents=")
          .append(view.documents())
          .append(" seen=")
          .append(seen)
          .toString();
    }
  }

  /** Everything a reader sees of a document, on a line. */
  static String shown(NodeRecord record) {
    var out = new StringBuilder();
    var clock = new TreeMap<String, Long>();
    record.clock().forEach((actor, seq) -> clock.put(actor.hex(), seq));
    float[] embedding = record.embedding();
    out.append(record.id()).append('=').append(record.json());
    out.append(" conflicts=");
    out.append(record.conflicts().stream().map(Cluster::conflict).sorted().toList());
    out.append(" clock=").append(clock).append(" time=").append(record.timestamp());
    out.append(" embedding=");
    out.append(embedding == null ? "none" : Integer.toString((int) embedding[0])).append('\n');
    return out.toString();
  }

  private static String conflict(NodeRecord.Conflict conflict) {
    return conflict.path()
        + "|"
        + conflict.value()
        + "|"
        + conflict.dot().actor().hex()
        + ":"
        + conflict.dot().seq()
        + "."
        + conflict.dot().index()
        + "|"
        + conflict.timestamp();
  }

  final List<Node> nodes = new ArrayList<>();

  /** Every change ever written, in a run of its own, in the order of writing. */
  final List<ChangeRun> pool = new ArrayList<>();

  /**
   * What was seen after each step.
   *
   * @param actor who wrote, when the step was a write that was not refused
   * @param seen of the replica the step was about
   */
  record Observation(@Nullable String actor, String seen) {}

  final List<Observation> observations = new ArrayList<>();

  Cluster(List<Long> wallMillis) {
    for (int i = 0; i < wallMillis.size(); i++) {
      nodes.add(new Node(i + 1, wallMillis.get(i)));
    }
  }

  private static ReplicaIdentity identity() {
    var signer = new Signer(new byte[32]);
    return new ReplicaIdentity(DATABASE, signer.publicKey(), signer);
  }

  /** A further replica that has nothing yet. */
  Node fresh() {
    long latest = nodes.stream().mapToLong(node -> node.wallMillis).max().orElse(0);
    return new Node(99, latest);
  }

  void play(History history) {
    for (History.Step step : history.steps()) {
      observations.add(play(step));
    }
    settle();
  }

  Observation play(History.Step step) {
    return switch (step) {
      case History.Step.Write(var replica, var elapsed, var edits) -> {
        Node node = nodes.get(replica);
        node.wallMillis += elapsed;
        Receipt receipt = node.write(edits);
        if (receipt != null) {
          publish(node, receipt);
        }
        yield new Observation(receipt == null ? null : receipt.actor().hex(), node.observe());
      }
      case History.Step.Deliver(var replica, var pick) -> {
        Node node = nodes.get(replica);
        if (!pool.isEmpty()) {
          node.deliver(pool.get(pick % pool.size()));
        }
        yield new Observation(null, node.observe());
      }
      case History.Step.Sync(var from, var to) -> {
        Node node = nodes.get(to);
        if (!isAhead(nodes.get(from), node)) {
          sync(nodes.get(from), node);
        }
        yield new Observation(null, node.observe());
      }
      case History.Step.Clock(var replica, var delta) -> {
        Node node = nodes.get(replica);
        node.wallMillis += delta;
        node.tick();
        yield new Observation(null, node.observe());
      }
      case History.Step.Crash(var replica) -> {
        Node node = nodes.get(replica);
        node.storage = node.storage.crash();
        node.engine = node.open();
        yield new Observation(null, node.observe());
      }
      case History.Step.Backup(var replica) -> {
        Node node = nodes.get(replica);
        node.backup = node.storage.copy();
        yield new Observation(null, node.observe());
      }
      case History.Step.Restore(var replica) -> {
        Node node = nodes.get(replica);
        if (node.backup != null) {
          node.storage = node.backup.copy();
          node.engine = node.open();
        }
        yield new Observation(null, node.observe());
      }
    };
  }

  /** Whether something that {@code to} lacks is from too far in its future. */
  private boolean isAhead(Node from, Node to) {
    var seen = to.replica().view().frontier();
    return pool.stream()
        .filter(
            run ->
                run.toSeq() > seen.seq(run.actor())
                    && run.toSeq() <= from.replica().view().frontier().seq(run.actor()))
        .flatMap(run -> run.changes().stream())
        .anyMatch(change -> HybridClock.isAhead(change.timestamp(), to.wallMillis));
  }

  /** {@code to} takes over all that {@code from} has; nothing of it is ahead. */
  void sync(Node from, Node to) {
    from.runsFor(to).forEach(to.engine::apply);
    to.engine.turn(true);
  }

  private void publish(Node node, Receipt receipt) {
    ActorId actor = receipt.actor();
    var batch =
        node.replica()
            .log()
            .read(
                receipt.arrival() - 1,
                receipt.arrival(),
                any -> any.equals(actor) ? receipt.seq() - 1 : 0,
                1 << 20);
    pool.addAll(batch.runs());
  }

  /** Clocks agree again and everything reaches everybody. */
  private void settle() {
    long latest = nodes.stream().mapToLong(node -> node.wallMillis).max().orElse(0);
    for (int i = 0; i < nodes.size(); i++) {
      Node node = nodes.get(i);
      node.wallMillis = latest + 3_600_000;
      for (ChangeRun run : rotated(i)) {
        node.engine.apply(run);
      }
      node.tick();
      observations.add(new Observation(null, node.observe()));
    }
  }

  /** The pool from another place on, and backwards for every second replica. */
  private List<ChangeRun> rotated(int replica) {
    return rotated(pool, replica);
  }

  static <T> List<T> rotated(List<T> all, int replica) {
    var turned = new ArrayList<T>();
    for (int i = 0; i < all.size(); i++) {
      turned.add(all.get((i + 7 * replica) % all.size()));
    }
    return replica % 2 == 0 ? turned : turned.reversed();
  }
}
