package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.nat.NatProtocol;
import io.pluresdb.transport.nat.PortKind;
import io.pluresdb.transport.nat.PortMapping;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Random;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** Port mappings over sockets, with gateways on the loopback address. */
class PortMappingsTest {
  private static final InetAddress LOOPBACK = InetAddress.ofLiteral("127.0.0.1");
  private static final byte[] EXTERNAL = {(byte) 198, 51, 100, 7};

  private final Queue<List<PortMapping>> heard = new ConcurrentLinkedQueue<>();
  private final Queue<byte[]> asked = new ConcurrentLinkedQueue<>();

  private PortMappings mappings(int gatewayPort, int groupPort) {
    var mappings =
        new PortMappings(
            () -> new Gateway(LOOPBACK, LOOPBACK),
            gatewayPort,
            new InetSocketAddress(LOOPBACK, groupPort),
            Map.of(PortKind.TCP, 34_570),
            new Random(),
            heard::add);
    mappings.start();
    return mappings;
  }

  /** Answers datagrams until it is closed. */
  private DatagramSocket gateway(Function<byte[], byte @Nullable []> answer) throws IOException {
    var socket = new DatagramSocket(0, LOOPBACK);
    Thread.ofVirtual()
        .start(
            () -> {
              var packet = new DatagramPacket(new byte[2_000], 2_000);
              while (!socket.isClosed()) {
                try {
                  packet.setLength(2_000);
                  socket.receive(packet);
                  byte[] request = Arrays.copyOf(packet.getData(), packet.getLength());
                  asked.add(request);
                  byte[] said = answer.apply(request);
                  if (said != null) {
                    socket.send(new DatagramPacket(said, said.length, packet.getSocketAddress()));
                  }
                } catch (IOException e) {
                  // Closed.
                }
              }
            });
    return socket;
  }

  private static byte[] pcp(byte[] request) {
    ByteBuffer out = ByteBuffer.wrap(request.clone()).put(1, (byte) 0x81).putInt(8, 5);
    return out.put(54, new byte[] {-1, -1}).put(56, EXTERNAL).array();
  }

  @Test
  void gatewayOfPcp_mapsAndHearsTheEnd() throws Exception {
    try (DatagramSocket gateway = gateway(PortMappingsTest::pcp)) {
      try (PortMappings mappings = mappings(gateway.getLocalPort(), 9)) {
        Waiting.until("a mapping", () -> !heard.isEmpty());
        assertThat(heard.element().getFirst().external())
            .isEqualTo(new InetSocketAddress(InetAddress.getByAddress(EXTERNAL), 34_570));
        assertThat(mappings.status().protocol()).isEqualTo(NatProtocol.PCP);
      }
      Waiting.until(
          "given back",
          () -> asked.stream().anyMatch(r -> r.length == 60 && ByteBuffer.wrap(r).getInt(4) == 0));
    }
  }

  private static byte @Nullable [] natPmp(byte[] request) {
    if (request.length == 2) {
      return ByteBuffer.allocate(12).put(1, (byte) 0x80).putInt(4, 9).put(8, EXTERNAL).array();
    }
    if (request[0] == 2) {
      return ByteBuffer.allocate(8).put(1, (byte) 0x80).putShort(2, (short) 1).array();
    }
    return ByteBuffer.allocate(16)
        .put(1, (byte) (0x80 | request[1]))
        .putInt(4, 9)
        .put(8, request, 4, 4)
        .put(12, request, 8, 4)
        .array();
  }

  @Test
  void gatewayOfNatPmp_maps() throws Exception {
    try (DatagramSocket gateway = gateway(PortMappingsTest::natPmp);
        PortMappings mappings = mappings(gateway.getLocalPort(), 9)) {
      Waiting.until("a mapping", () -> !heard.isEmpty());
      assertThat(heard.element().getFirst().leaseSeconds()).isEqualTo(3_600);
      assertThat(mappings.status().protocol()).isEqualTo(NatProtocol.NAT_PMP);
    }
  }

  /** Answers requests over HTTP, each on a connection of its own. */
  private static void serve(ServerSocket http, Queue<String> actions) {
    while (!http.isClosed()) {
      try (Socket socket = http.accept()) {
        var head = new StringBuilder();
        while (!head.toString().endsWith("\r\n\r\n")) {
          head.append((char) socket.getInputStream().read());
        }
        String text = head.toString();
        int at = text.indexOf("Content-Length: ");
        if (at > 0) {
          socket
              .getInputStream()
              .readNBytes(Integer.parseInt(text.substring(at + 16, text.indexOf('\r', at))));
        }
        int action = text.indexOf('#');
        actions.add(action < 0 ? "GET" : text.substring(action + 1, text.indexOf('"', action)));
        String body =
            action < 0
                ? "<service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1"
                    + "</serviceType><controlURL>/ctl</controlURL></service>"
                : "<NewExternalIPAddress>198.51.100.7</NewExternalIPAddress>";
        socket
            .getOutputStream()
            .write(
                ("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
                        + body.length()
                        + "\r\n\r\n"
                        + body)
                    .getBytes(StandardCharsets.US_ASCII));
      } catch (IOException e) {
        // Closed.
      }
    }
  }

  @Test
  void gatewayOfUpnp_maps_andHearsTheEnd() throws Exception {
    var actions = new ConcurrentLinkedQueue<String>();
    try (var http = new ServerSocket(0, 50, LOOPBACK);
        DatagramSocket silent = gateway(request -> null);
        DatagramSocket group =
            gateway(
                request ->
                    ("HTTP/1.1 200 OK\r\nLOCATION: http://127.0.0.1:"
                            + http.getLocalPort()
                            + "/root.xml\r\n\r\n")
                        .getBytes(StandardCharsets.US_ASCII))) {
      Thread.ofVirtual().start(() -> serve(http, actions));
      try (PortMappings mappings = mappings(silent.getLocalPort(), group.getLocalPort())) {
        Waiting.until("a mapping", () -> !heard.isEmpty());
        assertThat(mappings.status().protocol()).isEqualTo(NatProtocol.UPNP);
      }
      assertThat(actions)
          .containsExactly("GET", "GetExternalIPAddress", "AddPortMapping", "DeletePortMapping");
    }
  }

  @Test
  void routerOfLinux_isReadFromTheTableOfRoutes() {
    List<String> lines =
        List.of(
            "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT",
            "eth0\t0001A8C0\t00000000\t0001\t0\t0\t100\t00FFFFFF\t0\t0\t0",
            "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\t0\t0\t0");
    assertThat(Gateway.router(lines)).isEqualTo(InetAddress.ofLiteral("192.168.1.1"));
    assertThat(Gateway.router(lines.subList(0, 2))).isNull();
  }
}
