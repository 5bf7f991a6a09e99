package io.pluresdb.storage.rocks;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.PeerLink;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.sync.SyncMessage;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A log is cut and a snapshot joined over storages on disk. */
class SnapshotOnRocksTest {
  private static final Hash DATABASE = ReplicaIdentity.databaseHash("rocks");
  private static final int DOCUMENTS = 20_000;

  private static final class Node implements AutoCloseable {
    final Signer signer;
    final MemoryAnchor anchor = new MemoryAnchor();
    final Path directory;
    final byte[] founder;
    RocksStorage storage;
    ReplicaEngine engine;

    Node(Path directory, int seed, byte[] founder) {
      byte[] secret = new byte[32];
      Arrays.fill(secret, (byte) seed);
      signer = new Signer(secret);
      this.directory = directory;
      this.founder = founder.length == 0 ? signer.publicKey() : founder;
      storage = RocksStorage.open(directory, RocksOptions.defaults(Directories.NATIVE));
      engine = open(seed);
    }

    private ReplicaEngine open(int seed) {
      var environment =
          new Environment(() -> Instant.ofEpochMilli(1_000_000), new SplittableRandom(seed));
      var identity = new ReplicaIdentity(DATABASE, founder, signer);
      return new ReplicaEngine(
          Replica.open(storage, identity, anchor, environment), environment, event -> {});
    }

    void restart() {
      close();
      storage = RocksStorage.open(directory, RocksOptions.defaults(Directories.NATIVE));
      engine = open(99);
    }

    void put(int document) {
      String json = "{\"n\":" + document + ",\"v\":\"" + "x".repeat(150) + "\"}";
      engine.submit(
          Transaction.of(Edit.put("d" + document, json.getBytes(StandardCharsets.UTF_8))),
          (receipt, failure) -> assertThat(failure).isNull());
    }

    int rows(Table table) {
      int rows = 0;
      try (var snapshot = storage.snapshot();
          var cursor = snapshot.scan(table, new byte[0], null)) {
        while (cursor.next()) {
          rows++;
        }
      }
      return rows;
    }

    @Override
    public void close() {
      engine.close();
      engine.replica().close();
      storage.close();
    }
  }

  private static final class End implements PeerLink {
    final ArrayDeque<byte[]> queue = new ArrayDeque<>();
    final List<String> closed = new ArrayList<>();

    @Override
    public void send(SyncMessage message) {
      queue.add(message.toByteArray());
    }

    @Override
    public boolean isWritable() {
      return true;
    }

    @Override
    public void flush() {}

    @Override
    public void close(String reason) {
      closed.add(reason);
    }
  }

  @Test
  void snapshot_betweenDisks_leavesTheSameDocuments(@TempDir Path directory) {
    try (var a = new Node(directory.resolve("a"), 1, new byte[0]);
        var b = new Node(directory.resolve("b"), 2, a.founder)) {
      a.engine.admit(
          MembershipEntry.Admit.sign(
              DATABASE,
              b.signer.publicKey(),
              Role.WRITE,
              "b",
              0,
              new byte[16],
              List.of(),
              a.signer));
      for (int i = 0; i < DOCUMENTS; i++) {
        a.put(i);
      }
      a.engine.turn(true);
      int steps = 1;
      while (a.engine.replica().truncate(actor -> Long.MAX_VALUE, Long.MAX_VALUE, 0)) {
        steps++;
      }
      assertThat(steps).as("bounded steps").isGreaterThan(1);
      assertThat(a.rows(Table.LOG)).isZero();
      a.restart();
      assertThat(a.engine.replica().log().floor().arrivals()).isEqualTo(DOCUMENTS);

      var toB = new End();
      var toA = new End();
      ReplicaEngine.Peer b2 = a.engine.connect(toB);
      ReplicaEngine.Peer a2 = b.engine.connect(toA);
      long longest = 0;
      for (int idle = 0; idle < 3; idle++) {
        long start = System.nanoTime();
        boolean more = b.engine.turn(true);
        longest = Math.max(longest, System.nanoTime() - start);
        a.engine.turn(true);
        boolean moved = move(toB, b.engine, a2);
        moved = move(toA, a.engine, b2) || moved;
        idle = moved || more ? -1 : idle;
      }
      assertThat(toA.closed).isEmpty();
      assertThat(toB.closed).isEmpty();
      System.out.println("SNAPSHOT longest turn while joining: " + longest / 1_000_000 + " ms");
      assertThat(b.engine.replica().view().frontier())
          .isEqualTo(a.engine.replica().view().frontier());
      assertThat(b.engine.replica().view().stateHash())
          .isEqualTo(a.engine.replica().view().stateHash());
      assertThat(b.engine.replica().view().documents()).isEqualTo(DOCUMENTS);
      assertThat(b.rows(Table.SNAPSHOT)).isZero();
      b.restart();
      assertThat(b.engine.replica().view().stateHash())
          .isEqualTo(a.engine.replica().view().stateHash());
    }
  }

  private static boolean move(End from, ReplicaEngine to, ReplicaEngine.Peer peer) {
    boolean moved = false;
    byte[] message;
    while ((message = from.queue.poll()) != null) {
      to.receive(peer, SyncMessage.read(message));
      moved = true;
    }
    return moved;
  }
}
