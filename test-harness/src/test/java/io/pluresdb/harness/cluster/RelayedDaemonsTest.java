package io.pluresdb.harness.cluster;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.relay.RelayToken;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Daemons that have nothing in common but a relay, all of them processes. */
class RelayedDaemonsTest {
  private static final Duration DEADLINE = Duration.ofSeconds(60);

  @TempDir Path temporary;
  private final List<DaemonProcess> daemons = new ArrayList<>();
  private RelayProcess relay;

  @BeforeEach
  void start() {
    relay = RelayProcess.start(temporary.resolve("relay.log"), "--limits", "drain-millis=200");
  }

  @AfterEach
  void stop() {
    daemons.forEach(DaemonProcess::close);
    relay.close();
  }

  private DaemonProcess relayed(String name) {
    return daemon(name, List.of("--transport", "relay", "--relay", relay.url()));
  }

  private DaemonProcess daemon(String name, List<String> options) {
    DaemonProcess daemon = DaemonProcess.start(temporary.resolve(name), options);
    daemons.add(daemon);
    return daemon;
  }

  private static void awaitEqual(DaemonProcess a, DaemonProcess b) {
    await("both equal", DEADLINE, () -> a.equalTo(b));
  }

  private static JsonNode peers(DaemonProcess daemon) {
    return daemon.call(Request.get("/api/peers"));
  }

  private static boolean isConnected(DaemonProcess daemon, String path) {
    JsonNode peers = peers(daemon);
    return peers.size() == 1
        && peers.get(0).get("state").asText().equals("connected")
        && peers.get(0).get("path").asText().equals(path);
  }

  @Test
  void onlyARelayInCommon_joinPutAndGet_andBackWhenTheRelayIsBack() {
    DaemonProcess a = relayed("a");
    DaemonProcess b = relayed("b");
    a.put("first", "{\"x\":1}");
    a.admit(b);
    awaitEqual(a, b);
    assertThat(b.get("first")).isEqualTo("{\"x\":1}");
    assertThat(isConnected(a, "relay")).isTrue();
    assertThat(peers(a).get(0).get("address").asText()).isEqualTo(relay.url());
    assertThat(relay.metric("pluresdb_relay_circuits")).isPositive();

    relay.kill();
    await("no session", DEADLINE, () -> a.status().get("peers").asInt() == 0);
    a.put("apart", "{\"x\":2}");
    b.put("apart too", "{\"x\":3}");
    relay.start();
    awaitEqual(a, b);
    assertThat(b.get("apart")).isEqualTo("{\"x\":2}");

    // And when it stops with care.
    relay.stop();
    await("no session", DEADLINE, () -> b.status().get("peers").asInt() == 0);
    b.put("apart again", "{}");
    relay.start();
    awaitEqual(a, b);
    assertThat(a.get("apart again")).isEqualTo("{}");
  }

  @Test
  void inviteNamesTheRelay_soThatWhoJoinsNeedsNoSetting() {
    DaemonProcess a = relayed("a");
    DaemonProcess b = daemon("b", List.of("--transport", "relay"));
    a.put("first", "{}");
    a.admit(b);
    awaitEqual(a, b);
    b.stop();
    a.put("second", "{}");
    b.start();
    awaitEqual(a, b);
    assertThat(b.get("second")).isEqualTo("{}");
  }

  @Test
  void deviceThatBecomesReachable_isReachedDirectly_andThroughTheRelayWhenItIsNot() {
    DaemonProcess a = daemon("a", List.of("--relay", relay.url()));
    DaemonProcess b = relayed("b");
    a.put("first", "{}");
    a.admit(b);
    awaitEqual(a, b);
    assertThat(isConnected(a, "relay")).isTrue();
    b.stop();
    DaemonProcess open =
        DaemonProcess.start(temporary.resolve("b"), List.of("--relay", relay.url()));
    daemons.add(open);
    for (int i = 0; i < 50; i++) {
      a.put("during:" + i, "{}");
    }
    await("a direct session", DEADLINE, () -> isConnected(open, "direct"));
    await("no circuit", DEADLINE, () -> relay.metric("pluresdb_relay_circuits") == 0);
    awaitEqual(a, open);
    open.stop();
    b.start();
    a.put("afterwards", "{}");
    await("a relayed session again", DEADLINE, () -> isConnected(b, "relay"));
    awaitEqual(a, b);
    assertThat(b.get("during:49")).isEqualTo("{}");
  }

  @Test
  void relayOfADaemon_servesTwoOthers_withTokensItsOperatorSigned() throws IOException {
    DeviceIdentity operator = DeviceIdentity.create(new SecureRandom());
    int port = DaemonProcess.freePort();
    Path hubDirectory = Files.createDirectories(temporary.resolve("hub"));
    Files.writeString(
        hubDirectory.resolve("config.toml"),
        """
        [relay]
        enabled = true
        listen = "127.0.0.1:%d"
        token-keys = ["%s"]
        """
            .formatted(port, HexFormat.of().formatHex(operator.publicKey())));
    DaemonProcess hub = daemon("hub", List.of());
    long hour = System.currentTimeMillis() + Duration.ofHours(1).toMillis();
    DaemonProcess a = daemon("a", through(port, new RelayToken("a", hour, 0, 0).sign(operator)));
    DaemonProcess b = daemon("b", through(port, new RelayToken("b", hour, 0, 0).sign(operator)));
    a.put("first", "{\"x\":1}");
    a.admit(b);
    awaitEqual(a, b);
    assertThat(isConnected(b, "relay")).isTrue();

    // Its own database is another one, and it knows nothing of theirs.
    hub.put("own", "{}");
    assertThat(hub.get("first")).isEqualTo("none");
    assertThat(peers(hub)).isEmpty();

    long past = System.currentTimeMillis() - 1;
    DaemonProcess late =
        daemon("late", through(port, new RelayToken("c", past, 0, 0).sign(operator)));
    await("why not", DEADLINE, () -> relayError(late).contains("expired"));
    DeviceIdentity stranger = DeviceIdentity.create(new SecureRandom());
    DaemonProcess foreign =
        daemon("foreign", through(port, new RelayToken("d", hour, 0, 0).sign(stranger)));
    await("why not", DEADLINE, () -> relayError(foreign).contains("not signed for this relay"));

    // The relay goes and comes with its daemon.
    hub.stop();
    await("no session", DEADLINE, () -> b.status().get("peers").asInt() == 0);
    b.put("apart", "{}");
    hub.start();
    awaitEqual(a, b);
    assertThat(a.get("apart")).isEqualTo("{}");
  }

  private static List<String> through(int port, String token) {
    return List.of("--transport", "relay", "--relay", "ws://" + token + "@127.0.0.1:" + port);
  }

  private static String relayError(DaemonProcess daemon) {
    return daemon.call(Request.get("/api/status")).get("relays").get(0).get("lastError").asText();
  }
}
