package io.pluresdb.daemon.api;

import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.group.ChannelGroup;
import io.netty.channel.group.DefaultChannelGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioChannelOption;
import io.netty.channel.socket.nio.NioServerDomainSocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.handler.codec.http.HttpDecoderConfig;
import io.netty.handler.codec.http.HttpRequestDecoder;
import io.netty.handler.codec.http.HttpResponseEncoder;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.GlobalEventExecutor;
import io.pluresdb.daemon.access.Caller;
import io.pluresdb.daemon.access.Throttle;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.transport.net.AcceptFailures;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import jdk.net.ExtendedSocketOptions;
import jdk.net.UnixDomainPrincipal;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Serves {@link Api} over loopback TCP, to whoever has a token, and over a Unix socket, to
 * processes of the same user. Event loops, to which connections are dealt out in turn, translate
 * between sockets and routes; what may wait runs on virtual threads.
 */
// A write that fails closes its channel, which is where we learn of it.
@SuppressWarnings("FutureReturnValueIgnored")
public final class HttpServer implements AutoCloseable {
  /** Most event loops: further processors are left to the databases. */
  public static final int MAX_LOOPS = 4;

  static final int MAX_LINE_BYTES = 8 << 10;
  static final int MAX_HEADER_BYTES = 16 << 10;

  /** Longest path that fits into a {@code sockaddr_un}, less a margin for its end. */
  private static final int MAX_SOCKET_PATH_BYTES = 103;

  /** Whoever asks, where nobody has to prove anything. */
  private static final Caller UNPROVEN = Caller.owner("tcp");

  private static final int BODY_CHUNK_BYTES = 64 << 10;

  private static final Logger LOG = LoggerFactory.getLogger(HttpServer.class);

  private final Api api;
  private final ApiOptions options;
  private final Tokens tokens;
  private final Throttle throttle;
  private final HeldBodies bodies = new HeldBodies();
  private final EventLoopGroup loop =
      new MultiThreadIoEventLoopGroup(
          loops(), new DefaultThreadFactory("api-loop", true), NioIoHandler.newFactory());
  private final Map<EventLoop, GatheredWrites> writes = new ConcurrentHashMap<>();
  private final ChannelGroup listeners = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
  private final ChannelGroup connections = new DefaultChannelGroup(GlobalEventExecutor.INSTANCE);
  private final AtomicLong refused = new AtomicLong();
  private @Nullable InetSocketAddress address;
  private @Nullable Path socket;

  private HttpServer(Api api, ApiOptions options, Tokens tokens) {
    this.api = api;
    this.options = options;
    this.tokens = tokens;
    this.throttle = new Throttle(options.requestsPerSecond(), options.maxConcurrent());
  }

  /**
   * Binds and serves.
   *
   * @param tokens of which TCP callers must send one
   * @throws ApiException {@code API_BIND_FAILED} or {@code API_ALREADY_RUNNING}; nothing is left
   *     behind then
   */
  public static HttpServer start(Api api, ApiOptions options, Tokens tokens) {
    var server = new HttpServer(api, options, tokens);
    try {
      server.bind();
      api.servedBy(server);
      return server;
    } catch (RuntimeException e) {
      server.close();
      throw e;
    }
  }

  /** How many event loops a server has on this machine: one for each processor, up to the most. */
  public static int loops() {
    return Math.min(Runtime.getRuntime().availableProcessors(), MAX_LOOPS);
  }

  /** The bound loopback address. */
  public InetSocketAddress address() {
    InetSocketAddress bound = address;
    if (bound == null) {
      throw new IllegalStateException("the server is not bound");
    }
    return bound;
  }

  /** The bound Unix socket; empty when none was asked for or its path is too long for one. */
  public Optional<Path> socket() {
    return Optional.ofNullable(socket);
  }

  /** Connections that are open now. */
  int openConnections() {
    return connections.size();
  }

  /** Connections that were refused because there were too many. */
  long refusedConnections() {
    return refused.get();
  }

  /** What callers ask of it. */
  Throttle throttle() {
    return throttle;
  }

  /** What it holds of their bodies. */
  HeldBodies bodies() {
    return bodies;
  }

  private void bind() {
    Path path = options.socket();
    if (path != null) {
      bindSocket(path);
    }
    Channel tcp =
        bind(
            new ServerBootstrap()
                .channel(NioServerSocketChannel.class)
                .childOption(ChannelOption.TCP_NODELAY, true),
            options.address(),
            false);
    address = (InetSocketAddress) tcp.localAddress();
  }

  private void bindSocket(Path path) {
    if (path.toString().getBytes(StandardCharsets.UTF_8).length > MAX_SOCKET_PATH_BYTES) {
      LOG.warn("The path of the Unix socket is too long; only TCP is served. path={}", path);
      return;
    }
    var at = UnixDomainSocketAddress.of(path);
    if (Files.exists(path)) {
      if (answers(at)) {
        throw new ApiException(
            409,
            "API_ALREADY_RUNNING",
            "a daemon already serves " + path,
            "stop it first, or use another data directory");
      }
      delete(path);
    }
    bind(new ServerBootstrap().channel(NioServerDomainSocketChannel.class), at, true);
    socket = path;
    try {
      Files.setPosixFilePermissions(path, PosixFilePermissions.fromString("rw-------"));
    } catch (IOException e) {
      throw bindFailed(at, e);
    }
  }

  private static boolean answers(UnixDomainSocketAddress at) {
    try (var channel = SocketChannel.open(StandardProtocolFamily.UNIX)) {
      return channel.connect(at);
    } catch (IOException e) {
      return false;
    }
  }

  private Channel bind(ServerBootstrap bootstrap, SocketAddress at, boolean unix) {
    var bound =
        bootstrap
            .group(loop)
            .childOption(ChannelOption.AUTO_READ, false)
            .handler(new AcceptFailures())
            .childHandler(
                new ChannelInitializer<>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    accept(channel, unix);
                  }
                })
            .bind(at)
            .awaitUninterruptibly();
    if (!bound.isSuccess()) {
      throw bindFailed(at, bound.cause());
    }
    listeners.add(bound.channel());
    return bound.channel();
  }

  private static ApiException bindFailed(SocketAddress at, Throwable cause) {
    String place =
        at instanceof InetSocketAddress inet
            ? inet.getHostString() + ":" + inet.getPort()
            : at.toString();
    return new ApiException(
        503,
        "API_BIND_FAILED",
        "cannot listen on " + place + ": " + cause.getMessage(),
        "choose another port with --port, or 0 for a free one");
  }

  private void accept(Channel channel, boolean unix) {
    if (!admit(channel)) {
      refused.incrementAndGet();
      refuse(channel);
      return;
    }
    Caller peer = unix ? peer(channel) : options.insecureNoAuth() ? UNPROVEN : null;
    if (unix && peer == null) {
      LOG.warn("A process of another user tried the Unix socket.");
      channel.close();
      return;
    }
    GatheredWrites gathered = writes.computeIfAbsent(channel.eventLoop(), GatheredWrites::new);
    channel
        .pipeline()
        .addLast(
            new HttpRequestDecoder(
                new HttpDecoderConfig()
                    .setMaxInitialLineLength(MAX_LINE_BYTES)
                    .setMaxHeaderSize(MAX_HEADER_BYTES)
                    .setMaxChunkSize(BODY_CHUNK_BYTES)),
            new HttpResponseEncoder(),
            new HttpConnection(
                api, options, tokens, throttle, bodies, gathered, peer, unix ? null : origins()));
  }

  /** Counts a connection unless there are too many; several event loops accept at once. */
  private boolean admit(Channel channel) {
    synchronized (connections) {
      return connections.size() < options.maxConnections() && connections.add(channel);
    }
  }

  /** Says why and closes, without a pipeline: the request is not read. */
  private void refuse(Channel channel) {
    byte[] body =
        new ApiException(
                503,
                "API_TOO_MANY_CONNECTIONS",
                options.maxConnections() + " connections are open, which is the most",
                "close some, or send several requests over one")
            .json();
    String head =
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection:"
            + " close\r\nContent-Length: "
            + body.length
            + "\r\n\r\n";
    channel.write(Unpooled.copiedBuffer(head, StandardCharsets.US_ASCII));
    channel.writeAndFlush(Unpooled.wrappedBuffer(body)).addListener(ChannelFutureListener.CLOSE);
  }

  private Origins origins() {
    InetSocketAddress bound = address();
    String literal = bound.getAddress().getHostAddress();
    String host = literal.contains(":") ? "[" + literal + "]" : literal;
    return new Origins(List.of("localhost", "127.0.0.1", "[::1]", host), bound.getPort());
  }

  /**
   * The user at the other end, who must be the one who owns the socket; null for another. Where the
   * system cannot tell, the file's mode is what keeps others out.
   */
  private @Nullable Caller peer(Channel channel) {
    Path path = options.socket();
    try {
      UnixDomainPrincipal peer =
          channel.config().getOption(NioChannelOption.of(ExtendedSocketOptions.SO_PEERCRED));
      if (peer == null || path == null) {
        return Caller.owner("socket");
      }
      return peer.user().equals(Files.getOwner(path))
          ? Caller.owner("socket:" + peer.user().getName())
          : null;
    } catch (UnsupportedOperationException e) {
      return Caller.owner("socket");
    } catch (IOException e) {
      return null;
    }
  }

  /**
   * Stops accepting, lets requests that are being answered finish for the drain timeout, closes
   * everything and removes the socket file. Idempotent.
   */
  @Override
  public void close() {
    listeners.close().awaitUninterruptibly();
    for (Channel channel : connections) {
      var connection = channel.pipeline().get(HttpConnection.class);
      if (connection != null) {
        channel.eventLoop().execute(connection::drain);
      }
    }
    connections
        .newCloseFuture()
        .awaitUninterruptibly(options.drainTimeout().toMillis(), TimeUnit.MILLISECONDS);
    connections.close().awaitUninterruptibly();
    loop.shutdownGracefully(0, 1, TimeUnit.SECONDS).awaitUninterruptibly();
    Path path = socket;
    if (path != null) {
      socket = null;
      delete(path);
    }
  }

  private static void delete(Path path) {
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      LOG.warn("The file of the Unix socket cannot be removed. path={}", path, e);
    }
  }
}
