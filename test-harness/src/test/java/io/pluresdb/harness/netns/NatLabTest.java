package io.pluresdb.harness.netns;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.harness.cluster.DaemonProcess;
import io.pluresdb.harness.netns.NatLab.Home;
import io.pluresdb.harness.netns.NatLab.Router;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * Devices behind routers of every kind, in network namespaces; wants root. Two cells and one
 * mapping; all of them with {@code -Dpluresdb.netns.all}.
 */
class NatLabTest {
  private static final Duration DEADLINE = Duration.ofSeconds(60);
  private static final Duration LOOK = Duration.ofMillis(100);
  private static final int PEER_PORT = NatLab.DEVICE_PORT;
  private static final int RELAY_PORT = 4_443;
  private static final int PROXY_PORT = 8_888;
  private static final String RELAY = "ws://" + NatLab.PUBLIC_ADDRESS + ":" + RELAY_PORT;

  /** The path of a cell is still the same after that: longer than a round of hole punching. */
  private static final Duration STAYS = Duration.ofSeconds(8);

  /** Two routers, and how their devices come together. */
  enum Cell {
    CONE_CONE(Router.CONE, Router.CONE, "quic"),
    // Its ports are random, so a cone that lets in only who was spoken to does not let it in.
    SYMMETRIC_CONE(Router.SYMMETRIC, Router.CONE, "relay"),
    SYMMETRIC_FULL_CONE(Router.SYMMETRIC, Router.FULL_CONE, "quic"),
    SYMMETRIC_SYMMETRIC(Router.SYMMETRIC, Router.SYMMETRIC, "relay"),
    NO_UDP(Router.NO_UDP, Router.CONE, "relay"),
    NO_UDP_REACHABLE(Router.ROUTED_NO_UDP, Router.NO_UDP, "direct"),
    PROXY_ONLY(Router.CLOSED, Router.CONE, "relay");

    private final Router first;
    private final Router second;
    private final String expectedPath;

    Cell(Router first, Router second, String expectedPath) {
      this.first = first;
      this.second = second;
      this.expectedPath = expectedPath;
    }
  }

  private static final boolean ALL = System.getProperty("pluresdb.netns.all") != null;

  @TempDir Path temporary;
  private final List<AutoCloseable> open = new ArrayList<>();
  private NatLab lab;

  @BeforeEach
  void build() {
    String obstacle = NatLab.obstacle();
    if (!obstacle.isEmpty()) {
      skip(obstacle);
    }
    lab = new NatLab();
  }

  @AfterEach
  void close() throws Exception {
    for (AutoCloseable each : open.reversed()) {
      each.close();
    }
    if (lab != null) {
      lab.close();
    }
  }

  private static void skip(String why) {
    System.err.println("SKIPPED NatLabTest: " + why);
    Assumptions.abort(why);
  }

  private void relay() throws IOException {
    List<String> command = new ArrayList<>(lab.onTheInternet());
    command.addAll(DaemonProcess.java("io.pluresdb.daemon.cli.Main"));
    command.addAll(List.of("relay", "--listen", NatLab.PUBLIC_ADDRESS + ":" + RELAY_PORT));
    Process relay =
        new ProcessBuilder(command).redirectError(temporary.resolve("relay.log").toFile()).start();
    open.add(
        () -> {
          relay.destroy();
          relay.waitFor();
        });
    assertThat(relay.inputReader().readLine()).startsWith("pluresdb relay ready");
  }

  private DaemonProcess daemon(Home home, String... options) {
    DaemonProcess daemon =
        DaemonProcess.start(
            temporary.resolve("home" + home.number()),
            NatLab.inside(home.device()),
            "0.0.0.0:" + PEER_PORT,
            List.of(options));
    open.add(daemon);
    return daemon;
  }

  private void proxy(Home home) throws IOException {
    Path binary = NatLab.tool("tinyproxy");
    if (binary == null) {
      skip("tinyproxy is not installed");
      return;
    }
    Path config =
        Files.writeString(
            temporary.resolve("tinyproxy.conf"),
            "Port "
                + PROXY_PORT
                + "\nListen "
                + home.gateway()
                + "\nTimeout 60\nConnectPort "
                + RELAY_PORT
                + "\n",
            StandardCharsets.US_ASCII);
    lab.run(
        home.router(),
        temporary.resolve("tinyproxy.log"),
        binary.toString(),
        "-d",
        "-c",
        config.toString());
  }

  private static boolean isConnected(DaemonProcess daemon, String path) {
    for (JsonNode peer : daemon.call(Request.get("/api/peers"))) {
      if (peer.get("state").asText().equals("connected")
          && peer.get("path").asText().equals(path)) {
        return true;
      }
    }
    return false;
  }

  static List<Cell> cells() {
    return ALL ? List.of(Cell.values()) : List.of(Cell.CONE_CONE, Cell.PROXY_ONLY);
  }

  @ParameterizedTest
  @MethodSource("cells")
  void devicesBehindRouters_comeTogether(Cell cell) throws Exception {
    relay();
    Home first = lab.home(cell.first);
    Home second = lab.home(cell.second);
    String proxy = "http://" + first.gateway() + ":" + PROXY_PORT;
    DaemonProcess a;
    if (cell.first == Router.CLOSED) {
      proxy(first);
      a = daemon(first, "--relay", RELAY, "--proxy", proxy);
    } else {
      a = daemon(first, "--relay", RELAY);
    }
    DaemonProcess b = daemon(second, "--relay", RELAY);
    a.put("first", "{\"x\":1}");
    long start = System.nanoTime();
    a.admit(b);
    await("the document", DEADLINE, () -> b.get("first").equals("{\"x\":1}"));
    long documentMillis = millisSince(start);
    await("the path " + cell.expectedPath, DEADLINE, () -> isConnected(b, cell.expectedPath));
    long pathMillis = millisSince(start);
    await("the path seen by both", DEADLINE, () -> isConnected(a, cell.expectedPath));
    if (ALL) {
      staysOn(b, cell.expectedPath);
    }
    b.put("second", "{\"x\":2}");
    await("a document by that path", DEADLINE, () -> a.get("second").equals("{\"x\":2}"));
    System.out.println(
        "nat cell="
            + cell
            + " path="
            + cell.expectedPath
            + " firstDocumentMillis="
            + documentMillis
            + " pathMillis="
            + pathMillis);
  }

  private static long millisSince(long start) {
    return (System.nanoTime() - start) / 1_000_000;
  }

  /** Whatever was found at first, there is no better path. */
  private static void staysOn(DaemonProcess daemon, String path) {
    long end = System.nanoTime() + STAYS.toNanos();
    while (System.nanoTime() < end) {
      assertThat(isConnected(daemon, path)).as("still by %s", path).isTrue();
      LockSupport.parkNanos(LOOK.toNanos());
    }
  }

  /** Debian's miniupnpd as router; {@code natpmp} decides what it speaks. */
  private void miniupnpd(Home home, boolean pcp) throws IOException {
    Path binary = NatLab.tool("miniupnpd");
    if (binary == null) {
      skip("miniupnpd is not installed");
      return;
    }
    lab.nft(
        home.router(),
        """
        table inet filter {
          chain miniupnpd { }
          chain forward { type filter hook forward priority 0; policy accept; jump miniupnpd; }
          chain prerouting_miniupnpd { }
          chain prerouting {
            type nat hook prerouting priority -100; policy accept; jump prerouting_miniupnpd;
          }
          chain postrouting_miniupnpd { }
          chain postrouting {
            type nat hook postrouting priority 99; policy accept; jump postrouting_miniupnpd;
          }
        }
        """);
    Path config =
        Files.writeString(
            temporary.resolve("miniupnpd.conf"),
            "ext_ifname=wan\nlistening_ip=lan\nport=5000\nenable_natpmp="
                + (pcp ? "yes" : "no")
                + "\nenable_upnp="
                + (pcp ? "no" : "yes")
                + "\nsecure_mode=yes\nuuid=1f15155b-60bd-4ab6-832e-fc3154ebec76\n"
                + "allow 1024-65535 192.168.0.0/16 1024-65535\n"
                + "deny 0-65535 0.0.0.0/0 0-65535\n",
            StandardCharsets.US_ASCII);
    lab.run(
        home.router(),
        temporary.resolve("miniupnpd.log"),
        binary.toString(),
        "-d",
        "-f",
        config.toString(),
        "-P",
        temporary.resolve("miniupnpd.pid").toString());
  }

  private JsonNode mapped(Home home, DaemonProcess daemon, String protocol) {
    await(
        "a mapping by " + protocol,
        DEADLINE,
        () -> mapping(daemon).get("protocol").asText().equals(protocol));
    JsonNode mapping = mapping(daemon).get("mappings").get(0);
    assertThat(mapping.get("external").asText()).startsWith(home.external() + ":");
    return mapping;
  }

  private static JsonNode mapping(DaemonProcess daemon) {
    return daemon.call(Request.get("/api/status")).get("portMapping");
  }

  /** Without a relay: the mapped port is the only way. */
  private void reachedThroughMapping(boolean pcp, String protocol) throws IOException {
    Home first = lab.home(Router.CONE);
    Home second = lab.home(Router.SYMMETRIC);
    miniupnpd(first, pcp);
    DaemonProcess a = daemon(first);
    DaemonProcess b = daemon(second);
    mapped(first, a, protocol);
    a.put("first", "{\"x\":1}");
    a.admit(b);
    await("the document", DEADLINE, () -> b.get("first").equals("{\"x\":1}"));
    assertThat(isConnected(b, "direct")).isTrue();
  }

  @Test
  void miniupnpdByPcp_mapsThePort_andThePeerComesThroughIt() throws IOException {
    reachedThroughMapping(true, "PCP");
  }

  @Test
  void miniupnpdByUpnp_mapsThePort_andThePeerComesThroughIt() throws IOException {
    if (!ALL) {
      skip("UPnP runs with -Dpluresdb.netns.all");
    }
    reachedThroughMapping(false, "UPnP IGD");
  }
}
