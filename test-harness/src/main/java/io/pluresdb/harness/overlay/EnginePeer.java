package io.pluresdb.harness.overlay;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.engine.PeerLink;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.sync.SyncMessage;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** A device with the product's own engine over a storage in memory. */
final class EnginePeer implements OverlayPeer {
  /** The wall clock of virtual time zero. */
  private static final long EPOCH_MILLIS = 1_700_000_000_000L;

  /** Which change of the run each (actor, seq) is; filled in when it is written. */
  static final class Published {
    private final Map<String, Integer> numbers = new LinkedHashMap<>();

    int[] of(List<ChangeRun> runs) {
      return runs.stream()
          .flatMapToInt(
              run ->
                  java.util.stream.LongStream.rangeClosed(run.fromSeq(), run.toSeq())
                      .mapToInt(seq -> numbers.getOrDefault(run.actor().hex() + seq, -1)))
          .filter(change -> change >= 0)
          .toArray();
    }
  }

  private static final class End implements PeerLink {
    private final EnginePeer owner;
    private final Link link;
    ReplicaEngine.@Nullable Peer peer;

    End(EnginePeer owner, Link link) {
      this.owner = owner;
      this.link = link;
    }

    @Override
    public void send(SyncMessage message) {
      int[] changes =
          message instanceof SyncMessage.Changes(var cursor, var runs)
              ? owner.published.of(runs)
              : new int[0];
      byte[] bytes = message.toByteArray();
      owner.network.send(link, new Message(kind(message), bytes, bytes.length, changes));
    }

    private static Kind kind(SyncMessage message) {
      return switch (message) {
        case SyncMessage.Changes changes -> Kind.CHANGES;
        case SyncMessage.Ack ack -> Kind.ACK;
        case SyncMessage.Announce announce -> Kind.ANNOUNCE;
        case SyncMessage.Graft graft -> Kind.GRAFT;
        case SyncMessage.Prune prune -> Kind.PRUNE;
        case SyncMessage.Overlay overlay -> Kind.VIEW;
        default -> Kind.COMPARE;
      };
    }

    @Override
    public boolean isWritable() {
      return true;
    }

    @Override
    public void flush() {}

    @Override
    public Contact contact() {
      return owner.contactOf(link.peer);
    }

    @Override
    public boolean initiator() {
      return link.initiator;
    }

    @Override
    public void close(String reason) {
      owner.network.close(link);
    }
  }

  private final OverlayNetwork network;
  private final Published published;
  private final ReplicaEngine engine;

  EnginePeer(
      OverlayNetwork network,
      int index,
      ReplicaIdentity identity,
      List<MembershipEntry> members,
      Published published,
      boolean tree) {
    this.network = network;
    this.published = published;
    var environment =
        new Environment(
            () -> Instant.ofEpochMilli(EPOCH_MILLIS + network.now()),
            new SplittableRandom(index * 31L + 7));
    engine =
        new ReplicaEngine(
            Replica.open(new MemoryStorage(), identity, new MemoryAnchor(), environment),
            environment,
            event -> {});
    members.forEach(engine::admit);
    engine.turn(true);
    if (!tree) {
      engine.pushToAll();
    }
    engine.govern(contact -> network.dial(index, network.index(contact.peer())));
  }

  private Contact contactOf(int peer) {
    return new Contact(network.id(peer), "192.168.100.100:34570");
  }

  private static End end(Link link) {
    if (link.state instanceof End end) {
      return end;
    }
    throw new IllegalStateException("a link has an end");
  }

  private void turn() {
    while (engine.turn(true)) {
      // Until no session can go on.
    }
  }

  @Override
  public void connected(Link link) {
    var end = new End(this, link);
    link.state = end;
    end.peer = engine.connect(end);
    turn();
  }

  @Override
  public void closed(Link link) {
    ReplicaEngine.Peer peer = end(link).peer;
    if (peer != null) {
      engine.disconnect(peer);
    }
    turn();
  }

  @Override
  public void unreachable(int peer) {
    engine.unreachable(network.id(peer));
  }

  @Override
  public void receive(Link link, Message message) {
    ReplicaEngine.Peer peer = end(link).peer;
    if (peer != null) {
      engine.receive(peer, SyncMessage.read((byte[]) message.content()));
    }
    turn();
  }

  @Override
  public void tick() {
    engine.tick();
    turn();
  }

  @Override
  public void learn(int peer) {
    engine.learn(contactOf(peer));
  }

  @Override
  public void write(int change) {
    String json = "{\"text\":\"" + "abcdefghij".repeat(18) + "\",\"n\":" + change + "}";
    engine.submit(
        Transaction.of(Edit.put("document-" + change, json.getBytes(StandardCharsets.UTF_8))),
        (receipt, failure) -> {
          if (receipt == null) {
            throw new IllegalStateException("the write was refused", failure);
          }
          // Told before the sessions send it.
          published.numbers.put(receipt.actor().hex() + receipt.seq(), change);
        });
    turn();
  }

  @Override
  public boolean has(int change) {
    byte[] id = ("document-" + change).getBytes(StandardCharsets.UTF_8);
    return engine.replica().storage().get(io.pluresdb.crdt.store.Storage.Table.STATE, id) != null;
  }

  Hash stateHash() {
    return engine.replica().view().stateHash();
  }

  @Override
  public List<PeerId> neighbours() {
    return engine.neighbours();
  }

  @Override
  public List<PeerId> reserve() {
    return List.of();
  }
}
