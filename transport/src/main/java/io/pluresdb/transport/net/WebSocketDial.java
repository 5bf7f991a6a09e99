package io.pluresdb.transport.net;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.ScheduledFuture;
import io.pluresdb.transport.relay.HttpProxy;
import io.pluresdb.transport.relay.RelayAccess;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.relay.WebSocket;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import javax.net.ssl.SSLParameters;
import org.jspecify.annotations.Nullable;

/**
 * One attempt at a WebSocket with a relay: resolve, connect, the proxy's CONNECT, TLS, the upgrade.
 * Each step that fails says which it was. On one event loop.
 */
final class WebSocketDial extends ChannelInboundHandlerAdapter {
  /** From the first packet to the answer of the relay. */
  static final Duration TIMEOUT = Duration.ofSeconds(10);

  private static final int MAX_HEAD_BYTES = 8192;
  private static final int MAX_TOLD_CHARACTERS = 200;
  private static final int KEY_BYTES = 16;
  private static final String HEAD_END = "\r\n\r\n";

  /** What comes of an attempt, on its event loop. */
  interface Outcome {
    /** The WebSocket is open; whoever handles it is to be added behind. */
    void opened(Channel channel);

    void failed(String why);
  }

  private enum Step {
    PROXY,
    TLS,
    UPGRADE,
    DONE
  }

  private final EventLoop loop;
  private final RelayAccess access;
  private final @Nullable SslContext tls;
  private final String path;
  private final WriteBufferWaterMark marks;
  private final Outcome outcome;
  private final String key;
  private final ByteBuf head = Unpooled.buffer();
  private final Deque<InetAddress> untried = new ArrayDeque<>();
  private Step step;
  private @Nullable Channel channel;
  private @Nullable ScheduledFuture<?> timer;

  private WebSocketDial(
      EventLoop loop,
      RelayAccess access,
      @Nullable SslContext tls,
      String path,
      WriteBufferWaterMark marks,
      RandomGenerator random,
      Outcome outcome) {
    this.loop = loop;
    this.access = access;
    this.tls = tls;
    this.path = path;
    this.marks = marks;
    this.outcome = outcome;
    this.step = access.proxy() == null ? Step.TLS : Step.PROXY;
    byte[] nonce = new byte[KEY_BYTES];
    random.nextBytes(nonce);
    this.key = Base64.getEncoder().encodeToString(nonce);
  }

  /**
   * Begins.
   *
   * @param addresses of the proxy, or of the relay where there is none; one or more
   * @param tls needed for a relay with TLS
   * @param path what the relay names
   */
  static void start(
      EventLoop loop,
      RelayAccess access,
      List<InetAddress> addresses,
      @Nullable SslContext tls,
      String path,
      WriteBufferWaterMark marks,
      RandomGenerator random,
      Outcome outcome) {
    var dial = new WebSocketDial(loop, access, tls, path, marks, random, outcome);
    dial.untried.addAll(addresses);
    loop.execute(
        () -> {
          dial.timer =
              loop.schedule(
                  () ->
                      dial.fail(
                          dial.where() + " did not answer within " + TIMEOUT.toSeconds() + " s"),
                  TIMEOUT.toMillis(),
                  TimeUnit.MILLISECONDS);
          dial.connect();
        });
  }

  private String where() {
    return switch (step) {
      case PROXY -> "the proxy " + access.proxy();
      case TLS, UPGRADE, DONE -> "the relay";
    };
  }

  private void connect() {
    HttpProxy proxy = access.proxy();
    int port = proxy == null ? access.url().port() : proxy.port();
    var to = new InetSocketAddress(untried.removeFirst(), port);
    new Bootstrap()
        .group(loop)
        .channel(NioSocketChannel.class)
        .option(ChannelOption.TCP_NODELAY, true)
        .option(ChannelOption.WRITE_BUFFER_WATER_MARK, marks)
        .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, Math.toIntExact(TIMEOUT.toMillis()))
        .handler(this)
        .connect(to)
        .addListener(
            connected -> {
              Throwable cause = connected.cause();
              if (cause == null || step == Step.DONE) {
                return;
              }
              if (untried.isEmpty()) {
                fail(where() + " cannot be reached: " + cause.getMessage());
              } else {
                connect();
              }
            });
  }

  @Override
  public boolean isSharable() {
    // Added to one channel after another, while one address after another is tried.
    return true;
  }

  @Override
  public void channelActive(ChannelHandlerContext ctx) {
    channel = ctx.channel();
    HttpProxy proxy = access.proxy();
    if (step == Step.DONE) {
      unawaited(ctx.close());
    } else if (proxy != null) {
      send(ctx, proxy.connect(access.url()));
    } else {
      secure(ctx);
    }
  }

  private void secure(ChannelHandlerContext ctx) {
    step = Step.TLS;
    SslContext context = tls;
    if (context == null) {
      upgrade(ctx);
      return;
    }
    RelayUrl url = access.url();
    SslHandler handler = context.newHandler(ctx.alloc(), url.host(), url.port());
    SSLParameters parameters = handler.engine().getSSLParameters();
    parameters.setEndpointIdentificationAlgorithm("HTTPS");
    handler.engine().setSSLParameters(parameters);
    handler.setHandshakeTimeoutMillis(TIMEOUT.toMillis());
    ctx.pipeline().addFirst(handler);
    handler
        .handshakeFuture()
        .addListener(
            shaken -> {
              if (shaken.isSuccess()) {
                upgrade(ctx);
              } else {
                fail("no TLS with the relay: " + root(shaken.cause()));
              }
            });
  }

  private static String root(@Nullable Throwable failure) {
    Throwable cause = failure;
    while (cause != null && cause.getCause() != null) {
      cause = cause.getCause();
    }
    return cause == null ? "unknown" : String.valueOf(cause.getMessage());
  }

  private void upgrade(ChannelHandlerContext ctx) {
    step = Step.UPGRADE;
    RelayUrl url = access.url();
    String authorization =
        url.token() == null ? "" : "Authorization: Bearer " + url.token() + "\r\n";
    send(
        ctx,
        "GET "
            + url.path()
            + path
            + " HTTP/1.1\r\nHost: "
            + url.authority()
            + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            + "Sec-WebSocket-Key: "
            + key
            + "\r\n"
            + authorization
            + "\r\n");
  }

  private static void send(ChannelHandlerContext ctx, String request) {
    unawaited(ctx.writeAndFlush(Unpooled.copiedBuffer(request, StandardCharsets.US_ASCII)));
  }

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object received) {
    ByteBuf bytes = (ByteBuf) received;
    try {
      if (step == Step.DONE) {
        return;
      }
      head.writeBytes(bytes);
      int end = head.toString(StandardCharsets.ISO_8859_1).indexOf(HEAD_END);
      if (end >= 0) {
        answered(
            ctx,
            head.toString(head.readerIndex(), end, StandardCharsets.ISO_8859_1),
            end + HEAD_END.length());
      } else if (head.readableBytes() > MAX_HEAD_BYTES) {
        fail(where() + " answers with endless headers");
      }
    } finally {
      bytes.release();
    }
  }

  private void answered(ChannelHandlerContext ctx, String answer, int end) {
    String[] lines = answer.split("\r\n");
    String[] first = lines[0].split(" ", 3);
    int status = first.length > 1 && first[1].matches("[1-5][0-9]{2}") ? number(first[1]) : 0;
    if (!first[0].startsWith("HTTP/1.") || status == 0) {
      fail(where() + " does not speak HTTP");
      return;
    }
    head.skipBytes(end);
    if (step == Step.PROXY) {
      proxied(ctx, status, lines[0]);
    } else {
      upgraded(ctx, status, lines);
    }
  }

  private static int number(String digits) {
    return Integer.parseInt(digits);
  }

  private void proxied(ChannelHandlerContext ctx, int status, String line) {
    HttpProxy proxy = access.proxy();
    if (status == 407) {
      fail(
          proxy != null && proxy.login() != null
              ? "the proxy " + proxy + " does not take the login it was given (407)"
              : "the proxy "
                  + proxy
                  + " wants a login (407): peers.proxy = http://USER:PASSWORD@HOST:PORT");
    } else if (status / 100 != 2) {
      fail("the proxy " + proxy + " opens no way to the relay: " + printable(line));
    } else if (head.isReadable()) {
      fail("the proxy " + proxy + " speaks before the relay was asked");
    } else {
      secure(ctx);
    }
  }

  private void upgraded(ChannelHandlerContext ctx, int status, String[] lines) {
    if (status != 101) {
      String told = head.toString(StandardCharsets.ISO_8859_1).strip();
      fail(
          "the relay refuses: "
              + printable(lines[0].substring(lines[0].indexOf(' ') + 1))
              + (told.isEmpty() ? "" : ": " + printable(told)));
      return;
    }
    boolean agreed = false;
    for (String line : lines) {
      int colon = line.indexOf(':');
      if (colon > 0
          && line.substring(0, colon).toLowerCase(Locale.ROOT).equals("sec-websocket-accept")) {
        agreed = line.substring(colon + 1).strip().equals(WebSocket.accept(key));
      }
    }
    if (!agreed) {
      fail(
          "the relay's answer does not belong to the request: something between caches or changes it");
      return;
    }
    finish();
    outcome.opened(ctx.channel());
    if (head.isReadable()) {
      ctx.fireChannelRead(Unpooled.copiedBuffer(head));
    }
    head.release();
    ctx.pipeline().remove(this);
  }

  private static String printable(String text) {
    String cut =
        text.length() > MAX_TOLD_CHARACTERS ? text.substring(0, MAX_TOLD_CHARACTERS) : text;
    return cut.replaceAll("[^ -~]+", " ");
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    fail(where() + " closed the connection");
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    if (step != Step.TLS || tls == null) {
      fail(where() + ": " + cause.getMessage());
    }
    // What went wrong in TLS its handshake says.
  }

  private void finish() {
    step = Step.DONE;
    ScheduledFuture<?> running = timer;
    if (running != null) {
      running.cancel(false);
    }
  }

  private void fail(String why) {
    if (step == Step.DONE) {
      return;
    }
    finish();
    head.release();
    Channel open = channel;
    if (open != null) {
      unawaited(open.close());
    }
    outcome.failed(why);
  }

  private static void unawaited(Future<?> ignored) {}
}
