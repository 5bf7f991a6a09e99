package io.pluresdb.crdt.op;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.compaction.Stand;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.overlay.Contact;
import io.pluresdb.crdt.overlay.OverlayMessage;
import io.pluresdb.crdt.overlay.PeerId;
import io.pluresdb.crdt.reconcile.Digest;
import io.pluresdb.crdt.reconcile.FrontierExchange;
import io.pluresdb.crdt.reconcile.FrontierMessage;
import io.pluresdb.crdt.reconcile.KeyRange;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.reconcile.RangeMessage;
import io.pluresdb.crdt.sequence.Sequence;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.SnapshotEntry;
import io.pluresdb.crdt.store.SnapshotInbox;
import io.pluresdb.crdt.store.SnapshotSource;
import io.pluresdb.crdt.sync.SnapshotMessage;
import io.pluresdb.crdt.sync.StandMessage;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.function.Function;

/** The examples of docs/protocol/change-format.md: everything follows from fixed keys. */
public final class Golden {
  public static final Hash DATABASE = ReplicaIdentity.databaseHash("golden");
  public static final Signer SIGNER = new Signer(filled(32, 7));
  public static final ChangeRun.Genesis GENESIS =
      new ChangeRun.Genesis(SIGNER.publicKey(), filled(16, 9));
  public static final ActorId ACTOR = GENESIS.actor(DATABASE);
  static final ActorId OTHER = new ActorId(0x0102030405060708L, 0x090a0b0c0d0e0f10L);
  public static final long TIME = 1_700_000_000_000L << 16;

  private Golden() {}

  static byte[] filled(int length, int value) {
    byte[] bytes = new byte[length];
    java.util.Arrays.fill(bytes, (byte) value);
    return bytes;
  }

  static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static byte[] field(String dotted) {
    return Register.field(Path.parse(dotted));
  }

  static List<DocumentEdit> edits() {
    return List.of(
        new DocumentEdit(
            utf8("d"),
            List.of(
                new CrdtOperation.Assign(Register.exists(), List.of(), new byte[0]),
                new CrdtOperation.Assign(
                    field("a"), List.of(new Dot(OTHER, 3, 1), new Dot(ACTOR, 1, 0)), utf8("1")),
                new CrdtOperation.Remove(field("b.c"), List.of(new Dot(OTHER, 2, 0))),
                new CrdtOperation.Increment(field("n"), -5),
                new CrdtOperation.Unknown(64, field("x"), utf8("?")))));
  }

  private static final byte[] TEXT = Register.at(Register.TEXT, Path.parse("t"));
  private static final byte[] LIST = Register.at(Register.LIST, Path.parse("l"));

  /** What the other actor did before: three characters and two elements. */
  private static final List<CrdtOperation.OnSequence> BEFORE =
      List.of(
          new CrdtOperation.TextInsert(TEXT, List.of(), Place.START, "abc"),
          new CrdtOperation.ListInsert(
              LIST, List.of(), Place.START, List.of(utf8("1"), utf8("2"))));

  static List<DocumentEdit> typedEdits() {
    byte[] set = Register.at(Register.SET, Path.parse("s"));
    return List.of(
        new DocumentEdit(
            utf8("d"),
            List.of(
                new CrdtOperation.TextInsert(
                    TEXT,
                    List.of(new Dot(OTHER, 3, 0)),
                    Place.rightOf(new ElementId(OTHER, 2)),
                    "h\u00e9y"),
                new CrdtOperation.TextInsert(
                    TEXT, List.of(), Place.leftOf(new ElementId(ACTOR, 1)), "-"),
                new CrdtOperation.TextDelete(
                    TEXT, List.of(new ElementRange(OTHER, 0, 2), new ElementRange(ACTOR, 2, 1))),
                new CrdtOperation.ListInsert(
                    LIST, List.of(), Place.START, List.of(utf8("3"), utf8("{\"a\":4}"))),
                new CrdtOperation.ListMove(
                    LIST,
                    List.of(),
                    new ElementId(OTHER, 1),
                    Place.rightOf(new ElementId(ACTOR, 1))),
                new CrdtOperation.ListSet(
                    LIST,
                    List.of(),
                    new ElementId(OTHER, 1),
                    List.of(new Dot(OTHER, 3, 1)),
                    utf8("\"v\"")),
                new CrdtOperation.ListDelete(
                    LIST,
                    List.of(new Change.Dependency(OTHER, 3)),
                    List.of(new ElementRange(OTHER, 0, 1))),
                new CrdtOperation.Assign(set, List.of(), new byte[0]),
                new CrdtOperation.Assign(
                    Register.element(set, utf8("\"e\"")), List.of(), new byte[0]))));
  }

  /** The rows of the text or list after all of it, and of which actor, by kind. */
  private static Map<String, Sequence.Row> rows(byte[] register) {
    Sequence sequence = Sequence.empty(register);
    for (int i = 0; i < BEFORE.size(); i++) {
      if (Arrays.equals(BEFORE.get(i).register(), register)) {
        sequence.apply(BEFORE.get(i), new Dot(OTHER, 3, i), TIME - 1);
      }
    }
    int index = 0;
    for (CrdtOperation operation : typedEdits().getFirst().operations()) {
      if (operation instanceof CrdtOperation.OnSequence edit
          && Arrays.equals(edit.register(), register)) {
        sequence.apply(edit, new Dot(ACTOR, 1, index), TIME);
      }
      index += operation.makesDot() ? 1 : 0;
    }
    return flushed(register, sequence);
  }

  private static Map<String, Sequence.Row> flushed(byte[] register, Sequence sequence) {
    byte[] prefix = SequenceRows.prefix(utf8("d"), register);
    var rows = new TreeMap<String, Sequence.Row>();
    sequence.flush(
        prefix,
        (key, value) -> {
          if (value != null) {
            boolean own = key[prefix.length + 1] == (byte) (ACTOR.high() >>> 56);
            int kind = key[prefix.length];
            int number = key[key.length - 1];
            rows.put(kind + (own ? " own " : " other ") + number, new Sequence.Row(key, value));
          }
        });
    return rows;
  }

  /** A row of a sequence: read among the others, and written again. */
  private static Format row(String name, byte[] register, String which) {
    Map<String, Sequence.Row> rows = rows(register);
    Sequence.Row row = Objects.requireNonNull(rows.get(which));
    byte[] prefix = SequenceRows.prefix(utf8("d"), register);
    return new Format(
        name,
        row.value(),
        bytes -> {
          var read = new TreeMap<>(rows);
          read.put(which, new Sequence.Row(row.key(), bytes));
          Sequence sequence = Sequence.read(register, prefix, read.values());
          sequence.everythingChanged();
          return Objects.requireNonNull(flushed(register, sequence).get(which)).value();
        });
  }

  static byte[] body() {
    return ChangeBody.encode(ACTOR, edits());
  }

  public static Change change() {
    return new Change(List.of(new Change.Dependency(OTHER, 3)), TIME, body());
  }

  public static ChangeRun run() {
    Hash hash = change().hash(DATABASE, ACTOR, 1, Hash.ZERO);
    return new ChangeRun(ACTOR, 1, GENESIS, List.of(change()), SIGNER.sign(hash.bytes()));
  }

  static DocumentState state() {
    var state = new DocumentState();
    int index = 0;
    for (CrdtOperation operation : edits().getFirst().operations()) {
      state.apply(operation, new Dot(ACTOR, 1, index), TIME);
      index += operation.makesDot() ? 1 : 0;
    }
    state.apply(
        new CrdtOperation.Assign(field("a"), List.of(), utf8("2")), new Dot(OTHER, 4, 0), TIME + 1);
    return state;
  }

  static Frontier frontier() {
    return Frontier.of(
        Map.of(
            ACTOR, new Head(1, change().hash(DATABASE, ACTOR, 1, Hash.ZERO)),
            OTHER, new Head(300, Hash.ZERO)));
  }

  static MembershipEntry entry() {
    return MembershipEntry.Admit.sign(
        DATABASE,
        SIGNER.publicKey(),
        Role.WRITE,
        "caf\u00e9",
        5,
        filled(16, 3),
        List.of(Hash.of("seen")),
        SIGNER);
  }

  static MembershipEntry removal() {
    return MembershipEntry.Revoke.sign(
        DATABASE,
        new Signer(filled(32, 8)).publicKey(),
        Role.READ,
        6,
        Map.of(OTHER, new Head(300, Hash.of("head"))),
        MembershipEntry.Revoke.nameOf(filled(32, 10)),
        List.of(entry().hash()),
        SIGNER);
  }

  static MembershipEntry fork() {
    var genesis = new ChangeRun.Genesis(SIGNER.publicKey(), filled(16, 9));
    var common = new Head(0, Hash.ZERO);
    return MembershipEntry.Fork.of(
        DATABASE,
        genesis,
        common,
        branch(change()),
        branch(new Change(List.of(), change().timestamp(), body())));
  }

  private static MembershipEntry.Fork.Branch branch(Change first) {
    byte[] hash = first.hash(DATABASE, ACTOR, 1, Hash.ZERO).bytes();
    return new MembershipEntry.Fork.Branch(List.of(first.link()), SIGNER.sign(hash));
  }

  private static Format membership(String name, MembershipEntry entry) {
    return new Format(
        name,
        entry.toByteArray(),
        bytes -> {
          var in = new ByteReader(bytes);
          MembershipEntry read = MembershipEntry.read(in);
          in.end();
          return read.toByteArray();
        });
  }

  static SignedHead signedHead() {
    return new SignedHead(1, Hash.ZERO, change().link(), GENESIS, run().signature());
  }

  static Stand stand() {
    return Stand.sign(DATABASE, 1_700_000_000_000L, frontier(), SIGNER);
  }

  /** A format: its example and its reader, which answers with what the value encodes to. */
  record Format(String name, byte[] bytes, Function<byte[], byte[]> reencode) {
    @Override
    public String toString() {
      return name;
    }
  }

  static List<Format> formats() {
    var formats = new ArrayList<Format>();
    formats.add(
        new Format(
            "body", body(), bytes -> ChangeBody.encode(ACTOR, ChangeBody.decode(ACTOR, bytes))));
    formats.add(
        new Format(
            "body of typed edits",
            ChangeBody.encode(ACTOR, typedEdits()),
            bytes -> ChangeBody.encode(ACTOR, ChangeBody.decode(ACTOR, bytes))));
    formats.add(row("text row", TEXT, "1 own 0"));
    formats.add(row("list row", LIST, "1 own 0"));
    formats.add(row("list element row", LIST, "2 other 1"));
    formats.add(
        new Format(
            "change",
            written(change()::write),
            bytes -> {
              var in = new ByteReader(bytes);
              Change read = Change.read(in);
              in.end();
              return written(read::write);
            }));
    formats.add(
        new Format(
            "run",
            written(run()::write),
            bytes -> {
              var in = new ByteReader(bytes);
              ChangeRun read = ChangeRun.read(in);
              in.end();
              return written(read::write);
            }));
    formats.add(
        new Format(
            "document row",
            state().toByteArray(),
            bytes -> DocumentState.read(bytes).toByteArray()));
    formats.add(
        new Format(
            "frontier",
            written(frontier()::write),
            bytes -> {
              var in = new ByteReader(bytes);
              Frontier read = Frontier.read(in);
              in.end();
              return written(read::write);
            }));
    formats.add(membership("membership entry", entry()));
    formats.add(membership("removal", removal()));
    formats.add(membership("fork", fork()));
    formats.add(
        membership("kept changes", MembershipEntry.Keep.sign(DATABASE, signedHead(), SIGNER)));
    formats.add(
        new Format(
            "signed head",
            signedHead().toByteArray(),
            bytes -> SignedHead.read(bytes).toByteArray()));
    formats.add(
        new Format(
            "stand",
            written(stand()::write),
            bytes -> {
              var in = new ByteReader(bytes);
              Stand read = Stand.read(in);
              in.end();
              return written(read::write);
            }));
    messages()
        .forEach(
            (name, message) ->
                formats.add(
                    new Format(
                        name,
                        message.toByteArray(),
                        bytes -> SyncMessage.read(bytes).toByteArray())));
    return formats;
  }

  static Map<String, SyncMessage> messages() {
    var messages = new LinkedHashMap<String, SyncMessage>();
    messages.put(
        "Hello",
        new SyncMessage.Hello(
            1,
            DATABASE,
            frontier().hash(),
            new Hash(filled(32, 1)),
            new Hash(filled(32, 2)),
            filled(16, 3),
            2,
            8 << 20,
            KeyScope.of(List.of("note:", "task:"))));
    messages.put(
        "Members", new SyncMessage.Members(SyncMessage.Members.Part.LAST, List.of(entry())));
    messages.put(
        "Origins",
        new SyncMessage.Origins(List.of(new ChangeRun.Genesis(SIGNER.publicKey(), filled(16, 9)))));
    messages.put("Trace", new SyncMessage.Trace(OTHER, List.of(new Head(300, Hash.ZERO))));
    messages.put("Offshoot", new SyncMessage.Offshoot(ACTOR, 0, branch(change())));
    messages.put("Heads", new SyncMessage.Heads(true, frontier()));
    messages.put("Changes", new SyncMessage.Changes(1, List.of(run())));
    messages.put("Ack", new SyncMessage.Ack(1_000, 1));
    messages.put(
        "Probe",
        new SyncMessage.Probe(frontier().hash(), new Hash(filled(32, 1)), new Hash(filled(32, 2))));
    Contact contact = new Contact(PeerId.of(SIGNER.publicKey()), "192.0.2.1:34570");
    List<PeerId> path = List.of(PeerId.of(filled(32, 2)), contact.peer());
    messages.put("Join", new SyncMessage.Overlay(new OverlayMessage.Join()));
    messages.put(
        "ForwardJoin", new SyncMessage.Overlay(new OverlayMessage.ForwardJoin(6, contact)));
    messages.put("Neighbor", new SyncMessage.Overlay(new OverlayMessage.Neighbor(true)));
    messages.put("NeighborReply", new SyncMessage.Overlay(new OverlayMessage.NeighborReply(false)));
    messages.put("Disconnect", new SyncMessage.Overlay(new OverlayMessage.Disconnect()));
    messages.put(
        "Shuffle", new SyncMessage.Overlay(new OverlayMessage.Shuffle(5, path, List.of(contact))));
    messages.put(
        "ShuffleReply",
        new SyncMessage.Overlay(new OverlayMessage.ShuffleReply(path, List.of(contact))));
    var seqs = new TreeMap<>(Map.of(ACTOR, 1L, OTHER, 300L));
    messages.put("Announce", new SyncMessage.Announce(301, seqs));
    messages.put("Graft", new SyncMessage.Graft(seqs));
    messages.put("Prune", new SyncMessage.Prune());
    ranges().forEach((name, message) -> messages.put(name, new SyncMessage.Ranges(message)));
    frontiers().forEach((name, message) -> messages.put(name, new SyncMessage.Frontiers(message)));
    stands().forEach((name, message) -> messages.put(name, new SyncMessage.StandsOf(message)));
    snapshots().forEach((name, message) -> messages.put(name, new SyncMessage.Snapshots(message)));
    return messages;
  }

  private static Map<String, StandMessage> stands() {
    var at = new TreeMap<byte[], Long>(Arrays::compareUnsigned);
    at.put(SIGNER.publicKey(), 1_700_000_000_000L);
    var messages = new LinkedHashMap<String, StandMessage>();
    messages.put("Known", new StandMessage.Known(new Hash(filled(32, 1))));
    messages.put("Have", new StandMessage.Have(at));
    messages.put("Stands", new StandMessage.Stands(List.of(stand())));
    return messages;
  }

  private static Map<String, SnapshotMessage> snapshots() {
    Hash id = frontier().hash();
    var from = new SnapshotEntry.Place(2, utf8("a"));
    var to = new SnapshotEntry.Place(2, utf8("d"));
    byte[] row = state().toByteArray();
    byte[] piece = Arrays.copyOf(row, 8);
    var part =
        new SnapshotSource.Part(
            List.of(
                new SnapshotEntry(new SnapshotEntry.Place(2, utf8("c")), row.length, 0, row),
                new SnapshotEntry(to, row.length, 0, piece)),
            to,
            8);
    var messages = new LinkedHashMap<String, SnapshotMessage>();
    messages.put("Offer", new SnapshotMessage.Offer(id, new Hash(filled(32, 2)), 2));
    messages.put(
        "Request",
        new SnapshotMessage.Request(
            id, new SnapshotInbox.Ask(from, 0, to, new Hash(filled(32, 3)))));
    messages.put("Part", new SnapshotMessage.Part(id, from, 0, part));
    messages.put("Unchanged", new SnapshotMessage.Same(id, from));
    messages.put("Gone", new SnapshotMessage.Gone(id));
    return messages;
  }

  private static Map<String, RangeMessage> ranges() {
    var messages = new LinkedHashMap<String, RangeMessage>();
    var first = new Digest(1, 2);
    var second = new Digest(3, 4);
    var range = new KeyRange(utf8("doc:1"), utf8("doc:20"));
    var rest = new KeyRange(utf8("doc:20"), null);
    messages.put("Open", new RangeMessage.Open(5, frontier().hash(), true, range));
    messages.put("Opened", new RangeMessage.Opened(5, frontier().hash(), first));
    messages.put(
        "Ask",
        new RangeMessage.Ask(
            5,
            1,
            List.of(new RangeMessage.Question(range, first), new RangeMessage.Question(rest, null)),
            List.of(
                new RangeMessage.Exchange(
                    range, List.of(utf8("doc:11"), utf8("doc:12")), List.of(0, 2)))));
    messages.put(
        "Answer",
        new RangeMessage.Answer(
            5,
            1,
            List.of(
                new RangeMessage.Same(),
                new RangeMessage.Pieces(List.of(utf8("doc:3")), List.of(first, second)),
                new RangeMessage.Listing(List.of(second))),
            List.of(List.of(utf8("doc:10"), utf8("doc:13")))));
    messages.put("Close", new RangeMessage.Close(5, RangeMessage.Reason.UNKNOWN));
    return messages;
  }

  private static Map<String, FrontierMessage> frontiers() {
    var messages = new LinkedHashMap<String, FrontierMessage>();
    Hash coded = frontier().hash();
    var symbols = new FrontierExchange(filled(16, 3), filled(16, 4), 2).begin(frontier());
    messages.put("Symbols", symbols);
    messages.put("More", new FrontierMessage.More(coded, 32, 16));
    messages.put(
        "Differing", new FrontierMessage.Differing(coded, Hash.ZERO, frontier(), List.of(1L, -2L)));
    messages.put("Wanted", new FrontierMessage.Wanted(coded, Frontier.EMPTY));
    return messages;
  }

  static byte[] written(java.util.function.Consumer<ByteWriter> write) {
    var out = new ByteWriter();
    write.accept(out);
    return out.toByteArray();
  }
}
