package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.DocumentReader;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.sync.SyncMessage;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.random.RandomGenerator;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** A device for tests: an engine over a storage in memory, with a clock that is set by hand. */
final class Device {
  static final Hash DATABASE = ReplicaIdentity.databaseHash("test");

  final Signer signer;
  final byte[] founder;
  final List<String> events = new ArrayList<>();
  MemoryStorage storage = new MemoryStorage();
  MemoryAnchor anchor = new MemoryAnchor();
  long wallMillis = 1_000_000;
  private final RandomGenerator random;
  ReplicaEngine engine;

  /** What the next engine gets. */
  ReplicaEngine.Helpers helpers = ReplicaEngine.Helpers.NONE;

  private final KeyScope scope;

  Device(long seed, byte @Nullable [] founder) {
    this(seed, founder, KeyScope.ALL);
  }

  private Device(long seed, byte @Nullable [] founder, KeyScope scope) {
    this(seed, founder, scope, null);
  }

  private Device(long seed, byte @Nullable [] founder, KeyScope scope, @Nullable Signer key) {
    this.scope = scope;
    random = new Random(seed);
    byte[] secret = new byte[32];
    random.nextBytes(secret);
    signer = key == null ? new Signer(secret) : key;
    this.founder = founder == null ? signer.publicKey() : founder;
    engine = open();
  }

  /** The device that made the database. */
  static Device founder(long seed) {
    return new Device(seed, null);
  }

  /** A further device, admitted by this one. */
  Device join(long seed) {
    return join(seed, Role.WRITE);
  }

  Device join(long seed, Role role) {
    var device = new Device(seed, founder);
    admit(device, role);
    return device;
  }

  /** A further device that holds some documents, admitted by this one. */
  Device join(long seed, KeyScope scope) {
    var device = new Device(seed, founder, scope);
    admit(device, Role.WRITE);
    return device;
  }

  void admit(Device device, Role role) {
    engine.admit(
        MembershipEntry.Admit.sign(
            DATABASE,
            device.signer.publicKey(),
            role,
            "d",
            ++wallMillis,
            new byte[16],
            view().membership().newest(),
            signer));
  }

  /** Takes every role above {@code keep}, accepting what is here. */
  void revoke(Device device, @Nullable Role keep) {
    engine.admit(
        engine.replica().removal(device.signer.publicKey(), keep, ++wallMillis, Hash.ZERO));
  }

  /** A copy of this device's data directory, in use beside it. */
  Device cloned() {
    var clone = new Device(7_000 + wallMillis, founder, scope, signer);
    clone.wallMillis = wallMillis;
    clone.storage = storage.copy();
    if (anchor.read() instanceof Anchor.Reading.Valid(var mark)) {
      clone.anchor.record(mark);
    }
    clone.engine = clone.open();
    return clone;
  }

  /** Writes again what another device did that does not count. */
  long adopt(Device other) {
    wallMillis++;
    long adopted = engine.adopt(other.signer.publicKey());
    engine.turn(true);
    return adopted;
  }

  /** Code points of the text at {@code t} of a document, 0 when there is none. */
  int textLength(String id) {
    String json = json(id);
    Matcher text = Pattern.compile("\"t\":\"([^\"]*)\"").matcher(json == null ? "" : json);
    return text.find() ? text.group(1).length() : 0;
  }

  private ReplicaEngine open() {
    var environment = new Environment(() -> Instant.ofEpochMilli(wallMillis), random);
    var identity = new ReplicaIdentity(DATABASE, founder, signer, Signer::verify, scope);
    return new ReplicaEngine(
        Replica.open(storage, identity, anchor, environment), environment, events::add, helpers);
  }

  /** Ends without warning and starts again with what the disk holds after power loss. */
  void crash() {
    storage = storage.crash();
    engine = open();
  }

  /** Ends cleanly and starts again. */
  void restart() {
    engine.replica().close();
    engine = open();
  }

  /** Turns until nothing more can be done at once. */
  void turns() {
    while (engine.turn(true)) {
      assertThat(engine.broken()).isNull();
    }
  }

  /** Lets time pass. */
  void pass(long millis) {
    wallMillis += millis;
    engine.tick();
    turns();
  }

  Receipt write(Edit... edits) {
    wallMillis++;
    var result = new ArrayList<Object>();
    engine.submit(
        Transaction.of(edits),
        (receipt, failure) -> result.add(receipt != null ? receipt : failure));
    engine.turn(true);
    if (result.getFirst() instanceof RuntimeException e) {
      throw e;
    }
    return (Receipt) result.getFirst();
  }

  Receipt put(String id, String json) {
    return write(Edit.put(id, json.getBytes(StandardCharsets.UTF_8)));
  }

  Receipt patch(String id, String json) {
    return write(Edit.patch(id, json.getBytes(StandardCharsets.UTF_8)));
  }

  @Nullable NodeRecord get(String id) {
    return DocumentReader.read(storage, id.getBytes(StandardCharsets.UTF_8));
  }

  @Nullable String json(String id) {
    NodeRecord record = get(id);
    return record == null ? null : record.json();
  }

  List<NodeRecord.Conflict> conflicts(String id) {
    NodeRecord record = get(id);
    return record == null ? List.of() : record.conflicts();
  }

  Replica.View view() {
    return engine.replica().view();
  }

  /** A connection of two devices; messages move when {@link #settle} is called. */
  static final class Wire {
    private final Device a;
    private final Device b;
    private final End endA = new End();
    private final End endB = new End();
    private final ReplicaEngine.Peer peerOfA;
    private final ReplicaEngine.Peer peerOfB;
    long messages;

    private Wire(Device a, Device b, boolean authenticated) {
      this.a = a;
      this.b = b;
      if (authenticated) {
        endA.far = b.signer.publicKey();
        endB.far = a.signer.publicKey();
      }
      peerOfA = a.engine.connect(endA);
      peerOfB = b.engine.connect(endB);
    }

    /** Moves messages until both sides are quiet. */
    void settle() {
      for (int idle = 0; idle < 3; idle++) {
        a.turns();
        b.turns();
        idle = move(endA, b, peerOfB) + move(endB, a, peerOfA) > 0 ? -1 : idle;
      }
    }

    /** Lets both sides work, and at most one message of each side arrive. */
    boolean step() {
      a.engine.turn(true);
      b.engine.turn(true);
      boolean moved = moveOne(endA, b, peerOfB);
      return moveOne(endB, a, peerOfA) || moved;
    }

    private boolean moveOne(End from, Device to, ReplicaEngine.Peer peer) {
      byte[] message = from.queue.poll();
      if (message != null) {
        to.engine.receive(peer, SyncMessage.read(message));
        messages++;
      }
      return message != null;
    }

    private int move(End from, Device to, ReplicaEngine.Peer peer) {
      int moved = 0;
      byte[] message;
      while ((message = from.queue.poll()) != null) {
        to.engine.receive(peer, SyncMessage.read(message));
        moved++;
      }
      messages += moved;
      return moved;
    }

    /** What side a found out about divergence by itself. */
    List<Comparison> divergencesAtA() {
      return endA.divergences;
    }

    /** Begins to compare documents, asked by side a. */
    void begin(KeyRange range, List<Comparison> outcomes) {
      a.engine.compare(peerOfA, range, false, 1_000, outcomes::add);
    }

    /** Moves the first messages of both sides. */
    void moveHellos() {
      a.engine.turn(true);
      b.engine.turn(true);
      List<byte[]> fromA = List.copyOf(endA.queue);
      List<byte[]> fromB = List.copyOf(endB.queue);
      lose();
      fromA.forEach(message -> b.engine.receive(peerOfB, SyncMessage.read(message)));
      fromB.forEach(message -> a.engine.receive(peerOfA, SyncMessage.read(message)));
    }

    /** Loses what is under way. */
    void lose() {
      endA.queue.clear();
      endB.queue.clear();
    }

    /** Moves what side a has sent. */
    void moveToB() {
      move(endA, b, peerOfB);
    }

    /** Moves what side b has sent. */
    void moveToA() {
      move(endB, a, peerOfA);
    }

    /** How often from now on side a is told that the link has no room. */
    void refuse(int times) {
      endA.refusals = times;
    }

    /** Side b speaks. */
    void tellA(SyncMessage message) {
      a.engine.receive(peerOfA, message);
    }

    /** What side a has sent and did not arrive. */
    List<SyncMessage> underWayFromA() {
      return endA.queue.stream().map(SyncMessage::read).toList();
    }

    /** Compares all documents, asked by side a. */
    Comparison compare(KeyRange range, boolean exact) {
      var outcome = new ArrayList<Comparison>();
      a.engine.compare(peerOfA, range, exact, 1_000, outcome::add);
      settle();
      assertThat(outcome).hasSize(1);
      return outcome.getFirst();
    }

    /** Bytes sent so far, both directions. */
    long bytes() {
      return endA.bytes + endB.bytes;
    }

    /** How far side a knows side b to be in its arrival log. */
    long reachedAtA() {
      return endA.reached;
    }

    boolean closed() {
      return endA.closed || endB.closed;
    }

    void cut() {
      a.engine.disconnect(peerOfA);
      b.engine.disconnect(peerOfB);
    }
  }

  private static final class End implements PeerLink {
    final ArrayDeque<byte[]> queue = new ArrayDeque<>();
    final List<Comparison> divergences = new ArrayList<>();
    long bytes;
    long reached;
    boolean closed;
    int refusals;
    byte @Nullable [] far;

    @Override
    public byte @Nullable [] deviceKey() {
      return far;
    }

    @Override
    public void reached(long arrival, boolean whole) {
      reached = arrival;
    }

    @Override
    public void diverged(Comparison comparison) {
      divergences.add(comparison);
    }

    @Override
    public void send(SyncMessage message) {
      queue.add(message.toByteArray());
      bytes += queue.getLast().length;
    }

    @Override
    public boolean isWritable() {
      return refusals == 0 || --refusals < 0;
    }

    @Override
    public void flush() {}

    @Override
    public void close(String reason) {
      closed = true;
    }
  }

  Wire connect(Device other) {
    return new Wire(this, other, false);
  }

  /** A connection over which each side knows who the other is. */
  Wire connectAuthenticated(Device other) {
    return new Wire(this, other, true);
  }

  /** Connects, lets both become equal, disconnects. */
  void sync(Device other) {
    Wire wire = connect(other);
    wire.settle();
    wire.cut();
  }

  void assertEquals(Device other) {
    assertThat(view().frontier()).isEqualTo(other.view().frontier());
    assertThat(view().stateHash()).isEqualTo(other.view().stateHash());
    assertThat(view().documents()).isEqualTo(other.view().documents());
    assertSameRows(Table.STATE, other);
    assertSameRows(Table.SEQUENCE, other);
  }

  private void assertSameRows(Table table, Device other) {
    try (var mine = storage.snapshot();
        var theirs = other.storage.snapshot();
        var rows = mine.scan(table, new byte[0], null);
        var otherRows = theirs.scan(table, new byte[0], null)) {
      while (rows.next()) {
        assertThat(otherRows.next()).isTrue();
        assertThat(Arrays.equals(rows.key(), otherRows.key())).isTrue();
        assertThat(rows.value()).isEqualTo(otherRows.value());
      }
      assertThat(otherRows.next()).isFalse();
    }
  }
}
