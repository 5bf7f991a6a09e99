package io.pluresdb.crdt.sync;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.MembershipEntry.Fork.Branch;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.overlay.OverlayMessage;
import io.pluresdb.crdt.reconcile.FrontierMessage;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.reconcile.RangeMessage;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * What two replicas say to each other.
 *
 * <pre>
 * message := tag u8 | fields
 * 1 Hello   := version u8 | database 32 | frontierHash 32 | membersHash 32 | stateHash 32
 *              | nonce 16 | actors varint | windowBytes varint | scope
 * 2 Members := part u8 | count varint | entry *
 * 3 Heads   := wantReply u8 | frontier
 * 4 Changes := cursor varint | count varint | run *
 * 5 Ack     := bytes varint | cursor varint
 * 6 Probe   := frontierHash 32 | membersHash 32 | stateHash 32
 * 16 Origins := count varint | (deviceKey 32 | nonce 16) *
 * 17 Trace   := actor 16 | count varint | (seq varint | hash 32) *            ascending
 * 18 Offshoot := actor 16 | seq varint | branch
 * 24 to 28  := {@link RangeMessage}
 * 56 Overlay  := overlay message
 * 57 Announce := cursor varint | seqs
 * 58 Graft    := seqs
 * 59 Prune
 * seqs := count varint | (actor 16 | seq varint) *                        ascending
 * 32 to 35  := {@link FrontierMessage}
 * 40 to 42  := {@link StandMessage}
 * 44 to 48  := {@link SnapshotMessage}
 * </pre>
 */
public sealed interface SyncMessage {
  /** The version of this protocol; both sides must speak the same. */
  int VERSION = 1;

  /** Largest message, in bytes before compression. */
  int MAX_BYTES = 4 << 20;

  /** Most actors in one {@link Origins}. */
  int MAX_ORIGINS = 4_096;

  int NONCE_BYTES = 16;

  /** Most runs in one message. */
  int MAX_RUNS = 65_536;

  /**
   * Opens a session: where the sender stands.
   *
   * @param stateHash fingerprint of all documents: where frontiers are equal, it must be too
   * @param nonce random, {@link #NONCE_BYTES}
   * @param actors number of actors in the frontier
   * @param windowBytes how much the receiver of this message may send before an {@link Ack}
   * @param scope the documents the sender holds: it wants no body of a change that touches none of
   *     them, and cannot serve those it has not got
   */
  record Hello(
      int version,
      Hash database,
      Hash frontierHash,
      Hash membersHash,
      Hash stateHash,
      byte[] nonce,
      int actors,
      int windowBytes,
      KeyScope scope)
      implements SyncMessage {
    /** Of a replica of all documents. */
    public Hello(
        int version,
        Hash database,
        Hash frontierHash,
        Hash membersHash,
        Hash stateHash,
        byte[] nonce,
        int actors,
        int windowBytes) {
      this(
          version,
          database,
          frontierHash,
          membersHash,
          stateHash,
          nonce,
          actors,
          windowBytes,
          KeyScope.ALL);
    }

    /** The same with another window. */
    public Hello withWindow(int bytes) {
      return new Hello(
          version, database, frontierHash, membersHash, stateHash, nonce, actors, bytes, scope);
    }
  }

  /** Membership entries. */
  record Members(Part part, List<MembershipEntry> entries) implements SyncMessage {
    /** What they are to the sender's whole set. */
    public enum Part {
      /** Some that the receiver may lack. */
      NEWS,
      /** A part of the whole set; more follows. */
      FIRST,
      /** The last part of the whole set: the receiver answers with what is missing in it. */
      LAST
    }

    /** Bytes of entries after which the next message begins. */
    static final int TARGET_BYTES = 1 << 20;

    /** The whole set, in as many messages as it takes. */
    public static List<Members> whole(Membership membership) {
      List<Members> messages = split(Part.FIRST, membership.entries());
      messages.set(messages.size() - 1, new Members(Part.LAST, messages.getLast().entries()));
      return messages;
    }

    /** Some entries, in as many messages as it takes. */
    public static List<Members> news(List<MembershipEntry> entries) {
      return entries.isEmpty() ? List.of() : split(Part.NEWS, entries);
    }

    private static List<Members> split(Part part, List<MembershipEntry> entries) {
      var messages = new ArrayList<Members>();
      var some = new ArrayList<MembershipEntry>();
      int bytes = 0;
      for (MembershipEntry entry : entries) {
        bytes += entry.toByteArray().length;
        if (bytes > TARGET_BYTES && !some.isEmpty()) {
          messages.add(new Members(part, List.copyOf(some)));
          some.clear();
          bytes = 0;
        }
        some.add(entry);
      }
      messages.add(new Members(part, some));
      return messages;
    }
  }

  /**
   * Whose the actors are of which nothing counts at the sender: changes may depend on theirs.
   *
   * @param actors at most {@link #MAX_ORIGINS}
   */
  record Origins(List<Genesis> actors) implements SyncMessage {}

  /**
   * Some of the sender's changes of an actor of which the receiver has others: to find the last
   * that both have.
   *
   * @param points ascending, at most {@link #MAX_POINTS}
   */
  record Trace(ActorId actor, List<Head> points) implements SyncMessage {
    /** Most points in one. */
    public static final int MAX_POINTS = 64;
  }

  /** The sender's changes behind the last that both have, as a proof of a fork holds them. */
  record Offshoot(ActorId actor, long common, Branch branch) implements SyncMessage {}

  /** The sender's whole frontier. */
  record Heads(boolean wantReply, Frontier frontier) implements SyncMessage {}

  /**
   * Changes in causal order.
   *
   * @param cursor the sender's arrival up to which the receiver has everything once these are in
   */
  record Changes(long cursor, List<ChangeRun> runs) implements SyncMessage {
    /** What this message takes from the window. */
    public int bytes() {
      int bytes = 0;
      for (ChangeRun run : runs) {
        bytes += run.encodedBytes();
      }
      return bytes;
    }
  }

  /** Changes of that many bytes, and all up to {@code cursor}, are on the sender's disk. */
  record Ack(long bytes, long cursor) implements SyncMessage {}

  /** Asks for {@link Heads} if the receiver stands elsewhere. */
  record Probe(Hash frontierHash, Hash membersHash, Hash stateHash) implements SyncMessage {}

  /** Part of a comparison of documents. */
  record Ranges(RangeMessage message) implements SyncMessage {}

  /** Who is connected to whom and who pushes to whom; correctness does not depend on these. */
  sealed interface Gossip extends SyncMessage {}

  /** For the view of neighbours. */
  record Overlay(OverlayMessage message) implements Gossip {}

  /**
   * What is new at the sender, for a receiver that gets it from somebody else.
   *
   * @param cursor the sender's arrival up to which the receiver has everything once it has these
   * @param seqs the number of the newest change of each actor, on the sender's disk
   */
  record Announce(long cursor, NavigableMap<ActorId, Long> seqs) implements Gossip {
    /** Most actors in one. */
    public static final int MAX_ACTORS = 1_024;

    public Announce {
      seqs = checked(seqs, 1);
    }
  }

  /**
   * Push to me from now on, and first what was announced and did not come.
   *
   * @param seqs how far the sender has the changes of each actor; 0 for none
   */
  record Graft(NavigableMap<ActorId, Long> seqs) implements Gossip {
    public Graft {
      seqs = checked(seqs, 0);
    }
  }

  /** What you pushed was here already: only announce from now on. */
  record Prune() implements Gossip {}

  /** Part of telling frontiers of many actors by what differs, in place of {@link Heads}. */
  record Frontiers(FrontierMessage message) implements SyncMessage {}

  /** Part of telling where members stand. */
  record StandsOf(StandMessage message) implements SyncMessage {}

  /** Part of taking over a state whose changes are in no log any more. */
  record Snapshots(SnapshotMessage message) implements SyncMessage {}

  default byte[] toByteArray() {
    var out = new ByteWriter(256);
    switch (this) {
      case Hello hello -> {
        out.u8(1).u8(hello.version).bytes(hello.database.bytes()).bytes(hello.frontierHash.bytes());
        out.bytes(hello.membersHash.bytes()).bytes(hello.stateHash.bytes()).bytes(hello.nonce);
        hello.scope.write(out.varint(hello.actors).varint(hello.windowBytes));
      }
      case Members(var part, var entries) -> Membership.write(entries, out.u8(2).u8(part(part)));
      case Origins(var actors) -> {
        out.u8(16).varint(actors.size());
        actors.forEach(actor -> actor.write(out));
      }
      case Trace(var actor, var points) -> {
        actor.write(out.u8(17));
        out.varint(points.size());
        points.forEach(point -> out.varint(point.seq()).bytes(point.hash().bytes()));
      }
      case Offshoot(var actor, var common, var branch) -> {
        actor.write(out.u8(18));
        branch.write(out.varint(common));
      }
      case Heads(var wantReply, var frontier) -> frontier.write(out.u8(3).u8(wantReply ? 1 : 0));
      case Changes(var cursor, var runs) -> {
        out.u8(4).varint(cursor).varint(runs.size());
        runs.forEach(run -> run.write(out));
      }
      case Ack(var bytes, var cursor) -> out.u8(5).varint(bytes).varint(cursor);
      case Probe(var frontier, var members, var state) ->
          out.u8(6).bytes(frontier.bytes()).bytes(members.bytes()).bytes(state.bytes());
      case Ranges(var message) -> message.write(out);
      case Overlay(var message) -> message.write(out.u8(56));
      case Announce(var cursor, var seqs) -> write(seqs, out.u8(57).varint(cursor));
      case Graft(var seqs) -> write(seqs, out.u8(58));
      case Prune() -> out.u8(59);
      case Frontiers(var message) -> message.write(out);
      case StandsOf(var message) -> message.write(out);
      case Snapshots(var message) -> message.write(out);
    }
    return out.toByteArray();
  }

  /**
   * Decodes a message.
   *
   * @throws CodecException on anything this format does not allow
   */
  static SyncMessage read(byte[] bytes) {
    if (bytes.length > MAX_BYTES) {
      throw new CodecException(
          "message must be at most " + MAX_BYTES + " bytes, but is " + bytes.length);
    }
    var in = new ByteReader(bytes);
    int tag = in.u8();
    SyncMessage message =
        switch (tag) {
          case 1 ->
              new Hello(
                  in.u8(),
                  hash(in),
                  hash(in),
                  hash(in),
                  hash(in),
                  in.bytes(NONCE_BYTES),
                  in.count("actors of a frontier", Frontier.MAX_ACTORS),
                  in.count("window", 1 << 30),
                  KeyScope.read(in));
          case 2 -> new Members(part(in.u8()), Membership.read(in));
          case 3 -> new Heads(in.u8() == 1, Frontier.read(in));
          case 4 -> changes(in);
          case 5 -> new Ack(in.varint(), in.varint());
          case 6 -> new Probe(hash(in), hash(in), hash(in));
          case 16 -> origins(in);
          case 17 -> trace(in);
          case 18 -> new Offshoot(ActorId.read(in), in.varint(), Branch.read(in));
          case 24, 25, 26, 27, 28 -> new Ranges(RangeMessage.read(tag, in));
          case 56 -> new Overlay(OverlayMessage.read(in));
          case 57 -> new Announce(in.varint(), seqs(in));
          case 58 -> new Graft(seqs(in));
          case 59 -> new Prune();
          case 32, 33, 34, 35 -> new Frontiers(FrontierMessage.read(tag, in));
          case 40, 41, 42 -> new StandsOf(StandMessage.read(tag, in));
          case 44, 45, 46, 47, 48 -> new Snapshots(SnapshotMessage.read(tag, in));
          default -> throw new CodecException("unknown message " + tag);
        };
    in.end();
    return message;
  }

  private static Hash hash(ByteReader in) {
    return new Hash(in.bytes(Hash.BYTES));
  }

  private static int part(Members.Part part) {
    return switch (part) {
      case NEWS -> 0;
      case FIRST -> 1;
      case LAST -> 2;
    };
  }

  private static Members.Part part(int code) {
    return switch (code) {
      case 0 -> Members.Part.NEWS;
      case 1 -> Members.Part.FIRST;
      case 2 -> Members.Part.LAST;
      default -> throw new CodecException("part of a list must be 0 to 2, but is " + code);
    };
  }

  private static Trace trace(ByteReader in) {
    ActorId actor = ActorId.read(in);
    int count = in.count("points of a trace", Trace.MAX_POINTS);
    var points = new ArrayList<Head>(count);
    for (int i = 0; i < count; i++) {
      var point = new Head(in.varint(), hash(in));
      if (point.seq() == 0 || (i > 0 && points.getLast().seq() >= point.seq())) {
        throw new CodecException("points of a trace must ascend from 1");
      }
      points.add(point);
    }
    return new Trace(actor, points);
  }

  private static Origins origins(ByteReader in) {
    int count = in.count("actors without changes", MAX_ORIGINS);
    var actors = new ArrayList<Genesis>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      actors.add(Genesis.read(in));
    }
    return new Origins(actors);
  }

  private static Changes changes(ByteReader in) {
    long cursor = in.varint();
    int count = in.count("runs of a message", MAX_RUNS);
    var runs = new ArrayList<ChangeRun>(Math.min(count, 1_024));
    for (int i = 0; i < count; i++) {
      runs.add(ChangeRun.read(in));
    }
    return new Changes(cursor, runs);
  }

  private static void write(NavigableMap<ActorId, Long> seqs, ByteWriter out) {
    out.varint(seqs.size());
    seqs.forEach(
        (actor, seq) -> {
          actor.write(out);
          out.varint(seq);
        });
  }

  private static NavigableMap<ActorId, Long> seqs(ByteReader in) {
    int count = in.count("actors of an announcement", Announce.MAX_ACTORS);
    var seqs = new TreeMap<ActorId, Long>();
    for (int i = 0; i < count; i++) {
      ActorId actor = ActorId.read(in);
      if (!seqs.isEmpty() && seqs.lastKey().compareTo(actor) >= 0) {
        throw new CodecException("actors of an announcement must ascend");
      }
      seqs.put(actor, in.varint());
    }
    return seqs;
  }

  private static NavigableMap<ActorId, Long> checked(
      NavigableMap<ActorId, Long> seqs, long leastSeq) {
    if (seqs.size() > Announce.MAX_ACTORS) {
      throw new CodecException(
          "actors of an announcement must be 0 to "
              + Announce.MAX_ACTORS
              + ", but are "
              + seqs.size());
    }
    for (long seq : seqs.values()) {
      if (seq < leastSeq) {
        throw new CodecException("seq of an announcement must be 1 or more");
      }
    }
    return Collections.unmodifiableNavigableMap(seqs);
  }
}
