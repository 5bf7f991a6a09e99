package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Request;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Commands that look around in the DHT. */
final class Exploring {
  private Exploring() {}

  @Command(name = "dht", description = "Print what this device knows of the DHT.")
  static final class Dht implements Callable<Integer> {
    private final Root root;

    @Option(names = "--table", description = "Also list every node of the routing table.")
    private boolean table;

    @Option(
        names = "--lookup",
        description = "Look for the peers of the database now, and print every step.")
    private boolean lookup;

    @Option(
        names = "--topic",
        paramLabel = "HEX",
        description = "With --lookup: another topic, 40 or 64 hexadecimal digits.")
    private @Nullable String topic;

    Dht(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      Request request = Request.get(lookup || topic != null ? "/api/dht/lookup" : "/api/dht");
      if (topic != null) {
        request = request.with("topic", topic);
      } else if (lookup) {
        request = root.chosen(request);
      }
      byte[] answer;
      try (var client = root.daemon()) {
        answer = client.call(request);
      }
      if (root.json()) {
        root.print(answer);
      } else if (lookup || topic != null) {
        trace(Json.parse(answer).members(), root.io().out());
      } else {
        overview(Json.parse(answer).members(), root.io().out());
      }
      return Main.OK;
    }

    private void overview(Map<String, Json> dht, PrintStream out) {
      out.println("address  " + Json.text(dht, "address"));
      for (Map<String, Json> family : list(dht, "tables")) {
        List<Map<String, Json>> nodes = list(family, "nodes");
        String external = Json.text(family, "external");
        out.println(
            "%-8s id %s, %d nodes (%d good), seen at %s"
                .formatted(
                    Json.text(family, "family"),
                    Json.text(family, "id"),
                    nodes.size(),
                    nodes.stream().filter(n -> Json.text(n, "state").equals("good")).count(),
                    external.isEmpty()
                        ? "an address not yet known"
                        : external + " port " + Json.text(family, "externalPort")));
      }
      out.println("stored   " + Json.text(dht, "storedTopics") + " topics of others");
      out.println();
      var topics = new Table("DATABASE", "TOPIC", "ANNOUNCED AT", "PEERS", "NEXT LOOKUP");
      for (Map<String, Json> one : list(dht, "topics")) {
        long next = Long.parseLong(Json.text(one, "nextMillis"));
        topics.row(
            Json.text(one, "database"),
            Json.text(one, "topic"),
            Json.text(one, "announcedAt") + " nodes",
            Json.text(one, "peers"),
            next < 0 ? "running" : "in " + next / 1_000 + " s");
      }
      topics.print(out);
      out.println();
      var lookups = new Table("LOOKUP", "TARGET", "TOOK", "QUERIES", "ANSWERS", "HOPS", "PEERS");
      for (Map<String, Json> one : list(dht, "lookups")) {
        lookups.row(
            Json.text(one, "kind"),
            Json.text(one, "target"),
            Json.text(one, "durationMillis") + " ms",
            Json.text(one, "queries"),
            Json.text(one, "answers"),
            Json.text(one, "hops"),
            Integer.toString(one.getOrDefault("peers", Json.NONE).elements().size()));
      }
      lookups.print(out);
      if (table) {
        out.println();
        for (Map<String, Json> family : list(dht, "tables")) {
          nodes(list(family, "nodes"), out);
        }
      }
    }

    private static void nodes(List<Map<String, Json>> nodes, PrintStream out) {
      var rows = new Table("BUCKET", "ID", "ADDRESS", "STATE", "PROVEN", "ANSWERED");
      for (Map<String, Json> node : nodes) {
        rows.row(
            Json.text(node, "bucket"),
            Json.text(node, "id"),
            Json.text(node, "address"),
            Json.text(node, "state"),
            Json.text(node, "proven"),
            Long.parseLong(Json.text(node, "answeredMillisAgo")) / 1_000 + " s ago");
      }
      rows.print(out);
    }

    private static void trace(Map<String, Json> trace, PrintStream out) {
      var steps = new Table("HOP", "ASKED", "ANSWER", "BITS", "PEERS", "ADDRESS", "ID");
      for (Map<String, Json> step : list(trace, "steps")) {
        String millis = Json.text(step, "answerMillis");
        steps.row(
            Json.text(step, "hop"),
            "+" + Json.text(step, "askedMillis") + " ms",
            millis.equals("-1") ? "none" : millis + " ms",
            Json.text(step, "commonBits"),
            Json.text(step, "peers"),
            Json.text(step, "address"),
            Json.text(step, "id"));
      }
      steps.print(out);
      out.println();
      List<Json> peers = trace.getOrDefault("peers", Json.NONE).elements();
      out.println(
          "%d peers of %s after %s queries and %s ms"
              .formatted(
                  peers.size(),
                  Json.text(trace, "target"),
                  Json.text(trace, "queries"),
                  Json.text(trace, "durationMillis")));
      peers.forEach(peer -> out.println("  " + peer.text()));
    }

    private static List<Map<String, Json>> list(Map<String, Json> members, String name) {
      return members.getOrDefault(name, Json.NONE).objects();
    }
  }
}
