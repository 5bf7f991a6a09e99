package io.pluresdb.transport.path;

import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.OpenPath;
import io.pluresdb.transport.session.SessionFailedException;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.net.InetSocketAddress;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletionException;
import java.util.concurrent.CompletionStage;
import java.util.function.Predicate;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Keeps wanted peers connected, each by the best path there is.
 *
 * <p>Each target, a candidate and a database, has at most one attempt or path at a time. A failed
 * attempt waits by its {@link Backoff}; a path that lasted a second resets it, so a peer that drops
 * is dialled again within the first wait. Targets of one peer race: whichever is up first carries
 * the session, and a better one takes it over. A target whose path gave way to another rests while
 * there is one as good, and for a moment when there is none; when a session has lost its path, all
 * its targets are tried at once. A target that turns out to be this device, or whose session ended
 * because one side has enough others, is dropped. So is one that was only hinted at and gave no
 * session in its first attempts: strangers can hint at anything. Thread-safe.
 */
public final class Dialer implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(Dialer.class);

  /** Most targets at a time. */
  public static final int MAX_TARGETS = 1024;

  /** Most targets at a time that are hints and were never reached. */
  public static final int MAX_HINTS = 64;

  /** A hint that was never reached is dropped after so many attempts. */
  public static final int HINT_ATTEMPTS = 4;

  /** How much later than a direct candidate one through a relay is tried. */
  public static final Duration DIRECT_HEAD_START = Duration.ofMillis(250);

  /** How often a resting target looks whether its peer is still connected. */
  private static final Duration REST = Duration.ofMillis(500);

  /**
   * How long a target rests whose session gave way to another with this device, where there is no
   * other: a copy of this device runs elsewhere, and the two take turns.
   */
  private static final Duration TURN = Duration.ofSeconds(5);

  /** A session that lasted this long was a success; one that ends at once is no reason to hurry. */
  private static final Duration SETTLED = Duration.ofSeconds(1);

  /** How a dialer reaches peers. */
  public interface Connector {
    /** As {@code TcpTransport.dial}. */
    CompletionStage<OpenPath> dial(Candidate candidate, DatabaseKeys database);

    /**
     * Whether there is a session with a path as good as {@code candidate} would be: then it is not
     * dialled.
     *
     * @param peer whom the candidate led to before, or null
     */
    boolean isServed(Candidate candidate, DatabaseKeys database, @Nullable DeviceId peer);
  }

  /** What a target is doing. */
  public enum State {
    WAITING,
    DIALLING,
    CONNECTED,
    /** Its peer is connected by another session. */
    RESTING
  }

  /**
   * A target as seen from outside.
   *
   * @param lastFailure why the newest attempt or session ended; null before that
   */
  public record Target(
      Candidate candidate, String databaseId, State state, @Nullable CloseReason lastFailure) {}

  private record Key(Candidate candidate, String databaseId) {}

  private static final class Entry {
    private final Key key;
    private final Backoff backoff;
    private DatabaseKeys database;
    private State state = State.WAITING;
    private boolean hint;
    private int failures;
    private @Nullable CloseReason lastFailure;
    private @Nullable DeviceId peer;
    private @Nullable OpenPath path;
    private Timers.@Nullable Timer timer;

    Entry(Key key, DatabaseKeys database, Backoff backoff) {
      this.key = key;
      this.database = database;
      this.backoff = backoff;
    }
  }

  private final Connector connector;
  private final Timers timers;
  private final Backoff.Limits limits;
  private final RandomGenerator random;
  private final Map<Key, Entry> entries = new LinkedHashMap<>();
  private boolean closed;

  public Dialer(Connector connector, Timers timers, Backoff.Limits limits, RandomGenerator random) {
    this.connector = connector;
    this.timers = timers;
    this.limits = limits;
    this.random = random;
  }

  /**
   * Keeps {@code candidate} connected from now on; for a target that is there already, replaces its
   * keys for the next attempt.
   *
   * @return false when there are {@link #MAX_TARGETS} already, or this dialer is closed
   */
  public boolean add(Candidate candidate, DatabaseKeys database) {
    return add(candidate, database, false);
  }

  /** As the other, for a direct candidate. */
  public boolean add(InetSocketAddress address, DatabaseKeys database) {
    return add(new Candidate.Direct(address), database, false);
  }

  /**
   * As {@link #add}, for an address that somebody named whom nobody vouches for.
   *
   * @return false also when there are {@link #MAX_HINTS} that were never reached
   */
  public boolean offer(InetSocketAddress address, DatabaseKeys database) {
    return add(new Candidate.Direct(address), database, true);
  }

  private boolean add(Candidate candidate, DatabaseKeys database, boolean hint) {
    Key key = new Key(candidate, database.databaseId());
    Entry entry;
    synchronized (this) {
      Entry present = entries.get(key);
      if (present != null) {
        present.database = database;
        present.hint &= hint;
        return true;
      }
      if (closed
          || entries.size() >= MAX_TARGETS
          || (hint && entries.values().stream().filter(e -> e.hint).count() >= MAX_HINTS)) {
        return false;
      }
      entry = new Entry(key, database, new Backoff(limits, random));
      entry.hint = hint;
      entries.put(key, entry);
    }
    switch (candidate) {
      case Candidate.Direct ignored -> attempt(entry);
      case Candidate.Quic ignored -> attempt(entry);
      case Candidate.Relayed ignored -> {
        synchronized (this) {
          if (isCurrent(entry)) {
            later(entry, DIRECT_HEAD_START);
          }
        }
      }
    }
    return true;
  }

  /** As the other, for a direct candidate. */
  public void remove(InetSocketAddress address, String databaseId) {
    remove(new Candidate.Direct(address), databaseId);
  }

  /** Stops dialling {@code candidate}; an established session stays. */
  public synchronized void remove(Candidate candidate, String databaseId) {
    Entry entry = entries.remove(new Key(candidate, databaseId));
    if (entry != null) {
      cancel(entry);
    }
  }

  /**
   * A session with {@code peer} has no path any more: all ways that may lead there are tried at
   * once.
   */
  public void hurry(String databaseId, DeviceId peer) {
    hurry(
        entry ->
            entry.key.databaseId().equals(databaseId)
                && (entry.peer == null || entry.peer.equals(peer)));
  }

  /** The network has changed: whatever waits is tried at once. */
  public void hurry() {
    hurry(entry -> true);
  }

  private void hurry(Predicate<Entry> meant) {
    List<Entry> now;
    synchronized (this) {
      now =
          entries.values().stream()
              .filter(meant)
              .filter(e -> e.state == State.WAITING || e.state == State.RESTING)
              .toList();
      for (Entry entry : now) {
        cancel(entry);
        entry.backoff.reset();
      }
    }
    now.forEach(this::attempt);
  }

  /** Every target now. */
  public synchronized List<Target> targets() {
    return entries.values().stream()
        .map(e -> new Target(e.key.candidate(), e.key.databaseId(), e.state, e.lastFailure))
        .toList();
  }

  /** Stops dialling; established sessions stay. */
  @Override
  public synchronized void close() {
    closed = true;
    entries.values().forEach(Dialer::cancel);
    entries.clear();
  }

  private void attempt(Entry entry) {
    DatabaseKeys database;
    synchronized (this) {
      boolean idle = entry.state == State.WAITING || entry.state == State.RESTING;
      if (!isCurrent(entry) || !idle) {
        return;
      }
      if (connector.isServed(entry.key.candidate(), entry.database, entry.peer)) {
        rest(entry, REST);
        return;
      }
      entry.state = State.DIALLING;
      database = entry.database;
    }
    connector
        .dial(entry.key.candidate(), database)
        .whenComplete(
            (path, failure) -> {
              if (path != null) {
                connected(entry, path);
              } else {
                failed(entry, reason(failure));
              }
            });
  }

  private void connected(Entry entry, OpenPath path) {
    synchronized (this) {
      if (isCurrent(entry)) {
        entry.state = State.CONNECTED;
        entry.hint = false;
        entry.peer = path.session().peer();
        entry.timer = timers.schedule(SETTLED, () -> settled(entry, path));
        entry.path = path;
      }
    }
    path.closure().thenAccept(reason -> failed(entry, reason));
  }

  private synchronized void settled(Entry entry, OpenPath path) {
    if (path.equals(entry.path)) {
      entry.backoff.reset();
    }
  }

  private synchronized void failed(Entry entry, CloseReason reason) {
    if (!isCurrent(entry)) {
      return;
    }
    cancel(entry);
    entry.path = null;
    entry.lastFailure = reason;
    if (reason instanceof CloseReason.SelfConnection) {
      log.info(
          "address is this device itself, no longer dialled candidate={}", entry.key.candidate());
      entries.remove(entry.key);
    } else if (reason.isParting() || (entry.hint && ++entry.failures >= HINT_ATTEMPTS)) {
      entries.remove(entry.key);
    } else if (reason.isDuplicate() && entry.peer != null) {
      boolean here =
          reason.isMove() || connector.isServed(entry.key.candidate(), entry.database, entry.peer);
      rest(entry, here ? REST : TURN);
    } else {
      entry.state = State.WAITING;
      later(entry, entry.backoff.next());
    }
  }

  private void rest(Entry entry, Duration time) {
    entry.state = State.RESTING;
    later(entry, time);
  }

  private void later(Entry entry, Duration delay) {
    entry.timer = timers.schedule(delay, () -> attempt(entry));
  }

  private boolean isCurrent(Entry entry) {
    return !closed && entries.get(entry.key) == entry;
  }

  private static void cancel(Entry entry) {
    Timers.Timer timer = entry.timer;
    if (timer != null) {
      timer.cancel();
    }
  }

  private static CloseReason reason(@Nullable Throwable failure) {
    Throwable cause =
        failure instanceof CompletionException wrapped && wrapped.getCause() != null
            ? wrapped.getCause()
            : failure;
    return cause instanceof SessionFailedException known
        ? known.reason()
        : new CloseReason.LocalFault(String.valueOf(cause));
  }
}
