package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.channel.socket.DatagramPacket;
import io.netty.channel.unix.Errors.NativeIoException;
import io.netty.channel.unix.SegmentedDatagramPacket;
import io.netty.handler.codec.quic.EpollQuicUtils;
import io.netty.handler.codec.quic.SegmentedDatagramPacketAllocator;
import io.netty.util.concurrent.Future;
import java.net.InetSocketAddress;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Hands the kernel several datagrams of a QUIC connection in one piece, which it cuts (UDP_SEGMENT
 * of udp(7)). A path whose datagrams are shorter than ours, and some devices, refuse that; then
 * these datagrams leave one by one, and so do all others of the socket from then on.
 *
 * <p>Stands first in a socket's pipeline, and allocates for all of its connections.
 */
final class DatagramSegments extends ChannelOutboundHandlerAdapter
    implements SegmentedDatagramPacketAllocator {
  private static final Logger log = LoggerFactory.getLogger(DatagramSegments.class);

  /** Datagrams in one piece: with ours of 1,350 bytes a third of the 64 KiB there may be. */
  private static final int MAX_SEGMENTS = 16;

  /** EIO, EINVAL and EMSGSIZE of Linux, as they are reported: negative. */
  private static final Set<Integer> REFUSALS = Set.of(-5, -22, -90);

  private final SegmentedDatagramPacketAllocator pieces;
  private volatile boolean refused;

  private DatagramSegments(SegmentedDatagramPacketAllocator pieces) {
    this.pieces = pieces;
  }

  /** For one socket, which uses epoll; null where the kernel has nothing like it. */
  static @Nullable DatagramSegments ofEpoll() {
    SegmentedDatagramPacketAllocator pieces = EpollQuicUtils.newSegmentedAllocator(MAX_SEGMENTS);
    return pieces.maxNumSegments() == 0 ? null : new DatagramSegments(pieces);
  }

  @Override
  public int maxNumSegments() {
    return refused ? 0 : MAX_SEGMENTS;
  }

  @Override
  public DatagramPacket newPacket(ByteBuf buffer, int segmentBytes, InetSocketAddress to) {
    return pieces.newPacket(buffer, segmentBytes, to);
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object sent, ChannelPromise promise) {
    if (sent instanceof SegmentedDatagramPacket packet) {
      ByteBuf kept = packet.content().retainedDuplicate();
      promise.addListener(
          written -> {
            if (isRefusal(written.cause())) {
              // Later: the connection may be in the middle of cutting its next piece.
              ctx.executor().execute(() -> sendOneByOne(ctx, packet, kept));
            } else {
              kept.release();
            }
          });
    }
    unawaited(ctx.write(sent, promise));
  }

  private static boolean isRefusal(@Nullable Throwable cause) {
    return cause instanceof NativeIoException failed && REFUSALS.contains(failed.expectedErr());
  }

  private void sendOneByOne(
      ChannelHandlerContext ctx, SegmentedDatagramPacket packet, ByteBuf content) {
    if (!refused) {
      refused = true;
      log.info("datagrams are sent one by one: the kernel does not cut them");
    }
    while (content.isReadable()) {
      int bytes = Math.min(packet.segmentSize(), content.readableBytes());
      unawaited(
          ctx.write(new DatagramPacket(content.readRetainedSlice(bytes), packet.recipient())));
    }
    content.release();
    ctx.flush();
  }

  private static void unawaited(Future<?> ignored) {}
}
