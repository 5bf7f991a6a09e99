package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.engine.Comparison.Compared;
import io.pluresdb.crdt.reconcile.Differences.Side;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.store.Tampering;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Comparing documents over a session, and noticing that there is need to. */
class ComparisonTest {
  private Device a;
  private Device b;

  @BeforeEach
  void devices() {
    a = Device.founder(1);
    b = a.join(2);
    a.sync(b);
    for (int i = 0; i < 300; i++) {
      a.put("doc:" + i, "{\"n\":" + i + "}");
    }
    a.sync(b);
    a.assertEquals(b);
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** Changes a stored document the way a defect would: with all sums as they must be for it. */
  private static void corruptWithSums(Device device, String id) {
    device.engine.replica().close();
    Tampering.changeRow(device.storage, Device.DATABASE, id, true);
    device.restart();
  }

  private static Map<String, Side> named(Comparison comparison) {
    assertThat(comparison).isInstanceOf(Compared.class);
    var named = new TreeMap<String, Side>();
    ((Compared) comparison)
        .differences()
        .documents()
        .forEach((id, side) -> named.put(new String(id, StandardCharsets.UTF_8), side));
    return named;
  }

  @Test
  void equalReplicas_differInNothing() {
    Device.Wire wire = a.connect(b);
    wire.settle();
    var compared = (Compared) wire.compare(KeyRange.ALL, false);
    assertThat(compared.sameFrontier()).isTrue();
    assertThat(compared.differences().isEmpty()).isTrue();
    assertThat(a.engine.counters().divergences()).isZero();
  }

  @Test
  void plantedDivergence_isNoticedByTheHellos_andFoundByName() {
    corruptWithSums(b, "doc:123");
    Device.Wire wire = a.connect(b);
    wire.settle();
    assertThat(wire.divergencesAtA()).hasSize(1);
    assertThat(named(wire.divergencesAtA().getFirst())).isEqualTo(Map.of("doc:123", Side.BOTH));
    assertThat(((Compared) wire.divergencesAtA().getFirst()).sameFrontier()).isTrue();
    assertThat(a.engine.counters().divergences()).isEqualTo(1);
    assertThat(b.engine.counters().divergences()).isEqualTo(1);
  }

  @Test
  void divergenceDuringASession_isNoticedByAProbe_once() {
    corruptWithSums(b, "doc:7");
    b.put("unknown to a", "{}");
    Device.Wire wire = a.connect(b);
    wire.settle();
    assertThat(wire.divergencesAtA()).as("the hellos differed anyway").isEmpty();
    for (int i = 0; i < 3; i++) {
      b.engine.probe();
      wire.settle();
    }
    assertThat(wire.divergencesAtA()).hasSize(1);
    assertThat(named(wire.divergencesAtA().getFirst())).isEqualTo(Map.of("doc:7", Side.BOTH));
  }

  @Test
  void comparisonOfAPrefix_leavesTheRestAlone() {
    corruptWithSums(b, "doc:7");
    a.put("note:1", "{}");
    Device.Wire wire = a.connect(b);
    wire.settle();
    assertThat(named(wire.compare(KeyRange.ofPrefix(utf8("note:")), false))).isEmpty();
    assertThat(named(wire.compare(KeyRange.ofPrefix(utf8("doc:")), false)))
        .containsOnlyKeys("doc:7");
  }

  /** A flipped bit on the disk: the sums are those of the row that was there. */
  @Test
  void divergenceThatNoSumShows_isFoundByAnExactComparison() {
    Device.Wire wire = a.connect(b);
    wire.settle();
    Tampering.changeRow(b.storage, Device.DATABASE, "doc:123", false);
    assertThat(named(wire.compare(KeyRange.ALL, false))).isEmpty();
    assertThat(named(wire.compare(KeyRange.ALL, true))).isEqualTo(Map.of("doc:123", Side.BOTH));
    Tampering.changeRow(a.storage, Device.DATABASE, "doc:200", false);
    assertThat(named(wire.compare(KeyRange.ALL, true))).containsOnlyKeys("doc:123", "doc:200");
  }

  @Test
  void aSecondComparisonWithAPeer_isRefusedWhileTheFirstIsUnderWay() {
    Device.Wire wire = a.connect(b);
    wire.settle();
    var outcomes = new ArrayList<Comparison>();
    wire.begin(KeyRange.ALL, outcomes);
    wire.begin(KeyRange.ALL, outcomes);
    assertThat(outcomes).hasSize(1).first().isInstanceOf(Comparison.Failed.class);
    wire.settle();
    assertThat(outcomes).hasSize(2).last().isInstanceOf(Compared.class);
  }

  @Test
  void aPeerThatNeverAnswers_endsTheComparison() {
    Device.Wire wire = a.connect(b);
    wire.settle();
    var outcomes = new ArrayList<Comparison>();
    wire.begin(KeyRange.ALL, outcomes);
    a.wallMillis += Comparisons.IDLE_MILLIS - 1;
    a.engine.tick();
    assertThat(outcomes).isEmpty();
    a.wallMillis++;
    a.engine.tick();
    assertThat(outcomes).hasSize(1).first().isInstanceOf(Comparison.Failed.class);
  }

  @Test
  void moreComparisonsThanAreAnswered_areToldSo() {
    var wires = new ArrayList<Device.Wire>();
    var outcomes = new ArrayList<Comparison>();
    for (int i = 0; i <= Comparisons.MAX_ANSWERED; i++) {
      Device other = a.join(10 + i);
      Device.Wire wire = other.connect(a);
      wire.settle();
      wires.add(wire);
    }
    // All are opened before the first is closed.
    wires.forEach(wire -> wire.begin(KeyRange.ALL, outcomes));
    wires.forEach(Device.Wire::moveToB);
    wires.forEach(Device.Wire::settle);
    assertThat(outcomes).hasSize(wires.size());
    assertThat(outcomes.stream().filter(Comparison.Failed.class::isInstance)).hasSize(1);
  }

  @Test
  void comparison_endsWithTheSession() {
    Device.Wire wire = a.connect(b);
    wire.settle();
    wire.cut();
    assertThat(wire.compare(KeyRange.ALL, false)).isInstanceOf(Comparison.Failed.class);
  }
}
