package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What becomes void above a cut is taken back, though it overwrote what left the log. */
class BaseTest {
  private Device a;
  private Device b;
  private Device removed;

  @BeforeEach
  void threeDevices() {
    a = Device.founder(1);
    b = a.join(2);
    removed = a.join(3);
    for (int i = 0; i < 2; i++) {
      a.sync(b);
      a.sync(removed);
    }
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private void writeEverything() {
    a.put("scalar", "{\"v\":1,\"w\":1}");
    a.put("gone", "{\"v\":1}");
    List.of("text", "list", "set").forEach(id -> a.put(id, "{}"));
    a.write(Edit.spliceText("text", "t", 0, 0, "hello"));
    a.write(Edit.insertIntoList("list", "l", 0, List.of(utf8("1"), utf8("2"))));
    a.write(Edit.addToSet("set", "s", List.of(utf8("\"x\""))));
    a.write(Edit.increment("scalar", "n", 5));
    a.sync(b);
    a.sync(removed);
  }

  private void overwriteEverything() {
    removed.wallMillis = a.wallMillis;
    removed.put("scalar", "{\"v\":2}");
    removed.write(Edit.delete("gone"));
    removed.write(Edit.spliceText("text", "t", 0, 5, "bye"));
    removed.write(Edit.deleteFromList("list", "l", 0, 1));
    removed.write(Edit.insertIntoList("list", "l", 1, List.of(utf8("3"))));
    removed.write(Edit.removeFromSet("set", "s", List.of(utf8("\"x\""))));
    removed.put("made", "{\"v\":1}");
  }

  @Test
  void voidChange_thatOverwroteWhatLeftTheLog_isTakenBack_whereverLogsWereCut() {
    writeEverything();
    SnapshotTest.cut(b);
    assertThat(SnapshotTest.rows(b, Table.BASE)).as("only where the log begins").isEqualTo(1);
    overwriteEverything();
    removed.sync(b);
    assertThat(b.json("scalar")).isEqualTo("{\"v\":2}");
    assertThat(b.json("text")).isEqualTo("{\"t\":\"bye\"}");
    assertThat(b.json("gone")).isNull();
    assertThat(SnapshotTest.rows(b, Table.BASE)).isGreaterThan(5);
    b.restart();
    // a cut nothing and never saw what it does not accept.
    a.revoke(removed, null);
    a.sync(b);
    a.assertEquals(b);
    assertThat(b.json("scalar")).isEqualTo("{\"n\":5,\"v\":1,\"w\":1}");
    assertThat(b.json("gone")).isEqualTo("{\"v\":1}");
    assertThat(b.json("text")).isEqualTo("{\"t\":\"hello\"}");
    assertThat(b.json("list")).isEqualTo("{\"l\":[1,2]}");
    assertThat(b.json("set")).isEqualTo("{\"s\":[\"x\"]}");
    assertThat(b.json("made")).isNull();
    // And is kept no longer than it is needed.
    b.wallMillis = Math.max(a.wallMillis, removed.wallMillis);
    b.put("later", "{}");
    SnapshotTest.cut(b);
    assertThat(SnapshotTest.rows(b, Table.BASE)).as("the heads").isLessThanOrEqualTo(3);
    b.sync(a);
    a.assertEquals(b);
  }

  @Test
  void snapshot_isOfWhereTheLogBegins_soThatALaterRemovalTakesBackTheRest() {
    writeEverything();
    SnapshotTest.cut(b);
    overwriteEverything();
    removed.sync(b);
    // b does not know yet that something of this will not count.
    b.wallMillis = removed.wallMillis;
    Device fresh = a.join(4);
    b.sync(fresh);
    b.assertEquals(fresh);
    assertThat(fresh.engine.snapshots().joined()).isEqualTo(1);
    assertThat(fresh.json("text")).isEqualTo("{\"t\":\"bye\"}");
    a.revoke(removed, null);
    a.sync(fresh);
    a.assertEquals(fresh);
    assertThat(fresh.json("text")).isEqualTo("{\"t\":\"hello\"}");
    assertThat(fresh.json("gone")).isEqualTo("{\"v\":1}");
    fresh.sync(b);
    a.assertEquals(b);
  }

  @Test
  void base_ofALogThatWasNeverCut_isEmpty() {
    writeEverything();
    overwriteEverything();
    removed.sync(b);
    assertThat(SnapshotTest.rows(b, Table.BASE)).isZero();
    a.revoke(removed, null);
    a.sync(b);
    a.assertEquals(b);
    assertThat(SnapshotTest.rows(b, Table.BASE)).isZero();
  }
}
