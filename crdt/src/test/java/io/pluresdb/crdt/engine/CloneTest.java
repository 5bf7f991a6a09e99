package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Two copies of a data directory write under one key: it is proved, and no write is lost. */
class CloneTest {
  private static void settle(List<Device> devices) {
    for (int round = 0; round < 4; round++) {
      for (int i = 0; i < devices.size(); i++) {
        for (int j = i + 1; j < devices.size(); j++) {
          devices.get(i).sync(devices.get(j));
        }
      }
    }
  }

  private static void assertAllEqual(List<Device> devices) {
    for (Device device : devices) {
      device.assertEquals(devices.getFirst());
      assertThat(device.view().membership().hash())
          .isEqualTo(devices.getFirst().view().membership().hash());
      assertThat(device.engine.pending()).isZero();
      assertThat(Inspection.of(device.engine.replica()))
          .allMatch(finding -> finding.status() == Finding.Status.OK);
    }
  }

  @Test
  void bothBranches_endAsChangesOfNewActors_andTheProofIsEverywhere() {
    Device founder = Device.founder(1);
    Device device = founder.join(2);
    device.put("before", "{\"n\":1}");
    device.sync(founder);
    Device clone = device.cloned();
    for (int i = 0; i < 5; i++) {
      device.put("a" + i, "{}");
      clone.put("b" + i, "{}");
    }
    device.write(Edit.increment("before", "count", 3));
    clone.write(Edit.increment("before", "count", 4));
    device.patch("before", "{\"n\":2}");
    clone.patch("before", "{\"n\":3}");
    // Each meets only the founder, as copies of one device do.
    founder.sync(device);
    founder.sync(clone);
    founder.sync(device);
    founder.sync(clone);
    founder.sync(device);
    var all = List.of(founder, device, clone);
    assertAllEqual(all);
    assertThat(founder.view().membership().forks())
        .singleElement()
        .satisfies(
            fork -> {
              assertThat(fork.device()).isEqualTo(device.signer.publicKey());
              assertThat(fork.common().seq()).isEqualTo(1);
            });
    for (int i = 0; i < 5; i++) {
      assertThat(founder.json("a" + i)).isEqualTo("{}");
      assertThat(founder.json("b" + i)).isEqualTo("{}");
    }
    assertThat(founder.json("before")).contains("\"count\":7");
    assertThat(founder.conflicts("before")).hasSize(1);
    // Both go on, under actors of their own.
    device.put("later a", "{}");
    clone.put("later b", "{}");
    settle(all);
    assertAllEqual(all);
    assertThat(founder.json("later a")).isEqualTo(founder.json("later b"));
    device.restart();
    device.put("after the restart", "{}");
    settle(all);
    assertAllEqual(all);
    assertThat(founder.view().membership().forks()).hasSize(1);
  }

  @Test
  void forkFarBack_isFoundInFewMessages() {
    Device founder = Device.founder(1);
    Device device = founder.join(2);
    for (int i = 0; i < 3_000; i++) {
      device.put("d" + i % 10, "{\"i\":" + i + "}");
      if (i == 1_234) {
        device.sync(founder);
      }
    }
    Device copy = device.cloned();
    device.put("one", "{}");
    for (int i = 0; i < 2_000; i++) {
      copy.put("d" + i % 10, "{\"c\":" + i + "}");
    }
    founder.sync(device);
    Device.Wire wire = founder.connect(copy);
    wire.settle();
    assertThat(wire.messages).isLessThan(60);
    wire.cut();
    founder.sync(device);
    founder.sync(copy);
    assertAllEqual(List.of(founder, device, copy));
    assertThat(founder.view().membership().forks().getFirst().common().seq()).isEqualTo(3_000);
    assertThat(founder.json("one")).isEqualTo("{}");
    assertThat(founder.json("d9")).isEqualTo("{\"c\":1999}");
  }

  @Test
  void copiesThatMayOnlyRead_writeTheirBranchesOnceTheyMayWriteAgain() {
    Device founder = Device.founder(1);
    Device device = founder.join(2);
    device.put("before", "{}");
    device.sync(founder);
    Device clone = device.cloned();
    device.put("a", "{}");
    clone.put("b", "{}");
    founder.sync(device);
    founder.revoke(device, Role.READ);
    var all = List.of(founder, device, clone);
    settle(all);
    assertAllEqual(all);
    assertThat(founder.json("a")).isNull();
    assertThat(device.engine.replica().ownVoidChanges()).isNotEmpty();
    founder.admit(device, Role.WRITE);
    settle(all);
    assertAllEqual(all);
    assertThat(founder.json("a")).isEqualTo("{}");
    assertThat(founder.json("b")).isEqualTo("{}");
    assertThat(device.engine.replica().ownVoidChanges()).isEmpty();
  }

  @Test
  void deviceThatLies_isProvedToBySignedChanges_andEndsWhereItForked() {
    Device founder = Device.founder(1);
    Device honest = founder.join(2);
    var key = new Signer(new byte[32]);
    founder.engine.admit(
        MembershipEntry.Admit.sign(
            Device.DATABASE,
            key.publicKey(),
            Role.WRITE,
            "liar",
            0,
            new byte[16],
            List.of(),
            founder.signer));
    founder.sync(honest);
    Author one = new Author(key, 1).add("common", 1_000).add("x", 2_000);
    Author two = new Author(key, 1).add("common", 1_000).add("y", 2_000).add("z", 3_000);
    founder.engine.apply(one.run(1, 2));
    founder.engine.turn(true);
    honest.engine.apply(two.run(1, 3));
    honest.engine.turn(true);
    founder.sync(honest);
    founder.sync(honest);
    assertAllEqual(List.of(founder, honest));
    assertThat(founder.json("common")).isEqualTo("{}");
    assertThat(founder.json("x")).isNull();
    assertThat(honest.json("y")).isNull();
    assertThat(honest.engine.voidChanges(key.publicKey())).isEqualTo(2);
    assertThat(honest.engine.adopt(key.publicKey())).isEqualTo(2);
    honest.engine.turn(true);
    founder.sync(honest);
    assertAllEqual(List.of(founder, honest));
    assertThat(founder.json("y")).isEqualTo("{}");
  }

  @Test
  void clonesAmongWritersAndCrashes_loseNothingThatWasWritten() {
    Property.forAll(
        60,
        Gen.list(10, 60, Gen.of(random -> random.nextInt(1_000_000))),
        steps -> {
          Device founder = Device.founder(1);
          Device device = founder.join(2);
          Device other = founder.join(3);
          device.put("start", "{}");
          settle(List.of(founder, device, other));
          var devices = new ArrayList<>(List.of(founder, device, other));
          var written = new ArrayList<String>();
          for (int step : steps) {
            Device one = devices.get(step % devices.size());
            Device two = devices.get(step / 100 % devices.size());
            switch (step / 10_000 % 10) {
              case 0, 1, 2, 3, 4 -> {
                String id = "w" + written.size();
                one.put(id, "{}");
                written.add(id);
              }
              case 5, 6, 7 -> {
                if (one != two) {
                  one.sync(two);
                }
              }
              case 8 -> one.restart();
              default -> {
                if (devices.size() < 5) {
                  devices.add(one.cloned());
                }
              }
            }
          }
          settle(devices);
          assertAllEqual(devices);
          for (String id : written) {
            assertThat(founder.json(id)).as("%s", id).isEqualTo("{}");
          }
        });
  }
}
