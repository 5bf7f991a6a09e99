package io.pluresdb.harness.bench;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.net.RelayServer;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * A relay and a plain forwarder in a process of their own. Prints both ports, then answers each
 * line with the memory in use after a collection: heap and resident bytes.
 */
final class BenchRelay {
  private static final long SETTLE_NANOS = 500_000_000;

  private BenchRelay() {}

  public static void main(String[] arguments) throws IOException {
    var loopback = new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
    long plenty = 500_000;
    RelayLimits limits =
        RelayLimits.of(
            Map.of(
                "connections",
                2 * plenty,
                "circuits",
                plenty,
                "circuits-per-address",
                2 * plenty,
                "half-open-per-address",
                65_536L,
                "bytes-per-second",
                1L << 40,
                "idle-millis",
                600_000L,
                "drain-millis",
                0L));
    try (RelayServer relay =
        RelayServer.start(
            new RelayOptions(loopback, null, Map.of(), false, limits),
            new Environment(InstantSource.system(), new SecureRandom()))) {
      int forwarder = forward(loopback);
      System.out.println(relay.address().getPort() + " " + forwarder);
      var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      while (lines.readLine() != null) {
        awaitSettled(relay);
        System.gc();
        System.gc();
        long heap = ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
        System.out.println(heap + " " + residentBytes());
      }
    }
    System.exit(0);
  }

  /** Until no connection came or went for a while. */
  private static void awaitSettled(RelayServer relay) {
    int before = -1;
    while (relay.connections() != before) {
      before = relay.connections();
      LockSupport.parkNanos(SETTLE_NANOS);
    }
  }

  private static long residentBytes() throws IOException {
    return Files.readAllLines(Path.of("/proc/self/status")).stream()
        .filter(line -> line.startsWith("VmRSS:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")) * 1024)
        .sum();
  }

  /** Joins every second connection with the one before it; on one event loop, as the relay. */
  private static int forward(InetSocketAddress at) {
    var loop = new MultiThreadIoEventLoopGroup(1, NioIoHandler.newFactory());
    var bootstrap =
        new ServerBootstrap()
            .group(loop)
            .channel(NioServerSocketChannel.class)
            .option(ChannelOption.SO_BACKLOG, 1024)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childOption(
                ChannelOption.WRITE_BUFFER_WATER_MARK,
                new WriteBufferWaterMark(RelayLimits.LOW_WATER_BYTES, RelayLimits.HIGH_WATER_BYTES))
            .childHandler(
                new ChannelInitializer<SocketChannel>() {
                  private @Nullable Forward waiting;

                  @Override
                  protected void initChannel(SocketChannel channel) {
                    var end = new Forward(channel);
                    Forward before = waiting;
                    if (before == null) {
                      waiting = end;
                    } else {
                      end.other = before.channel;
                      before.other = channel;
                      waiting = null;
                    }
                    channel.pipeline().addLast(end);
                  }
                });
    Channel bound = bootstrap.bind(at).syncUninterruptibly().channel();
    return ((InetSocketAddress) bound.localAddress()).getPort();
  }

  private static final class Forward extends ChannelInboundHandlerAdapter {
    private final Channel channel;
    private @Nullable Channel other;

    Forward(Channel channel) {
      this.channel = channel;
    }

    private Channel other() {
      Channel there = other;
      if (there == null) {
        throw new IllegalStateException("bytes before both ends are here");
      }
      return there;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object bytes) {
      unawaited(other().write(bytes));
      if (!other().isWritable()) {
        channel.config().setAutoRead(false);
      }
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
      other().flush();
    }

    @Override
    public void channelWritabilityChanged(ChannelHandlerContext ctx) {
      if (other != null) {
        other.config().setAutoRead(channel.isWritable());
      }
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      if (other != null) {
        unawaited(other.close());
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      unawaited(ctx.close());
    }

    private static void unawaited(Future<?> ignored) {}
  }
}
