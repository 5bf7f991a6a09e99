package io.pluresdb.daemon.api;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Addresses;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.Node.DatabaseStatus;
import io.pluresdb.daemon.node.Node.Device;
import io.pluresdb.daemon.node.Node.LogStatus;
import io.pluresdb.daemon.node.Node.NetworkStatus;
import io.pluresdb.daemon.node.Node.PeerStatus;
import io.pluresdb.daemon.node.Node.Standing;
import io.pluresdb.daemon.node.NodeException;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.transport.nat.NatProtocol;
import io.pluresdb.transport.nat.NatStatus;
import io.pluresdb.transport.nat.PortMapping;
import io.pluresdb.transport.relay.RelayStatus;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/** Routes about the device, its databases, members and peers. */
final class NodeRoutes {
  private static final int BODY_BYTES = 64 << 10;
  private static final Duration SHORTEST_INVITE = Duration.ofMinutes(1);
  private static final Duration LONGEST_INVITE = Duration.ofDays(30);

  private final Node node;
  private final String version;
  private final InstantSource clock;

  NodeRoutes(Node node, String version, InstantSource clock) {
    this.node = node;
    this.version = version;
    this.clock = clock;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/api/status", Level.READ, "this device and its databases, or one of them")
            .ofVisible()
            .may(Api.DATABASE, "string(1..63)", "only that one")
            .answers("Status")
            .waiting(this::status),
        Route.get("/api/peers", Level.READ, "sessions and wanted addresses")
            .inDatabase()
            .answers("Peer[]")
            .waiting(this::peers),
        Route.get("/api/devices", Level.READ, "members, who waits, and who was removed")
            .inDatabase()
            .answers("Device[]")
            .waiting(this::devices),
        Route.post("/api/approve", Level.ADMIN, "lets a device in, or gives it a greater role")
            .about("device")
            .inDatabase()
            .body("{device: string, role?: string}", BODY_BYTES)
            .answers("Device")
            .waiting(this::approve),
        Route.post("/api/revoke", Level.ADMIN, "removes a device, or leaves it a lesser role")
            .about("device")
            .inDatabase()
            .body("{device: string, keep?: string}", BODY_BYTES)
            .answers("Device")
            .waiting(this::revoke),
        Route.post("/api/adopt", Level.ADMIN, "writes what a device did that does not count again")
            .about("device")
            .inDatabase()
            .body("{device: string}", BODY_BYTES)
            .answers("{changes: integer}")
            .waiting(this::adopt),
        Route.get("/api/doctor", Level.ADMIN, "whether the device and the database are in order")
            .inDatabase()
            .may("against", "string", "compare with that peer instead")
            .answers("{ok: boolean, checks: Check[]}")
            .waiting(this::doctor),
        Route.post("/api/connect", Level.ADMIN, "keeps an address, HOST:PORT, connected")
            .about("address")
            .inDatabase()
            .body("{address: string}", BODY_BYTES)
            .answers("{address: string}")
            .waiting(this::connect),
        Route.post("/api/disconnect", Level.ADMIN, "forgets an address")
            .about("address")
            .inDatabase()
            .body("{address: string}", BODY_BYTES)
            .answers("{address: string}")
            .waiting(this::disconnect),
        Route.post("/api/vacuum", Level.ADMIN, "takes off the log what all members have")
            .inDatabase()
            .optionalBody("{}", BODY_BYTES)
            .answers("Log")
            .waiting(this::vacuum),
        Route.post(
                "/api/backup",
                Level.ADMIN,
                "copies a database to an absolute path on the daemon's machine")
            .about("path")
            .inDatabase()
            .body("{path: string, keys?: boolean}", BODY_BYTES)
            .answers("Backup")
            .waiting(this::backup),
        Route.post("/api/sync", Level.ADMIN, "tries every address now; sessions that are up")
            .inDatabase()
            .optionalBody("{}", BODY_BYTES)
            .answers("{peers: integer}")
            .waiting(this::sync),
        Route.post("/api/invite", Level.ADMIN, "an invite for one device")
            .inDatabase()
            .optionalBody(
                "{role?: string, expiresSeconds?: integer(60..2592000), approval?: boolean}",
                BODY_BYTES)
            .answers("{url: string, expires: integer}")
            .waiting(this::invite),
        Route.post("/api/join", Level.ADMIN, "joins the database of an invite")
            .inDatabase()
            .body("{url: string, prefixes?: string[]}", BODY_BYTES)
            .answers("{database: string, id: string, role: string, carriedOver: integer}")
            .waiting(this::join));
  }

  private Answer status(Request request) {
    List<String> databases =
        request.query().containsKey(Api.DATABASE)
            ? List.of(Parameters.database(request))
            : request.caller().visible(node.databases());
    var json = new JsonWriter().beginObject();
    json.name("version").string(version);
    json.name("deviceId").string(node.deviceId());
    json.name("uptimeMillis")
        .number(Duration.between(node.startedAt(), clock.instant()).toMillis());
    json.name("databases").beginArray();
    databases.forEach(name -> database(json, name));
    json.endArray().name("relays").beginArray();
    node.relays().forEach(relay -> relay(json, relay));
    json.endArray().name("network");
    network(json, node.network());
    json.name("portMapping");
    portMapping(json, node.portMapping());
    return Answer.of(json.endObject());
  }

  private static void network(JsonWriter json, NetworkStatus network) {
    json.beginObject();
    json.name("udp").string(network.udp());
    json.name("quic").string(network.quic());
    json.name("nat").string(network.nat().name().toLowerCase(Locale.ROOT));
    json.name("addresses").beginArray();
    network.addresses().forEach(json::string);
    json.endArray().endObject();
  }

  private static void portMapping(JsonWriter json, NatStatus status) {
    NatProtocol protocol = status.protocol();
    json.beginObject();
    json.name("protocol").string(protocol == null ? "" : protocol.toString());
    json.name("mappings").beginArray();
    for (PortMapping mapping : status.mappings()) {
      json.beginObject();
      json.name("kind").string(mapping.kind().name());
      json.name("port").number(mapping.internalPort());
      json.name("external").string(Addresses.format(mapping.external()));
      json.name("leaseSeconds").number(mapping.leaseSeconds());
      json.endObject();
    }
    json.endArray().name("failures").beginObject();
    status.failures().forEach((tried, why) -> json.name(tried.toString()).string(why));
    json.endObject().endObject();
  }

  private static void relay(JsonWriter json, RelayStatus relay) {
    json.beginObject();
    json.name("url").string(relay.url().toString());
    json.name("connected").bool(relay.connected());
    json.name("topics").number(relay.topics());
    json.name("peers").number(relay.peers());
    json.name("proxy").string(relay.proxy());
    json.name("intercepted").string(relay.intercepted());
    json.name("lastError").string(relay.lastError());
    json.endObject();
  }

  private void database(JsonWriter json, String name) {
    DatabaseStatus status = node.status(name);
    LogStatus log = node.log(name);
    json.beginObject();
    json.name("name").string(status.name());
    json.name("id").string(status.id());
    json.name("topic").string(status.topic());
    json.name("role").string(status.role());
    json.name("prefixes").beginArray();
    status.prefixes().forEach(json::string);
    json.endArray();
    json.name("documents").number(status.store().documents());
    json.name("frontier").beginObject();
    status
        .store()
        .frontier()
        .heads()
        .forEach(
            (actor, head) -> {
              json.name(actor.hex()).beginObject();
              json.name("seq").number(head.seq());
              json.name("hash").string(head.hash().hex()).endObject();
            });
    json.endObject();
    json.name("frontierHash").string(status.store().frontier().hash().hex());
    json.name("stateHash").string(status.store().stateHash().hex());
    json.name("pending").number(status.store().pending());
    json.name("peers").number(status.peers());
    json.name("trafficBytes").number(status.trafficBytes());
    json.name("bytesOnDisk").number(status.bytesOnDisk());
    json.name("quota");
    DatabaseRoutes.quota(json, node.quota(name));
    json.name("vectorInstructions").string(node.searches(name).instructions());
    json.name("indexes");
    IndexRoutes.indexes(json, node.searches(name));
    embeddings(json.name("embeddingWorkerStats"), node.searches(name).embeddingStats());
    json.name("log");
    log(json, log);
    json.endObject();
  }

  private static void embeddings(JsonWriter json, Searches.@Nullable EmbeddingStats stats) {
    if (stats == null) {
      json.nothing();
      return;
    }
    json.beginObject().name("model").string(stats.model());
    json.name("dimension").number(stats.dimension()).name("behind").number(stats.behind());
    json.name("embedded").number(stats.embedded()).name("calls").number(stats.calls());
    json.name("callMillis").number(stats.callMillis());
    json.name("error").string(stats.error()).endObject();
  }

  private static void log(JsonWriter json, LogStatus log) {
    json.beginObject();
    json.name("arrivals").number(log.arrivals());
    json.name("floor").number(log.floor());
    json.name("keepMillis").number(log.keepMillis());
    json.name("leaseMillis").number(log.leaseMillis());
    json.name("heldBackBy").string(log.heldBackBy().map(Standing::deviceId).orElse(""));
    json.name("members").beginArray();
    for (Standing member : log.members()) {
      json.beginObject();
      json.name("deviceId").string(member.deviceId());
      json.name("name").string(member.name());
      json.name("state").string(member.state());
      json.name("heard").number(member.heard().toEpochMilli());
      json.name("behind").number(member.behind()).endObject();
    }
    json.endArray().endObject();
  }

  private Answer vacuum(Request request) {
    if (request.bytes().length > 0) {
      JsonMembers.read(request.bytes(), "the body", List.of(Api.DATABASE));
    }
    var json = new JsonWriter();
    log(json, node.vacuum(Parameters.database(request)).join());
    return Answer.of(json);
  }

  private Answer backup(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("path", "keys"));
    Path target = path(body.string("path"));
    var manifest = node.backup(Parameters.database(request), target, body.bool("keys", false));
    return Answer.of(Api.backup(manifest, target));
  }

  /** An absolute path: the daemon's own folder means nothing to who asks. */
  private static Path path(String text) {
    try {
      Path path = Path.of(text);
      if (path.isAbsolute()) {
        return path;
      }
    } catch (InvalidPathException e) {
      // Falls through: no path and no absolute path get the same message.
    }
    throw ApiException.invalid("path must be an absolute path, but is \"" + text + "\"");
  }

  private Answer peers(Request request) {
    var json = new JsonWriter().beginArray();
    for (PeerStatus peer : node.peers(Parameters.database(request))) {
      json.beginObject();
      json.name("deviceId").string(peer.deviceId());
      json.name("name").string(peer.name());
      json.name("address").string(peer.address());
      json.name("path").string(peer.path());
      json.name("direction").string(peer.direction());
      json.name("state").string(peer.state());
      json.name("lag").number(peer.lag());
      json.name("bytesSent").number(peer.bytesSent());
      json.name("bytesReceived").number(peer.bytesReceived());
      json.name("roundTripMicros").number(peer.roundTripMicros());
      json.name("lastError").string(peer.lastError());
      json.endObject();
    }
    return Answer.of(json.endArray());
  }

  private Answer devices(Request request) {
    var json = new JsonWriter().beginArray();
    for (Device device : node.devices(Parameters.database(request))) {
      device(json, device);
    }
    return Answer.of(json.endArray());
  }

  private static void device(JsonWriter json, Device device) {
    Role role = device.role();
    json.beginObject();
    json.name("deviceId").string(device.deviceId());
    json.name("name").string(device.name());
    json.name("role").string(role == null ? "none" : role.toString());
    json.name("state").string(device.state());
    json.name("since").number(device.since().toEpochMilli());
    json.name("connected").bool(device.connected());
    json.name("self").bool(device.self());
    json.name("voided").number(device.voided());
    json.name("forked").bool(device.forked());
    json.endObject();
  }

  private Answer approve(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("device", "role"));
    Role role = body.has("role") ? Role.parse(body.string("role")) : null;
    var json = new JsonWriter();
    device(json, node.approve(Parameters.database(request), body.string("device"), role));
    return Answer.of(json);
  }

  private Answer revoke(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("device", "keep"));
    Role keep = body.has("keep") ? Role.parse(body.string("keep")) : null;
    var json = new JsonWriter();
    device(json, node.revoke(Parameters.database(request), body.string("device"), keep));
    return Answer.of(json);
  }

  private Answer adopt(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("device"));
    long changes = node.adopt(Parameters.database(request), body.string("device"));
    return Answer.of(new JsonWriter().beginObject().name("changes").number(changes).endObject());
  }

  private Answer doctor(Request request) {
    String database = Parameters.database(request);
    String against = Parameters.optional(request, "against");
    var findings = new ArrayList<Finding>();
    if (against == null) {
      findings.addAll(node.doctor(database));
    } else {
      findings.add(node.doctorAgainst(database, against).join());
    }
    var json = new JsonWriter().beginObject();
    boolean ok = findings.stream().noneMatch(f -> f.status() == Finding.Status.ERROR);
    json.name("ok").bool(ok).name("checks").beginArray();
    for (Finding finding : findings) {
      json.beginObject();
      json.name("name").string(finding.name());
      json.name("status").string(finding.status().toString());
      json.name("message").string(finding.message());
      json.name("remediation").string(finding.remediation());
      json.endObject();
    }
    return Answer.of(json.endArray().endObject());
  }

  private Answer connect(Request request) {
    String text = address(request);
    node.connect(Parameters.database(request), Addresses.parseToDial(text));
    return Answer.of(new JsonWriter().beginObject().name("address").string(text).endObject());
  }

  private Answer disconnect(Request request) {
    String text = address(request);
    if (!node.disconnect(Parameters.database(request), Addresses.parseToDial(text))) {
      throw new NodeException(
          "NODE_UNKNOWN_ADDRESS",
          text + " is not among the addresses of this database",
          "peers lists them");
    }
    return Answer.of(new JsonWriter().beginObject().name("address").string(text).endObject());
  }

  private static String address(Request request) {
    return JsonMembers.read(request.bytes(), "the body", List.of("address")).string("address");
  }

  private Answer sync(Request request) {
    if (request.bytes().length > 0) {
      JsonMembers.read(request.bytes(), "the body", List.of(Api.DATABASE));
    }
    String database = Parameters.database(request);
    node.sync(database);
    int peers = node.status(database).peers();
    return Answer.of(new JsonWriter().beginObject().name("peers").number(peers).endObject());
  }

  private Answer invite(Request request) {
    byte[] bytes = request.bytes().length == 0 ? new byte[] {'{', '}'} : request.bytes();
    var body = JsonMembers.read(bytes, "the body", List.of("role", "expiresSeconds", "approval"));
    Role role = body.has("role") ? Role.parse(body.string("role")) : Role.WRITE;
    var validity =
        Duration.ofSeconds(
            body.integer(
                "expiresSeconds",
                SHORTEST_INVITE.toSeconds(),
                LONGEST_INVITE.toSeconds(),
                Node.DEFAULT_INVITE_VALIDITY.toSeconds()));
    boolean approval = body.bool("approval", false);
    Node.Invite invite = node.invite(Parameters.database(request), role, validity, approval);
    return Answer.of(
        new JsonWriter()
            .beginObject()
            .name("url")
            .string(invite.url())
            .name("expires")
            .number(invite.expires().toEpochMilli())
            .endObject());
  }

  private Answer join(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("url", "prefixes"));
    var prefixes = new ArrayList<String>();
    if (body.has("prefixes")) {
      for (JsonMembers.Slice prefix : body.elements("prefixes", KeyScope.MAX_PREFIXES)) {
        prefixes.add(JsonMembers.text(prefix, "prefixes"));
      }
    }
    Node.Joined joined =
        node.join(Parameters.database(request), body.string("url"), prefixes).join();
    return Answer.of(
        new JsonWriter()
            .beginObject()
            .name("database")
            .string(joined.database())
            .name("id")
            .string(joined.id())
            .name("role")
            .string(joined.role().toString())
            .name("carriedOver")
            .number(joined.carriedOver())
            .endObject());
  }
}
