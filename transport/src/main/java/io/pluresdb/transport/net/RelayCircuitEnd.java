package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.relay.WebSocketException;
import io.pluresdb.transport.relay.WebSocketReader;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One end of a circuit. What arrives here leaves at the other end, frame by frame and without
 * waiting for whole frames: a header is written anew, payload is unmasked where it lies.
 *
 * <p>While the other end's socket takes no more, this one is not read: at most {@link
 * io.pluresdb.transport.relay.RelayLimits#HIGH_WATER_BYTES} and what one read brings wait here.
 */
final class RelayCircuitEnd extends ChannelInboundHandlerAdapter implements WebSocketReader.Sink {
  private static final Logger log = LoggerFactory.getLogger(RelayCircuitEnd.class);

  /** How long the peer may take to answer a close. */
  private static final Duration LINGER = Duration.ofSeconds(1);

  /** Answers to pings that wait for the end of a frame; the oldest is dropped for a further one. */
  private static final int MAX_WAITING_PONGS = 16;

  private final RelayHub hub;
  private final RelayCaller caller;
  private final Channel channel;
  private final WebSocketReader reader;
  private @Nullable RelayCircuitEnd other;
  private @Nullable ByteBuf input;
  private @Nullable Deque<byte[]> pongs;
  // Whether a frame of the other end is being written here: nothing may come between.
  private boolean inFrame;
  private boolean throttled;
  private boolean ended;
  private boolean gone;
  private long heardNanos;

  private RelayCircuitEnd(RelayHub hub, RelayCaller caller, Channel channel) {
    this.hub = hub;
    this.caller = caller;
    this.channel = channel;
    this.reader = new WebSocketReader(true, hub.limits.frameBytes());
    this.heardNanos = hub.nowNanos();
  }

  /** Joins two connections whose upgrades are written; both callers' ends are counted already. */
  static void join(
      RelayHub hub,
      Channel dialler,
      RelayCaller dialling,
      Channel acceptor,
      RelayCaller accepting) {
    var dialled = new RelayCircuitEnd(hub, dialling, dialler);
    var accepted = new RelayCircuitEnd(hub, accepting, acceptor);
    dialled.other = accepted;
    accepted.other = dialled;
    hub.joined(dialled);
    dialler.pipeline().addLast(dialled);
    acceptor.pipeline().addLast(accepted);
  }

  private RelayCircuitEnd other() {
    RelayCircuitEnd there = other;
    if (there == null) {
      throw new IllegalStateException("a circuit is used before it is joined");
    }
    return there;
  }

  /** When anything was heard at either end. */
  long heardNanos() {
    return Math.max(heardNanos, other().heardNanos);
  }

  /** When the token of either end is worth nothing any more. */
  long expiresMillis() {
    return Math.min(caller.expiresMillis(), other().caller.expiresMillis());
  }

  // ---- in

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object received) {
    ByteBuf bytes = (ByteBuf) received;
    input = bytes;
    try {
      if (!gone) {
        heardNanos = hub.nowNanos();
        throttle(caller.charge(bytes.readableBytes(), heardNanos));
        reader.read(bytes.nioBuffer(), this);
      }
    } catch (WebSocketException e) {
      hub.count(RelayCounter.PROTOCOL_VIOLATIONS);
      gone = true;
      end(e.closeCode(), String.valueOf(e.getMessage()));
      closeWhenWritten();
      other().end(WebSocket.GOING_AWAY, "the other end broke the protocol");
    } finally {
      input = null;
      bytes.release();
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    other().channel.flush();
    channel.flush();
  }

  @Override
  public void frame(int opcode, boolean last, long length) {
    RelayCircuitEnd to = other();
    if (!to.ended) {
      to.inFrame = true;
      unawaited(to.channel.write(WebSocketBytes.header(channel.alloc(), opcode, last, length)));
    }
  }

  @Override
  public void payload(int position, int length) {
    ByteBuf bytes = input;
    RelayCircuitEnd to = other();
    if (bytes != null && !to.ended) {
      hub.count(RelayCounter.BYTES_FORWARDED, length);
      unawaited(to.channel.write(bytes.retainedSlice(bytes.readerIndex() + position, length)));
    }
  }

  @Override
  public void frameEnd() {
    RelayCircuitEnd to = other();
    to.inFrame = false;
    to.writePongs();
  }

  @Override
  public void control(int opcode, byte[] payload) throws WebSocketException {
    switch (opcode) {
      case WebSocket.PING -> {
        Deque<byte[]> queue = pongs;
        if (queue == null) {
          queue = new ArrayDeque<>();
          pongs = queue;
        }
        if (queue.size() == MAX_WAITING_PONGS) {
          queue.removeFirst();
        }
        queue.addLast(payload);
        writePongs();
      }
      case WebSocket.CLOSE -> {
        int code = WebSocket.closeCode(payload);
        gone = true;
        end(code, "");
        closeWhenWritten();
        other().end(WebSocket.NORMAL, "the other end closed");
      }
      default -> {
        // A pong nobody asked for is allowed.
      }
    }
  }

  // ---- out

  private void writePongs() {
    Deque<byte[]> queue = pongs;
    while (queue != null && !queue.isEmpty() && !inFrame && !ended && channel.isWritable()) {
      unawaited(
          channel.write(
              WebSocketBytes.frame(channel.alloc(), WebSocket.PONG, queue.removeFirst())));
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    writePongs();
    other().readWhileWritable();
  }

  private void throttle(long pauseNanos) {
    if (pauseNanos > 0 && !throttled) {
      hub.count(RelayCounter.THROTTLED);
      throttled = true;
      readWhileWritable();
      unawaited(
          channel
              .eventLoop()
              .schedule(
                  () -> {
                    throttled = false;
                    readWhileWritable();
                  },
                  pauseNanos,
                  TimeUnit.NANOSECONDS));
    }
  }

  private void readWhileWritable() {
    // Once ended, only the peer's close is waited for, and nothing is forwarded.
    channel.config().setAutoRead(ended || (!throttled && other().channel.isWritable()));
  }

  // ---- the end

  /** Tells both peers that the circuit is over. */
  void endBoth(int code, String reason) {
    end(code, reason);
    other().end(code, reason);
  }

  private void end(int code, String reason) {
    if (ended) {
      return;
    }
    ended = true;
    if (inFrame || !channel.isActive()) {
      // No frame can follow half a frame.
      unawaited(channel.close());
      return;
    }
    byte[] payload = WebSocket.closing(code, reason);
    unawaited(
        channel.writeAndFlush(WebSocketBytes.frame(channel.alloc(), WebSocket.CLOSE, payload)));
    readWhileWritable();
    unawaited(
        channel
            .eventLoop()
            .schedule(() -> unawaited(channel.close()), LINGER.toMillis(), TimeUnit.MILLISECONDS));
  }

  private void closeWhenWritten() {
    unawaited(
        channel.writeAndFlush(Unpooled.EMPTY_BUFFER).addListener(ChannelFutureListener.CLOSE));
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    gone = true;
    caller.circuitEnds(-1);
    hub.ended(this);
    other().end(WebSocket.GOING_AWAY, "the other end has gone");
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    log.debug("relayed connection failed cause={}", cause.toString());
    unawaited(ctx.close());
  }

  private static void unawaited(Future<?> ignored) {}
}
