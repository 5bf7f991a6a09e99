package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.node.Eventually.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Finding.Status;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.Transaction;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** What doctor says of healthy devices and of broken ones, with real stores and sessions. */
class DoctorTest extends LocalNodes {
  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  /** Two devices with the same 3,000 documents: enough for several buckets. */
  private DeviceNode[] pair() {
    DeviceNode a = start("a");
    DeviceNode b = start("b");
    for (int i = 0; i < 3_000; i += 500) {
      var edits = new ArrayList<Edit>();
      for (int j = i; j < i + 500; j++) {
        edits.add(Edit.put("doc:" + j, utf8("{\"n\":" + j + "}")));
      }
      CrdtStore.await(
          a.store(DB).submit(new Transaction(edits, Transaction.Acknowledgement.LOCAL)));
    }
    CrdtStore.await(b.join(DB, a.invite(DB, Role.WRITE, Duration.ofMinutes(5)).url()));
    await(
        "equal",
        () -> {
          CrdtStore.Status left = a.store(DB).status();
          CrdtStore.Status right = b.store(DB).status();
          return left.frontier().equals(right.frontier())
              && left.stateHash().equals(right.stateHash());
        });
    return new DeviceNode[] {a, b};
  }

  /** Puts the content of one document in the place of another, behind the replica's back. */
  private static void plant(DeviceNode node, String at, String from) {
    Storage storage = node.database(DB).replica().storage();
    byte[] row = Objects.requireNonNull(storage.get(Table.STATE, utf8(from)));
    try (var batch = storage.newBatch()) {
      batch.put(Table.STATE, utf8(at), row);
      storage.commit(batch, Durability.SYNCED);
    }
  }

  private static Finding finding(DeviceNode node, String name) {
    return node.doctor(DB).stream().filter(f -> f.name().equals(name)).findAny().orElseThrow();
  }

  @Test
  void freshDevice_isInOrder() {
    DeviceNode a = start("a");
    assertThat(a.doctor(DB))
        .extracting(Finding::status)
        .doesNotContain(Status.ERROR, Status.WARNING);
    a.store(DB).put("d", utf8("{}"));
    assertThat(a.doctor(DB)).extracting(Finding::status).doesNotContain(Status.ERROR);
    assertThat(a.doctor(DB))
        .extracting(Finding::name)
        .containsExactly(
            "storage",
            "rows",
            "log",
            "arrivals",
            "fingerprints",
            "replay",
            "indexes",
            "anchor",
            "clock",
            "pending",
            "peers",
            "divergence",
            "encryption",
            "disk",
            "permissions");
  }

  @Test
  void plantedDivergence_isFoundByName_fromBothSides() {
    DeviceNode[] pair = pair();
    assertThat(CrdtStore.await(pair[0].doctorAgainst(DB, "b")).status()).isEqualTo(Status.OK);
    plant(pair[1], "doc:1234", "doc:77");
    for (int i = 0; i < 2; i++) {
      DeviceNode other = pair[1 - i];
      Finding finding =
          CrdtStore.await(pair[i].doctorAgainst(DB, other.deviceId().substring(0, 8)));
      assertThat(finding.status()).as(finding.message()).isEqualTo(Status.ERROR);
      assertThat(finding.message()).isEqualTo("1 document differs: \"doc:1234\" (other content)");
    }
    assertThat(finding(pair[0], "replay").status()).isEqualTo(Status.OK);
    assertThat(finding(pair[1], "fingerprints").status()).isEqualTo(Status.ERROR);
    assertThat(finding(pair[1], "replay").message()).contains("\"doc:1234\"");
  }

  /** Written over, the planted row leaves sums that are wrong: the devices notice by themselves. */
  @Test
  void divergenceOfSums_isNoticedBySyncing() {
    DeviceNode[] pair = pair();
    plant(pair[1], "doc:1234", "doc:77");
    pair[1].store(DB).put("doc:1234", utf8("{\"new\":1}"));
    await(
        "a probe that notices",
        () -> {
          pair[0].sync(DB);
          pair[1].sync(DB);
          return finding(pair[0], "divergence").status() == Status.ERROR;
        });
    assertThat(finding(pair[0], "divergence").remediation()).contains(pair[1].deviceId());
  }

  @Test
  void unknownPeer_isRefused() {
    DeviceNode a = start("a");
    assertThatThrownBy(() -> a.doctorAgainst(DB, "nobody"))
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("nobody");
  }

  @Test
  void keyThatOthersCanRead_isAnError() throws IOException {
    DeviceNode a = start("a");
    Path key = temporary.resolve("a").resolve("device.key");
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r-----"));
    Finding finding = finding(a, "permissions");
    assertThat(finding.status()).isEqualTo(Status.ERROR);
    assertThat(finding.remediation()).contains("chmod", key.toString());
  }
}
