package io.pluresdb.transport.net;

import io.pluresdb.transport.session.Handshake;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionCounters;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionPolicy;
import java.util.concurrent.Executor;

/** What a session's channel handler needs of its transport. */
interface SessionHost {
  SessionLimits limits();

  SessionPolicy policy();

  SessionCounters counters();

  /** Runs handshake work; throws {@code RejectedExecutionException} when too much is queued. */
  Executor handshakes();

  Handshake.Local local();

  void opened(Session session);

  void closed(Session session);
}
