package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Finding.Status;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.Tampering;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each check finds what it is there for, and nothing in a database that is as it should be. */
class InspectionTest {
  private Device a;

  @BeforeEach
  void device() {
    a = Device.founder(1);
    Device b = a.join(2);
    a.sync(b);
    for (int i = 0; i < 50; i++) {
      a.put("doc:" + i, "{\"n\":" + i + "}");
      b.put("other:" + i, "{}");
      b.patch("other:" + i, "{\"x\":1}");
    }
    a.write(Edit.delete("doc:9"));
    a.sync(b);
  }

  private Map<String, Finding> findings() {
    return Inspection.of(a.engine.replica()).stream()
        .collect(Collectors.toMap(Finding::name, finding -> finding));
  }

  private Finding finding(String name) {
    return Objects.requireNonNull(findings().get(name), name);
  }

  private void assertOnly(String... errors) {
    Map<String, Finding> findings = findings();
    assertThat(findings)
        .containsOnlyKeys(
            "rows", "log", "arrivals", "dots", "ends", "fingerprints", "replay", "edges");
    assertThat(
            findings.values().stream()
                .filter(finding -> finding.status() != Status.OK)
                .map(Finding::name))
        .containsExactlyInAnyOrder(errors);
    findings.values().stream()
        .filter(finding -> finding.status() != Status.OK)
        .forEach(finding -> assertThat(finding.remediation()).isNotEmpty());
  }

  private void change(Table table, byte[] key, byte[] value) {
    try (var batch = a.storage.newBatch()) {
      if (value.length == 0) {
        batch.delete(table, key);
      } else {
        batch.put(table, key, value);
      }
      a.storage.commit(batch, Durability.SYNCED);
    }
  }

  private record Row(byte[] key, byte[] value) {}

  private Row row(Table table, int index) {
    try (Storage.Snapshot snapshot = a.storage.snapshot();
        Storage.Cursor rows = snapshot.scan(table, new byte[0], null)) {
      for (int i = 0; i <= index; i++) {
        assertThat(rows.next()).isTrue();
      }
      return new Row(rows.key(), rows.value());
    }
  }

  private Row lastRow(Table table) {
    try (Storage.Snapshot snapshot = a.storage.snapshot();
        Storage.Cursor rows = snapshot.scanBackwards(table, new byte[0], null)) {
      assertThat(rows.next()).isTrue();
      return new Row(rows.key(), rows.value());
    }
  }

  @Test
  void freshDatabase_andOneInUse_areFine() {
    assertOnly();
    a = Device.founder(3);
    assertOnly();
  }

  @Test
  void changedDocument_isNamed() {
    Tampering.changeRow(a.storage, Device.DATABASE, "doc:3", false);
    assertOnly("fingerprints", "replay");
    assertThat(finding("replay").message()).contains("\"doc:3\"");
  }

  @Test
  void documentAppliedWrongly_isNamed_thoughAllSumsFit() {
    Tampering.changeRow(a.storage, Device.DATABASE, "doc:3", true);
    assertOnly("replay");
    assertThat(finding("replay").message()).contains("\"doc:3\"");
  }

  @Test
  void missingDocument_isNamed() {
    change(Table.STATE, row(Table.STATE, 0).key, new byte[0]);
    assertOnly("fingerprints", "replay");
  }

  @Test
  void wrongBucket_isFound() {
    Row bucket = lastRow(Table.BUCKET);
    byte[] other = bucket.value.clone();
    other[other.length - 1]++;
    change(Table.BUCKET, bucket.key, other);
    assertOnly("fingerprints");
  }

  @Test
  void edgeThatIsNotInTheIndex_orNoEdge_isFound_andMendedByMakingItAnew() {
    a.put("e", "{\"_edge\":true,\"from\":\"doc:1\",\"relation\":\"r\",\"to\":\"doc:2\"}");
    assertOnly();
    Row edge = lastRow(Table.INDEX);
    change(Table.INDEX, edge.key, new byte[0]);
    assertOnly("edges");
    assertThat(finding("edges").message()).contains("document e ");
    assertThat(a.engine.replica().remakeEdges()).isEqualTo(1);
    assertOnly();
    byte[] other = edge.key.clone();
    other[other.length - 1]++;
    change(Table.INDEX, other, edge.value);
    assertOnly("edges");
    // As a database of before there was such an index, or a killed making of it, is opened.
    change(Table.INDEX, new byte[] {8}, new byte[0]);
    a.restart();
    assertOnly();
  }

  @Test
  void changedLog_isFound() {
    Row segment = row(Table.LOG, 10);
    byte[] other = segment.value.clone();
    other[other.length - 70]++;
    change(Table.LOG, segment.key, other);
    assertThat(finding("log").status()).isEqualTo(Status.ERROR);
  }

  @Test
  void missingLogRow_isFound() {
    change(Table.LOG, row(Table.LOG, 10).key, new byte[0]);
    assertOnly("log", "dots", "replay");
  }

  @Test
  void frontierBehindTheLog_isFound() {
    Row head = row(Table.FRONTIER, 0);
    byte[] other = head.value.clone();
    other[5]++;
    change(Table.FRONTIER, head.key, other);
    assertThat(finding("log").message()).contains("frontier");
  }

  @Test
  void wrongSignature_isFound() {
    Row segment = lastRow(Table.LOG);
    byte[] other = segment.value.clone();
    other[other.length - 1]++;
    change(Table.LOG, segment.key, other);
    assertThat(finding("log").message()).contains("not signed");
  }

  @Test
  void changeThatArrivesTwice_isFound() {
    Row first = row(Table.ARRIVAL, 2);
    Row second = row(Table.ARRIVAL, 3);
    change(Table.ARRIVAL, second.key, first.value);
    assertThat(finding("dots").status()).isEqualTo(Status.ERROR);
    assertThat(finding("dots").message()).contains("arrived twice");
  }

  @Test
  void wrongCountOfDocuments_isFound() {
    byte[] key = "replica".getBytes(StandardCharsets.US_ASCII);
    byte[] other = Objects.requireNonNull(a.storage.get(Table.META, key)).clone();
    other[1]++;
    change(Table.META, key, other);
    assertOnly("fingerprints");
  }

  @Test
  void gapInTheArrivals_isFound() {
    change(Table.ARRIVAL, row(Table.ARRIVAL, 4).key, new byte[0]);
    assertThat(finding("arrivals").message()).contains("missing");
  }
}
