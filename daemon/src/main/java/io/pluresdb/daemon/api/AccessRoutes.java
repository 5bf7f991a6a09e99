package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.AuditLog;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.access.Token;
import io.pluresdb.daemon.access.Tokens;
import java.time.Duration;
import java.time.Instant;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** Routes about who may use this interface, and what was done with it. */
final class AccessRoutes {
  private static final int BODY_BYTES = 64 << 10;
  private static final int MAX_DATABASES = 256;
  private static final int DEFAULT_ACTS = 100;
  private static final int MAX_ACTS = 10_000;

  private final Tokens tokens;
  private final AuditLog audit;

  AccessRoutes(Tokens tokens, AuditLog audit) {
    this.tokens = tokens;
    this.audit = audit;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/api/tokens", Level.ADMIN, "the tokens; not their secrets, which nobody keeps")
            .answers("Token[]")
            .waiting(request -> list()),
        Route.post("/api/tokens", Level.ADMIN, "makes a token and tells its secret once")
            .about("name")
            .body(
                "{name: string(1..64), scope?: Scope, databases?: string[256], expiresSeconds?:"
                    + " integer(60..315360000)}",
                BODY_BYTES)
            .answers("{name: string, secret: string}")
            .waiting(this::create),
        Route.delete("/api/tokens", Level.ADMIN, "revokes a token")
            .about("name")
            .must("name", "string(1..64)", "which")
            .answers("{revoked: string}")
            .waiting(this::revoke),
        Route.get("/api/audit", Level.ADMIN, "what administrators did, newest first")
            .may("limit", "integer(1..10000)", "most of them; default is 100")
            .answers("AuditEntry[]")
            .waiting(this::audit));
  }

  private Answer list() {
    var json = new JsonWriter().beginArray();
    for (Token token : tokens.all()) {
      json.beginObject().name("name").string(token.name());
      json.name("scope").string(token.level().text());
      json.name("databases").beginArray();
      new TreeSet<>(token.databases()).forEach(json::string);
      json.endArray().name("created").number(token.created().toEpochMilli());
      moment(json.name("expires"), token.expires());
      moment(json.name("lastUsed"), tokens.lastUsed(token.name()));
      json.endObject();
    }
    return Answer.of(json.endArray());
  }

  private static void moment(JsonWriter json, @Nullable Instant at) {
    if (at == null) {
      json.nothing();
    } else {
      json.number(at.toEpochMilli());
    }
  }

  private Answer create(Request request) {
    var body =
        JsonMembers.read(
            request.bytes(), "the body", List.of("name", "scope", "databases", "expiresSeconds"));
    Set<String> databases = new HashSet<>();
    if (body.has("databases")) {
      for (JsonMembers.Slice database : body.elements("databases", MAX_DATABASES)) {
        databases.add(JsonMembers.text(database, "databases"));
      }
    }
    long seconds =
        body.integer("expiresSeconds", Tokens.SHORTEST.toSeconds(), Tokens.LONGEST.toSeconds(), 0);
    String secret =
        tokens.create(
            body.string("name"),
            body.has("scope") ? Level.parse(body.string("scope")) : Level.READ,
            databases,
            seconds == 0 ? null : Duration.ofSeconds(seconds));
    return Answer.of(
        new JsonWriter()
            .beginObject()
            .name("name")
            .string(body.string("name"))
            .name("secret")
            .string(secret)
            .endObject());
  }

  private Answer revoke(Request request) {
    String name = Parameters.required(request, "name");
    tokens.revoke(name);
    return Answer.of(new JsonWriter().beginObject().name("revoked").string(name).endObject());
  }

  private Answer audit(Request request) {
    long limit = Parameters.integer(request, "limit", 1, DEFAULT_ACTS);
    if (limit > MAX_ACTS) {
      throw ApiException.invalid("limit must be 1 to " + MAX_ACTS + ", but is " + limit);
    }
    var json = new JsonWriter().beginArray();
    for (AuditLog.Entry entry : audit.newest((int) limit)) {
      json.beginObject().name("time").number(entry.time());
      json.name("who").string(entry.who()).name("act").string(entry.act());
      json.name("database").string(entry.database());
      json.name("subject").string(entry.subject());
      json.name("outcome").string(entry.outcome()).endObject();
    }
    return Answer.of(json.endArray());
  }
}
