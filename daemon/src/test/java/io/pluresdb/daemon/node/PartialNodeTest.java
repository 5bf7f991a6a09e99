package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Finding;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.junit.jupiter.api.Test;

/** A device that holds the documents of a prefix, beside one that holds all. */
class PartialNodeTest extends LocalNodes {
  private static void put(DeviceNode node, String id) {
    node.store(DB).put(id, ("{\"id\":\"" + id + "\"}").getBytes(StandardCharsets.UTF_8));
  }

  private static void awaitEqualFrontiers(DeviceNode a, DeviceNode b) {
    await(
        "equal frontiers",
        () ->
            a.store(DB).status().frontier().equals(b.store(DB).status().frontier())
                && b.store(DB).status().documents() > 0);
  }

  @Test
  void joinedForAPrefix_holdsItsDocuments_alsoAfterARestart() {
    DeviceNode laptop = start("laptop");
    for (int i = 0; i < 20; i++) {
      put(laptop, "note:" + i);
      put(laptop, "photo:" + i);
    }
    DeviceNode phone = start("phone");
    put(phone, "note:phone");
    CrdtStore.await(phone.join(DB, invite(laptop), List.of("note:")));
    awaitEqualFrontiers(laptop, phone);
    assertThat(phone.store(DB).status().documents()).isEqualTo(21);
    assertThat(phone.status(DB).prefixes()).containsExactly("note:");
    assertThat(laptop.store(DB).get("note:phone")).isPresent();
    put(phone, "note:later");
    awaitEqualFrontiers(laptop, phone);
    assertThat(CrdtStore.await(phone.doctorAgainst(DB, "laptop")).status())
        .isEqualTo(Finding.Status.OK);
    assertThat(CrdtStore.await(laptop.doctorAgainst(DB, "phone")).status())
        .isEqualTo(Finding.Status.OK);
    assertThatThrownBy(() -> put(phone, "photo:x"))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("\"note:\"");
    assertThatThrownBy(() -> phone.store(DB).get("photo:1")).isInstanceOf(CoreException.class);
    assertThatThrownBy(() -> phone.store(DB).list("", null)).isInstanceOf(CoreException.class);
    stop(phone);
    put(laptop, "note:while away");
    DeviceNode again = start("phone");
    awaitEqualFrontiers(laptop, again);
    assertThat(again.store(DB).get("note:while away")).isPresent();
    assertThat(again.doctor(DB)).extracting(Finding::status).doesNotContain(Finding.Status.ERROR);
  }

  @Test
  void documentsOutside_keepADeviceFromJoining() {
    DeviceNode laptop = start("laptop");
    DeviceNode phone = start("phone");
    put(phone, "photo:1");
    assertThatThrownBy(() -> CrdtStore.await(phone.join(DB, invite(laptop), List.of("note:"))))
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("\"photo:1\"");
    assertThat(phone.store(DB).get("photo:1")).isPresent();
    assertThatThrownBy(() -> CrdtStore.await(phone.join(DB, invite(laptop), List.of(""))))
        .isInstanceOf(CoreException.class);
  }
}
