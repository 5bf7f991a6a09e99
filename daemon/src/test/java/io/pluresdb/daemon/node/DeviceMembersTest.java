package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.CrdtStore;
import java.time.Duration;
import org.junit.jupiter.api.Test;

/** Who may take part: letting devices in, removing them, and what becomes of what they did. */
class DeviceMembersTest extends LocalNodes {
  private static Node.Device device(DeviceNode node, String name) {
    return node.devices(DB).stream().filter(d -> d.name().equals(name)).findFirst().orElseThrow();
  }

  @Test
  void removedDevice_isTold_keepsReading_andItsUnsentWritesCountNowhere() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    DeviceNode c = start("c", 0);
    join(a, b, Role.WRITE);
    join(a, c, Role.ADMIN);
    put(c, "accepted", "{\"v\":1}");
    put(a, "shared", "{\"v\":\"a\"}");
    await("everything is everywhere", () -> get(b, "accepted").equals("{\"v\":1}"));
    awaitEqual(a, b, c);
    int portOfB = stop(b);
    // Away from the others, b overwrites and adds; it is removed before it comes back.
    DeviceNode alone = openOffline("b");
    put(alone, "shared", "{\"v\":\"b\"}");
    put(alone, "unsent", "{}");
    stop(alone);
    Node.Device removed = c.revoke(DB, "b", null);
    assertThat(removed.role()).isNull();
    assertThat(removed.state()).isEqualTo("removed");
    DeviceNode back = start("b", portOfB);
    await("b is told", () -> back.status(DB).role().equals("removed"));
    await("no session", () -> back.status(DB).peers() == 0 && !device(a, "b").connected());
    awaitEqual(a, c, back);
    assertThat(get(back, "shared")).isEqualTo("{\"v\":\"a\"}");
    assertThat(get(back, "unsent")).isEqualTo("none");
    assertThat(get(back, "accepted")).isEqualTo("{\"v\":1}");
    assertThat(device(back, "b").voided()).isPositive();
    CoreException refused =
        catchThrowableOfType(CoreException.class, () -> put(back, "more", "{}"));
    assertThat(refused.code()).isEqualTo("CORE_NOT_ALLOWED");
    assertThat(refused).hasMessageContaining("was removed");
    put(a, "later", "{}");
    awaitEqual(a, c);
    assertThat(get(back, "later")).isEqualTo("none");
    // Let in again by name: it catches up, and takes over itself what did not count.
    assertThat(a.approve(DB, "b", null).role()).isEqualTo(Role.WRITE);
    back.connect(DB, loopback(port(a)));
    back.sync(DB);
    await("b is back", () -> back.status(DB).role().equals("write"));
    await("b catches up", () -> get(back, "later").equals("{}"));
    long unsent = device(back, "b").voided();
    assertThat(back.adopt(DB, "b")).isEqualTo(unsent);
    awaitEqual(a, c, back);
    assertThat(get(a, "unsent")).isEqualTo("{}");
    assertThat(get(a, "shared")).isEqualTo("{\"v\":\"b\"}");
    assertThat(device(back, "b").voided()).isZero();
  }

  @Test
  void deviceThatIsConnected_whenItIsRemoved_isToldAndLetGo() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    join(a, b, Role.WRITE);
    put(b, "b", "{}");
    awaitEqual(a, b);
    a.revoke(DB, device(a, "b").deviceId().substring(0, 8), null);
    await("b is told", () -> b.status(DB).role().equals("removed"));
    // Each side hears of the end by itself.
    await("no session", () -> a.status(DB).peers() == 0 && b.status(DB).peers() == 0);
    assertThat(get(a, "b")).isEqualTo("{}");
    assertThat(b.peers(DB))
        .allMatch(peer -> peer.state().equals("rejected") || peer.state().equals("connecting"));
  }

  @Test
  void reader_readsAndMayNotWrite() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    join(a, b, Role.WRITE);
    put(b, "mine", "{}");
    awaitEqual(a, b);
    assertThat(a.revoke(DB, "b", Role.READ).role()).isEqualTo(Role.READ);
    await("b knows", () -> b.status(DB).role().equals("read"));
    put(a, "news", "{}");
    await("b still hears", () -> get(b, "news").equals("{}"));
    CoreException refused = catchThrowableOfType(CoreException.class, () -> put(b, "x", "{}"));
    assertThat(refused.code()).isEqualTo("CORE_NOT_ALLOWED");
    NodeException forbidden =
        catchThrowableOfType(NodeException.class, () -> b.revoke(DB, "a", null));
    assertThat(forbidden.code()).isEqualTo("NODE_NOT_ALLOWED");
    assertThat(a.approve(DB, "b", Role.WRITE).role()).isEqualTo(Role.WRITE);
    await("b may write", () -> b.status(DB).role().equals("write"));
    put(b, "again", "{}");
    awaitEqual(a, b);
    assertThat(get(a, "again")).isEqualTo("{}");
    // And it may leave by itself.
    assertThat(b.revoke(DB, "b", null).state()).isEqualTo("removed");
    await("a knows", () -> device(a, "b").state().equals("removed"));
  }

  @Test
  void invite_thatNeedsApproval_waitsForIt() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    put(a, "x", "{}");
    String url = a.invite(DB, Role.READ, Duration.ofMinutes(5), true).url();
    var joining = b.join(DB, url);
    await("b waits", () -> a.devices(DB).stream().anyMatch(d -> d.state().equals("pending")));
    assertThat(get(b, "x")).isEqualTo("none");
    assertThat(device(a, "b").role()).isNull();
    assertThat(a.approve(DB, "b", null).role()).isEqualTo(Role.READ);
    assertThat(CrdtStore.await(joining).role()).isEqualTo(Role.READ);
    await("b reads", () -> get(b, "x").equals("{}"));
    assertThat(a.devices(DB)).noneMatch(d -> d.state().equals("pending"));
    // Used up: a third device is refused.
    DeviceNode c = start("c", 0);
    NodeException used =
        catchThrowableOfType(NodeException.class, () -> CrdtStore.await(c.join(DB, url)));
    assertThat(used.code()).isEqualTo("NODE_INVITE_USED");
    // And one that is turned away stays out.
    String second = a.invite(DB, Role.WRITE, Duration.ofMinutes(5), true).url();
    var hoping = c.join(DB, second);
    await("c waits", () -> a.devices(DB).stream().anyMatch(d -> d.name().equals("c")));
    a.revoke(DB, "c", null);
    NodeException refused =
        catchThrowableOfType(NodeException.class, () -> CrdtStore.await(hoping));
    assertThat(refused.code()).isEqualTo("NODE_INVITE_USED");
  }

  @Test
  void unknownOrAmbiguousDevice_isNamedInTheError() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    join(a, b, Role.WRITE);
    assertThat(catchThrowableOfType(NodeException.class, () -> a.revoke(DB, "nobody", null)).code())
        .isEqualTo("NODE_UNKNOWN_DEVICE");
    assertThat(catchThrowableOfType(NodeException.class, () -> a.revoke(DB, "ab", null)).code())
        .isEqualTo("NODE_UNKNOWN_DEVICE");
    assertThat(catchThrowableOfType(NodeException.class, () -> b.approve(DB, "a", null)).code())
        .isEqualTo("NODE_NOT_ALLOWED");
  }
}
