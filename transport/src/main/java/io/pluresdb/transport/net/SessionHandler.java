package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelFutureListener;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.EventLoop;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.ScheduledFuture;
import io.pluresdb.transport.frame.FrameCipher;
import io.pluresdb.transport.frame.FrameException;
import io.pluresdb.transport.frame.FrameKind;
import io.pluresdb.transport.frame.FrameReader;
import io.pluresdb.transport.frame.Goodbye;
import io.pluresdb.transport.frame.MessageReader;
import io.pluresdb.transport.frame.MessageWriter;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.noise.NoiseException;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Decision;
import io.pluresdb.transport.session.Handshake;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionFailedException;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.SessionPath;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Translates between one channel of bytes and one {@link Handshake}, then one {@link Session}.
 *
 * <p>Everything but the session's thread-safe methods runs on the channel's event loop; handshake
 * steps run on the host's executor while reading is off, so a peer cannot queue work faster than it
 * is done. Received bytes are copied once into the frame array, decrypted there, and copied once
 * into the message handed out.
 */
final class SessionHandler extends ChannelInboundHandlerAdapter {
  private static final Logger log = LoggerFactory.getLogger(SessionHandler.class);

  /** Frames one session writes before others on its event loop get a turn. */
  private static final int FRAMES_PER_TURN = 32;

  /** Idle and silence are measured in thirds of the keep-alive interval. */
  private static final int TICKS_PER_KEEP_ALIVE = 3;

  private static final int MIN_SEALED_BYTES = 1 + FrameCipher.TAG_BYTES;

  private enum Phase {
    HANDSHAKE,
    /** We sent READY and wait for the peer's. */
    CONFIRMING,
    ESTABLISHED,
    CLOSED
  }

  private final SessionHost host;
  private final Handshake handshake;
  private final SessionCarrier carrier;
  private final Runnable handshakeOver;
  private final CompletableFuture<Session> established;
  private final FrameReader reader = new FrameReader();
  private final Deque<ByteBuf> held = new ArrayDeque<>();
  private final Supplier<String> refusal;

  private Phase phase = Phase.HANDSHAKE;
  private @Nullable ChannelHandlerContext context;
  private @Nullable Link link;
  private boolean stepping;
  private boolean paused;
  private boolean draining;
  private int ticksSinceSent;
  private int ticksSinceReceived;
  private @Nullable ScheduledFuture<?> timer;
  private long handshakeBytesSent;
  private long handshakeBytesReceived;

  /**
   * @param carrier what the channel is
   * @param handshakeOver runs once, when the handshake is finished or the channel closed
   * @param refusal names the limit that forbids this connection, or is empty
   * @param established completes with the session, or exceptionally with why there is none
   */
  SessionHandler(
      SessionHost host,
      SessionCarrier carrier,
      Handshake handshake,
      Supplier<String> refusal,
      Runnable handshakeOver,
      CompletableFuture<Session> established) {
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
    int length;
    try {
      length = open.receiving.open(reader.array(), reader.length());
    } catch (NoiseException e) {
      end(new CloseReason.DecryptionFailed());
      return;
    }
    byte[] plain = reader.array();
    FrameKind kind = FrameKind.of(plain[0]);
    switch (kind) {
      case DATA -> {
        requirePhase(Phase.ESTABLISHED, kind);
        open.messages.read(plain, 1, length, open::deliver);
      }
      case READY -> {
        requirePhase(Phase.CONFIRMING, kind);
        requireEmpty(length);
        established(open);
      }
      case KEEP_ALIVE -> {
        requirePhase(Phase.ESTABLISHED, kind);
        requireEmpty(length);
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

  private static void requireEmpty(int length) throws FrameException {
    if (length != 1) {
      throw new FrameException(FrameException.Kind.MALFORMED_CONTROL, length);
    }
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
      end(new CloseReason.Refused("handshake work"));
    }
  }

  private void stepped(Handshake.Step step) {
    stepping = false;
    if (phase == Phase.CLOSED) {
      return;
    }
    switch (step) {
      case Handshake.Step.Continue(var wire) -> {
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
    Link open = new Link(done, present(context).channel());
    link = open;
    phase = Phase.CONFIRMING;
    reader.expectFrames(MIN_SEALED_BYTES, FrameCipher.MAX_SEALED_BYTES);
    switch (done.decision()) {
      case Decision.Accept ignored -> {
        writeControl(open, FrameKind.READY, 1);
        present(context).flush();
      }
      case Decision.Reject(var code, var message) -> end(new CloseReason.Rejected(code, message));
    }
  }

  private void established(Link open) {
    phase = Phase.ESTABLISHED;
    cancelTimer();
    handshakeOver.run();
    host.counters().countEstablished();
    long tickMillis = Math.max(1, host.limits().keepAlive().toMillis() / TICKS_PER_KEEP_ALIVE);
    Duration silence = host.limits().silence();
    long silentTicks = Math.max(2, silence.toMillis() / tickMillis);
    timer =
        present(context)
            .executor()
            .scheduleAtFixedRate(
                () -> tick(open, silentTicks, silence),
                tickMillis,
                tickMillis,
                TimeUnit.MILLISECONDS);
    host.opened(open);
    open.call(listener -> listener.established(open));
    established.complete(open);
  }

  private void tick(Link open, long silentTicks, Duration silence) {
    if (phase != Phase.ESTABLISHED) {
      return;
    }
    // Whoever reads nothing because it was told not to cannot judge the peer.
    if (!paused && ++ticksSinceReceived >= silentTicks) {
      end(new CloseReason.Silent(silence));
      return;
    }
    if (++ticksSinceSent >= TICKS_PER_KEEP_ALIVE && present(context).channel().isWritable()) {
      writeControl(open, FrameKind.KEEP_ALIVE, 1);
      present(context).flush();
    }
  }

  private void reading() {
    present(context).channel().config().setAutoRead(!stepping && !paused);
  }

  // ---- bytes out

  private void drain() {
    Link open = link;
    if (open == null || phase != Phase.ESTABLISHED) {
      return;
    }
    ChannelHandlerContext ctx = present(context);
    Channel channel = ctx.channel();
    draining = true;
    try {
      int frames = 0;
      while (phase == Phase.ESTABLISHED && open.writer.hasMore() && flushedWritable(ctx)) {
        if (++frames > FRAMES_PER_TURN) {
          break;
        }
        int end = open.writer.fill(open.out, 1, FrameCipher.MAX_PLAIN_BYTES);
        open.out[0] = FrameKind.DATA.code();
        writeSealed(open, end)
            .addListener((ChannelFutureListener) ignored -> open.written(end - 1));
      }
      ctx.flush();
    } finally {
      draining = false;
    }
    // Writability events of our own flushes were ignored: whatever they said is judged here.
    if (phase == Phase.ESTABLISHED && open.writer.hasMore() && channel.isWritable()) {
      open.flush();
    }
  }

  private static boolean flushedWritable(ChannelHandlerContext ctx) {
    if (!ctx.channel().isWritable()) {
      ctx.flush();
    }
    return ctx.channel().isWritable();
  }

  private void writeControl(Link open, FrameKind kind, int length) {
    open.out[0] = kind.code();
    unawaited(writeSealed(open, length));
  }

  private ChannelFuture writeSealed(Link open, int length) {
    ChannelHandlerContext ctx = present(context);
    int sealed;
    try {
      sealed = open.sending.seal(open.out, length);
    } catch (NoiseException e) {
      // Only the nonce limit, which no session lives to see.
      end(new CloseReason.LocalFault("sealing: " + e.kind()));
      return ctx.newFailedFuture(e);
    }
    ByteBuf frame = ctx.alloc().directBuffer(FrameReader.LENGTH_BYTES + sealed);
    frame.writeShort(sealed).writeBytes(open.out, 0, sealed);
    ticksSinceSent = 0;
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
    Link open = link;
    if (open == null) {
      handshakeBytesSent += bytes;
    } else {
      open.bytesSent.addAndGet(bytes);
    }
  }

  private void countReceived(long bytes) {
    host.counters().countReceived(bytes);
    Link open = link;
    if (open == null) {
      handshakeBytesReceived += bytes;
    } else {
      open.bytesReceived.addAndGet(bytes);
    }
  }

  // ---- the end

  private void end(CloseReason reason) {
    if (phase == Phase.CLOSED) {
      return;
    }
    boolean wasEstablished = phase == Phase.ESTABLISHED;
    Link open = link;
    phase = Phase.CLOSED;
    cancelTimer();
    releaseHeld();
    host.counters().countClosed(reason);
    if (!wasEstablished) {
      handshakeOver.run();
    }
    log.debug("session closed reason={} established={}", reason, wasEstablished);
    if (open != null && wasEstablished) {
      host.closed(open);
      open.call(listener -> listener.closed(open, reason));
      // A listener may close a session while it hears of it; its dialler still has to learn whom it
      // reached.
      established.complete(open);
      open.closure.complete(reason);
    }
    established.completeExceptionally(new SessionFailedException(reason));
    Goodbye goodbye = open == null ? null : reason.farewell();
    ChannelHandlerContext ctx = present(context);
    if (open != null && goodbye != null && ctx.channel().isActive()) {
      sayGoodbye(open, goodbye);
    } else {
      unawaited(ctx.close());
    }
  }

  // Closing with unread bytes makes the kernel send a reset, which may overtake the goodbye: half
  // close, go on reading into nothing, and close when the peer did or the time is up.
  private void sayGoodbye(Link open, Goodbye goodbye) {
    ChannelHandlerContext ctx = present(context);
    Channel channel = ctx.channel();
    int length = goodbye.encode(open.out, 1);
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

  private interface ListenerCall {
    void on(SessionListener listener);
  }

  /** The session as its user sees it; its fields that are not thread-safe belong to the loop. */
  private final class Link implements Session {
    private final DatabaseKeys database;
    private final Handshake.Peer peer;
    private final DeviceId peerId;
    private final Channel channel;
    private final SocketAddress remoteAddress;
    private final SessionListener listener;
    private final FrameCipher sending;
    private final FrameCipher receiving;
    private final MessageReader messages = new MessageReader(host.limits().messageBytes());
    private final MessageWriter writer = new MessageWriter();
    private final byte[] out = new byte[FrameCipher.MAX_SEALED_BYTES];
    private final CompletableFuture<CloseReason> closure = new CompletableFuture<>();
    private final AtomicLong bytesSent;
    private final AtomicLong bytesReceived;
    private final AtomicLong queued = new AtomicLong();
    private final AtomicBoolean stalled = new AtomicBoolean();
    private final AtomicBoolean flushing = new AtomicBoolean();

    Link(Handshake.Step.Done done, Channel channel) {
      this.database = done.database();
      this.peer = done.peer();
      this.peerId = DeviceId.of(peer.publicKey());
      this.channel = channel;
      InetSocketAddress remote = carrier.remote();
      this.remoteAddress = remote == null ? channel.remoteAddress() : remote;
      this.listener = host.policy().listener(database);
      this.sending = done.sending();
      this.receiving = done.receiving();
      this.bytesSent = new AtomicLong(handshakeBytesSent);
      this.bytesReceived = new AtomicLong(handshakeBytesReceived);
    }

    @Override
    public DeviceId peer() {
      return peerId;
    }

    @Override
    public byte[] peerPublicKey() {
      return peer.publicKey().clone();
    }

    @Override
    public byte[] peerNoiseKey() {
      return peer.noiseKey().clone();
    }

    @Override
    public byte[] peerAttachment() {
      return peer.attachment().clone();
    }

    @Override
    public String databaseId() {
      return database.databaseId();
    }

    @Override
    public DatabaseKeys keys() {
      return database;
    }

    @Override
    public boolean initiator() {
      return handshake.isInitiator();
    }

    @Override
    public SocketAddress remoteAddress() {
      return remoteAddress;
    }

    @Override
    public SessionPath path() {
      return carrier.path();
    }

    @Override
    public boolean isWritable() {
      return !stalled.get();
    }

    @Override
    public void send(byte[] message) {
      SessionLimits limits = host.limits();
      if (message.length > limits.messageBytes()) {
        throw new IllegalArgumentException(
            "a message must have 0 to "
                + limits.messageBytes()
                + " bytes, but has "
                + message.length);
      }
      if (closure.isDone()) {
        return;
      }
      long total = queued.addAndGet(message.length + (long) MessageReader.LENGTH_BYTES);
      writer.add(message);
      if (total > limits.queuedBytes()) {
        close(new CloseReason.QueueFull(total));
      } else if (total > limits.highWaterBytes() && stalled.compareAndSet(false, true)) {
        // What we just queued may have been written meanwhile, and nobody else would notice.
        onLoop(
            () -> {
              call(to -> to.writabilityChanged(this));
              unstall();
            });
      }
    }

    @Override
    public void flush() {
      if (flushing.compareAndSet(false, true)) {
        onLoop(
            () -> {
              flushing.set(false);
              drain();
            });
      }
    }

    @Override
    public void pauseReading() {
      onLoop(() -> setPaused(true));
    }

    @Override
    public void resumeReading() {
      onLoop(() -> setPaused(false));
    }

    @Override
    public void close(CloseReason reason) {
      // At once where possible, so that a listener that closes hears no further message.
      if (channel.eventLoop().inEventLoop()) {
        end(reason);
      } else {
        onLoop(() -> end(reason));
      }
    }

    @Override
    public CompletionStage<CloseReason> closure() {
      return closure.minimalCompletionStage();
    }

    @Override
    public long bytesSent() {
      return bytesSent.get();
    }

    @Override
    public long bytesReceived() {
      return bytesReceived.get();
    }

    @Override
    public String toString() {
      return "Session[peer=" + peerId.shortForm() + ", remote=" + remoteAddress + "]";
    }

    private void deliver(byte[] message) {
      // The listener may have closed the session at an earlier message of the same frame.
      if (phase == Phase.ESTABLISHED) {
        call(to -> to.message(this, message));
      }
    }

    private void written(int bytes) {
      queued.addAndGet(-bytes);
      unstall();
    }

    private void unstall() {
      if (queued.get() <= host.limits().lowWaterBytes() && stalled.compareAndSet(true, false)) {
        call(to -> to.writabilityChanged(this));
      }
    }

    private void setPaused(boolean wanted) {
      if (phase != Phase.CLOSED) {
        paused = wanted;
        ticksSinceReceived = 0;
        reading();
      }
    }

    private void call(ListenerCall call) {
      try {
        call.on(listener);
      } catch (RuntimeException e) {
        fault("session listener", e);
      }
    }

    private void onLoop(Runnable task) {
      try {
        channel.eventLoop().execute(task);
      } catch (RejectedExecutionException e) {
        // The transport is closed, and with it this session.
        log.trace("session call after close peer={}", peerId.shortForm());
      }
    }
  }
}
