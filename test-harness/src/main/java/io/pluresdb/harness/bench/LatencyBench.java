package io.pluresdb.harness.bench;

import io.pluresdb.storage.rocks.RawRocks;
import java.nio.file.Path;

/** How long a single write takes to be visible on another device. */
final class LatencyBench {
  private static final int WARM_UP = 3_000;
  private static final int SYNCS = 500;
  private static final double DURABLE_MARGIN_MILLIS = 1.5;

  private LatencyBench() {}

  /** Two processes on loopback; {@code writes} one after another, durable and then relaxed. */
  static Report run(Path directory, int writes) {
    var report = new Report("latency").add("writes", writes);
    RawRocks.Percentiles sync = RawRocks.fdatasyncMicros(directory, SYNCS);
    double syncMillis = sync.p50Micros() / 1_000;
    report
        .add("fdatasyncP50Millis", syncMillis)
        .add("fdatasyncP99Millis", sync.p99Micros() / 1_000);
    try (Child a = Child.peer(directory.resolve("a"));
        Child b = Child.peer(directory.resolve("b"))) {
      a.ask("open");
      b.ask("open");
      b.ask("join " + a.ask("invite")[0]);
      a.ask("load first 10");
      b.ask("documents 10");
      for (String kind : new String[] {"LOCAL", "RELAXED"}) {
        b.ask("watch warm-" + kind + " " + WARM_UP);
        a.ask("write warm-" + kind + " " + WARM_UP + " " + kind);
        b.ask("seen");
        b.ask("watch " + kind + " " + writes);
        long before = Long.parseLong(a.ask("traffic")[1]);
        String[] wrote = a.ask("write " + kind + " " + writes + " " + kind);
        String[] seen = b.ask("seen");
        double wire = (Long.parseLong(a.ask("traffic")[1]) - before) / (double) writes;
        long[] visible = new long[writes];
        long[] acknowledged = new long[writes];
        for (int i = 0; i < writes; i++) {
          long begun = Long.parseLong(wrote[1 + 2 * i]);
          visible[i] = Long.parseLong(seen[1 + i]) - begun;
          acknowledged[i] = Long.parseLong(wrote[2 + 2 * i]) - begun;
        }
        boolean durable = kind.equals("LOCAL");
        String name = durable ? "durable" : "relaxed";
        double target = durable ? syncMillis + DURABLE_MARGIN_MILLIS : 1.0;
        report
            .add(name + "VisibleP50Millis", Report.percentile(visible, 0.5), "<=", target)
            .add(name + "VisibleP99Millis", Report.percentile(visible, 0.99))
            .add(name + "AcknowledgedP50Millis", Report.percentile(acknowledged, 0.5))
            .add(name + "WireBytesPerWrite", wire, "<=", 450);
      }
    }
    return report;
  }
}
