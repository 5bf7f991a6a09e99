package io.pluresdb.harness.bench;

import io.pluresdb.crdt.overlay.HyParView;
import io.pluresdb.harness.overlay.Kind;
import io.pluresdb.harness.overlay.OverlayRun;
import io.pluresdb.harness.overlay.OverlayRun.Delivery;
import io.pluresdb.harness.overlay.OverlayRun.Detection;
import io.pluresdb.harness.overlay.OverlayRun.Graph;
import io.pluresdb.harness.overlay.OverlayRun.Peers;
import io.pluresdb.harness.overlay.OverlayRun.Without;
import io.pluresdb.harness.overlay.Traffic;
import java.util.List;
import java.util.Set;

/** What a change costs among many devices, and what failures do to it; in virtual time. */
final class OverlayBench {
  static final String FAULTS = "killed10,killed30,killed50,vanished10,vanished50,churn,partition";

  private static final int WRITERS = 20;
  private static final long SETTLE_MILLIS = 90_000;

  private OverlayBench() {}

  /** Where a run stands once everybody has come and the tree has been worn in. */
  private static OverlayRun started(int count, int most, Peers peers, Without without, long seed) {
    var run = new OverlayRun(seed, most, HyParView.capacity(count), peers, without);
    run.arrive(count, Math.max(30_000, count * 20L));
    run.run(SETTLE_MILLIS);
    return run;
  }

  static Report run(
      int peers, int changes, boolean engines, boolean pushAll, List<String> faults, long seed) {
    if (peers < 2 || peers > 100_000 || changes < 1 || changes > 100_000) {
      throw new IllegalArgumentException(
          "--peers and --changes must be 2 and 1 to 100000, but are " + peers + " and " + changes);
    }
    if (!List.of(FAULTS.split(",")).containsAll(faults)) {
      throw new IllegalArgumentException("--faults are " + FAULTS + ", but is " + faults);
    }
    Peers kind = engines ? Peers.ENGINES : Peers.MODEL;
    var report =
        new Report("overlay")
            .add("peers", peers)
            .add("seed", seed)
            .add("devices", engines ? "engines" : "model of sessions")
            .add("mode", pushAll ? "everything pushed" : "tree");
    int most = peers * 2;
    OverlayRun run =
        started(
            peers, engines ? peers : most, kind, pushAll ? Without.TREE : Without.NOTHING, seed);
    Graph graph = run.graph();
    report
        .add("connected", graph.largestComponent())
        .add("neighboursLeast", graph.least())
        .add("neighboursMost", graph.greatest())
        .add("neighboursAgreed", graph.symmetric());
    if (!engines) {
      report.add("reserveMean", graph.meanReserve());
    }

    Traffic before = run.traffic();
    long replaced = 0;
    for (int second = 0; second < 120; second++) {
      Set<Long> edges = run.edges();
      run.run(1_000);
      edges.removeAll(run.edges());
      replaced += edges.size();
    }
    Traffic idle = run.traffic().minus(before);
    report
        .add("neighboursReplacedPerPeerHour", replaced * 30.0 / peers)
        .add("idleMessagesPerPeerMinute", idle.messages() / 2.0 / peers)
        .add("idleBytesPerPeerMinute", idle.bytes() / 2.0 / peers);

    before = run.traffic();
    int first = run.publish(1, 30_000, 1);
    Traffic cold = run.traffic().minus(before);
    report.add("firstChangePushesPerPeer", cold.messages(Kind.CHANGES) / (peers - 1.0));
    run.publish(2 * WRITERS, 500, WRITERS);
    run.run(30_000);

    steady(run, report, peers, changes, idle);
    for (String fault : faults) {
      switch (fault) {
        case "killed10" -> failure(report, peers, 10, Detection.KILLED, fault, seed);
        case "killed30" -> failure(report, peers, 30, Detection.KILLED, fault, seed);
        case "killed50" -> failure(report, peers, 50, Detection.KILLED, fault, seed);
        case "vanished10" -> failure(report, peers, 10, Detection.VANISHED, fault, seed);
        case "vanished50" -> failure(report, peers, 50, Detection.VANISHED, fault, seed);
        case "churn" -> churn(report, peers, seed);
        case "partition" -> partition(report, peers, seed);
        default -> throw new IllegalStateException("checked above: " + fault);
      }
    }
    return report
        .add("trace", Long.toHexString(run.trace()))
        .add("changesSeen", run.published() - first);
  }

  /** Changes far enough apart that each travels by itself, which costs most. */
  private static void steady(OverlayRun run, Report report, int peers, int changes, Traffic idle) {
    Traffic before = run.traffic();
    int first = run.publish(changes, 2_000, WRITERS);
    run.run(10_000);
    Traffic traffic = run.traffic().minus(before);
    Delivery delivery = run.delivery(first, run.published());
    double deliveries = (peers - 1.0) * changes;
    double pushed = traffic.messages(Kind.CHANGES) / deliveries;
    double minutes = (changes * 2.0 + 10) / 60;
    double view = idle.bytes() / 2.0 * minutes;
    long all = traffic.bytes();
    report
        .add("reliability", delivery.reliability())
        .add("pushesPerPeerAndChange", pushed)
        .add("redundancy", pushed - 1)
        .add("duplicatesPerPeerAndChange", traffic.duplicates() / deliveries)
        .add("announcementsPerPeerAndChange", traffic.messages(Kind.ANNOUNCE) / deliveries)
        .add("graftsPerChange", traffic.messages(Kind.GRAFT) / (double) changes)
        .add("prunesPerChange", traffic.messages(Kind.PRUNE) / (double) changes)
        .add("pushedBytesPerPeerAndChange", traffic.bytes(Kind.CHANGES) / deliveries)
        .add(
            "otherBytesPerPeerAndChange",
            (traffic.bytes(Kind.ANNOUNCE)
                    + traffic.bytes(Kind.ACK)
                    + traffic.bytes(Kind.GRAFT)
                    + traffic.bytes(Kind.PRUNE))
                / deliveries)
        .add("allBytesPerPeerAndChange", all / deliveries)
        .add("ofThemIdle", view / deliveries)
        .add("lastHop", delivery.lastHop())
        .add("medianMillis", delivery.medianMillis())
        .add("lastMillis", delivery.lastMillis())
        .add("worstMillis", delivery.worstMillis());
  }

  private static OverlayRun worn(int peers, int most, long seed) {
    OverlayRun run = started(peers, most, Peers.MODEL, Without.NOTHING, seed);
    run.publish(2 * WRITERS, 500, WRITERS);
    run.run(30_000);
    return run;
  }

  private static void failure(
      Report report, int peers, int percent, Detection detection, String name, long seed) {
    OverlayRun run = worn(peers, peers, seed);
    run.fail(percent / 100.0, detection);
    int first = run.published();
    run.publish(60, 1_000, WRITERS);
    int later = run.published();
    run.publish(30, 1_000, WRITERS);
    int last = run.published();
    run.run(20_000);
    Delivery at = run.delivery(first, later);
    Delivery after = run.delivery(later, last);
    report
        .add(name + "ReliabilityAtOnce", at.reliability())
        .add(name + "WorstMillisAtOnce", at.worstMillis())
        .add(name + "Reliability", after.reliability())
        .add(name + "LastMillis", after.lastMillis())
        .add(name + "LastHop", after.lastHop());
    OverlayRun quiet = worn(peers, peers, seed);
    quiet.fail(percent / 100.0, detection);
    Integer seconds = quiet.heal(300);
    report.add(name + "HealedSeconds", seconds == null ? "not within 300" : seconds);
  }

  /** One in a hundred devices a minute goes, for ten minutes, and as many come. */
  private static void churn(Report report, int peers, long seed) {
    OverlayRun run = worn(peers, peers * 2, seed);
    Traffic before = run.traffic();
    int first = run.churn(600, peers / 100.0 / 60, Detection.VANISHED, WRITERS);
    Traffic traffic = run.traffic().minus(before);
    int end = run.published();
    run.run(60_000);
    Delivery delivery = run.delivery(first, end);
    report
        .add("churnReliability", delivery.reliability())
        .add("churnLastMillis", delivery.lastMillis())
        .add("churnPushesPerPeerAndChange", traffic.messages(Kind.CHANGES) / (600.0 * peers))
        .add("churnConnected", run.graph().largestComponent());
  }

  /** A fifth is cut off for ten minutes. */
  private static void partition(Report report, int peers, long seed) {
    OverlayRun run = worn(peers, peers, seed);
    run.split(0.2);
    int first = run.published();
    run.publish(60, 10_000, WRITERS);
    run.split(0);
    int end = run.published();
    int seconds = 0;
    while (run.delivery(first, end).complete() < 1 && seconds < 600) {
      run.run(1_000);
      seconds++;
    }
    report
        .add("partitionCaughtUpSeconds", seconds)
        .add("partitionReliability", run.delivery(first, end).reliability());
    Integer healed = run.heal(600);
    report.add("partitionGraphHealedSeconds", healed == null ? "not within 600" : seconds + healed);
  }
}
