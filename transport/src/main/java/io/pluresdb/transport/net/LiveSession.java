package io.pluresdb.transport.net;

import io.netty.util.concurrent.ScheduledFuture;
import io.pluresdb.transport.frame.FrameException;
import io.pluresdb.transport.frame.MessageReader;
import io.pluresdb.transport.frame.MessageWriter;
import io.pluresdb.transport.frame.Ready;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Handshake;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.SessionPath;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.net.SocketAddress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.ReentrantLock;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A session over one path after another, each a {@link SessionHandler} with a handshake of its own.
 *
 * <p>Each direction counts its messages. A path that takes over begins with the first message the
 * other side did not say it has; a message that arrives a second time, by a path that was slower,
 * is dropped. So it does not matter when a path ends, or whether it ends in the middle of a
 * message.
 *
 * <p>One lock covers what listeners hear and which path has the turn. It is held while a listener
 * is called, and nobody waits for a path while it is held.
 */
final class LiveSession implements Session {
  private static final Logger log = LoggerFactory.getLogger(LiveSession.class);

  /** How much longer a path may be silent for each that gave way because it was. */
  private static final int PATIENCE_FACTOR = 2;

  private static final int MOST_PATIENCE = 16;

  /** A session none of whose paths was suspect for so many keep-alives is as impatient as ever. */
  private static final int FORGIVING_KEEP_ALIVES = 16;

  /** After so many bytes the peer is told what arrived. */
  private static final int TELL_EVERY_BYTES = 256 << 10;

  private final SessionHost host;
  private final byte[] name;
  private final boolean initiator;
  private final DatabaseKeys database;
  private final Handshake.Peer peer;
  private final DeviceId peerId;
  private final SessionListener listener;
  private final CompletableFuture<CloseReason> closure = new CompletableFuture<>();
  private final AtomicLong bytesSent = new AtomicLong();
  private final AtomicLong bytesReceived = new AtomicLong();
  private final AtomicLong queued = new AtomicLong();
  private final AtomicBoolean stalled = new AtomicBoolean();
  private final AtomicBoolean flushing = new AtomicBoolean();
  final MessageWriter writer = new MessageWriter();

  private final ReentrantLock lock = new ReentrantLock();
  private final List<SessionHandler> paths = new ArrayList<>(); // Guarded by lock.
  private int nextAttempt; // Guarded by lock.
  private int otherBelow; // Guarded by lock.

  /** Own attempts below it were said to be gone: what comes of them later is not taken. */
  private int ownGone; // Guarded by lock.

  /** The peer's attempts below it are gone, it said. */
  private int otherGone; // Guarded by lock.

  private boolean ended; // Guarded by lock.
  private long delivered; // Guarded by lock.
  private long untoldBytes; // Guarded by lock.
  private long toldCount; // Guarded by lock.
  private @Nullable ScheduledFuture<?> stranded; // Guarded by lock.
  private long gaveWayNanos; // Guarded by lock.
  private volatile int patience = 1;
  private volatile @Nullable SessionHandler suspect;
  volatile @Nullable SessionHandler current;
  private volatile SessionHandler newest;
  private volatile boolean paused;
  private volatile @Nullable Duration roundTrip;

  /**
   * @param first its first path, which is up
   */
  LiveSession(
      SessionHost host,
      byte[] name,
      Handshake.Step.Done done,
      SessionListener listener,
      SessionHandler first) {
    this.host = host;
    this.name = name.clone();
    this.initiator = first.isInitiator();
    this.database = done.database();
    this.peer = done.peer();
    this.peerId = DeviceId.of(peer.publicKey());
    this.listener = listener;
    this.newest = first;
    this.nextAttempt = initiator ? 1 : 0;
    this.otherBelow = initiator ? 0 : 1;
  }

  /** Makes its first path its path; listeners hear of the session. */
  void open(SessionHandler first) {
    lock.lock();
    try {
      paths.add(first);
      current = first;
      turnTo(first, 0);
      host.opened(this);
      call(to -> to.established(this));
    } catch (FrameException e) {
      throw new IllegalStateException("a session that begins has sent nothing", e);
    } finally {
      lock.unlock();
    }
  }

  private void turnTo(SessionHandler path, long arrived) throws FrameException {
    queued.addAndGet(writer.turnTo(path, arrived));
    path.beginAt(writer.received());
  }

  // ---- further paths

  boolean isNamed(byte[] other) {
    return Arrays.equals(name, other);
  }

  boolean isWith(DatabaseKeys keys, byte[] noiseKey) {
    return database.equals(keys) && Arrays.equals(peer.noiseKey(), noiseKey);
  }

  /**
   * What the initiator of a further path says, or null when the session has a better path or has
   * ended.
   */
  Ready.@Nullable GoOn goOn(SessionPath path) {
    lock.lock();
    try {
      SessionHandler now = current;
      // A suspect path is as good as gone once another is so far.
      boolean held = now != null && now != suspect;
      if (ended || (now != null && held && now.path().rank() > path.rank())) {
        return null;
      }
      int attempt = nextAttempt++;
      if (!held) {
        ownGone = attempt;
      }
      return new Ready.GoOn(name, delivered, attempt, held ? 0 : attempt, held ? 0 : otherBelow);
    } finally {
      lock.unlock();
    }
  }

  /**
   * The responder's side of {@link #goOn}: takes the path, or says that another is better.
   *
   * @return how many messages arrived here, negative when the path is not wanted
   */
  long join(SessionHandler path, Ready.GoOn goOn) throws FrameException {
    lock.lock();
    try {
      otherBelow = Math.max(otherBelow, goOn.path() + 1);
      otherGone = Math.max(otherGone, goOn.ownGone());
      if (goOn.path() < otherGone) {
        return -1; // It came later than one that was begun after it.
      }
      for (SessionHandler old : List.copyOf(paths)) {
        boolean gone = old.number() < (old.isInitiator() ? goOn.otherGone() : goOn.ownGone());
        if (gone) {
          paths.remove(old);
          if (old == current) {
            current = null;
          }
          old.abandon();
        }
      }
      return take(path, goOn.received()) ? delivered : -1;
    } finally {
      lock.unlock();
    }
  }

  /**
   * Goes on by {@code path}, unless there is a better one.
   *
   * @param arrived how many messages the peer says it has
   */
  boolean take(SessionHandler path, long arrived) throws FrameException {
    lock.lock();
    try {
      SessionHandler before = current;
      boolean suspected = before != null && before == suspect;
      boolean gone = path.isInitiator() && path.number() < ownGone;
      if (ended || gone || (before != null && !suspected && isBetter(before, path))) {
        return false;
      }
      if (suspected) {
        gaveWay();
      }
      suspect = null;
      paths.add(path);
      current = path;
      newest = path;
      roundTrip = null;
      cancelStranded();
      turnTo(path, arrived);
      path.pause(paused);
      host.counters().countContinued();
      if (before != null) {
        before.retire();
      }
    } finally {
      lock.unlock();
    }
    log.debug("session goes on peer={} path={}", peerId.shortForm(), path.path());
    host.moved(this);
    return true;
  }

  /** Both sides come to the same result, in whatever order they learn of the paths. */
  private boolean isBetter(SessionHandler one, SessionHandler other) {
    if (one.path().rank() != other.path().rank()) {
      return one.path().rank() > other.path().rank();
    }
    if (one.isInitiator() != other.isInitiator()) {
      boolean ownIsSmaller = host.local().identity().id().compareTo(peerId) < 0;
      return one.isInitiator() == ownIsSmaller;
    }
    return one.number() > other.number();
  }

  /** A path has ended, and the session with it unless another comes up. */
  void lost(SessionHandler path, CloseReason reason) {
    lock.lock();
    try {
      paths.remove(path);
      if (ended || path != current) {
        return;
      }
      current = null;
      stranded =
          host.loop()
              .schedule(
                  () -> strandedFor(path, reason),
                  host.limits().stranded().toMillis(),
                  TimeUnit.MILLISECONDS);
    } catch (RejectedExecutionException e) {
      end(reason);
      return;
    } finally {
      lock.unlock();
    }
    log.debug("session has no path peer={} reason={}", peerId.shortForm(), reason);
    host.stranded(this, reason);
  }

  private void gaveWay() {
    long now = System.nanoTime();
    boolean again =
        patience > 1
            && now - gaveWayNanos
                < host.limits().keepAlive().multipliedBy(FORGIVING_KEEP_ALIVES).toNanos();
    // Otherwise a way that works for seconds at a time would be taken and left for ever.
    patience = again ? Math.min(MOST_PATIENCE, patience * PATIENCE_FACTOR) : PATIENCE_FACTOR;
    gaveWayNanos = now;
  }

  /** How many times longer than usual a path of this session may be silent. */
  int patience() {
    return patience;
  }

  /** Nothing arrives by {@code path}, though it should. */
  void suspected(SessionHandler path) {
    if (path == current && path != suspect) {
      suspect = path;
      log.debug("path is suspect peer={} path={}", peerId.shortForm(), path.path());
      host.suspected(this);
    }
  }

  /** Something arrived by {@code path}. */
  void trusted(SessionHandler path) {
    if (path == suspect) {
      suspect = null;
    }
  }

  /** Whether there is a path, and nothing speaks against it. */
  boolean hasTrustedPath() {
    SessionHandler path = current;
    return path != null && path != suspect;
  }

  private void strandedFor(SessionHandler path, CloseReason reason) {
    lock.lock();
    try {
      if (current == null && newest == path) {
        end(reason);
      }
    } finally {
      lock.unlock();
    }
  }

  private void cancelStranded() {
    ScheduledFuture<?> waiting = stranded;
    if (waiting != null) {
      waiting.cancel(false);
      stranded = null;
    }
  }

  // ---- messages in

  /**
   * Takes a message that a path brought.
   *
   * @param number of the message in the session
   */
  void deliver(long number, byte[] message) throws FrameException {
    lock.lock();
    try {
      if (ended || number < delivered) {
        return;
      }
      if (number > delivered) {
        throw new FrameException(FrameException.Kind.OUT_OF_PHASE, number);
      }
      delivered++;
      untoldBytes += MessageReader.LENGTH_BYTES + (long) message.length;
      call(to -> to.message(this, message));
    } finally {
      lock.unlock();
    }
  }

  /**
   * How many messages arrived, when it is time to tell the peer; otherwise negative.
   *
   * @param anyway whether to tell even when little arrived
   */
  long toTell(boolean anyway) {
    lock.lock();
    try {
      if (delivered == toldCount || (!anyway && untoldBytes < TELL_EVERY_BYTES)) {
        return -1;
      }
      untoldBytes = 0;
      toldCount = delivered;
      return delivered;
    } finally {
      lock.unlock();
    }
  }

  void answered(Duration time) {
    roundTrip = time;
  }

  // ---- messages out

  /** Bytes of the message stream have left, or died with a path. */
  void written(int bytes) {
    queued.addAndGet(-bytes);
    unstall();
  }

  private void unstall() {
    if (queued.get() <= host.limits().lowWaterBytes() && stalled.compareAndSet(true, false)) {
      call(to -> to.writabilityChanged(this));
    }
  }

  void countSent(long bytes) {
    bytesSent.addAndGet(bytes);
  }

  void countReceived(long bytes) {
    bytesReceived.addAndGet(bytes);
  }

  /** Tells the peer something about further paths, when there is a path. */
  void tell(byte[] content) {
    SessionHandler path = current;
    if (path != null) {
      path.tell(content);
    }
  }

  // ---- the end

  /** Ends the session for good, and its paths. */
  void end(CloseReason reason) {
    List<SessionHandler> open;
    lock.lock();
    try {
      if (ended) {
        return;
      }
      ended = true;
      cancelStranded();
      open = List.copyOf(paths);
      paths.clear();
      host.counters().countClosed(reason);
      host.closed(this);
      call(to -> to.closed(this, reason));
    } finally {
      lock.unlock();
    }
    log.debug("session closed reason={}", reason);
    open.forEach(path -> path.finish(reason));
    closure.complete(reason);
  }

  private interface ListenerCall {
    void on(SessionListener listener);
  }

  private void call(ListenerCall call) {
    lock.lock();
    try {
      call.on(listener);
    } catch (RuntimeException e) {
      log.error("session failed by a local fault what=session listener", e);
      end(new CloseReason.LocalFault("session listener"));
    } finally {
      lock.unlock();
    }
  }

  private void onLoop(Runnable task) {
    SessionHandler path = current;
    try {
      (path == null ? host.loop() : path.loop()).execute(task);
    } catch (RejectedExecutionException e) {
      // The transport is closed, and with it this session.
      log.trace("session call after close peer={}", peerId.shortForm());
    }
  }

  // ---- as its user sees it

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
    return initiator;
  }

  @Override
  public SocketAddress remoteAddress() {
    return newest.remoteAddress();
  }

  @Override
  public SessionPath path() {
    return newest.path();
  }

  @Override
  public boolean dialledPath() {
    return newest.isInitiator();
  }

  @Override
  public boolean hasPath() {
    return current != null;
  }

  @Override
  public @Nullable Duration roundTrip() {
    return roundTrip;
  }

  @Override
  public void probe(Duration wait) {
    SessionHandler path = current;
    if (path != null) {
      path.probe(wait);
    }
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
    SessionHandler path = current;
    if (path != null && flushing.compareAndSet(false, true)) {
      try {
        path.loop()
            .execute(
                () -> {
                  flushing.set(false);
                  if (path == current) {
                    path.drain();
                  } else {
                    flush();
                  }
                });
      } catch (RejectedExecutionException e) {
        // The path ends; the next one begins with what is queued.
        flushing.set(false);
      }
    }
  }

  @Override
  public void pauseReading() {
    setPaused(true);
  }

  @Override
  public void resumeReading() {
    setPaused(false);
  }

  private void setPaused(boolean wanted) {
    onLoop(
        () -> {
          lock.lock();
          try {
            paused = wanted;
            SessionHandler path = current;
            if (path != null) {
              path.pause(wanted);
            }
          } finally {
            lock.unlock();
          }
        });
  }

  @Override
  public void close(CloseReason reason) {
    // At once where possible, so that a listener that closes hears no further message.
    SessionHandler path = current;
    boolean here = lock.isHeldByCurrentThread() || (path != null && path.loop().inEventLoop());
    // Not where another thread has the lock: it may be closing the session of a listener that is
    // closing this one.
    if (here && lock.tryLock()) {
      try {
        end(reason);
      } finally {
        lock.unlock();
      }
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
    return "Session[peer=" + peerId.shortForm() + ", remote=" + remoteAddress() + "]";
  }
}
