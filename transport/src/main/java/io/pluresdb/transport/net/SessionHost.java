package io.pluresdb.transport.net;

import io.netty.channel.EventLoop;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Handshake;
import io.pluresdb.transport.session.SessionCounters;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionPolicy;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.util.concurrent.Executor;
import org.jspecify.annotations.Nullable;

/** What a session and its paths' channel handlers need of their transport. */
interface SessionHost {
  SessionLimits limits();

  SessionPolicy policy();

  SessionCounters counters();

  /** Runs handshake work; throws {@code RejectedExecutionException} when too much is queued. */
  Executor handshakes();

  Handshake.Local local();

  /** A thread for what a session does while it has no path. */
  EventLoop loop();

  /** The session of these keys with a program, named by its Noise key, or null. */
  @Nullable LiveSession find(DatabaseKeys database, byte[] peerNoiseKey);

  void opened(LiveSession session);

  /** A session goes on by another path than before. */
  void moved(LiveSession session);

  /** A session has no path any more; it ends unless it soon has one. */
  void stranded(LiveSession session, CloseReason reason);

  /** A session's path may be dead; it gives way to any other. */
  void suspected(LiveSession session);

  /** A peer says something about further paths. */
  void heard(LiveSession session, byte[] content);

  void closed(LiveSession session);
}
