package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.engine.WaitingRuns.Held;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.RunOutcome.Reason;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.crdt.sync.SyncSession;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * A replica with its sessions, without threads, sockets or timers: the daemon's replica loop and
 * the simulator drive the same class.
 *
 * <p>The caller hands in what happened (a write, a message, a new session), as much as has queued,
 * and then calls {@link #turn}: everything is committed in one batch, the writes are acknowledged,
 * and every session follows the arrival log as far as its peer lets it. One thread only.
 */
public final class ReplicaEngine {
  /** Foreign bytes that may be unsynced before a sync is forced. */
  public static final int SYNC_BYTES = 2 << 20;

  /** Staged foreign bytes after which {@link #wantsTurn} asks for a commit. */
  public static final int BATCH_BYTES = 1 << 20;

  /** What the windows of all peers should add up to: it may all wait in memory at once. */
  private static final int ALL_WINDOWS_BYTES = 32 << 20;

  private static final int MESSAGES_PER_TURN = 4;

  /**
   * Ticks between two actors that are given up because a peer only says that it knows more of them
   * than we do: a peer that lies costs no more than that. A signed change that we lack is proof,
   * and is believed at once.
   */
  static final long TICKS_BETWEEN_CLAIMS = 600;

  /** What is told about a write: exactly one of the two is not null. */
  public interface WriteCallback {
    void done(@Nullable Receipt receipt, @Nullable RuntimeException failure);
  }

  /** Counts since the start; all from zero. */
  public record Counters(
      long localChanges, long foreignChanges, long knownRuns, Map<Reason, Long> rejected) {}

  /** One peer's session. */
  public static final class Peer {
    private final PeerLink link;
    private final SyncSession session;
    private boolean staged;
    private boolean closed;

    /** Answers that the link had no room for, the newest of each kind. */
    private final Map<Class<? extends SyncMessage>, SyncMessage> owed = new LinkedHashMap<>();

    private Peer(PeerLink link, SyncSession session) {
      this.link = link;
      this.session = session;
    }
  }

  private record Waiter(Receipt receipt, WriteCallback callback) {}

  private final Replica replica;
  private final Environment environment;
  private final Consumer<String> events;
  private final Map<PeerLink, Peer> peers = new LinkedHashMap<>();
  private final WaitingRuns waiting = new WaitingRuns();
  private final List<Waiter> waiters = new ArrayList<>();
  private final List<Runnable> listeners = new ArrayList<>();
  private final EnumMap<Reason, Long> rejected = new EnumMap<>(Reason.class);
  private int stagedBytes;
  private int unsyncedBytes;
  private long localChanges;
  private long foreignChanges;
  private long knownRuns;
  private long ticks;
  private long nextClaimTick;
  private @Nullable RuntimeException broken;
  private StorageException.@Nullable Full full;

  /**
   * Takes over a replica.
   *
   * @param events told in a sentence what a peer did wrong, for the debug log
   */
  public ReplicaEngine(Replica replica, Environment environment, Consumer<String> events) {
    this.replica = replica;
    this.environment = environment;
    this.events = events;
    for (Reason reason : Reason.values()) {
      rejected.put(reason, 0L);
    }
  }

  public Replica replica() {
    return replica;
  }

  /** Calls {@code listener} after every commit that changed something. */
  public void subscribe(Runnable listener) {
    listeners.add(listener);
  }

  public void unsubscribe(Runnable listener) {
    listeners.remove(listener);
  }

  /** Stages a local write; {@code callback} is told once it is committed, or refused at once. */
  public void submit(Transaction transaction, WriteCallback callback) {
    if (broken != null) {
      callback.done(null, broken);
      return;
    }
    if (replica.isGroupFull()) {
      commit();
      if (broken != null) {
        callback.done(null, broken);
        return;
      }
    }
    try {
      Receipt receipt = replica.stage(transaction);
      localChanges++;
      waiters.add(new Waiter(receipt, callback));
    } catch (CoreException | StorageException e) {
      callback.done(null, e);
    }
  }

  /** Stages changes that came by another way than a session. */
  public RunOutcome apply(ChangeRun run) {
    if (broken != null) {
      throw broken;
    }
    RunOutcome outcome = stage(run, this);
    release();
    return outcome;
  }

  /**
   * Admits a device: commits, and tells every peer.
   *
   * @throws StorageException when the entry could not be written: nobody was admitted
   */
  public void admit(MembershipEntry entry) {
    if (broken != null) {
      throw broken;
    }
    full = null;
    grow(List.of(entry));
    if (broken != null) {
      throw broken;
    }
    if (full != null) {
      throw full;
    }
  }

  private void grow(List<MembershipEntry> entries) {
    commit();
    Hash before = replica.view().membership().hash();
    if (replica.stageMembers(entries)) {
      commit();
    }
    // On a full disk nothing has grown: telling the old list would make every peer answer.
    if (!replica.view().membership().hash().equals(before)) {
      tellMembers();
    }
  }

  private void tellMembers() {
    var members = new SyncMessage.Members(replica.view().membership().entries());
    for (Peer peer : peers.values()) {
      answer(peer, members);
    }
  }

  /**
   * Sends what needs no credit, at once or when the link has room: a peer that asks and never reads
   * must not fill our memory with answers.
   */
  private static void answer(Peer peer, SyncMessage message) {
    if (peer.owed.isEmpty() && peer.link.isWritable()) {
      peer.link.send(message);
    } else {
      peer.owed.merge(message.getClass(), message, ReplicaEngine::newer);
    }
  }

  private static SyncMessage newer(SyncMessage owed, SyncMessage fresh) {
    if (owed instanceof SyncMessage.Heads before
        && fresh instanceof SyncMessage.Heads(var wantReply, var frontier)) {
      return new SyncMessage.Heads(wantReply || before.wantReply(), frontier);
    }
    if (owed instanceof SyncMessage.Ack before
        && fresh instanceof SyncMessage.Ack(var bytes, var cursor)) {
      return new SyncMessage.Ack(before.bytes() + bytes, cursor);
    }
    return fresh;
  }

  private static void sendOwed(Peer peer) {
    var messages = peer.owed.values().iterator();
    while (messages.hasNext() && peer.link.isWritable()) {
      peer.link.send(messages.next());
      messages.remove();
    }
  }

  /** Opens a session over a link that has just come up. */
  public Peer connect(PeerLink link) {
    commit();
    syncWhatIsSaid();
    Hash database = replica.identity().database();
    int window =
        Math.clamp(
            ALL_WINDOWS_BYTES / (peers.size() + 1),
            SyncSession.MIN_WINDOW_BYTES,
            SyncSession.WINDOW_BYTES);
    var peer = new Peer(link, new SyncSession(database, replica.view(), now(), window));
    peers.put(link, peer);
    link.send(peer.session.hello());
    return peer;
  }

  /** Forgets a session whose link is gone. */
  public void disconnect(Peer peer) {
    peer.closed = true;
    peers.remove(peer.link);
    waiting.forget(peer);
  }

  public void receive(Peer peer, SyncMessage message) {
    if (peer.closed || broken != null) {
      return;
    }
    SyncSession.Step step = peer.session.onMessage(message, replica.view(), replica.log());
    if (step.violation() != null) {
      close(peer, "protocol violation " + step.violation());
      return;
    }
    if (!step.members().isEmpty()) {
      grow(step.members());
    }
    if (step.heads() != null) {
      commit();
      compareOwn(step.heads());
    }
    if (!step.apply().isEmpty()) {
      integrate(peer, step.apply());
    }
    if (step.send().stream().anyMatch(SyncMessage.Heads.class::isInstance)) {
      commit();
      syncWhatIsSaid();
    }
    step.send().forEach(reply -> answer(peer, reply));
    // An acknowledgement is due, though nothing new came.
    peer.staged |= peer.session.isCompleted();
  }

  /** What we tell a peer that we have, it may count on: also after our power is lost. */
  private void syncWhatIsSaid() {
    if (broken == null && unsyncedBytes > 0) {
      syncAndAcknowledge();
    }
  }

  private void compareOwn(Frontier claimed) {
    if (ticks < nextClaimTick) {
      return;
    }
    if (replica.compareOwn(claimed)) {
      nextClaimTick = ticks + TICKS_BETWEEN_CLAIMS;
      events.accept("a peer knows more of our actor than we do: going on under a new one");
    }
  }

  private void integrate(Peer peer, List<ChangeRun> runs) {
    peer.staged = true;
    boolean complete = true;
    boolean progress = false;
    for (ChangeRun run : runs) {
      RunOutcome outcome = stage(run, peer);
      progress |= outcome instanceof RunOutcome.Applied;
      complete &= outcome instanceof RunOutcome.Applied || outcome instanceof RunOutcome.Known;
      if (outcome instanceof RunOutcome.Rejected(var reason, var detail)
          && reason == Reason.MALFORMED) {
        close(peer, "malformed changes: " + detail);
        break;
      }
    }
    if (!complete) {
      peer.session.incomplete();
    }
    if (progress) {
      release();
    }
  }

  private RunOutcome stage(ChangeRun run, Object sender) {
    RunOutcome outcome = replica.stage(run);
    switch (outcome) {
      case RunOutcome.Applied(int changes) -> applied(run, changes);
      case RunOutcome.Known known -> knownRuns++;
      case RunOutcome.Waiting waits -> hold(new Held(run, sender, ticks, waits));
      case RunOutcome.Ahead ahead -> hold(new Held(run, sender, ticks, ahead));
      case RunOutcome.Rejected(var reason, var detail) -> reject(reason, detail);
    }
    return outcome;
  }

  private void applied(ChangeRun run, int changes) {
    foreignChanges += changes;
    stagedBytes += run.encodedBytes();
  }

  /** Stages what waited and need not wait any more. */
  private void release() {
    boolean progress = true;
    while (progress) {
      progress = false;
      for (Held held : waiting.take()) {
        switch (replica.stage(held.run())) {
          case RunOutcome.Waiting waits -> waiting.keep(held);
          case RunOutcome.Ahead ahead -> waiting.keep(held);
          case RunOutcome.Applied(int changes) -> {
            applied(held.run(), changes);
            progress = true;
            if (held.peer() instanceof Peer sender) {
              // If this cannot be committed, the sender has to send it again.
              sender.staged = true;
            }
          }
          case RunOutcome.Known known -> knownRuns++;
          case RunOutcome.Rejected(var reason, var detail) -> reject(reason, detail);
        }
      }
    }
  }

  private void hold(Held fresh) {
    for (Held dropped : waiting.add(fresh)) {
      reject(Reason.BUFFER_FULL, "run of actor " + dropped.run().actor() + " dropped");
    }
  }

  /** Whoever waits in vain is let go, and counted: the sender offers it again. */
  private void expire() {
    for (Held held : waiting.expire(ticks)) {
      reject(
          Reason.EXPIRED,
          "changes from "
              + held.run().fromSeq()
              + " of actor "
              + held.run().actor()
              + ", for want of "
              + held.reason());
    }
  }

  private void reject(Reason reason, String detail) {
    rejected.merge(reason, 1L, Long::sum);
    events.accept("rejected " + reason + ": " + detail);
  }

  private void close(Peer peer, String reason) {
    events.accept("session closed: " + reason);
    disconnect(peer);
    peer.link.close(reason);
  }

  /** Whether so much is staged that {@link #turn} should be called before more is handed in. */
  public boolean wantsTurn() {
    return stagedBytes >= BATCH_BYTES || replica.isGroupFull();
  }

  /**
   * Commits, acknowledges and lets the sessions go on.
   *
   * @param idle whether nothing else waits: then what peers sent is synced and acknowledged too
   * @return whether a session could go on at once; call again then
   */
  public boolean turn(boolean idle) {
    commit();
    boolean more = pump();
    if (broken == null && (unsyncedBytes >= SYNC_BYTES || (idle && unsyncedBytes > 0))) {
      syncAndAcknowledge();
    }
    for (Peer peer : peers.values()) {
      peer.link.flush();
      peer.link.reached(peer.session.reached());
    }
    return more;
  }

  private boolean pump() {
    boolean more = false;
    for (Peer peer : List.copyOf(peers.values())) {
      sendOwed(peer);
      int sent = 0;
      SyncMessage message;
      while (sent < MESSAGES_PER_TURN
          && peer.link.isWritable()
          && (message = peer.session.pull(replica.view(), replica.log())) != null) {
        peer.link.send(message);
        sent++;
      }
      if (sent > 0) {
        peer.link.flush();
      }
      more |= sent == MESSAGES_PER_TURN;
    }
    return more;
  }

  private void syncAndAcknowledge() {
    try {
      replica.sync();
    } catch (StorageException e) {
      fail(e);
      return;
    }
    unsyncedBytes = 0;
    for (Peer peer : peers.values()) {
      SyncMessage ack = peer.session.onDurable();
      if (ack != null) {
        answer(peer, ack);
      }
    }
  }

  private void commit() {
    if (broken != null || !replica.hasStaged()) {
      acknowledgeRepeats();
      return;
    }
    var done = List.copyOf(waiters);
    waiters.clear();
    try {
      replica.commit();
    } catch (RuntimeException e) {
      done.forEach(waiter -> waiter.callback.done(null, e));
      if (e instanceof StorageException.Full noRoom) {
        full = noRoom;
        dropContributors();
      } else {
        fail(e);
      }
      return;
    }
    unsyncedBytes += stagedBytes;
    stagedBytes = 0;
    acknowledgeRepeats();
    done.forEach(waiter -> waiter.callback.done(waiter.receipt, null));
    List.copyOf(listeners).forEach(Runnable::run);
  }

  /** Messages without anything new use up the peer's credit too. */
  private void acknowledgeRepeats() {
    for (Peer peer : peers.values()) {
      if (peer.staged) {
        peer.staged = false;
        unsyncedBytes = Math.max(unsyncedBytes, 1);
      }
    }
  }

  /** What these peers sent is lost and they do not know: a new session finds out. */
  private void dropContributors() {
    stagedBytes = 0;
    for (Peer peer : List.copyOf(peers.values())) {
      if (peer.staged) {
        close(peer, "the disk is full");
      }
    }
  }

  /** Stops for good: every write is refused with {@code cause}, every session is closed. */
  public void fail(RuntimeException cause) {
    broken = cause;
    waiters.forEach(waiter -> waiter.callback.done(null, cause));
    waiters.clear();
    for (Peer peer : List.copyOf(peers.values())) {
      close(peer, "the database stopped: " + cause.getMessage());
    }
  }

  /** Lets time pass; call it about once a second. */
  public void tick() {
    if (broken != null) {
      return;
    }
    ticks++;
    release();
    expire();
    for (Peer peer : List.copyOf(peers.values())) {
      SyncSession.Step step = peer.session.onTick(now(), replica.view());
      step.send().forEach(message -> answer(peer, message));
    }
  }

  private long now() {
    return environment.wallClock().millis();
  }

  /** Asks every peer that is ready to compare frontiers now. */
  public void probe() {
    for (Peer peer : peers.values()) {
      if (peer.session.isReady()) {
        answer(peer, peer.session.probe(replica.view()));
      }
    }
  }

  /** Changes that wait for others. */
  public int pending() {
    return waiting.changes();
  }

  public Counters counters() {
    return new Counters(localChanges, foreignChanges, knownRuns, Map.copyOf(rejected));
  }

  /** What stopped this engine for good, or null. */
  public @Nullable RuntimeException broken() {
    return broken;
  }
}
