package io.pluresdb.daemon.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.Eventually;
import io.pluresdb.storage.backup.BackupException;
import io.pluresdb.storage.backup.BackupManifest;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Backups of a node in this process, and what they are restored to. */
class BackupsTest {
  private static final String DB = Node.DEFAULT_DATABASE;

  @TempDir Path temporary;

  private DeviceNode open(String name) {
    return DeviceNode.open(temporary.resolve(name), NodeOptions.offline(name));
  }

  private static void put(DeviceNode node, String id, String json) {
    node.store(DB).put(id, json.getBytes(StandardCharsets.UTF_8));
  }

  private static String get(DeviceNode node, String database, String id) {
    return node.store(database).get(id).map(record -> record.json()).orElse("none");
  }

  private static ActorId actor(DeviceNode node) {
    LocalDatabase database = node.database(DB);
    return CrdtStore.await(
        database.store().call(engine -> Objects.requireNonNull(engine.replica().ownActor())));
  }

  /** A device with two documents, and a backup of it. */
  private BackupManifest backedUp(boolean keys) {
    try (DeviceNode node = open("a")) {
      put(node, "a", "1");
      put(node, "b", "2");
      return node.backup(DB, temporary.resolve("backup"), keys);
    }
  }

  private BackupException refused(String target, String database) {
    BackupException refusal =
        catchThrowableOfType(
            BackupException.class,
            () ->
                DeviceNode.restore(
                    temporary.resolve(target),
                    temporary.resolve("backup"),
                    database,
                    NodeOptions.Secret.NONE));
    assertThat(refusal).isNotNull();
    return refusal;
  }

  @Test
  void backup_whileOthersWrite_isOneMoment_andRestoresUnderANewActor() throws Exception {
    BackupManifest manifest;
    ActorId before;
    var written = new AtomicInteger();
    try (DeviceNode node = open("a")) {
      put(node, "first", "true");
      before = actor(node);
      var stop = new AtomicBoolean();
      Thread writer =
          Thread.ofPlatform()
              .start(
                  () -> {
                    while (!stop.get()) {
                      put(node, "n" + written.get(), "{\"n\":" + written.get() + "}");
                      written.incrementAndGet();
                    }
                  });
      Eventually.await("some writes", () -> written.get() > 50);
      int begun = written.get();
      manifest = node.backup(DB, temporary.resolve("backup"), true);
      assertThat(manifest.documents()).isGreaterThan(begun);
      int made = written.get();
      Eventually.await("writes go on", () -> written.get() > made);
      stop.set(true);
      writer.join();
      assertThat(manifest.documents()).isLessThanOrEqualTo(1 + written.get());
      assertThat(actor(node)).isEqualTo(before);
    }
    assertThat(manifest.frontier()).containsKey(before.hex());
    DeviceNode.restore(
        temporary.resolve("new"), temporary.resolve("backup"), DB, NodeOptions.Secret.NONE);
    try (DeviceNode restored = open("new")) {
      Node.DatabaseStatus status = restored.status(DB);
      assertThat(status.store().documents()).isEqualTo(manifest.documents());
      assertThat(status.store().stateHash().hex()).isEqualTo(manifest.stateHash());
      // Documents were written one after another: those of one moment have no gap.
      for (int i = 0; i < manifest.documents() - 1; i++) {
        assertThat(get(restored, DB, "n" + i)).isEqualTo("{\"n\":" + i + "}");
      }
      put(restored, "after", "1");
      assertThat(actor(restored)).isNotEqualTo(before);
      assertThat(restored.doctor(DB))
          .extracting(Finding::status)
          .doesNotContain(Finding.Status.ERROR);
    }
  }

  @Test
  void restore_ofADamagedFile_isRefusedNamingIt_andMakesNothing() throws IOException {
    BackupManifest manifest = backedUp(true);
    Path backup = temporary.resolve("backup");
    for (BackupManifest.Entry entry : manifest.files()) {
      if (entry.bytes() == 0) {
        continue;
      }
      byte[] whole = Files.readAllBytes(backup.resolve(entry.path()));
      byte[] flipped = whole.clone();
      flipped[whole.length / 2] ^= 1;
      Files.write(backup.resolve(entry.path()), flipped);
      BackupException refusal = refused("new", DB);
      assertThat(refusal.code()).isEqualTo("BACKUP_DAMAGED");
      assertThat(refusal).hasMessageContaining(entry.path());
      Files.write(backup.resolve(entry.path()), whole);
    }
    assertThat(Files.exists(temporary.resolve("new"))).isFalse();
    Path manifestFile = backup.resolve("manifest.json");
    byte[] whole = Files.readAllBytes(manifestFile);
    Files.writeString(
        manifestFile,
        new String(whole, StandardCharsets.UTF_8)
            .replace("\"documents\" : 2", "\"documents\" : 3"));
    assertThat(refused("new", DB)).hasMessageContaining("manifest.json");
    Files.write(manifestFile, whole);
    Files.writeString(backup.resolve("store/extra"), "x");
    assertThat(refused("new", DB)).hasMessageContaining("store/extra");
    Files.delete(backup.resolve("store/extra"));
    Files.delete(backup.resolve("store/CURRENT"));
    assertThat(refused("new", DB)).hasMessageContaining("store/CURRENT is missing");
    Files.delete(manifestFile);
    assertThat(refused("new", DB).code()).isEqualTo("BACKUP_NOT_FOUND");
    assertThat(Files.exists(temporary.resolve("new"))).isFalse();
  }

  @Test
  void restore_overwritesNothing_andNeedsKeys() throws IOException {
    backedUp(false);
    assertThat(refused("new", DB).code()).isEqualTo("BACKUP_WITHOUT_KEYS");
    assertThat(Files.exists(temporary.resolve("new"))).isFalse();
    assertThat(refused("a", DB).code()).isEqualTo("BACKUP_TARGET_EXISTS");
    assertThat(refused("a", "other").code()).isEqualTo("BACKUP_WITHOUT_KEYS");
    DeviceNode.init(temporary.resolve("b"), false);
    assertThat(refused("b", DB).code()).isEqualTo("BACKUP_TARGET_EXISTS");
    try (DeviceNode node = open("a")) {
      assertThat(get(node, DB, "a")).isEqualTo("1");
      assertThatThrownBy(
              () ->
                  DeviceNode.restore(
                      temporary.resolve("a"),
                      temporary.resolve("backup"),
                      DB,
                      NodeOptions.Secret.NONE))
          .isInstanceOf(StorageException.OpenFailed.class);
      put(node, "a", "3");
    }
    // On the device that has the keys, where the store was lost.
    Path store = temporary.resolve("a/databases/default/store");
    Files.move(store, temporary.resolve("lost"));
    DeviceNode.restore(
        temporary.resolve("a"), temporary.resolve("backup"), DB, NodeOptions.Secret.NONE);
    try (DeviceNode node = open("a")) {
      assertThat(get(node, DB, "a")).isEqualTo("1");
    }
  }

  @Test
  void restore_besideTheDatabase_underAnotherName_bringsBackWhatWasThen() {
    backedUp(true);
    try (DeviceNode node = open("a")) {
      put(node, "a", "3");
    }
    DeviceNode.restore(
        temporary.resolve("a"), temporary.resolve("backup"), "then", NodeOptions.Secret.NONE);
    try (DeviceNode node = open("a")) {
      assertThat(node.databases()).containsExactly(DB, "then");
      assertThat(get(node, DB, "a")).isEqualTo("3");
      assertThat(get(node, "then", "a")).isEqualTo("1");
    }
  }

  @Test
  void backup_withoutKeys_holdsNoKey_andIsTheOwnersAlone() throws IOException {
    backedUp(false);
    Path backup = temporary.resolve("backup");
    String secret = Files.readString(temporary.resolve("a/databases/default/database.json"));
    String key = secret.replaceAll("(?s).*\"used\" : \\[ \"([0-9a-f]{64})\".*", "$1");
    assertThat(key).hasSize(64);
    try (Stream<Path> files = Files.walk(backup)) {
      for (Path file : files.toList()) {
        boolean folder = Files.isDirectory(file);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
            .isEqualTo(folder ? "rwx------" : "rw-------");
        if (!folder) {
          assertThat(Files.readString(file, StandardCharsets.ISO_8859_1)).doesNotContain(key);
        }
      }
    }
    assertThat(List.of(backup.resolve("keys"))).allMatch(Files::notExists);
  }

  @Test
  void backup_toAFolderThatExists_isRefused() {
    try (DeviceNode node = open("a")) {
      put(node, "a", "1");
      assertThatThrownBy(() -> node.backup(DB, temporary, false))
          .isInstanceOf(BackupException.class)
          .hasMessageContaining("exists already");
    }
  }
}
