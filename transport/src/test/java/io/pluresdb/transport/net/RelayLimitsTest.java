package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.net.RawWebSocket.Circuit;
import io.pluresdb.transport.net.RawWebSocket.Frame;
import io.pluresdb.transport.net.RawWebSocket.RefusedException;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.RelayToken;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.io.IOException;
import java.net.InetAddress;
import java.net.Socket;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Each limit of a relay, up to its edge and beyond. */
class RelayLimitsTest {
  private static final int BINARY = RawWebSocket.FINAL | WebSocket.BINARY;
  private static final String TOKEN = "0123456789abcdef";

  private final List<AutoCloseable> open = new ArrayList<>();
  private RelayServer relay;

  @BeforeEach
  void startUsual() {
    relay = relay(Map.of(), Map.of(), false);
  }

  @AfterEach
  void stop() throws Exception {
    for (AutoCloseable each : open) {
      each.close();
    }
    relay.close();
  }

  private int start(Map<String, Long> limits) {
    return start(limits, Map.of(), false);
  }

  private int start(Map<String, Long> limits, Map<String, String> tokens, boolean forwarded) {
    relay.close();
    relay = relay(limits, tokens, forwarded);
    return relay.address().getPort();
  }

  private static RelayServer relay(
      Map<String, Long> limits, Map<String, String> tokens, boolean forwarded) {
    var all = new java.util.HashMap<>(limits);
    all.putIfAbsent("drain-millis", 0L);
    return RelayServer.start(
        new RelayOptions(Node.anyPort(), null, tokens, forwarded, RelayLimits.of(all)),
        new Environment(InstantSource.system(), new SecureRandom()));
  }

  private <T extends AutoCloseable> T kept(T each) {
    open.add(each);
    return each;
  }

  private void refused(ThrowingCallable attempt, String why, RelayCounter counter) {
    assertThatThrownBy(attempt)
        .satisfiesAnyOf(
            e -> assertThat(e).isInstanceOf(RefusedException.class).hasMessageContaining(why),
            e ->
                assertThat(e.getCause())
                    .isInstanceOf(RefusedException.class)
                    .hasMessageContaining(why));
    assertThat(relay.counted(counter)).isPositive();
  }

  private static Rendezvous rendezvous(int number) {
    byte[] bytes = new byte[Rendezvous.RENDEZVOUS_BYTES];
    bytes[0] = (byte) number;
    return new Rendezvous(bytes);
  }

  private static PeerTag tag(int number) {
    byte[] bytes = new byte[PeerTag.TAG_BYTES];
    bytes[0] = (byte) number;
    return new PeerTag(bytes);
  }

  @Test
  void circuits_oneMoreThanThereMayBe_isRefused_andPossibleAgainAfterOneEnded() throws Exception {
    int port = start(Map.of("circuits", 2L));
    Circuit first = kept(Circuit.open(port));
    kept(Circuit.open(port));
    // The dialler is refused before anybody is asked to accept.
    RawWebSocket control = kept(RawWebSocket.control(port));
    control.send(new RelayMessage.Register(rendezvous(1), tag(1)));
    refused(
        () -> RawWebSocket.open(port, RelayMessage.dialPath(rendezvous(1), tag(1))),
        "429",
        RelayCounter.REFUSED_CIRCUITS);
    first.close();
    Waiting.until("one ended", () -> relay.connections() == 4);
    kept(Circuit.open(port, control, rendezvous(1), tag(1)));
  }

  @Test
  void circuitsOfOneAddress_countBothEnds() throws Exception {
    int port = start(Map.of("circuits-per-address", 3L));
    kept(Circuit.open(port));
    refused(() -> Circuit.open(port), "429", RelayCounter.REFUSED_CIRCUITS_PER_ADDRESS);
  }

  @Test
  void circuitsOfOneKey_countBothEnds_andAnotherKeyHasItsOwn() throws Exception {
    int port = start(Map.of("circuits-per-key", 2L), Map.of(TOKEN, "a", TOKEN + "b", "b"), false);
    String first = "Authorization: Bearer " + TOKEN;
    kept(Circuit.open(port, first));
    refused(
        () -> RawWebSocket.open(port, RelayMessage.dialPath(rendezvous(1), tag(1)), first),
        "429",
        RelayCounter.REFUSED_CIRCUITS_PER_KEY);
    kept(Circuit.open(port, first + "b"));
  }

  @Test
  void tokens_missingOrWrong_areRefused_butHealthIsForEverybody() throws Exception {
    int port = start(Map.of(), Map.of(TOKEN, "a"), false);
    refused(() -> RawWebSocket.control(port), "401", RelayCounter.REFUSED_UNAUTHORIZED);
    refused(
        () -> RawWebSocket.control(port, "Authorization: Bearer " + TOKEN + "x"),
        "401",
        RelayCounter.REFUSED_UNAUTHORIZED);
    kept(RawWebSocket.control(port, "Authorization: Bearer " + TOKEN));
    assertThat(RawWebSocket.ask(port, "GET /healthz HTTP/1.1\r\nHost: r\r\n\r\n"))
        .startsWith("HTTP/1.1 200 OK")
        .endsWith("ok\n");
  }

  /** A relay that takes what {@code operator} signed; its clock stands still until it is set. */
  private int startSigned(DeviceIdentity operator, AtomicLong clock, Map<String, Long> limits) {
    relay.close();
    var all = new java.util.HashMap<>(limits);
    all.putIfAbsent("drain-millis", 0L);
    relay =
        RelayServer.start(
            new RelayOptions(
                Node.anyPort(),
                null,
                Map.of(),
                List.of(HexFormat.of().formatHex(operator.publicKey())),
                false,
                RelayLimits.of(all)),
            new Environment(() -> Instant.ofEpochMilli(clock.get()), new SecureRandom()));
    return relay.address().getPort();
  }

  private static String bearing(RelayToken token, DeviceIdentity operator) {
    return "Authorization: Bearer " + token.sign(operator);
  }

  @Test
  void signedTokens_forgedExpiredOrOfAnotherRelay_areRefused_andSayWhy() throws Exception {
    DeviceIdentity operator = DeviceIdentity.create(new SecureRandom());
    DeviceIdentity stranger = DeviceIdentity.create(new SecureRandom());
    var clock = new AtomicLong(1_000_000);
    int port = startSigned(operator, clock, Map.of());
    var token = new RelayToken("family", 1_060_000, 0, 0);
    kept(RawWebSocket.control(port, bearing(token, operator)));
    RelayCounter counter = RelayCounter.REFUSED_UNAUTHORIZED;
    refused(() -> RawWebSocket.control(port), "wants a token", counter);
    refused(() -> RawWebSocket.control(port, bearing(token, stranger)), "not signed for", counter);
    String forged = bearing(token, operator);
    refused(
        () -> RawWebSocket.control(port, forged.substring(0, forged.length() - 4) + "AAAA"),
        "not signed for",
        counter);
    refused(() -> RawWebSocket.control(port, "Authorization: Bearer s1.AAAA"), "no token", counter);
    clock.set(1_060_000);
    refused(() -> RawWebSocket.control(port, bearing(token, operator)), "expired", counter);
    // A relay that only lists tokens takes no signed one.
    int listing = start(Map.of(), Map.of(TOKEN, "a"), false);
    refused(
        () -> RawWebSocket.control(listing, bearing(token, operator)), "wants a token", counter);
  }

  @Test
  void signedToken_thatExpires_endsItsConnectionsAndCircuits() throws Exception {
    DeviceIdentity operator = DeviceIdentity.create(new SecureRandom());
    var clock = new AtomicLong(1_000_000);
    int port = startSigned(operator, clock, Map.of("idle-millis", 2_000L));
    Circuit circuit =
        kept(Circuit.open(port, bearing(new RelayToken("short", 1_010_000, 0, 0), operator)));
    RawWebSocket lasting =
        kept(
            RawWebSocket.control(port, bearing(new RelayToken("long", 9_000_000, 0, 0), operator)));
    clock.set(1_010_000);
    assertThat(circuit.control().next().opcode()).isEqualTo(WebSocket.CLOSE);
    assertThat(circuit.dialler().next().opcode()).isEqualTo(WebSocket.CLOSE);
    assertThat(circuit.acceptor().next().opcode()).isEqualTo(WebSocket.CLOSE);
    assertThat(relay.counted(RelayCounter.EXPIRED_TOKENS)).isEqualTo(2);
    lasting.send(RawWebSocket.FINAL | WebSocket.PING, new byte[0]);
    assertThat(lasting.next().opcode()).isEqualTo(WebSocket.PONG);
  }

  @Test
  void signedToken_lowersLimits_butDoesNotRaiseThem_andEachIsCountedApart() throws Exception {
    DeviceIdentity operator = DeviceIdentity.create(new SecureRandom());
    int port = startSigned(operator, new AtomicLong(1_000_000), Map.of("circuits-per-key", 4L));
    String two = bearing(new RelayToken("two", 2_000_000, 2, 0), operator);
    String many = bearing(new RelayToken("many", 2_000_000, 1_000, 0), operator);
    RelayCounter counter = RelayCounter.REFUSED_CIRCUITS_PER_KEY;
    kept(Circuit.open(port, two));
    String dial = RelayMessage.dialPath(rendezvous(1), tag(1));
    refused(() -> RawWebSocket.open(port, dial, two), "429", counter);
    kept(Circuit.open(port, many));
    kept(Circuit.open(port, many));
    refused(() -> RawWebSocket.open(port, dial, many), "429", counter);
  }

  @Test
  void token_thatIsShortOrBreaksUrls_isNoToken() {
    assertThatThrownBy(
            () ->
                new RelayOptions(
                    Node.anyPort(), null, Map.of("short", "x"), false, RelayLimits.defaults()))
        .hasMessageContaining("16");
  }

  @Test
  void limits_outOfRangeOrUnknown_nameTheRange() {
    assertThatThrownBy(() -> RelayLimits.of(Map.of("circuits", 0L)))
        .hasMessage("relay.limits: circuits must be 1 to 500000, but is 0");
    assertThatThrownBy(() -> RelayLimits.of(Map.of("circuits", 1L << 40)))
        .hasMessageContaining("1 to 500000");
    assertThatThrownBy(() -> RelayLimits.of(Map.of("rounds", 1L)))
        .hasMessageContaining("half-open");
  }

  @Test
  void controlConnections_beyondThoseOfOneAddress_areRefused() throws Exception {
    int port = start(Map.of("controls-per-address", 2L));
    kept(RawWebSocket.control(port));
    RawWebSocket second = kept(RawWebSocket.control(port));
    refused(() -> RawWebSocket.control(port), "429", RelayCounter.REFUSED_CONTROLS_PER_ADDRESS);
    second.close();
    Waiting.until("one ended", () -> relay.connections() == 1);
    kept(RawWebSocket.control(port));
  }

  @Test
  void addressesBehindAReverseProxy_areCountedApart() throws Exception {
    int port = start(Map.of("controls-per-address", 1L), Map.of(), true);
    kept(RawWebSocket.control(port, "X-Forwarded-For: 192.0.2.1"));
    kept(RawWebSocket.control(port, "X-Forwarded-For: 10.9.9.9, 192.0.2.2"));
    refused(
        () -> RawWebSocket.control(port, "X-Forwarded-For: 192.0.2.3, 192.0.2.2"),
        "429",
        RelayCounter.REFUSED_CONTROLS_PER_ADDRESS);
    refused(
        () -> RawWebSocket.control(port, "X-Forwarded-For: nonsense"),
        "400",
        RelayCounter.REFUSED_MALFORMED);
  }

  @Test
  void silentConnections_beyondTheHalfOpenLimit_areClosedUnread_andTheOthersTimeOut()
      throws Exception {
    int port = start(Map.of("half-open-per-address", 4L, "request-timeout-millis", 800L));
    for (int i = 0; i < 4; i++) {
      kept(new Socket(InetAddress.getLoopbackAddress(), port));
    }
    Waiting.until("four silent ones", () -> relay.connections() == 4);
    Socket fifth = kept(new Socket(InetAddress.getLoopbackAddress(), port));
    assertThat(fifth.getInputStream().read()).isEqualTo(-1);
    assertThat(relay.counted(RelayCounter.REFUSED_HALF_OPEN)).isEqualTo(1);
    Waiting.until("timeouts", () -> relay.counted(RelayCounter.REQUEST_TIMEOUTS) == 4);
    // An honest client is served again.
    kept(RawWebSocket.control(port));
  }

  @Test
  void connections_beyondAll_areClosed() throws Exception {
    int port = start(Map.of("connections", 2L));
    kept(RawWebSocket.control(port));
    kept(RawWebSocket.control(port));
    refused(() -> RawWebSocket.control(port), "closed", RelayCounter.REFUSED_CONNECTIONS);
  }

  @Test
  void registrations_ofAClientOfATopicAndInAll_areLimited() throws Exception {
    int port =
        start(
            Map.of(
                "registrations",
                5L,
                "registrations-per-client",
                3L,
                "registrations-per-topic",
                2L));
    RawWebSocket a = kept(RawWebSocket.control(port));
    for (int i = 0; i < 4; i++) {
      a.send(new RelayMessage.Register(rendezvous(i), tag(1)));
    }
    assertThat(a.readMessage())
        .isEqualTo(new RelayMessage.Refused(rendezvous(3), "registrations-per-client"));
    RawWebSocket b = kept(RawWebSocket.control(port));
    b.send(new RelayMessage.Register(rendezvous(0), tag(2)));
    assertThat(b.readMessage()).isEqualTo(new RelayMessage.Present(rendezvous(0), tag(1)));
    b.send(new RelayMessage.Register(rendezvous(0), tag(3)));
    assertThat(b.readMessage())
        .isEqualTo(new RelayMessage.Refused(rendezvous(0), "registrations-per-topic"));
    b.send(new RelayMessage.Register(rendezvous(8), tag(2)));
    b.send(new RelayMessage.Register(rendezvous(9), tag(2)));
    assertThat(b.readMessage()).isEqualTo(new RelayMessage.Refused(rendezvous(9), "registrations"));
    // Room again, and who is left hears that somebody has gone.
    a.close();
    assertThat(b.readMessage()).isEqualTo(new RelayMessage.Gone(rendezvous(0), tag(1)));
    b.send(new RelayMessage.Unregister(rendezvous(8), tag(2)));
    b.send(new RelayMessage.Register(rendezvous(9), tag(2)));
    b.send(RawWebSocket.FINAL | WebSocket.PING, new byte[0]);
    assertThat(b.next().opcode()).isEqualTo(WebSocket.PONG);
  }

  @Test
  void newcomer_isToldOfAFewOnly() throws Exception {
    int port = relay.address().getPort();
    int many = RelayLimits.MAX_PRESENT + 8;
    RawWebSocket a = kept(RawWebSocket.control(port));
    for (int i = 0; i < many; i++) {
      a.send(new RelayMessage.Register(rendezvous(0), tag(i)));
    }
    a.send(RawWebSocket.FINAL | WebSocket.PING, new byte[0]);
    Frame frame = a.next();
    while (frame.opcode() != WebSocket.PONG) {
      frame = a.next();
    }
    RawWebSocket b = kept(RawWebSocket.control(port));
    b.send(new RelayMessage.Register(rendezvous(0), tag(100)));
    b.send(RawWebSocket.FINAL | WebSocket.PING, new byte[0]);
    int told = 0;
    for (frame = b.next(); frame.opcode() != WebSocket.PONG; frame = b.next()) {
      told++;
    }
    assertThat(told).isEqualTo(RelayLimits.MAX_PRESENT);
  }

  @Test
  void messageNoClientSends_endsTheControlConnection() throws Exception {
    int port = relay.address().getPort();
    RawWebSocket a = kept(RawWebSocket.control(port));
    a.send(new RelayMessage.Leave(1));
    assertThat(a.next().closeCode()).isEqualTo(WebSocket.POLICY_VIOLATION);
    RawWebSocket b = kept(RawWebSocket.control(port));
    b.send(BINARY, new byte[RelayMessage.MAX_MESSAGE_BYTES + 1]);
    assertThat(b.next().closeCode()).isEqualTo(WebSocket.TOO_BIG);
    RawWebSocket c = kept(RawWebSocket.control(port));
    c.send(RawWebSocket.FINAL | WebSocket.TEXT, new byte[] {'x'});
    assertThat(c.next().closeCode()).isEqualTo(WebSocket.UNSUPPORTED_DATA);
  }

  @Test
  void frame_ofTheLongestLengthPasses_andALongerOneEndsTheCircuit() throws Exception {
    int port = start(Map.of("frame-bytes", 1000L));
    Circuit circuit = kept(Circuit.open(port));
    circuit.dialler().send(BINARY, new byte[1000]);
    assertThat(circuit.acceptor().next().payload()).hasSize(1000);
    circuit.dialler().send(BINARY, new byte[1001]);
    assertThat(circuit.dialler().next().closeCode()).isEqualTo(WebSocket.TOO_BIG);
    assertThat(circuit.acceptor().next().closeCode()).isEqualTo(WebSocket.GOING_AWAY);
  }

  @Test
  void idleCircuitAndIdleClient_areClosed_butNotWhoSaysSomething() throws Exception {
    int port = start(Map.of("idle-millis", 1000L));
    Circuit idle = kept(Circuit.open(port));
    Circuit busy = kept(Circuit.open(port));
    RawWebSocket quiet = kept(RawWebSocket.control(port));
    long until = System.nanoTime() + Duration.ofMillis(2500).toNanos();
    while (System.nanoTime() < until) {
      busy.dialler().send(BINARY, new byte[1]);
      assertThat(busy.acceptor().next().payload()).hasSize(1);
      Waiting.holdsFor(Duration.ofMillis(100), () -> true);
    }
    assertThat(idle.dialler().next().closeCode()).isEqualTo(WebSocket.GOING_AWAY);
    assertThat(idle.acceptor().next().closeCode()).isEqualTo(WebSocket.GOING_AWAY);
    assertThat(quiet.next().closeCode()).isEqualTo(WebSocket.GOING_AWAY);
    busy.dialler().send(BINARY, new byte[2]);
    assertThat(busy.acceptor().next().payload()).hasSize(2);
  }

  @Test
  void circuitNobodyAccepts_timesOut() throws Exception {
    int port = start(Map.of("accept-timeout-millis", 100L));
    RawWebSocket control = kept(RawWebSocket.control(port));
    control.send(new RelayMessage.Register(rendezvous(1), tag(1)));
    control.send(RawWebSocket.FINAL | WebSocket.PING, new byte[0]);
    assertThat(control.next().opcode()).isEqualTo(WebSocket.PONG);
    refused(
        () -> RawWebSocket.open(port, RelayMessage.dialPath(rendezvous(1), tag(1))),
        "504",
        RelayCounter.ACCEPT_TIMEOUTS);
    RelayMessage.Incoming incoming = (RelayMessage.Incoming) control.readMessage();
    refused(
        () -> RawWebSocket.open(port, RelayMessage.acceptPath(incoming.circuit())),
        "404",
        RelayCounter.REFUSED_UNKNOWN_PEER);
  }

  @Test
  void senderAboveItsRate_isReadMoreSlowly() throws Exception {
    int port = start(Map.of("bytes-per-second", 1L << 20));
    Circuit circuit = kept(Circuit.open(port));
    long begun = System.nanoTime();
    int blocks = 48;
    CompletableFuture<Void> sending = send(circuit.dialler(), blocks);
    for (int i = 0; i < blocks; i++) {
      assertThat(circuit.acceptor().next().payload()).hasSize(1 << 16);
    }
    sending.get(20, TimeUnit.SECONDS);
    // 3 MiB, of which the first second's worth passes at once.
    assertThat(Duration.ofNanos(System.nanoTime() - begun))
        .isBetween(Duration.ofMillis(1500), Duration.ofSeconds(15));
    assertThat(relay.counted(RelayCounter.THROTTLED)).isPositive();
  }

  private static CompletableFuture<Void> send(RawWebSocket by, int blocks) {
    return CompletableFuture.runAsync(
        () -> {
          try {
            for (int i = 0; i < blocks; i++) {
              by.send(BINARY, new byte[1 << 16]);
            }
          } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
          }
        },
        Thread::startVirtualThread);
  }

  @Test
  void readerThatDoesNotRead_stopsItsSender_andLosesNothing() throws Exception {
    int port = start(Map.of("bytes-per-second", 1L << 40));
    Circuit circuit = kept(Circuit.open(port));
    int blocks = 1024;
    CompletableFuture<Void> sending = send(circuit.dialler(), blocks);
    var before = new AtomicLong(-1);
    Waiting.until(
        "the sender stands",
        () -> {
          long now = relay.counted(RelayCounter.BYTES_FORWARDED);
          return before.getAndSet(now) == now
              && now > 0
              && Waiting.holdsFor(
                  Duration.ofMillis(300), () -> relay.counted(RelayCounter.BYTES_FORWARDED) == now);
        });
    // Of 64 MiB, what the sockets' buffers hold went on, and the relay's own share is small.
    assertThat(before.get()).isLessThan(32L << 20);
    assertThat(sending).isNotDone();
    // Others are served meanwhile.
    Circuit other = kept(Circuit.open(port));
    other.dialler().send(BINARY, new byte[3]);
    assertThat(other.acceptor().next().payload()).hasSize(3);
    for (int i = 0; i < blocks; i++) {
      assertThat(circuit.acceptor().next().payload()).hasSize(1 << 16);
    }
    sending.get(20, TimeUnit.SECONDS);
  }

  @Test
  void pingsOfWhoReadsNothing_areNotAnsweredWithoutEnd() throws Exception {
    int port = start(Map.of("bytes-per-second", 1L << 40));
    Circuit circuit = kept(Circuit.open(port));
    byte[] ping = RawWebSocket.frame(RawWebSocket.FINAL | WebSocket.PING, new byte[125]);
    var pings = new java.io.ByteArrayOutputStream();
    for (int i = 0; i < 100_000; i++) {
      pings.writeBytes(ping);
    }
    circuit.dialler().raw(pings.toByteArray());
    circuit.dialler().send(BINARY, new byte[9]);
    assertThat(circuit.acceptor().next().payload()).hasSize(9);
    // Few enough to be sure that most were dropped, none cut in two.
    circuit.acceptor().send(BINARY, new byte[5]);
    Frame frame = circuit.dialler().next();
    int pongs = 0;
    while (frame.opcode() == WebSocket.PONG) {
      assertThat(frame.payload()).hasSize(125);
      pongs++;
      frame = circuit.dialler().next();
    }
    assertThat(frame.payload()).hasSize(5);
    assertThat(pongs).isBetween(1, 100_000);
  }

  @Test
  void garbage_isRefused_andTheRelayGoesOn() throws Exception {
    int port = relay.address().getPort();
    String host = "Host: r\r\n";
    assertThat(RawWebSocket.ask(port, "GARBAGE\r\n\r\n")).startsWith("HTTP/1.1 400");
    assertThat(RawWebSocket.ask(port, "POST / HTTP/1.1\r\n" + host + "\r\n"))
        .startsWith("HTTP/1.1 405");
    assertThat(
            RawWebSocket.ask(port, "GET / HTTP/1.1\r\n" + host + "Content-Length: 5\r\n\r\nhello"))
        .startsWith("HTTP/1.1 400");
    assertThat(RawWebSocket.ask(port, "GET /v1/control HTTP/1.1\r\n" + host + "\r\n"))
        .startsWith("HTTP/1.1 426");
    assertThat(
            RawWebSocket.ask(
                port, RawWebSocket.request("/v1/control").replace("Version: 13", "Version: 8")))
        .startsWith("HTTP/1.1 400")
        .contains("Sec-WebSocket-Version: 13");
    assertThat(RawWebSocket.ask(port, RawWebSocket.request("/v1/dial/xyz")))
        .startsWith("HTTP/1.1 404");
    assertThat(RawWebSocket.ask(port, "GET /" + "x".repeat(2000) + " HTTP/1.1\r\n\r\n"))
        .startsWith("HTTP/1.1 400");
    assertThat(RawWebSocket.ask(port, "GET / HTTP/1.1\r\nA: " + "x".repeat(9000) + "\r\n\r\n"))
        .startsWith("HTTP/1.1 400");
    kept(RawWebSocket.control(port));
    assertThat(RawWebSocket.ask(port, "GET /metrics HTTP/1.1\r\n" + host + "\r\n"))
        .contains("pluresdb_relay_clients 1\n")
        .contains("# TYPE pluresdb_relay_bytes_forwarded_total counter");
  }

  @Test
  void stoppingRelay_tellsItsClients_letsCircuitsGoOnForAWhile_andEndsInTime() throws Exception {
    int port = start(Map.of("drain-millis", 700L));
    Circuit circuit = kept(Circuit.open(port));
    RawWebSocket control = kept(RawWebSocket.control(port));
    long begun = System.nanoTime();
    CompletableFuture<Void> stopping =
        CompletableFuture.runAsync(relay::close, Thread::startVirtualThread);
    assertThat(control.readMessage()).isEqualTo(new RelayMessage.Leave(1));
    assertThat(control.next().closeCode()).isEqualTo(WebSocket.GOING_AWAY);
    assertThat(control.read()).isNull();
    circuit.dialler().send(BINARY, new byte[7]);
    assertThat(circuit.acceptor().next().payload()).hasSize(7);
    assertThat(circuit.acceptor().next().closeCode()).isEqualTo(WebSocket.GOING_AWAY);
    assertThat(circuit.dialler().next().closeCode()).isEqualTo(WebSocket.GOING_AWAY);
    stopping.get(20, TimeUnit.SECONDS);
    assertThat(Duration.ofNanos(System.nanoTime() - begun))
        .isBetween(Duration.ofMillis(700), RelayServer.STOP_TIMEOUT.plus(Duration.ofMillis(700)));
    assertThatThrownBy(() -> RawWebSocket.control(port)).isInstanceOf(IOException.class);
  }
}
