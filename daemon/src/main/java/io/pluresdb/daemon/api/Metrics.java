package io.pluresdb.daemon.api;

import com.sun.management.UnixOperatingSystemMXBean;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.storage.search.Searches;
import io.prometheus.metrics.config.EscapingScheme;
import io.prometheus.metrics.expositionformats.PrometheusTextFormatWriter;
import io.prometheus.metrics.model.snapshots.CounterSnapshot;
import io.prometheus.metrics.model.snapshots.CounterSnapshot.CounterDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot;
import io.prometheus.metrics.model.snapshots.GaugeSnapshot.GaugeDataPointSnapshot;
import io.prometheus.metrics.model.snapshots.Labels;
import io.prometheus.metrics.model.snapshots.MetricSnapshots;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What a node does, as Prometheus reads it; docs/reference/metrics.md lists the metrics. */
final class Metrics {
  private static final String DATABASE = "database";
  private static final String DEVICE = "device";
  private static final String CLOSED = "closed.";
  private static final String REFUSED = "refused.";

  private final Map<String, GaugeSnapshot.Builder> gauges = new TreeMap<>();
  private final Map<String, CounterSnapshot.Builder> counters = new TreeMap<>();

  private Metrics() {}

  /**
   * The state of now; waits for the databases.
   *
   * @param server null where requests come from the same process
   */
  static Metrics of(Node node, String version, InstantSource clock, @Nullable HttpServer server) {
    var metrics = new Metrics();
    Duration up = Duration.between(node.startedAt(), clock.instant());
    metrics.gauge("pluresdb_info", "1; the version is a label.", 1, "version", version);
    metrics.gauge("pluresdb_uptime_seconds", "Time since the start.", up.toMillis() / 1e3);
    metrics.gauge(
        "pluresdb_databases_stopped",
        "Databases that take no writes any more.",
        node.stopped().size());
    metrics.process();
    if (server != null) {
      metrics.server(server);
    }
    metrics.network(node.networkCounters());
    for (String database : node.databases()) {
      metrics.store(database, node.status(database));
      metrics.log(database, node.log(database));
      metrics.embeddings(database, node.searches(database).embeddingStats());
      metrics.activity(database, node.activity(database));
      for (Node.PeerStatus peer : node.peers(database)) {
        metrics.peer(database, peer);
      }
    }
    return metrics;
  }

  Answer answer() throws IOException {
    var all = MetricSnapshots.builder();
    gauges.values().forEach(gauge -> all.metricSnapshot(gauge.build()));
    counters.values().forEach(counter -> all.metricSnapshot(counter.build()));
    var text = new ByteArrayOutputStream();
    PrometheusTextFormatWriter.create()
        .write(text, all.build(), EscapingScheme.UNDERSCORE_ESCAPING);
    return new Answer.Streamed(
        PrometheusTextFormatWriter.CONTENT_TYPE,
        sink -> sink.write(text.toByteArray(), 0, text.size()));
  }

  private void process() {
    gauge(
        "pluresdb_heap_used_bytes",
        "Java heap in use.",
        ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed());
    gauge(
        "pluresdb_threads",
        "Platform threads.",
        ManagementFactory.getThreadMXBean().getThreadCount());
    if (ManagementFactory.getOperatingSystemMXBean() instanceof UnixOperatingSystemMXBean unix) {
      counter(
          "pluresdb_cpu_seconds", "Processor time of all threads.", unix.getProcessCpuTime() / 1e9);
      gauge("pluresdb_open_files", "Open file descriptors.", unix.getOpenFileDescriptorCount());
      gauge("pluresdb_open_files_limit", "Most of them.", unix.getMaxFileDescriptorCount());
    }
  }

  private void server(HttpServer server) {
    gauge("pluresdb_api_connections", "Connections to the API.", server.openConnections());
    counter(
        "pluresdb_api_connections_refused",
        "Connections to the API over their limit.",
        server.refusedConnections());
    gauge("pluresdb_api_requests", "Requests that are being answered.", server.throttle().open());
    String refused = "pluresdb_api_requests_refused";
    String help = "Requests over a limit of their token.";
    counter(refused, help, server.throttle().refusedRate(), "limit", "rate");
    counter(refused, help, server.throttle().refusedAtOnce(), "limit", "concurrent");
    counter(refused, help, server.bodies().refused(), "limit", "bodies");
    gauge(
        "pluresdb_api_body_bytes",
        "Bytes of request bodies that are held until they are answered.",
        server.bodies().held());
  }

  private void network(Node.NetworkCounters network) {
    gauge(
        "pluresdb_half_open_connections",
        "Accepted connections whose handshake is not finished.",
        network.halfOpen());
    network
        .limits()
        .forEach(
            (limit, most) ->
                gauge("pluresdb_connections_limit", "Most connections.", most, "limit", limit));
    network
        .sessions()
        .forEach(
            (name, value) -> {
              if (name.startsWith(CLOSED)) {
                counter(
                    "pluresdb_connections_closed",
                    "Connections that ended.",
                    value,
                    "reason",
                    name.substring(CLOSED.length()));
              } else if (name.startsWith(REFUSED)) {
                counter(
                    "pluresdb_connections_refused",
                    "Connections closed because of a limit.",
                    value,
                    "limit",
                    name.substring(REFUSED.length()));
              } else {
                counter(
                    "pluresdb_connections",
                    "What sessions and the connections for them counted.",
                    value,
                    "event",
                    name);
              }
            });
    network
        .dht()
        .forEach(
            (name, value) ->
                counter("pluresdb_dht", "What the DHT node counted.", value, "event", name));
  }

  private void store(String name, Node.DatabaseStatus status) {
    String[] of = {DATABASE, name};
    gauge("pluresdb_documents", "Documents that exist.", status.store().documents(), of);
    gauge(
        "pluresdb_database_bytes",
        "Bytes of all files of the database, the store's and those of indexes.",
        status.bytesOnDisk(),
        of);
    gauge("pluresdb_store_bytes", "Bytes of the store's files.", status.store().bytesOnDisk(), of);
    gauge(
        "pluresdb_pending_changes", "Changes that wait for others.", status.store().pending(), of);
    gauge("pluresdb_peers", "Sessions that are up.", status.peers(), of);
    counter(
        "pluresdb_traffic_bytes",
        "Bytes on the wire of all sessions, both directions.",
        status.trafficBytes(),
        of);
  }

  private void embeddings(String name, Searches.@Nullable EmbeddingStats stats) {
    if (stats == null) {
      return;
    }
    String[] of = {DATABASE, name};
    gauge(
        "pluresdb_embeddings_behind",
        "Changes not looked at yet for embeddings.",
        stats.behind(),
        of);
    counter("pluresdb_embeddings_made", "Documents that got an embedding.", stats.embedded(), of);
    counter("pluresdb_embedding_calls", "Calls of the model.", stats.calls(), of);
    gauge(
        "pluresdb_embeddings_failing",
        "1 while they cannot be made.",
        stats.error().isEmpty() ? 0 : 1,
        of);
  }

  private void log(String name, Node.LogStatus log) {
    String[] of = {DATABASE, name};
    counter("pluresdb_arrivals", "Changes that ever arrived.", log.arrivals(), of);
    gauge("pluresdb_log_floor", "Arrivals up to here left the log.", log.floor(), of);
    for (Node.Standing member : log.members()) {
      gauge(
          "pluresdb_member_behind",
          "Changes here that a member is not known to have.",
          member.behind(),
          DATABASE,
          name,
          DEVICE,
          member.deviceId(),
          "state",
          member.state());
    }
  }

  private void activity(String name, Node.Activity activity) {
    String[] of = {DATABASE, name};
    gauge(
        "pluresdb_queued_writes",
        "Local writes that wait to be committed.",
        activity.queuedWrites(),
        of);
    gauge(
        "pluresdb_queued_bytes",
        "Bytes of local writes that wait to be committed.",
        activity.queuedBytes(),
        of);
    counter("pluresdb_local_changes", "Changes made here.", activity.localChanges(), of);
    counter("pluresdb_foreign_changes", "New changes of others.", activity.foreignChanges(), of);
    counter(
        "pluresdb_known_runs",
        "Runs of changes that came although they were known.",
        activity.knownRuns(),
        of);
    counter(
        "pluresdb_divergences",
        "Times that documents differed from a peer's though operations did not.",
        activity.divergences(),
        of);
    activity
        .rejected()
        .forEach(
            (reason, count) ->
                counter(
                    "pluresdb_rejected_runs",
                    "Runs of changes that were refused.",
                    count,
                    DATABASE,
                    name,
                    "reason",
                    reason));
    counter(
        "pluresdb_snapshots_offered",
        "Snapshots offered to peers that the log did not help.",
        activity.snapshotsOffered(),
        of);
    counter("pluresdb_snapshots_joined", "Snapshots of peers.", activity.snapshotsJoined(), of);
    counter(
        "pluresdb_snapshots_failed",
        "Snapshots that did not hold what they said.",
        activity.snapshotsFailed(),
        of);
  }

  private void peer(String name, Node.PeerStatus peer) {
    if (!peer.state().equals("connected")) {
      return;
    }
    String[] of = {DATABASE, name, DEVICE, peer.deviceId(), "path", peer.path()};
    gauge("pluresdb_peer_lag", "Changes a connected peer has not acknowledged.", peer.lag(), of);
    gauge("pluresdb_peer_sent_bytes", "Bytes sent in the session.", peer.bytesSent(), of);
    gauge("pluresdb_peer_received_bytes", "Bytes that came in it.", peer.bytesReceived(), of);
  }

  private void gauge(String name, String help, Number value, String... labels) {
    gauges
        .computeIfAbsent(name, n -> GaugeSnapshot.builder().name(n).help(help))
        .dataPoint(
            GaugeDataPointSnapshot.builder()
                .value(value.doubleValue())
                .labels(Labels.of(labels))
                .build());
  }

  /** {@code name} without the suffix {@code _total}, which is added. */
  private void counter(String name, String help, Number value, String... labels) {
    counters
        .computeIfAbsent(name, n -> CounterSnapshot.builder().name(n).help(help))
        .dataPoint(
            CounterDataPointSnapshot.builder()
                .value(value.doubleValue())
                .labels(Labels.of(labels))
                .build());
  }
}
