package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Storage.Table;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What happens between devices whose logs do not reach back to each other. */
class SnapshotTest {
  private Device a;
  private Device b;

  @BeforeEach
  void devices() {
    a = Device.founder(1);
    b = a.join(2);
    a.sync(b);
  }

  /** Cuts the whole log of a device, whatever others have. */
  static void cut(Device device) {
    var replica = device.engine.replica();
    while (replica.truncate(actor -> Long.MAX_VALUE, Long.MAX_VALUE)) {
      assertThat(replica.hasStaged()).isFalse();
    }
    assertThat(replica.log().floor().arrivals()).isEqualTo(device.view().arrivals());
  }

  static String text(int i, int bytes) {
    return "{\"n\":" + i + ",\"v\":\"" + "x".repeat(bytes) + "\"}";
  }

  @Test
  void replicaBehindTheFloor_joinsBySnapshot_andThenByChanges() {
    a.put("shared", "{\"x\":1}");
    a.put("gone", "{}");
    a.sync(b);
    b.patch("shared", "{\"y\":2}");
    a.write(io.pluresdb.crdt.store.Edit.delete("gone"));
    for (int i = 0; i < 50; i++) {
      a.put("d" + i, text(i, 10));
    }
    cut(a);
    assertThat(a.storage.bytesOnDisk()).isZero();
    Device.Wire wire = a.connect(b);
    wire.settle();
    assertThat(wire.closed()).isFalse();
    a.assertEquals(b);
    assertThat(b.get("gone")).isNull();
    assertThat(b.json("shared")).isEqualTo("{\"x\":1,\"y\":2}");
    assertThat(b.engine.replica().log().floor().frontier())
        .as("what came as state is not in b's log")
        .isEqualTo(a.engine.replica().log().floor().frontier());
    a.put("later", "{}");
    b.put("later2", "{}");
    wire.settle();
    a.assertEquals(b);
    assertThat(b.engine.snapshots().joined()).isEqualTo(1);
    wire.cut();
    b.restart();
    a.sync(b);
    a.assertEquals(b);
    assertThat(rows(b, Table.SNAPSHOT)).isZero();
  }

  @Test
  void bothBehindEachOther_joinBothWays() {
    a.put("d", "{\"a\":1}");
    a.sync(b);
    a.patch("d", "{\"b\":2}");
    b.patch("d", "{\"c\":3}");
    cut(a);
    cut(b);
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("d")).isEqualTo("{\"a\":1,\"b\":2,\"c\":3}");
  }

  static int rows(Device device, Table table) {
    int count = 0;
    try (var snapshot = device.storage.snapshot();
        var rows = snapshot.scan(table, new byte[0], null)) {
      while (rows.next()) {
        count++;
      }
    }
    return count;
  }
}
