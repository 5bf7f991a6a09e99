package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.index.IndexDefinition;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What two devices of one person see of each other. */
class DeviceNodeTest extends LocalNodes {
  @Test
  void join_carriesBothSidesDataAcross() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    for (int i = 0; i < 300; i++) {
      put(a, "a:" + i, "{\"n\":" + i + "}");
    }
    put(a, "both", "{\"a\":1,\"same\":\"a\"}");
    put(b, "both", "{\"b\":2,\"same\":\"b\"}");
    put(b, "b:1", "{\"from\":\"b\"}");
    String url = invite(a);
    Node.Joined joined = CrdtStore.await(b.join(DB, url));
    assertThat(joined.carriedOver()).isEqualTo(2);
    awaitEqual(a, b);
    assertThat(get(a, "b:1")).isEqualTo("{\"from\":\"b\"}");
    assertThat(get(b, "a:299")).isEqualTo("{\"n\":299}");
    // Written apart: fields of both survive, the common one keeps the loser as a conflict.
    assertThat(get(a, "both")).isEqualTo("{\"a\":1,\"b\":2,\"same\":\"b\"}");
    assertThat(a.store(DB).get("both").orElseThrow().conflicts())
        .extracting("value")
        .containsExactly("\"a\"");
    assertThat(a.devices(DB)).extracting("name").containsExactlyInAnyOrder("a", "b");
    assertThat(b.devices(DB)).hasSize(2).anyMatch(Node.Device::self);
  }

  @Test
  void join_keepsTypesOfFields_andTheIndexesOfTheDevice() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    b.searches(DB).declare(IndexDefinition.parse("n"));
    put(b, "d", "{\"n\":1,\"o\":{}}");
    List<byte[]> values = List.of("1".getBytes(StandardCharsets.US_ASCII));
    b.store(DB)
        .batch(
            List.of(
                Edit.spliceText("d", "o.text", 0, 0, "hello"),
                Edit.insertIntoList("d", "list", 0, values),
                Edit.addToSet("d", "set", values),
                Edit.spliceText("d", "empty", 0, 0, "")));
    put(b, "only", "{}");
    b.store(DB).batch(List.of(Edit.spliceText("only", "t", 0, 0, "x")));
    put(b, "v", "7");
    join(a, b);
    String whole = "{\"empty\":\"\",\"list\":[1],\"n\":1,\"o\":{\"text\":\"hello\"},\"set\":[1]}";
    await("b's document on a", () -> get(a, "d").equals(whole) && get(a, "v").equals("7"));
    // Refused if they were plain values.
    a.store(DB)
        .batch(
            List.of(
                Edit.spliceText("d", "o.text", Edit.END, 0, "!"),
                Edit.insertIntoList("d", "list", Edit.END, values),
                Edit.addToSet("d", "set", values),
                Edit.spliceText("d", "empty", 0, 0, "no more"),
                Edit.spliceText("only", "t", 1, 0, "y")));
    assertThat(get(a, "d")).contains("\"hello!\"", "[1,1]", "\"set\":[1]", "no more");
    assertThat(get(a, "only")).isEqualTo("{\"t\":\"xy\"}");
    assertThat(b.searches(DB).status())
        .anyMatch(index -> index.kind().equals("fields") && index.fields().equals(List.of("n")));
  }

  @Test
  void livePutsAndDeletes_travelBothWays() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    join(a, b);
    put(a, "1", "{\"x\":1}");
    await("a's put on b", () -> get(b, "1").equals("{\"x\":1}"));
    put(b, "2", "{\"x\":2}");
    await("b's put on a", () -> get(a, "2").equals("{\"x\":2}"));
    b.store(DB).delete("1");
    await("b's delete on a", () -> get(a, "1").equals("none"));
    awaitEqual(a, b);
  }

  @Test
  void deviceThatWasOffline_catchesUp_whicheverRestartsFirst() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    join(a, b);
    put(a, "kept", "{}");
    put(a, "gone", "{}");
    awaitEqual(a, b);
    InetSocketAddress addressOfB = b.listening();
    stop(b);
    a.store(DB).delete("gone");
    a = restart(a, "a");
    put(a, "later", "{}");
    b = start("b", addressOfB == null ? 0 : addressOfB.getPort());
    awaitEqual(a, b);
    assertThat(get(b, "gone")).isEqualTo("none");
    assertThat(get(b, "later")).isEqualTo("{}");
    // The other order: now the inviting device is the one that is away.
    InetSocketAddress addressOfA = a.listening();
    stop(a);
    b = restart(b, "b");
    put(b, "while a was away", "{}");
    a = start("a", addressOfA == null ? 0 : addressOfA.getPort());
    awaitEqual(a, b);
    assertThat(get(a, "while a was away")).isEqualTo("{}");
  }

  @Test
  void invite_worksOnce() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    DeviceNode c = start("c", 0);
    String url = invite(a);
    CrdtStore.await(b.join(DB, url));
    put(c, "mine", "{}");
    NodeException refusal =
        catchThrowableOfType(NodeException.class, () -> CrdtStore.await(c.join(DB, url)));
    assertThat(refusal.code()).isEqualTo("NODE_INVITE_USED");
    assertThat(get(c, "mine")).as("nothing is lost by a refused join").isEqualTo("{}");
    assertThatThrownBy(() -> b.invite(DB, Role.WRITE, Duration.ofMinutes(5)))
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("no admin");
    assertThatThrownBy(() -> b.join("other", url))
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("already");
  }

  @Test
  void invite_mistypedOrForeign_isRefusedWithAReason() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    String url = invite(a);
    String mistyped =
        url.substring(0, 40) + (url.charAt(40) == 'A' ? 'B' : 'A') + url.substring(41);
    assertThatThrownBy(() -> b.join(DB, mistyped))
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("mistyped");
    assertThatThrownBy(() -> b.join(DB, "http://example.org"))
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("pluresdb://join/");
  }

  @Test
  void thirdDevice_syncsWithBoth_andTheInviterNeedNotBeThere() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    DeviceNode c = start("c", 0);
    join(a, b);
    join(a, c);
    put(c, "from c", "{}");
    awaitEqual(a, b);
    awaitEqual(a, c);
    stop(a);
    InetSocketAddress addressOfC = c.listening();
    if (addressOfC != null) {
      b.connect(DB, addressOfC);
    }
    put(b, "from b", "{}");
    awaitEqual(b, c);
    assertThat(get(c, "from b")).isEqualTo("{}");
  }

  @Test
  void secondNodeOnOneDirectory_isRefused() {
    start("a", 0);
    StorageException refusal =
        catchThrowableOfType(StorageException.OpenFailed.class, () -> start("a", 0));
    assertThat(refusal.code()).isEqualTo("STORAGE_LOCKED");
  }

  @Test
  void peersToKeepConnected_mayBeNamedLater() {
    DeviceNode a = start("a");
    DeviceNode b = start("b");
    join(a, b);
    awaitEqual(a, b);
    stop(a);
    stop(b);
    // Both listen elsewhere now, so what they remember of each other leads nowhere.
    DeviceNode again = start("a");
    DeviceNode other = start("b");
    put(again, "x", "1");
    other.keepConnected(List.of(loopback(port(again))));
    await("the document", () -> get(other, "x").equals("1"));
  }
}
