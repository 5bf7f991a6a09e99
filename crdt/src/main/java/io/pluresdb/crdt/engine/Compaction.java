package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.crdt.compaction.StableCut;
import io.pluresdb.crdt.compaction.Stand;
import io.pluresdb.crdt.engine.ReplicaEngine.Peer;
import io.pluresdb.crdt.store.LogFloor;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.StandTable;
import io.pluresdb.crdt.sync.StandMessage;
import io.pluresdb.crdt.sync.StandMessage.Have;
import io.pluresdb.crdt.sync.StandMessage.Known;
import io.pluresdb.crdt.sync.StandMessage.Stands;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * Tells peers where this device stands, hears where all others do, and takes off the log what
 * everybody who counts has.
 */
final class Compaction {
  /** A device says where it stands at most this often, once it has something new. */
  static final long STAND_MILLIS = 60_000;

  /** It does not wait so long when nothing has come for a tick: it may be gone soon. */
  static final long QUIET_STAND_MILLIS = 10_000;

  /** After so many changes it does not wait either. */
  static final long STAND_CHANGES = 10_000;

  /** A device that is connected gives a sign of life this often, or four times in a lease. */
  static final long RENEW_MILLIS = 86_400_000;

  /** A peer is told of other stands at most this often. */
  static final long TELL_MILLIS = 30_000;

  /** Ticks between two looks at what can be taken off the log. */
  static final long TICKS_BETWEEN_CUTS = 60;

  /** Bytes of stands in one message. */
  private static final int MESSAGE_BYTES = 1 << 20;

  private record Told(Hash hash, long atMillis) {}

  private final Replica replica;
  private final Environment environment;
  private final Consumer<String> events;
  private final Map<Peer, Told> told = new HashMap<>();
  private CompactionSettings settings = CompactionSettings.DEFAULT;
  private long ticksToCut = TICKS_BETWEEN_CUTS;
  private Frontier stated = Frontier.EMPTY;
  private long statedArrivals;
  private long lastArrivals;

  // What is being taken off the log.
  private @Nullable StableCut cut;
  private long beforeTimestamp;
  private final List<Runnable> whenDone = new ArrayList<>();

  Compaction(Replica replica, Environment environment, Consumer<String> events) {
    this.replica = replica;
    this.environment = environment;
    this.events = events;
  }

  void configure(CompactionSettings wanted) {
    settings = wanted;
  }

  private long now() {
    return environment.wallClock().millis();
  }

  private StandTable stands() {
    return replica.stands();
  }

  StableCut cut() {
    return StableCut.of(
        replica.identity().signer().publicKey(),
        replica.view().frontier(),
        stands().known(replica.view().membership()),
        now(),
        // Who may not write cannot say that something left its log; see Replica#keeps.
        replica.mayWrite() ? settings.leaseMillis() : Long.MAX_VALUE);
  }

  CompactionStatus status() {
    LogFloor floor = replica.log().floor();
    return new CompactionStatus(floor, cut(), settings);
  }

  /** Begins to take off the log what can be; {@code done} is told when nothing more can. */
  void begin(@Nullable Runnable done) {
    cut = cut();
    beforeTimestamp =
        settings.keepMillis() == 0 ? Long.MAX_VALUE : timestampBefore(settings.keepMillis());
    if (done != null) {
      whenDone.add(done);
    }
  }

  private long timestampBefore(long millis) {
    return Math.max(0, now() - millis) << 16;
  }

  /**
   * Takes one step off the log; nothing may be staged.
   *
   * @return whether there is more to take at once
   */
  boolean step() {
    StableCut limit = cut;
    if (limit == null) {
      return false;
    }
    if (!replica.truncate(limit::seq, beforeTimestamp, timestampBefore(settings.leaseMillis()))) {
      cut = null;
      List<Runnable> done = List.copyOf(whenDone);
      whenDone.clear();
      done.forEach(Runnable::run);
    }
    return cut != null;
  }

  void receive(Peer peer, StandMessage message) {
    switch (message) {
      case Known(var hash) -> {
        if (!hash.equals(stands().hash())) {
          send(peer, new Have(stands().at()));
        }
      }
      case Have(var theirs) -> sendNewer(peer, theirs);
      case Stands(var more) -> stands().add(more, replica.view().membership(), now());
    }
  }

  private void sendNewer(Peer peer, Map<byte[], Long> theirs) {
    var part = new ArrayList<Stand>();
    int bytes = 0;
    for (Stand stand : stands().newerThan(theirs)) {
      if (!part.isEmpty()
          && (bytes + stand.encodedBytes() > MESSAGE_BYTES
              || part.size() == StandMessage.MAX_STANDS)) {
        send(peer, new Stands(List.copyOf(part)));
        part.clear();
        bytes = 0;
      }
      part.add(stand);
      bytes += stand.encodedBytes();
    }
    if (!part.isEmpty()) {
      send(peer, new Stands(part));
    }
  }

  /**
   * Lets time pass.
   *
   * @param durable whether all of the frontier is on our disk
   */
  void tick(Collection<Peer> peers, boolean durable) {
    if (--ticksToCut <= 0) {
      ticksToCut = TICKS_BETWEEN_CUTS;
      begin(null);
    }
    boolean connected = peers.stream().anyMatch(peer -> peer.session.isReady());
    if (connected && durable && !replica.isJoining()) {
      state();
    }
    lastArrivals = replica.view().arrivals();
    for (Peer peer : peers) {
      Told last = told.get(peer);
      boolean due = last == null || isOver(last.atMillis, TELL_MILLIS);
      Hash hash = stands().hash();
      if (due && peer.session.isGreeted() && (last == null || !last.hash.equals(hash))) {
        told.put(peer, new Told(hash, now()));
        send(peer, new Known(hash));
      }
    }
  }

  /** Says where this device stands, if that is new enough. */
  private void state() {
    byte[] self = replica.identity().signer().publicKey();
    Replica.View view = replica.view();
    boolean alone = stands().known(view.membership()).size() < 2;
    if (alone || view.membership().role(self) == null) {
      return;
    }
    Stand last = stands().of(self);
    if (last != null && !isStandDue(last, view)) {
      return;
    }
    if (last != null && now() - last.at() > settings.leaseMillis()) {
      // Others went on without us: what we wrote since is ours, what we write now is another's.
      if (replica.giveUpActor()) {
        events.accept("silent for longer than the lease: going on under a new actor");
      }
    }
    // Relaxed writes of our own may not be on disk yet.
    replica.sync();
    long at = last == null ? now() : Math.max(now(), last.at() + 1);
    Stand stand =
        Stand.sign(replica.identity().database(), at, view.frontier(), replica.identity().signer());
    stands().add(List.of(stand), view.membership(), now());
    stated = view.frontier();
    statedArrivals = view.arrivals();
  }

  private boolean isStandDue(Stand last, Replica.View view) {
    if (isOver(last.at(), Math.min(RENEW_MILLIS, settings.leaseMillis() / 4))) {
      return true;
    }
    long wait = view.arrivals() == lastArrivals ? QUIET_STAND_MILLIS : STAND_MILLIS;
    return !view.frontier().equals(stated)
        && (isOver(last.at(), wait) || view.arrivals() - statedArrivals >= STAND_CHANGES);
  }

  private boolean isOver(long sinceMillis, long limitMillis) {
    return now() - sinceMillis >= limitMillis;
  }

  void forget(Peer peer) {
    told.remove(peer);
  }

  private static void send(Peer peer, StandMessage message) {
    ReplicaEngine.answer(peer, new SyncMessage.StandsOf(message));
  }
}
