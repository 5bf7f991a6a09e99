package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelDuplexHandler;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelPromise;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.relay.WebSocketException;
import io.pluresdb.transport.relay.WebSocketReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The client's end of a WebSocket that carries a stream of bytes: every buffer written becomes one
 * binary frame, payload that arrives goes on as it comes, without its frames.
 *
 * <p>Buffers that are written belong to this handler, which masks them where they lie.
 */
final class WebSocketClientCodec extends ChannelDuplexHandler implements WebSocketReader.Sink {
  /** Longest frame a relay may send. */
  private static final long MAX_FRAME_BYTES = 1 << 24;

  /** What goes on besides payload, as user events. */
  enum Event {
    MESSAGE_END,
    PONG
  }

  private final RandomGenerator masks;
  private final WebSocketReader reader = new WebSocketReader(false, MAX_FRAME_BYTES);
  private @Nullable ChannelHandlerContext context;
  private @Nullable ByteBuf input;
  private boolean lastFrame;
  private boolean closing;

  /**
   * @param masks not predictable by others; used by this handler alone
   */
  WebSocketClientCodec(RandomGenerator masks) {
    this.masks = masks;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    context = ctx;
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object received) {
    ByteBuf bytes = (ByteBuf) received;
    input = bytes;
    try {
      reader.read(bytes.nioBuffer(), this);
    } catch (WebSocketException e) {
      close(e.closeCode());
      ctx.fireExceptionCaught(new IOException("the relay broke the WebSocket: " + e.getMessage()));
      unawaited(ctx.close());
    } finally {
      input = null;
      bytes.release();
    }
  }

  @Override
  public void frame(int opcode, boolean last, long length) throws WebSocketException {
    if (opcode == WebSocket.TEXT) {
      throw new WebSocketException(WebSocket.UNSUPPORTED_DATA, "text");
    }
    lastFrame = last;
  }

  @Override
  public void payload(int position, int length) {
    ByteBuf bytes = input;
    ChannelHandlerContext ctx = context;
    if (bytes != null && ctx != null) {
      ctx.fireChannelRead(bytes.retainedSlice(bytes.readerIndex() + position, length));
    }
  }

  @Override
  public void frameEnd() {
    if (lastFrame) {
      fire(Event.MESSAGE_END);
    }
  }

  private void fire(Event event) {
    ChannelHandlerContext ctx = context;
    if (ctx != null) {
      ctx.fireUserEventTriggered(event);
    }
  }

  @Override
  public void control(int opcode, byte[] payload) throws WebSocketException {
    ChannelHandlerContext ctx = context;
    if (ctx == null) {
      return;
    }
    switch (opcode) {
      case WebSocket.PING -> {
        if (!closing && ctx.channel().isWritable()) {
          unawaited(ctx.writeAndFlush(frame(ctx, WebSocket.PONG, payload)));
        }
      }
      case WebSocket.CLOSE -> {
        close(WebSocket.closeCode(payload));
        // The relay closes the connection when it has our answer.
        unawaited(
            ctx.writeAndFlush(ctx.alloc().buffer(0)).addListener(ChannelFutureListener.CLOSE));
      }
      default -> fire(Event.PONG);
    }
  }

  @Override
  public void write(ChannelHandlerContext ctx, Object sent, ChannelPromise promise) {
    ByteBuf bytes = (ByteBuf) sent;
    if (closing || !bytes.isReadable()) {
      bytes.release();
      promise.setFailure(new IOException("the WebSocket is closing"));
      return;
    }
    int length = bytes.readableBytes();
    int mask = masks.nextInt();
    ByteBuffer inside = bytes.nioBuffer();
    WebSocket.mask(inside, 0, length, mask, 0);
    unawaited(ctx.write(WebSocketBytes.maskedHeader(ctx.alloc(), WebSocket.BINARY, length, mask)));
    unawaited(ctx.write(bytes, promise));
  }

  private ByteBuf frame(ChannelHandlerContext ctx, int opcode, byte[] payload) {
    return WebSocketBytes.maskedFrame(ctx.alloc(), opcode, payload, masks.nextInt());
  }

  /** Sends a ping. */
  void ping() {
    ChannelHandlerContext ctx = context;
    if (ctx != null && !closing) {
      unawaited(ctx.writeAndFlush(frame(ctx, WebSocket.PING, new byte[0])));
    }
  }

  /** Says that nothing more is sent. */
  void close(int code) {
    ChannelHandlerContext ctx = context;
    if (ctx != null && !closing) {
      closing = true;
      unawaited(ctx.writeAndFlush(frame(ctx, WebSocket.CLOSE, WebSocket.closing(code, ""))));
    }
  }

  private static void unawaited(Future<?> ignored) {}
}
