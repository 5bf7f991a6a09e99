package io.pluresdb.crdt.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Segments and the cursor over them. */
class ChangeLogTest {
  private static final Hash DATABASE = ReplicaIdentity.databaseHash("test");
  private static final int CHANGES = 40;

  private final MemoryStorage storage = new MemoryStorage();
  private Replica replica = open(storage);
  private ActorId actor = new ActorId(0, 0);

  private static Replica open(Storage storage) {
    var signer = new Signer(new byte[32]);
    return Replica.open(
        storage,
        new ReplicaIdentity(DATABASE, signer.publicKey(), signer),
        new MemoryAnchor(),
        new Environment(() -> Instant.ofEpochMilli(1), new Random(1)));
  }

  @BeforeEach
  void writeThreeCommits() {
    // 10 KiB each: six to a segment, so a commit of 38 takes seven.
    commit(1, 1);
    commit(2, CHANGES - 1);
    commit(CHANGES, CHANGES);
    actor = Objects.requireNonNull(replica.ownActor());
  }

  private void commit(int from, int to) {
    for (int i = from; i <= to; i++) {
      replica.stage(Transaction.of(Edit.put("d" + i, json(i))));
    }
    replica.commit();
  }

  private static byte[] json(int i) {
    return ("{\"n\":" + i + ",\"t\":\"" + "x".repeat(10_000) + "\"}")
        .getBytes(StandardCharsets.UTF_8);
  }

  private List<Long> segments() {
    var first = new ArrayList<Long>();
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.LOG, new byte[0], null)) {
      while (rows.next()) {
        assertThat(rows.value().length).isLessThan(LogAppender.SEGMENT_BYTES + 256);
        first.add(Rows.seq(rows.key()));
      }
    }
    return first;
  }

  @Test
  void changesOfACommit_shareRows_upToTheLimitOfASegment() {
    assertThat(segments()).containsExactly(1L, 2L, 8L, 14L, 20L, 26L, 32L, 38L, 40L);
  }

  private static List<Long> arrivals(Storage storage) {
    var first = new ArrayList<Long>();
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.ARRIVAL, new byte[0], null)) {
      while (rows.next()) {
        first.add(Rows.arrival(rows.key()));
      }
    }
    return first;
  }

  @Test
  void arrivalRow_standsForSegmentsOfOneActor_upToTheirLimitTogether() {
    assertThat(arrivals(storage)).isEqualTo(segments());
    List<ChangeRun> all = replica.log().read(0, CHANGES, a -> 0, 1 << 30).runs();
    assertThat(all).hasSize(1);
    // One change a run, as they come when somebody writes now and then: 10 KiB each, two commits.
    var runs = new ArrayList<ChangeRun>();
    var other = new MemoryStorage();
    Replica writer = open(other);
    for (int i = 1; i <= 9; i++) {
      writer.stage(Transaction.of(Edit.put("d" + i, json(i))));
      writer.commit();
      runs.addAll(writer.log().read(i - 1, i, a -> 0, 1 << 30).runs());
    }
    assertThat(arrivals(other)).as("a commit, a row").hasSize(9);
    var third = new MemoryStorage();
    Replica reader = open(third);
    runs.subList(0, 8).forEach(reader::stage);
    reader.commit();
    reader.stage(runs.get(8));
    reader.commit();
    assertThat(arrivals(third)).containsExactly(1L, 7L, 9L);
    assertThat(reader.log().read(0, 9, a -> 0, 1 << 30).runs()).hasSize(1);
  }

  @Test
  void arrivalOf_everyChange_isItsPlace_andZeroBeyond() {
    for (long seq = 1; seq <= CHANGES; seq++) {
      assertThat(replica.log().arrivalOf(actor, seq)).isEqualTo(seq);
    }
    assertThat(replica.log().arrivalOf(actor, CHANGES + 1)).isZero();
    assertThat(replica.log().arrivalOf(new ActorId(0, 0), 1)).isZero();
  }

  @Test
  void read_fromInsideASegment_givesExactlyTheRest_verifiable() {
    for (long known = 0; known < CHANGES; known++) {
      long have = known;
      ChangeLog.Batch batch = replica.log().read(0, CHANGES, a -> have, 1 << 30);
      assertThat(batch.cursor()).isEqualTo(CHANGES);
      long next = known + 1;
      for (ChangeRun run : batch.runs()) {
        assertThat(run.fromSeq()).isEqualTo(next);
        next = run.toSeq() + 1;
      }
      assertThat(next).isEqualTo(CHANGES + 1);
    }
  }

  @Test
  void read_withASmallTarget_cutsBehindASignature() {
    ChangeLog.Batch batch = replica.log().read(0, CHANGES, a -> 0, 1_000);
    assertThat(batch.cursor()).isEqualTo(1);
    batch = replica.log().read(1, CHANGES, a -> 0, 1_000);
    assertThat(batch.cursor()).as("a signed stretch is never cut").isEqualTo(CHANGES - 1);
  }

  @Test
  void arrived_fromAnyPlace_givesEveryChangeOnce() {
    for (int cursor = 0; cursor <= CHANGES; cursor++) {
      var seqs = new ArrayList<Long>();
      for (ChangeLog.Arrived arrived : replica.log().arrived(cursor, 1_000)) {
        assertThat(arrived.arrival()).isEqualTo(arrived.seq());
        seqs.add(arrived.seq());
      }
      assertThat(seqs).hasSize(CHANGES - cursor);
    }
    assertThat(replica.log().arrived(3, 7)).hasSize(7);
  }
}
