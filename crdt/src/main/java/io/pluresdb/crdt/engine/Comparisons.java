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

  /** Differences that are remembered of a comparison a peer asked for. */
  static final int MAX_TOLD = 65_536;

  private static final class Asked {
    final RangeAsker asker;
    final StateRanges ranges;
    final Consumer<Comparison> callback;
    long lastMillis;

    Asked(RangeAsker asker, StateRanges ranges, Consumer<Comparison> callback, long nowMillis) {
      this.asker = asker;
      this.ranges = ranges;
      this.callback = callback;
      this.lastMillis = nowMillis;
    }
  }

  private static final class Answered {
    final long id;
    final RangeResponder responder;
    final StateRanges ranges;
    long lastMillis;

    Answered(long id, RangeResponder responder, StateRanges ranges, long nowMillis) {
      this.id = id;
      this.responder = responder;
      this.ranges = ranges;
      this.lastMillis = nowMillis;
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

  void begin(PeerLink link, KeyRange range, int maxDifferences, Consumer<Comparison> callback) {
    if (asked.containsKey(link)) {
      callback.accept(new Comparison.Failed("another comparison with this peer is under way"));
      return;
    }
    StateRanges ranges = StateRanges.open(replica.storage(), replica.identity().database());
    Hash frontier = ranges.frontier().hash();
    long id = environment.random().nextLong();
    var asker = new RangeAsker(id, ranges, frontier, range, maxDifferences);
    asked.put(link, new Asked(asker, ranges, callback, now()));
    send(link, asker.open());
  }

  void receive(PeerLink link, RangeMessage message) {
    switch (message) {
      case RangeMessage.Open open -> onOpen(link, open);
      case RangeMessage.Ask ask -> onAsk(link, ask);
      case RangeMessage.Opened opened -> {
        Asked mine = mine(link, opened.id());
        if (mine != null) {
          proceed(link, mine, mine.asker.onOpened(opened));
        }
      }
      case RangeMessage.Answer answer -> {
        Asked mine = mine(link, answer.id());
        if (mine != null) {
          proceed(link, mine, mine.asker.onAnswer(answer));
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
    end(answered.remove(link));
    if (answered.size() >= MAX_ANSWERED) {
      send(link, new Close(open.id(), Reason.BUSY));
      return;
    }
    StateRanges ranges = StateRanges.open(replica.storage(), replica.identity().database());
    var responder = new RangeResponder(ranges, MAX_TOLD);
    answered.put(link, new Answered(open.id(), responder, ranges, now()));
    send(
        link,
        new RangeMessage.Opened(
            open.id(), ranges.frontier().hash(), ranges.summary(open.range()).digest()));
  }

  private void onAsk(PeerLink link, RangeMessage.Ask ask) {
    Answered theirs = answered.get(link);
    if (theirs == null || theirs.id != ask.id()) {
      send(link, new Close(ask.id(), Reason.UNKNOWN));
      return;
    }
    theirs.lastMillis = now();
    RangeMessage.Answer answer = theirs.responder.answer(ask);
    if (answer == null) {
      end(answered.remove(link));
      send(link, new Close(ask.id(), Reason.UNKNOWN));
    } else {
      send(link, answer);
    }
  }

  private void onClose(PeerLink link, Close close) {
    Answered theirs = answered.get(link);
    if (theirs != null && theirs.id == close.id()) {
      end(answered.remove(link));
    }
    Asked mine = mine(link, close.id());
    if (mine != null) {
      String why =
          switch (close.reason()) {
            case BUSY -> "the peer compares with too many others now";
            case DONE, UNKNOWN -> "the peer has given the comparison up";
          };
      end(link, mine, new Comparison.Failed(why));
    }
  }

  private void proceed(PeerLink link, Asked mine, RangeAsker.Progress progress) {
    switch (progress) {
      case RangeAsker.Send(var message) -> send(link, message);
      case RangeAsker.Done(var differences, var peerFrontier) -> {
        send(link, new Close(mine.asker.id(), Reason.DONE));
        Hash frontier = mine.ranges.frontier().hash();
        end(link, mine, new Comparison.Compared(differences, frontier, peerFrontier));
      }
      case RangeAsker.Failed(var why) -> {
        send(link, new Close(mine.asker.id(), Reason.DONE));
        end(link, mine, new Comparison.Failed(why));
      }
    }
  }

  private void end(PeerLink link, Asked mine, Comparison outcome) {
    asked.remove(link);
    mine.ranges.close();
    mine.callback.accept(outcome);
  }

  private static void end(@Nullable Answered theirs) {
    if (theirs != null) {
      theirs.ranges.close();
    }
  }

  /** Ends what waits in vain. */
  void tick() {
    long now = now();
    for (var entry : List.copyOf(asked.entrySet())) {
      if (isIdle(now, entry.getValue().lastMillis)) {
        end(entry.getKey(), entry.getValue(), new Comparison.Failed("the peer does not answer"));
      }
    }
    for (var entry : List.copyOf(answered.entrySet())) {
      if (isIdle(now, entry.getValue().lastMillis)) {
        end(answered.remove(entry.getKey()));
      }
    }
  }

  private static boolean isIdle(long now, long lastMillis) {
    // Also after a step back: it cannot be told how long that was.
    return now < lastMillis || now - lastMillis >= IDLE_MILLIS;
  }

  /** The link is gone. */
  void forget(PeerLink link) {
    end(answered.remove(link));
    Asked mine = asked.get(link);
    if (mine != null) {
      end(link, mine, new Comparison.Failed("the session has ended"));
    }
  }

  private static void send(PeerLink link, RangeMessage message) {
    link.send(new SyncMessage.Ranges(message));
  }

  private long now() {
    return environment.wallClock().millis();
  }
}
