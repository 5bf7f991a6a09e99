package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.Role;
import org.junit.jupiter.api.Test;

/** What a device that was removed is told, and what is heard of it. */
class PartingTest {
  @Test
  void adminsWhoRemoveEachOther_whoHeardTheJuniorFirst_hearsTheSeniorToo() {
    Device founder = Device.founder(1);
    Device admin = founder.join(2, Role.ADMIN);
    Device third = founder.join(3);
    founder.sync(admin);
    founder.sync(third);
    admin.revoke(founder, null);
    founder.revoke(admin, null);
    third.sync(admin);
    assertThat(third.view().membership().isRemoved(founder.signer.publicKey())).isTrue();
    Device.Wire wire = third.connectAuthenticated(founder);
    wire.settle();
    assertThat(wire.closed()).isTrue();
    wire.cut();
    assertThat(third.view().membership().role(founder.signer.publicKey())).isEqualTo(Role.ADMIN);
    assertThat(third.view().membership().role(admin.signer.publicKey())).isNull();
    founder.put("after", "{}");
    third.connectAuthenticated(founder).settle();
    assertThat(third.json("after")).isEqualTo("{}");
  }

  @Test
  void removedDevice_isTold_andGivesNothing() {
    Device founder = Device.founder(1);
    Device removed = founder.join(2);
    founder.sync(removed);
    removed.put("late", "{}");
    founder.revoke(removed, null);
    Device.Wire silent = founder.connectAuthenticated(removed);
    assertThat(silent.closed()).as("heard first").isFalse();
    for (int i = 0; i < ReplicaEngine.PARTING_TICKS; i++) {
      founder.pass(1_000);
    }
    assertThat(silent.closed()).isTrue();
    silent.cut();
    Device.Wire wire = founder.connectAuthenticated(removed);
    wire.settle();
    assertThat(wire.closed()).isTrue();
    assertThat(founder.json("late")).isNull();
    assertThat(removed.view().membership().isRemoved(removed.signer.publicKey())).isTrue();
  }
}
