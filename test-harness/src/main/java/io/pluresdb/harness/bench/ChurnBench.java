package io.pluresdb.harness.bench;

import io.pluresdb.daemon.api.ApiException;
import io.pluresdb.daemon.api.LocalClient;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.harness.cluster.DaemonProcess;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.ToDoubleFunction;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Whether a daemon grows that is used and left again all the time: connections, watchers, sessions
 * with another device, and databases come and go, documents stay the same few.
 */
final class ChurnBench {
  /** Documents that are written over and over. */
  private static final int DOCUMENTS = 1_000;

  /** Rounds between two of the rarer things. */
  private static final int SEARCH_EVERY = 10;

  private static final int DATABASE_EVERY = 25;
  private static final int RECONNECT_EVERY = 40;
  private static final int RESTART_EVERY = 300;

  /** Share of the time that is not looked at: caches, pools and compiled code fill up then. */
  private static final double WARM_UP = 0.25;

  private static final Duration SAMPLE_EVERY = Duration.ofSeconds(20);

  /** What the daemon held some hours after the begin. */
  private record Sample(double hours, Probe probe) {}

  private final DaemonProcess daemon;
  private final DaemonProcess other;
  private final InetSocketAddress tcp;
  private final String token;
  private final String listening;
  private int databases;
  private int restarts;

  private ChurnBench(DaemonProcess daemon, DaemonProcess other) throws IOException {
    this.daemon = daemon;
    this.other = other;
    Matcher http = Pattern.compile("http://127\\.0\\.0\\.1:(\\d+)").matcher(daemon.readyLine());
    if (!http.find()) {
      throw new IllegalStateException("no port in " + daemon.readyLine());
    }
    tcp = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(http.group(1)));
    token = Files.readString(daemon.directory().resolve("api-token")).strip();
    listening = "127.0.0.1:" + daemon.peerPort();
  }

  /**
   * @param minutes how long, 1 or more
   * @param perSecond rounds, each with two connections, a watcher and four requests
   */
  static void run(Path directory, int minutes, int perSecond, Report report)
      throws IOException, InterruptedException {
    try (var daemon = DaemonProcess.start(directory.resolve("churn"));
        var other = DaemonProcess.start(directory.resolve("churn-other"))) {
      daemon.admit(other);
      new ChurnBench(daemon, other).run(minutes, perSecond, report);
    }
  }

  private void run(int minutes, int perSecond, Report report)
      throws IOException, InterruptedException {
    long begun = System.nanoTime();
    long end = begun + TimeUnit.MINUTES.toNanos(minutes);
    long warm = begun + (long) (WARM_UP * (end - begun));
    long nextSample = warm;
    var samples = new ArrayList<Sample>();
    int round = 0;
    for (long now = begun; now < end; now = System.nanoTime()) {
      round(round++);
      if (System.nanoTime() >= nextSample) {
        samples.add(new Sample((System.nanoTime() - begun) / 3_600e9, Probe.of(daemon)));
        nextSample += SAMPLE_EVERY.toNanos();
      }
      long due = begun + TimeUnit.SECONDS.toNanos(1) * round / perSecond;
      while (System.nanoTime() < due) {
        LockSupport.parkNanos(due - System.nanoTime());
      }
    }
    report.add("churnMinutes", minutes).add("churnRounds", round);
    report.add("churnDatabases", databases).add("churnRestartsOfPeer", restarts);
    slope(report, "Threads", samples, Probe::threads, 4);
    slope(report, "Descriptors", samples, Probe::files, 12);
    slope(report, "HeapAfterGcMebibytes", samples, Probe::heap, 8);
    slope(report, "ResidentMebibytes", samples, Probe::resident, Double.MAX_VALUE);
    slope(report, "StoreMebibytes", samples, Probe::store, Double.MAX_VALUE);
  }

  /** First and last value, and what the line through all of them (least squares) gains an hour. */
  private static void slope(
      Report report, String what, List<Sample> samples, ToDoubleFunction<Probe> of, double most) {
    double meanHours = samples.stream().mapToDouble(Sample::hours).average().orElse(0);
    double mean = samples.stream().map(Sample::probe).mapToDouble(of).average().orElse(0);
    double together = 0;
    double spread = 0;
    for (Sample sample : samples) {
      together += (sample.hours - meanHours) * (of.applyAsDouble(sample.probe) - mean);
      spread += (sample.hours - meanHours) * (sample.hours - meanHours);
    }
    double perHour = spread == 0 ? 0 : together / spread;
    String range =
        String.format(
            Locale.ROOT,
            "%.1f to %.1f",
            of.applyAsDouble(samples.getFirst().probe),
            of.applyAsDouble(samples.getLast().probe));
    report.add("churn" + what, range);
    if (most == Double.MAX_VALUE) {
      report.add("churn" + what + "PerHour", perHour);
    } else {
      report.add("churn" + what + "PerHour", perHour, "<=", most);
    }
  }

  private void round(int round) throws IOException, InterruptedException {
    String id = "churn:" + round % DOCUMENTS;
    try (var client = round % 2 == 0 ? daemon.client() : LocalClient.tcp(tcp, token)) {
      client.call(post("/api/put", "{\"id\":\"" + id + "\",\"data\":" + document(round) + "}"));
      client.call(Request.get("/api/get").with("id", id));
      client.call(Request.get("/api/list").with("prefix", "churn:1"));
      if (round % 3 == 0) {
        client.call(Request.delete("/api/delete").with("id", id));
      }
      if (round % SEARCH_EVERY == 0) {
        client.call(post("/api/search", "{\"query\":\"round\"}"));
      }
    }
    leave("GET /api/watch?since=0 HTTP/1.1\r\nAuthorization: Bearer " + token + "\r\n");
    if (round % 5 == 0) {
      // A request that is never finished.
      leave("POST /api/put HTTP/1.1\r\nContent-Length: 1000");
    }
    if (round % DATABASE_EVERY == DATABASE_EVERY - 1) {
      database();
    }
    if (round % RECONNECT_EVERY == RECONNECT_EVERY - 1) {
      reconnect();
    }
    if (round % RESTART_EVERY == RESTART_EVERY - 1) {
      other.kill();
      other.start();
      restarts++;
    }
  }

  private static String document(int round) {
    return "{\"type\":\"churn\",\"round\":" + round + ",\"text\":\"round number " + round + "\"}";
  }

  private static Request post(String path, String json) {
    return Request.post(path, json.getBytes(StandardCharsets.UTF_8));
  }

  /** Connects, sends the beginning of a request, reads once what comes of it, and goes. */
  private void leave(String head) throws IOException {
    try (SocketChannel channel = SocketChannel.open(tcp)) {
      String host = "Host: localhost:" + tcp.getPort() + "\r\n\r\n";
      boolean whole = head.endsWith("\r\n");
      channel.write(StandardCharsets.US_ASCII.encode(whole ? head + host : head));
      if (whole && channel.read(ByteBuffer.allocate(1_024)) < 0) {
        throw new IOException("a watcher was not answered");
      }
    }
  }

  /** A database that is made, used and dropped. */
  private void database() throws InterruptedException {
    String name = "churn-" + databases++;
    try (var client = daemon.client()) {
      client.call(post("/api/databases", "{\"name\":\"" + name + "\"}"));
      client.call(post("/api/put", "{\"id\":\"a\",\"data\":{\"a\":\"b\"}}").with("db", name));
      client.call(post("/api/search", "{\"query\":\"b\"}").with("db", name));
      client.call(Request.delete("/api/databases").with("name", name).with("confirm", name));
    }
  }

  private void reconnect() {
    String address = "{\"address\":\"" + listening + "\"}";
    try {
      other.post("/api/disconnect", address);
    } catch (ApiException e) {
      if (!e.code().equals("NODE_UNKNOWN_ADDRESS")) {
        throw e;
      }
    }
    other.post("/api/connect", address);
  }
}
