package io.pluresdb.daemon.cli;

import static java.nio.file.StandardCopyOption.COPY_ATTRIBUTES;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Finding.Status;
import io.pluresdb.daemon.node.DataDirectory;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeException;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.storage.backup.BackupFiles;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Commands that are killed between two changes of files, at each of them in turn: what was
 * acknowledged before is there afterwards, everything fits together, and the command can be
 * repeated.
 *
 * <p>{@code strace} kills the process when one of its threads makes the n-th of those system calls
 * that change files. {@code -Dtest.jvm="-Dcrash.points=all"} tries every call and n, a number so
 * many of each command; by default a few are tried.
 */
class CrashPointTest {
  /** Points of a command that are tried; 0 for all. */
  private static final int TRIED = tried(System.getProperty("crash.points", "3"));

  private static final String CALLS =
      "rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync,write,pwrite64,ftruncate,fallocate,"
          + "mkdir,mkdirat,link,linkat";
  private static final Pattern CALL = Pattern.compile("^(\\d+) +(\\w+)\\(");

  private static final int KILLED = 137;
  private static final int DOCUMENTS = 40;
  private static final String DB = Node.DEFAULT_DATABASE;

  @TempDir Path temporary;

  private static int tried(String points) {
    return points.equals("all") ? 0 : Integer.parseInt(points);
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

  private interface Check {
    /** What must hold of a directory whose command was killed or not. */
    void check(Path directory) throws IOException;
  }

  /** The n-th time that one thread makes a system call. */
  private record Point(String call, int number) {}

  /** Runs a command on copies of {@code whole}, killed at another point each time. */
  private void sweep(Path whole, Check check, String... command)
      throws IOException, InterruptedException {
    List<Point> points = points(whole, command);
    int step = TRIED == 0 ? 1 : Math.max(1, points.size() / TRIED);
    int killed = 0;
    int tried = 0;
    for (int i = step / 2; i < points.size(); i += step) {
      Path directory = temporary.resolve("killed-" + i);
      copy(whole, directory);
      Point point = points.get(i);
      String inject = "inject=" + point.call + ":signal=SIGKILL:when=" + point.number;
      killed += run(directory, List.of("-e", inject), command) ? 0 : 1;
      tried++;
      try {
        check.check(directory);
      } catch (RuntimeException | AssertionError e) {
        throw new AssertionError("killed at " + point + " of " + List.of(command), e);
      }
      delete(directory);
    }
    System.out.printf(
        "%s: killed %d times at %d of %d points%n", List.of(command), killed, tried, points.size());
    // Threads may share the work otherwise the next time.
    assertThat(killed).isGreaterThan(tried / 2);
  }

  /** Where a command changes files. */
  private List<Point> points(Path whole, String... command)
      throws IOException, InterruptedException {
    Path directory = temporary.resolve("traced");
    copy(whole, directory);
    Path trace = temporary.resolve("trace");
    assertThat(run(directory, List.of("-y", "-o", trace.toString()), command)).isTrue();
    var counts = new TreeMap<String, Integer>();
    var points = new LinkedHashSet<Point>();
    for (String line : Files.readAllLines(trace, StandardCharsets.ISO_8859_1)) {
      var call = CALL.matcher(line);
      if (call.find()) {
        int count = counts.merge(call.group(1) + " " + call.group(2), 1, Integer::sum);
        // Not what RocksDB tells of its options, hundreds of lines.
        if (line.contains(directory.toString()) && !line.contains("/store/LOG>")) {
          points.add(new Point(call.group(2), count));
        }
      }
    }
    delete(directory);
    return List.copyOf(points);
  }

  /** Whether the command ended by itself. */
  private static boolean run(Path directory, List<String> options, String... command)
      throws IOException, InterruptedException {
    var all = new ArrayList<>(List.of("strace", "-f", "-qq", "-o", "/dev/null"));
    all.addAll(List.of("-e", "trace=" + CALLS));
    all.addAll(options);
    all.addAll(
        List.of(
            Path.of(System.getProperty("java.home"), "bin", "java").toString(),
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "-XX:-UsePerfData",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            Main.class.getName(),
            "--data-dir",
            directory.resolve("d").toString()));
    for (String part : command) {
      all.add(part.replace("@", directory.toString()));
    }
    Path output = directory.resolve("output");
    Process process =
        new ProcessBuilder(all).redirectErrorStream(true).redirectOutput(output.toFile()).start();
    assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
    assertThat(process.exitValue()).as(Files.readString(output)).isIn(0, KILLED);
    return process.exitValue() == 0;
  }

  private static void copy(Path from, Path to) throws IOException {
    try (Stream<Path> files = Files.walk(from)) {
      for (Path file : files.toList()) {
        Files.copy(file, to.resolve(from.relativize(file).toString()), COPY_ATTRIBUTES);
      }
    }
  }

  private static void delete(Path tree) throws IOException {
    try (Stream<Path> files = Files.walk(tree)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static NodeOptions.Secret password(Path file) {
    return metadata -> {
      try {
        return EncryptionConfig.password(Files.readString(file).strip());
      } catch (IOException e) {
        throw new UncheckedIOException(e);
      }
    };
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

  private static DeviceNode open(Path directory, Path password) {
    return DeviceNode.open(
        directory.resolve("d"), NodeOptions.offline("test-device").with(password(password)));
  }

  private static void write(DeviceNode node, int from, int to) {
    for (int i = from; i < to; i++) {
      node.store(DB).put("d" + i, ("{\"n\":" + i + "}").getBytes(StandardCharsets.UTF_8));
    }
  }

  /** All documents are there, nothing is wrong, and writing goes on. */
  private static void requireWhole(DeviceNode node, int documents) {
    for (int i = 0; i < documents; i++) {
      assertThat(node.store(DB).get("d" + i)).as("d" + i).isPresent();
    }
    assertThat(node.doctor(DB))
        .filteredOn(finding -> finding.status() == Status.ERROR)
        .extracting(Finding::message)
        .isEmpty();
    write(node, 1_000, 1_001);
    assertThat(node.store(DB).get("d1000")).isPresent();
  }

  private Path withDocuments(String name) throws IOException {
    Path whole = Files.createDirectory(temporary.resolve(name));
    try (DeviceNode node = open(whole)) {
      write(node, 0, DOCUMENTS / 2);
      node.vacuum(DB).join();
      write(node, DOCUMENTS / 2, DOCUMENTS);
    }
    return whole;
  }

  @Test
  void init_killed_isDoneOrCanBeDone() throws Exception {
    Path empty = Files.createDirectory(temporary.resolve("empty"));
    sweep(
        empty,
        directory -> {
          Path root = directory.resolve("d");
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
        directory -> {
          Path root = directory.resolve("d");
          if (!DataDirectory.isInitialized(root)) {
            DeviceNode.init(root, false, EncryptionConfig.password("correct horse"));
          }
          assertThat(DataDirectory.isEncrypted(root)).isTrue();
          try (DeviceNode node = open(directory, secret)) {
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
    Path secret = secretFile("password", "correct horse");
    var swept = new AtomicInteger();
    sweep(
        whole,
        directory -> {
          Path root = directory.resolve("d");
          // Opened in between it is as it was, or encrypted; else the command goes on.
          if (swept.getAndIncrement() % 2 == 0) {
            try (DeviceNode node = open(directory, secret)) {
              requireWhole(node, DOCUMENTS);
            }
          }
          try {
            DeviceNode.encrypt(root, () -> EncryptionConfig.password("correct horse"));
          } catch (EncryptionException e) {
            assertThat(e.code()).isEqualTo("ENCRYPTION_ENABLED_ALREADY");
          }
          assertThat(readable(root, planted)).isEmpty();
          try (DeviceNode node = open(directory, secret)) {
            requireWhole(node, DOCUMENTS);
            assertThat(node.store(DB).get(planted)).isPresent();
          }
        },
        "--password-file",
        secret.toString(),
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
        directory -> {
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
          }
        },
        "put",
        "new",
        "1");
  }

  @Test
  void vacuum_killed_losesNothing() throws Exception {
    sweep(
        withDocuments("whole"),
        directory -> {
          try (DeviceNode node = open(directory)) {
            requireWhole(node, DOCUMENTS);
          }
        },
        "vacuum");
  }

  @Test
  void backup_killed_isWholeOrNotThere() throws Exception {
    sweep(
        withDocuments("whole"),
        directory -> {
          Path backup = directory.resolve("backup");
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
        directory -> {
          Path backup = directory.resolve("backup");
          boolean there =
              DataDirectory.isInitialized(directory.resolve("d"))
                  && Files.isDirectory(directory.resolve("d/databases/default/store"));
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
    Path whole = Files.createDirectory(temporary.resolve("whole"));
    DeviceNode.init(whole.resolve("d"), false, EncryptionConfig.password("correct horse"));
    try (DeviceNode node = open(whole, first)) {
      write(node, 0, DOCUMENTS);
    }
    sweep(
        whole,
        directory -> {
          DeviceNode opened;
          try {
            opened = open(directory, first);
          } catch (EncryptionException e) {
            opened = open(directory, second);
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
    Path secret = secretFile("password", "correct horse");
    Path whole = Files.createDirectory(temporary.resolve("whole"));
    DeviceNode.init(whole.resolve("d"), false, EncryptionConfig.password("correct horse"));
    try (DeviceNode node = open(whole, secret)) {
      write(node, 0, DOCUMENTS);
    }
    sweep(
        whole,
        directory -> {
          try (DeviceNode node = open(directory, secret)) {
            requireWhole(node, DOCUMENTS);
          }
        },
        "--password-file",
        secret.toString(),
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
        directory -> {
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
