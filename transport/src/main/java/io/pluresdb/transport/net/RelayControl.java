package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.relay.WebSocketException;
import io.pluresdb.transport.relay.WebSocketReader;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.io.ByteArrayOutputStream;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The relay's end of a client's control connection. */
final class RelayControl extends ChannelInboundHandlerAdapter implements WebSocketReader.Sink {
  private static final Logger log = LoggerFactory.getLogger(RelayControl.class);

  private final RelayHub hub;
  private final RelayCaller caller;
  private final WebSocketReader reader = new WebSocketReader(true, RelayMessage.MAX_MESSAGE_BYTES);
  private final ByteArrayOutputStream message = new ByteArrayOutputStream();
  private final Map<Rendezvous, Set<PeerTag>> registered = new HashMap<>();
  private int registrations;
  private @Nullable ChannelHandlerContext context;
  private @Nullable ByteBuf input;
  private boolean lastFrame;
  private boolean ended;
  private long heardNanos;

  RelayControl(RelayHub hub, RelayCaller caller) {
    this.hub = hub;
    this.caller = caller;
    this.heardNanos = hub.nowNanos();
  }

  long heardNanos() {
    return heardNanos;
  }

  long expiresMillis() {
    return caller.expiresMillis();
  }

  Map<Rendezvous, Set<PeerTag>> registered() {
    return registered;
  }

  int registrations() {
    return registrations;
  }

  void remember(Rendezvous rendezvous, PeerTag tag) {
    if (registered.computeIfAbsent(rendezvous, any -> new HashSet<>()).add(tag)) {
      registrations++;
    }
  }

  void forget(Rendezvous rendezvous, PeerTag tag) {
    Set<PeerTag> tags = registered.get(rendezvous);
    if (tags != null && tags.remove(tag)) {
      registrations--;
      if (tags.isEmpty()) {
        registered.remove(rendezvous);
      }
    }
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    context = ctx;
    hub.opened(this);
  }

  /** Says what holds here; nothing else is before it on the wire. */
  void open() {
    send(
        new RelayMessage.Welcome(
            RelayMessage.VERSION,
            (int) Math.max(1, hub.limits.idle().toSeconds()),
            hub.limits.registrationsPerClient(),
            caller.address().getAddress(),
            hub.echoPort()));
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    caller.byAddress().controls--;
    hub.closed(this);
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    log.debug("relayed connection failed cause={}", cause.toString());
    unawaited(ctx.close());
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object received) {
    ByteBuf bytes = (ByteBuf) received;
    input = bytes;
    try {
      if (!ended) {
        heardNanos = hub.nowNanos();
        throttle(ctx, caller.charge(bytes.readableBytes(), heardNanos));
        reader.read(bytes.nioBuffer(), this);
      }
    } catch (WebSocketException e) {
      hub.count(RelayCounter.PROTOCOL_VIOLATIONS);
      end(e.closeCode(), String.valueOf(e.getMessage()));
    } finally {
      input = null;
      bytes.release();
    }
  }

  private void throttle(ChannelHandlerContext ctx, long pauseNanos) {
    if (pauseNanos > 0) {
      hub.count(RelayCounter.THROTTLED);
      ctx.channel().config().setAutoRead(false);
      unawaited(
          ctx.executor()
              .schedule(
                  () -> ctx.channel().config().setAutoRead(true),
                  pauseNanos,
                  TimeUnit.NANOSECONDS));
    }
  }

  @Override
  public void channelReadComplete(ChannelHandlerContext ctx) {
    ctx.flush();
  }

  @Override
  public void frame(int opcode, boolean last, long length) throws WebSocketException {
    if (opcode == WebSocket.TEXT) {
      throw new WebSocketException(WebSocket.UNSUPPORTED_DATA, "text");
    }
    if (message.size() + length > RelayMessage.MAX_MESSAGE_BYTES) {
      throw new WebSocketException(WebSocket.TOO_BIG, "a message is too long");
    }
    lastFrame = last;
  }

  @Override
  public void payload(int position, int length) {
    ByteBuf bytes = input;
    if (bytes != null) {
      byte[] part = new byte[length];
      bytes.getBytes(bytes.readerIndex() + position, part);
      message.write(part, 0, length);
    }
  }

  @Override
  public void frameEnd() throws WebSocketException {
    if (!lastFrame) {
      return;
    }
    RelayMessage decoded = RelayMessage.decode(message.toByteArray());
    message.reset();
    switch (decoded) {
      case RelayMessage.Register(var rendezvous, var tag) -> {
        String limit = hub.register(this, rendezvous, tag);
        if (limit != null) {
          hub.count(RelayCounter.REFUSED_REGISTRATIONS);
          send(new RelayMessage.Refused(rendezvous, limit));
        }
      }
      case RelayMessage.Unregister(var rendezvous, var tag) ->
          hub.unregister(this, rendezvous, tag);
      case RelayMessage.Welcome ignored -> throw unexpected();
      case RelayMessage.Present ignored -> throw unexpected();
      case RelayMessage.Gone ignored -> throw unexpected();
      case RelayMessage.Incoming ignored -> throw unexpected();
      case RelayMessage.Refused ignored -> throw unexpected();
      case RelayMessage.Leave ignored -> throw unexpected();
      case null -> throw unexpected();
    }
  }

  private static WebSocketException unexpected() {
    return new WebSocketException(WebSocket.POLICY_VIOLATION, "not a message of a client");
  }

  @Override
  public void control(int opcode, byte[] payload) throws WebSocketException {
    switch (opcode) {
      case WebSocket.PING -> write(WebSocket.PONG, payload);
      case WebSocket.CLOSE -> end(WebSocket.closeCode(payload), "");
      default -> {
        // A pong; that something was heard is noted.
      }
    }
  }

  void send(RelayMessage sent) {
    ChannelHandlerContext ctx = context;
    if (ended || ctx == null) {
      return;
    }
    write(WebSocket.BINARY, sent.encode());
    ctx.flush();
    if (!ctx.channel().isWritable()) {
      // Whoever does not even read these messages is of no use to anybody.
      unawaited(ctx.close());
    }
  }

  private void write(int opcode, byte[] payload) {
    ChannelHandlerContext ctx = context;
    if (ctx != null && ctx.channel().isWritable()) {
      unawaited(ctx.write(WebSocketBytes.frame(ctx.alloc(), opcode, payload)));
    }
  }

  /** Says goodbye and closes. */
  void end(int code, String reason) {
    ChannelHandlerContext ctx = context;
    if (ended || ctx == null) {
      return;
    }
    ended = true;
    byte[] payload = WebSocket.closing(code, reason);
    unawaited(
        ctx.writeAndFlush(WebSocketBytes.frame(ctx.alloc(), WebSocket.CLOSE, payload))
            .addListener(ChannelFutureListener.CLOSE));
  }

  private static void unawaited(Future<?> ignored) {}
}
