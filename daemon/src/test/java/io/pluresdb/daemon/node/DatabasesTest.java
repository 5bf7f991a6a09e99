package io.pluresdb.daemon.node;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.storage.text.TextQuery;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicBoolean;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Several databases on one device: made, renamed, copied, limited and deleted. */
@Timeout(120)
class DatabasesTest {
  @TempDir Path directory;
  private DeviceNode node;

  @BeforeEach
  void open() {
    node = DeviceNode.open(directory.resolve("d"), options());
  }

  private static NodeOptions options() {
    var anywhere = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    return new NodeOptions("laptop", new NodeOptions.Network(anywhere, false, List.of()));
  }

  @AfterEach
  void close() {
    node.close();
  }

  private void reopen() {
    node.close();
    node = DeviceNode.open(directory.resolve("d"), options());
  }

  private static byte[] json(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private String get(String database, String id) {
    return node.store(database).get(id).map(document -> document.json()).orElse("none");
  }

  @Test
  void create_madeTwo_eachHasItsOwnKeyAndDocuments() {
    node.createDatabase("work", Quota.NONE);
    node.createDatabase("home", Quota.NONE);
    node.store("work").put("a", json("1"));
    node.store("home").put("a", json("2"));
    reopen();
    assertThat(node.databases()).containsExactly("default", "home", "work");
    assertThat(get("work", "a")).isEqualTo("1");
    assertThat(get("home", "a")).isEqualTo("2");
    assertThat(get("default", "a")).isEqualTo("none");
    assertThat(node.status("work").id()).isNotEqualTo(node.status("home").id());
    assertThat(node.status("work").topic()).isNotEqualTo(node.status("home").topic());
    assertThat(node.devices("work")).singleElement().matches(Node.Device::self);
  }

  @Test
  void create_ofANameThatIsTakenOrNone_isRefused() {
    assertThatThrownBy(() -> node.createDatabase("default", Quota.NONE))
        .hasMessage("there is a database \"default\" already");
    for (String name : new String[] {"", "A", "a/b", "../x", ".x", "a".repeat(64)}) {
      assertThatThrownBy(() -> node.createDatabase(name, Quota.NONE))
          .isInstanceOf(CoreException.class)
          .hasMessageContaining("a database name must match");
    }
    node.createDatabase("a".repeat(63), Quota.NONE);
  }

  @Test
  void drop_thenMadeAgain_startsEmpty() {
    node.createDatabase("work", Quota.NONE);
    node.store("work").put("a", json("1"));
    String id = node.status("work").id();
    node.dropDatabase("work");
    assertThat(node.databases()).containsExactly("default");
    assertThat(directory.resolve("d/databases/work")).doesNotExist();
    assertThat(directory.resolve("d/anchors/work.anchor")).doesNotExist();
    assertThatThrownBy(() -> node.store("work")).hasMessage("there is no database \"work\"");
    assertThatThrownBy(() -> node.dropDatabase("work")).hasMessage("there is no database \"work\"");
    node.createDatabase("work", Quota.NONE);
    assertThat(get("work", "a")).isEqualTo("none");
    assertThat(node.status("work").id()).isNotEqualTo(id);
  }

  @Test
  void drop_ofAllDatabases_leavesANodeThatMakesNewOnes() {
    node.dropDatabase("default");
    assertThat(node.databases()).isEmpty();
    reopen();
    node.createDatabase("default", Quota.NONE);
    node.store("default").put("a", json("1"));
    assertThat(get("default", "a")).isEqualTo("1");
  }

  @Test
  void move_keepsIdDocumentsAndActor() {
    node.createDatabase("work", new Quota(0, 5));
    CrdtStore.Receipt before = node.store("work").put("a", json("1"));
    String id = node.status("work").id();
    node.moveDatabase("work", "office");
    assertThat(node.databases()).containsExactly("default", "office");
    assertThat(node.status("office").id()).isEqualTo(id);
    assertThat(node.quota("office")).isEqualTo(new Quota(0, 5));
    CrdtStore.Receipt after = node.store("office").put("b", json("2"));
    assertThat(after.actor()).isEqualTo(before.actor());
    assertThat(after.seq()).isEqualTo(before.seq() + 1);
    reopen();
    assertThat(get("office", "a")).isEqualTo("1");
    assertThatThrownBy(() -> node.moveDatabase("office", "default"))
        .hasMessage("there is a database \"default\" already");
    assertThatThrownBy(() -> node.moveDatabase("office", "Not a name"))
        .hasMessageContaining("a database name must match");
    assertThat(get("office", "a")).isEqualTo("1");
  }

  @Test
  void embedding_ofAnotherDimensionThanItsType_isRefusedWhicheverWayItComes() {
    CrdtStore store = node.store("default");
    store.putWithEmbedding("a", json("{\"type\":\"t\"}"), new float[] {1, 2});
    store.putWithEmbedding("b", json("{\"type\":\"u\"}"), new float[] {1, 2, 3});
    for (Edit edit :
        List.of(
            Edit.put("c", json("{\"type\":\"t\"}"), new float[] {1, 2, 3}),
            Edit.patch("b", json("{\"type\":\"t\"}")))) {
      assertThatThrownBy(() -> store.batch(List.of(Edit.put("d", json("1")), edit)))
          .hasMessageContaining("type \"t\" must have 2 numbers");
    }
    assertThat(get("default", "b")).isEqualTo("{\"type\":\"u\"}");
    assertThat(get("default", "d")).isEqualTo("none");
    assertThat(embeddings().status()).isEqualTo(Finding.Status.OK);
    // As it comes from another device, past the checks.
    node.database("default")
        .store()
        .putWithEmbedding("c", json("{\"type\":\"t\"}"), new float[] {1, 2, 3});
    assertThat(embeddings().status()).isEqualTo(Finding.Status.WARNING);
    assertThat(embeddings().message()).contains("type \"t\"", "{2=1, 3=1}");
  }

  private Finding embeddings() {
    return node.doctor("default").stream()
        .filter(finding -> finding.name().equals("embeddings"))
        .findAny()
        .orElseThrow();
  }

  @Test
  void copy_isADatabaseOfItsOwn() {
    CrdtStore store = node.store("default");
    for (int i = 0; i < 1_200; i++) {
      store.put("d" + i, json("{\"n\":" + i + "}"));
    }
    store.putWithEmbedding("e", json("{}"), new float[] {1, 2});
    node.searches("default").declare(IndexDefinition.parse("n"));
    node.limit("default", new Quota(0, 2_000));
    assertThat(node.copyDatabase("default", "copy")).isEqualTo(1_201);
    assertThat(node.status("copy").id()).isNotEqualTo(node.status("default").id());
    assertThat(node.status("copy").store().documents()).isEqualTo(1_201);
    assertThat(node.store("copy").get("e").orElseThrow().embedding()).containsExactly(1, 2);
    assertThat(node.quota("copy")).isEqualTo(new Quota(0, 2_000));
    assertThat(node.searches("copy").status())
        .anyMatch(index -> index.kind().equals("fields") && index.fields().equals(List.of("n")));
    node.store("copy").put("d0", json("\"other\""));
    assertThat(get("default", "d0")).isEqualTo("{\"n\":0}");
    reopen();
    assertThat(get("copy", "d0")).isEqualTo("\"other\"");
    assertThatThrownBy(() -> node.copyDatabase("default", "copy"))
        .hasMessage("there is a database \"copy\" already");
  }

  @Test
  void open_withADocumentWhoseIdIsAZeroByte_isNotTakenForEncrypted() {
    node.store("default").put("\u0000", json("\"" + "x".repeat(500) + "\""));
    reopen();
    assertThat(get("default", "\u0000")).hasSize(502);
  }

  @Test
  void open_afterAnEndInTheMiddle_removesWhatWasUnfinished() throws IOException {
    node.close();
    Path databases = directory.resolve("d/databases");
    Files.createDirectories(databases.resolve(".copying-x/store"));
    Files.createDirectories(databases.resolve(".dropped-y/store"));
    Files.writeString(databases.resolve(".dropped-y/database.json"), "{}");
    node = DeviceNode.open(directory.resolve("d"), options());
    assertThat(node.databases()).containsExactly("default");
    assertThat(databases.resolve(".copying-x")).doesNotExist();
    assertThat(databases.resolve(".dropped-y")).doesNotExist();
  }

  @Test
  void documents_overTheQuota_areRefusedAndDeletesGoOn() {
    CrdtStore store = node.store("default");
    node.limit("default", new Quota(0, 3));
    store.batch(List.of(Edit.put("a", json("1")), Edit.put("b", json("2"))));
    store.put("c", json("3"));
    assertThatThrownBy(() -> store.put("d", json("4")))
        .isInstanceOfSatisfying(
            NodeException.class, e -> assertThat(e.code()).isEqualTo("NODE_QUOTA_EXCEEDED"))
        .hasMessage("database \"default\" holds 3 documents, and quota.documents is 3");
    store.put("a", json("\"again\""));
    store.patch("b", json("{\"x\":1}"));
    store.delete("c");
    store.put("d", json("4"));
    assertThatThrownBy(
            () -> store.batch(List.of(Edit.put("d", json("5")), Edit.put("e", json("5")))))
        .isInstanceOf(NodeException.class);
    assertThat(get("default", "d")).isEqualTo("4");
    reopen();
    assertThatThrownBy(() -> node.store("default").put("f", json("4")))
        .isInstanceOf(NodeException.class);
    node.limit("default", Quota.NONE);
    node.store("default").put("f", json("4"));
  }

  @Test
  void documents_manyAtOnce_neverExceedTheQuota() {
    node.limit("default", new Quota(0, 100));
    CrdtStore store = node.store("default");
    var all = new ArrayList<CompletableFuture<CrdtStore.Receipt>>();
    for (int i = 0; i < 300; i++) {
      all.add(store.submit(Transaction.of(Edit.put("d" + i, json("1")))));
    }
    long taken = 0;
    for (CompletableFuture<CrdtStore.Receipt> each : all) {
      try {
        CrdtStore.await(each);
        taken++;
      } catch (NodeException e) {
        assertThat(e.code()).isEqualTo("NODE_QUOTA_EXCEEDED");
      }
    }
    assertThat(taken).isBetween(1L, 100L);
    assertThat(store.status().documents()).isEqualTo(taken);
    for (long i = taken; i < 100; i++) {
      store.put("more" + i, json("1"));
    }
    assertThatThrownBy(() -> store.put("one-more", json("1"))).isInstanceOf(NodeException.class);
  }

  @Test
  void bytes_overTheQuota_areRefusedUntilThereIsRoom() {
    node.limit("default", new Quota(Quota.LEAST_BYTES, 0));
    CrdtStore store = node.store("default");
    byte[] large = json("\"" + "x".repeat(100_000) + "\"");
    assertThatThrownBy(
            () -> {
              for (int i = 0; i < 10_000; i++) {
                store.put("d" + i, large);
              }
            })
        .isInstanceOf(NodeException.class)
        .hasMessageContaining("bytes on disk, and quota.bytes is 1048576");
    store.delete("d0");
    node.limit("default", Quota.NONE);
    store.put("d0", large);
  }

  @Test
  void quota_outOfItsRange_cannotExist() {
    assertThatThrownBy(() -> new Quota(1, 0))
        .hasMessage("quota.bytes must be 0 for none, or 1048576 to 1125899906842624, but is 1");
    assertThatThrownBy(() -> new Quota(Quota.MOST_BYTES + 1, 0)).isInstanceOf(CoreException.class);
    assertThatThrownBy(() -> new Quota(0, -1))
        .hasMessage("quota.documents must be 0 for none, or 1 to 1099511627776, but is -1");
    assertThat(new Quota(Quota.MOST_BYTES, Quota.MOST_DOCUMENTS)).isNotNull();
  }

  @Test
  void bytesOnDisk_countsTheIndexes() throws IOException {
    node.store("default").put("a", json("\"word\""));
    var words =
        new Searches.Request(
            TextQuery.parse("word", null),
            new float[0],
            Filter.ALL,
            1,
            0,
            new Searches.Fusion.ReciprocalRank(),
            30_000);
    assertThat(node.searches("default").search(words)).hasSize(1);
    reopen();
    long indexes = 0;
    try (var files = Files.walk(directory.resolve("d/databases/default/indexes"))) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        indexes += Files.size(file);
      }
    }
    assertThat(indexes).isPositive();
    Node.DatabaseStatus status = node.status("default");
    assertThat(status.bytesOnDisk()).isGreaterThanOrEqualTo(status.store().bytesOnDisk() + indexes);
  }

  @Test
  void bytesOnDisk_whileFilesAndFoldersGoAway_countsTheOthers() throws Exception {
    Path database = directory.resolve("d/databases/default");
    int kept = 4 << 20;
    Files.write(database.resolve("kept"), new byte[kept]);
    var ended = new AtomicBoolean();
    Thread passing =
        Thread.ofPlatform()
            .start(
                () -> {
                  try {
                    while (!ended.get()) {
                      Path folder = Files.createDirectory(database.resolve("passing"));
                      Path file = Files.createFile(folder.resolve("file"));
                      Files.delete(file);
                      Files.delete(folder);
                    }
                  } catch (IOException e) {
                    throw new UncheckedIOException(e);
                  }
                });
    try {
      for (int i = 0; i < 2_000; i++) {
        assertThat(node.status("default").bytesOnDisk()).isGreaterThan(kept);
      }
    } finally {
      ended.set(true);
      passing.join();
    }
  }

  @Test
  void submitIf_withMoreConditionsThanEditsFit_isRefused() {
    CrdtStore store = node.store("default");
    var most = new CrdtStore.Condition("a", Optional::isEmpty);
    var put = Transaction.of(Edit.put("b", json("1")));
    CrdtStore.await(store.submitIf(Collections.nCopies(1_000, most), put));
    assertThatThrownBy(() -> store.submitIf(Collections.nCopies(1_001, most), put))
        .hasMessage("there may be at most 1000 conditions, but are 1001");
  }

  @Test
  void submitIf_anotherWriteQueuedBefore_seesIt() {
    CrdtStore store = node.store("default");
    var first = store.submit(Transaction.of(Edit.put("a", json("1"))));
    var second =
        store.submitIf(
            List.of(
                new CrdtStore.Condition("free", Optional::isEmpty),
                new CrdtStore.Condition("a", Optional::isEmpty)),
            Transaction.of(Edit.put("free", json("1")), Edit.put("a", json("\"lost\""))));
    CrdtStore.await(first);
    assertThatThrownBy(() -> CrdtStore.await(second))
        .isInstanceOfSatisfying(
            CoreException.class,
            e -> assertThat(e.kind()).isEqualTo(CoreException.Kind.PRECONDITION_FAILED));
    assertThat(get("default", "a")).isEqualTo("1");
    assertThat(store.get("free")).isEmpty();
    CrdtStore.await(
        store.submitIf(
            List.of(new CrdtStore.Condition("a", Optional::isPresent)),
            Transaction.of(Edit.put("a", json("2")))));
    assertThat(get("default", "a")).isEqualTo("2");
  }
}
