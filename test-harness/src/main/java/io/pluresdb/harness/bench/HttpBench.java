package io.pluresdb.harness.bench;

import io.pluresdb.daemon.access.AuditLog;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.daemon.api.Api;
import io.pluresdb.daemon.api.ApiOptions;
import io.pluresdb.daemon.api.HttpServer;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.Random;
import java.util.function.IntFunction;
import java.util.function.ToDoubleFunction;

/** Requests a second and their 99th percentile, over kept connections to one daemon. */
final class HttpBench {
  private static final int[] CONNECTIONS = {1, 16, 256};
  private static final int DOCUMENTS = 10_000;
  private static final int LISTED = 100;
  private static final int ROUNDS = 5;
  private static final String TOKEN = "token-of-this-benchmark";

  private HttpBench() {}

  /** One kind of request, and what it is held against. */
  private enum Kind {
    GET(0.6, -1),
    PUT(0.4, 256),
    LIST(0, -1);

    final double target;
    final int only;

    Kind(double target, int only) {
      this.target = target;
      this.only = only;
    }

    boolean hasTargetAt(int connections) {
      return target > 0 && (only < 0 || only == connections);
    }
  }

  /**
   * Server and clients share this process; all clients are one thread. The bare handler answers as
   * many bytes as the daemon does, with as many event loops. Medians of five rounds, in turn.
   */
  static Report run(Path directory, int seconds) throws IOException {
    var report = new Report("http").add("documentBytes", Documents.BYTES);
    long nanos = Duration.ofSeconds(seconds).toNanos() / ROUNDS;
    try (DeviceNode node = DeviceNode.open(directory.resolve("a"), NodeOptions.offline("bench"))) {
      var documents = new Documents(1);
      for (int i = 0; i < DOCUMENTS; i++) {
        node.store(Node.DEFAULT_DATABASE).put(Documents.id("get", i), documents.next(i));
      }
      var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
      ApiOptions options = ApiOptions.at(address, null);
      InstantSource clock = InstantSource.system();
      Tokens tokens = Tokens.inMemory(TOKEN, clock, new Random(1));
      var api = new Api(node, "bench", clock, options.keepAlive(), tokens, AuditLog.none());
      try (HttpServer server = HttpServer.start(api, options, tokens);
          BareHttp bare = BareHttp.start()) {
        for (Kind kind : Kind.values()) {
          int port = server.address().getPort();
          int bytes = HttpLoad.bodyBytes(port, request(kind, port, "first").apply(0));
          bare.answer(bytes);
          WarmUp.run(
              round -> {
                for (int connections : CONNECTIONS) {
                  String set = "warm-up-" + round + "-" + connections;
                  var bareRequests = request(kind, bare.port(), "bare");
                  HttpLoad.run(bare.port(), connections, nanos / 2, bareRequests);
                  HttpLoad.run(port, connections, nanos / 2, request(kind, port, set));
                }
              });
          for (int connections : CONNECTIONS) {
            var raw = new HttpLoad.Result[ROUNDS];
            var ours = new HttpLoad.Result[ROUNDS];
            // In turn, so that a busy moment of the machine falls on both.
            for (int round = 0; round < ROUNDS; round++) {
              var bareRequests = request(kind, bare.port(), "bare");
              raw[round] = HttpLoad.run(bare.port(), connections, nanos, bareRequests);
              var requests = request(kind, port, connections + "-" + round);
              ours[round] = HttpLoad.run(port, connections, nanos, requests);
            }
            add(report, kind, connections, raw, ours);
          }
        }
      }
    }
    return report;
  }

  private static void add(
      Report report, Kind kind, int connections, HttpLoad.Result[] raw, HttpLoad.Result[] ours) {
    String name = kind.name().toLowerCase(java.util.Locale.ROOT) + connections;
    report
        .add(name + "BarePerSecond", median(raw, HttpLoad.Result::perSecond))
        .add(name + "PerSecond", median(ours, HttpLoad.Result::perSecond))
        .add(name + "P99Millis", median(ours, HttpLoad.Result::p99Millis));
    double[] shares = new double[ROUNDS];
    Arrays.setAll(shares, round -> ours[round].perSecond() / raw[round].perSecond());
    double share = PutBench.median(shares);
    if (kind.hasTargetAt(connections)) {
      report.add(name + "ShareOfBare", share, ">=", kind.target);
    } else {
      report.add(name + "ShareOfBare", share);
    }
  }

  private static double median(
      HttpLoad.Result[] results, ToDoubleFunction<HttpLoad.Result> figure) {
    return PutBench.median(Arrays.stream(results).mapToDouble(figure).toArray());
  }

  /**
   * The n-th request of a round.
   *
   * @param set names what is put, so that every put makes a document
   */
  private static IntFunction<byte[]> request(Kind kind, int port, String set) {
    String head =
        " HTTP/1.1\r\nHost: 127.0.0.1:" + port + "\r\nAuthorization: Bearer " + TOKEN + "\r\n";
    var documents = new Documents(2);
    return i ->
        switch (kind) {
          case GET ->
              ascii("GET /api/get?id=" + Documents.id("get", i % DOCUMENTS) + head + "\r\n");
          case LIST ->
              ascii(
                  "GET /api/list?limit="
                      + LISTED
                      + "&after="
                      + Documents.id("get", i % (DOCUMENTS - 2 * LISTED))
                      + head
                      + "\r\n");
          case PUT -> {
            String json = new String(documents.next(i), StandardCharsets.UTF_8);
            String body =
                "{\"id\":\"" + Documents.id("put-" + set, i) + "\",\"data\":" + json + "}";
            yield ascii(
                "POST /api/put" + head + "Content-Length: " + body.length() + "\r\n\r\n" + body);
          }
        };
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
