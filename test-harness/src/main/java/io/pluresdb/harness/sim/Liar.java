package io.pluresdb.harness.sim;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.OverlayMessage;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.store.SnapshotEntry;
import io.pluresdb.crdt.store.SnapshotInbox;
import io.pluresdb.crdt.store.SnapshotSource;
import io.pluresdb.crdt.sync.SnapshotMessage;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.harness.check.Ledger;
import io.pluresdb.harness.check.Ledger.Standing;
import io.pluresdb.harness.fault.Fault;
import io.pluresdb.harness.sim.SimNetwork.End;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.random.RandomGenerator;

/**
 * A device that does not run the product: it has a key, hears whatever it is told, and says
 * whatever may do harm. As a member it has a voice in the database; as an outsider it has none, and
 * should not have a session either: here it has one, as if the handshake had failed to refuse it.
 *
 * <p>Between lies it is a peer that has nothing and acknowledges what it gets, so that all of the
 * others' changes come by.
 */
final class Liar {
  private static final int REMEMBERED = 200;
  private static final int WINDOW_BYTES = 1 << 20;

  /** Lies told to a device that has this many messages waiting are not told. */
  private static final int MAX_SAID = 40;

  private static final int MAX_SPAM = 24;
  private static final long YEAR_MILLIS = 31_536_000_000L;

  private final SimNode self;
  private final Standing standing;
  private final SimCluster cluster;
  private final Ledger ledger;
  final RandomGenerator random;
  private final List<ChangeRun> seen = new ArrayList<>();
  private final List<MembershipEntry> spam = new ArrayList<>();
  private final List<byte[]> heard = new ArrayList<>();

  /** What each listener was seen to have. */
  private final Map<Integer, Map<ActorId, Head>> standsAt = new TreeMap<>();

  /** Snapshots on offer, by name, with what they say of actors. */
  private final Map<Hash, Map<ActorId, SignedHead>> forgedSnapshots = new HashMap<>();

  private final Map<End, Long> cursors = new HashMap<>();

  // Chains under the own key. In a fork each device is always told the same branch.
  private Forger valid;
  private Forger gapped;
  private Forger future;
  private Forger left;
  private final Forger overwriter;
  private Forger right;
  private final Forger stranger;
  private boolean quiet;

  Liar(SimNode self, Standing standing, SimCluster cluster, Ledger ledger, RandomGenerator random) {
    this.self = self;
    this.standing = standing;
    this.cluster = cluster;
    this.ledger = ledger;
    this.random = random;
    valid = chain(self.signer, standing);
    gapped = chain(self.signer, standing);
    future = chain(self.signer, standing);
    overwriter = chain(self.signer, standing);
    left = chain(self.signer, standing);
    right = left.branch();
    stranger = chain(new Signer(self.environment.randomBytes(32)), Standing.OUTSIDER);
  }

  private Forger chain(Signer signer, Standing whose) {
    var forger = new Forger(SimCluster.DATABASE, signer, self.environment.randomBytes(16));
    ledger.lies(forger.actor, whose);
    return forger;
  }

  /** From now on nothing new is signed: what was told so far is told again. */
  void quiet() {
    quiet = true;
  }

  // Being a peer.

  void connected(End end) {
    say(
        end,
        new SyncMessage.Hello(
            SyncMessage.VERSION,
            SimCluster.DATABASE,
            Hash.ZERO,
            Hash.ZERO,
            Hash.ZERO,
            new byte[SyncMessage.Hello.NONCE_BYTES],
            0,
            WINDOW_BYTES));
    say(end, new SyncMessage.Heads(false, Frontier.EMPTY));
  }

  void hears(End end, byte[] bytes) {
    SyncMessage message;
    try {
      message = SyncMessage.read(bytes);
    } catch (CodecException e) {
      return; // The channel's doing.
    }
    remember(heard, bytes);
    switch (message) {
      case SyncMessage.Heads heads -> heads(end).putAll(heads.frontier().heads());
      case SyncMessage.Changes changes -> {
        for (ChangeRun run : changes.runs()) {
          remember(seen, run);
          heads(end).put(run.actor(), new Head(run.toSeq(), Hash.ZERO));
        }
        cursors.put(end, changes.cursor());
        say(end, new SyncMessage.Ack(changes.bytes(), changes.cursor()));
      }
      case SyncMessage.Snapshots(SnapshotMessage.Request(var id, var ask)) ->
          giveSnapshot(end, id, ask);
      default -> {}
    }
  }

  private Map<ActorId, Head> heads(End end) {
    return standsAt.computeIfAbsent(end.far().owner.index, listener -> new TreeMap<>());
  }

  private <T> void remember(List<T> all, T one) {
    if (all.size() < REMEMBERED) {
      all.add(one);
    } else {
      all.set(random.nextInt(REMEMBERED), one);
    }
  }

  private void say(End end, SyncMessage message) {
    cluster.transmit(end, message.toByteArray(), message.getClass().getSimpleName());
  }

  private void say(End end, ChangeRun run) {
    say(end, new SyncMessage.Changes(random.nextInt(1 << 20), List.of(run)));
  }

  // Lies.

  /** Tells one lie of a kind; false when there was none to tell yet. */
  boolean tell(Fault lie, End end) {
    if (end.underWay.size() > MAX_SAID) {
      return false;
    }
    return switch (lie) {
      case EQUIVOCATE -> equivocate(end);
      case FORGE -> forge(end);
      case REPLAY -> replay(end);
      case WITHHOLD -> withhold(end);
      case FALSE_HEADS -> falseHeads(end);
      case OVERSIZE -> oversize(end);
      case SPAM_MEMBERS -> spamMembers(end);
      case FAR_FUTURE -> farFuture(end);
      case FALSE_ACKS -> falseAcks(end);
      case FALSE_GOSSIP -> falseGossip(end);
      case FALSE_SNAPSHOT -> falseSnapshot(end);
      default -> throw new IllegalArgumentException(lie + " takes no liar");
    };
  }

  private long timestamp(Forger chain, long aheadMillis) {
    return Math.max(chain.lastTimestamp() + 1, (cluster.networkMillis() + aheadMillis) << 16);
  }

  private static String document(RandomGenerator random) {
    return random.nextBoolean() ? "hot:" + random.nextInt(5) : "lie:" + random.nextInt(5);
  }

  /** What the listener has of somebody else, so that a change may depend on it. */
  private List<Change.Dependency> dependency(End end) {
    for (Map.Entry<ActorId, Head> entry : heads(end).entrySet()) {
      if (!ledger.isLiar(entry.getKey()) && random.nextBoolean()) {
        return List.of(new Change.Dependency(entry.getKey(), entry.getValue().seq()));
      }
    }
    return List.of();
  }

  private void put(Forger chain, End end, long aheadMillis) {
    var dependencies = dependency(end);
    // Sees what it does not depend on, and what nobody has written yet: then all have to wait.
    List<Dot> observed = List.of();
    if (!dependencies.isEmpty() && random.nextInt(3) == 0) {
      Change.Dependency seer = dependencies.getFirst();
      int ahead = cluster.removes() ? 0 : random.nextInt(3);
      observed = List.of(new Dot(seer.actor(), seer.seq() + ahead, random.nextInt(3)));
    }
    chain.put(
        document(random),
        Integer.toString(random.nextInt(1_000)),
        timestamp(chain, aheadMillis),
        random.nextBoolean() ? dependencies : List.of(),
        observed);
  }

  private boolean equivocate(End end) {
    if (standing == Standing.OUTSIDER) {
      return false;
    }
    if (!quiet && left.length() < 12) {
      if (left.length() < 2) {
        put(left, end, 0);
        right = left.branch();
      } else {
        put(left, end, 0);
        put(right, end, 0);
      }
    }
    Forger told = end.far().owner.index % 2 == 0 ? left : right;
    if (told.length() == 0) {
      return false;
    }
    say(end, told.run(1, told.length()));
    return told.length() > 2;
  }

  private boolean forge(End end) {
    if (!quiet && valid.length() < 40) {
      put(valid, end, 0);
    }
    // Something valid between the forgeries: what follows it must be looked at.
    if (valid.length() > 0 && random.nextInt(3) == 0) {
      say(end, valid.run(1, valid.length()));
    }
    if (seen.isEmpty()) {
      return false;
    }
    ChangeRun run = seen.get(random.nextInt(seen.size()));
    byte[] noise = new byte[64];
    random.nextBytes(noise);
    switch (random.nextInt(8)) {
      case 0 -> say(end, tampered(run));
      // Goes on where another actor stands, or a little later, in its name.
      case 1 -> say(end, inTheNameOf(end, run, 1, self.signer.sign(noise)));
      case 2 -> say(end, inTheNameOf(end, run, 2 + random.nextInt(3), noise));
      case 3 -> {
        // Another's beginning under the own key.
        var genesis = new ChangeRun.Genesis(self.signer.publicKey(), new byte[16]);
        say(end, new ChangeRun(run.actor(), 1, genesis, run.changes(), noise));
      }
      case 4 -> {
        // A stretch that was cut where nobody signed.
        int half = run.changes().size() / 2;
        var cut = run.changes().subList(0, Math.max(1, half));
        say(end, new ChangeRun(run.actor(), run.fromSeq(), run.genesis(), cut, run.signature()));
      }
      case 5 -> {
        if (!quiet && stranger.length() < 20) {
          put(stranger, end, 0);
        }
        if (stranger.length() > 0) {
          say(end, stranger.run(1, stranger.length()));
        }
      }
      case 6 -> {
        // Signed, and against the rules.
        Forger broken = chain(self.signer, standing);
        broken.put("lie:0", "1", timestamp(broken, 0), List.of(), List.of());
        byte[] body = random.nextBoolean() ? noise : new byte[0];
        boolean late = random.nextBoolean();
        broken.add(new Change(List.of(), broken.lastTimestamp() + (late ? 1 : -1), body));
        say(end, broken.run(1, 2));
      }
      default -> {
        // Observes what it has not written yet.
        Forger seer = chain(self.signer, standing);
        var dots = List.of(new Dot(seer.actor, 9, 0));
        seer.put("lie:1", "1", timestamp(seer, 0), List.of(), dots);
        say(end, seer.run(1, 1));
      }
    }
    return true;
  }

  private ChangeRun tampered(ChangeRun run) {
    var changes = new ArrayList<>(run.changes());
    int which = random.nextInt(changes.size());
    Change change = changes.get(which);
    byte[] body = change.body().clone();
    if (body.length > 0) {
      body[random.nextInt(body.length)] ^= 1;
    }
    changes.set(which, new Change(change.deps(), change.timestamp(), body));
    return new ChangeRun(run.actor(), run.fromSeq(), run.genesis(), changes, run.signature());
  }

  private ChangeRun inTheNameOf(End end, ChangeRun run, int further, byte[] signature) {
    Head head = heads(end).get(run.actor());
    long from = Math.max(2, (head == null ? 0 : head.seq()) + further);
    long timestamp = timestamp(valid, 0);
    var changes =
        run.changes().stream()
            .map(change -> new Change(List.of(), timestamp + 1, change.body()))
            .limit(1)
            .toList();
    return new ChangeRun(run.actor(), from, null, changes, signature);
  }

  private boolean replay(End end) {
    if (heard.isEmpty() || seen.isEmpty()) {
      return false;
    }
    if (random.nextBoolean()) {
      say(end, seen.get(random.nextInt(seen.size())));
    } else {
      cluster.transmit(end, heard.get(random.nextInt(heard.size())).clone(), "old message");
    }
    return true;
  }

  private boolean withhold(End end) {
    if (!quiet && gapped.length() < 30) {
      put(gapped, end, 0);
      gapped.put(
          "lie:2",
          "2",
          timestamp(gapped, 0),
          List.of(new Change.Dependency(new ActorId(random.nextLong(), 7), 1_000_000)),
          List.of());
    }
    switch (random.nextInt(4)) {
      case 0 -> {
        if (!quiet && overwriter.length() < 60) {
          overwriteUnseen(end);
        }
        if (overwriter.length() > 0) {
          say(end, overwriter.run(1, overwriter.length()));
        }
      }
      case 1 -> {
        if (gapped.length() > 2) {
          int from = 2 + random.nextInt(gapped.length() - 1);
          say(end, gapped.run(from, gapped.length()));
        }
      }
      case 2 -> {
        // Everything it heard of, and more, as if it had it.
        var heads = new TreeMap<ActorId, Head>();
        for (ChangeRun run : seen) {
          byte[] noise = new byte[32];
          random.nextBytes(noise);
          heads.put(run.actor(), new Head(run.toSeq() + random.nextInt(5), new Hash(noise)));
        }
        say(end, new SyncMessage.Heads(random.nextBoolean(), Frontier.of(heads)));
      }
      default -> say(end, new SyncMessage.Heads(true, Frontier.EMPTY));
    }
    return true;
  }

  /** Overwrites what the listener does not have yet, without saying that it depends on it. */
  private void overwriteUnseen(End end) {
    for (ChangeRun run : seen.reversed()) {
      Head known = heads(end).get(run.actor());
      long has = known == null ? 0 : known.seq();
      if (run.toSeq() <= has || ledger.isLiar(run.actor()) || random.nextBoolean()) {
        continue;
      }
      Change last = run.changes().getLast();
      int index = 0;
      for (DocumentEdit edit : ChangeBody.decode(run.actor(), last.body())) {
        // Pairs are only ever written together.
        boolean half = new String(edit.id(), StandardCharsets.UTF_8).startsWith("pair:");
        for (CrdtOperation operation : edit.operations()) {
          if (operation instanceof CrdtOperation.Assign && !half) {
            var seen = new Dot(run.actor(), run.toSeq(), index);
            overwriter.replace(edit.id(), operation.register(), seen, timestamp(overwriter, 0));
            return;
          }
          index += operation.makesDot() ? 1 : 0;
        }
      }
    }
  }

  private boolean falseHeads(End end) {
    var heads = new TreeMap<>(heads(end));
    byte[] noise = new byte[32];
    random.nextBytes(noise);
    heads.replaceAll((actor, head) -> random.nextInt(3) > 0 ? head : wrong(head, noise));
    ActorId own = cluster.ownActor(end.far().owner);
    if (own != null) {
      heads.put(own, wrong(new Head(cluster.ownSeq(end.far().owner, own), Hash.ZERO), noise));
    }
    say(end, new SyncMessage.Heads(random.nextBoolean(), Frontier.of(heads)));
    return true;
  }

  private Head wrong(Head head, byte[] noise) {
    long seq = Math.max(1, head.seq() + random.nextInt(3));
    return new Head(random.nextInt(20) == 0 ? Long.MAX_VALUE : seq, new Hash(noise));
  }

  private boolean oversize(End end) {
    switch (random.nextInt(6)) {
      // Asks, and does not read what is answered.
      case 0 -> {
        end.refusesToRead = true;
        for (int i = 0; i < MAX_SAID; i++) {
          byte[] noise = new byte[32];
          random.nextBytes(noise);
          say(end, new SyncMessage.Probe(new Hash(noise), new Hash(noise), new Hash(noise)));
        }
      }
      // Fills the room for what waits.
      case 1, 2 -> {
        var runs = new ArrayList<ChangeRun>();
        byte[] body = new byte[random.nextInt(400)];
        for (int i = 0; i < 150; i++) {
          var nobody = new ActorId(random.nextLong(), random.nextLong());
          var change = new Change(List.of(), timestamp(valid, 0), body);
          runs.add(new ChangeRun(nobody, 2, null, List.of(change), new byte[64]));
        }
        say(end, new SyncMessage.Changes(1, runs));
      }
      // Promises more than comes.
      case 3 -> {
        byte[] promise =
            new ByteWriter(32).u8(2 + random.nextInt(3)).varint(Integer.MAX_VALUE).toByteArray();
        cluster.transmit(end, promise, "promise");
      }
      case 4 -> {
        var heads = new TreeMap<ActorId, Head>();
        for (int i = 0; i < 2_000; i++) {
          var nobody = new ActorId(random.nextLong(), random.nextLong());
          heads.put(nobody, new Head(1 + random.nextInt(9), Hash.ZERO));
        }
        say(end, new SyncMessage.Heads(true, Frontier.of(heads)));
      }
      default -> {
        byte[] noise = new byte[1 + random.nextInt(2_000)];
        random.nextBytes(noise);
        cluster.transmit(end, noise, "noise");
      }
    }
    return true;
  }

  private boolean spamMembers(End end) {
    if (spam.size() < MAX_SPAM) {
      byte[] secret = new byte[32];
      secret[0] = (byte) spam.size();
      secret[1] = (byte) self.index;
      var nobody = new Signer(secret);
      spam.add(
          MembershipEntry.Admit.sign(
              spam.size() % 4 == 3 ? Hash.ZERO : SimCluster.DATABASE,
              nobody.publicKey(),
              Role.ADMIN,
              "nobody",
              0,
              new byte[MembershipEntry.INVITE_BYTES],
              List.of(),
              spam.size() % 2 == 0 ? nobody : self.signer));
    }
    int from = random.nextInt(spam.size());
    say(
        end,
        new SyncMessage.Members(
            SyncMessage.Members.Part.LAST, List.copyOf(spam.subList(from, spam.size()))));
    return true;
  }

  private boolean farFuture(End end) {
    if (!quiet && future.length() < 20) {
      put(future, end, random.nextBoolean() ? 3_600_000 : YEAR_MILLIS);
    }
    if (future.length() == 0) {
      return false;
    }
    say(end, future.run(1, 1 + random.nextInt(future.length())));
    return true;
  }

  private boolean falseAcks(End end) {
    long cursor = cursors.getOrDefault(end, 0L);
    long bytes = random.nextInt(3) == 0 ? Long.MAX_VALUE : random.nextInt(1 << 24);
    say(end, new SyncMessage.Ack(bytes, random.nextInt(4) == 0 ? cursor + 1 : cursor));
    return true;
  }

  /** Says what is new that is not, and rearranges trees. */
  private boolean falseGossip(End end) {
    var seqs = new TreeMap<ActorId, Long>();
    heads(end).forEach((actor, head) -> seqs.put(actor, head.seq() + random.nextInt(3)));
    if (random.nextInt(4) == 0) {
      for (int i = 0; i < 500; i++) {
        seqs.put(new ActorId(random.nextLong(), random.nextLong()), 1L + random.nextInt(9));
      }
    }
    var somebody = new PeerId(random.nextLong(), random.nextLong(), 0, 0);
    var contacts = List.of(new Contact(somebody, "nowhere:1"));
    say(
        end,
        switch (random.nextInt(8)) {
          case 0, 1, 2 -> new SyncMessage.Announce(random.nextInt(1 << 20), seqs);
          case 3 -> new SyncMessage.Graft(seqs);
          case 4 -> new SyncMessage.Prune();
          case 5 -> new SyncMessage.Overlay(new OverlayMessage.Join());
          case 6 -> new SyncMessage.Overlay(new OverlayMessage.Disconnect());
          default ->
              new SyncMessage.Overlay(new OverlayMessage.Shuffle(1, List.of(somebody), contacts));
        });
    return true;
  }

  /** Offers the state of a frontier that has one head more than anybody signed. */
  private boolean falseSnapshot(End end) {
    Hash id;
    if (random.nextInt(3) == 0) {
      byte[] noise = new byte[Hash.BYTES];
      random.nextBytes(noise);
      id = new Hash(noise); // And then does not answer.
    } else {
      Map<ActorId, SignedHead> heads = forgedHeads();
      var places = new TreeMap<ActorId, Head>();
      heads.forEach((actor, head) -> places.put(actor, head.head(SimCluster.DATABASE, actor)));
      id = Frontier.of(places).hash();
      forgedSnapshots.put(id, heads);
    }
    say(end, new SyncMessage.Snapshots(new SnapshotMessage.Offer(id, Hash.ZERO, 0)));
    return true;
  }

  /** Of an actor that others know: far ahead, signed by this device or by nobody. */
  private Map<ActorId, SignedHead> forgedHeads() {
    var heads = new TreeMap<ActorId, SignedHead>();
    byte[] noise = new byte[Signer.SIGNATURE_BYTES];
    random.nextBytes(noise);
    for (ChangeRun run : seen) {
      ChangeRun.Genesis genesis = run.genesis();
      if (genesis != null && !ledger.isLiar(run.actor())) {
        Change.Link link = run.changes().getLast().link();
        long seq = run.toSeq() + 1_000;
        var unsigned = new SignedHead(seq, Hash.ZERO, link, genesis, noise);
        byte[] hash = unsigned.head(SimCluster.DATABASE, run.actor()).hash().bytes();
        byte[] signature = random.nextBoolean() ? noise : self.signer.sign(hash);
        heads.put(run.actor(), new SignedHead(seq, Hash.ZERO, link, genesis, signature));
        break;
      }
    }
    return heads;
  }

  private void giveSnapshot(End end, Hash id, SnapshotInbox.Ask ask) {
    Map<ActorId, SignedHead> heads = forgedSnapshots.get(id);
    if (heads == null) {
      return;
    }
    var entries = new ArrayList<SnapshotEntry>();
    heads.forEach(
        (actor, head) -> {
          var key = new ByteWriter(ActorId.BYTES);
          actor.write(key);
          byte[] bytes = head.toByteArray();
          entries.add(
              new SnapshotEntry(
                  new SnapshotEntry.Place(SnapshotEntry.Place.START.section(), key.toByteArray()),
                  bytes.length,
                  0,
                  bytes));
        });
    var part = new SnapshotSource.Part(entries, null, 0);
    say(
        end,
        new SyncMessage.Snapshots(new SnapshotMessage.Part(id, ask.from(), ask.offset(), part)));
  }
}
