package io.pluresdb.crdt.sync;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.store.ChangeLog;
import io.pluresdb.crdt.store.Replica.View;
import io.pluresdb.crdt.sync.SyncMessage.Ack;
import io.pluresdb.crdt.sync.SyncMessage.Changes;
import io.pluresdb.crdt.sync.SyncMessage.Heads;
import io.pluresdb.crdt.sync.SyncMessage.Hello;
import io.pluresdb.crdt.sync.SyncMessage.Members;
import io.pluresdb.crdt.sync.SyncMessage.Probe;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Anti-entropy with one peer: a state machine without sockets, clock or threads.
 *
 * <p>Both sides open with {@link Hello}. Where the hashes agree nothing is missing. Where they do
 * not, both send their frontier, and each becomes a cursor into the other's arrival log: it starts
 * at the first arrival the peer lacks and skips what the peer has. What arrives later is reached by
 * the same cursor, so catching up and live push are one mechanism, and a slow peer costs no memory.
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
   */
  public record Step(
      @Nullable Violation violation,
      List<MembershipEntry> members,
      @Nullable Frontier heads,
      List<ChangeRun> apply,
      List<SyncMessage> send) {
    static Step sending(SyncMessage... messages) {
      return new Step(null, List.of(), null, List.of(), List.of(messages));
    }

    static Step violation(Violation violation) {
      return new Step(violation, List.of(), null, List.of(), List.of());
    }
  }

  private final Frontier helloFrontier;
  private final Hello hello;
  private final long helloArrivals;

  private boolean greeted;
  private boolean ready;
  private Map<ActorId, Long> peerKnown = new HashMap<>();
  private long cursor;
  private long sentCursor;
  private long ackedCursor;
  private long window;
  private long credit;
  private long received;
  private long receivedCursor;
  private long lastProbeMillis;
  private Hash toldMembers = Hash.ZERO;
  private final Set<MembershipEntry> listed = new HashSet<>();

  /** Starts a session with the largest window; send {@link #hello} first. */
  public SyncSession(Hash database, View view, long nowMillis) {
    this(database, view, nowMillis, WINDOW_BYTES);
  }

  /**
   * Starts a session; send {@link #hello} first.
   *
   * @param windowBytes what the peer may send before we acknowledge, {@link #MIN_WINDOW_BYTES} to
   *     {@link #WINDOW_BYTES}
   */
  public SyncSession(Hash database, View view, long nowMillis, int windowBytes) {
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
            windowBytes);
    lastProbeMillis = nowMillis;
  }

  /** A peer that sends more than this without waiting for an acknowledgement must go. */
  public long maxUnacknowledgedBytes() {
    return (long) TOLERATED_WINDOWS * hello.windowBytes() + SyncMessage.MAX_BYTES;
  }

  public Hello hello() {
    return hello;
  }

  /** Whether the peer has said hello. */
  public boolean isGreeted() {
    return greeted;
  }

  /** Whether both sides know where the other stands. */
  public boolean isReady() {
    return ready;
  }

  /** The place in our arrival log up to which the peer has everything on its disk. */
  public long reached() {
    return ackedCursor >= sentCursor ? cursor : Math.min(ackedCursor, cursor);
  }

  public Step onMessage(SyncMessage message, View view, ChangeLog log) {
    if (!greeted && !(message instanceof Hello)) {
      return Step.violation(Violation.NOT_HELLO_FIRST);
    }
    return switch (message) {
      case Hello peer -> onHello(peer, view);
      case Members members -> onMembers(members, view);
      case SyncMessage.Origins origins -> Step.sending();
      case Heads heads -> onHeads(heads, view, log);
      case Changes changes -> onChanges(changes);
      case Ack(var bytes, var upTo) -> onAck(bytes, upTo);
      case Probe(var frontierHash, var membersHash) -> {
        var send = new ArrayList<SyncMessage>();
        if (!membersHash.equals(view.membership().hash())) {
          send.addAll(allMembers(view));
        }
        if (!frontierHash.equals(view.frontier().hash())) {
          send.add(new Heads(true, view.frontier()));
        }
        yield Step.sending(send.toArray(SyncMessage[]::new));
      }
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
    window = peer.windowBytes();
    credit = window;
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
    } else {
      send.add(new Heads(false, view.frontier()));
    }
    return Step.sending(send.toArray(SyncMessage[]::new));
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
    return new Step(null, members.entries(), null, List.of(), send);
  }

  private Step onHeads(Heads heads, View view, ChangeLog log) {
    Frontier peer = heads.frontier();
    knows(peer);
    long first = view.arrivals() + 1;
    for (Map.Entry<ActorId, Head> entry : view.frontier().heads().entrySet()) {
      long has = peer.seq(entry.getKey());
      if (has < entry.getValue().seq()) {
        long arrival = log.arrivalOf(entry.getKey(), has + 1);
        first = Math.min(first, arrival);
      }
    }
    cursor = first - 1;
    // Whatever was under way is either in the peer's frontier or will be sent again.
    credit = window;
    ackedCursor = sentCursor;
    ready = true;
    return new Step(
        null,
        List.of(),
        peer,
        List.of(),
        heads.wantReply() ? List.of(new Heads(false, view.frontier())) : List.of());
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
    receivedCursor = Math.max(receivedCursor, changes.cursor());
    for (ChangeRun run : changes.runs()) {
      peerKnown.merge(run.actor(), run.toSeq(), Math::max);
    }
    return new Step(null, List.of(), null, changes.runs(), List.of());
  }

  private Step onAck(long bytes, long upTo) {
    if (upTo > sentCursor) {
      return Step.violation(Violation.BAD_ACK);
    }
    // Credit may be below zero by the last message, which can be longer than the window.
    credit = bytes >= window - credit ? window : credit + bytes;
    ackedCursor = Math.max(ackedCursor, upTo);
    return Step.sending();
  }

  /** The next changes for the peer, or null when there are none or the peer gave no credit. */
  public @Nullable Changes pull(View view, ChangeLog log) {
    if (!ready || credit <= 0 || cursor >= view.arrivals()) {
      return null;
    }
    long before = cursor;
    while (cursor < view.arrivals()) {
      ChangeLog.Batch batch =
          log.read(
              cursor, view.arrivals(), actor -> peerKnown.getOrDefault(actor, 0L), TARGET_BYTES);
      cursor = batch.cursor();
      if (!batch.runs().isEmpty()) {
        sentCursor = Math.max(sentCursor, cursor);
        credit -= batch.bytes();
        for (ChangeRun run : batch.runs()) {
          peerKnown.merge(run.actor(), run.toSeq(), Math::max);
        }
        return new Changes(cursor, batch.runs());
      }
      if (batch.cursor() == before) {
        return null;
      }
      before = cursor;
    }
    return null;
  }

  /** What we received is on our disk: the acknowledgement to send, or null. */
  public @Nullable Ack onDurable() {
    if (received == 0) {
      return null;
    }
    var ack = new Ack(received, receivedCursor);
    received = 0;
    return ack;
  }

  /** Asks the peer to compare frontiers now. */
  public Probe probe(View view) {
    return new Probe(view.frontier().hash(), view.membership().hash());
  }

  /**
   * Compares frontiers from time to time; call it about once a second.
   *
   * <p>Also when there is something to send and no credit for it, or the peer's frontier never
   * came: what should have given it may have been lost.
   */
  public Step onTick(long nowMillis, View view) {
    boolean canSend = ready && credit > 0 && cursor < view.arrivals();
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
