package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.MembershipEntry.Fork;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.crdt.engine.WaitingRuns.Held;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.ReadAhead;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.store.RunOutcome.Reason;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.sync.SnapshotMessage;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.crdt.sync.SyncSession;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.function.BooleanSupplier;
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

  /** Acknowledgements of a commit from which on another thread hands them out. */
  private static final int MANY_WAITERS = 8;

  /**
   * What need not be done by whoever drives the engine.
   *
   * @param acknowledging tells many at once that their writes are on disk: waking them takes as
   *     long as a tenth of the commit
   * @param syncing syncs commits of writes while the next ones are staged
   * @param minSynced writes of a commit from which it does; fewer wait for those before them, or
   *     are synced so too when more came just before
   * @param wake calls for a {@link #turn} after such a sync, from the thread that made it
   */
  public record Helpers(Executor acknowledging, Executor syncing, int minSynced, Runnable wake) {
    /** Everything in its turn. */
    public static final Helpers NONE =
        new Helpers(Runnable::run, Runnable::run, Integer.MAX_VALUE, () -> {});
  }

  /** Ticks in which a removed peer can say what it knows of the membership. */
  static final long PARTING_TICKS = 5;

  /**
   * Ticks between two actors that are given up because a peer only says that it knows more of them
   * than we do: a peer that lies costs no more than that. A signed change that we lack is proof,
   * and is believed at once.
   */
  static final long TICKS_BETWEEN_CLAIMS = 600;

  /** Ticks between two looks for what a stop kept this device from saying. */
  private static final long TICKS_BETWEEN_KEEPS = 60;

  /** What is told about a write: exactly one of the two is not null. */
  public interface WriteCallback {
    void done(@Nullable Receipt receipt, @Nullable RuntimeException failure);
  }

  /** Differences a comparison looks for that the engine begins by itself. */
  public static final int MAX_DIVERGENT = 1_000;

  /**
   * Counts since the start; all from zero.
   *
   * @param divergences how often a peer with our operations did not have our documents
   */
  public record Counters(
      long localChanges,
      long foreignChanges,
      long knownRuns,
      long divergences,
      Map<Reason, Long> rejected) {}

  /**
   * What came of snapshots since the start.
   *
   * @param offered to peers that our log did not help
   * @param joined of peers
   * @param failed that did not hold what they said
   * @param bytesReceived bytes of rows that came in parts
   */
  public record SnapshotCounters(long offered, long joined, long failed, long bytesReceived) {}

  /** One peer's session. */
  public static final class Peer {
    final PeerLink link;
    final SyncSession session;
    private final Map<ActorId, Genesis> origins = new HashMap<>();
    private boolean staged;
    private boolean closed;
    private Hash divergedState = Hash.ZERO;

    /** What the peer said to have, while we are behind; null before it did. */
    private @Nullable Frontier stands;

    /** Answers that the link had no room for, the newest of each kind. */
    private final Map<Class<? extends SyncMessage>, SyncMessage> owed = new LinkedHashMap<>();

    private Peer(PeerLink link, SyncSession session) {
      this.link = link;
      this.session = session;
    }

    /**
     * Whether an answer is still to be sent. What is newer must not overtake it: the peer takes a
     * frontier for one that has all it was sent and told before.
     */
    boolean owes() {
      return !owed.isEmpty();
    }

    private void learn(Hash database, List<Genesis> actors) {
      for (Genesis genesis : actors) {
        if (origins.size() < SyncMessage.MAX_ORIGINS) {
          origins.put(genesis.actor(database), genesis);
        }
      }
    }
  }

  private record Waiter(Receipt receipt, WriteCallback callback) {}

  private final Replica replica;
  private final Environment environment;
  private final Consumer<String> events;
  private final Helpers helpers;
  private final SyncBeside beside;
  private final Map<PeerLink, Peer> peers = new LinkedHashMap<>();

  /** Peers that were removed and are heard before they are let go, and since which tick. */
  private final Map<Peer, Long> partings = new LinkedHashMap<>();

  private final WaitingRuns waiting = new WaitingRuns();
  private final Comparisons comparisons;
  private final Gossip gossip;
  private final Forks forks;
  private final SnapshotTransfers snapshots;
  private final Compaction compaction;
  private List<Waiter> waiters = new ArrayList<>();
  private final List<Runnable> listeners = new ArrayList<>();
  private final EnumMap<Reason, Long> rejected = new EnumMap<>(Reason.class);
  private int stagedBytes;
  private int unsyncedBytes;
  private long localChanges;
  private long foreignChanges;
  private long knownRuns;
  private long divergences;
  private long ticks;
  private long nextClaimTick;

  /** Work that can wait rests until the next tick. */
  private boolean diskFull;

  /** Whether nothing was committed between the last two ticks, and nothing since. */
  private boolean quiet;

  /**
   * Writes of the greatest commit lately, halved with every commit since: writers that were told
   * together come back together, and the first few of them need not make the rest wait for a sync.
   */
  private int crowd;

  private long lastArrivals;

  private volatile long followable;
  private @Nullable RuntimeException broken;
  private StorageException.@Nullable Full full;

  /**
   * Takes over a replica.
   *
   * @param events told in a sentence what a peer did wrong, for the debug log
   */
  public ReplicaEngine(Replica replica, Environment environment, Consumer<String> events) {
    this(replica, environment, events, Helpers.NONE);
  }

  /**
   * Takes over a replica.
   *
   * @param events told in a sentence what a peer did wrong, for the debug log
   */
  public ReplicaEngine(
      Replica replica, Environment environment, Consumer<String> events, Helpers helpers) {
    this.replica = replica;
    this.environment = environment;
    this.events = events;
    this.helpers = helpers;
    this.beside = new SyncBeside(replica, helpers.syncing(), helpers.wake());
    this.followable = replica.view().arrivals();
    this.comparisons = new Comparisons(replica, environment);
    this.forks = new Forks(replica);
    this.gossip = new Gossip(replica, environment);
    this.snapshots = new SnapshotTransfers(replica, environment, events);
    this.compaction = new Compaction(replica, environment, events);
    for (Reason reason : Reason.values()) {
      rejected.put(reason, 0L);
    }
  }

  public Replica replica() {
    return replica;
  }

  /**
   * Length of the arrival log as far as {@link #subscribe listeners} may follow it: what comes
   * behind may not be on disk. Any thread.
   */
  public long followable() {
    return Math.max(followable, beside.arrivals());
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
    submit(transaction, null, callback);
  }

  /** As {@link #submit(Transaction, WriteCallback)}, with what was read for it before. */
  public void submit(Transaction transaction, @Nullable ReadAhead ahead, WriteCallback callback) {
    if (broken != null) {
      callback.done(null, broken);
      return;
    }
    if (replica.isGroupFull()) {
      commitStaged();
      if (broken != null) {
        callback.done(null, broken);
        return;
      }
    }
    try {
      if (replica.isJoining()) {
        commit();
        replica.joinFirst(transaction);
      }
      Receipt receipt = replica.stage(transaction, ahead);
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
   * Takes in a membership entry made here: commits, and tells every peer.
   *
   * @throws StorageException when the entry could not be written: nothing has changed
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

  /**
   * Takes every role above {@code keep} from a device, accepting what is here of it.
   *
   * @param keep null for none: the device is no member any more
   * @throws CoreException while this replica is behind, as {@link Replica#removal} says
   * @throws StorageException as {@link #admit}
   */
  public MembershipEntry.Revoke revoke(byte[] device, @Nullable Role keep) {
    return revoke(device, keep, Hash.ZERO);
  }

  /**
   * As {@link #revoke(byte[], Role)}, and begins an epoch.
   *
   * @param secret {@link MembershipEntry.Revoke#nameOf} its secret
   */
  public MembershipEntry.Revoke revoke(byte[] device, @Nullable Role keep, Hash secret) {
    commit();
    catchUp();
    MembershipEntry.Revoke entry = replica.removal(device, keep, now(), secret);
    admit(entry);
    return entry;
  }

  /**
   * Writes what a device did beyond its accepted changes again, as changes of our own.
   *
   * @return number of changes
   * @throws CoreException when this device may not write; nothing happened then
   */
  public long adopt(byte[] device) {
    commit();
    long before = voidChanges(device);
    for (Replica.VoidChanges changes : replica.voidChanges()) {
      if (Arrays.equals(changes.device(), device)) {
        adopt(changes);
      }
    }
    if (broken != null) {
      throw broken;
    }
    long adopted = before - voidChanges(device);
    localChanges += adopted;
    return adopted;
  }

  private void adopt(Replica.VoidChanges changes) {
    var adoption = new Replica.Adoption(changes);
    while (!adoption.isDone() && broken == null) {
      replica.stage(adoption);
      if (replica.isGroupFull()) {
        commit();
      }
    }
    commit();
  }

  /**
   * Writes again what this replica wrote under an actor that forked: its other branch is written
   * again by whoever made that.
   */
  private void adoptOwn() {
    if (broken != null || !replica.mayBeForked() || !replica.mayWrite()) {
      return;
    }
    commit();
    for (Replica.VoidChanges changes : replica.ownVoidChanges()) {
      events.accept(
          "another copy of this device wrote under our actor: writing "
              + changes.count()
              + " changes again");
      localChanges += changes.count();
      adopt(changes);
    }
  }

  /** Number of changes of a device that are kept here, do not count and were not adopted here. */
  public long voidChanges(byte[] device) {
    return replica.voidChanges().stream()
        .filter(changes -> Arrays.equals(changes.device(), device))
        .mapToLong(Replica.VoidChanges::count)
        .sum();
  }

  private void grow(List<? extends MembershipEntry> entries) {
    commit();
    if (broken != null) {
      return;
    }
    Membership before = replica.view().membership();
    Frontier counted = replica.view().frontier();
    // Also of what does not count until now.
    peers.values().forEach(peer -> peer.session.expectOnly(replica::countable));
    if (replica.stageMembers(entries)) {
      commit();
    }
    Membership now = replica.view().membership();
    // On a full disk nothing has grown.
    if (now.hash().equals(before.hash())) {
      return;
    }
    var known = new HashSet<>(before.entries());
    List<SyncMessage.Members> news =
        SyncMessage.Members.news(
            now.entries().stream().filter(entry -> !known.contains(entry)).toList());
    for (Peer peer : List.copyOf(peers.values())) {
      if (!dismissRemoved(peer)) {
        news.forEach(message -> answer(peer, message));
      }
    }
    long first = firstCountingAgain(counted);
    for (Peer peer : peers.values()) {
      peer.session.expectOnly(replica::countable);
      peer.session.countsAgain(first);
    }
    adoptOwn();
    keepWhatIsGone();
    // What counts may have changed on both sides without a change having arrived.
    probe();
    release();
  }

  /** Says what cannot be taken back, so that it counts everywhere. */
  private void keepWhatIsGone() {
    if (broken == null && !replica.hasStaged()) {
      List<MembershipEntry.Keep> keeps = replica.keeps();
      if (!keeps.isEmpty()) {
        events.accept("actors should end before what left the log: what they did there is kept");
        grow(keeps);
      }
    }
  }

  /** The first arrival that did not count before and does now; the greatest long for none. */
  private long firstCountingAgain(Frontier before) {
    long first = Long.MAX_VALUE;
    for (Map.Entry<ActorId, Frontier.Head> entry : replica.view().frontier().heads().entrySet()) {
      ActorId actor = entry.getKey();
      if (entry.getValue().seq() > before.seq(actor)) {
        first = Math.min(first, replica.log().arrivalOf(actor, before.seq(actor) + 1));
      }
    }
    return first;
  }

  /**
   * Sends what needs no credit, at once or when the link has room: a peer that asks and never reads
   * must not fill our memory with answers.
   */
  static void answer(Peer peer, SyncMessage message) {
    if (peer.owed.isEmpty() && peer.link.isWritable()) {
      peer.link.send(message);
    } else if (!(message instanceof SyncMessage.Frontiers)) {
      // A part of a dialogue is of no use later: the next probe begins it anew.
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

  private void sendOwed(Peer peer) {
    var messages = peer.owed.values().iterator();
    while (messages.hasNext() && peer.link.isWritable()) {
      SyncMessage message = messages.next();
      if (message instanceof SyncMessage.Members) {
        // Of several only the last is owed.
        SyncMessage.Members.whole(replica.view().membership()).forEach(peer.link::send);
      } else {
        peer.link.send(message);
      }
      messages.remove();
    }
  }

  /** Tells a peer that was removed why, and ends its session; false for any other. */
  private boolean dismissRemoved(Peer peer) {
    if (!tellRemoved(peer)) {
      return false;
    }
    peer.link.dismiss();
    return true;
  }

  /** Tells a peer that was removed why, and has no session with it; false for any other. */
  private boolean tellRemoved(Peer peer) {
    byte[] device = peer.link.deviceKey();
    Membership membership = replica.view().membership();
    if (device == null || !membership.isRemoved(device)) {
      return false;
    }
    SyncMessage.Members.news(membership.about(device)).forEach(peer.link::send);
    peer.link.flush();
    disconnect(peer);
    return true;
  }

  /**
   * Hears of a removed peer what it knows of the membership, and no more: it may have removed
   * whoever removed it, and may be in the right.
   */
  private void part(Peer peer, SyncMessage message) {
    boolean heard =
        switch (message) {
          case SyncMessage.Hello hello ->
              hello.membersHash().equals(replica.view().membership().hash());
          case SyncMessage.Members(var part, var entries) -> {
            grow(entries);
            yield part == SyncMessage.Members.Part.LAST;
          }
          default -> false;
        };
    if (heard && partings.remove(peer) != null) {
      peer.link.dismiss();
    }
  }

  /** Finds out where, once for each state of ours. */
  private void diverged(Peer peer) {
    Hash state = replica.view().stateHash();
    if (state.equals(peer.divergedState)) {
      return;
    }
    peer.divergedState = state;
    divergences++;
    events.accept("a peer has the same operations and other documents");
    compare(
        peer,
        KeyRange.ALL,
        false,
        MAX_DIVERGENT,
        comparison -> {
          // Sums that differ while no document does are wrong themselves.
          if (comparison instanceof Comparison.Compared compared
              && compared.differences().isEmpty()) {
            compare(peer, KeyRange.ALL, true, MAX_DIVERGENT, peer.link::diverged);
          } else {
            peer.link.diverged(comparison);
          }
        });
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
    byte[] nonce = environment.randomBytes(SyncMessage.NONCE_BYTES);
    var peer =
        new Peer(
            link,
            new SyncSession(
                database, replica.identity().scope(), replica.view(), nonce, now(), window));
    peers.put(link, peer);
    if (mayPublish()) {
      link.send(peer.session.hello());
      if (tellRemoved(peer)) {
        partings.put(peer, ticks);
      } else {
        gossip.up(peer);
      }
    }
    return peer;
  }

  /** Forgets a session whose link is gone. */
  public void disconnect(Peer peer) {
    partings.remove(peer);
    if (!peer.closed) {
      peer.closed = true;
      peers.remove(peer.link);
      waiting.forget(peer);
      comparisons.forget(peer.link);
      forks.forget(peer.link);
      snapshots.forget(peer);
      compaction.forget(peer);
      gossip.down(peer);
    }
  }

  public void receive(Peer peer, SyncMessage message) {
    if (broken == null && partings.containsKey(peer)) {
      part(peer, message);
      return;
    }
    if (peer.closed || broken != null) {
      return;
    }
    if (message instanceof SyncMessage.Origins(var actors) && peer.session.isGreeted()) {
      peer.learn(replica.identity().database(), actors);
      release();
      return;
    }
    if (message instanceof SyncMessage.Trace trace && peer.session.isGreeted()) {
      SyncMessage reply = forks.onTrace(trace);
      if (reply != null && mayPublish()) {
        answer(peer, reply);
      }
      return;
    }
    if (message instanceof SyncMessage.Offshoot offshoot && peer.session.isGreeted()) {
      Fork fork = forks.onOffshoot(offshoot);
      if (fork != null) {
        events.accept("a device wrote twice under actor " + fork.actor());
        grow(List.of(fork));
      }
      return;
    }
    if (message instanceof SyncMessage.Ranges(var ranges) && peer.session.isGreeted()) {
      comparisons.receive(peer.link, ranges);
      return;
    }
    if (message instanceof SyncMessage.Gossip gossiped && peer.session.isGreeted()) {
      if (mayPublish()) {
        guarded(() -> gossip.receive(peer, gossiped));
      }
      return;
    }
    if (message instanceof SyncMessage.StandsOf(var stands) && peer.session.isGreeted()) {
      guarded(() -> compaction.receive(peer, stands));
      return;
    }
    if (message instanceof SyncMessage.Snapshots(var part) && peer.session.isGreeted()) {
      onSnapshot(peer, part);
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
    noteStand(peer, message, step.heads());
    if (step.heads() != null) {
      commit();
      compareOwn(step.heads());
      for (SyncMessage.Trace trace : forks.onHeads(peer.link, step.heads(), ticks)) {
        answer(peer, trace);
      }
      // A replica of some documents has no snapshot to give to one that holds others.
      boolean covers = replica.identity().scope().covers(peer.session.peerScope());
      if (peer.session.needsSnapshot() && covers && mayPublish()) {
        syncWhatIsSaid();
        guarded(() -> snapshots.offer(peer));
      }
    }
    boolean fresh = integrate(peer, step.apply());
    gossip.delivered(peer, step.apply(), fresh);
    if (step.diverged()) {
      diverged(peer);
    }
    // An acknowledgement is due, though nothing new came.
    peer.staged |= peer.session.isCompleted();
    if (step.send().stream().anyMatch(ReplicaEngine::tellsFrontier)) {
      commit();
      syncWhatIsSaid();
    }
    if (!step.send().isEmpty() && mayPublish()) {
      for (SyncMessage reply : step.send()) {
        if (tellsFrontier(reply)) {
          tellOrigins(peer);
        }
        answer(peer, reply);
      }
    }
  }

  private void noteStand(Peer peer, SyncMessage message, @Nullable Frontier told) {
    if (replica.isBehind()) {
      boolean equal = message instanceof SyncMessage.Hello && peer.session.isReady();
      peer.stands = equal ? replica.view().frontier() : told != null ? told : peer.stands;
    }
  }

  /** Ends being behind if we have by now all that some peer said to have. */
  private void catchUp() {
    if (!replica.isBehind() || replica.hasStaged()) {
      return;
    }
    guarded(
        () -> {
          for (Peer peer : peers.values()) {
            Frontier stands = peer.stands;
            if (replica.isBehind() && stands != null && replica.catchUp(stands)) {
              events.accept("caught up with a peer after an earlier state was put back");
            }
          }
        });
  }

  private void onSnapshot(Peer peer, SnapshotMessage message) {
    commit();
    guarded(
        () -> {
          String broken = snapshots.receive(peer, message, peers.size());
          if (broken != null) {
            close(peer, "a snapshot that cannot be: " + broken);
          }
        });
  }

  /** Does something that may find the disk full, which ends nothing, or broken. */
  private void guarded(Runnable work) {
    if (broken != null) {
      return;
    }
    try {
      work.run();
    } catch (StorageException.Full e) {
      events.accept("the disk is full: " + e.getMessage());
      diskFull = true;
    } catch (StorageException e) {
      fail(e);
    }
  }

  /** As {@link #guarded}, for work that says whether there is more of it. */
  private boolean step(BooleanSupplier work) {
    var more = new boolean[1];
    guarded(() -> more[0] = work.getAsBoolean());
    return more[0];
  }

  /** How long this replica remembers; {@link CompactionSettings#DEFAULT} unless told. */
  public void remember(CompactionSettings settings) {
    compaction.configure(settings);
  }

  /** Takes off the log at once what can be taken off; {@code done} is told when that is done. */
  public void compactNow(Runnable done) {
    if (broken != null) {
      throw broken;
    }
    compaction.begin(done);
  }

  /** Where the log begins, how far it could, and who holds that back. */
  public CompactionStatus compaction() {
    return compaction.status();
  }

  /** Goes on with a snapshot that is all here; whether there is more to do at once. */
  private boolean workOnSnapshot() {
    var progress = new SnapshotTransfers.Progress[] {SnapshotTransfers.Progress.NOTHING_TO_DO};
    if (!diskFull) {
      guarded(() -> progress[0] = snapshots.step());
    }
    if (progress[0] == SnapshotTransfers.Progress.JOINED) {
      unsyncedBytes = Math.max(unsyncedBytes, 1);
      release();
      commit();
      tellListeners(replica.view().arrivals());
      syncWhatIsSaid();
      if (mayPublish()) {
        for (Peer peer : List.copyOf(peers.values())) {
          if (peer.session.isGreeted()) {
            answer(peer, new SyncMessage.Heads(true, replica.view().frontier()));
          }
        }
      }
    }
    return progress[0] != SnapshotTransfers.Progress.NOTHING_TO_DO;
  }

  private static boolean tellsFrontier(SyncMessage message) {
    return message instanceof SyncMessage.Heads || message instanceof SyncMessage.Frontiers;
  }

  /** What we tell a peer that we have, it may count on: also after our power is lost. */
  private void syncWhatIsSaid() {
    if (broken == null && unsyncedBytes > 0) {
      syncAndAcknowledge();
    }
  }

  /** Tells whose the actors are of which nothing counts: changes the peer lacks may need it. */
  private void tellOrigins(Peer peer) {
    List<Genesis> ended = replica.endedActors();
    if (!ended.isEmpty()) {
      answer(
          peer,
          new SyncMessage.Origins(
              ended.subList(0, Math.min(ended.size(), SyncMessage.MAX_ORIGINS))));
    }
  }

  /** Finds out from what peers said whose an unknown actor is; true when it need not be awaited. */
  private boolean learn(ActorId actor) {
    for (Peer peer : peers.values()) {
      Genesis origin = peer.origins.get(actor);
      if (origin != null && replica.stageOrigin(origin)) {
        return true;
      }
    }
    return false;
  }

  /**
   * Makes the anchor say what we are about to show; false when it could not and everything stopped.
   * Before each message that holds our frontier or changes.
   */
  private boolean mayPublish() {
    settle();
    if (broken == null) {
      try {
        replica.anchorOwn();
      } catch (StorageException e) {
        fail(e);
      }
    }
    return broken == null;
  }

  private void compareOwn(Frontier claimed) {
    if (mayBelieve() && replica.compareOwn(claimed)) {
      nextClaimTick = ticks + TICKS_BETWEEN_CLAIMS;
      events.accept("a peer knows more of our actor than we do: going on under a new one");
    }
  }

  /** Whether a claim without proof may cost us the actor now. */
  private boolean mayBelieve() {
    return ticks >= nextClaimTick;
  }

  /** Stages what a peer sent; returns whether any of it was not known before. */
  private boolean integrate(Peer peer, List<ChangeRun> runs) {
    boolean complete = true;
    boolean progress = false;
    boolean fresh = false;
    for (ChangeRun run : runs) {
      peer.staged = true;
      RunOutcome outcome = stage(run, peer);
      boolean known = outcome instanceof RunOutcome.Known;
      boolean applied = outcome instanceof RunOutcome.Applied;
      fresh |= !known;
      progress |= applied;
      complete &= applied || known;
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
    return fresh;
  }

  private RunOutcome stage(ChangeRun run, Object sender) {
    RunOutcome outcome = replica.stage(run);
    while (outcome instanceof RunOutcome.Waiting(var actor, var seq) && learn(actor)) {
      outcome = replica.stage(run);
    }
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
          case RunOutcome.Waiting(var actor, var seq) -> {
            waiting.keep(held);
            progress |= learn(actor);
          }
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
    if (beside.isPending() && maySyncBeside() && waiters.size() < helpers.minSynced()) {
      hear();
      return false; // The end of the sync calls again.
    }
    commitStaged();
    hear();
    if (beside.isPending()) {
      return false;
    }
    catchUp();
    boolean more = workOnSnapshot();
    // What is written while a snapshot is joined depends on what nobody can be sent yet.
    more |= !peers.isEmpty() && !replica.isJoining() && mayPublish() && pump();
    more |= broken == null && comparisons.work();
    if (broken == null && (unsyncedBytes >= SYNC_BYTES || (idle && unsyncedBytes > 0))) {
      syncAndAcknowledge();
    }
    if (idle && !diskFull && !replica.hasStaged()) {
      more |= step(compaction::step);
      more |= quiet && step(replica::cutBucket);
    }
    if (broken == null && unsyncedBytes == 0) {
      gossip.announce();
    }
    for (Peer peer : peers.values()) {
      peer.link.flush();
      peer.link.reached(peer.session.reached(), peer.session.peerScope().isAll());
    }
    return more;
  }

  private boolean pump() {
    boolean more = false;
    for (Peer peer : List.copyOf(peers.values())) {
      sendOwed(peer);
      if (peer.owes()) {
        continue;
      }
      int sent = 0;
      SyncMessage.Changes message;
      while (sent < MESSAGES_PER_TURN
          && peer.link.isWritable()
          && (message = peer.session.pull(replica.view(), replica.log(), gossip.pushesTo(peer)))
              != null) {
        boolean goesHome = goesHome(peer, message);
        if (goesHome && !sync()) {
          return false;
        }
        peer.link.send(message);
        if (goesHome) {
          acknowledge(); // Not before: there was room for one message.
        }
        sent++;
      }
      if (sent > 0) {
        peer.link.flush();
      }
      more |= sent == MESSAGES_PER_TURN;
    }
    return more;
  }

  /**
   * Whether a peer is sent what its own device wrote: it counts on us to keep that from then on.
   */
  private boolean goesHome(Peer peer, SyncMessage.Changes changes) {
    byte[] device = peer.link.deviceKey();
    if (device == null || unsyncedBytes == 0) {
      return false;
    }
    for (ChangeRun run : changes.runs()) {
      Genesis genesis = replica.genesis(run.actor());
      if (genesis != null && Arrays.equals(genesis.deviceKey(), device)) {
        return true;
      }
    }
    return false;
  }

  private void syncAndAcknowledge() {
    if (sync()) {
      acknowledge();
    }
  }

  /** Makes what peers sent survive power loss; false when it failed and everything stopped. */
  private boolean sync() {
    try {
      replica.sync();
    } catch (StorageException e) {
      fail(e);
      return false;
    }
    unsyncedBytes = 0;
    return true;
  }

  private void acknowledge() {
    for (Peer peer : peers.values()) {
      SyncMessage ack = peer.session.onDurable();
      if (ack != null) {
        answer(peer, ack);
      }
    }
  }

  /**
   * Commits what is staged, so that it can be read here. Whoever acknowledges writes or shows
   * something to others does so after {@link #commit}.
   */
  void commitStaged() {
    if (replica.hasStaged()) {
      crowd = Math.max(waiters.size(), crowd / 2);
    }
    if (!maySyncBeside()
        || !replica.hasStaged()
        || (crowd < helpers.minSynced() && !beside.isPending())) {
      commit();
      return;
    }
    List<Waiter> done = waiters;
    waiters = new ArrayList<>(done.size());
    Runnable onDisk;
    try {
      onDisk = replica.commitUnsynced();
    } catch (RuntimeException e) {
      notWritten(done, e);
      return;
    }
    quiet = false;
    beside.add(
        new SyncBeside.Written(
            onDisk, replica.view().arrivals(), failure -> acknowledge(done, failure)));
  }

  /**
   * Whether what is staged may be synced beside the loop. With a session it may not: what others
   * are told of must be on disk.
   */
  private boolean maySyncBeside() {
    return broken == null
        && stagedBytes == 0
        && peers.isEmpty()
        && partings.isEmpty()
        && !replica.isJoining()
        && !replica.isBehind()
        && (!replica.hasStaged() || replica.maySyncLater());
  }

  /** Waits for those commits: whatever was committed is on disk then, or everything stopped. */
  private void settle() {
    beside.settle();
    hear();
  }

  /** Takes note of what was synced beside the loop. */
  private void hear() {
    if (broken != null) {
      return;
    }
    RuntimeException failure = beside.failure();
    if (failure != null) {
      fail(failure);
    } else if (beside.arrivals() > followable) {
      tellListeners(beside.arrivals());
    }
  }

  private void tellListeners(long arrivals) {
    followable = arrivals;
    List.copyOf(listeners).forEach(Runnable::run);
  }

  /** Commits what is staged; it and everything before it is acknowledged then. */
  private void commit() {
    settle();
    if (broken != null || !replica.hasStaged()) {
      acknowledgeRepeats();
      return;
    }
    List<Waiter> done = waiters;
    waiters = new ArrayList<>(done.size());
    try {
      replica.commit();
    } catch (RuntimeException e) {
      notWritten(done, e);
      return;
    }
    quiet = false;
    unsyncedBytes += stagedBytes;
    stagedBytes = 0;
    acknowledgeRepeats();
    followable = replica.view().arrivals(); // Who is told of a write finds it.
    acknowledge(done, null);
    tellListeners(followable);
  }

  private void notWritten(List<Waiter> waiters, RuntimeException cause) {
    waiters.forEach(waiter -> waiter.callback.done(null, cause));
    if (cause instanceof StorageException.Full noRoom) {
      full = noRoom;
      dropContributors();
    } else {
      fail(cause);
    }
  }

  private void acknowledge(List<Waiter> done, @Nullable RuntimeException failure) {
    Runnable told =
        () ->
            done.forEach(
                waiter -> waiter.callback.done(failure == null ? waiter.receipt : null, failure));
    if (done.size() < MANY_WAITERS) {
      told.run();
    } else {
      helpers.acknowledging().execute(told);
    }
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
    settle();
    if (broken != null) {
      return;
    }
    ticks++;
    for (Map.Entry<Peer, Long> parting : List.copyOf(partings.entrySet())) {
      if (ticks - parting.getValue() >= PARTING_TICKS) {
        partings.remove(parting.getKey());
        parting.getKey().link.dismiss();
      }
    }
    release();
    expire();
    adoptOwn();
    if (ticks % TICKS_BETWEEN_KEEPS == 1) {
      keepWhatIsGone();
    }
    if (!peers.isEmpty() && !mayPublish()) {
      return;
    }
    for (Peer peer : List.copyOf(peers.values())) {
      SyncSession.Step step = peer.session.onTick(now(), replica.view());
      if (!step.send().isEmpty()) {
        syncWhatIsSaid();
        if (broken != null) {
          return;
        }
      }
      step.send().forEach(message -> answer(peer, message));
    }
    comparisons.tick();
    diskFull = false;
    guarded(() -> snapshots.tick(peers.size()));
    commit();
    long arrivals = replica.view().arrivals();
    quiet = arrivals == lastArrivals;
    lastArrivals = arrivals;
    if (!quiet && !replica.hasStaged()) {
      // Some progress, whatever else goes on.
      guarded(replica::cutBucket);
    }
    if (peers.isEmpty() || mayPublish()) {
      guarded(() -> compaction.tick(List.copyOf(peers.values()), unsyncedBytes == 0));
    }
    gossip.tick(List.copyOf(peers.values()), unsyncedBytes == 0 && stagedBytes == 0);
  }

  /**
   * Finds the documents of a range in which this replica and a peer differ, whatever their
   * frontiers say; what is written meanwhile is not looked at.
   *
   * @param exact whether both sides first add up all their documents once more, a part in each
   *     {@link #turn}; otherwise what is stored of their sums is believed
   * @param maxDifferences no more are looked for than this
   * @param callback told the outcome, once, at once when the peer is gone
   */
  public void compare(
      Peer peer, KeyRange range, boolean exact, int maxDifferences, Consumer<Comparison> callback) {
    commit();
    if (broken != null || peer.closed || !peer.session.isGreeted()) {
      callback.accept(new Comparison.Failed("there is no session with the peer"));
    } else {
      comparisons.begin(peer.link, range, exact, maxDifferences, callback);
    }
  }

  /** The documents that both this replica and a peer hold, as ranges. */
  public List<KeyRange> common(Peer peer) {
    return replica.identity().scope().common(peer.session.peerScope());
  }

  private long now() {
    return environment.wallClock().millis();
  }

  /**
   * Lets a view of neighbours decide which sessions there are; without one there is a session with
   * whoever is connected. Call it before the first session.
   */
  public void govern(Neighbourhood connections) {
    gossip.govern(PeerId.of(replica.identity().signer().publicKey()), connections);
  }

  /** Every session pushes everything, whatever comes twice by it; to measure what a tree saves. */
  public void pushToAll() {
    gossip.pushToAll();
  }

  /** The devices the view of neighbours holds; none without one. */
  public List<PeerId> neighbours() {
    return gossip.neighbours();
  }

  /** Tells the view of neighbours of a device that might be reached. */
  public void learn(Contact contact) {
    gossip.learn(contact);
  }

  /** Leaves a device alone until it is learned of again. */
  public void shun(PeerId peer) {
    gossip.shun(peer);
  }

  /** A connection that the view of neighbours asked for could not be made. */
  public void unreachable(PeerId peer) {
    gossip.unreachable(peer);
  }

  /** Asks every peer that is ready to compare frontiers now. */
  public void probe() {
    syncWhatIsSaid();
    if (!mayPublish()) {
      return;
    }
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

  /** How long the oldest of them has waited, in ticks, about seconds; 0 when none waits. */
  public long pendingTicks() {
    return waiting.oldestTicks(ticks);
  }

  public Counters counters() {
    return new Counters(localChanges, foreignChanges, knownRuns, divergences, Map.copyOf(rejected));
  }

  /** Snapshots given and taken since the start. */
  public SnapshotCounters snapshots() {
    return snapshots.counters();
  }

  /**
   * Commits what is staged and closes what this engine holds open of the storage; nothing may be
   * called after it.
   */
  public void close() {
    commit();
    snapshots.close();
  }

  /** What stopped this engine for good, or null. */
  public @Nullable RuntimeException broken() {
    return broken;
  }
}
