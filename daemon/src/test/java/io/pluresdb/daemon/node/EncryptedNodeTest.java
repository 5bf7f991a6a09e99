package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.doc.Edge;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.EdgeIndex;
import io.pluresdb.crdt.store.EdgeIndex.Direction;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.storage.crypto.EncryptedStorage;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.crypto.EncryptionMetadata;
import io.pluresdb.storage.crypto.KeyVault;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.storage.text.TextQuery;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** A data directory made with init --encrypt, and what its files tell. */
class EncryptedNodeTest {
  /** How two numbers of a vector look that is written as it is. */
  private static final String PLANTED_NUMBERS = "qzxjvwky";

  private static final String DB = Node.DEFAULT_DATABASE;
  private static final EncryptionConfig PASSWORD = EncryptionConfig.password("correct horse");

  /** An id, a field, a value, a word of a text, an element of a list, a relation. */
  private static final List<String> PLANTED =
      List.of(
          "plantedid",
          "plantedfield",
          "plantedvalue",
          "plantedtext",
          "plantedelement",
          "plantedrelation");

  @TempDir Path temporary;

  private static NodeOptions options(String name, EncryptionConfig secret) {
    return NodeOptions.offline(name).with(metadata -> secret);
  }

  private DeviceNode open(String name) {
    return DeviceNode.open(temporary.resolve(name), options(name, PASSWORD));
  }

  private DeviceNode online(String name) {
    var network =
        new NodeOptions.Network(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), false, List.of());
    return DeviceNode.open(
        temporary.resolve(name), new NodeOptions(name, network).with(metadata -> PASSWORD));
  }

  private Path init(String name) {
    DeviceNode.init(temporary.resolve(name), false, PASSWORD);
    return temporary.resolve(name);
  }

  private static void put(DeviceNode node, String id, String json) {
    node.store(DB).put(id, json.getBytes(StandardCharsets.UTF_8));
  }

  private static String get(DeviceNode node, String id) {
    return node.store(DB).get(id).map(record -> record.json()).orElse("none");
  }

  private static void plant(DeviceNode node) {
    node.searches(DB).declare(new IndexDefinition(List.of("plantedfield")));
    for (int i = 0; i < 300; i++) {
      put(
          node,
          "plantedid" + i,
          "{\"plantedfield\":\"plantedvalue%d\",\"t\":\"plantedtext %d\",\"l\":[\"plantedelement\"]}"
              .formatted(i, i));
    }
    ByteBuffer numbers =
        ByteBuffer.wrap(PLANTED_NUMBERS.getBytes(StandardCharsets.US_ASCII))
            .order(ByteOrder.LITTLE_ENDIAN);
    var edits = new ArrayList<Edit>();
    for (int i = 0; i < 300; i++) {
      edits.add(
          Edit.put(
              "plantedid-near" + i,
              "{\"t\":\"plantedtext near\"}".getBytes(StandardCharsets.UTF_8),
              new float[] {i + 1, numbers.getFloat(0), numbers.getFloat(4)}));
    }
    CrdtStore.await(
        node.store(DB).submit(new Transaction(edits, Transaction.Acknowledgement.LOCAL)));
    node.store(DB).delete("plantedid7");
    Edge edge = Edge.checked("plantedid1", "plantedrelation", "plantedid2");
    node.store(DB).put(edge.id(), edge.document("{}".getBytes(StandardCharsets.UTF_8)));
    assertThat(node.searches(DB).edges("plantedid2", Direction.IN, null, null, 9).edges())
        .containsExactly(new EdgeIndex.Found(edge.id(), edge));
    node.searches(DB).await(10_000);
    assertThat(search(node)).hasSize(10);
  }

  private static List<Searches.Hit> search(DeviceNode node) {
    return node.searches(DB)
        .search(
            new Searches.Request(
                TextQuery.parse("plantedtext", null),
                new float[] {1, 0, 0},
                Filter.ALL,
                10,
                0,
                new Searches.Fusion.ReciprocalRank(),
                10_000));
  }

  /** Which of the planted words some file below a folder holds, in any case. */
  private static Set<String> found(Path folder) throws IOException {
    var words = new TreeSet<String>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        String content =
            Files.readString(file, StandardCharsets.ISO_8859_1).toLowerCase(Locale.ROOT);
        PLANTED.stream().filter(content::contains).forEach(words::add);
        // A name that is a word of a document would tell as much.
        PLANTED.stream()
            .filter(word -> file.getFileName().toString().contains(word))
            .forEach(words::add);
      }
    }
    return words;
  }

  private static boolean holdsNumbers(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (Files.readString(file, StandardCharsets.ISO_8859_1).contains(PLANTED_NUMBERS)) {
          return true;
        }
      }
    }
    return false;
  }

  @Test
  void noFile_holdsAPlantedWord_unlessNothingIsEncrypted() throws IOException {
    for (boolean encrypted : new boolean[] {false, true}) {
      String name = encrypted ? "sealed" : "plain";
      if (encrypted) {
        init(name);
      }
      try (DeviceNode node = open(name)) {
        plant(node);
        assertThat(holdsNumbers(temporary.resolve(name))).isEqualTo(!encrypted);
        // While it runs, in the write-ahead log.
        assertThat(found(temporary.resolve(name)))
            .containsExactlyElementsOf(encrypted ? List.of() : new TreeSet<>(PLANTED));
        node.vacuum(DB).join();
        put(node, "plantedid-after", "{\"plantedfield\":1}");
        node.backup(DB, temporary.resolve(name + "-backup"), true);
      }
      try (DeviceNode node = open(name)) {
        assertThat(get(node, "plantedid8")).contains("plantedvalue8");
      }
      for (String folder : List.of(name, name + "-backup")) {
        // Compression hides some of them, too.
        assertThat(found(temporary.resolve(folder)).isEmpty()).isEqualTo(encrypted);
      }
    }
  }

  @Test
  void enable_ofAPlainDirectory_leavesNothingReadable_andKeepsTheActor() throws IOException {
    Path root = temporary.resolve("a");
    String actor;
    String hash;
    try (DeviceNode node = DeviceNode.open(root, NodeOptions.offline("a"))) {
      plant(node);
      node.createDatabase("more", Quota.NONE);
      node.store("more").put("plantedid-more", "{}".getBytes(StandardCharsets.UTF_8));
      actor = node.store(DB).status().frontier().toString();
      hash = node.store(DB).status().stateHash().hex();
    }
    assertThat(found(root)).isNotEmpty();
    assertThat(DeviceNode.encrypt(root, () -> PASSWORD)).isGreaterThan(600);
    assertThat(found(root)).isEmpty();
    assertThat(holdsNumbers(root)).isFalse();
    assertThat(Files.exists(root.resolve("databases/.encrypting"))).isFalse();
    assertThat(refused(NodeOptions.offline("a")).code()).isEqualTo("ENCRYPTION_SECRET_NEEDED");
    try (DeviceNode node = open("a")) {
      assertThat(node.store(DB).status().frontier()).hasToString(actor);
      assertThat(node.store(DB).status().stateHash().hex()).isEqualTo(hash);
      assertThat(get(node, "plantedid8")).contains("plantedvalue8");
      assertThat(node.databases()).containsExactly(DB, "more");
      assertThat(search(node)).hasSize(10);
      put(node, "plantedid-after", "1");
      assertThat(node.store(DB).status().frontier().heads()).hasSize(1);
      assertThat(node.searches(DB).status())
          .extracting(Searches.IndexStatus::kind)
          .contains("fields");
      assertThat(node.doctor(DB)).extracting(Finding::status).doesNotContain(Finding.Status.ERROR);
    }
    assertThat(found(root)).isEmpty();
    assertThatThrownBy(() -> DeviceNode.encrypt(root, () -> PASSWORD))
        .isInstanceOf(EncryptionException.class)
        .hasMessageContaining("encrypted already");
  }

  @Test
  void enable_besideFilesThatWouldStay_isRefused_andADirectoryInUseIsNotTouched()
      throws IOException {
    Path root = temporary.resolve("a");
    try (DeviceNode node = DeviceNode.open(root, NodeOptions.offline("a"))) {
      put(node, "a", "1");
      assertThatThrownBy(() -> DeviceNode.encrypt(root, () -> PASSWORD))
          .isInstanceOf(StorageException.OpenFailed.class);
    }
    Path damaged =
        Files.createDirectory(root.resolve("databases/default/damaged-20260101T000000Z"));
    assertThatThrownBy(() -> DeviceNode.encrypt(root, () -> PASSWORD))
        .isInstanceOf(EncryptionException.class)
        .hasMessageContaining(damaged.toString());
    try (DeviceNode node = DeviceNode.open(root, NodeOptions.offline("a"))) {
      assertThat(get(node, "a")).isEqualTo("1");
    }
  }

  @Test
  void databaseFile_isSealed_soThatItsKeyCannotBeRead() throws IOException {
    Path root = init("a");
    String file = Files.readString(root.resolve("databases/default/database.json"));
    assertThat(file).contains("\"sealed\"").doesNotContain("syncKey", "founder");
  }

  @Test
  void open_withoutTheSecret_withAnother_orWithoutTheKeys_isRefused() throws IOException {
    Path root = init("a");
    try (DeviceNode node = open("a")) {
      put(node, "a", "1");
    }
    assertThat(refused(NodeOptions.offline("a")).code()).isEqualTo("ENCRYPTION_SECRET_NEEDED");
    EncryptionException wrong = refused(options("a", EncryptionConfig.password("wrong horse")));
    assertThat(wrong.code()).isEqualTo("ENCRYPTION_WRONG_PASSWORD");
    assertThat(wrong).hasMessage("the password is wrong");
    Files.move(root.resolve("encryption.json"), temporary.resolve("kept"));
    assertThat(
            catchThrowableOfType(
                    StorageException.OpenFailed.class,
                    () -> DeviceNode.open(root, NodeOptions.offline("a")).close())
                .code())
        .isEqualTo("STORAGE_ENCRYPTED");
    Files.move(temporary.resolve("kept"), root.resolve("encryption.json"));
    try (DeviceNode node = open("a")) {
      assertThat(get(node, "a")).isEqualTo("1");
    }
  }

  private EncryptionException refused(NodeOptions options) {
    return catchThrowableOfType(
        EncryptionException.class, () -> DeviceNode.open(temporary.resolve("a"), options).close());
  }

  @Test
  void searches_work_leaveNoFile_andAreThereAfterARestart() {
    init("a");
    try (DeviceNode node = open("a")) {
      plant(node);
      assertThat(search(node)).hasSize(10).anyMatch(hit -> hit.vector() != null);
      put(node, "plantedid-more", "{\"t\":\"plantedtext\"}");
      node.vacuum(DB).join();
      assertThat(node.doctor(DB)).extracting(Finding::status).doesNotContain(Finding.Status.ERROR);
      assertThat(node.searches(DB).status())
          .extracting(Searches.IndexStatus::kind)
          .contains("fields", "text", "vectors");
    }
    try (DeviceNode node = open("a")) {
      assertThat(search(node)).hasSize(10);
      assertThat(node.doctor(DB)).extracting(Finding::status).doesNotContain(Finding.Status.ERROR);
    }
    assertThat(Files.exists(temporary.resolve("a/databases/default/indexes"))).isFalse();
  }

  @Test
  void reencryption_thatEndedBehindTheLastRow_isFinishedByTheNextStart() throws IOException {
    Path root = init("a");
    try (DeviceNode node = open("a")) {
      plant(node);
    }
    try (DataDirectory directory = DataDirectory.open(root)) {
      KeyVault vault =
          KeyVault.unlock(
              directory.encryption(), PASSWORD, new SecureRandom(), InstantSource.system());
      vault.beginReencryption();
      RocksOptions options = RocksOptions.defaults(directory.nativeDirectory());
      try (var storage =
          EncryptedStorage.open(
              RocksStorage.open(directory.store(DB), options),
              vault.keyring(),
              new SecureRandom())) {
        var pass = storage.reencryption();
        while (pass.step()) {
          assertThat(vault.isReencrypting()).isTrue();
        }
        assertThat(pass.rows()).isPositive();
      }
    }
    try (DeviceNode node = open("a")) {
      await("one key", () -> keys(node.encryption()).equals(List.of(2)));
      assertThat(get(node, "plantedid8")).contains("plantedvalue8");
    }
    // The file beside the store is sealed with the key that is left.
    try (DeviceNode node = open("a")) {
      assertThat(get(node, "plantedid8")).contains("plantedvalue8");
      assertThat(node.doctor(DB)).noneMatch(finding -> finding.status() == Finding.Status.ERROR);
    }
  }

  @Test
  @Timeout(60)
  void reencryption_whileADatabaseIsNotOpen_endsAndKeepsTheOldKey() {
    Path root = init("a");
    try (DataDirectory directory = DataDirectory.open(root)) {
      KeyVault vault =
          KeyVault.unlock(
              directory.encryption(), PASSWORD, new SecureRandom(), InstantSource.system());
      directory.sealWith(vault);
      vault.beginReencryption();
      var job = new ReencryptionJob(directory, Map.of(), () -> false);
      job.resume(Runnable::run);
      assertThat(job.failure()).contains("[default] are not open");
      var stopped = new ReencryptionJob(directory, Map.of(), () -> true);
      stopped.resume(Runnable::run);
      assertThat(stopped.failure()).isEmpty();
      assertThat(vault.metadata().keys()).hasSize(2);
    }
  }

  @Test
  void changeSecret_takesEffectAtOnce_andKeepsTheData() {
    init("a");
    EncryptionConfig other = EncryptionConfig.password("battery staple");
    try (DeviceNode node = open("a")) {
      put(node, "a", "1");
      assertThatThrownBy(() -> node.changeSecret(other, PASSWORD))
          .hasMessage("the password is wrong");
      node.changeSecret(PASSWORD, other);
      put(node, "b", "2");
    }
    assertThat(refused(options("a", PASSWORD)).code()).isEqualTo("ENCRYPTION_WRONG_PASSWORD");
    try (DeviceNode node = DeviceNode.open(temporary.resolve("a"), options("a", other))) {
      assertThat(get(node, "a") + get(node, "b")).isEqualTo("12");
    }
  }

  @Test
  void reencrypt_sealsEverythingWithANewKey_whileItIsWrittenTo() throws IOException {
    Path root = init("a");
    Files.copy(root.resolve("encryption.json"), temporary.resolve("old.json"));
    try (DeviceNode node = open("a")) {
      plant(node);
      assertThat(node.reencrypt().metadata()).isNotNull();
      for (int i = 0; node.encryption().running(); i++) {
        put(node, "during" + i, "1");
      }
      Node.EncryptionStatus status = node.encryption();
      assertThat(status.failure()).isEmpty();
      assertThat(status.rows()).isGreaterThan(600);
      assertThat(status.metadata()).isNotNull();
      assertThat(node.doctor(DB)).extracting(Finding::status).doesNotContain(Finding.Status.ERROR);
    }
    try (DeviceNode node = open("a")) {
      assertThat(get(node, "plantedid8")).contains("plantedvalue8");
      assertThat(get(node, "during0")).isEqualTo("1");
      assertThat(node.encryption().running()).isFalse();
    }
    // The old data key opens nothing any more.
    Files.move(root.resolve("encryption.json"), temporary.resolve("new.json"));
    Files.copy(temporary.resolve("old.json"), root.resolve("encryption.json"));
    assertThatThrownBy(() -> open("a").close()).isInstanceOf(EncryptionException.class);
  }

  @Test
  void rotateKey_sealsWhatIsWrittenSince_andKeepsTheRestReadable() throws IOException {
    Path root = init("a");
    Files.copy(root.resolve("encryption.json"), temporary.resolve("old.json"));
    try (DeviceNode node = open("a")) {
      plant(node);
      assertThat(keys(node.rotateKey())).containsExactly(1, 2);
      put(node, "later", "1");
      assertThat(node.encryption().running()).isFalse();
      assertThat(node.doctor(DB)).extracting(Finding::status).doesNotContain(Finding.Status.ERROR);
      assertThat(node.doctor(DB))
          .filteredOn(finding -> finding.name().equals("encryption"))
          .singleElement()
          .satisfies(
              finding -> assertThat(finding.message()).contains("the newest of 2 data keys"));
    }
    try (DeviceNode node = open("a")) {
      // A restart does not begin to seal everything anew.
      assertThat(node.encryption().running()).isFalse();
      assertThat(get(node, "plantedid8")).contains("plantedvalue8");
      assertThat(get(node, "later")).isEqualTo("1");
      assertThat(keys(node.rotateKey())).containsExactly(1, 2, 3);
      put(node, "plantedid8", "2");
      node.reencrypt();
      await("one key", () -> keys(node.encryption()).equals(List.of(4)));
      assertThat(node.encryption().failure()).isEmpty();
      assertThat(get(node, "plantedid8") + get(node, "later")).isEqualTo("21");
      assertThat(get(node, "plantedid9")).contains("plantedvalue9");
    }
    // Who has the first key only opens nothing that is there now.
    Files.move(root.resolve("encryption.json"), temporary.resolve("new.json"));
    Files.copy(temporary.resolve("old.json"), root.resolve("encryption.json"));
    assertThatThrownBy(() -> open("a").close()).isInstanceOf(EncryptionException.class);
  }

  private static List<Integer> keys(Node.EncryptionStatus status) {
    var metadata = status.metadata();
    return metadata == null
        ? List.of()
        : metadata.keys().stream().map(EncryptionMetadata.WrappedKey::number).toList();
  }

  @Test
  void devices_thatAreEncrypted_joinAndSync() {
    init("a");
    init("b");
    try (DeviceNode a = online("a");
        DeviceNode b = online("b")) {
      put(a, "a", "1");
      put(b, "b", "2");
      String url = a.invite(DB, Role.WRITE, Duration.ofHours(1)).url();
      CrdtStore.await(b.join(DB, url));
      await("both have both", () -> get(a, "b").equals("2") && get(b, "a").equals("1"));
      a.revoke(DB, "b", null);
      Node.EncryptionStatus status = a.encryption();
      assertThat(status.metadata() == null ? List.of() : status.metadata().revokedDevices())
          .hasSize(1);
    }
    try (DeviceNode b = open("b")) {
      assertThat(get(b, "a")).isEqualTo("1");
    }
  }

  @Test
  void restore_ofAnEncryptedBackup_needsItsKeys() throws IOException {
    init("a");
    init("other");
    Path backup = temporary.resolve("backup");
    try (DeviceNode node = open("a")) {
      put(node, "a", "1");
      node.backup(DB, backup, true);
    }
    restore("new", DB);
    try (DeviceNode node = open("new")) {
      assertThat(get(node, "a")).isEqualTo("1");
      put(node, "b", "2");
    }
    restore("a", "then");
    try (DeviceNode node = open("a")) {
      assertThat(node.databases()).containsExactly(DB, "then");
    }
    assertThatThrownBy(() -> restore("other", "then"))
        .hasMessageContaining("encrypted with keys that this data directory does not have");
    DeviceNode.init(temporary.resolve("plain"), false);
    assertThatThrownBy(() -> restore("plain", "then"))
        .hasMessageContaining("encrypted with keys that this data directory does not have");
  }

  private void restore(String to, String database) {
    DeviceNode.restore(
        temporary.resolve(to), temporary.resolve("backup"), database, metadata -> PASSWORD);
  }
}
