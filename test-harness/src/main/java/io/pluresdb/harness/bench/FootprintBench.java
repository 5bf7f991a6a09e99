package io.pluresdb.harness.bench;

import static java.lang.ProcessBuilder.Redirect.DISCARD;
import static java.lang.ProcessBuilder.Redirect.INHERIT;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.daemon.service.IdleCollector;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;

/** What a daemon costs that has nothing to do, started as users start it. */
final class FootprintBench {
  /** Starts of each kind, of which the medians are told. */
  private static final int STARTS = 5;

  /** By then QUIC is there, and what a start left behind was given back. */
  private static final long SETTLE_NANOS = TimeUnit.SECONDS.toNanos(6);

  /** By then it was noticed that nothing is done any more, and what was in use was given back. */
  private static final long QUIET_NANOS =
      IdleCollector.INTERVAL.multipliedBy(3).toNanos() + SETTLE_NANOS;

  /** Set by {@code bin/launch} to itself. */
  private static final String LAUNCHER = "pluresdb.launcher";

  private FootprintBench() {}

  /** The processor time is that until the ready line, of all threads. */
  private record Start(double readyMillis, double processorMillis, double residentMebibytes) {}

  /**
   * Starts {@code serve} in a process on an empty directory and on one with documents.
   *
   * @param churnMinutes how long a daemon is used and left again after that; 0 leaves it out
   * @param churnPerSecond rounds of it
   */
  static Report run(Path directory, int documents, int churnMinutes, int churnPerSecond)
      throws IOException, InterruptedException {
    Path empty = directory.resolve("empty");
    Path filled = directory.resolve("filled");
    DeviceNode.init(empty, false);
    fill(filled, documents);
    serve(empty, Map.of());
    var bareStarts = new Start[STARTS];
    var fullStarts = new Start[STARTS];
    var startsWithoutQuic = new Start[STARTS];
    // In turn, so that a busy moment of the machine falls on all.
    for (int i = 0; i < STARTS; i++) {
      bareStarts[i] = serve(empty, Map.of());
      fullStarts[i] = serve(filled, Map.of());
      startsWithoutQuic[i] = serve(filled, Map.of("PLURESDB_PEERS_QUIC", "false"));
    }
    Start bare = median(bareStarts);
    Start full = median(fullStarts);
    Start withoutQuic = median(startsWithoutQuic);
    Memory imported = importing(directory.resolve("imported"), documents);
    Report report = new Report("footprint");
    report
        .add("documents", documents)
        .add("readyMillisEmpty", bare.readyMillis)
        .add("readyMillis", full.readyMillis, "<=", 1_000)
        .add("reopeningCostsMillis", full.readyMillis - bare.readyMillis)
        .add("readyProcessorMillisEmpty", bare.processorMillis)
        .add("readyProcessorMillis", full.processorMillis)
        .add("residentMebibytesEmpty", bare.residentMebibytes)
        .add("residentMebibytes", full.residentMebibytes, "<=", 150)
        .add("readyMillisWithoutQuic", withoutQuic.readyMillis)
        .add("residentMebibytesWithoutQuic", withoutQuic.residentMebibytes)
        .add("residentMebibytesAfterImport", imported.busyMebibytes)
        .add("residentMebibytesOnceQuiet", imported.quietMebibytes, "<=", 200);
    if (churnMinutes > 0) {
      ChurnBench.run(directory, churnMinutes, churnPerSecond, report);
    }
    return report;
  }

  private static void fill(Path directory, int documents) {
    try (DeviceNode node = DeviceNode.open(directory, NodeOptions.offline("bench"))) {
      CrdtStore store = node.store(Node.DEFAULT_DATABASE);
      var source = new Documents(1);
      var edits = new ArrayList<Edit>();
      for (int i = 0; i < documents; i++) {
        edits.add(Edit.put(Documents.id("doc", i), source.next(i)));
        if (edits.size() == 1_000 || i + 1 == documents) {
          CrdtStore.await(store.submit(new Transaction(edits, Transaction.Acknowledgement.LOCAL)));
          edits.clear();
        }
      }
    }
  }

  private static Start median(Start... starts) {
    return new Start(
        PutBench.median(Arrays.stream(starts).mapToDouble(Start::readyMillis).toArray()),
        PutBench.median(Arrays.stream(starts).mapToDouble(Start::processorMillis).toArray()),
        PutBench.median(Arrays.stream(starts).mapToDouble(Start::residentMebibytes).toArray()));
  }

  /** Resident memory of a daemon right after it was busy, and when that is over. */
  private record Memory(double busyMebibytes, double quietMebibytes) {}

  /** Has a daemon on an empty directory take all documents, as {@code import} sends them. */
  private static Memory importing(Path directory, int documents)
      throws IOException, InterruptedException {
    Path file = directory.resolveSibling("documents.jsonl");
    try (var out = Files.newBufferedWriter(file)) {
      var source = new Documents(1);
      for (int i = 0; i < documents; i++) {
        var data = new String(source.next(i), StandardCharsets.US_ASCII);
        out.write("{\"id\":\"" + Documents.id("doc", i) + "\",\"data\":" + data + "}\n");
      }
    }
    Process daemon = new ProcessBuilder(serving(directory)).redirectError(INHERIT).start();
    try (var out = daemon.inputReader()) {
      awaitReady(out);
      Process client =
          new ProcessBuilder(command(directory, "import", file.toString()))
              .redirectOutput(DISCARD)
              .redirectError(INHERIT)
              .start();
      if (client.waitFor() != 0) {
        throw new IllegalStateException("the import ended with " + client.exitValue());
      }
      double busy = Probe.residentMebibytes(daemon.pid());
      rest(QUIET_NANOS);
      return new Memory(busy, Probe.residentMebibytes(daemon.pid()));
    } finally {
      stop(daemon);
    }
  }

  private static List<String> serving(Path directory) {
    return command(
        directory, "serve", "--port", "0", "--listen", "127.0.0.1:0", "--no-lan", "--no-dht");
  }

  /** What {@code ./pluresdb} executes, with the flags of the JVM that stand there. */
  private static List<String> command(Path directory, String... arguments) {
    String launcher = System.getProperty(LAUNCHER);
    if (launcher == null) {
      throw new IllegalStateException(LAUNCHER + " must name bin/launch, but is not set");
    }
    String firstJar = System.getProperty("java.class.path").split(File.pathSeparator, 2)[0];
    var command =
        new ArrayList<>(
            List.of(
                launcher,
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                String.valueOf(Path.of(firstJar).getParent()),
                "--data-dir",
                directory.toString()));
    command.addAll(List.of(arguments));
    return command;
  }

  /** From exec to the ready line, then the resident memory once it has nothing to do. */
  private static Start serve(Path directory, Map<String, String> environment)
      throws IOException, InterruptedException {
    long begun = System.nanoTime();
    var builder = new ProcessBuilder(serving(directory)).redirectError(INHERIT);
    builder.environment().putAll(environment);
    Process process = builder.start();
    try (var out = process.inputReader()) {
      awaitReady(out);
      double readyMillis = (System.nanoTime() - begun) / 1e6;
      double processorMillis =
          process.info().totalCpuDuration().orElse(Duration.ZERO).toNanos() / 1e6;
      rest(SETTLE_NANOS);
      return new Start(readyMillis, processorMillis, Probe.residentMebibytes(process.pid()));
    } finally {
      stop(process);
    }
  }

  private static void awaitReady(BufferedReader out) throws IOException {
    String line = out.readLine();
    if (line == null || !line.contains("ready")) {
      throw new IllegalStateException("the daemon did not become ready: " + line);
    }
  }

  private static void rest(long nanos) {
    long end = System.nanoTime() + nanos;
    while (System.nanoTime() < end) {
      LockSupport.parkNanos(end - System.nanoTime());
    }
  }

  private static void stop(Process process) throws InterruptedException {
    process.destroy();
    if (!process.waitFor(20, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
  }
}
