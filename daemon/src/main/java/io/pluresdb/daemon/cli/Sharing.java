package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.io.PrintStream;
import java.time.Duration;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Commands about this device, its members and its peers. */
final class Sharing {
  private static final byte[] NO_BODY = {};

  private Sharing() {}

  private static byte[] object(String name, String value) {
    return new JsonWriter().beginObject().name(name).string(value).endObject().toByteArray();
  }

  private static byte[] sendToDaemon(Root root, Request request) throws InterruptedException {
    try (var client = root.daemon()) {
      return client.call(root.chosen(request));
    }
  }

  @Command(name = "status", description = "Print how this device and its databases are.")
  static final class Status implements Callable<Integer> {
    private final Root root;

    @Option(names = "--detailed", description = "Also print ids, hashes and sizes.")
    private boolean detailed;

    Status(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.get("/api/status"));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> status = Json.parse(answer).members();
      var out = root.io().out();
      var uptime = Duration.ofMillis(Long.parseLong(Json.text(status, "uptimeMillis")));
      out.println("version  " + Json.text(status, "version"));
      out.println("device   " + Json.text(status, "deviceId"));
      out.println("up       " + uptime.toSeconds() + " s");
      out.println();
      var databases = status.getOrDefault("databases", Json.NONE).objects();
      var table =
          new Table("DATABASE", "ROLE", "DOCUMENTS", "PEERS", "PENDING", "FRONTIER", "STATE");
      for (Map<String, Json> database : databases) {
        table.row(
            Json.text(database, "name"),
            Json.text(database, "role"),
            Json.text(database, "documents"),
            Json.text(database, "peers"),
            Json.text(database, "pending"),
            Json.text(database, "frontierHash").substring(0, 8),
            Json.text(database, "stateHash").substring(0, 8));
      }
      table.print(out);
      network(status.getOrDefault("network", Json.NONE).members());
      relays(status.getOrDefault("relays", Json.NONE).objects());
      portMapping(status.getOrDefault("portMapping", Json.NONE).members());
      if (detailed) {
        databases.forEach(this::details);
      }
      return Main.OK;
    }

    private void network(Map<String, Json> network) {
      if (network.containsKey("udp") && !Json.text(network, "udp").isEmpty()) {
        root.io().out().println();
        root.io()
            .out()
            .println(
                "udp "
                    + Json.text(network, "udp")
                    + "  quic "
                    + Json.text(network, "quic")
                    + "  nat "
                    + Json.text(network, "nat"));
      }
    }

    private void portMapping(Map<String, Json> mapping) {
      var mappings = mapping.getOrDefault("mappings", Json.NONE).objects();
      if (mappings.isEmpty()) {
        return;
      }
      var table = new Table("PORT", "EXTERNAL", "BY", "LEASE");
      for (Map<String, Json> one : mappings) {
        table.row(
            Json.text(one, "kind") + " " + Json.text(one, "port"),
            Json.text(one, "external"),
            Json.text(mapping, "protocol"),
            Json.text(one, "leaseSeconds") + " s");
      }
      root.io().out().println();
      table.print(root.io().out());
    }

    private void relays(List<Map<String, Json>> relays) {
      if (relays.isEmpty()) {
        return;
      }
      var table = new Table("RELAY", "STATE", "PEERS", "NOTE");
      for (Map<String, Json> relay : relays) {
        boolean connected = Json.text(relay, "connected").equals("true");
        String interceptor = Json.text(relay, "intercepted");
        table.row(
            Json.text(relay, "url"),
            !connected ? "connecting" : interceptor.isEmpty() ? "connected" : "intercepted",
            Json.text(relay, "peers"),
            interceptor.isEmpty()
                ? Json.text(relay, "lastError")
                : "TLS is intercepted, certificate by " + interceptor);
      }
      root.io().out().println();
      table.print(root.io().out());
    }

    private void details(Map<String, Json> database) {
      var out = root.io().out();
      out.println();
      for (String name :
          new String[] {"name", "id", "topic", "frontierHash", "stateHash", "bytesOnDisk"}) {
        out.println(String.format("%-13s%s", name, Json.text(database, name)));
      }
      List<String> prefixes =
          database.getOrDefault("prefixes", Json.NONE).elements().stream().map(Json::text).toList();
      if (!prefixes.isEmpty()) {
        out.println(String.format("%-13s%s", "prefixes", String.join(" ", prefixes)));
      }
      database
          .getOrDefault("frontier", Json.NONE)
          .members()
          .forEach(
              (actor, head) ->
                  out.println(
                      String.format(
                          "%-13s%s seq %s hash %s",
                          "actor",
                          actor,
                          Json.text(head.members(), "seq"),
                          Json.text(head.members(), "hash"))));
      log(out, database.getOrDefault("log", Json.NONE).members());
    }
  }

  static void log(PrintStream out, Map<String, Json> log) {
    long arrivals = Long.parseLong(Json.text(log, "arrivals"));
    long floor = Long.parseLong(Json.text(log, "floor"));
    String heldBackBy = Json.text(log, "heldBackBy");
    out.println(String.format("%-13s%d of %d changes kept", "log", arrivals - floor, arrivals));
    for (Map<String, Json> member : log.getOrDefault("members", Json.NONE).objects()) {
      Instant heard = Instant.ofEpochMilli(Long.parseLong(Json.text(member, "heard")));
      String id = Json.text(member, "deviceId");
      out.println(
          String.format(
              "%-13s%s (%s) %s, %s changes behind, heard of %s%s",
              "member",
              id,
              Json.text(member, "name"),
              Json.text(member, "state"),
              Json.text(member, "behind"),
              heard.truncatedTo(ChronoUnit.SECONDS),
              id.equals(heldBackBy) ? ": holds the log" : ""));
    }
  }

  @Command(name = "invite", description = "Make an invite for one device.")
  static final class Invite implements Callable<Integer> {
    private final Root root;

    @Option(
        names = "--role",
        paramLabel = "R",
        description = "pull, read, write or admin (default: write).")
    private @Nullable String role;

    @Option(
        names = "--expires",
        paramLabel = "D",
        description = "How long it is valid: 30m, 24h, 7d (default: 24h).")
    private @Nullable String expires;

    @Option(
        names = "--approve",
        description = "Whoever comes with it waits until approve lets it in.")
    private boolean approval;

    @Option(names = "--no-qr", description = "Print no QR code; piped, invite prints the URL only.")
    private boolean noQr;

    Invite(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject();
      if (role != null) {
        body.name("role").string(role);
      }
      if (expires != null) {
        body.name("expiresSeconds").number(seconds(expires));
      }
      if (approval) {
        body.name("approval").bool(true);
      }
      byte[] answer = root.call(Request.post("/api/invite", body.endObject().toByteArray()));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> invite = Json.parse(answer).members();
      String url = Json.text(invite, "url");
      if (!root.io().screen()) {
        // For the command that it is piped to.
        root.io().out().println(url);
        return Main.OK;
      }
      if (!noQr) {
        root.io().out().print(QrText.of(url));
      }
      root.io().out().println(url);
      root.io().out().println("valid until " + Json.time(invite, "expires"));
      return Main.OK;
    }

    static long seconds(String text) {
      try {
        long count = Long.parseLong(text, 0, text.length() - 1, 10);
        long unit =
            switch (text.charAt(text.length() - 1)) {
              case 's' -> 1;
              case 'm' -> 60;
              case 'h' -> 3_600;
              case 'd' -> 86_400;
              default -> throw new NumberFormatException("unit");
            };
        return Math.multiplyExact(count, unit);
      } catch (NumberFormatException | IndexOutOfBoundsException | ArithmeticException e) {
        throw CliException.usage(
            "--expires must be a number with s, m, h or d, but is \"" + text + "\"",
            "for example --expires 24h");
      }
    }
  }

  @Command(name = "join", description = "Join the database of an invite; syncing starts at once.")
  static final class Join implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "URL", description = "What invite printed on the other device.")
    private String url = "";

    @Option(
        names = "--prefix",
        paramLabel = "P",
        description =
            "Hold only the documents whose ids begin with P; may be given several times, and cannot"
                + " be changed later.")
    private List<String> prefixes = new ArrayList<>();

    Join(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject().name("url").string(url);
      body.name("prefixes").beginArray();
      prefixes.forEach(body::string);
      byte[] json = body.endArray().endObject().toByteArray();
      byte[] answer = sendToDaemon(root, Request.post("/api/join", json));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> joined = Json.parse(answer).members();
      root.io()
          .out()
          .println(
              "joined "
                  + Json.text(joined, "database")
                  + " with role "
                  + Json.text(joined, "role")
                  + "; documents carried over: "
                  + Json.text(joined, "carriedOver"));
      return Main.OK;
    }
  }

  @Command(name = "devices", description = "Print the members of the database.")
  static final class Devices implements Callable<Integer> {
    private final Root root;

    Devices(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.get("/api/devices"));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      var table = new Table("NAME", "ROLE", "STATE", "CONNECTED", "SINCE", "VOID", "DEVICE");
      boolean voided = false;
      for (Map<String, Json> device : Json.parse(answer).objects()) {
        boolean self = Json.text(device, "self").equals("true");
        table.row(
            Json.text(device, "name"),
            Json.text(device, "role"),
            Json.text(device, "state"),
            self ? "this" : Json.text(device, "connected").equals("true") ? "yes" : "no",
            Json.time(device, "since"),
            Json.text(device, "voided"),
            Json.text(device, "deviceId"));
        voided |= !Json.text(device, "voided").equals("0");
      }
      table.print(root.io().out());
      if (voided) {
        root.io().out().println("VOID: changes kept here that do not count; adopt takes them over");
      }
      for (Map<String, Json> device : Json.parse(answer).objects()) {
        if (Json.text(device, "forked").equals("true")) {
          root.io()
              .out()
              .println(
                  "warning: "
                      + Json.text(device, "name")
                      + " wrote twice under one actor: a copy of its data directory is in use, or"
                      + " its key is in other hands");
        }
      }
      return Main.OK;
    }
  }

  @Command(
      name = "approve",
      description = "Let a device in that waits or was removed, or give it another role.")
  static final class Approve implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "DEVICE", description = "Its id, the start of it, or its name.")
    private String device = "";

    @Option(names = "--role", paramLabel = "R", description = "pull, read, write or admin.")
    private @Nullable String role;

    Approve(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject().name("device").string(device);
      if (role != null) {
        body.name("role").string(role);
      }
      byte[] answer = root.call(Request.post("/api/approve", body.endObject().toByteArray()));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> approved = Json.parse(answer).members();
      root.io()
          .out()
          .println(Json.text(approved, "name") + " has the role " + Json.text(approved, "role"));
      return Main.OK;
    }
  }

  @Command(
      name = "revoke",
      description = {
        "Remove a device from the database, or leave it a lesser role.",
        "What is here of it stays; what it did and did not send counts nowhere."
      })
  static final class Revoke implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "DEVICE", description = "Its id, the start of it, or its name.")
    private String device = "";

    @Option(
        names = "--keep",
        paramLabel = "R",
        description = "The role it keeps: pull, read, write.")
    private @Nullable String keep;

    Revoke(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      var body = new JsonWriter().beginObject().name("device").string(device);
      if (keep != null) {
        body.name("keep").string(keep);
      }
      byte[] answer = root.call(Request.post("/api/revoke", body.endObject().toByteArray()));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> revoked = Json.parse(answer).members();
      String name = Json.text(revoked, "name");
      String role = Json.text(revoked, "role");
      root.io()
          .out()
          .println(role.equals("none") ? name + " was removed" : name + " keeps the role " + role);
      return Main.OK;
    }
  }

  @Command(
      name = "adopt",
      description = "Write again, as this device, what a device did that does not count.")
  static final class Adopt implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "DEVICE", description = "Its id, the start of it, or its name.")
    private String device = "";

    Adopt(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.post("/api/adopt", object("device", device)));
      if (root.json()) {
        root.print(answer);
      } else {
        String changes = Json.text(Json.parse(answer).members(), "changes");
        root.io().out().println("adopted " + changes + " changes");
      }
      return Main.OK;
    }
  }

  @Command(name = "connect", description = "Keep a peer's address connected, also after restarts.")
  static final class Connect implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "HOST:PORT", description = "Where the peer listens.")
    private String address = "";

    Connect(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.post("/api/connect", object("address", address)));
      if (root.json()) {
        root.print(answer);
      } else {
        root.io().out().println("connecting " + address + "; peers shows how it goes");
      }
      return Main.OK;
    }
  }

  @Command(name = "disconnect", description = "Forget a peer's address and end its session.")
  static final class Disconnect implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "HOST:PORT", description = "The address, as peers shows it.")
    private String address = "";

    Disconnect(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.post("/api/disconnect", object("address", address)));
      if (root.json()) {
        root.print(answer);
      } else {
        root.io().out().println("disconnected " + address);
      }
      return Main.OK;
    }
  }

  @Command(name = "peers", description = "Print the sessions and wanted addresses.")
  static final class Peers implements Callable<Integer> {
    private final Root root;

    Peers(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.get("/api/peers"));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      var table =
          new Table(
              "NAME",
              "ADDRESS",
              "STATE",
              "PATH",
              "RTT",
              "DIRECTION",
              "LAG",
              "SENT",
              "RECEIVED",
              "LAST ERROR");
      for (Map<String, Json> peer : Json.parse(answer).objects()) {
        table.row(
            Json.text(peer, "name"),
            Json.text(peer, "address"),
            Json.text(peer, "state"),
            Json.text(peer, "path"),
            millis(Json.text(peer, "roundTripMicros")),
            Json.text(peer, "direction"),
            Json.text(peer, "lag"),
            Json.text(peer, "bytesSent"),
            Json.text(peer, "bytesReceived"),
            Json.text(peer, "lastError"));
      }
      table.print(root.io().out());
      return Main.OK;
    }
  }

  /** Milliseconds with one digit behind the point; nothing for 0, which is not known. */
  private static String millis(String micros) {
    long value = Long.parseLong(micros);
    return value == 0 ? "" : String.format(Locale.ROOT, "%.1f ms", value / 1_000.0);
  }

  @Command(name = "sync", description = "Try every address now and compare with every peer.")
  static final class Sync implements Callable<Integer> {
    private final Root root;

    Sync(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = sendToDaemon(root, Request.post("/api/sync", NO_BODY));
      if (root.json()) {
        root.print(answer);
      } else {
        String peers = Json.text(Json.parse(answer).members(), "peers");
        root.io().out().println("comparing with " + peers + " connected peers");
      }
      return Main.OK;
    }
  }
}
