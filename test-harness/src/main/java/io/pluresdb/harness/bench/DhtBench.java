package io.pluresdb.harness.bench;

import io.pluresdb.harness.dht.DhtSimulation;
import io.pluresdb.harness.dht.DhtSimulation.Outcome;
import java.util.Arrays;
import java.util.List;
import java.util.function.ToLongFunction;

/** Lookups among many nodes that come and go; in virtual time. */
final class DhtBench {
  private static final long SETTLE_MILLIS = 10 * 60_000;
  private static final double LOSS = 0.01;

  private DhtBench() {}

  static Report run(
      int nodes,
      int minutes,
      int searches,
      int replacedPercent,
      int liarsPercent,
      int paths,
      long seed) {
    if (nodes < 20 || nodes > 100_000 || minutes < 1 || minutes > 1_440) {
      throw new IllegalArgumentException(
          "--nodes must be 20 to 100000 and --minutes 1 to 1440, but are "
              + nodes
              + " and "
              + minutes);
    }
    if (liarsPercent < 0 || liarsPercent > 99) {
      throw new IllegalArgumentException("--liars must be 0 to 99, but is " + liarsPercent);
    }
    var simulation = new DhtSimulation(seed, LOSS, paths);
    simulation.arrive(nodes, Math.max(60_000, nodes * 60L));
    simulation.announce();
    simulation.run(SETTLE_MILLIS);
    simulation.corrupt(liarsPercent / 100.0);
    long datagrams = simulation.datagrams();
    long bytes = simulation.bytes();
    long replaced = Math.round(nodes * replacedPercent / 100.0 * minutes / 60);
    // Every other search brings a node of its own.
    int others = (int) Math.max(0, replaced - searches / 2);
    simulation.churn(others, searches, minutes * 60_000L);
    List<Outcome> all = simulation.takeOutcomes();
    List<Outcome> fresh = all.stream().filter(Outcome::fresh).toList();
    List<Outcome> found = all.stream().filter(Outcome::found).toList();
    double seconds = minutes * 60.0;
    var report =
        new Report("dht")
            .add("nodes", nodes)
            .add("seed", seed)
            .add("virtualMinutes", minutes)
            .add("replaced", replaced)
            .add("lossPercent", LOSS * 100)
            .add("liarsPercent", liarsPercent)
            .add("disjointPaths", paths)
            .add("searches", all.size())
            .add("missed", all.size() - found.size())
            .add("success", share(all), ">=", 0.995)
            .add("searchesOfNewNodes", fresh.size())
            .add("successOfNewNodes", share(fresh));
    add(report, "hops", all, outcome -> outcome.trace().hops());
    add(report, "queries", all, outcome -> outcome.trace().queries());
    add(report, "firstPeerMillis", found, outcome -> outcome.trace().firstPeerMillis());
    add(report, "firstPeerHops", found, outcome -> outcome.trace().firstPeerHops());
    add(report, "lookupMillis", all, outcome -> outcome.trace().durationMillis());
    return report
        .add("tableMean", simulation.meanTable())
        .add(
            "datagramsPerNodeSecond",
            (simulation.datagrams() - datagrams) / seconds / simulation.alive())
        .add("bytesPerNodeSecond", (simulation.bytes() - bytes) / seconds / simulation.alive())
        .add("trace", Long.toHexString(simulation.trace()));
  }

  private static double share(List<Outcome> outcomes) {
    return outcomes.stream().filter(Outcome::found).count() / (double) outcomes.size();
  }

  private static void add(
      Report report, String name, List<Outcome> outcomes, ToLongFunction<Outcome> figure) {
    long[] sorted = outcomes.stream().mapToLong(figure).sorted().toArray();
    report
        .add(name + "Mean", Arrays.stream(sorted).average().orElse(0))
        .add(name + "P50", sorted[sorted.length / 2])
        .add(name + "P99", sorted[Math.min(sorted.length - 1, sorted.length * 99 / 100)]);
  }
}
