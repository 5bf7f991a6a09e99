package io.pluresdb.transport.net;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpServerCodec;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.handler.ssl.SslHandler;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Locale;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import javax.net.ssl.SSLException;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A relay: lets clients that cannot reach each other meet and forwards what they say, which it
 * cannot read.
 *
 * <p>One event loop owns all of it, so nothing is locked and a circuit never crosses threads. TLS
 * handshakes are computed on threads of their own.
 */
public final class RelayServer implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(RelayServer.class);

  /** From {@link #close} to its end, at most, besides {@link RelayLimits#drain}. */
  public static final Duration STOP_TIMEOUT = Duration.ofSeconds(3);

  private static final int LISTEN_BACKLOG = 1024;
  private static final int TLS_THREADS = 2;
  private static final int MAX_REQUEST_LINE_BYTES = 1024;
  private static final int MAX_HEADER_BYTES = 8192;
  private static final int SWEEPS_PER_IDLE = 4;

  /** How often it is looked whether certificates or key were renewed. */
  private static final Duration CERTIFICATES_LOOK = Duration.ofSeconds(30);

  private static final Duration FAREWELL = Duration.ofSeconds(1);
  private static final Duration LOOK = Duration.ofMillis(20);

  private final RelayOptions options;
  private final RelayHub hub;
  private final RelayTokens tokens;
  private final HalfOpen halfOpen;

  /** Changes when the files do. */
  private volatile @Nullable SslContext tls;

  private volatile String tlsVersion;
  private final EventLoopGroup loop;
  private final ExecutorService tlsWork;
  private final Channel listener;

  /** Behind a reverse proxy nobody reaches a UDP port of this machine. */
  private final @Nullable Channel echo;

  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile int connections;

  private RelayServer(RelayOptions options, Environment environment) {
    this.options = options;
    this.hub = new RelayHub(options.limits(), environment);
    this.tokens = new RelayTokens(options.tokens(), options.tokenKeys(), environment.wallClock());
    int most = options.limits().halfOpen();
    // Behind a reverse proxy all connections have one address.
    this.halfOpen =
        new HalfOpen(most, options.trustForwarded() ? most : options.limits().halfOpenPerAddress());
    this.tlsVersion = version(options.tls());
    this.tls = tls(options.tls());
    this.loop =
        new MultiThreadIoEventLoopGroup(
            1, new DefaultThreadFactory("pluresdb-relay", true), NioIoHandler.newFactory());
    this.tlsWork =
        Executors.newFixedThreadPool(TLS_THREADS, new DefaultThreadFactory("pluresdb-tls", true));
    ChannelFuture bound = bootstrap().bind(options.listen()).awaitUninterruptibly();
    Throwable cause = bound.cause();
    if (cause != null) {
      release();
      throw new ListenFailedException(options.listen(), cause);
    }
    listener = bound.channel();
    echo = options.trustForwarded() ? null : RelayEcho.bind(address(), loop, hub);
    long sweep = Math.max(1, options.limits().idle().toMillis() / SWEEPS_PER_IDLE);
    unawaited(loop.next().scheduleAtFixedRate(hub::sweep, sweep, sweep, TimeUnit.MILLISECONDS));
    if (options.tls() != null) {
      long look = CERTIFICATES_LOOK.toMillis();
      // Reads files, so not on the loop.
      unawaited(
          loop.next()
              .scheduleAtFixedRate(
                  () -> tlsWork.execute(this::reloadCertificates),
                  look,
                  look,
                  TimeUnit.MILLISECONDS));
    }
  }

  /**
   * Listens and serves until it is closed.
   *
   * @throws ListenFailedException when that is impossible
   * @throws IllegalArgumentException when certificates or key cannot be used
   */
  public static RelayServer start(RelayOptions options, Environment environment) {
    var server = new RelayServer(options, environment);
    log.info(
        "relay listens address={} tls={} tokens={} tokenKeys={}",
        server.address(),
        server.tls != null,
        options.tokens().size(),
        options.tokenKeys().size());
    return server;
  }

  private static @Nullable SslContext tls(RelayOptions.@Nullable Tls files) {
    if (files == null) {
      return null;
    }
    Path certificates = files.certificates();
    try {
      return SslContextBuilder.forServer(certificates.toFile(), files.key().toFile())
          .protocols("TLSv1.3")
          .build();
    } catch (SSLException | IllegalArgumentException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      throw new IllegalArgumentException(
          "relay.tls-cert and relay.tls-key must be certificates and an unencrypted PKCS #8 key in"
              + " PEM, but "
              + certificates
              + " and "
              + files.key()
              + " are not: "
              + cause.getMessage(),
          e);
    }
  }

  /** Times and sizes of the files, as a text that changes when they do. */
  private static String version(RelayOptions.@Nullable Tls files) {
    if (files == null) {
      return "";
    }
    try {
      return Files.getLastModifiedTime(files.certificates())
          + " "
          + Files.size(files.certificates())
          + " "
          + Files.getLastModifiedTime(files.key())
          + " "
          + Files.size(files.key());
    } catch (IOException e) {
      return "";
    }
  }

  /**
   * New connections get what the files hold now; open ones keep theirs. Files that cannot be used,
   * perhaps because only one of them was replaced yet, change nothing and are looked at again.
   */
  void reloadCertificates() {
    String now = version(options.tls());
    if (now.equals(tlsVersion)) {
      return;
    }
    try {
      tls = tls(options.tls());
      tlsVersion = now;
      log.info("relay certificates read again");
    } catch (IllegalArgumentException e) {
      log.warn("relay certificates not read again cause={}", e.getMessage());
    }
  }

  private ServerBootstrap bootstrap() {
    return new ServerBootstrap()
        .group(loop)
        .channel(NioServerSocketChannel.class)
        .option(ChannelOption.SO_BACKLOG, LISTEN_BACKLOG)
        .option(ChannelOption.SO_REUSEADDR, true)
        .handler(new AcceptFailures())
        .childOption(ChannelOption.TCP_NODELAY, true)
        .childOption(
            ChannelOption.WRITE_BUFFER_WATER_MARK,
            new WriteBufferWaterMark(RelayLimits.LOW_WATER_BYTES, RelayLimits.HIGH_WATER_BYTES))
        .childHandler(
            new ChannelInitializer<SocketChannel>() {
              @Override
              protected void initChannel(SocketChannel channel) {
                accept(channel);
              }
            });
  }

  // The loop alone changes the number of connections.
  @SuppressWarnings("NonAtomicVolatileUpdate")
  private void accept(SocketChannel channel) {
    hub.count(RelayCounter.CONNECTIONS);
    InetAddress address = channel.remoteAddress().getAddress();
    if (connections >= options.limits().connections()) {
      hub.count(RelayCounter.REFUSED_CONNECTIONS);
      unawaited(channel.close());
      return;
    }
    HalfOpen.Place place =
        halfOpen.tryEnter(
            address,
            () -> {
              hub.count(RelayCounter.PUSHED_OUT_HALF_OPEN);
              unawaited(channel.close());
            });
    if (place == null) {
      hub.count(RelayCounter.REFUSED_HALF_OPEN);
      unawaited(channel.close());
      return;
    }
    connections++;
    channel.closeFuture().addListener(ignored -> connections--);
    SslContext secured = tls;
    if (secured != null) {
      SslHandler handler = secured.newHandler(channel.alloc(), tlsWork);
      handler.setHandshakeTimeoutMillis(options.limits().requestTimeout().toMillis());
      channel.pipeline().addLast(handler);
    }
    channel
        .pipeline()
        .addLast(
            new HttpServerCodec(
                new HttpDecoderConfig()
                    .setMaxInitialLineLength(MAX_REQUEST_LINE_BYTES)
                    .setMaxHeaderSize(MAX_HEADER_BYTES)),
            new RelayRequest(hub, tokens, options.trustForwarded(), this::metrics, place::leave));
  }

  /** Where it listens. */
  public InetSocketAddress address() {
    return (InetSocketAddress) listener.localAddress();
  }

  public long counted(RelayCounter counter) {
    return hub.counted(counter);
  }

  /** Open connections of all kinds now. */
  public int connections() {
    return connections;
  }

  /** All counters and levels in Prometheus's text format. On the relay's thread. */
  private String metrics() {
    var text = new StringBuilder();
    level(text, "connections", "open connections", connections);
    level(text, "half_open", "connections whose request is not read", halfOpen.total());
    level(text, "clients", "control connections", hub.controls());
    level(text, "circuits", "joined circuits", hub.circuits());
    level(text, "circuits_waiting", "circuits the peer has not accepted yet", hub.waiting());
    level(text, "registrations", "registrations", hub.registrations());
    for (RelayCounter counter : RelayCounter.values()) {
      metric(text, counter.metric(), counter.meaning(), "counter", hub.counted(counter));
    }
    return text.toString();
  }

  private static void level(StringBuilder text, String name, String meaning, long value) {
    metric(text, "pluresdb_relay_" + name, meaning, "gauge", value);
  }

  private static void metric(
      StringBuilder text, String name, String meaning, String type, long value) {
    text.append(
        String.format(
            Locale.ROOT,
            "# HELP %s %s\n# TYPE %s %s\n%s %d\n",
            name,
            meaning,
            name,
            type,
            name,
            value));
  }

  /**
   * Takes nothing new, tells clients to go elsewhere, lets circuits go on for {@link
   * RelayLimits#drain} unless they end before, ends them and returns; within that time and {@link
   * #STOP_TIMEOUT}. Not to be called from the relay's thread.
   */
  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    listener.close().awaitUninterruptibly();
    if (echo != null) {
      echo.close().awaitUninterruptibly();
    }
    loop.next().submit(hub::drain).awaitUninterruptibly();
    awaitNoConnections(options.limits().drain());
    loop.next().submit(hub::endCircuits).awaitUninterruptibly();
    awaitNoConnections(FAREWELL);
    release();
    log.info("relay stopped circuits={}", hub.counted(RelayCounter.CIRCUITS));
  }

  private void awaitNoConnections(Duration most) {
    long end = System.nanoTime() + most.toNanos();
    while (connections > 0 && System.nanoTime() < end) {
      LockSupport.parkNanos(LOOK.toNanos());
    }
  }

  private void release() {
    loop.shutdownGracefully(0, FAREWELL.toMillis(), TimeUnit.MILLISECONDS).syncUninterruptibly();
    tlsWork.shutdownNow();
  }

  private static void unawaited(Future<?> ignored) {}
}
