package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Texts, lists and sets in snapshots. */
class SequenceSnapshotTest {
  private static final int HISTORIES = 60;

  /** Three devices that write and meet at random, as the seed says; some cut their logs. */
  private static final class Run {
    final List<Device> devices = new ArrayList<>();
    final SplittableRandom random;
    final boolean cutting;
    long joined;
    int refused;

    Run(long seed, boolean cutting) {
      random = new SplittableRandom(seed);
      this.cutting = cutting;
      Device founder = Device.founder(10 * seed);
      devices.add(founder);
      devices.add(founder.join(10 * seed + 1));
      devices.add(founder.join(10 * seed + 2));
      for (Device device : devices) {
        founder.sync(device);
      }
      founder.put("d", "{}");
      meet(0, 1);
      meet(0, 2);
    }

    private void meet(int one, int other) {
      devices.get(one).sync(devices.get(other));
    }

    void play() {
      for (int i = 0; i < 60; i++) {
        Device device = devices.get(random.nextInt(3));
        int kind = random.nextInt(10);
        if (kind < 7) {
          write(device);
        } else if (kind < 9) {
          int one = random.nextInt(3);
          meet(one, (one + random.nextInt(1, 3)) % 3);
        } else if (cutting) {
          SnapshotTest.cut(device);
        }
      }
      for (int round = 0; round < 2; round++) {
        meet(0, 1);
        meet(1, 2);
        meet(2, 0);
      }
      devices.forEach(device -> joined += device.engine.snapshots().joined());
    }

    private void write(Device device) {
      int a = random.nextInt(4);
      int end = random.nextBoolean() ? Edit.END : 0;
      int b = random.nextInt(3);
      byte[] json = Integer.toString(random.nextInt(100)).getBytes(StandardCharsets.UTF_8);
      Edit edit =
          switch (random.nextInt(10)) {
            case 0, 1, 2 ->
                Edit.spliceText("d", "t", a == 0 ? end : a, 0, "abcdefgh".substring(0, 2 + b));
            case 3 -> Edit.spliceText("d", "t", a, b, "");
            case 4, 5 -> Edit.insertIntoList("d", "l", end, List.of(json));
            case 6 -> Edit.moveInList("d", "l", a, b);
            case 7 -> Edit.setInList("d", "l", b, json);
            case 8 -> Edit.deleteFromList("d", "l", b, 1);
            default ->
                random.nextInt(8) == 0
                    ? Edit.patch("d", "{\"t\":null}".getBytes(StandardCharsets.UTF_8))
                    : Edit.addToSet("d", "s", List.of(json));
          };
      try {
        device.write(edit);
      } catch (CoreException e) {
        // Out of range as the document is now.
        refused++;
      }
    }

    Map<String, String> rows(int device) {
      var all = new TreeMap<String, String>();
      for (Table table : List.of(Table.STATE, Table.SEQUENCE)) {
        try (var snapshot = devices.get(device).storage.snapshot();
            var rows = snapshot.scan(table, new byte[0], null)) {
          while (rows.next()) {
            all.put(
                table + HexFormat.of().formatHex(rows.key()),
                HexFormat.of().formatHex(rows.value()));
          }
        }
      }
      return all;
    }
  }

  @Test
  void textsAndLists_joinedFromSnapshots_areWhatChangesMake() {
    long joined = 0;
    for (long seed = 1; seed <= Property.runs(HISTORIES); seed++) {
      var whole = new Run(seed, false);
      whole.play();
      var cut = new Run(seed, true);
      cut.play();
      for (int device = 0; device < 3; device++) {
        assertThat(cut.rows(device)).as("seed %d device %d", seed, device).isEqualTo(whole.rows(0));
        assertThat(SnapshotTest.rows(cut.devices.get(device), Table.SNAPSHOT)).isZero();
      }
      assertThat(whole.joined).isZero();
      assertThat(cut.refused).as("the same in both").isEqualTo(whole.refused).isLessThan(40);
      joined += cut.joined;
    }
    System.out.println("SEQUENCES " + joined + " snapshots joined");
    assertThat(joined).isGreaterThan(HISTORIES);
  }

  @Test
  void localEditWhileJoining_seesTheWholeText() {
    Device a = Device.founder(1);
    Device b = a.join(2);
    a.put("z", "{}");
    a.write(Edit.spliceText("z", "t", 0, 0, "Hello"));
    a.sync(b);
    b.write(Edit.spliceText("z", "t", 5, 0, "!"));
    a.write(Edit.spliceText("z", "t", 0, 1, "J"));
    for (int i = 0; i < 100; i++) {
      a.put("d" + i, SnapshotTest.text(i, 100_000));
    }
    SnapshotTest.cut(a);
    Device.Wire wire = a.connect(b);
    while (!b.engine.replica().isJoining()) {
      wire.step();
    }
    b.write(Edit.spliceText("z", "t", 6, 0, "?"));
    assertThat(b.engine.replica().isJoining()).isTrue();
    b.crash();
    b.turns();
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("z")).isEqualTo("{\"t\":\"Jello!?\"}");
    assertThat(b.json("z")).isEqualTo("{\"t\":\"Jello!?\"}");
  }
}
