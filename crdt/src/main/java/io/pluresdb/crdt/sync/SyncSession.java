package io.pluresdb.crdt.sync;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.reconcile.FrontierExchange;
import io.pluresdb.crdt.reconcile.FrontierMessage;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.store.ChangeLog;
import io.pluresdb.crdt.store.Replica.View;
import io.pluresdb.crdt.sync.SyncMessage.Ack;
import io.pluresdb.crdt.sync.SyncMessage.Announce;
import io.pluresdb.crdt.sync.SyncMessage.Changes;
import io.pluresdb.crdt.sync.SyncMessage.Frontiers;
import io.pluresdb.crdt.sync.SyncMessage.Gossip;
import io.pluresdb.crdt.sync.SyncMessage.Heads;
import io.pluresdb.crdt.sync.SyncMessage.Hello;
import io.pluresdb.crdt.sync.SyncMessage.Members;
import io.pluresdb.crdt.sync.SyncMessage.Probe;
import io.pluresdb.crdt.sync.SyncMessage.Ranges;
import io.pluresdb.crdt.sync.SyncMessage.Snapshots;
import io.pluresdb.crdt.sync.SyncMessage.StandsOf;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.BiFunction;
import org.jspecify.annotations.Nullable;

/**
 * Anti-entropy with one peer: a state machine without sockets, clock or threads.
 *
 * <p>Both sides open with {@link Hello}. Where the hashes agree nothing is missing. Where they do
 * not, both send their frontier (of many actors: what differs in it), and each becomes a cursor
 * into the other's arrival log: it starts at the first arrival the peer lacks and skips what the
 * peer has. What arrives later is reached by the same cursor, so catching up and live push are one
 * mechanism, and a slow peer costs no memory.
 *
 * <p>Messages may be lost or repeated when whoever carries them is faulty: {@link Probe} finds and
 * repairs it.
 */
public final class SyncSession {
  /** Most bytes of changes one peer may send before we acknowledge. */
  public static final int WINDOW_BYTES = 8 << 20;

  /** Least of it, however many peers there are: one message must fit. */
  public static final int MIN_WINDOW_BYTES = 1 << 20;

  private static final int TOLERATED_WINDOWS = 3;

  /** A message of changes ends before it exceeds this, unless a single stretch does. */
  public static final int TARGET_BYTES = 512 << 10;

  /** A quiet session compares frontiers this often. */
  public static final long PROBE_MILLIS = 30_000;

  /** Why the peer must go; the session is over. */
  public enum Violation {
    NOT_HELLO_FIRST,
    WRONG_VERSION,
    WRONG_DATABASE,
    WINDOW_EXCEEDED,
    BAD_ACK
  }

  /**
   * What the caller is to do, in this order.
   *
   * @param violation close the session, if not null
   * @param members stage these
   * @param heads compare our own actor with these, if not null
   * @param apply stage these runs
   * @param send send these
   * @param diverged both have the same operations and not the same documents: somebody's storage or
   *     software is at fault
   */
  public record Step(
      @Nullable Violation violation,
      List<MembershipEntry> members,
      @Nullable Frontier heads,
      List<ChangeRun> apply,
      List<SyncMessage> send,
      boolean diverged) {
    static Step sending(SyncMessage... messages) {
      return sending(List.of(messages), false);
    }

    static Step sending(List<SyncMessage> messages, boolean diverged) {
      return new Step(null, List.of(), null, List.of(), messages, diverged);
    }

    static Step violation(Violation violation) {
      return new Step(violation, List.of(), null, List.of(), List.of(), false);
    }
  }

  private final Frontier helloFrontier;
  private final Hello hello;
  private final long helloArrivals;

  private KeyScope peerScope = KeyScope.ALL;

  // Actors of which this replica lacks a body that the peer lacks too.
  private final Set<ActorId> unserved = new HashSet<>();

  private boolean greeted;
  private boolean ready;

  /** Whether the peer lacks what is not in our log. */
  private boolean needsSnapshot;

  private @Nullable FrontierExchange exchange;
  private Map<ActorId, Long> peerKnown = new HashMap<>();
  private long cursor;
  private long sentCursor;
  private long greatestSentCursor;
  private long ackedCursor;
  private long window;
  private long credit;
  private long received;
  private long receivedCursor;

  /**
   * The first arrival that counts again and that no frontier of the peer has shown to be there
   * since: what it acknowledged before may have left it out as void.
   */
  private long doubtFrom = Long.MAX_VALUE;

  /** The cursor of the last message before one that is not wholly here yet; negative for none. */
  private long completeCursor = -1;

  private long beforeLastCursor;
  private boolean completed;
  private long lastProbeMillis;
  private Hash toldMembers = Hash.ZERO;
  private final Set<MembershipEntry> listed = new HashSet<>();

  // What the comparison of frontiers found is pushed whatever the link is.
  private long pushUntil;

  // What the peer announced and is not here; until it is, no more than `confirmable` is confirmed.
  private final TreeMap<ActorId, Long> announced = new TreeMap<>();
  private boolean announcedTooMuch;
  private long confirmable;
  private long confirmed;

  /** Starts a session with the largest window; send {@link #hello} first. */
  public SyncSession(Hash database, View view, byte[] nonce, long nowMillis) {
    this(database, KeyScope.ALL, view, nonce, nowMillis, WINDOW_BYTES);
  }

  /**
   * Starts a session; send {@link #hello} first.
   *
   * @param scope the documents this replica holds
   * @param nonce fresh and random, {@link SyncMessage#NONCE_BYTES}
   * @param windowBytes what the peer may send before we acknowledge, {@link #MIN_WINDOW_BYTES} to
   *     {@link #WINDOW_BYTES}
   */
  public SyncSession(
      Hash database, KeyScope scope, View view, byte[] nonce, long nowMillis, int windowBytes) {
    if (windowBytes < MIN_WINDOW_BYTES || windowBytes > WINDOW_BYTES) {
      throw new IllegalArgumentException(
          "window must be " + MIN_WINDOW_BYTES + " to " + WINDOW_BYTES + ", but is " + windowBytes);
    }
    helloFrontier = view.frontier();
    helloArrivals = view.arrivals();
    hello =
        new Hello(
            SyncMessage.VERSION,
            database,
            view.frontier().hash(),
            view.membership().hash(),
            view.stateHash(),
            nonce,
            view.frontier().heads().size(),
            windowBytes,
            scope);
    lastProbeMillis = nowMillis;
  }

  /** A peer that sends more than this without waiting for an acknowledgement must go. */
  public long maxUnacknowledgedBytes() {
    return (long) TOLERATED_WINDOWS * hello.windowBytes() + SyncMessage.MAX_BYTES;
  }

  /** The documents the peer holds; all before its {@link Hello} has come. */
  public KeyScope peerScope() {
    return peerScope;
  }

  /** Whether the peer's {@link Hello} has come. */
  public boolean isGreeted() {
    return greeted;
  }

  public Hello hello() {
    return hello;
  }

  /** Whether both sides know where the other stands. */
  public boolean isReady() {
    return ready;
  }

  /**
   * Whether the peer lacks what is not in our log any more; until it has a snapshot, and has told
   * its frontier again, nothing is sent to it.
   */
  public boolean needsSnapshot() {
    return needsSnapshot;
  }

  /** The place in our arrival log up to which the peer has everything on its disk. */
  public long reached() {
    long acknowledged = ackedCursor >= sentCursor ? cursor : Math.min(ackedCursor, cursor);
    return Math.max(0, Math.min(acknowledged, doubtFrom - 1));
  }

  /**
   * Changes from an arrival on, which were void, count again: the peer is not known to have them
   * before its frontier says so, whatever it acknowledged.
   */
  public void countsAgain(long arrival) {
    doubtFrom = Math.min(doubtFrom, arrival);
  }

  public Step onMessage(SyncMessage message, View view, ChangeLog log) {
    if (!greeted && !(message instanceof Hello)) {
      return Step.violation(Violation.NOT_HELLO_FIRST);
    }
    return switch (message) {
      case Hello peer -> onHello(peer, view);
      case Members members -> onMembers(members, view);
      case SyncMessage.Origins origins -> Step.sending();
      // Whoever owns the session looks for forks.
      case SyncMessage.Trace trace -> Step.sending();
      case SyncMessage.Offshoot offshoot -> Step.sending();
      case Heads(var wantReply, var frontier) ->
          standsAt(
              frontier,
              wantReply ? List.of(new Heads(false, view.frontier())) : List.of(),
              view,
              log);
      case Frontiers(var part) -> onFrontiers(part, view, log);
      case Changes changes -> onChanges(changes);
      case Ack(var bytes, var upTo) -> onAck(bytes, upTo);
      case Probe probe -> onProbe(probe, view);
      // Comparing documents is no part of getting equal: whoever owns the session does it.
      case Ranges ranges -> Step.sending();
      case Snapshots snapshots -> Step.sending();
      case StandsOf stands -> Step.sending();
      // For whoever drives the sessions of all peers.
      case Gossip gossip -> Step.sending();
    };
  }

  private Step onHello(Hello peer, View view) {
    if (greeted) {
      return Step.sending();
    }
    if (peer.version() != SyncMessage.VERSION) {
      return Step.violation(Violation.WRONG_VERSION);
    }
    if (!peer.database().equals(hello.database())) {
      return Step.violation(Violation.WRONG_DATABASE);
    }
    greeted = true;
    peerScope = peer.scope();
    window = peer.windowBytes();
    credit = window;
    int nonces = Arrays.compareUnsigned(hello.nonce(), peer.nonce());
    int actors = Math.max(hello.actors(), peer.actors());
    if (actors > FrontierExchange.WHOLE_ACTORS && nonces != 0) {
      exchange = new FrontierExchange(hello.nonce(), peer.nonce(), actors);
    }
    var send = new ArrayList<SyncMessage>();
    if (!peer.membersHash().equals(hello.membersHash())) {
      send.addAll(allMembers(view));
    }
    // Both sides compare the same two hashes, so both reach the same verdict whatever happened
    // since they were sent.
    if (peer.frontierHash().equals(hello.frontierHash())) {
      knows(helloFrontier);
      cursor = helloArrivals;
      ready = true;
      return Step.sending(send, differs(peer.stateHash(), hello.stateHash()));
    }
    if (exchange == null) {
      send.add(new Heads(false, view.frontier()));
    } else if (nonces < 0) {
      send.add(new Frontiers(exchange.begin(view.frontier())));
    }
    return Step.sending(send, false);
  }

  private Step onProbe(Probe peer, View view) {
    var send = new ArrayList<SyncMessage>();
    if (!peer.membersHash().equals(view.membership().hash())) {
      send.addAll(allMembers(view));
    }
    boolean same = peer.frontierHash().equals(view.frontier().hash());
    // One that lacked what is in no log may have it from elsewhere by now.
    if (!same || needsSnapshot) {
      send.add(
          exchange == null
              ? new Heads(true, view.frontier())
              : new Frontiers(exchange.begin(view.frontier())));
    }
    if (same) {
      complete();
      doubtFrom = Long.MAX_VALUE;
    }
    return Step.sending(send, same && differs(peer.stateHash(), view.stateHash()));
  }

  /** Whether documents differ that should not: replicas of other documents have other sums. */
  private boolean differs(Hash theirs, Hash ours) {
    return !theirs.equals(ours) && peerScope.equals(hello.scope());
  }

  private Step onFrontiers(FrontierMessage part, View view, ChangeLog log) {
    if (exchange == null) {
      // It takes this many actors there; we answer with what both understand.
      return Step.sending(new Heads(true, view.frontier()));
    }
    return switch (exchange.onMessage(part, view.frontier())) {
      case FrontierExchange.Reply(var message) -> Step.sending(new Frontiers(message));
      case FrontierExchange.Known(var frontier, var message) ->
          standsAt(
              frontier, message == null ? List.of() : List.of(new Frontiers(message)), view, log);
      case FrontierExchange.SendWhole whole -> Step.sending(new Heads(true, view.frontier()));
      case FrontierExchange.Nothing nothing -> Step.sending();
    };
  }

  private List<Members> allMembers(View view) {
    toldMembers = view.membership().hash();
    return Members.whole(view.membership());
  }

  private Step onMembers(Members members, View view) {
    var send = new ArrayList<SyncMessage>();
    if (members.part() != Members.Part.NEWS && listed.size() < Membership.MAX_ENTRIES) {
      listed.addAll(members.entries());
    }
    if (members.part() == Members.Part.LAST) {
      if (!toldMembers.equals(view.membership().hash())) {
        send.addAll(
            Members.news(
                view.membership().entries().stream().filter(e -> !listed.contains(e)).toList()));
      }
      listed.clear();
    }
    return new Step(null, members.entries(), null, List.of(), send, false);
  }

  /** The peer has told its frontier: everything behind it is sent from now on. */
  private Step standsAt(Frontier peer, List<SyncMessage> send, View view, ChangeLog log) {
    if (covers(view.frontier(), peer)) {
      complete();
    }
    knows(peer);
    needsSnapshot = !log.floor().isReachedBy(peer::seq);
    long first = needsSnapshot ? 1 : firstMissing(peer, view, log);
    if (first > doubtFrom) {
      doubtFrom = Long.MAX_VALUE;
    }
    cursor = first - 1;
    pushUntil = view.arrivals();
    announcedTooMuch = false;
    unserved.clear();
    // Whatever was under way is either in the peer's frontier or will be sent again.
    credit = window;
    sentCursor = cursor;
    ackedCursor = cursor;
    ready = true;
    return new Step(null, List.of(), peer, List.of(), send, false);
  }

  /** The first arrival that the peer lacks, or the one after the last. */
  private static long firstMissing(Frontier peer, View view, ChangeLog log) {
    long first = view.arrivals() + 1;
    for (Map.Entry<ActorId, Head> entry : view.frontier().heads().entrySet()) {
      long has = peer.seq(entry.getKey());
      if (has < entry.getValue().seq()) {
        first = Math.min(first, log.arrivalOf(entry.getKey(), has + 1));
      }
    }
    return first;
  }

  private static boolean covers(Frontier ours, Frontier theirs) {
    for (Map.Entry<ActorId, Head> entry : theirs.heads().entrySet()) {
      Head own = ours.heads().get(entry.getKey());
      Head head = entry.getValue();
      if (own == null
          || own.seq() < head.seq()
          || (own.seq() == head.seq() && !own.hash().equals(head.hash()))) {
        return false;
      }
    }
    return true;
  }

  private void knows(Frontier frontier) {
    peerKnown = new HashMap<>();
    frontier.heads().forEach((actor, head) -> peerKnown.put(actor, head.seq()));
  }

  private Step onChanges(Changes changes) {
    received += changes.bytes();
    if (received > maxUnacknowledgedBytes()) {
      return Step.violation(Violation.WINDOW_EXCEEDED);
    }
    beforeLastCursor = receivedCursor;
    receivedCursor = Math.max(receivedCursor, changes.cursor());
    for (ChangeRun run : changes.runs()) {
      peerKnown.merge(run.actor(), run.toSeq(), Math::max);
    }
    return new Step(null, List.of(), null, changes.runs(), List.of(), false);
  }

  private Step onAck(long bytes, long upTo) {
    if (upTo > greatestSentCursor) {
      return Step.violation(Violation.BAD_ACK);
    }
    // Credit may be below zero by the last message, which can be longer than the window.
    credit = bytes >= window - credit ? window : credit + bytes;
    ackedCursor = Math.max(ackedCursor, upTo);
    return Step.sending();
  }

  /** The next changes for the peer, or null when there are none or the peer gave no credit. */
  public @Nullable Changes pull(View view, ChangeLog log) {
    return pull(view, log, true);
  }

  /**
   * The next changes for the peer, or null when there are none or the peer gave no credit.
   *
   * @param eager false when the peer gets new changes from somebody else and is only told of them
   *     by {@link #announce}; what the last comparison of frontiers found is pushed all the same
   */
  public @Nullable Changes pull(View view, ChangeLog log, boolean eager) {
    // A replica of some documents cannot serve all that it knows of, so it announces nothing.
    boolean pushesAll = eager || !hello.scope().isAll();
    long end = pushesAll ? view.arrivals() : Math.min(pushUntil, view.arrivals());
    if (!ready || needsSnapshot || credit <= 0 || cursor >= end) {
      return null;
    }
    if (cursor < log.floor().arrivals()
        && !log.floor().isReachedBy(actor -> peerKnown.getOrDefault(actor, 0L))) {
      // The log was cut in front of a slow peer: where it stands now shows what it needs.
      needsSnapshot = true;
      lastProbeMillis = Long.MIN_VALUE;
      return null;
    }
    long before = cursor;
    while (cursor < end) {
      ChangeLog.Batch batch =
          log.read(cursor, end, actor -> peerKnown.getOrDefault(actor, 0L), TARGET_BYTES);
      cursor = batch.cursor();
      List<ChangeRun> runs = forPeer(batch.runs());
      if (!runs.isEmpty()) {
        sentCursor = cursor;
        greatestSentCursor = Math.max(greatestSentCursor, cursor);
        var changes = new Changes(cursor, runs);
        credit -= changes.bytes();
        for (ChangeRun run : runs) {
          peerKnown.merge(run.actor(), run.toSeq(), Math::max);
        }
        return changes;
      }
      if (batch.cursor() == before) {
        return null;
      }
      before = cursor;
    }
    return null;
  }

  /** Whether something is new here that the peer has neither been sent nor told of. */
  public boolean hasNews(View view) {
    return ready
        && !needsSnapshot
        && hello.scope().isAll()
        && cursor < view.arrivals()
        && cursor >= pushUntil;
  }

  /** Without the bodies the peer does not want, and without the runs that lack one it does. */
  private List<ChangeRun> forPeer(List<ChangeRun> runs) {
    if (hello.scope().isAll() && peerScope.isAll()) {
      return runs;
    }
    boolean lacksNone = hello.scope().covers(peerScope);
    var served = new ArrayList<ChangeRun>(runs.size());
    for (ChangeRun run : runs) {
      boolean omits = run.changes().stream().anyMatch(change -> change.omitted() != null);
      if (unserved.contains(run.actor()) || (omits && !lacksNone)) {
        // What follows it is of no use to the peer either.
        unserved.add(run.actor());
      } else {
        served.add(forPeer(run));
      }
    }
    return served;
  }

  private ChangeRun forPeer(ChangeRun run) {
    if (peerScope.isAll()) {
      return run;
    }
    List<Change> changes =
        run.changes().stream()
            .map(change -> touchesScope(run.actor(), change) ? change : change.withoutBody())
            .toList();
    return new ChangeRun(run.actor(), run.fromSeq(), run.genesis(), changes, run.signature());
  }

  private boolean touchesScope(ActorId author, Change change) {
    return change.omitted() == null
        && ChangeBody.decode(author, change.body()).stream()
            .anyMatch(edit -> peerScope.contains(edit.id()));
  }

  /**
   * Something of the last message could not be applied: it waits, or was thrown away. No
   * acknowledgement covers it until a comparison of frontiers shows that it is here.
   */
  public void incomplete() {
    holdBack(beforeLastCursor);
  }

  private void holdBack(long cursor) {
    completeCursor = completeCursor < 0 ? cursor : Math.min(completeCursor, cursor);
  }

  /** All that the peer had when it compared is here, so all that it sent before is. */
  private void complete() {
    // Of what was announced, the rest does not count any more.
    announced.clear();
    announcedTooMuch = false;
    if (completeCursor >= 0) {
      completeCursor = -1;
      completed = true;
    }
  }

  /** Whether an acknowledgement that was held back is due. */
  public boolean isCompleted() {
    return completed;
  }

  /**
   * Tells of everything that is new here since the last time, or null when nothing is. The peer has
   * to ask for what does not reach it. Call this only when all of {@code view} is on our disk.
   */
  public @Nullable Announce announce(View view) {
    if (!hasNews(view)) {
      return null;
    }
    var seqs = new TreeMap<ActorId, Long>();
    boolean all = true;
    for (Map.Entry<ActorId, Head> entry : view.frontier().heads().entrySet()) {
      long seq = entry.getValue().seq();
      if (peerKnown.getOrDefault(entry.getKey(), 0L) < seq) {
        if (seqs.size() == Announce.MAX_ACTORS) {
          all = false;
          break;
        }
        seqs.put(entry.getKey(), seq);
      }
    }
    peerKnown.putAll(seqs);
    if (all) {
      cursor = view.arrivals();
    }
    if (seqs.isEmpty()) {
      return null;
    }
    sentCursor = cursor;
    greatestSentCursor = Math.max(greatestSentCursor, cursor);
    return new Announce(cursor, seqs);
  }

  /**
   * Takes down what the peer has.
   *
   * @return what of it is missing here
   */
  public NavigableMap<ActorId, Long> onAnnounce(Announce announce, View view) {
    var missing = new TreeMap<ActorId, Long>();
    announce
        .seqs()
        .forEach(
            (actor, seq) -> {
              peerKnown.merge(actor, seq, Math::max);
              if (view.frontier().seq(actor) < seq) {
                missing.put(actor, seq);
              }
            });
    if (announced.isEmpty()) {
      confirmable = receivedCursor;
    }
    receivedCursor = Math.max(receivedCursor, announce.cursor());
    for (Map.Entry<ActorId, Long> entry : missing.entrySet()) {
      if (announced.size() < Announce.MAX_ACTORS || announced.containsKey(entry.getKey())) {
        announced.merge(entry.getKey(), entry.getValue(), Math::max);
      } else {
        announcedTooMuch = true;
      }
    }
    return missing;
  }

  /** The peer lacks what it was told of: goes back to it. {@code seqs} is how far the peer is. */
  public void onGraft(NavigableMap<ActorId, Long> seqs, View view, ChangeLog log) {
    if (!ready) {
      return;
    }
    seqs.forEach(
        (actor, has) -> {
          long arrival = has < view.frontier().seq(actor) ? log.arrivalOf(actor, has + 1) : 0;
          if (arrival > 0) {
            peerKnown.put(actor, has);
            cursor = Math.min(cursor, arrival - 1);
          }
        });
  }

  /** The peer gets everything from somebody else: what it lacks now is only announced, too. */
  public void onPrune() {
    pushUntil = 0;
  }

  /** What we received is on our disk: the acknowledgement to send, or null. */
  public @Nullable Ack onDurable() {
    if (received == 0 && !completed) {
      return null;
    }
    completed = false;
    confirmed = announced.isEmpty() && !announcedTooMuch ? receivedCursor : confirmable;
    if (completeCursor >= 0) {
      confirmed = Math.min(confirmed, completeCursor);
    }
    var ack = new Ack(received, confirmed);
    received = 0;
    return ack;
  }

  /**
   * Waits for no more of each actor's announced changes than may come, and takes the peer to have
   * no more than that: it may throw away what does not count, and lack it once it counts again. So
   * may we: what was announced and does not come is acknowledged only when frontiers were compared.
   */
  public void expectOnly(BiFunction<ActorId, Long, Long> countable) {
    for (Map.Entry<ActorId, Long> entry : announced.entrySet()) {
      if (countable.apply(entry.getKey(), entry.getValue()) < entry.getValue()) {
        holdBack(confirmable);
      }
    }
    announced.replaceAll(countable);
    peerKnown.replaceAll(countable);
  }

  /**
   * Acknowledges what was announced once all of it came from others, or null. Call it only when all
   * of {@code view} is on our disk.
   */
  public @Nullable Ack confirm(View view) {
    announced.entrySet().removeIf(entry -> view.frontier().seq(entry.getKey()) >= entry.getValue());
    boolean waits = !announced.isEmpty() || announcedTooMuch || completeCursor >= 0;
    if (waits || confirmed >= receivedCursor) {
      return null;
    }
    confirmed = receivedCursor;
    return new Ack(0, confirmed);
  }

  /** Asks the peer to compare frontiers now. */
  public Probe probe(View view) {
    return new Probe(view.frontier().hash(), view.membership().hash(), view.stateHash());
  }

  /**
   * Compares frontiers from time to time; call it about once a second.
   *
   * <p>Also when there is something to send and no credit for it, or the peer's frontier never
   * came: what should have given it may have been lost.
   */
  public Step onTick(long nowMillis, View view) {
    boolean canSend = ready && !needsSnapshot && credit > 0 && cursor < view.arrivals();
    long quietMillis = nowMillis - lastProbeMillis;
    // A clock that stepped back must not silence the probes until it is where it was.
    boolean due = quietMillis < 0 || quietMillis >= PROBE_MILLIS;
    if (canSend || received > 0 || !due) {
      return Step.sending();
    }
    lastProbeMillis = nowMillis;
    return Step.sending(greeted ? probe(view) : hello);
  }
}
