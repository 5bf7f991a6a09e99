package io.pluresdb.daemon.cli;

import static java.nio.file.StandardCopyOption.COPY_ATTRIBUTES;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.storage.text.TextQuery;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** Damage planted in the files of a device: doctor finds it and says what to do, and that helps. */
@Timeout(120)
class DamageTest {
  private static final int DOCUMENTS = 300;

  @TempDir static Path whole;
  @TempDir Path directory;

  private Path dataDir() {
    return directory.resolve("d");
  }

  private Path store() {
    return dataDir().resolve("databases/default/store");
  }

  private Typed.Result run(String... arguments) {
    return Typed.run(dataDir(), "", arguments);
  }

  /** A device with documents, of which the first half is in table files and the rest in the log. */
  @BeforeAll
  static void whole() {
    try (DeviceNode node = DeviceNode.open(whole, NodeOptions.offline("test-device"))) {
      write(node, 0, DOCUMENTS / 2);
      node.searches(Node.DEFAULT_DATABASE).search(words());
      node.vacuum(Node.DEFAULT_DATABASE).join();
      write(node, DOCUMENTS / 2, DOCUMENTS);
    }
  }

  private static Searches.Request words() {
    return new Searches.Request(
        TextQuery.parse("word", null),
        new float[0],
        Filter.ALL,
        10,
        0,
        new Searches.Fusion.ReciprocalRank(),
        Searches.DEFAULT_WAIT_MILLIS);
  }

  @BeforeEach
  void device() throws IOException {
    copy(whole, dataDir());
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()), COPY_ATTRIBUTES);
      }
    }
  }

  private void write(int from, int to) {
    try (DeviceNode node = DeviceNode.open(dataDir(), NodeOptions.offline("test-device"))) {
      write(node, from, to);
    }
  }

  /** Each document is a commit of its own. */
  private static void write(DeviceNode node, int from, int to) {
    CrdtStore store = node.store(Node.DEFAULT_DATABASE);
    for (int i = from; i < to; i++) {
      String json = "{\"n\":%d,\"text\":\"word w%d\"}".formatted(i, i);
      store.put("d" + i, json.getBytes(StandardCharsets.UTF_8));
    }
  }

  private List<Path> files(Path folder, String suffix) {
    try (Stream<Path> files = Files.walk(folder)) {
      return files
          .filter(file -> file.toString().endsWith(suffix))
          .sorted(Comparator.comparingLong((Path file) -> file.toFile().length()).reversed())
          .toList();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void flipBit(Path file, long at) throws IOException {
    try (var bytes = new RandomAccessFile(file.toFile(), "rw")) {
      bytes.seek(at);
      int old = bytes.read();
      bytes.seek(at);
      bytes.write(old ^ 1);
    }
  }

  private static void flipInTheMiddle(Path file) throws IOException {
    flipBit(file, Files.size(file) / 2);
  }

  private record Check(String status, String message, String remediation) {}

  private Map<String, Check> doctor() {
    Typed.Result result = run("--json", "doctor");
    assertThat(result.out()).as(result.err()).isNotEmpty();
    Map<String, Json> outcome = Json.parse(result.out().getBytes(StandardCharsets.UTF_8)).members();
    var checks = new TreeMap<String, Check>();
    for (Map<String, Json> check : outcome.getOrDefault("checks", Json.NONE).objects()) {
      checks.put(
          Json.text(check, "name"),
          new Check(
              Json.text(check, "status"),
              Json.text(check, "message"),
              Json.text(check, "remediation")));
    }
    boolean error = checks.values().stream().anyMatch(check -> check.status.equals("error"));
    assertThat(result.code()).isEqualTo(error ? 2 : 0);
    return checks;
  }

  private static Check check(Map<String, Check> checks, String name) {
    return Objects.requireNonNull(checks.get(name), name);
  }

  /** What doctor says is wrong. */
  private Map<String, Check> wrong() {
    Map<String, Check> checks = doctor();
    checks.values().removeIf(check -> !check.status.equals("error"));
    checks.values().forEach(check -> assertThat(check.remediation).isNotEmpty());
    return checks;
  }

  private long documents() {
    return run("list", "--limit", "1000").out().lines().count();
  }

  @Test
  void undamaged_isInOrder() {
    assertThat(doctor().values()).extracting(Check::status).containsOnly("ok", "not_applicable");
    assertThat(run("wal", "validate").code()).isZero();
    Typed.Result recovered = run("wal", "recover");
    assertThat(recovered.out()).contains("nothing needs to be recovered");
    assertThat(documents()).isEqualTo(DOCUMENTS);
  }

  @Test
  void flippedBitInTheLog_isFoundAndSalvaged_withNothingSilent() throws IOException {
    flipInTheMiddle(files(store(), ".log").getFirst());
    Map<String, Check> wrong = wrong();
    assertThat(wrong).containsOnlyKeys("storage", "wal");
    assertThat(check(wrong, "wal").message).contains("STORAGE_WAL_CORRUPT_ENTRY");
    assertThat(check(wrong, "wal").remediation).contains("wal recover");
    Typed.Result refused = run("list");
    assertThat(refused.err()).contains("STORAGE_WAL_CORRUPT_ENTRY").contains("wal recover");

    Typed.Result validated = run("wal", "validate");
    assertThat(validated.code()).isEqualTo(2);
    assertThat(validated.out()).contains("at byte").contains(".log").contains("wal recover");

    Typed.Result recovered = run("wal", "recover");
    assertThat(recovered.code()).as(recovered.err()).isZero();
    var said =
        Pattern.compile("kept (\\d+) changes, lost (\\d+) or more, (\\d+) of them")
            .matcher(recovered.out());
    assertThat(said.find()).as(recovered.out()).isTrue();
    long kept = Long.parseLong(said.group(1));
    assertThat(kept).isEqualTo(documents());
    assertThat(kept).isBetween(DOCUMENTS / 2L, DOCUMENTS - 1L);
    assertThat(Long.parseLong(said.group(3))).as("the anchor knows").isEqualTo(DOCUMENTS - kept);
    assertThat(Long.parseLong(said.group(2))).isBetween(DOCUMENTS - kept, DOCUMENTS - kept);
    Path aside = Path.of(recovered.out().lines().toList().getLast().replaceAll(".*: ", ""));
    assertThat(files(aside, ".log")).as("the damaged store is kept").isNotEmpty();

    Map<String, Check> after = doctor();
    assertThat(check(after, "anchor")).extracting(Check::status).isEqualTo("warning");
    assertThat(check(after, "anchor").message).contains("new actor");
    assertThat(wrong()).isEmpty();
    assertThat(run("search", "w1").out()).contains("d1");
    write(DOCUMENTS, DOCUMENTS + 10);
    assertThat(documents()).isEqualTo(kept + 10);
    assertThat(wrong()).isEmpty();
  }

  @Test
  void cutLog_isNoticedByTheAnchor() throws IOException {
    Path log = files(store(), ".log").getFirst();
    try (var bytes = new RandomAccessFile(log.toFile(), "rw")) {
      bytes.setLength(bytes.length() / 2);
    }
    assertThat(run("wal", "validate").out()).contains("STORAGE_WAL_TRUNCATED");
    Check anchor = check(doctor(), "anchor");
    assertThat(anchor.status).isEqualTo("warning");
    assertThat(anchor.message).contains(DOCUMENTS + " changes");
    assertThat(anchor.remediation).contains("connect");
  }

  @Test
  void missingLog_isNoticedByTheAnchor() throws IOException {
    for (Path log : files(store(), ".log")) {
      Files.delete(log);
    }
    assertThat(check(doctor(), "anchor").status).isEqualTo("warning");
  }

  @Test
  void flippedBitInATable_isFoundByName() throws IOException {
    Path table = files(store(), ".sst").getFirst();
    flipBit(table, 100);
    Map<String, Check> wrong = wrong();
    assertThat(wrong).containsKey("checksums");
    assertThat(check(wrong, "checksums").message).contains(String.valueOf(table.getFileName()));
    assertThat(check(wrong, "checksums").remediation).contains("restore a backup");
  }

  @Test
  void missingTable_isFound() throws IOException {
    Files.delete(files(store(), ".sst").getFirst());
    assertThat(check(wrong(), "storage").remediation).contains("restore a backup");
  }

  @Test
  void missingCurrent_isFoundAndNothingIsMadeAnew() throws IOException {
    Files.delete(store().resolve("CURRENT"));
    assertThat(check(wrong(), "storage").message).contains("CURRENT");
    assertThat(run("list").code()).isNotZero();
  }

  @Test
  void damagedManifest_isFound() throws IOException {
    flipBit(store().resolve(Files.readString(store().resolve("CURRENT")).strip()), 20);
    assertThat(wrong()).containsKey("storage");
  }

  @Test
  void damagedAnchor_isSaid_andTheDeviceGoesOnUnderANewActor() throws IOException {
    Path anchor = dataDir().resolve("anchors/default.anchor");
    flipBit(anchor, 30);
    flipBit(anchor, 4096 + 30);
    Check check = check(doctor(), "anchor");
    assertThat(check.status).isEqualTo("warning");
    assertThat(check.message).contains("damaged");
    write(DOCUMENTS, DOCUMENTS + 10);
    assertThat(check(doctor(), "anchor").status).isEqualTo("ok");
  }

  @Test
  void storeOfYesterday_isBehindTheAnchor() throws IOException {
    Path yesterday = directory.resolve("yesterday");
    copy(store(), yesterday);
    write(DOCUMENTS, DOCUMENTS + 20);
    Files.move(store(), directory.resolve("today"));
    Files.move(yesterday, store());
    Check check = check(doctor(), "anchor");
    assertThat(check.status).isEqualTo("warning");
    assertThat(check.message)
        .contains((DOCUMENTS + 20) + " changes")
        .contains("of which " + DOCUMENTS);
  }

  @Test
  void deletedAnchor_givesANewActor_andIsNoError() throws IOException {
    Files.delete(dataDir().resolve("anchors/default.anchor"));
    write(DOCUMENTS, DOCUMENTS + 10);
    assertThat(wrong()).isEmpty();
    assertThat(documents()).isEqualTo(DOCUMENTS + 10);
  }

  @Test
  void damagedIndexFiles_areMadeAnew() throws IOException {
    Path indexes = dataDir().resolve("databases/default/indexes");
    List<Path> all = files(indexes, "").stream().filter(DamageTest::hasContent).toList();
    for (Path file : all) {
      if (Files.exists(file)) {
        flipInTheMiddle(file);
      }
      assertThat(run("search", "w1").out()).as("%s", file).contains("d1");
      assertThat(check(doctor(), "indexes").status).as("%s", file).isEqualTo("ok");
    }
    for (Path file : files(indexes, "").stream().filter(DamageTest::hasContent).toList()) {
      Files.delete(file);
    }
    assertThat(run("search", "w1").out()).contains("d1");
    assertThat(check(doctor(), "indexes").status).isEqualTo("ok");
  }

  private static boolean hasContent(Path file) {
    return Files.isRegularFile(file) && file.toFile().length() > 0;
  }

  @Test
  void damagedKeys_areFound() throws IOException {
    Path key = dataDir().resolve("device.key");
    byte[] whole = Files.readAllBytes(key);
    Files.write(key, new byte[] {1, 2, 3});
    assertThat(wrong()).containsKey("keys");
    Files.write(key, whole);
    assertThat(wrong()).isEmpty();
    Path database = dataDir().resolve("databases/default/database.json");
    Files.writeString(database, Files.readString(database).substring(10));
    assertThat(wrong()).containsKey("storage");
  }

  @Test
  void missingDeviceKey_isNoEmptyDirectory() throws IOException {
    Files.delete(dataDir().resolve("device.key"));
    Typed.Result refused = run("init", dataDir().toString());
    assertThat(refused.err()).contains("NODE_ALREADY_INITIALIZED", "device.key is missing");
    assertThat(files(store(), ".sst")).isNotEmpty();
  }

  @Test
  void keysThatOthersCanRead_areFound_alsoWhenTheStoreDoesNotOpen() throws IOException {
    Files.delete(store().resolve("CURRENT"));
    Files.setPosixFilePermissions(
        dataDir().resolve("databases/default/database.json"),
        PosixFilePermissions.fromString("rw-r--r--"));
    Map<String, Check> wrong = wrong();
    assertThat(wrong).containsOnlyKeys("storage", "permissions");
    assertThat(check(wrong, "permissions").remediation).contains("chmod");
  }
}
