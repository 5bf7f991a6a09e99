package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.FastThreadLocal;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.ScheduledFuture;
import io.netty.util.concurrent.Ticker;
import io.pluresdb.transport.frame.FrameCipher;
import io.pluresdb.transport.frame.FrameException;
import io.pluresdb.transport.frame.FrameKind;
import io.pluresdb.transport.frame.FrameReader;
import io.pluresdb.transport.frame.Goodbye;
import io.pluresdb.transport.frame.MessageReader;
import io.pluresdb.transport.frame.Ready;
import io.pluresdb.transport.noise.NoiseException;
import io.pluresdb.transport.path.Suspicion;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Decision;
import io.pluresdb.transport.session.Handshake;
import io.pluresdb.transport.session.OpenPath;
import io.pluresdb.transport.session.SessionFailedException;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.SessionPath;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A path: translates between one channel of bytes and one {@link Handshake}, then a {@link
 * LiveSession} that begins with it or goes on by it.
 *
 * <p>Everything but what is said to be thread-safe runs on the channel's event loop; handshake
 * steps run on the host's executor while reading is off, so a peer cannot queue work faster than it
 * is done. Received bytes are copied once into the frame array, decrypted, and copied once into the
 * message handed out.
 */
final class SessionHandler extends ChannelInboundHandlerAdapter {
  private static final Logger log = LoggerFactory.getLogger(SessionHandler.class);

  /** Frames one session writes before others on its event loop get a turn. */
  private static final int FRAMES_PER_TURN = 32;

  /** Idle and silence are measured in thirds of the keep-alive interval. */
  private static final int TICKS_PER_KEEP_ALIVE = 3;

  /**
   * Steps in which a path that does not answer is looked at, in parts of the keep-alive interval.
   */
  private static final int LOOKS_PER_KEEP_ALIVE = 6;

  /** Most bytes of what the two sides tell each other about further paths at a time. */
  static final int MAX_PATHS_BYTES = 1024;

  private static final int MIN_SEALED_BYTES = 1 + FrameCipher.TAG_BYTES;

  /** An event of the pipeline: another connection takes the place of this half-open one. */
  static final Object PUSHED_OUT = new Object();

  private enum Phase {
    HANDSHAKE,
    /** We sent READY and wait for the peer's. */
    CONFIRMING,
    ESTABLISHED,
    CLOSED
  }

  /** Where a frame is put together and sealed before it is copied; of the event loop's thread. */
  private static final FastThreadLocal<byte[]> OUT =
      new FastThreadLocal<>() {
        @Override
        protected byte[] initialValue() {
          return new byte[FrameCipher.MAX_SEALED_BYTES];
        }
      };

  /** Where a frame is decrypted to that is not decrypted in place; of the event loop's thread. */
  private static final FastThreadLocal<byte[]> IN =
      new FastThreadLocal<>() {
        @Override
        protected byte[] initialValue() {
          return new byte[FrameCipher.MAX_SEALED_BYTES];
        }
      };

  private final SessionHost host;
  private final Handshake handshake;
  private final SessionCarrier carrier;
  private final Runnable recognised;
  private final Runnable handshakeOver;
  private final CompletableFuture<OpenPath> established;
  private final CompletableFuture<CloseReason> closure = new CompletableFuture<>();
  private final FrameReader reader = new FrameReader();
  private final Deque<ByteBuf> held = new ArrayDeque<>();
  private final Supplier<String> refusal;

  private Phase phase = Phase.HANDSHAKE;
  private @Nullable ChannelHandlerContext context;
  private @Nullable Link link;
  private volatile @Nullable LiveSession session;
  private volatile int number;
  private volatile @Nullable SocketAddress remote;
  private @Nullable LiveSession wanted;
  private boolean stepping;
  private boolean begun;
  private boolean paused;
  private boolean draining;
  private int ticksSinceProbe;
  private final Suspicion suspicion = new Suspicion();
  private long readsReceived;
  private boolean heardDataSinceTick;
  private int ticksSinceReceived;
  private @Nullable ScheduledFuture<?> timer;
  private long handshakeBytesSent;
  private long handshakeBytesReceived;

  /** Without hearing when the peer is recognised. */
  SessionHandler(
      SessionHost host,
      SessionCarrier carrier,
      Handshake handshake,
      Supplier<String> refusal,
      Runnable handshakeOver,
      CompletableFuture<OpenPath> established) {
    this(host, carrier, handshake, refusal, () -> {}, handshakeOver, established);
  }

  /**
   * @param carrier what the channel is
   * @param recognised runs when the peer's first message was one of somebody with the sync key, or
   *     a copy of one
   * @param handshakeOver runs once, when the handshake is finished or the channel closed
   * @param refusal names the limit that forbids this connection, or is empty
   * @param established completes with the path and its session, or exceptionally with why there is
   *     none
   */
  SessionHandler(
      SessionHost host,
      SessionCarrier carrier,
      Handshake handshake,
      Supplier<String> refusal,
      Runnable recognised,
      Runnable handshakeOver,
      CompletableFuture<OpenPath> established) {
    this.recognised = recognised;
    this.host = host;
    this.carrier = carrier;
    this.handshake = handshake;
    this.refusal = refusal;
    this.handshakeOver = handshakeOver;
    this.established = established;
  }

  // ---- life of the channel

  @Override
  public void channelActive(ChannelHandlerContext ctx) {
    context = ctx;
    InetSocketAddress carried = carrier.remote();
    remote = carried == null ? ctx.channel().remoteAddress() : carried;
    String limit = refusal.get();
    if (!limit.isEmpty()) {
      end(new CloseReason.Refused(limit));
      return;
    }
    timer =
        ctx.executor()
            .schedule(
                () -> end(new CloseReason.HandshakeTimedOut()),
                host.limits().handshakeTimeout().toMillis(),
                TimeUnit.MILLISECONDS);
    if (handshake.isInitiator()) {
      reader.expectFrames(Handshake.MIN_MESSAGE_BYTES, Handshake.MAX_MESSAGE_BYTES);
      step(handshake::start);
    } else {
      reader.expectRaw(Handshake.PREAMBLE_BYTES);
    }
  }

  @Override
  public void channelInactive(ChannelHandlerContext ctx) {
    end(new CloseReason.Disconnected("the peer closed the connection"));
    releaseHeld();
  }

  @Override
  public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
    if (cause instanceof IOException) {
      end(new CloseReason.Disconnected(String.valueOf(cause.getMessage())));
    } else {
      fault("session handler failed", cause);
    }
  }

  @Override
  public void userEventTriggered(ChannelHandlerContext ctx, Object event) {
    if (PUSHED_OUT.equals(event) && phase != Phase.ESTABLISHED) {
      end(new CloseReason.Refused(CloseReason.LIMIT_HALF_OPEN));
    } else {
      ctx.fireUserEventTriggered(event);
    }
  }

  @Override
  public void channelWritabilityChanged(ChannelHandlerContext ctx) {
    if (!draining) {
      drain();
    }
  }

  // ---- bytes in

  @Override
  public void channelRead(ChannelHandlerContext ctx, Object received) {
    ByteBuf bytes = (ByteBuf) received;
    countReceived(bytes.readableBytes());
    ticksSinceReceived = 0;
    readsReceived++;
    if (phase == Phase.CLOSED) {
      bytes.release();
    } else if (stepping) {
      held.addLast(bytes);
    } else {
      consume(bytes);
    }
  }

  private void consume(ByteBuf bytes) {
    ByteBuffer in = bytes.nioBuffer();
    try {
      while (in.hasRemaining() && !stepping && phase != Phase.CLOSED && reader.fill(in)) {
        frame();
      }
    } catch (FrameException e) {
      violated(e);
    }
    if (stepping && in.hasRemaining()) {
      bytes.skipBytes(in.position());
      held.addFirst(bytes);
    } else {
      bytes.release();
    }
  }

  private void consumeHeld() {
    while (!stepping && !held.isEmpty()) {
      ByteBuf next = held.removeFirst();
      if (phase == Phase.CLOSED) {
        next.release();
      } else {
        consume(next);
      }
    }
  }

  private void frame() throws FrameException {
    Link open = link;
    if (open == null) {
      byte[] message = Arrays.copyOf(reader.array(), reader.length());
      reader.expectFrames(Handshake.MIN_MESSAGE_BYTES, Handshake.MAX_MESSAGE_BYTES);
      step(() -> handshake.read(message));
      return;
    }
    byte[] plain = open.receiving.opensWellInPlace() ? reader.array() : IN.get();
    int length;
    try {
      length = open.receiving.open(reader.array(), reader.length(), plain);
    } catch (NoiseException e) {
      end(new CloseReason.DecryptionFailed());
      return;
    }
    FrameKind kind = FrameKind.of(plain[0]);
    switch (kind) {
      case DATA -> {
        requirePhase(Phase.ESTABLISHED, kind);
        heardDataSinceTick = true;
        LiveSession to = present(session);
        open.messages.read(plain, 1, length, message -> open.arrived(to, message));
        open.check();
        tell(open, to, false);
      }
      case READY -> {
        requirePhase(Phase.CONFIRMING, kind);
        ready(open, Ready.decode(plain, 1, length, !handshake.isInitiator()));
      }
      case PROBE -> {
        requirePhase(Phase.ESTABLISHED, kind);
        int probe = (int) number(plain, length, Integer.BYTES);
        writeNumber(open, FrameKind.ECHO, probe, Integer.BYTES);
        present(context).flush();
      }
      case ECHO -> {
        requirePhase(Phase.ESTABLISHED, kind);
        if ((int) number(plain, length, Integer.BYTES) == open.probe && open.probedNanos != 0) {
          long took = ticker().nanoTime() - open.probedNanos;
          open.probedNanos = 0;
          present(session).answered(Duration.ofNanos(Math.max(1, took)));
        }
      }
      case RECEIVED -> {
        requirePhase(Phase.ESTABLISHED, kind);
        present(session).writer.received(number(plain, length, Long.BYTES));
        drain();
      }
      case FROM -> {
        requirePhase(Phase.ESTABLISHED, kind);
        if (open.next > 0) {
          throw new FrameException(FrameException.Kind.OUT_OF_PHASE, kind.code());
        }
        open.next = number(plain, length, Long.BYTES);
      }
      case PATHS -> {
        requirePhase(Phase.ESTABLISHED, kind);
        if (length - 1 > MAX_PATHS_BYTES) {
          throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, length);
        }
        host.heard(present(session), Arrays.copyOfRange(plain, 1, length));
      }
      case GOODBYE -> {
        Goodbye goodbye = Goodbye.decode(plain, 1, length);
        end(new CloseReason.EndedByPeer(goodbye.code(), goodbye.message()));
      }
    }
    reader.next();
  }

  private void requirePhase(Phase allowed, FrameKind kind) throws FrameException {
    if (phase != allowed) {
      throw new FrameException(FrameException.Kind.OUT_OF_PHASE, kind.code());
    }
  }

  /** The number that is all of a control frame's content. */
  private static long number(byte[] plain, int length, int bytes) throws FrameException {
    if (length != 1 + bytes) {
      throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, length);
    }
    ByteBuffer content = ByteBuffer.wrap(plain, 1, bytes);
    long number = bytes == Long.BYTES ? content.getLong() : content.getInt();
    if (bytes == Long.BYTES && number < 0) {
      throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, number);
    }
    return number;
  }

  private void violated(FrameException e) {
    end(
        link == null
            ? new CloseReason.HandshakeFailed(CloseReason.HandshakeFailure.BAD_LENGTH)
            : new CloseReason.FrameViolation(e.kind(), e.value()));
  }

  // ---- handshake

  private void step(Supplier<Handshake.Step> work) {
    stepping = true;
    reading();
    EventLoop loop = present(context).channel().eventLoop();
    try {
      host.handshakes()
          .execute(
              () -> {
                Handshake.Step next;
                try {
                  next = work.get();
                } catch (RuntimeException e) {
                  log.error("handshake step failed", e);
                  next = new Handshake.Step.Failed(new CloseReason.LocalFault("handshake step"));
                }
                Handshake.Step result = next;
                loop.execute(() -> stepped(result));
              });
    } catch (RejectedExecutionException e) {
      stepping = false;
      end(new CloseReason.Refused(CloseReason.LIMIT_HANDSHAKE_STEPS));
    }
  }

  private void stepped(Handshake.Step step) {
    stepping = false;
    if (phase == Phase.CLOSED) {
      return;
    }
    switch (step) {
      case Handshake.Step.Continue(var wire) -> {
        if (wire.length > 0) {
          recognised.run();
        }
        write(wire);
        present(context).flush();
      }
      case Handshake.Step.Failed(var reason) -> end(reason);
      case Handshake.Step.Done done -> authentic(done);
    }
    reading();
    consumeHeld();
  }

  private void authentic(Handshake.Step.Done done) {
    write(done.wire());
    Link open = new Link(done);
    link = open;
    phase = Phase.CONFIRMING;
    reader.expectFrames(MIN_SEALED_BYTES, FrameCipher.MAX_SEALED_BYTES);
    switch (done.decision()) {
      case Decision.Accept ignored -> {
        if (handshake.isInitiator()) {
          propose(open);
        }
        present(context).flush();
      }
      case Decision.Reject(var code, var message) -> end(new CloseReason.Rejected(code, message));
    }
  }

  /** The initiator says first whether there is a session to go on with. */
  private void propose(Link open) {
    LiveSession there = host.find(open.done.database(), open.done.peer().noiseKey());
    if (there == null) {
      writeReady(open, new Ready.Begin());
      return;
    }
    Ready.GoOn goOn = there.goOn(carrier.path());
    wanted = there;
    if (goOn == null) {
      end(new CloseReason.Moved());
      return;
    }
    number = goOn.path();
    writeReady(open, goOn);
  }

  private void ready(Link open, Ready said) throws FrameException {
    LiveSession there = wanted;
    switch (said) {
      case Ready.Begin ignored -> begin(open);
      case Ready.GoOn goOn -> {
        number = goOn.path();
        there = host.find(open.done.database(), open.done.peer().noiseKey());
        if (there == null || !there.isNamed(goOn.session())) {
          begin(open);
          return;
        }
        wanted = there;
        up();
        session = there;
        long arrived = there.join(this, goOn);
        if (arrived < 0) {
          end(new CloseReason.Moved());
        } else {
          writeReady(open, new Ready.GoingOn(arrived));
          goOn(there);
        }
      }
      case Ready.Begun(var name) -> {
        if (there != null) {
          // The peer has forgotten that session.
          there.end(new CloseReason.Disconnected("the peer has ended the session"));
        }
        established(open, name);
      }
      case Ready.GoingOn(var arrived) -> {
        if (there == null) {
          throw new FrameException(FrameException.Kind.OUT_OF_PHASE, FrameKind.READY.code());
        }
        up();
        session = there;
        if (there.take(this, arrived)) {
          goOn(there);
        } else {
          end(new CloseReason.Moved());
        }
      }
    }
  }

  private void begin(Link open) {
    byte[] name = new byte[Ready.SESSION_BYTES];
    host.local().environment().random().nextBytes(name);
    writeReady(open, new Ready.Begun(name));
    established(open, name);
  }

  private void established(Link open, byte[] name) {
    SessionListener listener;
    try {
      listener = host.policy().listener(open.done.database());
    } catch (IllegalStateException e) {
      // Closed since the peer was admitted.
      end(new CloseReason.Ended("DATABASE_CLOSED", String.valueOf(e.getMessage())));
      return;
    }
    up();
    host.counters().countEstablished();
    var made = new LiveSession(host, name, open.done, listener, this);
    made.countSent(handshakeBytesSent);
    made.countReceived(handshakeBytesReceived);
    session = made;
    made.open(this);
    // A listener may close a session while it hears of it; its dialler still has to learn whom it
    // reached.
    established.complete(new OpenPath(made, closure.minimalCompletionStage()));
  }

  private void goOn(LiveSession with) {
    with.countSent(handshakeBytesSent);
    with.countReceived(handshakeBytesReceived);
    established.complete(new OpenPath(with, closure.minimalCompletionStage()));
  }

  /** The handshake is over: from now on the path looks after itself. */
  private void up() {
    phase = Phase.ESTABLISHED;
    cancelTimer();
    handshakeOver.run();
    long tickMillis = Math.max(1, host.limits().keepAlive().toMillis() / TICKS_PER_KEEP_ALIVE);
    Duration silence = host.limits().silence();
    long silentTicks = Math.max(2, silence.toMillis() / tickMillis);
    timer =
        present(context)
            .executor()
            .scheduleAtFixedRate(
                () -> tick(present(link), silentTicks, silence),
                tickMillis,
                tickMillis,
                TimeUnit.MILLISECONDS);
  }

  // ---- what its session does with it; thread-safe

  boolean isInitiator() {
    return handshake.isInitiator();
  }

  SessionPath path() {
    return carrier.path();
  }

  /** Its number among those paths of its session that its initiator initiated. */
  int number() {
    return number;
  }

  SocketAddress remoteAddress() {
    return present(remote);
  }

  EventLoop loop() {
    return present(context).channel().eventLoop();
  }

  /** It has the turn, and writes what was not received, from message {@code first}. */
  void beginAt(long first) {
    later(
        () -> {
          if (phase != Phase.ESTABLISHED) {
            return;
          }
          Link open = present(link);
          // Nothing is written before the peer knows with which message this path begins.
          begun = true;
          if (first > 0) {
            writeNumber(open, FrameKind.FROM, first, Long.BYTES);
          }
          probe(open);
          present(context).flush();
          drain();
        });
  }

  void pause(boolean wantedPause) {
    later(
        () -> {
          if (phase != Phase.CLOSED) {
            paused = wantedPause;
            ticksSinceReceived = 0;
            reading();
          }
        });
  }

  void tell(byte[] content) {
    later(
        () -> {
          if (phase == Phase.ESTABLISHED) {
            Link open = present(link);
            System.arraycopy(content, 0, OUT.get(), 1, content.length);
            writeControl(open, FrameKind.PATHS, 1 + content.length);
            present(context).flush();
          }
        });
  }

  /** Asks for a sign of life. */
  void probe(Duration wait) {
    later(
        () -> {
          if (phase != Phase.ESTABLISHED) {
            return;
          }
          long before = readsReceived;
          probe(present(link));
          present(context).flush();
          unawaited(
              present(context)
                  .executor()
                  .schedule(
                      () -> {
                        if (phase == Phase.ESTABLISHED && readsReceived == before) {
                          end(new CloseReason.Silent(wait));
                        }
                      },
                      wait.toMillis(),
                      TimeUnit.MILLISECONDS));
        });
  }

  /** Another path has the turn: what arrives here until the peer knows it, still counts. */
  void retire() {
    later(() -> end(new CloseReason.Moved()));
  }

  /** The peer says that this path is gone. */
  void abandon() {
    later(() -> end(new CloseReason.Disconnected("the peer has lost this path")));
  }

  /** The session has ended. */
  void finish(CloseReason reason) {
    if (loop().inEventLoop()) {
      end(reason);
    } else {
      later(() -> end(reason));
    }
  }

  private void later(Runnable task) {
    try {
      loop().execute(task);
    } catch (RejectedExecutionException e) {
      // The channel's loop is shut down, and the channel with it.
      log.trace("path call after close remote={}", remote);
    }
  }

  // ---- timers

  private void tick(Link open, long silentTicks, Duration silence) {
    if (phase != Phase.ESTABLISHED) {
      return;
    }
    if (ticksSinceReceived > 0) {
      reader.trim();
    }
    // Whoever reads nothing because it was told not to cannot judge the peer.
    if (!paused && ++ticksSinceReceived >= silentTicks) {
      end(new CloseReason.Silent(silence));
      return;
    }
    boolean owesASign = paused || heardDataSinceTick || reader.isAmidFrame();
    heardDataSinceTick = false;
    if (!present(context).channel().isWritable()) {
      watch();
      return;
    }
    tell(open, present(session), true);
    if (++ticksSinceProbe >= TICKS_PER_KEEP_ALIVE) {
      ticksSinceProbe = 0;
      probe(open);
      present(context).flush();
      watch();
    } else if (owesASign) {
      // Half a message, or nothing because it is not read: the peer shall not think this is dead.
      probe(open);
      present(context).flush();
    }
  }

  /** Something was sent that a living peer answers soon. */
  private void watch() {
    if (suspicion.begin(readsReceived)) {
      lookLater();
    }
  }

  private void lookLater() {
    long step = host.limits().keepAlive().toMillis() / LOOKS_PER_KEEP_ALIVE;
    unawaited(
        present(context)
            .executor()
            .schedule(
                this::look,
                Math.max(1, step) * present(session).patience(),
                TimeUnit.MILLISECONDS));
  }

  private void look() {
    if (phase != Phase.ESTABLISHED) {
      return;
    }
    LiveSession of = present(session);
    if (paused) {
      suspicion.end();
      of.trusted(this);
      return;
    }
    switch (suspicion.look(readsReceived)) {
      case HEARD -> {
        of.trusted(this);
        return;
      }
      case ASK -> {}
      case SUSPECT -> of.suspected(this);
    }
    if (present(context).channel().isWritable()) {
      probe(present(link));
      present(context).flush();
    }
    lookLater();
  }

  private void probe(Link open) {
    open.probe++;
    open.probedNanos = ticker().nanoTime();
    writeNumber(open, FrameKind.PROBE, open.probe, Integer.BYTES);
  }

  private static Ticker ticker() {
    return Ticker.systemTicker();
  }

  /** Tells the peer how many messages arrived, when it is time to. */
  private void tell(Link open, LiveSession to, boolean anyway) {
    long count = phase == Phase.ESTABLISHED ? to.toTell(anyway) : -1;
    if (count >= 0) {
      writeNumber(open, FrameKind.RECEIVED, count, Long.BYTES);
      present(context).flush();
    }
  }

  private void reading() {
    present(context).channel().config().setAutoRead(!stepping && !paused);
  }

  // ---- bytes out

  /** Writes what waits in the session, if this path has the turn; on the event loop. */
  void drain() {
    Link open = link;
    LiveSession from = session;
    if (open == null || from == null || !begun || phase != Phase.ESTABLISHED) {
      return;
    }
    ChannelHandlerContext ctx = present(context);
    Channel channel = ctx.channel();
    draining = true;
    try {
      int frames = 0;
      if (from.writer.hasMore(this)) {
        watch();
      }
      while (phase == Phase.ESTABLISHED && from.writer.hasMore(this) && flushedWritable(ctx)) {
        if (++frames > FRAMES_PER_TURN) {
          break;
        }
        byte[] out = OUT.get();
        int end = from.writer.fill(this, out, 1, FrameCipher.MAX_PLAIN_BYTES);
        if (end == 1) {
          break;
        }
        out[0] = FrameKind.DATA.code();
        writeSealed(open, out, end)
            .addListener((ChannelFutureListener) ignored -> from.written(end - 1));
      }
      ctx.flush();
    } finally {
      draining = false;
    }
    // Writability events of our own flushes were ignored: whatever they said is judged here.
    if (phase == Phase.ESTABLISHED && from.writer.hasMore(this) && channel.isWritable()) {
      from.flush();
    }
  }

  private static boolean flushedWritable(ChannelHandlerContext ctx) {
    if (!ctx.channel().isWritable()) {
      ctx.flush();
    }
    return ctx.channel().isWritable();
  }

  private void writeControl(Link open, FrameKind kind, int length) {
    byte[] out = OUT.get();
    out[0] = kind.code();
    unawaited(writeSealed(open, out, length));
  }

  private void writeNumber(Link open, FrameKind kind, long value, int bytes) {
    ByteBuffer content = ByteBuffer.wrap(OUT.get(), 1, bytes);
    if (bytes == Long.BYTES) {
      content.putLong(value);
    } else {
      content.putInt((int) value);
    }
    writeControl(open, kind, 1 + bytes);
  }

  private void writeReady(Link open, Ready ready) {
    byte[] content = ready.encode();
    System.arraycopy(content, 0, OUT.get(), 1, content.length);
    writeControl(open, FrameKind.READY, 1 + content.length);
    present(context).flush();
  }

  private ChannelFuture writeSealed(Link open, byte[] out, int length) {
    ChannelHandlerContext ctx = present(context);
    int sealed;
    try {
      sealed = open.sending.seal(out, length);
    } catch (NoiseException e) {
      // Only the nonce limit, which no session lives to see.
      end(new CloseReason.LocalFault("sealing: " + e.kind()));
      return ctx.newFailedFuture(e);
    }
    ByteBuf frame = ctx.alloc().directBuffer(FrameReader.LENGTH_BYTES + sealed);
    frame.writeShort(sealed).writeBytes(out, 0, sealed);
    countSent(frame.readableBytes());
    return ctx.write(frame);
  }

  private void write(byte[] wire) {
    if (wire.length > 0) {
      ChannelHandlerContext ctx = present(context);
      countSent(wire.length);
      unawaited(ctx.write(ctx.alloc().directBuffer(wire.length).writeBytes(wire)));
    }
  }

  private void countSent(long bytes) {
    host.counters().countSent(bytes);
    LiveSession of = session;
    if (of == null) {
      handshakeBytesSent += bytes;
    } else {
      of.countSent(bytes);
    }
  }

  private void countReceived(long bytes) {
    host.counters().countReceived(bytes);
    LiveSession of = session;
    if (of == null) {
      handshakeBytesReceived += bytes;
    } else {
      of.countReceived(bytes);
    }
  }

  // ---- the end

  private void end(CloseReason reason) {
    if (phase == Phase.CLOSED) {
      return;
    }
    boolean wasEstablished = phase == Phase.ESTABLISHED;
    Link open = link;
    LiveSession of = session;
    phase = Phase.CLOSED;
    cancelTimer();
    releaseHeld();
    if (!wasEstablished) {
      handshakeOver.run();
    }
    log.debug("path closed reason={} established={}", reason, wasEstablished);
    if (of == null) {
      host.counters().countClosed(reason);
    } else if (survives(reason)) {
      of.lost(this, reason);
    } else {
      of.end(reason);
    }
    LiveSession reached = of == null && reason.isMove() ? wanted : of;
    if (reached != null) {
      // Not needed, perhaps, and nevertheless a way to the peer.
      established.complete(new OpenPath(reached, closure.minimalCompletionStage()));
    }
    established.completeExceptionally(new SessionFailedException(reason));
    closure.complete(reason);
    Goodbye goodbye = open == null ? null : reason.farewell();
    ChannelHandlerContext ctx = present(context);
    if (open != null && goodbye != null && ctx.channel().isActive()) {
      sayGoodbye(open, goodbye);
    } else {
      unawaited(ctx.close());
    }
  }

  /** Whether the session may go on by another path. */
  private static boolean survives(CloseReason reason) {
    return reason.isMove()
        || reason instanceof CloseReason.Disconnected
        || reason instanceof CloseReason.Silent;
  }

  // Closing with unread bytes makes the kernel send a reset, which may overtake the goodbye: half
  // close, go on reading into nothing, and close when the peer did or the time is up.
  private void sayGoodbye(Link open, Goodbye goodbye) {
    ChannelHandlerContext ctx = present(context);
    Channel channel = ctx.channel();
    int length = goodbye.encode(OUT.get(), 1);
    writeControl(open, FrameKind.GOODBYE, length);
    ctx.flush();
    channel.config().setAutoRead(true);
    carrier.finish().accept(channel);
    unawaited(
        ctx.executor()
            .schedule(
                () -> unawaited(channel.close()),
                host.limits().linger().toMillis(),
                TimeUnit.MILLISECONDS));
  }

  private void fault(String what, Throwable cause) {
    log.error("session failed by a local fault what={}", what, cause);
    end(new CloseReason.LocalFault(what));
  }

  // How it ends shows in channelInactive or exceptionCaught.
  private static void unawaited(Future<?> ignored) {}

  private void cancelTimer() {
    ScheduledFuture<?> running = timer;
    if (running != null) {
      running.cancel(false);
    }
  }

  private void releaseHeld() {
    held.forEach(ByteBuf::release);
    held.clear();
  }

  private static <T> T present(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("the channel is used before it is active");
    }
    return value;
  }

  /** What there is once the peer is authentic; it belongs to the event loop. */
  private final class Link {
    private final Handshake.Step.Done done;
    private final FrameCipher sending;
    private final FrameCipher receiving;
    private final MessageReader messages = new MessageReader(host.limits().messageBytes());
    private long next;
    private @Nullable FrameException refused;
    private int probe;
    private long probedNanos;

    Link(Handshake.Step.Done done) {
      this.done = done;
      this.sending = done.sending();
      this.receiving = done.receiving();
    }

    private void arrived(LiveSession to, byte[] message) {
      // The listener may have closed the session at an earlier message of the same frame.
      if (phase == Phase.ESTABLISHED && refused == null) {
        try {
          to.deliver(next++, message);
        } catch (FrameException e) {
          refused = e;
        }
      }
    }

    private void check() throws FrameException {
      FrameException e = refused;
      if (e != null) {
        throw e;
      }
    }
  }
}
