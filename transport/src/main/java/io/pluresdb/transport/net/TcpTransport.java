package io.pluresdb.transport.net;

import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.SocketChannel;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.netty.handler.codec.quic.QuicChannel;
import io.netty.handler.codec.quic.QuicStreamChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.noise.KeyPair;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.path.Reachability;
import io.pluresdb.transport.path.Timers;
import io.pluresdb.transport.relay.RelayAccess;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Handshake;
import io.pluresdb.transport.session.OpenPath;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionCounters;
import io.pluresdb.transport.session.SessionFailedException;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionPath;
import io.pluresdb.transport.session.SessionPolicy;
import io.pluresdb.transport.session.Suite;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.PeerTag;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.ScheduledFuture;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;
import java.util.function.Consumer;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sessions over TCP, directly or through relays: listens for peers and dials them.
 *
 * <p>A new Noise static key is made for each transport; the device key signs it for each session.
 * Thread-safe.
 */
public final class TcpTransport implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(TcpTransport.class);

  private static final int MAX_EVENT_LOOPS = 4;
  private static final int HANDSHAKE_THREADS = 2;
  private static final int QUEUED_HANDSHAKE_STEPS = 2048;
  private static final int LISTEN_BACKLOG = 256;
  // Ciphertext waiting in Netty; plaintext waits in the session's queue, under its own marks.
  private static final int CIPHERTEXT_LOW_BYTES = 128 * 1024;
  private static final int CIPHERTEXT_HIGH_BYTES = 512 * 1024;
  private static final Duration PROBE_WAIT = Duration.ofSeconds(2);
  private static final Duration CLOSE_TIMEOUT = Duration.ofSeconds(3);

  private final Host host;
  private final Suite suite;
  private final EventLoopGroup loops;
  private final ThreadPoolExecutor handshakes;
  private final HalfOpen halfOpen;
  private final AtomicInteger connections = new AtomicInteger();
  private final Set<Channel> listeners = ConcurrentHashMap.newKeySet();
  private final Set<LiveSession> sessions = ConcurrentHashMap.newKeySet();
  private final Map<RelayUrl, RelayClient> relays = new ConcurrentHashMap<>();
  private final AtomicReference<@Nullable QuicEndpoint> quic = new AtomicReference<>();
  private final AtomicReference<@Nullable Puncher> puncher = new AtomicReference<>();
  private final AtomicBoolean closed = new AtomicBoolean();
  private volatile PathListener pathListener = PathListener.NONE;

  /** Dials with {@link Suite#preferred}; accepts every suite. */
  public TcpTransport(
      DeviceIdentity identity,
      SessionPolicy policy,
      SessionLimits limits,
      Environment environment) {
    this(identity, policy, limits, environment, Suite.preferred());
  }

  /** Dials with {@code suite}; accepts every suite. */
  public TcpTransport(
      DeviceIdentity identity,
      SessionPolicy policy,
      SessionLimits limits,
      Environment environment,
      Suite suite) {
    this.suite = suite;
    this.halfOpen = new HalfOpen(limits.halfOpen(), limits.halfOpenPerAddress());
    int threads = Math.clamp(Runtime.getRuntime().availableProcessors(), 1, MAX_EVENT_LOOPS);
    this.loops =
        new MultiThreadIoEventLoopGroup(
            threads, new DefaultThreadFactory("pluresdb-net", true), NioIoHandler.newFactory());
    this.handshakes =
        new ThreadPoolExecutor(
            HANDSHAKE_THREADS,
            HANDSHAKE_THREADS,
            0,
            TimeUnit.SECONDS,
            new ArrayBlockingQueue<>(QUEUED_HANDSHAKE_STEPS),
            new DefaultThreadFactory("pluresdb-handshake", true));
    this.host =
        new Host(
            new Handshake.Local(
                identity, KeyPair.generate(environment.random()), policy, limits, environment));
  }

  /**
   * Listens on {@code address}, besides any earlier one; port 0 picks a free port.
   *
   * @return the bound address
   * @throws ListenFailedException when that is impossible
   */
  public InetSocketAddress listen(InetSocketAddress address) {
    ServerBootstrap bootstrap =
        new ServerBootstrap()
            .group(loops)
            .channel(NioServerSocketChannel.class)
            .option(ChannelOption.SO_BACKLOG, LISTEN_BACKLOG)
            .option(ChannelOption.SO_REUSEADDR, true)
            .handler(new AcceptFailures())
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childOption(ChannelOption.WRITE_BUFFER_WATER_MARK, ciphertextMarks())
            .childHandler(
                new ChannelInitializer<SocketChannel>() {
                  @Override
                  protected void initChannel(SocketChannel channel) {
                    accept(channel);
                  }
                });
    ChannelFuture bound = bootstrap.bind(address).awaitUninterruptibly();
    Throwable cause = bound.cause();
    if (cause != null) {
      throw new ListenFailedException(address, cause);
    }
    listeners.add(bound.channel());
    InetSocketAddress actual = (InetSocketAddress) bound.channel().localAddress();
    log.info("listening for peers address={}", actual);
    return actual;
  }

  /**
   * Connects to {@code address} and shakes hands about {@code database}.
   *
   * @return completes with the established session, after its listener heard of it, or
   *     exceptionally with a {@link SessionFailedException} that has the reason; on the session's
   *     event loop
   */
  public CompletionStage<Session> dial(InetSocketAddress address, DatabaseKeys database) {
    return dialTcp(address, database).thenApply(OpenPath::session);
  }

  private CompletionStage<OpenPath> dialTcp(InetSocketAddress address, DatabaseKeys database) {
    CompletableFuture<OpenPath> result = new CompletableFuture<>();
    host.counters.countDialled();
    CloseReason forbidden = forbidsDialling();
    if (forbidden != null) {
      return failed(result, forbidden);
    }
    Bootstrap bootstrap =
        new Bootstrap()
            .group(loops)
            .channel(NioSocketChannel.class)
            .option(ChannelOption.TCP_NODELAY, true)
            .option(ChannelOption.WRITE_BUFFER_WATER_MARK, ciphertextMarks())
            .option(
                ChannelOption.CONNECT_TIMEOUT_MILLIS,
                Math.toIntExact(host.limits().handshakeTimeout().toMillis()))
            .handler(
                new ChannelInitializer<SocketChannel>() {
                  @Override
                  protected void initChannel(SocketChannel channel) {
                    count(channel);
                    channel
                        .pipeline()
                        .addLast(
                            new SessionHandler(
                                host,
                                SessionCarrier.direct(),
                                Handshake.initiator(host.local, suite, database),
                                () -> "",
                                () -> {},
                                result));
                  }
                });
    try {
      bootstrap
          .connect(address)
          .addListener(
              connected -> {
                Throwable cause = connected.cause();
                if (cause != null) {
                  failed(result, new CloseReason.ConnectFailed(String.valueOf(cause.getMessage())));
                }
              });
    } catch (RejectedExecutionException e) {
      return failed(result, new CloseReason.Shutdown());
    }
    return result.minimalCompletionStage();
  }

  private @Nullable CloseReason forbidsDialling() {
    if (closed.get()) {
      return new CloseReason.Shutdown();
    }
    return connections.get() >= host.limits().sessions()
        ? new CloseReason.Refused(CloseReason.LIMIT_SESSIONS)
        : null;
  }

  /**
   * As {@link #dial(InetSocketAddress, DatabaseKeys)}, by any way. Where there is a session with
   * the peer already, it goes on by the new path, unless it has a better one.
   */
  public CompletionStage<OpenPath> dial(Candidate candidate, DatabaseKeys database) {
    return switch (candidate) {
      case Candidate.Direct(var address) -> dialTcp(address, database);
      case Candidate.Quic(var address) -> dialQuic(address, database);
      case Candidate.Relayed relayed -> dial(relayed, database);
    };
  }

  /**
   * Speaks QUIC on a UDP port from now on, as long as that is open, and opens direct paths there
   * for sessions that are on a relay.
   *
   * @param reach tells where the port may be reached now; must not block
   * @return why that is impossible here; empty when it is possible
   * @throws IllegalStateException when it is done already
   */
  public String speakQuic(UdpSocket socket, Supplier<CompletionStage<Reachability>> reach) {
    String unavailable = QuicEndpoint.unavailable();
    if (unavailable.isEmpty()) {
      var endpoint =
          new QuicEndpoint(
              socket,
              host.limits(),
              ciphertextMarks(),
              host.local.environment().random(),
              new QuicPort());
      if (!quic.compareAndSet(null, endpoint)) {
        throw new IllegalStateException("QUIC is spoken already");
      }
      puncher.set(
          new Puncher(
              socket,
              host.local.identity().id(),
              host.local.environment().random(),
              reach,
              (to, session) -> dialQuic(to, session.keys())));
      sessions.forEach(session -> host.isOn(session, session.path()));
    }
    return unavailable;
  }

  /** Takes connections by QUIC under the limits of TCP's. */
  private final class QuicPort implements QuicEndpoint.Port {
    @Override
    public HalfOpen.@Nullable Place enter(InetSocketAddress from, Runnable pushedOut) {
      String limit = refusal(connections.get() + 1);
      HalfOpen.Place place =
          limit.isEmpty() ? halfOpen.tryEnter(from.getAddress(), pushedOut) : null;
      if (place == null) {
        host.counters.countClosed(
            new CloseReason.Refused(
                limit.isEmpty() ? CloseReason.LIMIT_HALF_OPEN_PER_ADDRESS : limit));
      }
      return place;
    }

    @Override
    public void accepted(
        QuicStreamChannel stream, InetSocketAddress from, byte[] binding, HalfOpen.Place place) {
      host.counters.countAccepted();
      int now = count(stream);
      stream
          .pipeline()
          .addLast(
              new SessionHandler(
                  host,
                  SessionCarrier.quic(from),
                  Handshake.responder(host.local, binding),
                  () -> refusal(now),
                  place::recognise,
                  place::leave,
                  new CompletableFuture<>()));
    }
  }

  /** The limit that forbids a connection which is the n-th now; empty for none. */
  private String refusal(int now) {
    return closed.get()
        ? CloseReason.LIMIT_CLOSING
        : now > host.limits().sessions() ? CloseReason.LIMIT_SESSIONS : "";
  }

  private CompletionStage<OpenPath> dialQuic(InetSocketAddress address, DatabaseKeys database) {
    CompletableFuture<OpenPath> result = new CompletableFuture<>();
    host.counters.countDialled();
    CloseReason forbidden = forbidsDialling();
    QuicEndpoint endpoint = quic.get();
    if (forbidden != null || endpoint == null) {
      return failed(
          result,
          forbidden == null ? new CloseReason.ConnectFailed("QUIC is not spoken here") : forbidden);
    }
    endpoint.dial(
        address,
        new QuicEndpoint.Outcome() {
          @Override
          public ChannelHandler opened(QuicChannel connection, byte[] binding) {
            return new ChannelInitializer<QuicStreamChannel>() {
              @Override
              protected void initChannel(QuicStreamChannel stream) {
                count(stream);
                stream
                    .pipeline()
                    .addLast(
                        new SessionHandler(
                            host,
                            SessionCarrier.quic(address),
                            Handshake.initiator(host.local, suite, database, binding),
                            () -> "",
                            () -> {},
                            result));
              }
            };
          }

          @Override
          public void failed(String why) {
            TcpTransport.this.failed(result, new CloseReason.ConnectFailed(why));
          }
        });
    return result.minimalCompletionStage();
  }

  private CompletionStage<OpenPath> dial(Candidate.Relayed peer, DatabaseKeys database) {
    CompletableFuture<OpenPath> result = new CompletableFuture<>();
    host.counters.countDialled();
    CloseReason forbidden = forbidsDialling();
    RelayClient relay = relays.get(peer.relay());
    if (forbidden != null || relay == null) {
      return failed(
          result,
          forbidden == null ? new CloseReason.ConnectFailed("the relay is not used") : forbidden);
    }
    relay.open(
        loops.next(),
        peer,
        new WebSocketDial.Outcome() {
          @Override
          public void opened(Channel channel) {
            count(channel);
            begin(
                channel,
                new SessionHandler(
                    host,
                    SessionCarrier.relayed(peer.relay(), relay.addCodec(channel)),
                    Handshake.initiator(host.local, suite, database),
                    () -> "",
                    () -> {},
                    result));
          }

          @Override
          public void failed(String why) {
            TcpTransport.this.failed(result, new CloseReason.ConnectFailed(why));
          }
        });
    return result.minimalCompletionStage();
  }

  /** The channel is open already: the handler hears of it now. */
  private static void begin(Channel channel, SessionHandler handler) {
    channel.pipeline().addLast(handler);
    handler.channelActive(channel.pipeline().context(handler));
  }

  private void acceptRelayed(RelayUrl relay, Channel channel, WebSocketClientCodec codec) {
    host.counters.countAccepted();
    int now = count(channel);
    begin(
        channel,
        new SessionHandler(
            host,
            SessionCarrier.relayed(relay, codec),
            Handshake.responder(host.local),
            () -> refusal(now),
            () -> {},
            new CompletableFuture<>()));
  }

  /**
   * Uses a relay from now on, until this transport is closed.
   *
   * @throws IllegalArgumentException when it is used already
   */
  public RelayClient relay(RelayAccess access, RelayClient.Listener listener) {
    RelayUrl url = access.url();
    var client =
        new RelayClient(
            access,
            host.local.identity().id(),
            loops.next(),
            ciphertextMarks(),
            host.local.environment(),
            (channel, codec) -> acceptRelayed(url, channel, codec),
            listener);
    if (relays.putIfAbsent(url, client) != null) {
      client.close();
      throw new IllegalArgumentException("the relay " + url + " is named twice");
    }
    return client;
  }

  /** As {@link io.pluresdb.transport.path.Dialer.Connector#isServed}. */
  public boolean isServed(Candidate candidate, DatabaseKeys database, @Nullable DeviceId peer) {
    String databaseId = database.databaseId();
    return switch (candidate) {
      case Candidate.Direct ignored -> isConnected(databaseId, peer, new SessionPath.Direct());
      case Candidate.Quic ignored -> isConnected(databaseId, peer, new SessionPath.Quic());
      case Candidate.Relayed(var relay, var rendezvous, var tag) ->
          sessions.stream()
              .filter(s -> s.databaseId().equals(databaseId) && s.hasTrustedPath())
              .map(Session::peer)
              .anyMatch(p -> p.equals(peer) || PeerTag.of(database, rendezvous, p).equals(tag));
    };
  }

  /** Whether a session with {@code peer} is established by a path as good as this one. */
  private boolean isConnected(String databaseId, @Nullable DeviceId peer, SessionPath path) {
    return sessions.stream()
        .anyMatch(
            s ->
                s.peer().equals(peer)
                    && s.databaseId().equals(databaseId)
                    && s.hasTrustedPath()
                    && s.path().rank() >= path.rank());
  }

  /** Hears of the paths of sessions; must not block. */
  public interface PathListener {
    /** Nobody listens. */
    PathListener NONE =
        new PathListener() {
          @Override
          public void moved(Session session) {}

          @Override
          public void stranded(Session session, CloseReason reason) {}

          @Override
          public void suspected(Session session) {}
        };

    /** A session goes on by another path. */
    void moved(Session session);

    /** A session has no path any more, and ends if it has none soon. */
    void stranded(Session session, CloseReason reason);

    /** Nothing was heard on a session's path for some seconds: another is welcome. */
    void suspected(Session session);
  }

  /**
   * The network of this device has changed, or it slept: sessions whose paths are gone are to find
   * out soon, and direct paths that were impossible are tried again.
   */
  public void networkChanged() {
    sessions.forEach(session -> session.probe(PROBE_WAIT));
    Puncher of = puncher.get();
    if (of != null) {
      of.networkChanged();
    }
  }

  /** Names who hears of paths. */
  public void onPaths(PathListener listener) {
    pathListener = listener;
  }

  /** The established sessions of all databases; a snapshot. */
  public Collection<Session> sessions() {
    return List.copyOf(sessions);
  }

  /** Whether any session about {@code databaseId} with {@code peer} is established. */
  public boolean isConnected(String databaseId, DeviceId peer) {
    return sessions.stream()
        .anyMatch(s -> s.peer().equals(peer) && s.databaseId().equals(databaseId));
  }

  /** Whether any session about this database is established. */
  public boolean isConnected(String databaseId) {
    return sessions.stream().anyMatch(s -> s.databaseId().equals(databaseId));
  }

  public SessionCounters counters() {
    return host.counters;
  }

  /** Accepted connections whose handshake is not finished now. */
  public int halfOpenHandshakes() {
    return halfOpen.total();
  }

  public SessionLimits limits() {
    return host.limits();
  }

  /** Timers on this transport's threads, for a {@link io.pluresdb.transport.path.Dialer}. */
  public Timers timers() {
    return (delay, task) -> {
      ScheduledFuture<?> scheduled =
          loops.next().schedule(task, delay.toMillis(), TimeUnit.MILLISECONDS);
      return () -> scheduled.cancel(false);
    };
  }

  /**
   * Stops listening, tells every peer goodbye and releases sockets and threads; returns when that
   * is done, after at most a few seconds. Not to be called from an event loop.
   */
  @Override
  public void close() {
    if (!closed.compareAndSet(false, true)) {
      return;
    }
    listeners.forEach(channel -> channel.close().awaitUninterruptibly());
    relays.values().forEach(RelayClient::close);
    List<CompletableFuture<CloseReason>> closures =
        sessions.stream().map(session -> session.closure().toCompletableFuture()).toList();
    sessions.forEach(session -> session.close(new CloseReason.Shutdown()));
    CompletableFuture<?> all = CompletableFuture.allOf(closures.toArray(CompletableFuture[]::new));
    all.completeOnTimeout(null, CLOSE_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS).join();
    loops
        .shutdownGracefully(0, CLOSE_TIMEOUT.toMillis(), TimeUnit.MILLISECONDS)
        .syncUninterruptibly();
    handshakes.shutdownNow();
  }

  private void accept(SocketChannel channel) {
    host.counters.countAccepted();
    InetAddress address = channel.remoteAddress().getAddress();
    int now = count(channel);
    var place = new AtomicReference<HalfOpen.@Nullable Place>();
    channel
        .pipeline()
        .addLast(
            new SessionHandler(
                host,
                SessionCarrier.direct(),
                Handshake.responder(host.local),
                () -> {
                  String limit = refusal(now);
                  if (!limit.isEmpty()) {
                    return limit;
                  }
                  place.set(
                      halfOpen.tryEnter(
                          address,
                          () ->
                              channel
                                  .pipeline()
                                  .fireUserEventTriggered(SessionHandler.PUSHED_OUT)));
                  return place.get() == null ? CloseReason.LIMIT_HALF_OPEN_PER_ADDRESS : "";
                },
                () -> onPlace(place, HalfOpen.Place::recognise),
                () -> onPlace(place, HalfOpen.Place::leave),
                new CompletableFuture<>()));
  }

  private static void onPlace(
      AtomicReference<HalfOpen.@Nullable Place> reference, Consumer<HalfOpen.Place> action) {
    HalfOpen.Place place = reference.get();
    if (place != null) {
      action.accept(place);
    }
  }

  private int count(Channel channel) {
    channel.closeFuture().addListener(ignored -> connections.decrementAndGet());
    return connections.incrementAndGet();
  }

  private CompletionStage<OpenPath> failed(CompletableFuture<OpenPath> result, CloseReason reason) {
    host.counters.countClosed(reason);
    result.completeExceptionally(new SessionFailedException(reason));
    return result.minimalCompletionStage();
  }

  private static WriteBufferWaterMark ciphertextMarks() {
    return new WriteBufferWaterMark(CIPHERTEXT_LOW_BYTES, CIPHERTEXT_HIGH_BYTES);
  }

  private final class Host implements SessionHost {
    private final Handshake.Local local;
    private final SessionCounters counters = new SessionCounters();

    Host(Handshake.Local local) {
      this.local = local;
    }

    @Override
    public SessionLimits limits() {
      return local.limits();
    }

    @Override
    public SessionPolicy policy() {
      return local.policy();
    }

    @Override
    public SessionCounters counters() {
      return counters;
    }

    @Override
    public Executor handshakes() {
      return handshakes;
    }

    @Override
    public Handshake.Local local() {
      return local;
    }

    @Override
    public EventLoop loop() {
      return loops.next();
    }

    @Override
    public @Nullable LiveSession find(DatabaseKeys database, byte[] peerNoiseKey) {
      return sessions.stream()
          .filter(session -> session.isWith(database, peerNoiseKey))
          .findFirst()
          .orElse(null);
    }

    @Override
    public void opened(LiveSession session) {
      sessions.add(session);
      isOn(session, session.path());
      for (LiveSession other : sessions) {
        // A program that was started again does not come back to what it had.
        if (other.peer().equals(session.peer())
            && other.databaseId().equals(session.databaseId())
            && !other.hasPath()) {
          other.close(new CloseReason.Disconnected("the peer was started again"));
        }
      }
      // A session established while the transport closes is not in its list.
      if (closed.get()) {
        session.close(new CloseReason.Shutdown());
      }
    }

    @Override
    public void moved(LiveSession session) {
      isOn(session, session.path());
      pathListener.moved(session);
    }

    @Override
    public void stranded(LiveSession session, CloseReason reason) {
      if (session.path() instanceof SessionPath.Quic
          && session.dialledPath()
          && session.remoteAddress() instanceof InetSocketAddress address) {
        // NATs may still let it through; nobody else knows this address.
        var _ = dialQuic(address, session.keys());
      }
      pathListener.stranded(session, reason);
    }

    @Override
    public void suspected(LiveSession session) {
      pathListener.suspected(session);
    }

    @Override
    public void heard(LiveSession session, byte[] content) {
      Puncher to = puncher.get();
      if (to != null) {
        to.heard(session, content);
      }
    }

    private void isOn(LiveSession session, SessionPath path) {
      Puncher of = puncher.get();
      if (of != null) {
        if (path instanceof SessionPath.Relayed) {
          of.relayed(session);
        } else {
          of.over(session);
        }
      }
    }

    @Override
    public void closed(LiveSession session) {
      sessions.remove(session);
      Puncher of = puncher.get();
      if (of != null) {
        of.over(session);
      }
    }
  }
}
