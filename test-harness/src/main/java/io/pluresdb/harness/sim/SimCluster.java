package io.pluresdb.harness.sim;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.codec.Verifier;
import io.pluresdb.crdt.compaction.Stand;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.crdt.sync.StandMessage;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.harness.check.Chains;
import io.pluresdb.harness.check.Checks;
import io.pluresdb.harness.check.Invariant;
import io.pluresdb.harness.check.Ledger;
import io.pluresdb.harness.check.Ledger.Standing;
import io.pluresdb.harness.check.Violation;
import io.pluresdb.harness.fault.Defect;
import io.pluresdb.harness.fault.Fault;
import io.pluresdb.harness.fault.PowerLoss;
import io.pluresdb.harness.fault.WatchedAnchor;
import io.pluresdb.harness.fault.WatchedStorage;
import io.pluresdb.harness.sim.Action.Inject;
import io.pluresdb.harness.sim.Action.Write;
import io.pluresdb.harness.sim.SimNetwork.Connection;
import io.pluresdb.harness.sim.SimNetwork.End;
import io.pluresdb.harness.sim.SimNetwork.Pair;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.function.Consumer;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Devices, their disks, clocks and network in one thread and virtual time. The engines, replicas
 * and sessions are the product's own.
 *
 * <p>A run has three phases: the schedule's writes and faults; healing, after which every device is
 * up, every channel faithful and every clock right; and settling, within a bound. What must hold is
 * checked at every commit, every send and every restart, and once more over everything at the end.
 */
public final class SimCluster {
  private static final long EPOCH = 1_700_000_000_000L;

  /** How long replicas may take to become equal once nothing goes wrong any more. */
  private static final long SETTLE_MILLIS = 300_000;

  /** How long the last acknowledgements may take after that. */
  private static final long CONFIRM_MILLIS = 40_000;

  /** A connection with a message that is stuck this long ends. */
  private static final long STUCK_MILLIS = 8_000;

  private static final long MAX_BACKOFF_MILLIS = 5_000;

  /** Devices besides the founder that may admit and remove others. */
  private static final int MAX_ADMINS = 2;

  /** Where a data directory keeps the nonce of the actor that it goes on with. */
  private static final byte[] ACTOR = "actor".getBytes(StandardCharsets.US_ASCII);

  private static final int MAX_SYNC_MILLIS = 10;
  private static final int MAX_PENDING = 1 << 16;
  // What chances are drawn for.
  private static final long DEVICE = 1;
  private static final long ENTROPY = 2;
  private static final long CONNECTING = 3;
  private static final long SENDING = 4;
  private static final long LYING = 5;

  static final Hash DATABASE = ReplicaIdentity.databaseHash("simulation");
  private static final List<String> PAIRS = List.of("pair:0", "pair:1", "pair:2");

  private record Event(long at, long sequence, Runnable action) implements Comparable<Event> {
    @Override
    public int compareTo(Event other) {
      int order = Long.compare(at, other.at);
      return order != 0 ? order : Long.compare(sequence, other.sequence);
    }
  }

  private record Backup(MemoryStorage storage, WatchedAnchor anchor) {}

  private final Scenario scenario;
  private final Verifier verifier = new VerdictMemo();
  private final PriorityQueue<Event> queue = new PriorityQueue<>();
  private final List<SimNode> nodes = new ArrayList<>();
  private final List<SimNode> liars = new ArrayList<>();
  private final List<Pair> pairs = new ArrayList<>();
  private final Ledger ledger = new Ledger();
  private final List<Acknowledged> acknowledged = new ArrayList<>();
  private final Map<Hash, Hash> stateOfFrontier = new HashMap<>();
  private final Map<Inject, Backup> backups = new HashMap<>();
  private final EnumMap<Fault, Integer> fired = new EnumMap<>(Fault.class);
  private final MessageDigest trace = Hash.newBulkDigest();
  private final @Nullable Consumer<String> log;
  private long now;
  private long sequence;
  private long events;
  private long snapshotsJoined;

  private final Settlement settlement;
  private long messages;

  public SimCluster(Scenario scenario) {
    this(scenario, null);
  }

  /**
   * A cluster that tells what happens.
   *
   * @param log told every event in a line, or null
   */
  public SimCluster(Scenario scenario, @Nullable Consumer<String> log) {
    this.scenario = scenario;
    this.log = log;
    settlement = new Settlement(scenario, nodes, pairs, ledger, acknowledged, fired);
    for (int i = 0; i < scenario.devices(); i++) {
      SimNode node = device(i);
      node.dormant = i >= scenario.replicas();
      nodes.add(node);
    }
    for (Standing standing : scenario.liars()) {
      SimNode device = device(scenario.devices() + liars.size());
      var chances = new KeyedRandom(this::now, scenario.seed(), LYING, device.index);
      device.liar = new Liar(device, standing, this, ledger, chances);
      liars.add(device);
    }
    for (int i = 0; i < nodes.size() + liars.size(); i++) {
      for (int j = 0; j < Math.min(i, nodes.size()); j++) {
        pairs.add(
            new Pair(
                j,
                i,
                new KeyedRandom(this::now, scenario.seed(), CONNECTING, j, i),
                new KeyedRandom(this::now, scenario.seed(), SENDING, j, i),
                new KeyedRandom(this::now, scenario.seed(), SENDING, i, j)));
      }
    }
  }

  private SimNode device(int index) {
    var environment =
        new Environment(
            () -> Instant.ofEpochMilli(wallMillis(index)),
            new KeyedRandom(this::now, scenario.seed(), ENTROPY, index));
    var signer = new Signer(environment.randomBytes(32));
    byte[] founder = (nodes.isEmpty() ? signer : nodes.getFirst().signer).publicKey();
    var identity = new ReplicaIdentity(DATABASE, founder, signer, verifier);
    return new SimNode(
        index,
        new KeyedRandom(this::now, scenario.seed(), DEVICE, index),
        environment,
        identity,
        watched(new MemoryStorage(), new Chains(SimNode.owner(identity, index), ledger)));
  }

  private SimNode at(int index) {
    return index < nodes.size() ? nodes.get(index) : liars.get(index - nodes.size());
  }

  private long now() {
    return now;
  }

  private long wallMillis(int node) {
    // The first device asks for its key while it is being made.
    long offset = node < nodes.size() ? nodes.get(node).clockOffset : 0;
    return networkMillis() + offset;
  }

  /** The right time, milliseconds since 1970. */
  long networkMillis() {
    return EPOCH + now;
  }

  /** Whether devices lose what they may. */
  boolean removes() {
    return scenario.removes();
  }

  /** The actor a device writes as, or null while it has none. */
  @Nullable ActorId ownActor(SimNode node) {
    return node.engine == null ? null : node.engine.replica().ownActor();
  }

  /** How far a device is with its actor. */
  long ownSeq(SimNode node, ActorId own) {
    return node.storage.chains().seq(own);
  }

  private WatchedStorage watched(MemoryStorage storage, Chains chains) {
    chains.cutsFreely(scenario.cutsFreely());
    return new WatchedStorage(storage, chains, scenario.defect(), () -> fire(Fault.DISK_FULL));
  }

  /** Plays a schedule to its end, or to the first violation. */
  public Outcome run(List<Action> schedule) {
    Violation violation = null;
    try {
      play(schedule);
    } catch (Violation e) {
      violation = e;
    } catch (CodecException e) {
      // What the product cannot read stops the device; this came of a check.
      violation = new Violation(Invariant.I12, "a stored row cannot be read: " + e.getMessage(), e);
    }
    byte[] digest = trace.digest();
    int lost = (int) acknowledged.stream().filter(a -> a.mayBeLost).count();
    return new Outcome(
        scenario.seed(),
        violation,
        HexFormat.of().formatHex(digest),
        events,
        messages,
        acknowledged.size(),
        lost,
        snapshotsJoined,
        now,
        Map.copyOf(fired));
  }

  private void play(List<Action> schedule) {
    for (SimNode node : nodes) {
      if (!node.dormant) {
        start(node);
      }
      at(node.random.nextInt(1_000), () -> tick(node));
    }
    boolean[] late = new boolean[nodes.size()];
    for (Action action : schedule) {
      switch (action) {
        case Write write -> at(write.atMillis(), () -> write(write));
        case Inject inject -> {
          if (inject.fault() == Fault.LATE_ADMISSION) {
            late[inject.node()] = true;
          }
          if (inject.fault() == Fault.RESTORE
              || inject.fault() == Fault.RESTORE_WITHOUT_ANCHOR
              || inject.fault() == Fault.BIT_FLIP
              || inject.fault() == Fault.ROLLBACK) {
            at(inject.amount(), () -> takeBackup(inject));
          }
          at(inject.atMillis(), () -> inject(inject));
        }
      }
    }
    for (int i = 1; i < scenario.replicas(); i++) {
      if (!late[i]) {
        admit(nodes.get(i));
      }
    }
    for (SimNode liar : liars) {
      if (scenario.liars().get(liars.indexOf(liar)) == Standing.MEMBER) {
        admit(liar);
      }
    }
    pairs.forEach(pair -> attempt(pair, pair.connecting.nextInt(500)));
    runUntil(scenario.faultMillis());
    heal();
    long bound = settleBound();
    while (!settlement.isReached()) {
      if (now >= bound) {
        throw new Violation(
            Invariant.I2, "after " + (now - scenario.faultMillis()) + " ms " + settlement.where());
      }
      runUntil(now + 1_000);
      // A replica that was ahead in time keeps the others waiting until its time has come.
      bound = Math.max(bound, settleBound());
    }
    for (SimNode node : settlement.hearing()) {
      guard(node, engine -> look(node, engine));
    }
    trace("settled " + settlement.check().hex(), -1);
    runUntil(now + CONFIRM_MILLIS);
    settlement.checkConfirmed();
  }

  private long settleBound() {
    long aheadUntil =
        HybridClock.wallMillis(ledger.greatestTimestamp()) - EPOCH - HybridClock.MAX_AHEAD_MILLIS;
    return Math.max(scenario.faultMillis(), aheadUntil) + SETTLE_MILLIS;
  }

  // Events.

  private void at(long time, Runnable action) {
    queue.add(new Event(Math.max(time, now), sequence++, action));
  }

  private void after(long millis, Runnable action) {
    at(now + millis, action);
  }

  private void runUntil(long end) {
    Event next;
    while ((next = queue.peek()) != null && next.at <= end) {
      queue.remove();
      now = next.at;
      events++;
      next.action.run();
    }
    now = end;
  }

  private void trace(String what, int node, byte[] bytes) {
    byte[] text = (now + " " + what + " " + node + " ").getBytes(StandardCharsets.UTF_8);
    trace.update(text);
    trace.update(bytes);
    if (log != null) {
      log.accept(now + " node " + node + " " + what + (bytes.length > 0 ? " " + bytes.length : ""));
    }
  }

  private void trace(String what, int node) {
    trace(what, node, new byte[0]);
  }

  private void fire(Fault fault) {
    fired.merge(fault, 1, Integer::sum);
  }

  // Devices.

  private void start(SimNode node) {
    if (node.engine != null || node.dormant) {
      return;
    }
    node.storage.full(now < node.fullUntil);
    Replica replica;
    try {
      replica = Replica.open(node.storage, node.identity, node.anchor, node.environment);
    } catch (StorageException.Full e) {
      after(500, () -> start(node));
      return;
    } catch (PowerLoss e) {
      losePower(node, 0, 500);
      return;
    }
    trace("start", node.index);
    ActorId own = replica.ownActor();
    if (own != null) {
      long next = node.storage.chains().seq(own) + 1;
      if (ledger.isPublished(own, next) && !ledger.isShared(own, next)) {
        throw new Violation(
            Invariant.I15,
            "node " + node.index + " would write change " + next + " of " + own + " again");
      }
    }
    Checks.rescan(replica, node.storage.chains());
    checkPairs(node, replica);
    node.lives++;
    node.lastWrite.clear();
    node.looked = -1;
    node.engine =
        new ReplicaEngine(replica, node.environment, event -> told(node, event), beside(node));
    if (scenario.memory() != null) {
      node.engine.remember(scenario.memory());
    }
    pairs.stream()
        .filter(pair -> pair.a == node.index || pair.b == node.index)
        .forEach(pair -> attempt(pair, pair.connecting.nextInt(200)));
  }

  /** Syncs a node's commits some time later, unless the node has ended by then. */
  private ReplicaEngine.Helpers beside(SimNode node) {
    int life = node.lives;
    return new ReplicaEngine.Helpers(
        Runnable::run,
        sync ->
            after(
                node.random.nextInt(MAX_SYNC_MILLIS),
                () ->
                    guard(
                        node,
                        engine -> {
                          if (node.lives == life) {
                            sync.run();
                          }
                        })),
        1,
        () -> scheduleTurn(node));
  }

  private static void checkPairs(SimNode node, Replica replica) {
    // While a snapshot is joined a batch may be seen in part.
    if (!replica.isJoining()) {
      PAIRS.forEach(pair -> Checks.pair(node.storage.inner(), pair));
    }
  }

  /** What the engine says about its peers; between correct ones there is nothing to say. */
  private void told(SimNode node, String event) {
    trace(event, node.index);
    if (event.startsWith("silent for longer") || event.startsWith("another copy")) {
      node.retired++;
    }
    if (event.startsWith("joined a snapshot")) {
      snapshotsJoined++;
    }
    boolean blame =
        event.startsWith("rejected BAD_SIGNATURE")
            || event.startsWith("rejected MALFORMED")
            || event.startsWith("rejected WRONG_GENESIS")
            || event.startsWith("rejected BUFFER_FULL");
    // What waits is judged later, when it is not known any more from whom it came.
    if (blame && settlement.isFaithful() && liars.isEmpty() && !ledger.namesShared(event)) {
      throw new Violation(Invariant.I16, "node " + node.index + " blames a correct peer: " + event);
    }
  }

  /** A device ends a session; with a correct peer only because it cannot go on itself. */
  void close(End end, String reason) {
    boolean blame = reason.startsWith("protocol violation") || reason.startsWith("malformed");
    if (blame && settlement.isFaithful() && end.far().owner.liar == null) {
      throw new Violation(
          Invariant.I16, "node " + end.owner.index + " blames a correct peer: " + reason);
    }
    breakConnection(end.connection);
  }

  private void guard(SimNode node, Consumer<ReplicaEngine> action) {
    ReplicaEngine engine = node.engine;
    if (engine == null) {
      return;
    }
    try {
      action.accept(engine);
    } catch (PowerLoss e) {
      fire(Fault.POWER_LOSS_IN_COMMIT);
      losePower(node, node.random.nextInt(1_001), 300 + node.random.nextInt(2_000));
      return;
    } catch (RuntimeException e) {
      if (e instanceof StorageException.Failed && node.storage.isDamaged()) {
        engine.fail(e);
      } else {
        throw new Violation(Invariant.I16, "node " + node.index + " stopped: " + e, e);
      }
    }
    if (engine.broken() != null && node.engine == engine && salvage(node)) {
      return;
    }
    if (engine.broken() != null && node.engine == engine) {
      fire(Fault.DISK_FAILED);
      losePower(node, node.random.nextInt(1_001), 1_000);
    }
  }

  private void turn(SimNode node) {
    node.turnScheduled = false;
    boolean idle = node.random.nextInt(4) != 0;
    guard(
        node,
        engine -> {
          boolean more = engine.turn(idle);
          if (more || !idle) {
            scheduleTurn(node);
          }
          look(node, engine);
        });
  }

  private void scheduleTurn(SimNode node) {
    if (!node.turnScheduled) {
      node.turnScheduled = true;
      after(node.random.nextInt(4), () -> turn(node));
    }
  }

  /** What must hold on a node between any two commits. */
  private void look(SimNode node, ReplicaEngine engine) {
    Replica.View view = engine.replica().view();
    if (engine.pending() > MAX_PENDING) {
      throw new Violation(Invariant.I11, engine.pending() + " changes wait on node " + node.index);
    }
    if (view.arrivals() == node.looked) {
      return;
    }
    node.looked = view.arrivals();
    // One for each life, one that is given up on hearsay, and one to begin with.
    int lives =
        nodes.stream()
            .filter(n -> n.author == node.author)
            .mapToInt(n -> n.lives + n.retired + 2)
            .sum();
    if (ledger.actorsOf(node.author) > lives) {
      throw new Violation(
          Invariant.I11, "node " + node.index + " has " + ledger.actorsOf(node.author) + " actors");
    }
    if (!node.storage.chains().equal(view.frontier())) {
      throw new Violation(
          Invariant.I6, "node " + node.index + " shows another frontier than it wrote");
    }
    Hash state = stateOfFrontier.putIfAbsent(view.frontier().hash(), view.stateHash());
    if (state != null && !state.equals(view.stateHash())) {
      throw new Violation(
          Invariant.I1,
          "node " + node.index + " has the operations of another and a different state");
    }
    checkPairs(node, engine.replica());
  }

  private void tick(SimNode node) {
    guard(node, ReplicaEngine::tick);
    if (node.engine != null) {
      scheduleTurn(node);
    }
    after(1_000, () -> tick(node));
  }

  private void admit(SimNode newcomer) {
    SimNode founder = nodes.getFirst();
    byte[] device = newcomer.signer.publicKey();
    Chains known = founder.storage.chains();
    if (known.isRemoved(device)
        || !known.membership().may(founder.signer.publicKey(), Role.ADMIN)) {
      return; // A founder who lost a removal with his disk may have been removed instead.
    }
    guard(
        founder,
        engine -> {
          if (engine.replica().view().membership().role(device) == null) {
            boolean admin = scenario.hasAdmins() && newcomer.index <= MAX_ADMINS;
            admit(founder, engine, newcomer, admin ? Role.ADMIN : Role.WRITE);
          }
        });
    ReplicaEngine engine = founder.engine;
    if (engine == null || engine.replica().view().membership().role(device) == null) {
      after(1_000, () -> admit(newcomer));
    } else {
      trace("admitted", newcomer.index);
      scheduleTurn(founder);
    }
  }

  private void admit(SimNode admin, ReplicaEngine engine, SimNode newcomer, Role role) {
    var entry =
        MembershipEntry.Admit.sign(
            DATABASE,
            newcomer.signer.publicKey(),
            role,
            "node " + newcomer.index,
            EPOCH,
            new byte[MembershipEntry.INVITE_BYTES],
            engine.replica().view().membership().newest(),
            admin.signer);
    try {
      engine.admit(entry);
    } catch (StorageException e) {
      trace("admits nobody: " + e.code(), admin.index);
    }
  }

  // Membership.

  /** An admin takes from a device what is above {@code keep}; false when it cannot. */
  private boolean revoke(SimNode admin, SimNode device, @Nullable Role keep) {
    byte[] key = device.signer.publicKey();
    var done = new boolean[1];
    guard(
        admin,
        engine -> {
          Membership members = engine.replica().view().membership();
          Role role = members.role(key);
          if (!members.may(admin.signer.publicKey(), Role.ADMIN)
              || role == null
              || (keep != null && keep.includes(role))) {
            return;
          }
          try {
            engine.revoke(key, keep);
            done[0] = true;
          } catch (CoreException e) {
            trace("removes nobody: " + e.code(), admin.index);
          } catch (StorageException e) {
            trace("removes nobody: " + e.code(), admin.index);
          }
          scheduleTurn(admin);
        });
    if (done[0]) {
      nodes.stream().filter(n -> n.author == device.author).forEach(n -> n.retired++);
    }
    return done[0];
  }

  /** Lets a device in again that may not write any more; false when there is nothing to do. */
  private boolean readmit(SimNode admin, SimNode device) {
    byte[] key = device.signer.publicKey();
    var done = new boolean[1];
    guard(
        admin,
        engine -> {
          Membership members = engine.replica().view().membership();
          if (members.may(admin.signer.publicKey(), Role.ADMIN)
              && !members.may(key, Role.WRITE)
              && !members.removals(key).isEmpty()) {
            admit(admin, engine, device, Role.WRITE);
            done[0] = true;
            scheduleTurn(admin);
          }
        });
    return done[0];
  }

  /** Waits until there is something to adopt, as long as things go wrong. */
  private void adoptAny(SimNode node) {
    for (SimNode device : nodes) {
      if (adopt(node, device)) {
        fire(Fault.ADOPT);
        return;
      }
    }
    if (now + 1_000 < scenario.faultMillis()) {
      after(1_000, () -> adoptAny(node));
    }
  }

  private boolean adopt(SimNode node, SimNode device) {
    var adopted = new long[1];
    guard(
        node,
        engine -> {
          try {
            adopted[0] = engine.adopt(device.signer.publicKey());
          } catch (CoreException | StorageException e) {
            trace("adopts nothing: " + e, node.index);
          }
          scheduleTurn(node);
        });
    return adopted[0] > 0;
  }

  // Ends of lives.

  private void losePower(SimNode node, int survivorsPermille, long downMillis) {
    MemoryStorage storage = node.storage.inner();
    int unsynced = storage.unsyncedCommits();
    int survivors = (int) ((long) unsynced * survivorsPermille / 1_000);
    if (survivors < unsynced || node.random.nextBoolean()) {
      node.anchor.forgetNotes();
    }
    trace("power loss, " + survivors + " of " + unsynced + " unsynced commits survive", node.index);
    stop(node, storage.crash(survivors), false, downMillis);
  }

  private void stop(SimNode node, MemoryStorage disk, boolean restored, long downMillis) {
    node.engine = null;
    node.lives++;
    node.anchor.keepPower();
    node.storage = watched(disk, Chains.scan(node.owner(), ledger, disk));
    for (Pair pair : pairs) {
      Connection connection = pair.connection;
      if (connection != null && (pair.a == node.index || pair.b == node.index)) {
        breakConnection(connection);
      }
    }
    account(node, restored);
    after(downMillis, () -> start(node));
  }

  /** Which acknowledged writes the device lost, and whether it was allowed to. */
  private void account(SimNode node, boolean restored) {
    for (Acknowledged write : acknowledged) {
      if (write.node == node.index
          && !write.rolledBack
          && !node.storage.chains().has(write.actor, write.seq, write.hash)
          && !node.storage.chains().isVoidAndGone(write.actor, write.seq)) {
        if (!write.relaxed && !restored) {
          throw new Violation(
              Invariant.I3,
              "node "
                  + node.index
                  + " acknowledged and lost change "
                  + write.seq
                  + " of "
                  + write.actor);
        }
        write.rolledBack = true;
      }
      if (write.rolledBack && !write.mayBeLost) {
        write.mayBeLost =
            nodes.stream()
                .map(n -> n.storage.chains())
                .noneMatch(
                    chains ->
                        chains.durableSeq(write.actor) >= write.seq
                            && chains.has(write.actor, write.seq, write.hash));
      }
    }
  }

  private void takeBackup(Inject inject) {
    SimNode node = nodes.get(inject.node());
    trace("backup", node.index);
    backups.put(inject, new Backup(node.storage.inner().copy(), node.anchor.copy()));
  }

  // Faults.

  private void inject(Inject inject) {
    SimNode node = at(inject.node());
    long until = now + inject.millis();
    trace(inject.toString(), inject.node());
    switch (inject.fault()) {
      case POWER_LOSS -> {
        if (node.engine != null) {
          fire(inject.fault());
          losePower(node, inject.amount(), inject.millis());
        }
      }
      case POWER_LOSS_IN_COMMIT -> {
        switch (inject.amount() % 3) {
          case 0 -> node.storage.losePower(WatchedStorage.Point.BEFORE_COMMIT);
          case 1 -> node.storage.losePower(WatchedStorage.Point.AFTER_COMMIT);
          default -> node.anchor.losePower();
        }
      }
      case RESTART -> {
        if (node.engine != null) {
          fire(inject.fault());
          restart(node, inject.millis());
        }
      }
      case DISK_FULL -> {
        node.fullUntil = Math.max(node.fullUntil, until);
        node.storage.full(true);
        after(
            inject.millis(),
            () -> {
              if (now >= node.fullUntil) {
                node.storage.full(false);
              }
            });
      }
      case DISK_FAILED -> {
        if (node.engine == null) {
          return;
        }
        if (inject.amount() % 2 == 0) {
          node.storage.inner().failNextCommit(MemoryStorage.Fault.FAILED);
        } else {
          node.storage.inner().failNextSync(MemoryStorage.Fault.SYNC_FAILED);
        }
      }
      case RESTORE, RESTORE_WITHOUT_ANCHOR, ROLLBACK -> restore(node, inject);
      case REVOKE -> {
        if (inject.other() > 0 && revoke(admin(inject), nodes.get(inject.other()), null)) {
          fire(inject.fault());
        }
      }
      case DEMOTE -> {
        if (inject.other() > 0 && revoke(admin(inject), nodes.get(inject.other()), Role.READ)) {
          fire(inject.fault());
        }
      }
      case RIVALS -> {
        SimNode rival = nodes.get(1 + inject.amount() % MAX_ADMINS);
        SimNode other = nodes.get(inject.amount() / 4 % 2 == 0 ? 0 : 3 - rival.index);
        boolean third = inject.amount() / 8 % 2 == 0 && scenario.replicas() > 3;
        boolean one = revoke(rival, third ? nodes.get(3) : other, null);
        if (revoke(other, third ? nodes.get(3) : rival, null) && one) {
          fire(inject.fault());
        }
      }
      case READMIT -> {
        if (readmit(admin(inject), nodes.get(inject.other()))) {
          fire(inject.fault());
        }
      }
      case ADOPT -> adoptAny(node);
      case CLONE -> cloneDevice(node, nodes.get(inject.other()), until);
      case COMPACT -> compact(node);
      case CUT -> cut(node);
      case BIT_FLIP -> {
        Backup backup = backups.remove(inject);
        if (backup != null && node.engine != null && node.storage.flipBit(node.random)) {
          node.salvage = backup.storage;
        }
      }
      case PARTITION -> {
        fire(inject.fault());
        for (Pair pair : pairs) {
          boolean aside = (inject.amount() >> pair.a & 1) != (inject.amount() >> pair.b & 1);
          if (aside) {
            pair.block(pair.a, until);
            pair.block(pair.b, until);
          }
        }
      }
      case ONE_WAY -> {
        fire(inject.fault());
        pair(inject).block(inject.node(), until);
      }
      case BREAK -> {
        Connection connection = pair(inject).connection;
        if (connection != null) {
          fire(inject.fault());
          breakConnection(connection);
        }
      }
      case LOSS -> {
        pair(inject).lossUntil = until;
        pair(inject).lossPercent = inject.amount();
      }
      case REPEAT -> {
        pair(inject).repeatUntil = until;
        pair(inject).repeatPercent = inject.amount();
      }
      case REORDER -> {
        pair(inject).reorderUntil = until;
        pair(inject).reorderPercent = inject.amount();
      }
      case CORRUPT -> {
        pair(inject).corruptUntil = until;
        pair(inject).corruptPercent = inject.amount();
      }
      case SLOW -> pair(inject).slowUntil = until;
      case UNREAD -> node.unreadUntil = Math.max(node.unreadUntil, until);
      case NEVER_READS -> node.neverReads = true;
      case CLOCK_STEP, CLOCK_JUMP -> {
        fire(inject.fault());
        node.clockOffset += inject.amount();
      }
      case LATE_ADMISSION -> {
        fire(inject.fault());
        admit(node);
      }
      case EQUIVOCATE,
          FORGE,
          REPLAY,
          WITHHOLD,
          FALSE_HEADS,
          OVERSIZE,
          SPAM_MEMBERS,
          FAR_FUTURE,
          FALSE_ACKS,
          FALSE_GOSSIP,
          FALSE_SNAPSHOT ->
          lie(inject);
    }
  }

  /** Who acts where it takes an admin: the device named, or the founder. */
  private SimNode admin(Inject inject) {
    SimNode node = nodes.get(inject.node());
    return node.storage.chains().membership().may(node.signer.publicKey(), Role.ADMIN)
        ? node
        : nodes.getFirst();
  }

  /** Copies a data directory with its anchor onto a further machine, which is alone at first. */
  private void cloneDevice(SimNode node, SimNode clone, long aloneUntil) {
    if (!clone.dormant || node.engine == null || node.dormant) {
      return;
    }
    fire(Fault.CLONE);
    clone.dormant = false;
    clone.signer = node.signer;
    clone.identity = node.identity;
    clone.author = node.author;
    clone.anchor = node.anchor.copy();
    MemoryStorage copy = node.storage.inner().copy();
    clone.storage = watched(copy, Chains.scan(clone.owner(), ledger, copy));
    share(clone);
    for (Pair pair : pairs) {
      pair.same |= at(pair.a).author == at(pair.b).author;
      if (pair.a == clone.index || pair.b == clone.index) {
        pair.block(pair.a, aloneUntil);
        pair.block(pair.b, aloneUntil);
      }
    }
    start(clone);
  }

  /** What a data directory would write next as its actor, another may have written already. */
  private void share(SimNode node) {
    byte[] nonce = node.storage.inner().get(Table.META, ACTOR);
    if (nonce != null) {
      ActorId own = new Genesis(node.signer.publicKey(), nonce).actor(DATABASE);
      ledger.share(own, node.storage.chains().seq(own));
    }
  }

  private void compact(SimNode node) {
    guard(
        node,
        engine -> {
          long before = engine.replica().log().floor().arrivals();
          engine.compactNow(
              () -> {
                if (engine.replica().log().floor().arrivals() > before) {
                  fire(Fault.COMPACT);
                }
              });
        });
    scheduleTurn(node);
  }

  /** The device believes that nobody else counts. */
  private void cut(SimNode node) {
    guard(
        node,
        engine -> {
          engine.turn(true);
          if (!engine.replica().mayWrite()) {
            return; // It waits for everybody.
          }
          node.storage.chains().cutsFreely(true);
          try {
            long before = engine.replica().log().floor().arrivals();
            engine.replica().truncate(actor -> Long.MAX_VALUE, Long.MAX_VALUE, 0);
            if (engine.replica().log().floor().arrivals() > before) {
              fire(Fault.CUT);
            }
          } catch (StorageException e) {
            trace("cuts nothing: " + e.code(), node.index);
          }
          node.storage.chains().cutsFreely(scenario.cutsFreely());
        });
  }

  /** A device lies for a while, or for ever. */
  private void lie(Inject inject) {
    SimNode device = at(inject.node());
    Liar liar = device.liar;
    if (liar == null) {
      return; // A shrunk scenario may have fewer.
    }
    long end = inject.amount() % 3 == 0 ? Long.MAX_VALUE : now + inject.millis();
    lie(liar, inject, end);
  }

  private void lie(Liar liar, Inject inject, long end) {
    // A fork takes two listeners.
    int listener =
        inject.fault() == Fault.EQUIVOCATE
            ? liar.random.nextInt(nodes.size())
            : inject.other() % nodes.size();
    Connection connection = pair(listener, inject.node()).connection;
    if (connection != null && !connection.dead && liar.tell(inject.fault(), connection.atB)) {
      fire(inject.fault());
    }
    if (now < end) {
      after(40 + liar.random.nextInt(400), () -> lie(liar, inject, end));
    }
  }

  private Pair pair(Inject inject) {
    return pair(Math.min(inject.node(), inject.other()), Math.max(inject.node(), inject.other()));
  }

  private Pair pair(int a, int b) {
    return pairs.stream().filter(p -> p.a == a && p.b == b).findFirst().orElseThrow();
  }

  private void restart(SimNode node, long downMillis) {
    guard(
        node,
        engine -> {
          try {
            engine.replica().close();
          } catch (StorageException e) {
            trace("unclean end", node.index);
          }
          MemoryStorage storage = node.storage.inner();
          // The operating system goes on: all that it was given reaches the disk.
          stop(node, storage.crash(storage.unsyncedCommits()), false, downMillis);
        });
  }

  private void restore(SimNode node, Inject inject) {
    Backup backup = backups.remove(inject);
    if (backup == null) {
      return;
    }
    fire(inject.fault());
    if (scenario.defect() == Defect.ANCHOR_INSIDE_DATABASE || inject.fault() == Fault.ROLLBACK) {
      node.anchor = backup.anchor;
    } else if (inject.fault() == Fault.RESTORE_WITHOUT_ANCHOR) {
      node.anchor = new WatchedAnchor();
    }
    stop(node, backup.storage, true, inject.millis());
    if (inject.fault() == Fault.ROLLBACK) {
      share(node);
    }
  }

  /** A damaged database is replaced by an earlier copy; false when it is not damaged. */
  private boolean salvage(SimNode node) {
    MemoryStorage copy = node.salvage;
    if (copy == null || !node.storage.isDamaged()) {
      return false;
    }
    fire(Fault.BIT_FLIP);
    node.salvage = null;
    stop(node, copy, true, 1_000);
    return true;
  }

  private void heal() {
    trace("heal", -1);
    nodes.forEach(this::salvage);
    pairs.forEach(Pair::heal);
    for (SimNode device : liars) {
      if (device.liar != null) {
        device.liar.quiet();
      }
    }
    for (SimNode node : nodes) {
      node.fullUntil = 0;
      node.unreadUntil = 0;
      node.clockOffset = 0;
      node.storage.full(false);
      if (node.index > 0 && node.index < scenario.replicas()) {
        admit(node);
      }
    }
  }

  // Network.

  private void attempt(Pair pair, long delayMillis) {
    if (!pair.attemptScheduled && pair.connection == null && !pair.same) {
      pair.attemptScheduled = true;
      after(
          delayMillis,
          () -> {
            pair.attemptScheduled = false;
            connect(pair);
          });
    }
  }

  private void connect(Pair pair) {
    SimNode a = at(pair.a);
    SimNode b = at(pair.b);
    if (pair.connection != null || a.dormant || b.dormant) {
      return; // A clone tries anew when it begins.
    }
    boolean up = a.engine != null && (b.engine != null || b.liar != null);
    if (!up || now < pair.blockedToA || now < pair.blockedToB) {
      pair.backoffMillis = Math.min(MAX_BACKOFF_MILLIS, 100 + 2 * pair.backoffMillis);
      attempt(pair, pair.backoffMillis);
      return;
    }
    pair.backoffMillis = 0;
    trace("connected to " + b.index, a.index);
    var connection = new Connection(pair, this, a, b);
    pair.connection = connection;
    guard(a, engine -> connection.atA.peer = engine.connect(connection.atA));
    Liar liar = b.liar;
    if (liar != null && !connection.dead) {
      liar.connected(connection.atB);
    } else if (!connection.dead) {
      guard(b, engine -> connection.atB.peer = engine.connect(connection.atB));
    }
    scheduleTurn(a);
    scheduleTurn(b);
  }

  /** Ends a connection to a device that was removed, once it has heard so. */
  void dismiss(End end) {
    trace("dismisses " + end.far().owner.index, end.owner.index);
    at(end.lastArrival + 1, () -> breakConnection(end.connection));
  }

  /** Ends a connection: each side notices in its own time, and later they try again. */
  void breakConnection(Connection connection) {
    if (connection.dead) {
      return;
    }
    connection.dead = true;
    trace("connection to " + connection.pair.b + " ends", connection.pair.a);
    noticeEnd(connection.atA);
    noticeEnd(connection.atB);
    after(
        2_000,
        () -> {
          if (connection.pair.connection == connection) {
            connection.pair.connection = null;
          }
          attempt(connection.pair, connection.pair.connecting.nextInt(500));
        });
  }

  private void noticeEnd(End end) {
    after(
        end.chances().nextInt(2_000),
        () -> {
          ReplicaEngine.Peer peer = end.peer;
          if (peer != null && end.owner.lives == end.life) {
            guard(end.owner, engine -> engine.disconnect(peer));
          }
        });
  }

  boolean isWritable(End end) {
    if (scenario.defect() == Defect.UNBOUNDED_LINK) {
      return true;
    }
    return end.hasRoom();
  }

  void send(End end, SyncMessage given) {
    SimNode node = end.owner;
    checkPublished(node, given);
    boolean tells = given instanceof SyncMessage.Hello || given instanceof SyncMessage.Members;
    if (!tells && node.storage.chains().isRemoved(end.far().owner.signer.publicKey())) {
      throw new Violation(
          Invariant.I9,
          "node "
              + node.index
              + " sends "
              + given.getClass().getSimpleName()
              + " to removed device "
              + end.far().owner.index);
    }
    Connection connection = end.connection;
    if (connection.dead) {
      return;
    }
    SyncMessage message = given;
    if (given instanceof SyncMessage.Hello hello && scenario.windowBytes() > 0) {
      message = hello.withWindow(scenario.windowBytes());
    }
    if (given instanceof SyncMessage.Probe && scenario.defect() == Defect.NO_PROBE) {
      return;
    }
    if (given instanceof SyncMessage.Changes && end.underWay.size() >= SimNetwork.MAX_UNDER_WAY) {
      throw new Violation(
          Invariant.I11, "node " + node.index + " sends changes over a link that is not writable");
    }
    if (end.underWay.size() >= SimNetwork.MAX_QUEUED) {
      throw new Violation(
          Invariant.I11, end.underWay.size() + " messages are under way from node " + node.index);
    }
    transmit(end, message.toByteArray(), message.getClass().getSimpleName());
  }

  /** Carries bytes, in as far as the channel does. */
  void transmit(End end, byte[] bytes, String what) {
    Connection connection = end.connection;
    if (connection.dead) {
      return;
    }
    Pair pair = connection.pair;
    SimNode receiver = end.far().owner;
    trace("sends to " + receiver.index + " " + what, end.owner.index, bytes);
    RandomGenerator random = end.chances();
    int latency = 1 + random.nextInt(30);
    if (now < pair.slowUntil) {
      fire(Fault.SLOW);
      latency += 200 + random.nextInt(1_500);
    }
    long blocked = pair.blockedTo(receiver.index);
    if (blocked - now > STUCK_MILLIS && !connection.breakScheduled) {
      connection.breakScheduled = true;
      after(STUCK_MILLIS, () -> breakConnection(connection));
    }
    if (now < pair.corruptUntil && random.nextInt(100) < pair.corruptPercent) {
      fire(Fault.CORRUPT);
      bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
    }
    if (now < pair.lossUntil && random.nextInt(100) < pair.lossPercent) {
      fire(Fault.LOSS);
      return;
    }
    if (now < pair.repeatUntil && random.nextInt(100) < pair.repeatPercent) {
      fire(Fault.REPEAT);
      at(Math.max(blocked, now + latency + random.nextInt(500)), () -> arrive(end, bytes));
    }
    if (now < pair.reorderUntil && random.nextInt(100) < pair.reorderPercent) {
      fire(Fault.REORDER);
      at(Math.max(blocked, now + latency + random.nextInt(500)), () -> arrive(end, bytes));
      return;
    }
    end.underWay.add(bytes);
    end.bytesUnderWay += bytes.length;
    end.lastArrival = Math.max(end.lastArrival, Math.max(blocked, now + latency));
    at(end.lastArrival, () -> arriveNext(end));
  }

  private void arriveNext(End from) {
    Connection connection = from.connection;
    if (connection.dead) {
      return;
    }
    SimNode receiver = connection.other(from).owner;
    if (receiver.neverReads || from.far().refusesToRead) {
      if (receiver.neverReads) {
        fire(Fault.NEVER_READS);
      }
      return;
    }
    if (now < receiver.unreadUntil) {
      fire(Fault.UNREAD);
      at(receiver.unreadUntil, () -> arriveNext(from));
      return;
    }
    boolean hadRoom = from.hasRoom();
    byte[] bytes = from.underWay.remove();
    from.bytesUnderWay -= bytes.length;
    if (!hadRoom && from.hasRoom()) {
      scheduleTurn(from.owner);
    }
    arrive(from, bytes);
  }

  private void arrive(End from, byte[] bytes) {
    End to = from.connection.other(from);
    SimNode node = to.owner;
    ReplicaEngine.Peer peer = to.peer;
    Liar liar = node.liar;
    if (liar != null && !from.connection.dead) {
      liar.hears(to, bytes);
    }
    if (from.connection.dead
        || peer == null
        || node.neverReads
        || node.lives != to.life
        || node.engine == null) {
      return;
    }
    messages++;
    trace("receives from " + from.owner.index, node.index, bytes);
    SyncMessage message;
    try {
      message = SyncMessage.read(bytes);
    } catch (CodecException e) {
      if (settlement.isFaithful() && from.owner.liar == null) {
        throw new Violation(
            Invariant.I16, "a correct message cannot be read: " + e.getMessage(), e);
      }
      breakConnection(from.connection);
      return;
    }
    guard(
        node,
        engine -> {
          engine.receive(peer, message);
          if (engine.wantsTurn()) {
            engine.turn(false);
          }
        });
    scheduleTurn(node);
  }

  /**
   * A device that counts on a peer to have everything up to an arrival can: on its disk, where it
   * cannot have it from elsewhere.
   */
  void reached(End end, long arrival) {
    SimNode node = end.owner;
    End far = end.connection.other(end);
    if (end.connection.dead
        || !settlement.isFaithful()
        || far.owner.liar != null
        || far.owner.lives != far.life) {
      return;
    }
    ReplicaEngine engine = node.engine;
    ActorId own = engine == null ? null : engine.replica().ownActor();
    if (engine != null && arrival > engine.replica().view().arrivals()) {
      throw new Violation(
          Invariant.I3, "node " + node.index + " counts on a peer to have what is not here");
    }
    Chains there = far.owner.storage.chains();
    for (long i = end.reached + 1; i <= arrival; i++) {
      Ledger.Key key = node.storage.chains().arrived(i);
      if (key == null) {
        continue;
      }
      ActorId actor = key.actor();
      Hash hash = node.storage.chains().hash(actor, key.seq());
      // Void changes that went, and count again by way of a snapshot, are known by number only.
      boolean has =
          (hash == null ? there.seq(actor) >= key.seq() : there.has(actor, key.seq(), hash))
              && (!actor.equals(own) || there.durableSeq(actor) >= key.seq());
      if (!has && !there.isVoid(actor, key.seq()) && !ledger.isForked(actor)) {
        throw new Violation(
            Invariant.I3,
            "node " + node.index + " counts on node " + far.owner.index + " to have " + key);
      }
    }
    end.reached = arrival;
  }

  /** Nothing of the own actor leaves before it would survive power loss, relaxed writes apart. */
  private void checkPublished(SimNode node, SyncMessage message) {
    ReplicaEngine engine = node.engine;
    ActorId own = engine == null ? null : engine.replica().ownActor();
    if (own == null) {
      return;
    }
    switch (message) {
      case SyncMessage.Changes(var cursor, var runs) -> {
        for (ChangeRun run : runs) {
          if (run.actor().equals(own)) {
            checkPublished(node, own, run.toSeq());
          }
        }
      }
      case SyncMessage.Heads(var wantReply, var frontier) ->
          checkPublished(node, own, frontier.seq(own));
      case SyncMessage.Announce(var cursor, var seqs) ->
          checkPublished(node, own, seqs.getOrDefault(own, 0L));
      case SyncMessage.Hello hello -> {}
      case SyncMessage.Members members -> {}
      case SyncMessage.Origins origins -> {}
      case SyncMessage.Trace trace -> {}
      case SyncMessage.Offshoot offshoot -> {}
      case SyncMessage.Ack ack -> {}
      case SyncMessage.Probe probe -> {}
      case SyncMessage.Ranges ranges -> {}
      case SyncMessage.Frontiers frontiers -> {}
      case SyncMessage.Gossip gossip -> {}
      case SyncMessage.Snapshots snapshots -> {}
      case SyncMessage.StandsOf(var stands) -> {
        if (stands instanceof StandMessage.Stands(var all)) {
          for (Stand stand : all) {
            if (mayBeMadeHere(node, stand, own)) {
              checkPublished(node, own, stand.seq(own));
            }
            checkStand(node, stand);
          }
        }
      }
    }
  }

  /**
   * Whether a stand can be of this copy of the device. A copy that was rolled back passes on what
   * others say they have of it, and what it said itself before.
   */
  private static boolean mayBeMadeHere(SimNode node, Stand stand, ActorId own) {
    return Arrays.equals(stand.device(), node.signer.publicKey())
        && stand.seq(own) <= node.storage.chains().seq(own);
  }

  /** A stand says what is on the device's disk, relaxed writes too. */
  private void checkStand(SimNode node, Stand stand) {
    if (!Arrays.equals(stand.device(), node.signer.publicKey())
        || nodes.stream().anyMatch(n -> n != node && n.author == node.author)) {
      return;
    }
    ReplicaEngine engine = node.engine;
    if (engine == null) {
      return;
    }
    for (ActorId actor : engine.replica().view().frontier().heads().keySet()) {
      if (stand.seq(actor) > ledger.everDurable(stand.device(), actor)) {
        throw new Violation(
            Invariant.I14,
            "node "
                + node.index
                + " says it has change "
                + stand.seq(actor)
                + " of "
                + actor
                + " on its disk");
      }
    }
  }

  private void checkPublished(SimNode node, ActorId own, long upTo) {
    ledger.publish(own, upTo);
    Anchor.Mark mark = node.anchor.recorded();
    boolean anchored = mark != null && mark.actor().equals(own) && mark.seq() >= upTo;
    if (upTo > 0 && !anchored && !node.storage.isRelaxedMarked()) {
      throw new Violation(
          Invariant.I14,
          "node " + node.index + " publishes change " + upTo + " of " + own + " unanchored");
    }
    for (long seq = node.storage.chains().durableSeq(own) + 1; seq <= upTo; seq++) {
      long number = seq;
      boolean relaxed =
          acknowledged.stream().anyMatch(w -> w.relaxed && w.seq == number && w.actor.equals(own));
      if (!relaxed) {
        throw new Violation(
            Invariant.I14,
            "node "
                + node.index
                + " publishes change "
                + seq
                + " of "
                + own
                + " before it is synced");
      }
    }
  }

  // Writes.

  private void write(Write write) {
    SimNode node = nodes.get(write.node());
    trace(write.toString(), write.node());
    guard(
        node,
        engine -> {
          node.lastWrite.put(write.document(), write.id());
          var acknowledgement = write.relaxed() ? Acknowledgement.RELAXED : Acknowledgement.LOCAL;
          engine.submit(
              new Transaction(edits(write), acknowledgement),
              (receipt, failure) -> done(node, write, receipt, failure));
          scheduleTurn(node);
          if (engine.wantsTurn()) {
            engine.turn(false);
          }
        });
  }

  private static List<Edit> edits(Write write) {
    String id = write.document();
    int n = write.id();
    return switch (write.kind()) {
      case PUT -> List.of(put(id, n));
      case PATCH -> List.of(patch(id, n));
      case DELETE -> List.of(Edit.delete(id));
      case INCREMENT -> List.of(typed(id, n));
      case PAIR_PUT -> List.of(put(id + ":a", n), put(id + ":b", n));
      case PAIR_DELETE -> List.of(Edit.delete(id + ":a"), Edit.delete(id + ":b"));
      case BATCH -> List.of(put(id, n), patch(id, n + 1), put("cold:b" + n, n));
    };
  }

  private static Edit put(String id, int n) {
    String filler =
        n % 20 == 0
            ? ",\"_edge\":true,\"from\":\"cold:b1\",\"to\":\"cold:b%d\",\"text\":\"%s\""
                .formatted(n % 3, "x".repeat(2_900))
            : "";
    return Edit.put(
        id,
        ("{\"w\":"
                + n
                + ",\"f"
                + n % 4
                + "\":{\"a\":"
                + n
                + ",\"b\":["
                + n % 3
                + "]}"
                + filler
                + "}")
            .getBytes(StandardCharsets.UTF_8));
  }

  /** An edit of a counter, text, list or set; some are refused, because nothing is there yet. */
  private static Edit typed(String id, int n) {
    List<byte[]> value = List.of(Integer.toString(n % 5).getBytes(StandardCharsets.UTF_8));
    return switch (n % 10) {
      case 0, 1 -> Edit.spliceText(id, "t", Edit.END, 0, "ab" + n);
      case 2 -> Edit.spliceText(id, "t", 1, 2, "\u00e9");
      case 3, 4 -> Edit.insertIntoList(id, "l", 0, value);
      case 5 -> Edit.moveInList(id, "l", 0, 1);
      case 6 -> Edit.setInList(id, "l", 0, value.getFirst());
      case 7 -> Edit.addToSet(id, "s", value);
      case 8 -> Edit.removeFromSet(id, "s", value);
      default -> Edit.increment(id, "n", n % 7 - 3);
    };
  }

  private static Edit patch(String id, int n) {
    String value = n % 5 == 0 ? "null" : n % 5 == 1 ? "{\"a\":" + n + "}" : String.valueOf(n);
    return Edit.patch(
        id,
        ("{\"w\":" + n + ",\"f" + n % 4 + "\":" + value + "}").getBytes(StandardCharsets.UTF_8));
  }

  private void done(
      SimNode node, Write write, @Nullable Receipt receipt, @Nullable RuntimeException failure) {
    ReplicaEngine engine = node.engine;
    if (receipt == null || engine == null) {
      trace("refused " + write.id(), node.index);
      if (!(failure instanceof CoreException) && !(failure instanceof StorageException)) {
        throw new Violation(Invariant.I16, "write " + write.id() + " failed with " + failure);
      }
      return;
    }
    trace("acknowledged " + write.id(), node.index);
    Hash hash = node.storage.chains().hash(receipt.actor(), receipt.seq());
    if (hash == null) {
      throw new Violation(Invariant.I6, "write " + write.id() + " is acknowledged and not logged");
    }
    acknowledged.add(new Acknowledged(node.index, receipt, hash, write.relaxed()));
    if (!write.relaxed() && node.storage.chains().durableSeq(receipt.actor()) < receipt.seq()) {
      throw new Violation(
          Invariant.I3, "node " + node.index + " acknowledges write " + write.id() + " unsynced");
    }
    Frontier frontier = engine.replica().view().frontier();
    if (frontier.seq(receipt.actor()) < receipt.seq()) {
      throw new Violation(Invariant.I6, "write " + write.id() + " is acknowledged and not there");
    }
    if (write.id() == node.lastWrite.getOrDefault(write.document(), -1)
        && frontier.seq(receipt.actor()) == receipt.seq()
        && engine.replica().view().arrivals() == receipt.arrival()) {
      readOwn(node, write, receipt);
    }
  }

  /** The newest change on this device is this write: it must show. */
  private static void readOwn(SimNode node, Write write, Receipt receipt) {
    String id =
        switch (write.kind()) {
          case PAIR_PUT, PAIR_DELETE -> write.document() + ":a";
          case PUT, PATCH, DELETE, INCREMENT, BATCH -> write.document();
        };
    byte[] row = node.storage.inner().get(Table.STATE, id.getBytes(StandardCharsets.UTF_8));
    DocumentState state = row == null ? new DocumentState() : DocumentState.read(row);
    boolean shows =
        switch (write.kind()) {
          case DELETE, PAIR_DELETE -> !state.exists();
          case PUT, PATCH, INCREMENT, PAIR_PUT, BATCH ->
              state.exists() && state.clock().getOrDefault(receipt.actor(), 0L) == receipt.seq();
        };
    if (!shows) {
      throw new Violation(Invariant.I6, "node " + node.index + " does not read its " + write);
    }
  }
}
