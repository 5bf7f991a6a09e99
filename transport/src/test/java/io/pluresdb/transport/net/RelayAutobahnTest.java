package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.ChannelPromise;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.Vectors;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/**
 * Autobahn|Testsuite's own fuzzing client against the relay. Who dials is that client, who accepts
 * echoes, so that what returns has passed the relay twice.
 *
 * <p>Runs where {@code -Dautobahn.command=} names an executable that behaves as the suite's {@code
 * wstest}: it gets the arguments {@code -m fuzzingclient -s SPECIFICATION}. The suite's report is
 * left in {@code target/autobahn}.
 */
class RelayAutobahnTest {
  /** Framing, pings, reserved bits, opcodes, fragments, UTF-8, closing. */
  private static final int GROUPS = 7;

  /** Cases of these groups in the suite; fewer would mean that some were not run. */
  private static final int CASES = 246;

  private static final int MINUTES = 10;

  /** The relay as it is; the peer behind it echoes. */
  private static final String RELAY = "relay";

  /** The relay's pipeline, with an echo that takes no time. */
  private static final String AT_ONCE = "at once";

  /** What the suite calls behaviour that is right, or that nobody demands. */
  private static final Set<String> RIGHT = Set.of("OK", "INFORMATIONAL");

  /**
   * What it calls behaviour that is right, but could be quicker. In these groups a good frame and a
   * bad one arrive together, and the relay closes before any peer could have echoed the first.
   */
  private static final String LATE = "NON-STRICT";

  private static final Pattern LATE_CASES = Pattern.compile("[345]\\..*");

  // One case sends a message of 256 KiB in one frame, twice what a relay takes unless told.
  private static final RelayLimits LIMITS =
      RelayLimits.of(
          Map.of("drain-millis", 0L, "idle-millis", 3_600_000L, "frame-bytes", 1L << 20));

  @Test
  void relay_againstTheFuzzingClient_passesEveryStrictCase() throws Exception {
    String command = System.getProperty("autobahn.command");
    if (command == null) {
      Vectors.skip(
          "RelayAutobahnTest needs Autobahn's fuzzing client, e.g. -Dautobahn.command=/usr/bin/wstest");
      return;
    }
    Path folder = Files.createDirectories(Path.of("target", "autobahn").toAbsolutePath());
    var environment = new Environment(InstantSource.system(), new SecureRandom());
    var options = new RelayOptions(Node.anyPort(), null, Map.of(), false, LIMITS);
    try (RelayServer relay = RelayServer.start(options, environment);
        var atOnce = new EchoingPipeline(environment);
        var behindRelay = new EchoingPeer(relay.address().getPort());
        var behindPipeline = new EchoingPeer(atOnce.port())) {
      run(
          command,
          folder,
          List.of(
              Map.of("agent", RELAY, "url", behindRelay.url()),
              Map.of("agent", AT_ONCE, "url", behindPipeline.url())));
    }
    JsonNode report = new ObjectMapper().readTree(folder.resolve("index.json").toFile());
    check(report, RELAY, true);
    check(report, AT_ONCE, false);
  }

  /** Registers at a relay, accepts every circuit and echoes what comes. */
  private static final class EchoingPeer implements AutoCloseable {
    private final Rendezvous rendezvous = new Rendezvous(new byte[Rendezvous.RENDEZVOUS_BYTES]);
    private final PeerTag tag = new PeerTag(new byte[PeerTag.TAG_BYTES]);
    private final int port;
    private final RawWebSocket control;

    EchoingPeer(int port) throws IOException {
      this.port = port;
      this.control = RawWebSocket.control(port);
      control.socket.setSoTimeout(0);
      control.send(new RelayMessage.Register(rendezvous, tag));
      Thread.startVirtualThread(this::accept);
    }

    String url() {
      return "ws://127.0.0.1:" + port + RelayMessage.dialPath(rendezvous, tag);
    }

    private void accept() {
      try {
        while (true) {
          if (control.readMessage() instanceof RelayMessage.Incoming incoming) {
            RawWebSocket end = RawWebSocket.open(port, RelayMessage.acceptPath(incoming.circuit()));
            Thread.startVirtualThread(end::echo);
          }
        }
      } catch (IOException e) {
        // The test is over.
      }
    }

    @Override
    public void close() throws IOException {
      control.close();
    }
  }

  /** The handlers of a relay, where data frames to who accepted come back before they leave. */
  private static final class EchoingPipeline implements AutoCloseable {
    private final EventLoopGroup loop =
        new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    private final Channel listener;

    EchoingPipeline(Environment environment) {
      var hub = new RelayHub(LIMITS, environment);
      var tokens = new RelayTokens(Map.of(), List.of(), environment.wallClock());
      listener =
          new ServerBootstrap()
              .group(loop)
              .channel(NioServerSocketChannel.class)
              .childOption(ChannelOption.TCP_NODELAY, true)
              .childHandler(
                  new ChannelInitializer<SocketChannel>() {
                    @Override
                    protected void initChannel(SocketChannel channel) {
                      channel
                          .pipeline()
                          .addLast(
                              new EchoAtOnce(),
                              new HttpServerCodec(),
                              new RelayRequest(hub, tokens, false, () -> "", () -> {}));
                    }
                  })
              .bind(Node.anyPort())
              .syncUninterruptibly()
              .channel();
    }

    int port() {
      return ((InetSocketAddress) listener.localAddress()).getPort();
    }

    @Override
    public void close() {
      loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
    }
  }

  /** On connections that accept a circuit: a frame that is written is read at once. */
  private static final class EchoAtOnce extends ChannelDuplexHandler {
    private static final int MASKED = 0x80;
    private static final byte[] NO_MASK = new byte[Integer.BYTES];
    private boolean accepts;
    private boolean upgraded;
    private long payloadLeft;

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object received) {
      if (!upgraded && received instanceof ByteBuf request) {
        accepts |= request.toString(StandardCharsets.ISO_8859_1).contains(RelayMessage.ACCEPT_PATH);
      }
      ctx.fireChannelRead(received);
    }

    @Override
    public void write(ChannelHandlerContext ctx, Object sent, ChannelPromise promise) {
      ByteBuf bytes = (ByteBuf) sent;
      boolean data = upgraded && accepts && bytes.isReadable();
      upgraded = true;
      if (data && payloadLeft > 0) {
        payloadLeft -= bytes.readableBytes();
        promise.setSuccess();
        ctx.fireChannelRead(bytes);
      } else if (data && (bytes.getByte(bytes.readerIndex()) & 0x0f) < WebSocket.CLOSE) {
        payloadLeft = payloadBytes(bytes);
        ByteBuf header = ctx.alloc().buffer(WebSocket.MAX_HEADER_BYTES).writeBytes(bytes);
        bytes.release();
        header.setByte(1, header.getByte(1) | MASKED).writeBytes(NO_MASK);
        promise.setSuccess();
        ctx.fireChannelRead(header);
      } else {
        unawaited(ctx.write(sent, promise));
      }
    }

    private static void unawaited(Future<?> ignored) {}

    private static long payloadBytes(ByteBuf header) {
      int at = header.readerIndex() + 1;
      int length = header.getByte(at);
      return switch (length) {
        case 126 -> header.getUnsignedShort(at + 1);
        case 127 -> header.getLong(at + 1);
        default -> length;
      };
    }
  }

  private static void run(String command, Path folder, List<Map<String, String>> agents)
      throws IOException, InterruptedException {
    Path specification = folder.resolve("fuzzingclient.json");
    var cases = new ArrayList<String>();
    for (int group = 1; group <= GROUPS; group++) {
      cases.add(group + ".*");
    }
    new ObjectMapper()
        .writeValue(
            specification.toFile(),
            Map.of(
                "outdir",
                folder.toString(),
                "servers",
                agents,
                "cases",
                cases,
                "exclude-cases",
                List.of(),
                "exclude-agent-cases",
                Map.of()));
    Files.deleteIfExists(folder.resolve("index.json"));
    Path log = folder.resolve("fuzzingclient.log");
    Process client =
        new ProcessBuilder(command, "-m", "fuzzingclient", "-s", specification.toString())
            .redirectErrorStream(true)
            .redirectOutput(log.toFile())
            .start();
    try {
      assertThat(client.waitFor(MINUTES, TimeUnit.MINUTES)).as("ends in time, see " + log).isTrue();
      assertThat(client.exitValue()).as("see " + log).isZero();
    } finally {
      client.destroyForcibly();
    }
  }

  private static void check(JsonNode reports, String agent, boolean late) {
    JsonNode report = reports.path(agent);
    var verdicts = new TreeMap<String, Integer>();
    var wrong = new ArrayList<String>();
    report
        .properties()
        .forEach(
            each -> {
              String behaviour = each.getValue().path("behavior").asText();
              String closing = each.getValue().path("behaviorClose").asText();
              verdicts.merge("group " + each.getKey().charAt(0) + " " + behaviour, 1, Integer::sum);
              boolean right =
                  RIGHT.contains(behaviour)
                      || (late
                          && behaviour.equals(LATE)
                          && LATE_CASES.matcher(each.getKey()).matches());
              if (!right || !RIGHT.contains(closing)) {
                wrong.add(each.getKey() + " " + behaviour + ", close " + closing);
              }
            });
    System.out.println("Autobahn, " + agent + ": " + verdicts);
    assertThat(wrong).as("%s, see target/autobahn/index.html", agent).isEmpty();
    assertThat(report.size()).isEqualTo(CASES);
  }
}
