package io.pluresdb.transport.net;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.path.Reachability;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Decision;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionFailedException;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.SessionPolicy;
import io.pluresdb.transport.session.Suite;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.Hint;
import io.pluresdb.transport.topic.SyncKey;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/** A device on the loopback interface that records what its sessions do. */
final class Node implements SessionPolicy, SessionListener, AutoCloseable {
  static final DatabaseKeys DATABASE = DatabaseKeys.of(new SyncKey(new byte[32]), 1);
  static final Instant NOW = Instant.ofEpochSecond(1_800_000_000);

  final DeviceIdentity identity;
  final TcpTransport transport;
  final Queue<String> events = new ConcurrentLinkedQueue<>();
  final Queue<byte[]> messages = new ConcurrentLinkedQueue<>();
  final AtomicInteger messageCount = new AtomicInteger();
  final Queue<Session> established = new ConcurrentLinkedQueue<>();
  final Queue<CloseReason> closings = new ConcurrentLinkedQueue<>();
  final List<byte[]> authorized = new ArrayList<>();
  final Map<Hint, DatabaseKeys> databases = new ConcurrentHashMap<>();
  volatile Decision decision = new Decision.Accept();
  volatile byte[] attachment = "hello".getBytes(StandardCharsets.UTF_8);
  volatile @Nullable SessionListener forwarding;
  volatile boolean keepMessages = true;

  Node() {
    this(SessionLimits.defaults().withStranded(Duration.ofSeconds(2)));
  }

  Node(SessionLimits limits) {
    this(DeviceIdentity.create(new SecureRandom()), limits, InstantSource.fixed(NOW));
  }

  Node(DeviceIdentity identity, SessionLimits limits, InstantSource clock) {
    this(identity, limits, clock, Suite.CHACHAPOLY);
  }

  Node(DeviceIdentity identity, SessionLimits limits, InstantSource clock, Suite suite) {
    this.identity = identity;
    databases.put(DATABASE.hint(), DATABASE);
    transport =
        new TcpTransport(identity, this, limits, new Environment(clock, new SecureRandom()), suite);
  }

  static InetSocketAddress anyPort() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }

  /** Nobody can find this device's UDP port. */
  static CompletionStage<Reachability> nowhere() {
    return CompletableFuture.completedStage(Reachability.nowhere());
  }

  InetSocketAddress listen() {
    return transport.listen(anyPort());
  }

  Session dial(InetSocketAddress address) {
    try {
      return transport.dial(address, DATABASE).toCompletableFuture().get(20, TimeUnit.SECONDS);
    } catch (ExecutionException | InterruptedException | TimeoutException e) {
      throw new AssertionError(e);
    }
  }

  /** Dials and returns why no session came of it. */
  CloseReason dialInVain(InetSocketAddress address, DatabaseKeys database) {
    try {
      Session session =
          transport.dial(address, database).toCompletableFuture().get(20, TimeUnit.SECONDS);
      throw new AssertionError("a session was established: " + session);
    } catch (ExecutionException e) {
      if (e.getCause() instanceof SessionFailedException failed) {
        return failed.reason();
      }
      throw new AssertionError(e);
    } catch (InterruptedException | TimeoutException e) {
      throw new AssertionError(e);
    }
  }

  /** The first session established here, once there is one. */
  Session session() {
    Waiting.until("a session", () -> !established.isEmpty());
    return established.element();
  }

  long count(String counter) {
    Long value = transport.counters().snapshot().get(counter);
    if (value == null) {
      throw new AssertionError("no counter " + counter);
    }
    return value;
  }

  @Override
  public @Nullable DatabaseKeys keysFor(Hint hint) {
    return databases.get(hint);
  }

  @Override
  public byte[] attachment(DatabaseKeys database) {
    return attachment;
  }

  @Override
  public Decision authorize(DatabaseKeys database, byte[] peerPublicKey, byte[] peerAttachment) {
    synchronized (authorized) {
      authorized.add(peerPublicKey);
    }
    return decision;
  }

  @Override
  public SessionListener listener(DatabaseKeys database) {
    return this;
  }

  @Override
  public void established(Session session) {
    events.add("established");
    established.add(session);
    SessionListener to = forwarding;
    if (to != null) {
      to.established(session);
    }
  }

  @Override
  public void message(Session session, byte[] message) {
    if (keepMessages) {
      messages.add(message);
    }
    messageCount.incrementAndGet();
    SessionListener to = forwarding;
    if (to != null) {
      to.message(session, message);
    }
  }

  @Override
  public void writabilityChanged(Session session) {
    events.add("writable " + session.isWritable());
    SessionListener to = forwarding;
    if (to != null) {
      to.writabilityChanged(session);
    }
  }

  @Override
  public void closed(Session session, CloseReason reason) {
    events.add("closed " + reason.counter());
    closings.add(reason);
    SessionListener to = forwarding;
    if (to != null) {
      to.closed(session, reason);
    }
  }

  @Override
  public void close() {
    transport.close();
  }
}
