package io.pluresdb.transport.session;

import java.time.Duration;
import java.util.function.Consumer;

/**
 * The bounds of a transport and its sessions. Cannot exist invalid.
 *
 * @param messageBytes most bytes of one message, either way; 1 to 2^30
 * @param lowWaterBytes at or below this many queued bytes a session is writable again
 * @param highWaterBytes above this many queued bytes a session is not writable
 * @param queuedBytes above this many queued bytes a session is closed; at least the high mark and
 *     one message
 * @param keepAlive an idle side says so this often; 10 ms to 1 h
 * @param silence a peer that says nothing for this long is dead; at least twice the keep-alive
 * @param handshakeTimeout from connecting to an established session; 10 ms to 5 min
 * @param halfOpen most accepted connections without a finished handshake; 1 to 65,536
 * @param halfOpenPerAddress as above, of one IPv4 address or IPv6 /64
 * @param sessions most connections of this transport; 1 to 65,536
 * @param credentialLifetime how long a credential we hand out is valid; 1 ms to 90 days
 * @param linger how long a goodbye may take to leave; 1 ms to 1 min
 * @param stranded how long a session that lost its path waits for another; 1 ms to 10 min
 */
public record SessionLimits(
    int messageBytes,
    int lowWaterBytes,
    int highWaterBytes,
    long queuedBytes,
    Duration keepAlive,
    Duration silence,
    Duration handshakeTimeout,
    int halfOpen,
    int halfOpenPerAddress,
    int sessions,
    Duration credentialLifetime,
    Duration linger,
    Duration stranded) {

  private static final int KIB = 1024;
  private static final int MIB = 1024 * KIB;

  public SessionLimits {
    range("session.message-bytes", messageBytes, 1, 1 << 30);
    range("session.low-water-bytes", lowWaterBytes, 1, 1 << 30);
    range("session.high-water-bytes", highWaterBytes, lowWaterBytes, 1 << 30);
    range(
        "session.queued-bytes", queuedBytes, (long) highWaterBytes + messageBytes, Long.MAX_VALUE);
    range("session.keep-alive", keepAlive, Duration.ofMillis(10), Duration.ofHours(1));
    range("session.silence", silence, keepAlive.multipliedBy(2), Duration.ofDays(1));
    range(
        "session.handshake-timeout",
        handshakeTimeout,
        Duration.ofMillis(10),
        Duration.ofMinutes(5));
    range("session.half-open", halfOpen, 1, 65536);
    range("session.half-open-per-address", halfOpenPerAddress, 1, halfOpen);
    range("session.sessions", sessions, 1, 65536);
    range(
        "session.credential-lifetime",
        credentialLifetime,
        Duration.ofMillis(1),
        Duration.ofDays(90));
    range("session.linger", linger, Duration.ofMillis(1), Duration.ofMinutes(1));
    range("session.stranded", stranded, Duration.ofMillis(1), Duration.ofMinutes(10));
  }

  /** 4 MiB messages; marks of 256 KiB and 1 MiB; 15 s, 45 s and 5 s; 256, 16 and 1,024. */
  public static SessionLimits defaults() {
    return new SessionLimits(
        4 * MIB,
        256 * KIB,
        MIB,
        64L * MIB,
        Duration.ofSeconds(15),
        Duration.ofSeconds(45),
        Duration.ofSeconds(5),
        256,
        16,
        1024,
        Duration.ofDays(1),
        Duration.ofSeconds(1),
        Duration.ofSeconds(10));
  }

  public SessionLimits withMessageBytes(int bytes) {
    return with(
        draft -> {
          draft.messageBytes = bytes;
          draft.queuedBytes = Math.max(queuedBytes, (long) highWaterBytes + bytes);
        });
  }

  public SessionLimits withWaterBytes(int low, int high, long queued) {
    return with(
        draft -> {
          draft.lowWaterBytes = low;
          draft.highWaterBytes = high;
          draft.queuedBytes = queued;
        });
  }

  public SessionLimits withKeepAlive(Duration every, Duration dead) {
    return with(
        draft -> {
          draft.keepAlive = every;
          draft.silence = dead;
        });
  }

  public SessionLimits withHandshakes(Duration timeout, int total, int perAddress) {
    return with(
        draft -> {
          draft.handshakeTimeout = timeout;
          draft.halfOpen = total;
          draft.halfOpenPerAddress = perAddress;
        });
  }

  public SessionLimits withSessions(int most) {
    return with(draft -> draft.sessions = most);
  }

  public SessionLimits withCredentialLifetime(Duration lifetime) {
    return with(draft -> draft.credentialLifetime = lifetime);
  }

  public SessionLimits withStranded(Duration most) {
    return with(draft -> draft.stranded = most);
  }

  private SessionLimits with(Consumer<Draft> change) {
    var draft = new Draft(this);
    change.accept(draft);
    return draft.limits();
  }

  /** The limits while some of them are changed. */
  private static final class Draft {
    int messageBytes;
    int lowWaterBytes;
    int highWaterBytes;
    long queuedBytes;
    Duration keepAlive;
    Duration silence;
    Duration handshakeTimeout;
    int halfOpen;
    int halfOpenPerAddress;
    int sessions;
    Duration credentialLifetime;
    Duration linger;
    Duration stranded;

    Draft(SessionLimits from) {
      messageBytes = from.messageBytes;
      lowWaterBytes = from.lowWaterBytes;
      highWaterBytes = from.highWaterBytes;
      queuedBytes = from.queuedBytes;
      keepAlive = from.keepAlive;
      silence = from.silence;
      handshakeTimeout = from.handshakeTimeout;
      halfOpen = from.halfOpen;
      halfOpenPerAddress = from.halfOpenPerAddress;
      sessions = from.sessions;
      credentialLifetime = from.credentialLifetime;
      linger = from.linger;
      stranded = from.stranded;
    }

    SessionLimits limits() {
      return new SessionLimits(
          messageBytes,
          lowWaterBytes,
          highWaterBytes,
          queuedBytes,
          keepAlive,
          silence,
          handshakeTimeout,
          halfOpen,
          halfOpenPerAddress,
          sessions,
          credentialLifetime,
          linger,
          stranded);
    }
  }

  private static void range(String setting, long value, long from, long to) {
    if (value < from || value > to) {
      throw new IllegalArgumentException(
          setting + " must be " + from + " to " + to + ", but is " + value);
    }
  }

  private static void range(String setting, Duration value, Duration from, Duration to) {
    if (value.compareTo(from) < 0 || value.compareTo(to) > 0) {
      throw new IllegalArgumentException(
          setting + " must be " + from + " to " + to + ", but is " + value);
    }
  }
}
