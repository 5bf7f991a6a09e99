package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.Replica;
import org.junit.jupiter.api.Test;

/** A removal accepts less than others have cut off their logs: its signer was away for long. */
class KeptChangesTest {
  private final Device founder = Device.founder(1);
  private final Device away = founder.join(2, Role.ADMIN);
  private final Device member = founder.join(3);
  private final Device writer = founder.join(4);

  KeptChangesTest() {
    for (Device device : new Device[] {away, member, writer}) {
      founder.sync(device);
    }
    writer.put("old", "{\"v\":1}");
    writer.sync(away);
    // Others go on, and do not wait for the one that is away.
    writer.put("new", "{\"v\":2}");
    writer.sync(founder);
    founder.sync(member);
  }

  private static void cut(Device device) {
    Replica replica = device.engine.replica();
    while (replica.truncate(actor -> Long.MAX_VALUE, Long.MAX_VALUE, 0)) {
      assertThat(replica.hasStaged()).isFalse();
    }
  }

  private static Finding ends(Device device) {
    return Inspection.of(device.engine.replica()).stream()
        .filter(finding -> finding.name().equals("ends"))
        .findFirst()
        .orElseThrow();
  }

  @Test
  void removal_ofWhatOthersHaveCut_takesBackNothing_anywhere() {
    cut(founder);
    away.revoke(writer, null);
    assertThat(away.json("new")).isNull();
    away.sync(member);
    // It has the change in its log, and takes it back until it hears that others cannot.
    assertThat(member.json("new")).isNull();
    away.sync(founder);
    member.sync(founder);
    away.sync(member);
    for (Device device : new Device[] {founder, away, member}) {
      assertThat(device.json("new")).isEqualTo("{\"v\":2}");
      device.assertEquals(founder);
      assertThat(ends(device).status()).isEqualTo(Finding.Status.OK);
    }
    assertThat(founder.view().membership().keeps()).hasSize(1);
  }

  /** Overwrites what the removal had made void for the one who removes, but not for the author. */
  private void overwriteVoid() {
    cut(founder);
    member.put("new", "{\"v\":3}");
    away.revoke(writer, null);
    away.sync(member);
    assertThat(away.json("new")).isEqualTo("{\"v\":3}");
  }

  @Test
  void overwrittenVoidChange_thatIsKept_staysOverwritten_whereTheOverwritingLogWasToBeCut() {
    overwriteVoid();
    // What overwrote it stays in the log, or nothing would tell that it did.
    cut(away);
    founder.sync(away);
    founder.sync(member);
    away.sync(member);
    for (Device device : new Device[] {founder, away, member}) {
      assertThat(device.json("new")).isEqualTo("{\"v\":3}");
      device.assertEquals(founder);
    }
    // Once removals of that time are settled it goes.
    assertThat(away.engine.replica().truncate(a -> Long.MAX_VALUE, Long.MAX_VALUE, Long.MAX_VALUE))
        .isFalse();
    assertThat(away.engine.replica().log().floor().arrivals()).isEqualTo(away.view().arrivals());
  }

  @Test
  void overwrittenVoidChange_thatIsKept_staysOverwritten_whereItComesBySnapshot() {
    overwriteVoid();
    Device late = founder.join(5);
    late.sync(away);
    assertThat(late.json("new")).isEqualTo("{\"v\":3}");
    founder.sync(late);
    assertThat(late.json("new")).isEqualTo("{\"v\":3}");
    founder.sync(away);
    founder.sync(member);
    late.sync(away);
    for (Device device : new Device[] {away, member, late}) {
      assertThat(device.json("new")).isEqualTo("{\"v\":3}");
      device.assertEquals(founder);
    }
  }

  @Test
  void stopBeforeItIsSaid_isMadeUpFor() {
    cut(founder);
    away.revoke(writer, null);
    founder.engine.replica().stageMembers(away.view().membership().entries());
    founder.engine.replica().commit();
    founder.crash();
    assertThat(founder.view().membership().keeps()).isEmpty();
    founder.engine.tick();
    assertThat(founder.view().membership().keeps()).hasSize(1);
    founder.sync(away);
    founder.assertEquals(away);
  }

  @Test
  void reader_thatCutAsAWriter_isToldToStartOver() {
    cut(member);
    founder.revoke(member, Role.READ);
    founder.sync(member);
    away.revoke(writer, null);
    away.sync(member);
    assertThat(member.view().membership().keeps()).isEmpty();
    assertThat(ends(member).status()).isEqualTo(Finding.Status.ERROR);
    assertThat(ends(member).message()).contains("count up to 1, but left this log up to 2");
    assertThat(ends(away).status()).isEqualTo(Finding.Status.OK);
  }
}
