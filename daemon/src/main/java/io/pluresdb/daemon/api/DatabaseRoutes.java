package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.Quota;
import java.util.List;

/** Routes about which databases there are. */
final class DatabaseRoutes {
  private static final int BODY_BYTES = 64 << 10;
  private static final String NAME = "string(1..63)";
  private static final String QUOTA = "bytes?: integer(0..), documents?: integer(0..)";

  private final Node node;

  DatabaseRoutes(Node node) {
    this.node = node;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/api/databases", Level.READ, "the databases of this device")
            .ofVisible()
            .answers("DatabaseEntry[]")
            .waiting(this::list),
        Route.post("/api/databases", Level.ADMIN, "makes a database, with a quota if wanted")
            .about("name")
            .body("{name: " + NAME + ", " + QUOTA + "}", BODY_BYTES)
            .answers("DatabaseEntry")
            .waiting(this::create),
        Route.delete("/api/databases", Level.ADMIN, "deletes a database from this device")
            .about("name")
            .must("name", NAME, "which")
            .must("confirm", NAME, "its name once more")
            .answers("{dropped: string}")
            .waiting(this::drop),
        Route.post("/api/databases/move", Level.ADMIN, "gives a database another name")
            .about("name")
            .body("{name: " + NAME + ", to: " + NAME + "}", BODY_BYTES)
            .answers("DatabaseEntry")
            .waiting(this::move),
        Route.post(
                "/api/databases/copy",
                Level.ADMIN,
                "makes a database of its own out of the documents of another")
            .about("name")
            .body("{name: " + NAME + ", to: " + NAME + "}", BODY_BYTES)
            .answers("{name: string, copied: integer}")
            .waiting(this::copy),
        Route.post(
                "/api/databases/quota",
                Level.ADMIN,
                "sets a quota; 0 is no limit, what is left out stays")
            .about("name")
            .body("{name: " + NAME + ", " + QUOTA + "}", BODY_BYTES)
            .answers("DatabaseEntry")
            .waiting(this::limit));
  }

  private Answer list(Request request) {
    var json = new JsonWriter().beginArray();
    request.caller().visible(node.databases()).forEach(name -> entry(json, name));
    return Answer.of(json.endArray());
  }

  private Answer entry(String name) {
    var json = new JsonWriter();
    entry(json, name);
    return Answer.of(json);
  }

  private void entry(JsonWriter json, String name) {
    Node.DatabaseStatus status = node.status(name);
    json.beginObject();
    json.name("name").string(name);
    json.name("id").string(status.id());
    json.name("role").string(status.role());
    json.name("documents").number(status.store().documents());
    json.name("bytesOnDisk").number(status.bytesOnDisk());
    json.name("peers").number(status.peers());
    json.name("quota");
    quota(json, node.quota(name));
    json.endObject();
  }

  static void quota(JsonWriter json, Quota quota) {
    json.beginObject().name("bytes").number(quota.bytes());
    json.name("documents").number(quota.documents()).endObject();
  }

  private static Quota quota(JsonMembers body, Quota otherwise) {
    return new Quota(
        body.integer("bytes", 0, Long.MAX_VALUE, otherwise.bytes()),
        body.integer("documents", 0, Long.MAX_VALUE, otherwise.documents()));
  }

  private Answer create(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("name", "bytes", "documents"));
    String name = body.string("name");
    node.createDatabase(name, quota(body, Quota.NONE));
    return entry(name);
  }

  private Answer drop(Request request) {
    String name = Parameters.required(request, "name");
    String confirmed = Parameters.required(request, "confirm");
    if (!confirmed.equals(name)) {
      throw ApiException.invalid(
          "confirm must be the name of the database, \""
              + name
              + "\", but is \""
              + confirmed
              + "\"");
    }
    node.dropDatabase(name);
    return Answer.of(new JsonWriter().beginObject().name("dropped").string(name).endObject());
  }

  private Answer move(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("name", "to"));
    node.moveDatabase(body.string("name"), body.string("to"));
    return entry(body.string("to"));
  }

  private Answer copy(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("name", "to"));
    long copied = node.copyDatabase(body.string("name"), body.string("to"));
    return Answer.of(
        new JsonWriter()
            .beginObject()
            .name("name")
            .string(body.string("to"))
            .name("copied")
            .number(copied)
            .endObject());
  }

  private Answer limit(Request request) {
    var body = JsonMembers.read(request.bytes(), "the body", List.of("name", "bytes", "documents"));
    String name = body.string("name");
    node.limit(name, quota(body, node.quota(name)));
    return entry(name);
  }
}
