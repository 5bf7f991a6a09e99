package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.handler.codec.http.HttpHeaderNames;
import io.netty.handler.codec.http.HttpHeaderValues;
import io.netty.handler.codec.http.HttpHeaders;
import io.netty.handler.codec.http.HttpMethod;
import io.netty.handler.codec.http.HttpRequest;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.codec.http.HttpUtil;
import io.netty.handler.codec.http.LastHttpContent;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.ScheduledFuture;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The one request of a connection to a relay: a page for operators, or the upgrade to a WebSocket,
 * after which this handler is gone.
 */
final class RelayRequest extends ChannelInboundHandlerAdapter implements RelayHub.Waiting {
  private static final Logger log = LoggerFactory.getLogger(RelayRequest.class);

  private static final Pattern DIAL = Pattern.compile(".*/v1/dial/([0-9a-f]{64})/([0-9a-f]{32})");
  private static final Pattern ACCEPT = Pattern.compile(".*/v1/accept/([0-9a-f]{32})");
  private static final String WEB_SOCKET_VERSION = "13";
  private static final int KEY_BYTES = 16;

  private final RelayHub hub;
  private final RelayTokens tokens;
  private final boolean trustForwarded;
  private final Supplier<String> metrics;
  private final Runnable requestRead;

  private @Nullable ChannelHandlerContext context;
  private @Nullable ScheduledFuture<?> timer;
  private @Nullable Upgrade upgrade;
  private @Nullable HttpRequest request;
  private @Nullable RelayCaller caller;
  private @Nullable String circuit;
  private boolean answered;

  /**
   * What it takes to answer a WebSocket request.
   *
   * @param accept the {@code Sec-WebSocket-Accept}
   */
  record Upgrade(RelayRequest request, String accept) {}

  /**
   * @param requestRead runs once, when the request is read or the connection closed
   */
  RelayRequest(
      RelayHub hub,
      RelayTokens tokens,
      boolean trustForwarded,
      Supplier<String> metrics,
      Runnable requestRead) {
    this.hub = hub;
    this.tokens = tokens;
    this.trustForwarded = trustForwarded;
    this.metrics = metrics;
    this.requestRead = requestRead;
  }

  @Override
  public void handlerAdded(ChannelHandlerContext ctx) {
    context = ctx;
    timer =
        ctx.executor()
            .schedule(
                () -> {
                  hub.count(RelayCounter.REQUEST_TIMEOUTS);
                  unawaited(ctx.close());
                },
                hub.limits.requestTimeout().toMillis(),
                TimeUnit.MILLISECONDS);
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    cancelTimer();
    requestRead.run();
    if (circuit != null && hub.takeWaiting(circuit) != null && caller != null) {
      caller.circuitEnds(-1);
    }
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    log.debug("relayed connection failed cause={}", cause.toString());
    unawaited(ctx.close());
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object received) {
    try {
      if (received instanceof HttpRequest head && request == null) {
        request = head;
      }
      // The codec reports its end, too, which must not reach who comes after this handler.
      boolean whole =
          received instanceof LastHttpContent
              || (received instanceof HttpRequest head && head.decoderResult().isFailure());
      if (whole && request != null && !answered) {
        answered = true;
        cancelTimer();
        requestRead.run();
        answer(request);
      }
    } finally {
      ReferenceCountUtil.release(received);
    }
  }

  private void answer(HttpRequest request) {
    if (request.decoderResult().isFailure()
        || HttpUtil.isTransferEncodingChunked(request)
        || HttpUtil.getContentLength(request, 0L) != 0) {
      malformed("400 Bad Request", "this is no request a relay answers");
      return;
    }
    if (!request.method().equals(HttpMethod.GET)) {
      malformed("405 Method Not Allowed", "a relay answers GET only");
      return;
    }
    String path = request.uri();
    if (path.endsWith("/healthz")) {
      page(
          hub.isDraining() ? "503 Service Unavailable" : "200 OK",
          hub.isDraining() ? "stopping\n" : "ok\n");
    } else if (path.endsWith("/metrics")) {
      page("200 OK", metrics.get());
    } else {
      webSocket(request, path);
    }
  }

  private void webSocket(HttpRequest request, String path) {
    HttpHeaders headers = request.headers();
    String key = headers.get(HttpHeaderNames.SEC_WEBSOCKET_KEY);
    if (!headers.containsValue(HttpHeaderNames.UPGRADE, HttpHeaderValues.WEBSOCKET, true)
        || !headers.containsValue(HttpHeaderNames.CONNECTION, HttpHeaderValues.UPGRADE, true)) {
      malformed("426 Upgrade Required", "this is a relay of PluresDB: it speaks WebSocket");
      return;
    }
    if (!WEB_SOCKET_VERSION.equals(headers.get(HttpHeaderNames.SEC_WEBSOCKET_VERSION))
        || key == null
        || !isKey(key)) {
      malformed(
          "400 Bad Request\r\nSec-WebSocket-Version: " + WEB_SOCKET_VERSION,
          "WebSocket version 13 with a key of 16 bytes is spoken here");
      return;
    }
    RelayTokens.Holder holder = tokens.holder(headers.get(HttpHeaderNames.AUTHORIZATION));
    if (holder instanceof RelayTokens.Holder.Unknown(var why)) {
      refuse("401 Unauthorized", RelayCounter.REFUSED_UNAUTHORIZED, why);
      return;
    }
    if (hub.isDraining()) {
      page("503 Service Unavailable", "this relay is stopping\n");
      return;
    }
    InetAddress address = address(headers);
    if (address == null) {
      malformed("400 Bad Request", "X-Forwarded-For has no address");
      return;
    }
    RelayCaller who = hub.caller(address, holder);
    caller = who;
    var wanted = new Upgrade(this, WebSocket.accept(key));
    upgrade = wanted;
    Matcher dial = DIAL.matcher(path);
    Matcher accept = ACCEPT.matcher(path);
    if (path.endsWith(RelayMessage.CONTROL_PATH)) {
      control(who);
    } else if (dial.matches()) {
      dial(
          who,
          new Rendezvous(HexFormat.of().parseHex(dial.group(1))),
          new PeerTag(HexFormat.of().parseHex(dial.group(2))));
    } else if (accept.matches()) {
      accept(who, wanted, accept.group(1));
    } else {
      malformed("404 Not Found", "a relay has no such path");
    }
  }

  private static boolean isKey(String key) {
    try {
      return Base64.getDecoder().decode(key).length == KEY_BYTES;
    } catch (IllegalArgumentException e) {
      return false;
    }
  }

  private @Nullable InetAddress address(HttpHeaders headers) {
    InetAddress own = ((InetSocketAddress) present(context).channel().remoteAddress()).getAddress();
    if (!trustForwarded) {
      return own;
    }
    List<String> forwarded = headers.getAll("X-Forwarded-For");
    if (forwarded.isEmpty()) {
      return own;
    }
    String last = forwarded.getLast();
    try {
      return InetAddress.ofLiteral(last.substring(last.lastIndexOf(',') + 1).strip());
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  private void control(RelayCaller who) {
    if (who.byAddress().controls >= hub.limits.controlsPerAddress()) {
      refuse(
          "429 Too Many Requests",
          RelayCounter.REFUSED_CONTROLS_PER_ADDRESS,
          "too many control connections of one address: controls-per-address");
      return;
    }
    who.byAddress().controls++;
    var control = new RelayControl(hub, who);
    switchProtocols();
    present(context).pipeline().addLast(control);
    leave();
    control.open();
  }

  private void dial(RelayCaller who, Rendezvous rendezvous, PeerTag tag) {
    RelayCounter forbidden = hub.forbids(who, true);
    if (forbidden != null) {
      refuse("429 Too Many Requests", forbidden, forbidden.meaning());
      return;
    }
    String name = hub.dial(rendezvous, tag, this);
    if (name == null) {
      refuse("404 Not Found", RelayCounter.REFUSED_UNKNOWN_PEER, "the peer is not at this relay");
      return;
    }
    who.circuitEnds(1);
    circuit = name;
    ChannelHandlerContext ctx = present(context);
    // What follows is for the peer, and nobody reads it before the peer is here.
    ctx.channel().config().setAutoRead(false);
    timer =
        ctx.executor()
            .schedule(
                () -> {
                  if (hub.takeWaiting(name) != null) {
                    who.circuitEnds(-1);
                    refuse(
                        "504 Gateway Timeout",
                        RelayCounter.ACCEPT_TIMEOUTS,
                        "the peer did not accept in time");
                  }
                },
                hub.limits.acceptTimeout().toMillis(),
                TimeUnit.MILLISECONDS);
  }

  private void accept(RelayCaller who, Upgrade wanted, String name) {
    RelayCounter forbidden = hub.forbids(who, false);
    if (forbidden != null) {
      refuse("429 Too Many Requests", forbidden, forbidden.meaning());
      return;
    }
    RelayHub.Waiting dialler = hub.takeWaiting(name);
    if (dialler == null) {
      refuse("404 Not Found", RelayCounter.REFUSED_UNKNOWN_PEER, "nobody waits on this circuit");
      return;
    }
    who.circuitEnds(1);
    dialler.accepted(present(context).channel(), who, wanted);
  }

  @Override
  public void accepted(Channel by, RelayCaller accepting, Upgrade accepted) {
    cancelTimer();
    circuit = null;
    Channel own = present(context).channel();
    switchProtocols();
    accepted.request().switchProtocols();
    RelayCircuitEnd.join(hub, own, present(caller), by, accepting);
    // Who accepts is silent first.
    accepted.request().leave();
    leave();
    own.config().setAutoRead(true);
  }

  /** Writes the 101, past the HTTP codec. */
  private void switchProtocols() {
    ChannelHandlerContext codec = present(context).pipeline().context(HttpServerCodec.class);
    String head =
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Accept: "
            + present(upgrade).accept()
            + "\r\n\r\n";
    unawaited(codec.writeAndFlush(Unpooled.copiedBuffer(head, StandardCharsets.US_ASCII)));
  }

  /** Leaves the pipeline to what was added behind. */
  private void leave() {
    var pipeline = present(context).pipeline();
    pipeline.remove(this);
    // Whatever arrived behind the request goes to the next handler.
    pipeline.remove(HttpServerCodec.class);
  }

  private void malformed(String status, String why) {
    refuse(status, RelayCounter.REFUSED_MALFORMED, why);
  }

  private void refuse(String status, RelayCounter counter, String why) {
    hub.count(counter);
    hub.count(RelayCounter.REQUESTS_REFUSED);
    page(status, why + "\n");
  }

  private void page(String status, String text) {
    ChannelHandlerContext ctx = present(context);
    ChannelHandlerContext codec = ctx.pipeline().context(HttpServerCodec.class);
    byte[] body = text.getBytes(StandardCharsets.UTF_8);
    String head =
        "HTTP/1.1 "
            + status
            + "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: "
            + body.length
            + "\r\nConnection: close\r\n\r\n";
    ByteBuf page = Unpooled.wrappedBuffer(head.getBytes(StandardCharsets.US_ASCII), body);
    unawaited(codec.writeAndFlush(page).addListener(ChannelFutureListener.CLOSE));
  }

  private void cancelTimer() {
    ScheduledFuture<?> running = timer;
    if (running != null) {
      running.cancel(false);
    }
  }

  private static <T> T present(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("a request is used before it is read");
    }
    return value;
  }

  private static void unawaited(Future<?> ignored) {}
}
