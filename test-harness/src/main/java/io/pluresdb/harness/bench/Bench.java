package io.pluresdb.harness.bench;

import io.pluresdb.harness.sim.SimMain;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code pluresdb bench SCENARIO}. */
@Command(
    name = "pluresdb bench",
    mixinStandardHelpOptions = true,
    description = "Measures this machine with PluresDB on it.")
public final class Bench implements Callable<Integer> {
  @Option(names = "--json", scope = CommandLine.ScopeType.INHERIT, description = "Print JSON.")
  private boolean json;

  @Option(
      names = "--directory",
      scope = CommandLine.ScopeType.INHERIT,
      description = "Where to write; a fresh folder in the temporary directory by default.")
  private @Nullable Path directory;

  public static void main(String[] args) {
    System.exit(new CommandLine(new Bench()).execute(args));
  }

  @Override
  public Integer call() {
    CommandLine.usage(this, System.err);
    return 2;
  }

  @Command(description = "A device catches up and follows another; two processes on loopback.")
  int sync(
      @Option(names = "--docs", defaultValue = "100000", description = "Documents of 200 bytes.")
          int documents)
      throws Exception {
    return print(folder -> SyncBench.run(folder, documents));
  }

  @Command(description = "From a put on one device to its being visible on another.")
  int latency(
      @Option(names = "--writes", defaultValue = "2000", description = "Writes of each kind.")
          int writes)
      throws Exception {
    return print(folder -> LatencyBench.run(folder, writes));
  }

  @Command(description = "Durable puts per second at 1, 16 and 256 clients.")
  int put() throws Exception {
    return print(PutBench::run);
  }

  @Command(description = "Requests over HTTP, beside a bare handler of the same Netty stack.")
  int http(
      @Option(names = "--seconds", defaultValue = "3", description = "Of each measurement.")
          int seconds)
      throws Exception {
    return print(folder -> HttpBench.run(folder, seconds));
  }

  @Command(description = "Puts and gets with encryption at rest, beside the same without.")
  int encrypted() throws Exception {
    return print(EncryptedBench::run);
  }

  @Command(description = "Replays somebody's typing, beside Yjs and Automerge where Node is.")
  int text(
      @Option(names = "--trace", description = "A file of josephg/editing-traces, also .gz.")
          @Nullable Path trace)
      throws Exception {
    return print(folder -> TextBench.run(folder, trace));
  }

  @Command(description = "Memory and start time of an idle daemon, and whether a busy one grows.")
  int footprint(
      @Option(names = "--docs", defaultValue = "100000", description = "Documents of 200 bytes.")
          int documents,
      @Option(
              names = "--churn-minutes",
              defaultValue = "0",
              description = "Then use a daemon and leave it again, 0 to 1440; 0 for not.")
          int churnMinutes,
      @Option(
              names = "--churn-rate",
              defaultValue = "10",
              description = "Rounds of it a second, 1 to 1000.")
          int churnPerSecond)
      throws Exception {
    require("--churn-minutes", churnMinutes, 0, 1_440);
    require("--churn-rate", churnPerSecond, 1, 1_000);
    return print(folder -> FootprintBench.run(folder, documents, churnMinutes, churnPerSecond));
  }

  @Command(
      description =
          "Bytes and time until two replicas that differ are equal; one process, no network.")
  int catchup(
      @Option(names = "--docs", defaultValue = "1000000", description = "Documents of 200 bytes.")
          int documents,
      @Option(names = "--diff", defaultValue = "100", description = "Documents that differ.")
          int differences,
      @Option(
              names = "--spread",
              defaultValue = "even",
              description = "even: changed documents all over; newest: new ones at the end.")
          String spread)
      throws Exception {
    return print(
        folder ->
            CatchupBench.run(folder, documents, differences, CatchupBench.Spread.parse(spread)));
  }

  @Command(description = "Versions of one document in a long log, and the document as it was.")
  int history(
      @Option(names = "--changes", defaultValue = "1000000", description = "Changes in the log.")
          int changes,
      @Option(names = "--group", defaultValue = "100", description = "Changes in a commit.")
          int group,
      @Option(names = "--versions", defaultValue = "100", description = "Of the document.")
          int versions)
      throws Exception {
    return print(folder -> HistoryBench.run(folder, changes, group, versions));
  }

  @Command(description = "Filter, sort and first ten documents, with an index and without.")
  int query(
      @Option(names = "--docs", defaultValue = "100000", description = "Documents of 200 bytes.")
          int documents,
      @Option(
              names = "--text",
              description = "Search for words in this file instead: {id, data} a line, gzipped.")
          @Nullable Path text)
      throws Exception {
    return print(
        folder -> text == null ? QueryBench.run(folder, documents) : QueryBench.text(folder, text));
  }

  @Command(description = "Nearest vectors: recall, time, size, beside Lucene.")
  int vectors(
      @Option(names = "--count", defaultValue = "10000", description = "Vectors.") int count,
      @Option(names = "--unclustered", description = "Evenly spread, the hardest kind.")
          boolean unclustered,
      @Option(names = "--only", description = "One of ${COMPLETION-CANDIDATES}; both by default.")
          VectorBench.@Nullable Engine only)
      throws Exception {
    return print(folder -> VectorBench.run(folder, count, !unclustered, only));
  }

  @Command(description = "What a change costs among many devices; in virtual time.")
  int overlay(
      @Option(names = "--peers", defaultValue = "1000", description = "Devices, 2 to 100000.")
          int peers,
      @Option(names = "--changes", defaultValue = "100", description = "Changes, one every 2 s.")
          int changes,
      @Option(names = "--engines", description = "Real engines; up to about 300 devices.")
          boolean engines,
      @Option(names = "--push-all", description = "Without the tree, for comparison.")
          boolean pushAll,
      @Option(
              names = "--faults",
              split = ",",
              description = "Any of " + OverlayBench.FAULTS + "; none by default.")
          @Nullable List<String> faults,
      @Option(names = "--seed", defaultValue = "1", description = "What everything follows from.")
          long seed)
      throws Exception {
    return print(
        folder ->
            OverlayBench.run(
                peers, changes, engines, pushAll, faults == null ? List.of() : faults, seed));
  }

  @Command(description = "From join to syncing, for devices that share a key and a DHT.")
  int discover(
      @Option(names = "--nodes", defaultValue = "200", description = "Of the DHT, 1 to 2000.")
          int nodes,
      @Option(names = "--rounds", defaultValue = "20", description = "1 to 1000.") int rounds)
      throws Exception {
    return print(folder -> DiscoverBench.run(folder, nodes, rounds));
  }

  @Command(description = "Encrypted sessions beside plain TCP: blobs of 64 KiB, 200 bytes each.")
  int session(
      @Option(
              names = "--megabytes",
              defaultValue = "2000",
              description = "Of blobs; of small messages a quarter.")
          int megabytes,
      @Option(names = "--rounds", defaultValue = "5", description = "1 to 100.") int rounds)
      throws Exception {
    return print(folder -> SessionBench.run(megabytes, rounds));
  }

  @Command(description = "A relay beside a plain TCP forwarder, and what idle circuits cost.")
  int relay(
      @Option(names = "--circuits", defaultValue = "1000", description = "At once, 1 to 4000.")
          int circuits,
      @Option(names = "--seconds", defaultValue = "3", description = "Of each measurement.")
          int seconds,
      @Option(names = "--rounds", defaultValue = "3", description = "1 to 100.") int rounds)
      throws Exception {
    return print(folder -> RelayBench.run(circuits, seconds, rounds));
  }

  @Command(description = "Lookups in a DHT whose nodes come and go; in virtual time.")
  int dht(
      @Option(names = "--nodes", defaultValue = "1000", description = "20 to 100000.") int nodes,
      @Option(names = "--minutes", defaultValue = "60", description = "Of churn, 1 to 1440.")
          int minutes,
      @Option(names = "--searches", defaultValue = "2000", description = "In that time.")
          int searches,
      @Option(names = "--replaced", defaultValue = "50", description = "Percent of nodes an hour.")
          int replaced,
      @Option(names = "--liars", defaultValue = "0", description = "Percent of nodes, below 100.")
          int liars,
      @Option(names = "--paths", defaultValue = "3", description = "Disjoint, of a lookup; 1 to 8.")
          int paths,
      @Option(names = "--seed", defaultValue = "1", description = "What everything follows from.")
          long seed)
      throws Exception {
    return print(folder -> DhtBench.run(nodes, minutes, searches, replaced, liars, paths, seed));
  }

  @Command(description = "Simulates replicas under faults, many seeds.")
  int sim(
      @Option(names = "--seeds", defaultValue = "1000", description = "How many seeds.") int seeds,
      @Option(names = "--seed", defaultValue = "1", description = "The first seed.") long seed,
      @Option(names = "--controls", description = "Also switch each defence off.")
          boolean controls) {
    var arguments = new ArrayList<String>();
    arguments.addAll(List.of("--seeds", Integer.toString(seeds), "--seed", Long.toString(seed)));
    if (json) {
      arguments.add("--json");
    }
    if (controls) {
      arguments.add("--controls");
    }
    SimMain.main(arguments.toArray(String[]::new));
    return 0;
  }

  @Command(description = "Very many watchers, some that never read, and a large import.")
  int api(
      @Option(names = "--watchers", defaultValue = "10000", description = "1 to 60000.")
          int watchers,
      @Option(names = "--import-mebibytes", defaultValue = "1024", description = "1 to 65536.")
          int importMebibytes)
      throws Exception {
    require("--watchers", watchers, 1, 60_000);
    require("--import-mebibytes", importMebibytes, 1, 65_536);
    return print(folder -> ApiBench.run(folder, watchers, importMebibytes));
  }

  private void require(String option, int value, int least, int most) {
    if (value < least || value > most) {
      throw new CommandLine.ParameterException(
          new CommandLine(this),
          option + " must be " + least + " to " + most + ", but is " + value);
    }
  }

  private interface Scenario {
    Report run(Path directory) throws Exception;
  }

  private int print(Scenario scenario) throws Exception {
    Path folder = directory;
    if (folder == null) {
      folder = Files.createTempDirectory("pluresdb-bench");
    } else {
      Files.createDirectories(folder);
    }
    try {
      scenario.run(folder).print(json);
    } finally {
      if (directory == null) {
        delete(folder);
      }
    }
    return 0;
  }

  private static void delete(Path folder) throws IOException {
    try (var paths = Files.walk(folder)) {
      for (Path path : paths.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(path);
      }
    }
  }
}
