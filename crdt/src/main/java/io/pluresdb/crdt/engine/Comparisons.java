package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.reconcile.RangeAsker;
import io.pluresdb.crdt.reconcile.RangeMessage;
import io.pluresdb.crdt.reconcile.RangeMessage.Close;
import io.pluresdb.crdt.reconcile.RangeMessage.Reason;
import io.pluresdb.crdt.reconcile.RangeResponder;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.StateRanges;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * The comparisons of documents that are under way: one a peer in each direction. Each holds a
 * snapshot, so they are few and end when nothing comes for a while.
 */
final class Comparisons {
  /** Comparisons of peers that are answered at a time. */
  static final int MAX_ANSWERED = 4;

  /** A comparison in which nothing came for so long is over. */
  static final long IDLE_MILLIS = 60_000;

  /** The same while the peer may be adding up its documents. */
  static final long IDLE_COUNTING_MILLIS = 15 * 60_000;

  /** Differences that are remembered of a comparison a peer asked for. */
  static final int MAX_TOLD = 65_536;

  /** Documents added up in one turn: local writes wait for it. */
  static final int ROWS_PER_TURN = 8_192;

  /** A comparison and the documents it looks at. */
  private abstract static class Talk {
    final PeerLink link;
    final StateRanges ranges;
    long lastMillis;

    /** Whether the documents are still being added up. */
    boolean counting;

    /** Said next, once the link has room; each side has one question open at a time. */
    @Nullable RangeMessage owed;

    Talk(PeerLink link, StateRanges ranges, boolean exact) {
      this.link = link;
      this.ranges = ranges;
      this.counting = exact;
    }
  }

  private static final class Asked extends Talk {
    final RangeAsker asker;
    final Consumer<Comparison> callback;
    final boolean exact;
    boolean opened;

    Asked(
        PeerLink link,
        StateRanges ranges,
        boolean exact,
        RangeAsker asker,
        Consumer<Comparison> callback) {
      super(link, ranges, exact);
      this.exact = exact;
      this.asker = asker;
      this.callback = callback;
    }
  }

  private static final class Answered extends Talk {
    final RangeMessage.Open open;
    final RangeResponder responder;

    Answered(PeerLink link, StateRanges ranges, RangeMessage.Open open) {
      super(link, ranges, open.exact());
      this.open = open;
      this.responder = new RangeResponder(ranges, MAX_TOLD);
    }
  }

  private final Replica replica;
  private final Environment environment;
  private final Map<PeerLink, Asked> asked = new LinkedHashMap<>();
  private final Map<PeerLink, Answered> answered = new LinkedHashMap<>();

  Comparisons(Replica replica, Environment environment) {
    this.replica = replica;
    this.environment = environment;
  }

  private StateRanges ranges() {
    return StateRanges.open(replica.storage(), replica.identity().database());
  }

  void begin(
      PeerLink link,
      KeyRange range,
      boolean exact,
      int maxDifferences,
      Consumer<Comparison> callback) {
    if (asked.containsKey(link)) {
      callback.accept(new Comparison.Failed("another comparison with this peer is under way"));
      return;
    }
    if (replica.isJoining()) {
      callback.accept(new Comparison.Failed("a snapshot is being joined: try again later"));
      return;
    }
    StateRanges ranges = ranges();
    long id = environment.random().nextLong();
    var asker = new RangeAsker(id, ranges, ranges.frontier().hash(), exact, range, maxDifferences);
    var talk = new Asked(link, ranges, exact, asker, callback);
    talk.lastMillis = now();
    asked.put(link, talk);
    if (!exact) {
      send(talk, asker.open());
    }
  }

  void receive(PeerLink link, RangeMessage message) {
    switch (message) {
      case RangeMessage.Open open -> onOpen(link, open);
      case RangeMessage.Ask ask -> onAsk(link, ask);
      case RangeMessage.Opened opened -> {
        Asked mine = mine(link, opened.id());
        if (mine != null && !mine.counting) {
          mine.opened = true;
          proceed(mine, mine.asker.onOpened(opened));
        }
      }
      case RangeMessage.Answer answer -> {
        Asked mine = mine(link, answer.id());
        if (mine != null && !mine.counting) {
          proceed(mine, mine.asker.onAnswer(answer));
        }
      }
      case Close close -> onClose(link, close);
    }
  }

  private @Nullable Asked mine(PeerLink link, long id) {
    Asked mine = asked.get(link);
    if (mine == null || mine.asker.id() != id) {
      return null;
    }
    mine.lastMillis = now();
    return mine;
  }

  private void onOpen(PeerLink link, RangeMessage.Open open) {
    drop(answered.remove(link));
    if (answered.size() >= MAX_ANSWERED || replica.isJoining()) {
      close(link, new Close(open.id(), Reason.BUSY));
      return;
    }
    var talk = new Answered(link, ranges(), open);
    talk.lastMillis = now();
    answered.put(link, talk);
    if (!talk.counting) {
      opened(talk);
    }
  }

  private static void opened(Answered talk) {
    send(
        talk,
        new RangeMessage.Opened(
            talk.open.id(),
            talk.ranges.frontier().hash(),
            talk.ranges.summary(talk.open.range()).digest()));
  }

  private void onAsk(PeerLink link, RangeMessage.Ask ask) {
    Answered theirs = answered.get(link);
    boolean known = theirs != null && theirs.open.id() == ask.id() && !theirs.counting;
    RangeMessage.Answer answer = theirs != null && known ? theirs.responder.answer(ask) : null;
    if (theirs == null || answer == null) {
      close(link, new Close(ask.id(), Reason.UNKNOWN));
      return;
    }
    theirs.lastMillis = now();
    send(theirs, answer);
  }

  private void onClose(PeerLink link, Close close) {
    Answered theirs = answered.get(link);
    if (theirs != null && theirs.open.id() == close.id()) {
      drop(answered.remove(link));
    }
    Asked mine = mine(link, close.id());
    if (mine != null) {
      String why =
          switch (close.reason()) {
            case BUSY -> "the peer compares with too many others now";
            case DONE, UNKNOWN -> "the peer has given the comparison up";
          };
      end(mine, new Comparison.Failed(why));
    }
  }

  private void proceed(Asked mine, RangeAsker.Progress progress) {
    switch (progress) {
      case RangeAsker.Send(var message) -> send(mine, message);
      case RangeAsker.Done(var differences, var peerFrontier) -> {
        close(mine.link, new Close(mine.asker.id(), Reason.DONE));
        Hash frontier = mine.ranges.frontier().hash();
        end(mine, new Comparison.Compared(differences, frontier, peerFrontier));
      }
      case RangeAsker.Failed(var why) -> {
        close(mine.link, new Close(mine.asker.id(), Reason.DONE));
        end(mine, new Comparison.Failed(why));
      }
    }
  }

  private void end(Asked mine, Comparison outcome) {
    asked.remove(mine.link);
    mine.ranges.close();
    mine.callback.accept(outcome);
  }

  private static void drop(@Nullable Answered theirs) {
    if (theirs != null) {
      theirs.ranges.close();
    }
  }

  /**
   * Says what a link had no room for, and adds up some documents, where that was asked for; whether
   * there are more.
   */
  boolean work() {
    asked.values().forEach(Comparisons::sendOwed);
    answered.values().forEach(Comparisons::sendOwed);
    for (Asked mine : asked.values()) {
      if (mine.counting) {
        if (mine.ranges.recount(ROWS_PER_TURN)) {
          mine.counting = false;
          send(mine, mine.asker.open());
        }
        mine.lastMillis = now();
        return true;
      }
    }
    for (Answered theirs : answered.values()) {
      if (theirs.counting) {
        if (theirs.ranges.recount(ROWS_PER_TURN)) {
          theirs.counting = false;
          opened(theirs);
        }
        theirs.lastMillis = now();
        return true;
      }
    }
    return false;
  }

  /** Ends what waits in vain. */
  void tick() {
    for (Asked mine : List.copyOf(asked.values())) {
      boolean peerCounts = mine.exact && !mine.opened;
      if (isIdle(mine, peerCounts ? IDLE_COUNTING_MILLIS : IDLE_MILLIS)) {
        end(mine, new Comparison.Failed("the peer does not answer"));
      }
    }
    for (Answered theirs : List.copyOf(answered.values())) {
      if (isIdle(theirs, IDLE_MILLIS)) {
        drop(answered.remove(theirs.link));
      }
    }
  }

  private boolean isIdle(Talk talk, long mostMillis) {
    // Also after a step back: it cannot be told how long that was.
    long idle = now() - talk.lastMillis;
    return idle < 0 || idle >= mostMillis;
  }

  /** The link is gone. */
  void forget(PeerLink link) {
    drop(answered.remove(link));
    Asked mine = asked.get(link);
    if (mine != null) {
      end(mine, new Comparison.Failed("the session has ended"));
    }
  }

  private static void send(Talk talk, RangeMessage message) {
    talk.owed = message;
    sendOwed(talk);
  }

  private static void sendOwed(Talk talk) {
    RangeMessage message = talk.owed;
    if (message != null && talk.link.isWritable()) {
      talk.owed = null;
      talk.link.send(new SyncMessage.Ranges(message));
    }
  }

  /** Ends a talk, or one that there is not: who does not read finds out by waiting. */
  private static void close(PeerLink link, Close close) {
    if (link.isWritable()) {
      link.send(new SyncMessage.Ranges(close));
    }
  }

  private long now() {
    return environment.wallClock().millis();
  }
}
