package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;
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
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Objects;
import java.util.stream.Stream;
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
            "checksums",
            "wal",
            "rows",
            "log",
            "arrivals",
            "dots",
            "ends",
            "fingerprints",
            "replay",
            "edges",
            "indexes",
            "embeddings",
            "background",
            "anchor",
            "clock",
            "pending",
            "peers",
            "dht",
            "relays",
            "divergence",
            "encryption",
            "keys",
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

  private Path file(String device, String suffix) throws IOException {
    try (Stream<Path> files =
        Files.list(temporary.resolve(device).resolve("databases/default/store"))) {
      return files
          .filter(file -> file.toString().endsWith(suffix))
          .max(Comparator.comparingLong(file -> file.toFile().length()))
          .orElseThrow();
    }
  }

  private static void flipBit(Path path, long offset) throws IOException {
    try (var file = new RandomAccessFile(path.toFile(), "rw")) {
      file.seek(offset);
      int old = file.read();
      file.seek(offset);
      file.write(old ^ 1);
    }
  }

  /** The log is read only at the next start, which would refuse it: now it can still be saved. */
  @Test
  void damagedLogOfARunningDaemon_isFound_andVacuumHelps() throws IOException {
    DeviceNode a = start("a");
    for (int i = 0; i < 200; i++) {
      a.store(DB).put("d" + i, utf8("{\"n\":" + i + "}"));
    }
    Path log = file("a", ".log");
    flipBit(log, Files.size(log) / 2);
    Finding finding = finding(a, "wal");
    assertThat(finding.status()).isEqualTo(Status.ERROR);
    assertThat(finding.message()).contains("STORAGE_WAL_CORRUPT_ENTRY");
    assertThat(finding.remediation()).contains("pluresdb vacuum");
    a.vacuum(DB).join();
    assertThat(finding(a, "wal").status()).isEqualTo(Status.OK);
    stop(a);
    assertThat(start("a").store(DB).status().documents()).isEqualTo(200);
  }

  @Test
  void damagedTableOfARunningDaemon_isFound() throws IOException {
    DeviceNode before = start("a");
    for (int i = 0; i < 200; i++) {
      before.store(DB).put("d" + i, utf8("{\"n\":" + i + "}"));
    }
    DeviceNode a = restart(before, "a");
    // After it nothing is left to merge; what was merged goes away in the background.
    a.vacuum(DB).join();
    Path table = file("a", ".sst");
    flipBit(table, 50);
    Finding damaged = finding(a, "checksums");
    for (int i = 0; i < 1_000 && damaged.status() == Status.OK; i++) {
      table = file("a", ".sst");
      flipBit(table, 50);
      damaged = finding(a, "checksums");
    }
    assertThat(damaged.status()).isEqualTo(Status.ERROR);
    assertThat(damaged.message()).contains(String.valueOf(table.getFileName()));
    flipBit(table, 50);
    assertThat(finding(a, "checksums").status()).isEqualTo(Status.OK);
    Files.delete(table);
    assertThat(finding(a, "checksums").message()).contains("missing");
  }

  @Test
  void changedKeyFiles_areFound() throws IOException {
    DeviceNode a = start("a");
    Path file = temporary.resolve("a/databases/default/database.json");
    String json = Files.readString(file);
    Files.writeString(file, json.replaceFirst("[0-9a-f]{64}", "00".repeat(32)));
    assertThat(finding(a, "keys").message()).contains("database.json");
    Files.writeString(file, json);
    assertThat(finding(a, "keys").status()).isEqualTo(Status.OK);
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
