package io.pluresdb.daemon.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Finding.Status;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.daemon.node.DataDirectory;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeException;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.daemon.node.Quota;
import io.pluresdb.storage.backup.BackupFiles;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.index.IndexDefinition;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.DriverManager;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Commands that are killed, or whose power fails, between any two changes of files: what was
 * acknowledged before is there afterwards, everything fits together, and the command can be
 * repeated. Once it has said that it is done, it is.
 *
 * <p>{@code -Dtest.jvm="-Dcrash.points=all"} looks at everything that a command may leave, a number
 * at so many states of each; by default a few are looked at.
 */
class CrashPointTest {
  private static final int DOCUMENTS = 40;
  private static final String DB = Node.DEFAULT_DATABASE;
  private static final String OTHER = "other";

  /** A data directory with the native library, which commands would extract first. */
  @TempDir static Path extracted;

  @TempDir Path temporary;

  @BeforeAll
  static void extract() throws IOException, InterruptedException {
    open(extracted).close();
    CrashSweep.run(Main.class, extracted, extracted.resolve("output"), List.of(), "list");
  }

  @BeforeEach
  void canTrace() throws InterruptedException {
    boolean can;
    try {
      can = new ProcessBuilder("strace", "-o", "/dev/null", "true").start().waitFor() == 0;
    } catch (IOException missing) {
      can = false;
    }
    Assumptions.assumeTrue(can, "CrashPointTest needs strace and ptrace");
  }

  private void sweep(Path whole, CrashSweep.Check check, String... command)
      throws IOException, InterruptedException {
    sweep(Main.class, true, whole, check, command);
  }

  private void sweep(
      Class<?> program, boolean syncsCount, Path whole, CrashSweep.Check check, String... command)
      throws IOException, InterruptedException {
    new CrashSweep(temporary, extracted).sweep(program, syncsCount, whole, check, command);
  }

  /** A key file, which takes no time to unlock. */
  private Path keyFile() throws IOException {
    return secretFile("key", "0123456789abcdef0123456789abcdef");
  }

  private Path secretFile(String name, String content) throws IOException {
    Path file = temporary.resolve(name);
    Files.writeString(file, content + "\n");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    return file;
  }

  private static DeviceNode open(Path directory) {
    return DeviceNode.open(directory.resolve("d"), NodeOptions.offline("test-device"));
  }

  private static DeviceNode open(Path directory, EncryptionConfig secret) {
    return DeviceNode.open(
        directory.resolve("d"), NodeOptions.offline("test-device").with(metadata -> secret));
  }

  private static void write(DeviceNode node, String database, int from, int to) {
    for (int i = from; i < to; i++) {
      node.store(database).put("d" + i, ("{\"n\":" + i + "}").getBytes(StandardCharsets.UTF_8));
    }
  }

  private static void requireWhole(DeviceNode node, int documents) {
    requireWhole(node, DB, documents);
  }

  /** All documents are there, nothing is wrong, and writing goes on. */
  private static void requireWhole(DeviceNode node, String database, int documents) {
    for (int i = 0; i < documents; i++) {
      assertThat(node.store(database).get("d" + i)).as("d" + i).isPresent();
    }
    assertThat(node.doctor(database))
        .filteredOn(finding -> finding.status() == Status.ERROR)
        .extracting(Finding::message)
        .isEmpty();
    write(node, database, 1_000, 1_001);
    assertThat(node.store(database).get("d1000")).isPresent();
  }

  private Path withDocuments(String name) throws IOException {
    Path whole = Files.createDirectory(temporary.resolve(name));
    try (DeviceNode node = open(whole)) {
      write(node, DB, 0, DOCUMENTS / 2);
      node.vacuum(DB).join();
      write(node, DB, DOCUMENTS / 2, DOCUMENTS);
    }
    return whole;
  }

  private Path withTwoDatabases() throws IOException {
    Path whole = withDocuments("whole");
    try (DeviceNode node = open(whole)) {
      node.createDatabase(OTHER, Quota.NONE);
      write(node, OTHER, 0, DOCUMENTS);
    }
    return whole;
  }

  private Path encrypted(EncryptionConfig secret) throws IOException {
    Path whole = Files.createDirectory(temporary.resolve("whole"));
    DeviceNode.init(whole.resolve("d"), false, secret);
    try (DeviceNode node = open(whole, secret)) {
      write(node, DB, 0, DOCUMENTS);
    }
    return whole;
  }

  @Test
  void init_killed_isDoneOrCanBeDone() throws Exception {
    Path empty = Files.createDirectory(temporary.resolve("empty"));
    sweep(
        empty,
        (directory, said) -> {
          Path root = directory.resolve("d");
          assertThat(DataDirectory.isInitialized(root)).isIn(said.done(), true);
          if (!DataDirectory.isInitialized(root)) {
            DeviceNode.init(root, false);
          }
          try (DeviceNode node = open(directory)) {
            requireWhole(node, 0);
          }
        },
        "init",
        "@/d");
  }

  @Test
  void initEncrypted_killed_isDoneOrCanBeDone() throws Exception {
    Path empty = Files.createDirectory(temporary.resolve("empty"));
    Path secret = secretFile("password", "correct horse");
    sweep(
        empty,
        (directory, said) -> {
          Path root = directory.resolve("d");
          assertThat(DataDirectory.isInitialized(root)).isIn(said.done(), true);
          if (!DataDirectory.isInitialized(root)) {
            DeviceNode.init(root, false, EncryptionConfig.password("correct horse"));
          }
          assertThat(DataDirectory.isEncrypted(root)).isTrue();
          try (DeviceNode node = open(directory, EncryptionConfig.password("correct horse"))) {
            requireWhole(node, 0);
          }
        },
        "--password-file",
        secret.toString(),
        "init",
        "@/d",
        "--encrypt");
  }

  @Test
  void encryptionEnable_killed_isDoneOrCanBeDone() throws Exception {
    Path whole = withDocuments("whole");
    String planted = "plantedinhere";
    try (DeviceNode node = open(whole)) {
      node.store(DB).put(planted, ("{\"w\":\"" + planted + "\"}").getBytes(StandardCharsets.UTF_8));
    }
    Path file = keyFile();
    EncryptionConfig secret = EncryptionConfig.keyFile(file);
    var swept = new AtomicInteger();
    sweep(
        whole,
        (directory, said) -> {
          Path root = directory.resolve("d");
          assertThat(DataDirectory.isEncrypted(root)).isIn(said.done(), true);
          // Opened in between it is as it was, or encrypted; else the command goes on.
          if (swept.getAndIncrement() % 2 == 0) {
            try (DeviceNode node = open(directory, secret)) {
              requireWhole(node, DOCUMENTS);
            }
          }
          try {
            DeviceNode.encrypt(root, () -> secret);
          } catch (EncryptionException e) {
            assertThat(e.code()).isEqualTo("ENCRYPTION_ENABLED_ALREADY");
          }
          assertThat(readable(root, planted)).isEmpty();
          try (DeviceNode node = open(directory, secret)) {
            requireWhole(node, DOCUMENTS);
            assertThat(node.store(DB).get(planted)).isPresent();
          }
        },
        "--key-file",
        file.toString(),
        "encryption",
        "enable");
  }

  /** Files that hold a word. */
  private static List<Path> readable(Path folder, String word) throws IOException {
    var found = new ArrayList<Path>();
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        if (Files.readString(file, StandardCharsets.ISO_8859_1).contains(word)) {
          found.add(file);
        }
      }
    }
    return found;
  }

  @Test
  void put_killed_losesNothing() throws Exception {
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
            assertThat(node.store(DB).get("new").isPresent()).isIn(said.done(), true);
          }
        },
        "put",
        "new",
        "1");
  }

  /** The control: what was not synced is gone, and that is seen. */
  @Test
  void put_onADiskThatOnlySaysToHaveSynced_isLost() {
    assertThatThrownBy(
            () ->
                sweep(
                    Main.class,
                    false,
                    withDocuments("whole"),
                    (directory, said) -> {
                      try (DeviceNode node = open(directory)) {
                        assertThat(node.store(DB).get("new").isPresent()).isIn(said.done(), true);
                      }
                    },
                    "put",
                    "new",
                    "1"))
        .isInstanceOf(AssertionError.class)
        .rootCause()
        .hasMessageContaining("to be in");
  }

  @Test
  void manyWriters_whosePowerFails_loseNothingThatTheyWereTold() throws Exception {
    sweep(Writers.class, true, withDocuments("whole"), CrashPointTest::requireTold);
  }

  /** Where rows are sealed by another thread while more are put. */
  @Test
  void manyWriters_ofAnEncryptedDatabase_whosePowerFails_loseNothingThatTheyWereTold()
      throws Exception {
    Path file = keyFile();
    EncryptionConfig secret = EncryptionConfig.keyFile(file);
    sweep(
        Writers.class,
        true,
        encrypted(secret),
        (directory, said) -> requireTold(() -> open(directory, secret), said),
        file.toString());
  }

  /** The control: the states are those that matter. */
  @Test
  void manyWriters_onADiskThatOnlySaysToHaveSynced_loseWhatTheyWereTold() {
    assertThatThrownBy(
            () -> sweep(Writers.class, false, withDocuments("whole"), CrashPointTest::requireTold))
        .isInstanceOf(AssertionError.class)
        .rootCause()
        .hasMessageContaining("[w");
  }

  private static void requireTold(Path directory, CrashSweep.Said said) {
    requireTold(() -> open(directory), said);
  }

  private static void requireTold(Supplier<DeviceNode> opening, CrashSweep.Said said) {
    try (DeviceNode node = opening.get()) {
      for (String id : said.lines()) {
        assertThat(node.store(DB).get(id)).as(id).isPresent();
      }
      assertThat(said.lines().size()).isIn(said.done() ? Writers.WRITES : 0, said.lines().size());
      requireWhole(node, DOCUMENTS);
    }
  }

  /** Writes as many clients at once, so that commits are synced beside the loop, and prints ids. */
  static final class Writers {
    static final int WRITES = 600;
    private static final int AT_ONCE = 120;

    private Writers() {}

    /** The last of three arguments is the key file of an encrypted data directory. */
    public static void main(String[] arguments) throws IOException {
      Path directory = Path.of(arguments[1]).resolve("..").normalize();
      try (DeviceNode node =
              arguments.length < 3
                  ? open(directory)
                  : open(directory, EncryptionConfig.keyFile(Path.of(arguments[2])));
          var out = new FileOutputStream(FileDescriptor.out)) {
        for (int from = 0; from < WRITES; from += AT_ONCE) {
          CompletableFuture.allOf(
                  IntStream.range(from, from + AT_ONCE)
                      .mapToObj(i -> write(node, "w" + i, out))
                      .toArray(CompletableFuture<?>[]::new))
              .join();
        }
      }
    }

    private static CompletableFuture<?> write(DeviceNode node, String id, OutputStream out) {
      return put(node, id, Transaction.Acknowledgement.LOCAL)
          .thenAccept(
              receipt -> {
                try {
                  out.write((id + "\n").getBytes(StandardCharsets.UTF_8));
                } catch (IOException e) {
                  throw new UncheckedIOException(e);
                }
              });
    }
  }

  @Test
  void vacuum_killed_losesNothing() throws Exception {
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
          }
        },
        "vacuum");
  }

  @Test
  void import_killed_isDoneOrCanBeDone() throws Exception {
    Path lines = temporary.resolve("lines.jsonl");
    Files.writeString(
        lines,
        IntStream.range(0, 700)
            .mapToObj(i -> "{\"id\":\"i" + i + "\",\"data\":{\"n\":" + i + "}}\n")
            .collect(Collectors.joining()));
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            long documents = node.store(DB).status().documents();
            assertThat(documents)
                .isBetween(said.done() ? DOCUMENTS + 700L : DOCUMENTS, DOCUMENTS + 700L);
            requireWhole(node, DOCUMENTS);
          }
        },
        "import",
        lines.toString());
  }

  @Test
  void migration_killed_goesOnWhereItWas() throws Exception {
    int rows = 350;
    Path source = temporary.resolve("notes.db");
    try (var connection = DriverManager.getConnection("jdbc:sqlite:" + source);
        var statement = connection.createStatement()) {
      statement.executeUpdate("create table note (id integer primary key, text text)");
      statement.executeUpdate(
          "with recursive n(i) as (select 1 union all select i + 1 from n where i < "
              + rows
              + ") insert into note select i, 'text ' || i from n");
    }
    String[] command = {"migrate-from-sqlite", source.toString(), "--batch-size", "50"};
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          Typed.Result again = Typed.run(directory.resolve("d"), "", command);
          assertThat(again.err()).isEmpty();
          assertThat(again.out()).contains("Wrote ");
          try (DeviceNode node = open(directory)) {
            for (int i = 1; i <= rows; i++) {
              assertThat(node.store(DB).get("note:" + i)).as("note:" + i).isPresent();
            }
            requireWhole(node, DOCUMENTS);
          }
          assertThat(directory.resolve("d/migration.json")).doesNotExist();
        },
        command);
  }

  @Test
  void addIndex_killed_findsTheSame() throws Exception {
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            boolean there =
                node.searches(DB).status().stream()
                    .anyMatch(status -> status.fields().equals(List.of("n")));
            assertThat(there).isIn(said.done(), true);
            node.searches(DB).declare(new IndexDefinition(List.of("n")));
            node.searches(DB).await(30_000);
            var first = new DocumentQuery("", null, Filter.ALL, DocumentQuery.parseOrders("n"), 9);
            try (CrdtStore.Documents found = node.searches(DB).find(first)) {
              assertThat(found)
                  .toIterable()
                  .extracting(NodeRecord::id)
                  .containsExactly("d0", "d1", "d2", "d3", "d4", "d5", "d6", "d7", "d8");
            }
            requireWhole(node, DOCUMENTS);
          }
        },
        "index",
        "add",
        "n");
  }

  @Test
  void createDatabase_killed_isThereOrNot() throws Exception {
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
            assertThat(node.databases().contains(OTHER)).isIn(said.done(), true);
            if (!node.databases().contains(OTHER)) {
              node.createDatabase(OTHER, Quota.NONE);
            }
            requireWhole(node, OTHER, 0);
          }
        },
        "db",
        "create",
        OTHER);
  }

  @Test
  void copyDatabase_killed_isWholeOrNotThere() throws Exception {
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
            assertThat(node.databases().contains(OTHER)).isIn(said.done(), true);
            if (node.databases().contains(OTHER)) {
              requireWhole(node, OTHER, DOCUMENTS);
            }
          }
        },
        "db",
        "copy",
        DB,
        OTHER);
  }

  @Test
  void moveDatabase_killed_hasOneName() throws Exception {
    Path whole = withTwoDatabases();
    sweep(
        whole,
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            assertThat(node.databases().contains("moved")).isIn(said.done(), true);
            String name = node.databases().contains("moved") ? "moved" : OTHER;
            assertThat(node.databases()).containsExactlyInAnyOrder(DB, name);
            requireWhole(node, name, DOCUMENTS);
            assertThat(node.doctor(name))
                .as("its actor goes on")
                .noneMatch(finding -> finding.status() == Status.WARNING);
          }
        },
        "db",
        "move",
        OTHER,
        "moved");
  }

  @Test
  void dropDatabase_killed_isWholeOrGone() throws Exception {
    Path whole = withTwoDatabases();
    sweep(
        whole,
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
            assertThat(node.databases().contains(OTHER)).isIn(!said.done(), false);
            if (node.databases().contains(OTHER)) {
              requireWhole(node, OTHER, DOCUMENTS);
            }
          }
        },
        "db",
        "drop",
        OTHER,
        "--confirm",
        OTHER);
  }

  @Test
  void join_killed_keepsTheDocuments_inOneOfBothDatabases() throws Exception {
    try (DeviceNode host = DeviceNode.open(temporary.resolve("host"), Joiner.options("host"))) {
      host.store(DB).put("theirs", "1".getBytes(StandardCharsets.UTF_8));
      sweep(
          Joiner.class,
          true,
          withDocuments("whole"),
          (directory, said) -> {
            try (DeviceNode node = open(directory)) {
              assertThat(node.databases()).containsExactly(DB);
              requireWhole(node, DOCUMENTS);
              assertThat(node.status(DB).id().equals(host.status(DB).id())).isIn(said.done(), true);
            }
          },
          host.invite(DB, Role.WRITE, Duration.ofHours(1)).url());
    }
  }

  @Test
  void revoke_killed_isDoneOrCanBeDone() throws Exception {
    Path whole = withDocuments("whole");
    try (DeviceNode host = DeviceNode.open(whole.resolve("d"), Joiner.options("test-device"));
        DeviceNode joiner =
            DeviceNode.open(temporary.resolve("joiner"), Joiner.options("joiner"))) {
      joiner.join(DB, host.invite(DB, Role.WRITE, Duration.ofHours(1)).url()).join();
      CrdtStore.Receipt write = put(joiner, "theirs", Transaction.Acknowledgement.LOCAL).join();
      joiner.awaitCopies(DB, write, 1, Duration.ofMinutes(1)).join();
    }
    sweep(
        whole,
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            boolean removed =
                node.devices(DB).stream()
                    .anyMatch(d -> d.name().equals("joiner") && d.state().equals("removed"));
            assertThat(removed).isIn(said.done(), true);
            Node.Device revoked = removed ? null : node.revoke(DB, "joiner", null);
            assertThat(revoked == null ? "removed" : revoked.state()).isEqualTo("removed");
            assertThat(node.store(DB).get("theirs")).isPresent();
            requireWhole(node, DOCUMENTS);
          }
        },
        "revoke",
        "joiner");
  }

  @Test
  void relaxedWriter_whosePowerFails_usesNoNumberAgain_thatAnotherDeviceHas() throws Exception {
    try (DeviceNode host = DeviceNode.open(temporary.resolve("host"), Joiner.options("host"))) {
      sweep(Relaxed.class, true, memberOf(host), CrashPointTest::requireFreshNumbers);
    }
  }

  /** The control: without the note that unsynced changes were published, numbers come again. */
  @Test
  void relaxedWriter_onADiskThatOnlySaysToHaveSynced_usesNumbersAgain() throws Exception {
    try (DeviceNode host = DeviceNode.open(temporary.resolve("host"), Joiner.options("host"))) {
      Path whole = memberOf(host);
      assertThatThrownBy(
              () -> sweep(Relaxed.class, false, whole, CrashPointTest::requireFreshNumbers))
          .isInstanceOf(AssertionError.class)
          .rootCause()
          .hasMessageContaining("used already");
    }
  }

  @Test
  void receiver_whosePowerFails_losesNothingThatItsPeerCountsOn_andCatchesUp() throws Exception {
    sweepReceiver(true);
  }

  /** The control: what was only said to be synced is missing where a peer counts on it. */
  @Test
  void receiver_onADiskThatOnlySaysToHaveSynced_losesWhatItsPeerCountsOn() {
    assertThatThrownBy(() -> sweepReceiver(false))
        .isInstanceOf(AssertionError.class)
        .rootCause()
        .hasMessageContaining("[r");
  }

  private void sweepReceiver(boolean syncsCount) throws Exception {
    Path sender = temporary.resolve("host");
    Path whole;
    try (DeviceNode host = DeviceNode.open(sender, Joiner.options("host"))) {
      whole = memberOf(host);
    }
    sweep(
        Receiver.class,
        syncsCount,
        whole,
        (directory, said) -> {
          try (DeviceNode node = open(directory)) {
            for (String id : said.lines()) {
              assertThat(node.store(DB).get(id)).as(id).isPresent();
            }
            requireWhole(node, DOCUMENTS);
          }
          try (DeviceNode host = DeviceNode.open(sender, Joiner.options("host"));
              DeviceNode node = DeviceNode.open(directory.resolve("d"), Joiner.options("joiner"))) {
            Receiver.connect(node, host);
            CrdtStore.Receipt last = put(host, "last", Transaction.Acknowledgement.LOCAL).join();
            host.awaitCopies(DB, last, 1, Duration.ofMinutes(1)).join();
            for (int i = 0; i < Receiver.WRITES; i++) {
              assertThat(node.store(DB).get("r" + i)).as("r" + i).isPresent();
            }
          }
        },
        sender.toString());
  }

  /** Is sent what another device writes, and prints what that one knows to be on the disk here. */
  static final class Receiver {
    static final int WRITES = 300;
    private static final int AT_ONCE = 50;

    private Receiver() {}

    static void connect(DeviceNode node, DeviceNode host) {
      node.connect(DB, Objects.requireNonNull(host.listening()));
    }

    /** The last of three arguments is the data directory of the other device. */
    public static void main(String[] arguments) {
      try (DeviceNode host = DeviceNode.open(Path.of(arguments[2]), Joiner.options("host"));
          DeviceNode node = DeviceNode.open(Path.of(arguments[1]), Joiner.options("joiner"))) {
        connect(node, host);
        for (int from = 0; from < WRITES; from += AT_ONCE) {
          List<CompletableFuture<CrdtStore.Receipt>> writes =
              IntStream.range(from, from + AT_ONCE)
                  .mapToObj(i -> put(host, "r" + i, Transaction.Acknowledgement.LOCAL))
                  .toList();
          for (int i = 0; i < AT_ONCE; i++) {
            CrdtStore.Receipt write = writes.get(i).join();
            host.awaitCopies(DB, write, 1, Duration.ofMinutes(1)).join();
            System.out.println("r" + (from + i));
          }
        }
      }
    }
  }

  /** A data directory with the database of {@code host}. */
  private Path memberOf(DeviceNode host) throws IOException {
    Path whole = withDocuments("whole");
    try (DeviceNode node = DeviceNode.open(whole.resolve("d"), Joiner.options("joiner"))) {
      node.join(DB, host.invite(DB, Role.WRITE, Duration.ofHours(1)).url()).join();
      CrdtStore.Receipt write = put(node, "joined", Transaction.Acknowledgement.LOCAL).join();
      node.awaitCopies(DB, write, 1, Duration.ofMinutes(1)).join();
    }
    return whole;
  }

  private static void requireFreshNumbers(Path directory, CrashSweep.Said said) {
    try (DeviceNode node = open(directory)) {
      CrdtStore.Receipt next = put(node, "next", Transaction.Acknowledgement.LOCAL).join();
      assertThat(said.lines()).as("used already").doesNotContain(Relaxed.number(next));
      assertThat(node.doctor(DB))
          .filteredOn(finding -> finding.status() == Status.ERROR)
          .extracting(Finding::message)
          .isEmpty();
    }
  }

  private static CompletableFuture<CrdtStore.Receipt> put(
      DeviceNode node, String id, Transaction.Acknowledgement acknowledgement) {
    var edit = Edit.put(id, "1".getBytes(StandardCharsets.UTF_8));
    return node.store(DB).submit(new Transaction(List.of(edit), acknowledgement));
  }

  /** Writes before the disk has it, and prints the number of each write that its peer has. */
  static final class Relaxed {
    private static final int WRITES = 20;

    private Relaxed() {}

    static String number(CrdtStore.Receipt write) {
      return write.actor().hex() + " " + write.seq();
    }

    public static void main(String[] arguments) {
      try (DeviceNode node = DeviceNode.open(Path.of(arguments[1]), Joiner.options("joiner"))) {
        for (int i = 0; i < WRITES; i++) {
          CrdtStore.Receipt write = put(node, "r" + i, Transaction.Acknowledgement.RELAXED).join();
          node.awaitCopies(DB, write, 1, Duration.ofMinutes(1)).join();
          System.out.println(number(write));
        }
      }
    }
  }

  /** A device that joins the database of an invite. */
  static final class Joiner {
    private Joiner() {}

    static NodeOptions options(String name) {
      var any = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
      return new NodeOptions(name, new NodeOptions.Network(any, false, List.of()));
    }

    public static void main(String[] arguments) {
      try (DeviceNode node = DeviceNode.open(Path.of(arguments[1]), options("joiner"))) {
        System.out.println("joined " + node.join(DB, arguments[2]).join().database());
      }
    }
  }

  @Test
  void createToken_killed_isThereOrNot() throws Exception {
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          Path file = directory.resolve("d/tokens.json");
          Tokens tokens = Tokens.open(file, "main", InstantSource.system(), new Random(1));
          assertThat(tokens.all().size()).isIn(said.done() ? 1 : 0, 1);
        },
        "token",
        "create",
        "app");
  }

  @Test
  void setSetting_killed_isTheOldOrTheNew() throws Exception {
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          Path file = directory.resolve("d/config.toml");
          String text = Files.exists(file) ? Files.readString(file) : "";
          assertThat(text.contains("level = \"debug\"")).isIn(said.done(), !text.isEmpty());
        },
        "config",
        "set",
        "log.level",
        "debug");
  }

  @Test
  void rotateKey_killed_losesNothing() throws Exception {
    Path file = keyFile();
    EncryptionConfig secret = EncryptionConfig.keyFile(file);
    Path whole = encrypted(secret);
    sweep(
        whole,
        (directory, said) -> {
          try (DeviceNode node = open(directory, secret)) {
            requireWhole(node, DOCUMENTS);
            var metadata = Objects.requireNonNull(node.encryption().metadata());
            assertThat(metadata.keys().size()).isIn(said.done() ? 2 : 1, 2);
          }
        },
        "--key-file",
        file.toString(),
        "key",
        "rotate");
  }

  @Test
  void backup_killed_isWholeOrNotThere() throws Exception {
    sweep(
        withDocuments("whole"),
        (directory, said) -> {
          Path backup = directory.resolve("backup");
          assertThat(Files.exists(backup)).isIn(said.done(), true);
          if (Files.exists(backup)) {
            assertThat(BackupFiles.verify(backup).documents()).isEqualTo(DOCUMENTS);
          }
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
            node.backup(DB, directory.resolve("again"), false);
            BackupFiles.verify(directory.resolve("again"));
          }
        },
        "backup",
        "@/backup");
  }

  @Test
  void restore_killed_isDoneOrCanBeDone() throws Exception {
    Path source = withDocuments("source");
    Path whole = Files.createDirectory(temporary.resolve("whole"));
    try (DeviceNode node = open(source)) {
      node.backup(DB, whole.resolve("backup"), true);
    }
    NodeOptions.Secret none = NodeOptions.offline("x").secret();
    sweep(
        whole,
        (directory, said) -> {
          Path backup = directory.resolve("backup");
          boolean there =
              DataDirectory.isInitialized(directory.resolve("d"))
                  && Files.isDirectory(directory.resolve("d/databases/default/store"));
          assertThat(there).isIn(said.done(), true);
          if (!there) {
            DeviceNode.restore(directory.resolve("d"), backup, DB, none);
          }
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
          }
        },
        "restore",
        "@/backup");
  }

  @Test
  void changePassword_killed_oneOfBothUnlocks() throws Exception {
    Path first = secretFile("first", "correct horse");
    Path second = secretFile("second", "battery staple");
    Path whole = encrypted(EncryptionConfig.passwordFile(first));
    sweep(
        whole,
        (directory, said) -> {
          DeviceNode opened;
          try {
            opened = open(directory, EncryptionConfig.passwordFile(first));
            assertThat(said.done()).isFalse();
          } catch (EncryptionException e) {
            opened = open(directory, EncryptionConfig.passwordFile(second));
          }
          try (DeviceNode node = opened) {
            requireWhole(node, DOCUMENTS);
          }
        },
        "--password-file",
        first.toString(),
        "encryption",
        "change-password",
        "--new-password-file",
        second.toString());
  }

  @Test
  void reencrypt_killed_losesNothing() throws Exception {
    Path file = keyFile();
    EncryptionConfig secret = EncryptionConfig.keyFile(file);
    Path whole = encrypted(secret);
    sweep(
        whole,
        (directory, said) -> {
          try (DeviceNode node = open(directory, secret)) {
            requireWhole(node, DOCUMENTS);
          }
        },
        "--key-file",
        file.toString(),
        "encryption",
        "reencrypt");
  }

  @Test
  void recover_killed_isDoneOrCanBeDone_andTheDamagedStoreIsKept() throws Exception {
    Path whole = withDocuments("whole");
    Path log;
    try (Stream<Path> files = Files.list(whole.resolve("d/databases/default/store"))) {
      log =
          files
              .filter(file -> file.toString().endsWith(".log"))
              .max(Comparator.comparingLong(file -> file.toFile().length()))
              .orElseThrow();
    }
    byte[] damaged = Files.readAllBytes(log);
    damaged[damaged.length / 2] ^= 1;
    Files.write(log, damaged);
    NodeOptions.Secret none = NodeOptions.offline("x").secret();
    sweep(
        whole,
        (directory, said) -> {
          try {
            DeviceNode.recoverLog(directory.resolve("d"), DB, none);
          } catch (NodeException betweenBothMoves) {
            // The start finishes it.
            assertThat(betweenBothMoves.code()).isEqualTo("NODE_UNKNOWN_DATABASE");
          }
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS / 2);
            assertThat(node.store(DB).status().documents()).isLessThan(DOCUMENTS);
          }
          try (Stream<Path> files = Files.list(directory.resolve("d/databases/default"))) {
            Path aside =
                files
                    .filter(file -> file.getFileName().toString().startsWith("damaged-"))
                    .findFirst()
                    .orElseThrow();
            assertThat(Files.readAllBytes(aside.resolve(log.getFileName()))).isEqualTo(damaged);
          }
        },
        "wal",
        "recover");
  }
}
