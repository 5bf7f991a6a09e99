package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.handler.ssl.SslContext;
import io.netty.handler.ssl.SslContextBuilder;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.ScheduledFuture;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.path.Backoff;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.relay.HttpProxy;
import io.pluresdb.transport.relay.RelayAccess;
import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.RelayStatus;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.time.Duration;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A device's dealings with one relay: stays connected, registers for the databases it follows,
 * hears who else is there, opens circuits and accepts them. Thread-safe; what it does, it does on
 * one event loop.
 */
public final class RelayClient implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(RelayClient.class);

  /** Waits between attempts at the relay. */
  public static final Backoff.Limits BACKOFF =
      new Backoff.Limits(Duration.ofMillis(50), Duration.ofSeconds(10));

  /** Peers noted at one rendezvous; a relay names no more to an honest device. */
  public static final int MAX_PEERS = 64;

  /** Circuits of others being accepted at a time; more are left to time out. */
  public static final int MAX_ACCEPTING = 32;

  /** A connection that lasted this long was a success. */
  private static final Duration SETTLED = Duration.ofSeconds(1);

  private static final Duration PROBE_WAIT = Duration.ofSeconds(2);
  private static final Duration RENAME = Duration.ofMinutes(10);
  private static final int PINGS_PER_IDLE = 3;

  /** Hears, on the client's event loop, whom this device may dial; must not block. */
  public interface Listener {
    void found(DatabaseKeys database, Candidate.Relayed peer);

    void gone(DatabaseKeys database, Candidate.Relayed peer);
  }

  /** What a client needs of its transport. */
  interface Port {
    /** Adds a session's handlers to a WebSocket that somebody dialled. */
    void accepted(Channel channel, WebSocketClientCodec codec);
  }

  /** A database this device registers for at one rendezvous. */
  private static final class Registration {
    final DatabaseKeys database;
    final PeerTag own;
    final Set<PeerTag> present = new HashSet<>();

    Registration(DatabaseKeys database, PeerTag own) {
      this.database = database;
      this.own = own;
    }
  }

  private final RelayAccess access;
  private final DeviceId device;
  private final EventLoop loop;
  private final WriteBufferWaterMark marks;
  private final Environment environment;
  private final Port port;
  private final Listener listener;
  private final Backoff backoff;
  private final Set<DatabaseKeys> followed = ConcurrentHashMap.newKeySet();
  private final Map<Rendezvous, Registration> registrations = new HashMap<>();
  private @Nullable Control control;
  private boolean connecting;
  private int accepting;
  private volatile boolean closed;
  private volatile boolean connected;
  private volatile int topics;
  private volatile int peers;
  private volatile String lastError = "";
  private volatile @Nullable InetAddress seen;
  private volatile @Nullable InetSocketAddress echo;
  private volatile @Nullable Ready ready;

  /** What was prepared off the event loop. */
  private record Ready(@Nullable SslContext tls, @Nullable RelayTrust trust) {}

  RelayClient(
      RelayAccess access,
      DeviceId device,
      EventLoop loop,
      WriteBufferWaterMark marks,
      Environment environment,
      Port port,
      Listener listener) {
    this.access = access;
    this.device = device;
    this.loop = loop;
    this.marks = marks;
    this.environment = environment;
    this.port = port;
    this.listener = listener;
    this.backoff = new Backoff(BACKOFF, environment.random());
    loop.execute(this::connect);
    unawaited(
        loop.scheduleAtFixedRate(
            this::register, RENAME.toMillis(), RENAME.toMillis(), TimeUnit.MILLISECONDS));
  }

  RelayAccess access() {
    return access;
  }

  /** Registers for a database, now and whenever the relay is there. */
  public void follow(DatabaseKeys database) {
    followed.add(database);
    onLoop(this::register);
  }

  public void unfollow(DatabaseKeys database) {
    followed.remove(database);
    onLoop(this::register);
  }

  /** What is known of the relay now. */
  public RelayStatus status() {
    HttpProxy proxy = access.proxy();
    Ready prepared = ready;
    RelayTrust trust = prepared == null ? null : prepared.trust;
    return new RelayStatus(
        access.url(),
        connected,
        topics,
        peers,
        proxy == null ? "" : proxy.toString(),
        trust == null ? "" : trust.intercepted(),
        lastError);
  }

  /** Where the relay sees this device, null before it said so. */
  public @Nullable InetAddress seen() {
    return seen;
  }

  /** Where the relay can be asked how it sees a UDP port; null where it cannot. */
  public @Nullable InetSocketAddress echo() {
    return echo;
  }

  private static @Nullable InetAddress seen(byte[] address) {
    try {
      return InetAddress.getByAddress(address);
    } catch (UnknownHostException e) {
      return null;
    }
  }

  /** The network has changed: comes back at once, and finds out soon when the relay is gone. */
  public void hurry() {
    onLoop(
        () -> {
          Control open = control;
          if (open == null) {
            backoff.reset();
            connect();
          } else {
            open.probe();
          }
        });
  }

  /** Leaves the relay; sessions through it go on. */
  @Override
  public void close() {
    closed = true;
    onLoop(
        () -> {
          Control open = control;
          if (open != null) {
            open.codec.close(io.pluresdb.transport.relay.WebSocket.NORMAL);
          }
        });
  }

  private void onLoop(Runnable task) {
    if (!loop.isShuttingDown()) {
      loop.execute(task);
    }
  }

  // ---- the way to the relay

  /** Opens a WebSocket for a circuit to a peer; the outcome comes on {@code on}. */
  void open(EventLoop on, Candidate.Relayed peer, WebSocketDial.Outcome outcome) {
    open(on, RelayMessage.dialPath(peer.rendezvous(), peer.tag()), outcome);
  }

  private void open(EventLoop on, String path, WebSocketDial.Outcome outcome) {
    // Names are looked up and authorities read where nobody waits for it.
    Thread.ofVirtual()
        .name("pluresdb-relay-dial")
        .start(
            () -> {
              try {
                Ready prepared = prepare();
                HttpProxy proxy = access.proxy();
                String host = proxy == null ? access.url().host() : proxy.host();
                WebSocketDial.start(
                    on,
                    access,
                    List.of(InetAddress.getAllByName(host)),
                    prepared.tls,
                    path,
                    marks,
                    environment.random(),
                    outcome);
              } catch (UnknownHostException e) {
                fail(on, outcome, "the host is not known: " + e.getMessage());
              } catch (IOException e) {
                fail(on, outcome, String.valueOf(e.getMessage()));
              }
            });
  }

  private static void fail(EventLoop on, WebSocketDial.Outcome outcome, String why) {
    if (!on.isShuttingDown()) {
      on.execute(() -> outcome.failed(why));
    }
  }

  private Ready prepare() throws IOException {
    Ready before = ready;
    if (before != null) {
      return before;
    }
    Ready made;
    if (access.url().secure()) {
      var trust = new RelayTrust(access);
      made =
          new Ready(
              SslContextBuilder.forClient()
                  .trustManager(trust)
                  .protocols("TLSv1.3")
                  // Netty would check the name again, where a pin stands for it.
                  .endpointIdentificationAlgorithm(null)
                  .build(),
              trust);
    } else {
      made = new Ready(null, null);
    }
    ready = made;
    return made;
  }

  // ---- the control connection

  private void connect() {
    if (closed || connecting || control != null) {
      return;
    }
    connecting = true;
    open(
        loop,
        RelayMessage.CONTROL_PATH,
        new WebSocketDial.Outcome() {
          @Override
          public void opened(Channel channel) {
            connecting = false;
            var codec = new WebSocketClientCodec(masks());
            var made = new Control(codec);
            control = made;
            channel.pipeline().addLast(codec, made);
          }

          @Override
          public void failed(String why) {
            connecting = false;
            lost(why);
          }
        });
  }

  private SplittableRandom masks() {
    return new SplittableRandom(environment.random().nextLong());
  }

  private void lost(String why) {
    if (!why.equals(lastError)) {
      log.info("relay is not there relay={} cause={}", access.url(), why);
    }
    lastError = why;
    again(backoff.next());
  }

  private void again(Duration wait) {
    if (!closed && !loop.isShuttingDown()) {
      unawaited(loop.schedule(this::connect, wait.toMillis(), TimeUnit.MILLISECONDS));
    }
  }

  /** Makes registrations what they should be now. */
  private void register() {
    Control open = control;
    if (open == null || !open.welcome) {
      return;
    }
    var wanted = new HashMap<Rendezvous, DatabaseKeys>();
    for (DatabaseKeys database : followed) {
      Rendezvous.of(database, environment.wallClock().instant())
          .forEach(rendezvous -> wanted.put(rendezvous, database));
    }
    for (Rendezvous left : List.copyOf(registrations.keySet())) {
      if (!wanted.containsKey(left)) {
        Registration registration = registrations.remove(left);
        if (registration != null) {
          open.send(new RelayMessage.Unregister(left, registration.own));
          forget(left, registration);
        }
      }
    }
    wanted.forEach(
        (rendezvous, database) -> {
          if (!registrations.containsKey(rendezvous)) {
            PeerTag own = PeerTag.of(database, rendezvous, device);
            registrations.put(rendezvous, new Registration(database, own));
            open.send(new RelayMessage.Register(rendezvous, own));
          }
        });
    count();
  }

  private void forget(Rendezvous rendezvous, Registration registration) {
    for (PeerTag tag : registration.present) {
      listener.gone(registration.database, new Candidate.Relayed(access.url(), rendezvous, tag));
    }
  }

  private void count() {
    topics = registrations.size();
    peers = registrations.values().stream().mapToInt(r -> r.present.size()).sum();
  }

  private void heard(RelayMessage message, Control from) {
    switch (message) {
      case RelayMessage.Welcome(var version, var idle, var most, var address, var echoPort) -> {
        from.welcomed(idle);
        seen = seen(address);
        echo = from.echo(echoPort);
        connected = true;
        lastError = "";
        log.info("relay is there relay={}", access.url());
        register();
      }
      case RelayMessage.Present(var rendezvous, var tag) -> {
        Registration registration = registrations.get(rendezvous);
        if (registration != null
            && !tag.equals(registration.own)
            && registration.present.size() < MAX_PEERS
            && registration.present.add(tag)) {
          count();
          listener.found(
              registration.database, new Candidate.Relayed(access.url(), rendezvous, tag));
        }
      }
      case RelayMessage.Gone(var rendezvous, var tag) -> {
        Registration registration = registrations.get(rendezvous);
        if (registration != null && registration.present.remove(tag)) {
          count();
          listener.gone(
              registration.database, new Candidate.Relayed(access.url(), rendezvous, tag));
        }
      }
      case RelayMessage.Incoming(var rendezvous, var circuit) -> {
        if (registrations.containsKey(rendezvous) && accepting < MAX_ACCEPTING) {
          accept(circuit);
        }
      }
      case RelayMessage.Refused(var rendezvous, var limit) -> {
        lastError = "the relay takes no further registration: " + limit;
        log.warn("relay refuses a registration relay={} limit={}", access.url(), limit);
      }
      case RelayMessage.Leave(var seconds) -> {
        from.retry = Duration.ofSeconds(seconds);
        log.info("relay is stopping relay={}", access.url());
      }
      case RelayMessage.Register ignored -> from.foreign();
      case RelayMessage.Unregister ignored -> from.foreign();
    }
  }

  private void accept(byte[] circuit) {
    accepting++;
    open(
        loop,
        RelayMessage.acceptPath(circuit),
        new WebSocketDial.Outcome() {
          @Override
          public void opened(Channel channel) {
            accepting--;
            var codec = new WebSocketClientCodec(masks());
            channel.pipeline().addLast(codec);
            port.accepted(channel, codec);
          }

          @Override
          public void failed(String why) {
            accepting--;
            log.debug("circuit not accepted relay={} cause={}", access.url(), why);
          }
        });
  }

  /** A codec for a circuit that {@link #open} opened, added to its pipeline. */
  WebSocketClientCodec addCodec(Channel channel) {
    var codec = new WebSocketClientCodec(masks());
    channel.pipeline().addLast(codec);
    return codec;
  }

  /** The control connection: binary messages, some of which may come in pieces. */
  private final class Control extends ChannelInboundHandlerAdapter {
    private final WebSocketClientCodec codec;
    private @Nullable ChannelHandlerContext context;
    private @Nullable ScheduledFuture<?> pings;
    private @Nullable Duration retry;
    private String failure = "the relay closed the connection";
    private boolean welcome;
    private final ByteArrayOutputStream collected = new ByteArrayOutputStream();
    private int silentTicks;
    private int heard;

    Control(WebSocketClientCodec codec) {
      this.codec = codec;
    }

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
      context = ctx;
    }

    void welcomed(int idleSeconds) {
      welcome = true;
      long every = Math.max(1, TimeUnit.SECONDS.toMillis(idleSeconds) / PINGS_PER_IDLE);
      unawaited(
          loop.schedule(
              () -> {
                if (control == this) {
                  backoff.reset();
                }
              },
              SETTLED.toMillis(),
              TimeUnit.MILLISECONDS));
      pings = loop.scheduleAtFixedRate(this::tick, every, every, TimeUnit.MILLISECONDS);
    }

    /** Through a proxy nobody knows the relay's address; there UDP hardly passes either. */
    @Nullable InetSocketAddress echo(int port) {
      return port != 0
              && access.proxy() == null
              && context != null
              && context.channel().remoteAddress() instanceof InetSocketAddress relay
          ? new InetSocketAddress(relay.getAddress(), port)
          : null;
    }

    void probe() {
      int before = heard;
      codec.ping();
      unawaited(
          loop.schedule(
              () -> {
                if (control == this && heard == before) {
                  failure = "nothing was heard of the relay after the network changed";
                  close();
                }
              },
              PROBE_WAIT.toMillis(),
              TimeUnit.MILLISECONDS));
    }

    private void tick() {
      if (++silentTicks > PINGS_PER_IDLE) {
        failure = "nothing was heard of the relay";
        close();
      } else {
        codec.ping();
      }
    }

    private void close() {
      if (context != null) {
        unawaited(context.close());
      }
    }

    void foreign() {
      failure = "the relay sends what no relay sends";
      close();
    }

    void send(RelayMessage message) {
      if (context != null) {
        unawaited(context.writeAndFlush(context.alloc().buffer().writeBytes(message.encode())));
      }
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object received) {
      ByteBuf bytes = (ByteBuf) received;
      silentTicks = 0;
      heard++;
      if (collected.size() + bytes.readableBytes() > RelayMessage.MAX_MESSAGE_BYTES) {
        foreign();
      } else {
        byte[] part = new byte[bytes.readableBytes()];
        bytes.readBytes(part);
        collected.write(part, 0, part.length);
      }
      bytes.release();
    }

    @Override
    public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
      silentTicks = 0;
      heard++;
      if (event == WebSocketClientCodec.Event.MESSAGE_END) {
        RelayMessage message = RelayMessage.decode(collected.toByteArray());
        collected.reset();
        if (message == null || (!welcome && !(message instanceof RelayMessage.Welcome))) {
          foreign();
        } else {
          heard(message, this);
        }
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      failure = String.valueOf(cause.getMessage());
      close();
    }

    @Override
    public void channelInactive(ChannelHandlerContext ctx) {
      if (pings != null) {
        pings.cancel(false);
      }
      control = null;
      connected = false;
      registrations.forEach(RelayClient.this::forget);
      registrations.clear();
      count();
      Duration wait = retry;
      if (wait == null) {
        lost(failure);
      } else {
        lastError = "the relay was stopping";
        again(wait);
      }
    }
  }

  private static void unawaited(Future<?> ignored) {}
}
