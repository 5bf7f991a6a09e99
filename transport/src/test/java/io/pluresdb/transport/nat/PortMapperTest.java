package io.pluresdb.transport.nat;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** A mapper and gateways of every kind, in virtual time. */
class PortMapperTest {
  private static final InetAddress ROUTER = InetAddress.ofLiteral("192.168.1.1");
  private static final InetSocketAddress GATEWAY = new InetSocketAddress(ROUTER, 5351);
  private static final InetAddress CLIENT = InetAddress.ofLiteral("192.168.1.20");
  private static final InetAddress EXTERNAL = InetAddress.ofLiteral("198.51.100.7");
  private static final int PORT = 34_570;
  private static final String SERVICE = "urn:schemas-upnp-org:service:WANIPConnection:1";

  private final Deque<NatEffect> effects = new ArrayDeque<>();
  private final List<List<PortMapping>> changes = new ArrayList<>();
  private long now = 1_000_000;
  private final PortMapper mapper =
      new PortMapper(
          GATEWAY, PortMapper.GROUP, CLIENT, Map.of(PortKind.TCP, PORT), new Random(1), now);

  private void did(List<NatEffect> done) {
    for (NatEffect effect : done) {
      if (effect instanceof NatEffect.Changed(var mappings)) {
        changes.add(mappings);
      } else {
        effects.add(effect);
      }
    }
  }

  private void tick() {
    did(mapper.tick(now));
  }

  /** Time goes on until the mapper has said something else than it just did. */
  private void untilNext() {
    for (int i = 0; effects.isEmpty() && i < 1_000; i++) {
      now = Math.max(now, mapper.wakeAt());
      tick();
    }
    assertThat(effects).isNotEmpty();
  }

  private byte[] sent() {
    if (effects.removeFirst() instanceof NatEffect.Send(var to, var datagram)) {
      assertThat(to).isEqualTo(GATEWAY);
      return datagram;
    }
    throw new AssertionError("no datagram");
  }

  private NatEffect.Fetch fetch() {
    return (NatEffect.Fetch) effects.removeFirst();
  }

  private void says(byte[] datagram) {
    did(mapper.receive(GATEWAY, datagram, now));
  }

  /** PCP's answer to a MAP. */
  private static byte[] pcp(byte[] request, int result, int lifetime, int epoch, int port) {
    ByteBuffer out = ByteBuffer.wrap(request.clone());
    out.put(1, (byte) 0x81).put(3, (byte) result).putInt(4, lifetime).putInt(8, epoch);
    out.putShort(42, (short) port);
    out.put(44, new byte[10]).put(54, new byte[] {-1, -1}).put(56, EXTERNAL.getAddress());
    return out.array();
  }

  private static byte[] pmpAddress(int epoch) {
    return ByteBuffer.allocate(12)
        .put((byte) 0)
        .put((byte) 0x80)
        .putShort((short) 0)
        .putInt(epoch)
        .put(EXTERNAL.getAddress())
        .array();
  }

  private static byte[] pmpMapped(int result, int epoch, int port, int lifetime) {
    return ByteBuffer.allocate(16)
        .put((byte) 0)
        .put((byte) 0x82)
        .putShort((short) result)
        .putInt(epoch)
        .putShort((short) PORT)
        .putShort((short) port)
        .putInt(lifetime)
        .array();
  }

  private void mappedByPcp(int epoch) {
    tick();
    byte[] request = sent();
    assertThat(request).hasSize(60).startsWith(2, 1);
    assertThat(ByteBuffer.wrap(request).getInt(4)).isEqualTo(PortMapper.LEASE_SECONDS);
    assertThat(Arrays.copyOfRange(request, 18, 24)).containsExactly(-1, -1, 192, 168, 1, 20);
    says(pcp(request, 0, 1_200, epoch, 40_000));
    assertThat(changes.getLast())
        .containsExactly(
            new PortMapping(PortKind.TCP, PORT, new InetSocketAddress(EXTERNAL, 40_000), 1_200));
    assertThat(mapper.status().protocol()).isEqualTo(NatProtocol.PCP);
  }

  @Test
  void pcp_maps_renewsAtHalfTheLease_andGivesBack() {
    mappedByPcp(100);
    assertThat(mapper.wakeAt() - now).isEqualTo(600_000);
    untilNext();
    byte[] renewal = sent();
    assertThat(ByteBuffer.wrap(renewal).getShort(42) & 0xffff).isEqualTo(40_000);
    says(pcp(renewal, 0, 1_200, 700, 40_000));
    assertThat(changes).hasSize(1);
    assertThat(mapper.wakeAt() - now).isEqualTo(600_000);
    did(mapper.release());
    byte[] farewell = sent();
    assertThat(ByteBuffer.wrap(farewell).getInt(4)).isZero();
    assertThat(mapper.wakeAt()).isEqualTo(Long.MAX_VALUE);
    assertThat(mapper.status().mappings()).isEmpty();
  }

  @Test
  void pcpGatewayThatStartedAnew_isAskedAgainAtOnce() {
    mappedByPcp(50_000);
    untilNext();
    says(pcp(sent(), 0, 1_200, 3, 40_000));
    assertThat(changes.getLast()).isEmpty();
    byte[] again = sent();
    says(pcp(again, 0, 1_200, 3, 40_001));
    assertThat(changes.getLast().getFirst().external().getPort()).isEqualTo(40_001);
  }

  @Test
  void leaseThatIsNotRenewed_isLostAtItsEnd_andMappedAnew() {
    mappedByPcp(100);
    long end = now + 1_200_000;
    while (now < end - 1) {
      assertThat(mapper.status().mappings()).hasSize(1);
      now = Math.min(end - 1, mapper.wakeAt());
      tick();
    }
    now = Math.max(end, mapper.wakeAt());
    for (int i = 0; i < 10 && !mapper.status().mappings().isEmpty(); i++) {
      tick();
      now = mapper.wakeAt();
    }
    assertThat(changes.getLast()).isEmpty();
    assertThat(effects).isNotEmpty();
  }

  /** Others on the network answer, or the gateway answers what was not asked. */
  @Test
  void wrongAnswers_areIgnored() {
    tick();
    byte[] request = sent();
    byte[] right = pcp(request, 0, 1_200, 1, 40_000);
    did(
        mapper.receive(
            new InetSocketAddress(InetAddress.ofLiteral("192.168.1.66"), 5351), right, now));
    did(mapper.receive(new InetSocketAddress(ROUTER, 5352), right, now));
    byte[] nonce = right.clone();
    nonce[24] ^= 1;
    says(nonce);
    byte[] port = right.clone();
    port[41] ^= 1;
    says(port);
    says(request);
    says(new byte[0]);
    says(Arrays.copyOf(right, 59));
    assertThat(changes).isEmpty();
    assertThat(effects).isEmpty();
    says(right);
    assertThat(changes).hasSize(1);
  }

  @Test
  void anyBytes_neverThrow() {
    var random = new Random(7);
    tick();
    byte[] request = sent();
    List<byte[]> good =
        List.of(pcp(request, 0, 1_200, 1, 40_000), pmpAddress(1), pmpMapped(0, 1, 40_000, 1_200));
    for (int round = 0; round < 20_000; round++) {
      byte[] bytes = good.get(random.nextInt(good.size())).clone();
      for (int flips = random.nextInt(4); flips > 0; flips--) {
        bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
      }
      int cut = random.nextInt(4) == 0 ? random.nextInt(bytes.length + 5) : bytes.length;
      says(Arrays.copyOf(bytes, cut));
      now += random.nextInt(500);
      tick();
      assertThat(mapper.status().mappings())
          .allMatch(mapping -> mapping.leaseSeconds() <= PortMapper.MAX_LEASE_SECONDS);
    }
    assertThat(changes).isNotEmpty();
  }

  private void natPmp() {
    tick();
    sent();
    // What a gateway that knows NAT-PMP only says to PCP.
    says(ByteBuffer.allocate(8).put((byte) 0).put((byte) 0x82).putShort((short) 1).array());
    says(ByteBuffer.allocate(8).put((byte) 0).put((byte) 0x80).putShort((short) 1).array());
    assertThat(sent()).containsExactly(0, 0);
    assertThat(sent()).hasSize(12).startsWith(0, 2);
  }

  @Test
  void gatewayOfNatPmp_maps_andGivesBack() {
    natPmp();
    says(pmpMapped(0, 10, 40_002, 7_200));
    assertThat(changes).as("without an address").isEmpty();
    says(pmpAddress(10));
    says(pmpMapped(0, 10, 40_002, 7_200));
    assertThat(changes.getLast().getFirst().external())
        .isEqualTo(new InetSocketAddress(EXTERNAL, 40_002));
    assertThat(mapper.status().protocol()).isEqualTo(NatProtocol.NAT_PMP);
    assertThat(mapper.status().failures()).containsKey(NatProtocol.PCP);
    did(mapper.release());
    assertThat(ByteBuffer.wrap(sent()).getInt(8)).isZero();
  }

  /** Neither PCP nor NAT-PMP: the search for UPnP begins. */
  private void searching() {
    tick();
    while (effects.isEmpty()
        || !(effects.peekFirst() instanceof NatEffect.Send(var to, var ignored))
        || !to.equals(PortMapper.GROUP)) {
      effects.pollFirst();
      if (effects.isEmpty()) {
        now = mapper.wakeAt();
        tick();
      }
    }
  }

  private void described(String control) {
    searching();
    NatEffect.Send search = (NatEffect.Send) effects.removeFirst();
    assertThat(new String(search.datagram(), StandardCharsets.US_ASCII))
        .startsWith("M-SEARCH * HTTP/1.1\r\n")
        .contains("InternetGatewayDevice:1");
    effects.clear();
    byte[] answer =
        "HTTP/1.1 200 OK\r\nST: x\r\nLocation: http://192.168.1.1:5000/root.xml\r\n\r\n"
            .getBytes(StandardCharsets.US_ASCII);
    did(
        mapper.receive(
            new InetSocketAddress(InetAddress.ofLiteral("192.168.1.66"), 1900), answer, now));
    assertThat(effects).as("not the gateway").isEmpty();
    did(mapper.receive(new InetSocketAddress(ROUTER, 1900), answer, now));
    assertThat(fetch().url()).hasToString("http://192.168.1.1:5000/root.xml");
    did(
        mapper.fetched(
            200,
            "<root><service><serviceType>urn:other</serviceType><controlURL>/no</controlURL>"
                + "</service><service><serviceType>"
                + SERVICE
                + "</serviceType><controlURL>"
                + control
                + "</controlURL></service></root>",
            now));
  }

  private void upnp() {
    described("/ctl");
    NatEffect.Fetch address = fetch();
    assertThat(address.url()).hasToString("http://192.168.1.1:5000/ctl");
    assertThat(address.soapAction()).isEqualTo("\"" + SERVICE + "#GetExternalIPAddress\"");
    did(mapper.fetched(200, "<NewExternalIPAddress>198.51.100.7</NewExternalIPAddress>", now));
  }

  @Test
  void upnp_mapsAnotherPortWhereOneIsTaken_renews_andGivesBack() {
    upnp();
    NatEffect.Fetch add = fetch();
    assertThat(add.body())
        .contains("<NewExternalPort>" + PORT + "<", "<NewInternalClient>192.168.1.20<")
        .contains("<NewLeaseDuration>3600<", "<NewProtocol>TCP<");
    did(mapper.fetched(500, "<errorCode>718</errorCode>", now));
    NatEffect.Fetch other = fetch();
    assertThat(other.body()).doesNotContain("<NewExternalPort>" + PORT + "<");
    did(mapper.fetched(200, "", now));
    PortMapping mapping = changes.getLast().getFirst();
    assertThat(mapping.external().getAddress()).isEqualTo(EXTERNAL);
    assertThat(mapping.external().getPort()).isBetween(49_152, 65_535);
    untilNext();
    assertThat(fetch().body()).contains("<NewExternalPort>" + mapping.external().getPort() + "<");
    did(mapper.release());
    assertThat(fetch().soapAction()).contains("#DeletePortMapping");
  }

  @Test
  void upnpThatMapsForEverOnly_isNotUsed_andTriedAgainLater() {
    upnp();
    fetch();
    did(mapper.fetched(500, "<errorCode>725</errorCode>", now));
    assertThat(mapper.status().mappings()).isEmpty();
    assertThat(mapper.status().failures())
        .containsEntry(NatProtocol.UPNP, "the gateway maps for ever only")
        .containsEntry(NatProtocol.PCP, "no answer")
        .containsEntry(NatProtocol.NAT_PMP, "no answer");
    assertThat(mapper.wakeAt() - now).isEqualTo(PortMapper.AGAIN_MILLIS);
    untilNext();
    assertThat(sent()).startsWith(2, 1);
  }

  @Test
  void descriptionThatLeadsElsewhere_isNotFollowed() {
    described("http://10.0.0.9/ctl");
    assertThat(effects).isEmpty();
    assertThat(mapper.status().failures().get(NatProtocol.UPNP)).contains("no service");
  }

  @Test
  void nobodyAnswers_allAreTriedAgainLater() {
    searching();
    effects.clear();
    for (int i = 0; i < 20 && mapper.wakeAt() - now < PortMapper.AGAIN_MILLIS; i++) {
      now = mapper.wakeAt();
      tick();
    }
    assertThat(mapper.status().failures()).hasSize(3).containsValue("no answer");
  }
}
