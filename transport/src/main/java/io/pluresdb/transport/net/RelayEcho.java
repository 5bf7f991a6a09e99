package io.pluresdb.transport.net;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.SimpleChannelInboundHandler;
import io.netty.channel.socket.DatagramPacket;
import io.netty.channel.socket.SocketProtocolFamily;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.dht.QueryLimits;
import io.pluresdb.transport.path.PortEcho;
import io.pluresdb.transport.relay.RelayCounter;
import java.net.Inet4Address;
import java.net.InetSocketAddress;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A relay's UDP port, of the same number as its TCP port: tells who asks where it sees him. It
 * keeps nothing of anybody; {@link QueryLimits} bounds how many are answered.
 */
final class RelayEcho extends SimpleChannelInboundHandler<DatagramPacket> {
  private static final Logger log = LoggerFactory.getLogger(RelayEcho.class);

  private final RelayHub hub;
  private final QueryLimits limits;

  private RelayEcho(RelayHub hub) {
    this.hub = hub;
    this.limits = new QueryLimits(millis(hub));
  }

  /**
   * Answers at {@code address} from now on, on the relay's loop.
   *
   * @return null when the port is taken; clients are not told of it then
   */
  static @Nullable Channel bind(InetSocketAddress address, EventLoopGroup loop, RelayHub hub) {
    SocketProtocolFamily family =
        address.getAddress() instanceof Inet4Address
            ? SocketProtocolFamily.INET
            : SocketProtocolFamily.INET6;
    ChannelFuture bound =
        new Bootstrap()
            .group(loop)
            .channelFactory(() -> new NioDatagramChannel(family))
            .option(
                ChannelOption.RECVBUF_ALLOCATOR,
                new FixedRecvByteBufAllocator(PortEcho.QUESTION_BYTES + 1))
            .handler(new RelayEcho(hub))
            .bind(address)
            .awaitUninterruptibly();
    Throwable cause = bound.cause();
    if (cause != null) {
      log.warn(
          "relay does not tell where it sees UDP ports address={} cause={}",
          address,
          cause.toString());
      return null;
    }
    hub.echoesOn(address.getPort());
    return bound.channel();
  }

  private static long millis(RelayHub hub) {
    return TimeUnit.NANOSECONDS.toMillis(hub.nowNanos());
  }

  @Override
  protected void channelRead0(ChannelHandlerContext ctx, DatagramPacket packet) {
    ByteBuf content = packet.content();
    byte[] bytes = new byte[content.readableBytes()];
    content.readBytes(bytes);
    InetSocketAddress from = packet.sender();
    if (!(PortEcho.decode(bytes, bytes.length) instanceof PortEcho.Question(var token))
        || from.getPort() == 0) {
      return;
    }
    if (!limits.allows(from.getAddress(), millis(hub))) {
      hub.count(RelayCounter.ECHOES_LIMITED);
      return;
    }
    hub.count(RelayCounter.ECHOES);
    byte[] answer = new PortEcho.Answer(token, from).encode();
    unawaited(ctx.writeAndFlush(new DatagramPacket(Unpooled.wrappedBuffer(answer), from)));
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    // An ICMP error of an earlier send; the socket stays good.
    log.debug("datagram failed", cause);
  }

  private static void unawaited(Future<?> ignored) {}
}
