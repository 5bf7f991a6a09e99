package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.relay.HttpProxy;
import io.pluresdb.transport.relay.RelayAccess;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.RelayStatus;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.stream.Stream;
import javax.net.ssl.SSLException;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.io.TempDir;

/** The way to a relay: which certificates are believed, and proxies in between. */
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class RelayTlsTest {
  private static final String OTHER_PIN = "00".repeat(32);

  @TempDir static Path temporary;
  private final List<AutoCloseable> open = new ArrayList<>();
  private Certificates certificates;
  private RelayServer relay;

  @BeforeAll
  void start() throws Exception {
    certificates = Certificates.make(temporary);
    relay =
        RelayServer.start(
            new RelayOptions(
                Node.anyPort(),
                new RelayOptions.Tls(certificates.chain(), certificates.key()),
                Map.of(),
                false,
                RelayLimits.of(Map.of("drain-millis", 0L))),
            new Environment(InstantSource.system(), new SecureRandom()));
  }

  @AfterAll
  void stop() {
    relay.close();
  }

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
    open.clear();
  }

  private record Client(Node node, RelayClient client, Queue<Candidate.Relayed> found) {}

  private RelayUrl url(String host, @Nullable String pin) {
    return RelayUrl.parse(
        "wss://" + host + ":" + relay.address().getPort() + (pin == null ? "" : "#sha256=" + pin));
  }

  private Client client(RelayUrl url, @Nullable HttpProxy proxy, @Nullable Path authorities) {
    var node = new Node();
    open.add(node);
    var found = new ConcurrentLinkedQueue<Candidate.Relayed>();
    RelayClient client =
        node.transport.relay(
            new RelayAccess(url, proxy, authorities),
            new RelayClient.Listener() {
              @Override
              public void found(DatabaseKeys database, Candidate.Relayed peer) {
                found.add(peer);
              }

              @Override
              public void gone(DatabaseKeys database, Candidate.Relayed peer) {
                found.remove(peer);
              }
            });
    client.follow(Node.DATABASE);
    return new Client(node, client, found);
  }

  private RelayStatus await(Client client, Predicate<RelayStatus> condition) {
    Waiting.until("the relay's state", () -> condition.test(client.client.status()));
    return client.client.status();
  }

  private RelayStatus error(RelayUrl url, @Nullable HttpProxy proxy, @Nullable Path authorities) {
    RelayStatus status = await(client(url, proxy, authorities), s -> !s.lastError().isEmpty());
    assertThat(status.connected()).isFalse();
    return status;
  }

  /** A session between two clients, with a message that arrives. */
  private void talk(Client first, RelayUrl url, @Nullable HttpProxy proxy) throws Exception {
    await(first, s -> s.topics() == 1);
    Client second = client(url, proxy, certificates.authority());
    Waiting.until("found", () -> !second.found.isEmpty());
    Session session =
        second
            .node
            .transport
            .dial(second.found.element(), Node.DATABASE)
            .toCompletableFuture()
            .get(20, TimeUnit.SECONDS)
            .session();
    byte[] message = new byte[300_000];
    message[7] = 7;
    session.send(message);
    session.flush();
    Waiting.until("the message", () -> first.node.messages.size() == 1);
    assertThat(first.node.messages.element()).isEqualTo(message);
  }

  @Test
  void certificateOfATrustedAuthority_isBelieved_andSessionsRun() throws Exception {
    Client first = client(url("localhost", null), null, certificates.authority());
    talk(first, url("localhost", null), null);
    assertThat(first.client.status().intercepted()).isEmpty();
    assertThat(first.client.status().lastError()).isEmpty();
  }

  /** The pin of the client fits the certificate that comes later. */
  @Test
  void renewedCertificate_isUsedWithoutARestart_andOneThatCannotBeReadIsNot() throws Exception {
    Certificates before = Certificates.make(Files.createDirectory(temporary.resolve("before")));
    Certificates after = Certificates.make(Files.createDirectory(temporary.resolve("after")));
    try (RelayServer own =
        RelayServer.start(
            new RelayOptions(
                Node.anyPort(),
                new RelayOptions.Tls(before.chain(), before.key()),
                Map.of(),
                false,
                RelayLimits.of(Map.of("drain-millis", 0L))),
            new Environment(InstantSource.system(), new SecureRandom()))) {
      RelayUrl renewed =
          RelayUrl.parse("wss://localhost:" + own.address().getPort() + "#sha256=" + after.pin());
      Client client = client(renewed, null, null);
      await(client, s -> !s.lastError().isEmpty());
      Files.writeString(before.chain(), "half a certificate");
      own.reloadCertificates();
      assertThat(client.client.status().connected()).isFalse();
      Files.copy(after.chain(), before.chain(), StandardCopyOption.REPLACE_EXISTING);
      Files.copy(after.key(), before.key(), StandardCopyOption.REPLACE_EXISTING);
      own.reloadCertificates();
      await(client, RelayStatus::connected);
    }
  }

  @Test
  void certificateThatDoesNotChain_isRefused_namingItsIssuer() {
    RelayStatus status = error(url("localhost", null), null, null);
    assertThat(status.lastError()).contains(Certificates.ISSUER).contains("localhost");
  }

  @Test
  void certificateOfAnotherHost_isRefused() {
    RelayStatus status = error(url("127.0.0.1", null), null, certificates.authority());
    assertThat(status.lastError()).contains("127.0.0.1").contains("not trusted");
  }

  @Test
  void trustedCertificateWithAnotherKeyThanThePinned_isUsedAndReportedAsIntercepted()
      throws Exception {
    Client first = client(url("localhost", OTHER_PIN), null, certificates.authority());
    talk(first, url("localhost", OTHER_PIN), null);
    assertThat(first.client.status().intercepted()).isEqualTo(Certificates.ISSUER);
  }

  @Test
  void foreignCertificateWithAnotherKeyThanThePinned_isRefused() {
    RelayStatus status = error(url("localhost", OTHER_PIN), null, null);
    assertThat(status.lastError()).contains(Certificates.ISSUER);
    assertThat(status.intercepted()).isEmpty();
  }

  @Test
  void certificateWithThePinnedKey_isBelievedWhoeverSignedIt() {
    Client client = client(url("127.0.0.1", certificates.pin()), null, null);
    assertThat(await(client, RelayStatus::connected).intercepted()).isEmpty();
  }

  @Test
  void authorities_thatCannotBeRead_areNamed() throws IOException {
    Path empty = Files.writeString(temporary.resolve("none.pem"), "");
    assertThat(error(url("localhost", null), null, temporary.resolve("missing")).lastError())
        .contains("missing");
    assertThat(error(url("localhost", null), null, empty).lastError()).isNotEmpty();
  }

  @Test
  void tlsBelowVersion13_isNotSpoken() throws IOException {
    try (SSLSocket socket =
        (SSLSocket)
            SSLSocketFactory.getDefault().createSocket("localhost", relay.address().getPort())) {
      socket.setEnabledProtocols(new String[] {"TLSv1.2"});
      assertThatThrownBy(socket::startHandshake).isInstanceOf(SSLException.class);
    }
  }

  @Test
  void keyThatDoesNotFit_saysWhatIsWanted() {
    assertThatThrownBy(
            () ->
                RelayServer.start(
                    new RelayOptions(
                        Node.anyPort(),
                        new RelayOptions.Tls(certificates.chain(), certificates.chain()),
                        Map.of(),
                        false,
                        RelayLimits.defaults()),
                    new Environment(InstantSource.system(), new SecureRandom())))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("PKCS #8");
  }

  // ---- proxies

  private ConnectProxy proxy(@Nullable String login) throws IOException {
    var proxy = new ConnectProxy(login);
    open.add(proxy);
    return proxy;
  }

  private static HttpProxy address(ConnectProxy proxy, String login) {
    return HttpProxy.parse("http://" + login + "127.0.0.1:" + proxy.port());
  }

  @Test
  void proxy_withAndWithoutLogin_leadsToTheRelay() throws Exception {
    ConnectProxy free = proxy(null);
    Client first = client(url("localhost", null), address(free, ""), certificates.authority());
    talk(first, url("localhost", null), address(free, ""));
    assertThat(free.requests.element())
        .startsWith("CONNECT localhost:" + relay.address().getPort() + " HTTP/1.1\r\n")
        .doesNotContain("Authorization");
    ConnectProxy guarded = proxy("ada:s3cret");
    Client second =
        client(url("localhost", null), address(guarded, "ada:s3cret@"), certificates.authority());
    RelayStatus status = await(second, RelayStatus::connected);
    assertThat(status.proxy()).isEqualTo("http://127.0.0.1:" + guarded.port());
  }

  @Test
  void proxyThatWantsALogin_isReportedAsSuch() throws Exception {
    ConnectProxy guarded = proxy("ada:s3cret");
    assertThat(
            error(url("localhost", null), address(guarded, ""), certificates.authority())
                .lastError())
        .contains("407")
        .contains("wants a login")
        .contains("USER:PASSWORD");
    assertThat(
            error(url("localhost", null), address(guarded, "ada:w0rd@"), certificates.authority())
                .lastError())
        .contains("407")
        .contains("does not take the login")
        .doesNotContain("w0rd");
  }

  @Test
  void proxyThatForbids_orIsNotThere_isReported() throws Exception {
    ConnectProxy proxy = proxy(null);
    assertThat(error(url("forbidden.example", null), address(proxy, ""), null).lastError())
        .contains("403 Forbidden by policy");
    HttpProxy nobody = HttpProxy.parse("http://127.0.0.1:1");
    assertThat(error(url("localhost", null), nobody, null).lastError())
        .contains("the proxy http://127.0.0.1:1 cannot be reached");
  }

  @Test
  void environment_namesTheProxy_unlessTheHostIsExcepted() {
    RelayUrl relayUrl = RelayUrl.parse("wss://relay.example.org");
    Map<String, String> set = Map.of("HTTPS_PROXY", "http://u:p@proxy:3128");
    assertThat(HttpProxy.ofEnvironment(set, relayUrl))
        .isEqualTo(new HttpProxy("proxy", 3128, "u:p"));
    assertThat(HttpProxy.ofEnvironment(Map.of("https_proxy", "proxy:8080"), relayUrl))
        .isEqualTo(new HttpProxy("proxy", 8080, null));
    for (String except : List.of("*", "example.org", ".example.org", "a, relay.example.org:443")) {
      assertThat(
              HttpProxy.ofEnvironment(
                  Map.of("HTTPS_PROXY", "http://proxy", "NO_PROXY", except), relayUrl))
          .as(except)
          .isNull();
    }
    assertThat(
            HttpProxy.ofEnvironment(
                Map.of("HTTPS_PROXY", "http://proxy", "no_proxy", "ample.org"), relayUrl))
        .isNotNull();
    assertThat(HttpProxy.ofEnvironment(set, RelayUrl.parse("wss://127.0.0.1:9"))).isNull();
    assertThat(HttpProxy.ofEnvironment(set, RelayUrl.parse("ws://relay.example.org"))).isNull();
    assertThatThrownBy(() -> HttpProxy.parse("socks://u:secret@proxy"))
        .hasMessageContaining("http://[USER:PASSWORD@]HOST[:PORT]")
        .hasMessageNotContaining("secret");
  }

  @Test
  void tinyproxy_withALogin_leadsToTheRelay() throws Exception {
    Path binary =
        Stream.of(System.getenv("PATH").split(File.pathSeparator))
            .map(folder -> Path.of(folder, "tinyproxy"))
            .filter(Files::isExecutable)
            .findFirst()
            .orElse(null);
    if (binary == null) {
      String reason = "SKIPPED tinyproxy_withALogin: tinyproxy is not installed";
      System.err.println(reason);
      Assumptions.abort(reason);
      return;
    }
    int port;
    try (var free = new java.net.ServerSocket(0)) {
      port = free.getLocalPort();
    }
    Path config =
        Files.writeString(
            temporary.resolve("tinyproxy.conf"),
            "Port "
                + port
                + "\nListen 127.0.0.1\nTimeout 60\nBasicAuth ada s3cret\nConnectPort "
                + relay.address().getPort()
                + "\n",
            StandardCharsets.UTF_8);
    Process process =
        new ProcessBuilder(binary.toString(), "-d", "-c", config.toString())
            .redirectErrorStream(true)
            .redirectOutput(temporary.resolve("tinyproxy.log").toFile())
            .start();
    open.add(
        () -> {
          process.destroy();
          process.waitFor();
        });
    Waiting.until(
        "tinyproxy",
        () -> {
          try (var probe = new java.net.Socket(java.net.InetAddress.getLoopbackAddress(), port)) {
            return probe.isConnected();
          } catch (IOException e) {
            return false;
          }
        });
    HttpProxy login = HttpProxy.parse("http://ada:s3cret@127.0.0.1:" + port);
    Client first = client(url("localhost", null), login, certificates.authority());
    talk(first, url("localhost", null), login);
    HttpProxy none = HttpProxy.parse("http://127.0.0.1:" + port);
    assertThat(error(url("localhost", null), none, certificates.authority()).lastError())
        .contains("407");
  }
}
