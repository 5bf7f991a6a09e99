package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Addresses;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.DhtStatus;
import io.pluresdb.transport.dht.LookupTrace;
import java.net.InetAddress;
import java.util.List;
import java.util.Locale;

/** Routes about the DHT: what this device knows of it, and a lookup step by step. */
final class DhtRoutes {
  /** Topics of others that are listed; the count says how many there are. */
  private static final int MAX_STORED_LISTED = 100;

  private static final int TOPIC_DIGITS = 64;
  private static final int INFO_HASH_DIGITS = 2 * DhtId.BYTES;

  private final Node node;

  DhtRoutes(Node node) {
    this.node = node;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/api/dht", Level.ADMIN, "the DHT as this device sees it")
            .answers(
                "{address: string, readOnly: boolean, tables: {family: string, id: string,"
                    + " external: string, externalPort: integer, votes: integer, nodes: {id:"
                    + " string, address: string, bucket: integer, state: string, proven: boolean,"
                    + " answeredMillisAgo: integer}[]}[], topics: {topic: string, database: string,"
                    + " announcedPort: integer, announcedAt: integer, peers: integer, nextMillis:"
                    + " integer}[], storedTopics: integer, stored: {topic: string, peers:"
                    + " integer}[], lookups: Lookup[], counters: map<integer>}")
            .waiting(this::dht),
        Route.get("/api/dht/lookup", Level.ADMIN, "a lookup that is made now")
            .inDatabase()
            .may("topic", "string", "40 or 64 hexadecimal digits; the database's unless given")
            .answers("Lookup")
            .waiting(this::lookup));
  }

  private Answer dht(Request request) {
    Node.DhtReport report = node.dht().join();
    DhtStatus status = report.status();
    var json = new JsonWriter().beginObject();
    json.name("address").string(report.address());
    json.name("readOnly").bool(status.readOnly());
    json.name("tables").beginArray();
    status.tables().forEach(table -> table(json, table));
    json.endArray();
    json.name("topics").beginArray();
    for (DhtStatus.Followed topic : status.followed()) {
      json.beginObject();
      json.name("topic").string(topic.topic().hex());
      json.name("database").string(report.databases().getOrDefault(topic.topic(), ""));
      json.name("announcedPort").number(topic.announcedPort());
      json.name("announcedAt").number(topic.announcedAt());
      json.name("peers").number(topic.peers());
      json.name("nextMillis").number(topic.nextMillis());
      json.endObject();
    }
    json.endArray();
    json.name("storedTopics").number(status.stored().size());
    json.name("stored").beginArray();
    status.stored().stream()
        .limit(MAX_STORED_LISTED)
        .forEach(
            stored -> {
              json.beginObject().name("topic").string(stored.topic().hex());
              json.name("peers").number(stored.peers()).endObject();
            });
    json.endArray();
    json.name("lookups").beginArray();
    status.traces().forEach(trace -> trace(json, trace));
    json.endArray();
    json.name("counters").beginObject();
    status.counters().forEach((counter, count) -> json.name(counter.key()).number(count));
    return Answer.of(json.endObject().endObject());
  }

  private static void table(JsonWriter json, DhtStatus.Table table) {
    InetAddress external = table.external();
    json.beginObject();
    json.name("family").string(table.family().name().toLowerCase(Locale.ROOT));
    json.name("id").string(table.self().hex());
    json.name("external").string(external == null ? "" : external.getHostAddress());
    json.name("externalPort").number(table.externalPort());
    json.name("votes").number(table.votes());
    json.name("nodes").beginArray();
    for (DhtStatus.Row row : table.rows()) {
      json.beginObject();
      json.name("id").string(row.contact().id().hex());
      json.name("address").string(Addresses.format(row.contact().address()));
      json.name("bucket").number(row.bucket());
      json.name("state").string(row.standing());
      json.name("proven").bool(row.proven());
      json.name("answeredMillisAgo").number(row.answeredMillisAgo());
      json.endObject();
    }
    json.endArray().endObject();
  }

  private Answer lookup(Request request) {
    String text = Parameters.optional(request, "topic");
    if (text == null) {
      text = node.status(Parameters.database(request)).topic();
    }
    if (text.length() == TOPIC_DIGITS) {
      text = text.substring(0, INFO_HASH_DIGITS);
    }
    DhtId topic;
    try {
      topic = DhtId.parse(text);
    } catch (IllegalArgumentException e) {
      throw ApiException.invalid(
          "topic must be " + INFO_HASH_DIGITS + " or " + TOPIC_DIGITS + " hexadecimal digits");
    }
    var json = new JsonWriter();
    trace(json, node.dhtLookup(topic).join());
    return Answer.of(json);
  }

  private static void trace(JsonWriter json, LookupTrace trace) {
    json.beginObject();
    json.name("target").string(trace.target().hex());
    json.name("family").string(trace.family().name().toLowerCase(Locale.ROOT));
    json.name("kind").string(trace.forPeers() ? "peers" : "nodes");
    json.name("durationMillis").number(trace.durationMillis());
    json.name("queries").number(trace.queries());
    json.name("answers").number(trace.answers());
    json.name("hops").number(trace.hops());
    json.name("announcedAt").number(trace.announced());
    json.name("firstPeerMillis").number(trace.firstPeerMillis());
    json.name("firstPeerHops").number(trace.firstPeerHops());
    json.name("peers").beginArray();
    trace.peers().forEach(peer -> json.string(Addresses.format(peer)));
    json.endArray();
    json.name("steps").beginArray();
    for (LookupTrace.Step step : trace.steps()) {
      json.beginObject();
      json.name("address").string(Addresses.format(step.address()));
      json.name("id").string(step.id());
      json.name("commonBits").number(step.commonBits());
      json.name("hop").number(step.hop());
      json.name("askedMillis").number(step.askedMillis());
      json.name("answerMillis").number(step.answerMillis());
      json.name("peers").number(step.peers());
      json.endObject();
    }
    json.endArray().endObject();
  }
}
