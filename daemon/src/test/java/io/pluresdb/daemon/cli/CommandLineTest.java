package io.pluresdb.daemon.cli;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.sun.net.httpserver.HttpServer;
import io.pluresdb.daemon.Eventually;
import io.pluresdb.daemon.api.LocalClient;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.node.DataDirectory;
import io.pluresdb.transport.relay.RelayToken;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.sql.DriverManager;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipFile;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Commands as people type them, against a real node: without a daemon and with one. */
@Timeout(120)
class CommandLineTest {
  @TempDir Path directory;

  private Thread daemon = Thread.ofVirtual().start(() -> {});
  private CountDownLatch stop = new CountDownLatch(1);

  private Typed.Result run(String... arguments) {
    return runWith("", arguments);
  }

  private Typed.Result runWith(String stdin, String... arguments) {
    return Typed.run(dataDir(), stdin, arguments);
  }

  private Path dataDir() {
    return directory.resolve("d");
  }

  private void good(String expected, String... arguments) {
    Typed.Result result = run(arguments);
    assertThat(result.err()).isEmpty();
    assertThat(result.out()).isEqualTo(expected);
    assertThat(result.code()).isZero();
  }

  private static List<String> serving(String... more) {
    var all = new ArrayList<>(List.of("serve", "--port", "0", "--listen", "127.0.0.1:0"));
    all.addAll(List.of("--no-lan", "--log-level", "error"));
    all.addAll(List.of(more));
    return all;
  }

  private String serve(String... more) {
    return awaitReady(launch(more));
  }

  /** Starts the daemon; returns what it prints. */
  private ByteArrayOutputStream launch(String... more) {
    var out = new ByteArrayOutputStream();
    var all = new ArrayList<>(List.of("--data-dir", dataDir().toString()));
    all.addAll(serving(more));
    Io io = Typed.io("", out, new ByteArrayOutputStream());
    stop = io.stop();
    daemon = Thread.ofPlatform().start(() -> new Main(io).run(all.toArray(String[]::new)));
    return out;
  }

  private String awaitReady(ByteArrayOutputStream out) {
    Eventually.await(
        "it is ready or has ended",
        () -> out.toString(StandardCharsets.UTF_8).endsWith("ms\n") || !daemon.isAlive());
    return out.toString(StandardCharsets.UTF_8);
  }

  @AfterEach
  void stop() throws InterruptedException {
    stop.countDown();
    daemon.join(Duration.ofSeconds(20));
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void databasesAndTokens_withAndWithoutADaemon_areTheSame(boolean served) throws Exception {
    run("init", dataDir().toString());
    if (served) {
      serve();
    }
    good("made database work\n", "db", "create", "work", "--max-documents", "1");
    good("put a\n", "--db", "work", "put", "a", "1");
    assertThat(run("--db", "work", "put", "b", "1").err())
        .contains("NODE_QUOTA_EXCEEDED", "quota.documents is 1");
    good(
        "quota of work: 2097152 bytes\n",
        "db",
        "quota",
        "work",
        "--max-bytes",
        "2M",
        "--max-documents",
        "0");
    good("copied 1 documents to database copy\n", "db", "copy", "work", "copy");
    good("moved database copy to other\n", "db", "move", "copy", "other");
    assertThat(run("db", "list").out().lines())
        .anySatisfy(line -> assertThat(line).startsWith("other").endsWith("2097152 bytes"));
    good("1\n", "--db", "other", "get", "a");
    assertThat(run("db", "drop", "other").code()).isEqualTo(2);
    good("dropped database other\n", "db", "drop", "other", "--confirm", "other");
    assertThat(run("--db", "other", "get", "a").code()).isEqualTo(3);
    assertThat(run("token", "create", "app", "--databases", "work", "--expires", "1d").out())
        .startsWith("plt_");
    assertThat(run("token", "list").out()).contains("app   read   work");
    good("revoked token app\n", "token", "revoke", "app");
    assertThat(run("audit").out().lines().skip(1).findFirst().orElseThrow())
        .contains("DELETE /api/tokens", "app", "ok");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void edges_withAndWithoutADaemon_areTheSame(boolean served) throws Exception {
    run("init", dataDir().toString());
    if (served) {
      serve();
    }
    run("put", "ann", "{}");
    run("put", "ben", "{}");
    String made = run("edge", "add", "ann", "knows", "ben", "{\"since\":1999}").out();
    assertThat(made).startsWith("put edge:");
    String id = made.substring(4).strip();
    assertThat(run("get", id).out())
        .isEqualTo(
            "{\"_edge\":true,\"from\":\"ann\",\"relation\":\"knows\",\"since\":1999,"
                + "\"to\":\"ben\"}\n");
    assertThat(run("edge", "list", "ben").out().lines().skip(1))
        .singleElement()
        .asString()
        .matches("ann +knows +ben +" + id);
    assertThat(run("--json", "edge", "list", "ann", "--direction", "out").out())
        .isEqualTo(
            "{\"id\":\"" + id + "\",\"from\":\"ann\",\"relation\":\"knows\",\"to\":\"ben\"}\n");
    assertThat(run("edge", "list", "ann", "--relation", "likes").out().lines()).hasSize(1);
    assertThat(run("edge", "list", "ann", "--direction", "up").err()).contains("direction must be");
    good("edges 1\n", "edge", "rebuild");
    good("deleted " + id + "\n", "edge", "drop", "ann", "knows", "ben");
    assertThat(run("edge", "drop", "ann", "knows", "ben").code()).isEqualTo(3);
    assertThat(run("edge", "list", "ben").out().lines()).hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void documents_withAndWithoutADaemon_areTheSame(boolean served) throws Exception {
    good("Made " + dataDir() + ".\n", "init", dataDir().toString());
    if (served) {
      assertThat(serve()).startsWith("pluresdb ready: ");
    }
    good("put a\n", "put", "a", "{\"b\": [1, 2]}");
    good("{\"b\":[1,2]}\n", "get", "a");
    good("patched a\n", "patch", "a", "{\"c\":true}");
    assertThat(run("get", "a", "--metadata").out()).contains("\"clock\":{", "\"conflicts\":[]");
    assertThat(run("get", "a", "--json").out()).startsWith("{\"id\":\"a\",\"data\":{");
    assertThat(runWith("\"from stdin\"", "put", "s", "-").out()).isEqualTo("put s\n");
    Files.writeString(directory.resolve("x.json"), "[7]");
    good("{\"id\":\"f\"}\n", "--json", "put", "f", "@" + directory.resolve("x.json"));
    assertThat(run("list").out().lines()).hasSize(3).allMatch(line -> line.startsWith("{\"id\""));
    assertThat(run("list", "--prefix", "f", "--limit", "1").out()).contains("[7]");
    good("deleted f\n", "delete", "f");
    assertThat(run("conflicts").out()).startsWith("ID  PATH");
    assertThat(run("history", "a").out().lines())
        .hasSize(3)
        .first()
        .asString()
        .startsWith("VERSION");
    assertThat(run("history", "a", "--limit", "1").out())
        .contains("updated", "c=true", "more: --before ");
    List<Map<String, Json>> versions =
        Json.parse(bytes(run("history", "a", "--json").out()))
            .members()
            .getOrDefault("versions", Json.NONE)
            .objects();
    String first = Json.text(versions.getLast(), "version");
    good("{\"b\":[1,2]}\n", "get", "a", "--at", first);
    good("reverted a\n", "revert", "a", "--to", first);
    good("{\"b\":[1,2]}\n", "get", "a");
    assertThat(run("get", "a", "--at", "2001-01-01T00:00:00Z").code()).isEqualTo(3);
    assertThat(run("get", "a", "--at", "then").err()).contains("at must be milliseconds");
    assertThat(run("history", "none").code()).isEqualTo(3);
    assertThat(run("revert", "a").code()).isEqualTo(2);
    assertThat(run("conflicts", "--resolve", "b=1").err()).contains("needs the document");
    assertThat(run("conflicts", "a", "--resolve", "b").code()).isEqualTo(2);
    assertThat(run("conflicts", "a", "--resolve", "b=1").err())
        .contains("Error [CORE_CONFLICT_NOT_FOUND]: nothing competes at", "  -> conflicts shows");
    good("put v\n", "put", "v", "1", "--embedding", "[1,0]");
    assertThat(run("vsearch", "--embedding", "[1,1]").out())
        .startsWith("SCORE   ID  DATA\n0.7071  v   1\n");
    assertThat(run("search", "--embedding", "[1,1]", "--json").out()).contains("\"score\":0.70");
    Typed.Result missing = run("get", "none");
    assertThat(missing.code()).isEqualTo(3);
    assertThat(missing.err())
        .isEqualTo(
            """
            Error [CORE_NODE_NOT_FOUND]: document "none" does not exist
              -> list shows the documents that exist
            """);
    assertThat(run("put", "a", "{").code()).isEqualTo(1);
    assertThat(run("put", "a", "{").err()).startsWith("Error [CORE_SERIALIZATION_ERROR]: ");
    assertThat(run("get", "a", "--db", "other").code()).isEqualTo(3);
    assertThat(run("status").out()).contains("DATABASE", "default", "3");
    assertThat(run("status", "--detailed").out())
        .contains("frontierHash", "actor", " changes kept");
    assertThat(run("vacuum").out()).contains(" changes kept");
    assertThat(run("devices").out()).contains("test-device", "admin", "this");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void bulk_goesInAndComesOut(boolean served) throws Exception {
    run("init", dataDir().toString());
    if (served) {
      serve();
    }
    var lines = new StringBuilder();
    for (int i = 0; i < 1_500; i++) {
      lines.append(String.format("{\"id\":\"d%04d\",\"data\":{\"n\":%d}}%n", i, i));
    }
    Path plain = directory.resolve("in.jsonl");
    Files.writeString(plain, lines);
    assertThat(run("import", plain.toString()).out()).startsWith("Imported 1,500 documents in ");
    Path packed = directory.resolve("in.jsonl.gz");
    try (var out = new GZIPOutputStream(Files.newOutputStream(packed))) {
      out.write("{\"id\":\"z\",\"data\":1,\"embedding\":[0.5]}".getBytes(StandardCharsets.UTF_8));
    }
    good("{\"imported\":1}\n", "import", packed.toString(), "--json");
    Path csv = directory.resolve("in.csv");
    Files.writeString(csv, "name,id\r\n\"Ann \"\"A\"\", x\",c1\r\nü,c2\r\n\r\n");
    good("{\"imported\":2}\n", "--json", "import", csv.toString());
    good("{\"name\":\"Ann \\\"A\\\", x\"}\n", "get", "c1");
    assertThat(runWith("{\"id\":\"p\",\"data\":2}", "import", "-").code()).isZero();
    Path exported = directory.resolve("out.jsonl");
    assertThat(run("export", "-o", exported.toString()).err())
        .isEqualTo("Exported 1,504 documents\n");
    assertThat(run("export", "-o", exported.toString()).code()).isEqualTo(1);
    assertThat(run("export", "--prefix", "z").out()).contains("\"embedding\":[0.5]");
    assertThat(run("import", exported.toString()).out()).startsWith("Imported 1,504 ");
    Typed.Result bad = runWith("{\"id\":\"q\",\"data\":1}\n{\"id\":\"r\"}\n", "import", "-");
    assertThat(bad.code()).isEqualTo(1);
    assertThat(bad.err()).contains("line 2: ", "1 documents are in", "  -> correct it");
    good("1\n", "get", "q");
    assertThat(run("import", directory.resolve("none.jsonl").toString()).err())
        .contains("[CLI_FILE]", "cannot be read");
    Files.writeString(csv, "id,a\n1,2,3\n");
    assertThat(run("import", csv.toString()).err()).contains("must have 2 cells, but has 3");
    Files.writeString(csv, "a,b\n1,2\n");
    assertThat(run("import", csv.toString()).err()).contains("must name a column id");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void export_importedElsewhere_bringsTypesAndIndexes(boolean served) throws Exception {
    run("init", dataDir().toString());
    if (served) {
      serve();
    }
    String data = "{\"body\":{\"text\":\"abc\"},\"list\":[2,1],\"n\":1,\"tags\":[\"a\",\"b\"]}";
    run("put", "a", "{\"n\":1}", "--embedding", "[1,0.5]");
    run("edit", "a", "body.text", "text.splice", "0", "0", "abc");
    run("edit", "a", "list", "list.insert", "0", "2", "1");
    run("edit", "a", "tags", "set.add", "\"b\"", "\"a\"");
    // What looks like a line of an export is a document like any other.
    String odd = "{\"id\":\"x\",\"pluresdb\":{\"format\":1},\"types\":{\"n\":\"text\"}}";
    run("put", "odd", odd);
    run("index", "add", "type,year");
    run("index", "add", "genres[]");
    Path file = directory.resolve("out.jsonl");
    assertThat(run("export", "-o", file.toString()).err()).isEqualTo("Exported 2 documents\n");
    List<String> lines = Files.readAllLines(file);
    assertThat(lines.getFirst())
        .startsWith("{\"pluresdb\":{\"format\":1,\"indexes\":[[")
        .contains("[\"type\",\"year\"]", "[\"genres[]\"]");
    run("db", "create", "other");
    good("{\"imported\":2}\n", "--json", "--db", "other", "import", file.toString());
    assertThat(run("--db", "other", "index", "list").out())
        .contains("[\"type\",\"year\"]", "[\"genres[]\"]");
    good(data + "\n", "--db", "other", "get", "a");
    good(odd + "\n", "--db", "other", "get", "odd");
    assertThat(run("--db", "other", "get", "a", "--metadata").out().replace(" ", ""))
        .contains("\"embedding\":[1.0,0.5]");
    assertThat(
            run("--db", "other", "export")
                .out()
                .lines()
                .map(l -> l.replaceAll("\"timestamp\":\\d+", "")))
        .containsExactlyInAnyOrderElementsOf(
            lines.stream().map(l -> l.replaceAll("\"timestamp\":\\d+", "")).toList());
    for (var edit :
        List.of(
            List.of("body.text", "text.splice", "3", "0", "d"),
            List.of("list", "list.move", "0", "1"),
            List.of("tags", "set.remove", "\"a\""))) {
      var arguments = new ArrayList<>(List.of("--db", "other", "edit", "a"));
      arguments.addAll(edit);
      Typed.Result done = run(arguments.toArray(String[]::new));
      assertThat(done.code()).as(done.err()).isZero();
    }
    good(
        "{\"body\":{\"text\":\"abcd\"},\"list\":[1,2],\"n\":1,\"tags\":[\"b\"]}\n",
        "--db",
        "other",
        "get",
        "a");
  }

  @Test
  void serve_announcesItselfAndStopsCleanly() throws Exception {
    String ready = serve();
    assertThat(ready)
        .matches(
            "pluresdb ready: http://127\\.0\\.0\\.1:\\d+ socket .*pluresdb\\.sock peers"
                + " 127\\.0\\.0\\.1:\\d+ in \\d+ ms\\n");
    Path token = dataDir().resolve("api-token");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(token)))
        .isEqualTo("rw-------");
    Ports ports = Ports.read(dataDir());
    try (LocalClient tcp =
        LocalClient.tcp(
            new java.net.InetSocketAddress(
                java.net.InetAddress.ofLiteral("127.0.0.1"), ports.httpAddress().port()),
            Files.readString(token).strip())) {
      assertThat(new String(tcp.call(Request.get("/api/status")), StandardCharsets.UTF_8))
          .contains("\"version\":\"" + Version.text() + "\"");
    }
    String before = Files.readString(token);
    Files.delete(dataDir().resolve("pluresdb.sock"));
    good("put overTcp\n", "put", "overTcp", "1");
    stop.countDown();
    daemon.join();
    assertThat(dataDir().resolve("ports.json")).doesNotExist();
    assertThat(dataDir().resolve("pluresdb.sock")).doesNotExist();
    good("1\n", "get", "overTcp");
    serve();
    assertThat(Files.readString(token)).isEqualTo(before);
  }

  @Test
  void serve_toldToStopWhileItStarts_endsQuietly() {
    endsQuietly(serving());
    assertThat(dataDir().resolve("api-token")).exists();
    assertThat(dataDir().resolve("ports.json")).doesNotExist();
    assertThat(dataDir().resolve("pluresdb.sock")).doesNotExist();
  }

  @Test
  void relay_toldToStopWhileItStarts_endsQuietly() {
    endsQuietly(List.of("relay", "--listen", "127.0.0.1:0"));
  }

  private void endsQuietly(List<String> command) {
    var out = new ByteArrayOutputStream();
    var err = new ByteArrayOutputStream();
    Io io = Typed.io("", out, err);
    io.stop().countDown();
    var all = new ArrayList<>(List.of("--data-dir", dataDir().toString()));
    all.addAll(command);
    assertThat(new Main(io).run(all.toArray(String[]::new))).isZero();
    assertThat(out.toString(StandardCharsets.UTF_8)).isEmpty();
    assertThat(err.toString(StandardCharsets.UTF_8)).isEmpty();
  }

  @Test
  void serve_twice_isRefused() throws Exception {
    serve();
    Typed.Result second =
        run("serve", "--port", "0", "--listen", "127.0.0.1:0", "--no-lan", "--no-dht");
    assertThat(second.code()).isEqualTo(1);
    assertThat(second.err()).contains("Error [STORAGE_LOCKED]: ", "  -> ");
  }

  @Test
  void command_whileAnotherHoldsTheDirectory_waitsForIt() throws Exception {
    run("init", dataDir().toString());
    var put = new CompletableFuture<Typed.Result>();
    try (DataDirectory held = DataDirectory.open(dataDir())) {
      assertThat(held.root()).exists();
      Thread command = Thread.ofPlatform().start(() -> put.complete(run("put", "a", "1")));
      awaitThatWaits(command);
    }
    assertThat(put.get()).isEqualTo(new Typed.Result(0, "put a\n", ""));
  }

  @Test
  void serve_whileACommandHoldsTheDirectory_waitsForIt() throws Exception {
    run("init", dataDir().toString());
    ByteArrayOutputStream out;
    try (DataDirectory held = DataDirectory.open(dataDir())) {
      assertThat(held.root()).exists();
      out = launch();
      awaitThatWaits(daemon);
    }
    // Either it answers already, or this waits in its turn.
    good("put a\n", "put", "a", "1");
    awaitReady(out);
    good("1\n", "get", "a");
  }

  @Test
  void command_whileAnotherHoldsTheDirectoryForTooLong_saysSo() {
    run("init", dataDir().toString());
    try (DataDirectory held = DataDirectory.open(dataDir())) {
      long start = System.nanoTime();
      Typed.Result put = run("put", "a", "1");
      assertThat(Duration.ofNanos(System.nanoTime() - start)).isGreaterThan(Backend.PATIENCE);
      assertThat(put.code()).isEqualTo(1);
      assertThat(put.err()).contains("Error [STORAGE_LOCKED]: ", held.root().toString());
    }
    good("put a\n", "put", "a", "1");
  }

  private static void awaitThatWaits(Thread command) {
    while (Stream.of(command.getStackTrace())
        .noneMatch(frame -> frame.getMethodName().equals("parkNanos"))) {
      assertThat(command.isAlive()).isTrue();
      Thread.onSpinWait();
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"API_BIND_FAILED", "PEERS_BIND_FAILED"})
  void serve_onATakenPort_saysWhichAndWhatToDo(String code) throws Exception {
    try (var taken = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
      String port = String.valueOf(taken.getLocalPort());
      boolean peers = code.startsWith("PEERS");
      Typed.Result serve =
          run(
              "serve",
              "--port",
              peers ? "0" : port,
              "--listen",
              peers ? "127.0.0.1:" + port : "127.0.0.1:0",
              "--no-lan",
              "--no-dht");
      assertThat(serve.code()).isEqualTo(1);
      assertThat(serve.err())
          .contains(
              "Error [" + code + "]: cannot listen ", port, "  -> ", peers ? "--listen" : "--port");
    }
  }

  @Test
  void deviceKeyThatOthersCanRead_isRefusedByName() throws Exception {
    assertThat(run("init").code()).isZero();
    Files.setPosixFilePermissions(
        dataDir().resolve("device.key"), PosixFilePermissions.fromString("rw-r--r--"));
    Typed.Result get = run("get", "x");
    assertThat(get.code()).isEqualTo(1);
    assertThat(get.err()).startsWith("Error [IDENTITY_EXPOSED]: ").contains("device.key", "  -> ");
  }

  @Test
  void sharing_reachesTheDaemon() throws Exception {
    serve();
    Typed.Result invite = run("invite", "--role", "read", "--expires", "2h");
    assertThat(invite.out()).matches("pluresdb://join/[A-Za-z0-9_-]+\n");
    var shown = new ByteArrayOutputStream();
    new Main(Typed.io("", shown, new ByteArrayOutputStream(), true))
        .run("--data-dir", dataDir().toString(), "invite");
    assertThat(shown.toString(StandardCharsets.UTF_8))
        .contains("pluresdb://join/", "valid until ", "▀");
    assertThat(run("invite", "--json").out()).startsWith("{\"url\":\"pluresdb://join/");
    assertThat(run("invite", "--expires", "soon").code()).isEqualTo(2);
    good("connecting 127.0.0.1:9; peers shows how it goes\n", "connect", "127.0.0.1:9");
    assertThat(run("peers").out()).contains("127.0.0.1:9");
    assertThat(run("sync").out()).startsWith("comparing with 0");
    good("disconnected 127.0.0.1:9\n", "disconnect", "127.0.0.1:9");
    assertThat(run("disconnect", "127.0.0.1:9").code()).isEqualTo(3);
    assertThat(run("join", "pluresdb://join/nonsense").err())
        .startsWith("Error [NODE_INVITE_INVALID]: ");
  }

  @Test
  void join_onAnotherDevice_carriesDocumentsOver() throws Exception {
    serve();
    run("put", "a", "{\"from\":\"first\"}");
    run("put", "both", "{\"t\":\"first\"}");
    String url = Json.text(Json.parse(bytes(run("invite", "--json").out())).members(), "url");
    var other = new CommandLineTest();
    other.directory = directory.resolve("other");
    Files.createDirectories(other.directory);
    try {
      other.serve();
      other.run("put", "both", "{\"t\":\"other\"}");
      Typed.Result joined = other.run("join", url);
      assertThat(joined.out()).as(joined.err()).startsWith("joined default with role write");
      Eventually.await("a is there", () -> other.run("get", "a").code() == 0);
      other.good("{\"from\":\"first\"}\n", "get", "a");
      assertThat(other.run("conflicts").out())
          .containsPattern("both +t +winner +test-device +20.* \"other\"\n")
          .containsPattern("both +t +1 +test-device +20.* \"first\"\n");
      other.good("resolved t of both\n", "conflicts", "both", "--resolve", "t=1");
      other.good("{\"t\":\"first\"}\n", "get", "both");
      assertThat(other.run("conflicts", "--json").out()).isEqualTo("[]\n");
    } finally {
      other.stop();
    }
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  @Test
  void commands_thatNeedADaemonOrADirectory_sayWhatToDo() {
    Typed.Result get = run("get", "a");
    assertThat(get.code()).isEqualTo(1);
    assertThat(get.err())
        .contains("Error [NODE_NOT_INITIALIZED]: ", "  -> make one: pluresdb init");
    run("init", dataDir().toString());
    assertThat(run("init", dataDir().toString()).err()).contains("[NODE_ALREADY_INITIALIZED]");
    assertThat(run("init", dataDir().toString(), "--force").code()).isZero();
    for (String[] command : new String[][] {{"watch"}, {"sync"}, {"join", "pluresdb://join/x"}}) {
      assertThat(run(command).err())
          .contains("Error [NODE_NOT_RUNNING]: ", "  -> start one: pluresdb serve");
    }
  }

  @Test
  void usage_wrong_exitsWith2AndSuggests() {
    Typed.Result option = run("list", "--prefx", "a");
    assertThat(option.code()).isEqualTo(2);
    assertThat(option.err()).contains("Error [CLI_USAGE]: Unknown option", "--prefix");
    Typed.Result command = run("lst");
    assertThat(command.code()).isEqualTo(2);
    assertThat(command.err()).contains("[CLI_USAGE]", "no command \"pluresdb lst\"", "list");
    assertThat(run("config", "show").err()).contains("no command \"pluresdb config show\"");
    assertThat(run().err()).contains("a command is missing");
    assertThat(run("put", "a").err()).contains("Missing required parameter", "put --help");
    assertThat(run("serve", "--port", "x").err()).contains("[CONFIG_INVALID]", "api.port must be");
    assertThat(run("serve", "--bind", "0.0.0.0").code()).isEqualTo(2);
    assertThat(run("import", "file.txt").code()).isIn(1, 2);
  }

  @Test
  void help_namesEveryCommand() {
    String help = run("--help").out();
    assertThat(Main.commandNames()).allMatch(name -> help.contains("  " + name));
    assertThat(run("get", "--help").out()).contains("--metadata", "--data-dir");
    assertThat(run("--version").out()).matches("pluresdb \\d+\\.\\d+\\.\\d+.*\\n");
    assertThat(run("completion").out()).contains("_complete_pluresdb");
  }

  @Test
  void command_isTheFirstArgumentThatBelongsToNoOption() {
    assertThat(Main.command("--db", "serve", "-v", "get", "relay")).isEqualTo("get");
    assertThat(Main.command("--data-dir=serve", "--json", "serve", "--proxy", "x"))
        .isEqualTo("serve");
    assertThat(Main.command("--db")).isEmpty();
    assertThat(
            Main.commandLine(
                    Typed.io("", new ByteArrayOutputStream(), new ByteArrayOutputStream()),
                    List.of())
                .getCommandSpec()
                .options()
                .stream()
                .filter(option -> option.arity().max() > 0)
                .flatMap(option -> Stream.of(option.names())))
        .containsExactlyInAnyOrderElementsOf(Main.VALUED);
  }

  @Test
  void config_showsValuesAndOrigins() throws IOException {
    Files.createDirectories(dataDir());
    Files.writeString(dataDir().resolve("config.toml"), "api.port = 7\n");
    assertThat(run("config", "list").out())
        .contains("KEY", "api.port", "config.toml", "peers.listen", "default");
    good("7\n", "config", "get", "api.port");
    Files.writeString(
        dataDir().resolve("config.toml"),
        "api.port = 7\npeers.proxy = 'http://me:hidden@proxy'\npeers.relays = 'ws://hidden@one'\n");
    assertThat(run("config", "list").out()).contains("ws://***@one").doesNotContain("hidden");
    assertThat(run("config", "list", "--json").out())
        .contains("http://***@proxy")
        .doesNotContain("hidden");
    good("ws://hidden@one\n", "config", "get", "peers.relays");
    assertThat(run("--log-level", "debug", "config", "list", "--json").out())
        .contains("{\"key\":\"log.level\",\"value\":\"debug\",\"origin\":\"flag\"}");
    Typed.Result unknown = run("config", "get", "api.prot");
    assertThat(unknown.code()).isEqualTo(2);
    assertThat(unknown.err()).contains("[CONFIG_INVALID]", "  -> the nearest is api.port");
  }

  @Test
  void edit_ofTextsListsAndSets() {
    good("Made " + dataDir() + ".\n", "init", dataDir().toString());
    good("put e\n", "put", "e", "{}");
    good("edited e\n", "edit", "e", "t", "text.splice", "0", "0", "Helo");
    good("edited e\n", "edit", "e", "t", "text.splice", "2", "0", "l");
    good("edited e\n", "edit", "e", "t", "text.splice", "end", "0", "!");
    good("edited e\n", "edit", "e", "l", "list.insert", "end", "1", "{\"a\":2}", "3", "4");
    good("edited e\n", "edit", "e", "l", "list.move", "0", "2");
    good("edited e\n", "edit", "e", "l", "list.set", "0", "\"two\"");
    good("edited e\n", "edit", "e", "l", "list.delete", "3");
    good("edited e\n", "edit", "e", "s", "set.add", "2", "1", "2");
    good("edited e\n", "edit", "e", "s", "set.remove", "2");
    good("{\"l\":[\"two\",3,1],\"s\":[1],\"t\":\"Hello!\"}\n", "get", "e");
    assertThat(run("edit", "e", "t", "text.splice", "9", "0").err())
        .contains("[CORE_INVALID_INPUT]", "at must be 0 to 6 in a text of 6 code points, but is 9");
    assertThat(run("edit", "e", "t", "list.delete", "0").err())
        .contains("holds a text, not a list");
    assertThat(run("edit", "e", "t", "text.cut", "0").err()).contains("no operation \"text.cut\"");
    assertThat(run("edit", "e", "t", "text.splice", "x", "0").err())
        .contains("at must be a whole number");
    assertThat(run("edit", "e", "l", "list.move", "0").err()).contains("list.move takes FROM TO");
    assertThat(run("edit", "no", "t", "text.splice", "0", "0", "x").code()).isEqualTo(3);
  }

  @Test
  void relayTokens_areSignedWithAKeyFile_thatIsMadeOnce() throws Exception {
    Path key = directory.resolve("relay.signing");
    String printed = run("relay", "token", "key", key.toString()).out().strip();
    assertThat(printed).hasSize(64);
    good(printed + "\n", "relay", "token", "key", key.toString());
    String token =
        run("relay", "token", "create", "family", "--key", key.toString(), "--expires", "90d")
            .out()
            .strip();
    var keys = List.of(HexFormat.of().parseHex(printed));
    assertThat(RelayToken.judge(token, keys, Instant.now().plus(Duration.ofDays(89))))
        .isInstanceOfSatisfying(
            RelayToken.Verdict.Valid.class,
            valid -> assertThat(valid.token().name()).isEqualTo("family"));
    assertThat(RelayToken.judge(token, keys, Instant.now().plus(Duration.ofDays(91))))
        .isInstanceOf(RelayToken.Verdict.Invalid.class);
    assertThat(run("relay", "token", "create", "x", "--key", "nowhere", "--expires", "1d").err())
        .contains("[CLI_FILE]", "nowhere");
    assertThat(run("relay", "token", "create", "x", "--key", key.toString()).code()).isEqualTo(2);
    assertThat(
            run("relay", "token", "create", "a b", "--key", key.toString(), "--expires", "1d")
                .err())
        .contains("[CLI_USAGE]", "1 to 32");
    Files.writeString(key, "something else");
    assertThat(run("relay", "token", "key", key.toString()).err()).contains("[CLI_FILE]");
    assertThat(Files.readString(key)).isEqualTo("something else");
  }

  @Test
  void vsearch_ofAText_asksWhatMakesEmbeddings() throws Exception {
    var server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
    server.createContext(
        "/embeddings",
        exchange -> {
          String asked = new String(exchange.getRequestBody().readAllBytes(), UTF_8);
          // One vector for each text: whether it is about cats.
          var vectors = new ArrayList<String>();
          for (String text : asked.replaceAll(".*\\[(.*)\\].*", "$1").split(",", -1)) {
            boolean cat = text.contains("cat");
            vectors.add("{\"embedding\":[" + (cat ? "1,0.1" : "0.1,1") + "]}");
          }
          byte[] answer = ("{\"data\":[" + String.join(",", vectors) + "]}").getBytes(UTF_8);
          exchange.sendResponseHeaders(200, answer.length);
          exchange.getResponseBody().write(answer);
          exchange.close();
        });
    server.start();
    try {
      good("Made " + dataDir() + ".\n", "init", dataDir().toString());
      assertThat(run("vsearch", "cats").err()).contains("CORE_FEATURE_DISABLED", "embedding.model");
      Files.writeString(
          dataDir().resolve("config.toml"),
          "[embedding]\nurl = \"http://127.0.0.1:" + server.getAddress().getPort() + "\"\n");
      serve();
      good("put a\n", "put", "a", "{\"t\":\"my cat sleeps\"}");
      good("put b\n", "put", "b", "{\"t\":\"tax return\"}");
      Eventually.await(
          "both are embedded", () -> run("status", "--json").out().contains("\"embedded\":2"));
      assertThat(run("vsearch", "cats", "--limit", "1").out()).contains("a").doesNotContain("tax");
      assertThat(run("vsearch", "money", "--limit", "1").out()).contains("tax");
    } finally {
      server.stop(0);
    }
    assertThat(run("vsearch", "cats").err()).contains("EMBEDDING_FAILED", "does not answer");
  }

  @Test
  void doctor_tellsWhatIsWrong_byExitCodeToo() throws IOException {
    good("Made " + dataDir() + ".\n", "init", dataDir().toString());
    Typed.Result healthy = run("doctor");
    assertThat(healthy.code()).isZero();
    assertThat(healthy.out()).contains("ok             fingerprints  0 documents");
    assertThat(run("doctor", "--against", "phone").code()).isEqualTo(1);
    Path secrets = dataDir().resolve("databases/default/database.json");
    Files.setPosixFilePermissions(secrets, PosixFilePermissions.fromString("rw-r--r--"));
    Typed.Result open = run("doctor");
    assertThat(open.code()).isEqualTo(2);
    assertThat(open.out())
        .contains("error          permissions   " + secrets, "-> chmod go= " + secrets);
    assertThat(run("doctor", "--json").out()).startsWith("{\"ok\":false,\"checks\":[{\"name\":");
    Path key = dataDir().resolve("device.key");
    Files.setPosixFilePermissions(key, PosixFilePermissions.fromString("rw-r--r--"));
    assertThat(run("doctor").out()).startsWith("error          keys          ");
  }

  @Test
  void doctor_ofAStoreThatCannotBeOpened_isAFinding() throws IOException {
    good("Made " + dataDir() + ".\n", "init", dataDir().toString());
    good("put a\n", "put", "a", "1");
    Files.writeString(dataDir().resolve("databases/default/store/CURRENT"), "nonsense");
    Typed.Result broken = run("doctor");
    assertThat(broken.code()).isEqualTo(2);
    assertThat(broken.out()).startsWith("error          storage       STORAGE_");
  }

  @Test
  void reference_namesEveryCommandAndOption() throws IOException {
    String page =
        Files.readString(Path.of(System.getProperty("pluresdb.root"), "docs/reference/cli.md"));
    var line =
        Main.commandLine(
            Typed.io("", new ByteArrayOutputStream(), new ByteArrayOutputStream()),
            Main.commandNames());
    line.getSubcommands()
        .forEach(
            (name, command) -> {
              assertThat(page).contains("`" + name);
              command
                  .getCommandSpec()
                  .options()
                  .forEach(option -> assertThat(page).contains(option.longestName()));
            });
  }

  @Test
  void dht_showsTableTopicsAndALookup() throws IOException {
    serve("--dht-bootstrap", "127.0.0.1:9");
    run("invite");
    Typed.Result overview = run("dht", "--table");
    assertThat(overview.err()).isEmpty();
    assertThat(overview.out())
        .contains("address  127.0.0.1:", "ipv4     id ", "stored   0 topics", "DATABASE  TOPIC")
        .contains("default");
    assertThat(run("dht", "--json").out()).startsWith("{\"address\":").contains("\"queries\":");
    Typed.Result lookup = run("dht", "--topic", "6d".repeat(20));
    assertThat(lookup.out())
        .contains("127.0.0.1:9", "0 peers of " + "6d".repeat(20) + " after 1 queries");
    assertThat(run("dht", "--lookup", "--json").out()).startsWith("{\"target\":");
    assertThat(run("dht", "--topic", "6d").err()).contains("40 or 64 hexadecimal digits");
  }

  @Test
  void dht_whereItIsOff_saysHowToSwitchItOn() throws IOException {
    serve("--no-dht");
    Typed.Result result = run("dht");
    assertThat(result.code()).isEqualTo(1);
    assertThat(result.err()).contains("Error [NODE_DHT_OFF]", "peers.dht");
  }

  @Test
  void diagnose_whileFilesComeAndGo_listsThoseThatAreThere() throws Exception {
    run("init", dataDir().toString());
    Path folder = Files.createDirectory(dataDir().resolve("more"));
    var stop = new AtomicBoolean();
    Thread changing =
        Thread.ofPlatform()
            .start(
                () -> {
                  for (int i = 0; !stop.get(); i++) {
                    Path file = folder.resolve("file" + i % 50);
                    try {
                      if (!Files.deleteIfExists(file)) {
                        Files.createFile(file);
                      }
                    } catch (IOException e) {
                      throw new UncheckedIOException(e);
                    }
                  }
                });
    try {
      for (int i = 0; i < 20; i++) {
        Path zip = directory.resolve("diagnosis" + i + ".zip");
        assertThat(run("diagnose", zip.toString()).err()).isEmpty();
        try (var in = new ZipFile(zip.toFile())) {
          ZipEntry files = in.getEntry("files.txt");
          assertThat(new String(in.getInputStream(files).readAllBytes(), StandardCharsets.UTF_8))
              .contains("device.key", "  more\n");
        }
      }
    } finally {
      stop.set(true);
      changing.join();
    }
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void diagnose_tellsHowItIs_andNothingSecret(boolean served) throws Exception {
    run("init", dataDir().toString());
    run("put", "planted-id", "{\"text\":\"planted-words\"}");
    Files.writeString(
        dataDir().resolve("config.toml"),
        "peers.relays = \"wss://planted-token@relay.example\"\npeers.transport = \"direct\"\n");
    if (served) {
      serve();
    }
    Path zip = directory.resolve("diagnosis.zip");
    good("Wrote " + zip + ". Look through it before you hand it on.\n", "diagnose", zip.toString());
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(zip)))
        .isEqualTo("rw-------");
    String keys = Files.readString(dataDir().resolve("databases/default/database.json"));
    Matcher key = Pattern.compile("[0-9a-f]{64}").matcher(keys);
    var parts = new TreeMap<String, String>();
    try (var in = new ZipFile(zip.toFile())) {
      for (var entry : in.stream().toList()) {
        parts.put(
            entry.getName(),
            new String(in.getInputStream(entry).readAllBytes(), StandardCharsets.UTF_8));
      }
    }
    String all = String.join("\n", parts.values());
    assertThat(key.find()).isTrue();
    key.results().map(MatchResult::group).forEach(secret -> assertThat(all).doesNotContain(secret));
    assertThat(all).doesNotContain("planted").contains("wss://***@relay.example");
    if (served) {
      assertThat(all).doesNotContain(Files.readString(dataDir().resolve(Ports.TOKEN_FILE)).strip());
    }
    assertThat(parts.get("status.json")).contains("\"documents\":1");
    assertThat(parts.get("doctor.json")).contains("\"ok\":true");
    assertThat(parts.get("files.txt")).contains("rw-------", "device.key");
    assertThat(parts.get("metrics.txt")).contains("pluresdb_documents");
    assertThat(parts).containsKeys("about.json", "config.json", "devices.json", "peers.json");

    Typed.Result again = run("diagnose", zip.toString());
    assertThat(again.code()).isEqualTo(1);
    assertThat(again.err()).contains("exists already");
  }

  @Test
  void top_showsWhatTheDaemonDoes() throws Exception {
    serve();
    run("put", "a", "1");
    Typed.Result shown = run("top", "--interval", "0.1", "--count", "2");
    assertThat(shown.err()).isEmpty();
    assertThat(shown.out().lines().filter(line -> line.startsWith("pluresdb "))).hasSize(2);
    assertThat(shown.out()).doesNotContain("\u001b").containsPattern("default +1 +\\d");
    assertThat(run("top", "--interval", "0.1", "--json").out())
        .containsPattern("\"pluresdb_local_changes_total\".*\"perSecond\":");
    assertThat(run("top", "--interval", "0.09").err()).contains("0.1 to 60");
    assertThat(run("top", "--interval", "61").err()).contains("0.1 to 60");
    assertThat(run("top", "--count", "0").err()).contains("1 or more");
  }

  @Test
  void metricsPage_isReadWithItsLabels() {
    MetricsPage page =
        MetricsPage.parse(
            "# TYPE a gauge\na{b=\"x \\\"y\\\" }\",c=\"\"} 1.5E3\nn 2\nwrong\n"
                .getBytes(StandardCharsets.UTF_8));
    assertThat(page.value("n")).isEqualTo(2);
    assertThat(page.value("a", Map.of("b", "x \"y\" }", "c", ""))).isEqualTo(1_500);
    assertThat(page.samples()).hasSize(2);
    assertThat(Top.bytes(1023)).isEqualTo("1023 B");
    assertThat(Top.bytes(1536)).isEqualTo("1.5 KiB");
    assertThat(Top.duration(90_061)).isEqualTo("1 d 1 h");
  }

  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void migration_goesOnWhereItStopped_andMayBeDoneAgain(boolean served) throws Exception {
    run("init", dataDir().toString());
    if (served) {
      serve();
    }
    Path source = directory.resolve("notes.db");
    try (var connection = DriverManager.getConnection("jdbc:sqlite:" + source);
        var statement = connection.createStatement()) {
      statement.executeUpdate("create table note (id integer primary key, text text)");
      statement.executeUpdate("create table other (name text primary key)");
      statement.executeUpdate("insert into other values ('x')");
      statement.executeUpdate(
          "with recursive n(i) as (select 1 union all select i + 1 from n where i < 25) insert into"
              + " note select i, iif(i = 18, printf('%.2000000c', 'x'), 'text ' || i) from n");
    }
    String file = source.toString();
    Typed.Result dry = run("migrate-from-sqlite", file, "--dry-run");
    assertThat(dry.err()).isEmpty();
    assertThat(dry.out())
        .contains("too large: note:18", "25 documents would be written", "text TEXT");
    assertThat(run("list").out()).isEmpty();

    Typed.Result stopped = run("migrate-from-sqlite", file, "--batch-size", "10");
    assertThat(stopped.code()).isEqualTo(1);
    assertThat(stopped.err()).contains("note:18 is more than 960 KiB", "--skip-too-large");
    assertThat(run("list").out().lines()).hasSize(10);
    Typed.Result rest = run("migrate-from-sqlite", file, "--skip-too-large", "--json");
    assertThat(rest.out()).contains("\"documents\":15", "\"tooLarge\":[\"note:18\"]");
    assertThat(run("list").out().lines()).hasSize(25);
    good("{\"id\":7,\"text\":\"text 7\"}\n", "get", "note:7");
    assertThat(dataDir().resolve("migration.json")).doesNotExist();

    assertThat(run("migrate-from-sqlite", file, "--skip-too-large").out())
        .contains("Wrote 25 documents");
    assertThat(run("list").out().lines()).hasSize(25);

    assertThat(run("migrate-from-sqlite", file, "--table", "nope").err())
        .contains("there is no table nope", "there are: note, other");
    assertThat(run("migrate-from-sqlite", file, "--batch-size", "0").err()).contains("1 to 100000");
    assertThat(run("migrate-from-sqlite", file, "--batch-size", "100001").code()).isEqualTo(2);
    Path text = Files.writeString(directory.resolve("x.db"), "no database, but long enough");
    assertThat(run("migrate-from-sqlite", text.toString()).err()).contains("is no SQLite database");
  }
}
