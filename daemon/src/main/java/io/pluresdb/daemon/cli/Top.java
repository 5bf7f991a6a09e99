package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.cli.MetricsPage.Sample;
import java.io.PrintStream;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code top}: what the daemon is doing, again and again. */
@Command(
    name = "top",
    description = "Show rates, peers and their lag until it is interrupted; once, when piped.")
final class Top implements Callable<Integer> {
  private static final double MIN_SECONDS = 0.1;
  private static final double MAX_SECONDS = 60;
  private static final double KIB = 1024;

  /** Clears what is below the place to which it goes: the upper left corner. */
  private static final String HOME = "\u001b[H\u001b[J";

  /** Lines that are too long for the terminal end at its edge, rather than go on below. */
  private static final String NO_WRAP = "\u001b[?7l";

  private static final String WRAP = "\u001b[?7h";

  private final Root root;

  @Option(
      names = "--interval",
      paramLabel = "SECONDS",
      description = "Time between two looks, 0.1 to 60 (default: 1).")
  private double seconds = 1;

  @Option(
      names = "--count",
      paramLabel = "N",
      description = "Show this many times, then end (default: without end on a terminal, else 1).")
  private @Nullable Integer count;

  Top(Root root) {
    this.root = root;
  }

  @Override
  public Integer call() throws InterruptedException {
    if (!(seconds >= MIN_SECONDS && seconds <= MAX_SECONDS)) {
      throw CliException.usage("--interval must be 0.1 to 60 seconds", "say --interval 1");
    }
    if (count != null && count < 1) {
      throw CliException.usage("--count must be 1 or more", "say --count 1");
    }
    boolean screen = root.io().screen() && !root.json();
    long left = count != null ? count : root.io().screen() ? Long.MAX_VALUE : 1;
    try (ApiClient daemon = root.daemon()) {
      MetricsPage before = look(daemon);
      for (boolean first = true; left > 0; left--, first = false) {
        LockSupport.parkNanos(Math.round(seconds * 1e9));
        if (Thread.interrupted()) {
          throw new InterruptedException();
        }
        MetricsPage now = look(daemon);
        if (screen) {
          root.io().out().print(HOME + NO_WRAP);
        } else if (!first && !root.json()) {
          root.io().out().println();
        }
        show(before, now);
        if (screen) {
          root.io().out().print(WRAP);
        }
        root.io().out().flush();
        before = now;
      }
    }
    return Main.OK;
  }

  private static MetricsPage look(ApiClient daemon) throws InterruptedException {
    return MetricsPage.parse(daemon.call(Request.get("/metrics")));
  }

  private void show(MetricsPage before, MetricsPage now) {
    if (root.json()) {
      root.print(json(before, now));
      return;
    }
    PrintStream out = root.io().out();
    double elapsed = elapsed(before, now);
    String version =
        now.of("pluresdb_info").stream().map(s -> s.label("version")).findFirst().orElse("");
    out.printf(
        "pluresdb %s, up %s, cpu %.1f %%, heap %s, %.0f threads, %.0f of %.0f files%n%n",
        version,
        duration((long) now.value("pluresdb_uptime_seconds")),
        100 * perSecond("pluresdb_cpu_seconds_total", Map.of(), before, now, elapsed),
        bytes(now.value("pluresdb_heap_used_bytes")),
        now.value("pluresdb_threads"),
        now.value("pluresdb_open_files"),
        now.value("pluresdb_open_files_limit"));
    databases(before, now, elapsed, out);
    out.println();
    peers(before, now, elapsed, out);
  }

  private static void databases(
      MetricsPage before, MetricsPage now, double elapsed, PrintStream out) {
    var table =
        new Table(
            "DATABASE",
            "DOCUMENTS",
            "WRITES/s",
            "RECEIVED/s",
            "TRAFFIC/s",
            "QUEUED",
            "PENDING",
            "PEERS",
            "ON DISK");
    for (Sample documents : now.of("pluresdb_documents")) {
      Map<String, String> of = documents.labels();
      table.row(
          documents.label("database"),
          whole(documents.value()),
          rate(perSecond("pluresdb_local_changes_total", of, before, now, elapsed)),
          rate(perSecond("pluresdb_foreign_changes_total", of, before, now, elapsed)),
          bytes(perSecond("pluresdb_traffic_bytes_total", of, before, now, elapsed)),
          whole(now.value("pluresdb_queued_writes", of)),
          whole(now.value("pluresdb_pending_changes", of)),
          whole(now.value("pluresdb_peers", of)),
          bytes(now.value("pluresdb_store_bytes", of)));
    }
    table.print(out);
  }

  private static void peers(MetricsPage before, MetricsPage now, double elapsed, PrintStream out) {
    var table = new Table("PEER", "DATABASE", "LAG", "SENT/s", "RECEIVED/s", "PATH");
    for (Sample lag : now.of("pluresdb_peer_lag")) {
      Map<String, String> of = lag.labels();
      String device = lag.label("device");
      table.row(
          device.substring(0, Math.min(8, device.length())),
          lag.label("database"),
          whole(lag.value()),
          bytes(perSecond("pluresdb_peer_sent_bytes", of, before, now, elapsed)),
          bytes(perSecond("pluresdb_peer_received_bytes", of, before, now, elapsed)),
          lag.label("path"));
    }
    table.print(out);
  }

  /** Seconds between two pages, by the daemon's clock. */
  private static double elapsed(MetricsPage before, MetricsPage now) {
    double elapsed = now.value("pluresdb_uptime_seconds") - before.value("pluresdb_uptime_seconds");
    return Math.max(elapsed, 1e-3);
  }

  /** What was not there before, or began anew with a session, counts from zero. */
  private static double perSecond(
      String name,
      Map<String, String> labels,
      MetricsPage before,
      MetricsPage now,
      double elapsed) {
    double value = now.value(name, labels);
    double earlier = before.value(name, labels);
    return (value >= earlier ? value - earlier : value) / elapsed;
  }

  private static byte[] json(MetricsPage before, MetricsPage now) {
    double elapsed = elapsed(before, now);
    var json = new JsonWriter().beginObject().name("seconds").number(elapsed);
    json.name("metrics").beginArray();
    for (Sample sample : now.samples()) {
      json.beginObject().name("name").string(sample.name()).name("labels").beginObject();
      sample.labels().forEach((name, value) -> json.name(name).string(value));
      json.endObject().name("value").number(sample.value());
      if (sample.name().endsWith("_total")) {
        json.name("perSecond")
            .number(perSecond(sample.name(), sample.labels(), before, now, elapsed));
      }
      json.endObject();
    }
    return json.endArray().endObject().toByteArray();
  }

  private static String whole(double value) {
    return String.format("%.0f", value);
  }

  private static String rate(double value) {
    return String.format(value < 10 ? "%.1f" : "%.0f", value);
  }

  static String bytes(double value) {
    String[] units = {"B", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    double scaled = value;
    while (scaled >= KIB && unit < units.length - 1) {
      scaled /= KIB;
      unit++;
    }
    return String.format(unit == 0 || scaled >= 100 ? "%.0f %s" : "%.1f %s", scaled, units[unit]);
  }

  static String duration(long seconds) {
    var of = Duration.ofSeconds(seconds);
    if (of.toDays() > 0) {
      return of.toDays() + " d " + of.toHoursPart() + " h";
    }
    if (of.toHours() > 0) {
      return of.toHours() + " h " + of.toMinutesPart() + " min";
    }
    return of.toMinutes() > 0
        ? of.toMinutes() + " min " + of.toSecondsPart() + " s"
        : seconds + " s";
  }
}
