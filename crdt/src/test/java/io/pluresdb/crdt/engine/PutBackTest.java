package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.MemoryStorage;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Whom a device removes whose database is an earlier copy of what it had. */
class PutBackTest {
  private Device a;
  private Device b;
  private Device c;
  private MemoryStorage copy = new MemoryStorage();

  @BeforeEach
  void lostWhatOthersCut() {
    a = Device.founder(1);
    b = a.join(2);
    c = a.join(3);
    a.put("own", "{}");
    c.put("before", "{}");
    all();
    copy = a.storage.copy();
    b.put("said to be here", "{}");
    b.sync(a);
    a.put("own", "{\"v\":2}");
    all();
    SnapshotTest.cut(c);
  }

  private void all() {
    a.sync(b);
    a.sync(c);
    b.sync(c);
    a.sync(b);
  }

  private void putBack() {
    a.storage = copy;
    a.crash();
  }

  private void refused(Device device, Role keep) {
    var refusal =
        catchThrowableOfType(
            CoreException.class, () -> a.engine.revoke(device.signer.publicKey(), keep));
    assertThat(refusal.kind()).isEqualTo(CoreException.Kind.BEHIND);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void copyThatWasPutBack_removesNobody_beforeItCaughtUp(boolean anchorLost) {
    if (anchorLost) {
      a.anchor = new MemoryAnchor();
    }
    putBack();
    refused(b, Role.READ);
    a.crash();
    refused(b, Role.READ);
    a.sync(c);
    a.engine.revoke(b.signer.publicKey(), Role.READ);
    a.sync(c);
    a.sync(b);
    a.assertEquals(c);
    a.assertEquals(b);
    assertThat(c.json("said to be here")).isEqualTo("{}");
    a.crash();
    assertThat(a.engine.replica().isBehind())
        .as("without an anchor nothing tells")
        .isEqualTo(anchorLost);
    a.put("own", "{}");
    a.crash();
    assertThat(a.engine.replica().isBehind()).isFalse();
  }

  @Test
  void peerWithLessThanTheCopy_isNobodyToCatchUpWith() {
    putBack();
    Device empty = a.join(4);
    Device.Wire wire = empty.connect(a);
    a.pass(1_000);
    wire.moveHellos();
    wire.moveToB();
    a.pass(1_000);
    refused(b, Role.READ);
    wire.cut();
  }

  @Test
  void copyOfADeviceThatNeverWrote_isKnownByItsMissingAnchor() {
    Device reader = a.join(5, Role.ADMIN);
    reader.sync(a);
    reader.restart();
    assertThat(reader.engine.replica().isBehind()).isTrue();
    reader.sync(a);
    reader.pass(1_000);
    assertThat(reader.engine.replica().isBehind()).isFalse();
  }

  @Test
  void whereNobodyElseIsLeft_theRemovalIsSigned() {
    a.engine.revoke(c.signer.publicKey(), null);
    copy = a.storage.copy();
    a.put("later", "{}");
    putBack();
    assertThat(a.engine.replica().isBehind()).isTrue();
    a.engine.revoke(b.signer.publicKey(), null);
    assertThat(a.view().membership().isRemoved(b.signer.publicKey())).isTrue();
  }

  @Test
  void uncleanEndWithUnsyncedWrites_putsNothingBack() {
    a.put("d", "{}");
    a.crash();
    assertThat(a.engine.replica().isBehind()).isFalse();
  }
}
