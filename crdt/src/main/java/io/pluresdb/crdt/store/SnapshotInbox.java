package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.DocumentJoin;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.reconcile.DocumentHasher;
import io.pluresdb.crdt.reconcile.Fingerprint;
import io.pluresdb.crdt.sequence.Sequence;
import io.pluresdb.crdt.sequence.SequenceJoin;
import io.pluresdb.crdt.sequence.SequenceRows;
import io.pluresdb.crdt.store.SnapshotEntry.Place;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A peer's snapshot on its way into this replica, kept on disk so that a transfer goes on where it
 * was after a restart or with another peer.
 *
 * <p>Rows up to the place <em>checked</em> are those of the snapshot named {@link #id}; rows from
 * there to the place <em>end</em> are of an earlier one, and are compared range by range with what
 * the peer has before they count. So a snapshot is never a mixture of two moments.
 *
 * <pre>
 * SNAPSHOT  0                     -> version u8 = 1 | phase u8 | id 32 | state hash 32 | documents varint
 *                                  | checked place | end place | joined id block | before 32
 *           section u8 | key      -> row; empty for a document that was joined before its turn
 * </pre>
 *
 * <p>One thread: the replica's.
 */
public final class SnapshotInbox {
  /** A range that is compared holds about so many bytes of rows. */
  static final int COMPARED_BYTES = 128 << 10;

  /** Rows that are looked at in one step of {@link #verify} and {@link #clear}. */
  static final int STEP_ROWS = 4_096;

  /** Bytes of rows that are looked at in one step of {@link #verify}. */
  static final int STEP_BYTES = 1 << 20;

  private static final int VERSION = 1;
  private static final byte[] PROGRESS_KEY = {0};
  private static final byte[] FIRST_ROW_KEY = {SnapshotEntry.HEADS};
  private static final byte[] NOTHING = {};

  /** How far a snapshot has come. */
  public enum Phase {
    /** There is none. */
    EMPTY(0),
    /** Rows are missing. */
    RECEIVING(1),
    /** All rows are here, {@link SnapshotInbox#verify} has to look at them. */
    VERIFYING(2),
    /** It holds, and is being joined. */
    JOINING(3),
    /** Its rows are being thrown away. */
    CLEARING(4);

    private final int code;

    Phase(int code) {
      this.code = code;
    }

    private static Phase ofCode(int code) {
      for (Phase phase : values()) {
        if (phase.code == code) {
          return phase;
        }
      }
      throw new CodecException("phase of a snapshot must be 0 to 4, but is " + code);
    }
  }

  /**
   * What to ask a peer for: the rows of {@code [from, to)}.
   *
   * @param offset bytes of the row at {@code from} that are here already
   * @param to null for no end
   * @param hash of the rows that are here, which need not be sent when they are the peer's; or null
   */
  public record Ask(Place from, int offset, @Nullable Place to, @Nullable Hash hash) {}

  /** What came of looking at all rows. */
  public enum Verdict {
    /** Look on. */
    MORE,
    /** The snapshot is what it says, and may be joined. */
    HOLDS,
    /** It is not; it must be thrown away. */
    FAILS
  }

  private final Storage storage;
  private final Hash database;

  private Phase phase = Phase.EMPTY;
  private Hash id = Hash.ZERO;
  private Hash stateHash = Hash.ZERO;
  private long documents;
  private Place checked = Place.START;
  private Place end = Place.START;
  private byte[] joined = NOTHING;
  private Hash before = Hash.ZERO;

  // The row that is arriving in pieces.
  private @Nullable Place piecesOf;
  private byte[] pieces = NOTHING;
  private int piecesFilled;

  private @Nullable Verification verification;

  SnapshotInbox(Storage storage, Hash database) {
    this.storage = storage;
    this.database = database;
    byte[] row = storage.get(Table.SNAPSHOT, PROGRESS_KEY);
    if (row != null) {
      var in = new ByteReader(row);
      Rows.requireVersion("snapshot row", VERSION, in.u8());
      phase = Phase.ofCode(in.u8());
      id = new Hash(in.bytes(Hash.BYTES));
      stateHash = new Hash(in.bytes(Hash.BYTES));
      documents = in.varint();
      checked = Place.read(in);
      end = Place.read(in);
      joined = in.block("id bytes", row.length);
      before = new Hash(in.bytes(Hash.BYTES));
      in.end();
    }
  }

  private byte[] progressRow() {
    var out = new ByteWriter(160);
    out.u8(VERSION).u8(phase.code).bytes(id.bytes()).bytes(stateHash.bytes());
    out.varint(documents);
    checked.write(out);
    end.write(out);
    return out.block(joined).bytes(before.bytes()).toByteArray();
  }

  private void commitProgress() {
    try (var batch = storage.newBatch()) {
      batch.put(Table.SNAPSHOT, PROGRESS_KEY, progressRow());
      storage.commit(batch, Durability.BUFFERED);
    }
  }

  public Phase phase() {
    return phase;
  }

  /** The hash of the snapshot's frontier. */
  public Hash id() {
    return id;
  }

  /**
   * Goes over to a snapshot; what is here already is kept and compared.
   *
   * @return false when it must wait, because another is being verified, joined or thrown away
   */
  public boolean begin(Hash snapshot, Hash fingerprint, long documentCount) {
    if (phase != Phase.EMPTY && phase != Phase.RECEIVING) {
      return false;
    }
    if (phase == Phase.RECEIVING && id.equals(snapshot) && stateHash.equals(fingerprint)) {
      return true;
    }
    phase = Phase.RECEIVING;
    id = snapshot;
    stateHash = fingerprint;
    documents = documentCount;
    checked = Place.START;
    forgetPieces();
    commitProgress();
    return true;
  }

  private void forgetPieces() {
    piecesOf = null;
    pieces = NOTHING;
    piecesFilled = 0;
  }

  /** What to ask for now; only while {@link Phase#RECEIVING}. */
  public Ask next() {
    if (checked.compareTo(end) < 0) {
      Ask ask = compare();
      if (ask != null) {
        return ask;
      }
      end = checked;
    }
    return new Ask(checked, checked.equals(piecesOf) ? piecesFilled : 0, null, null);
  }

  private @Nullable Ask compare() {
    var digest = new SnapshotDigest();
    Place to = null;
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.SNAPSHOT, rowKey(checked), null)) {
      while (rows.next()) {
        Place place = place(rows.key());
        if (place.compareTo(end) >= 0) {
          break;
        }
        if (digest.bytes() >= COMPARED_BYTES) {
          to = place;
          break;
        }
        digest.add(place, rows.value());
      }
    }
    if (digest.bytes() == 0) {
      return null;
    }
    return new Ask(checked, 0, to == null ? end : to, digest.hash());
  }

  static byte[] rowKey(Place place) {
    return new ByteWriter(1 + place.key().length)
        .u8(place.section())
        .bytes(place.key())
        .toByteArray();
  }

  private static Place place(byte[] rowKey) {
    return new Place(rowKey[0], Arrays.copyOfRange(rowKey, 1, rowKey.length));
  }

  /** The peer has the same rows in the range that was asked for. */
  public void same(Ask ask) {
    Place to = ask.to();
    if (ask.hash() == null || to == null || !ask.from().equals(checked)) {
      return;
    }
    checked = to;
    commitProgress();
  }

  /**
   * Takes in what came for {@code ask}.
   *
   * @throws CodecException when it is not an answer to it; what was here stays
   */
  public void receive(Ask ask, SnapshotSource.Part part) {
    if (phase != Phase.RECEIVING || !ask.from().equals(checked)) {
      return;
    }
    Place to = ask.to();
    Place next = part.next();
    Place reached = next == null ? to : next;
    if (next != null && (next.compareTo(checked) < 0 || (to != null && next.compareTo(to) >= 0))) {
      throw new CodecException("a part of a snapshot leads out of the range");
    }
    if (checked.equals(reached) && part.nextOffset() <= ask.offset()) {
      throw new CodecException("a part of a snapshot does not advance");
    }
    Place checkedBefore = checked;
    Place endBefore = end;
    try (var batch = storage.newBatch()) {
      drop(batch, reached == null ? end : reached);
      takeAll(batch, part, reached);
      if (reached == null) {
        phase = Phase.VERIFYING;
        end = checked;
      } else {
        checked = reached;
        end = checked.compareTo(end) > 0 ? checked : end;
      }
      batch.put(Table.SNAPSHOT, PROGRESS_KEY, progressRow());
      storage.commit(batch, Durability.BUFFERED);
    } catch (RuntimeException e) {
      phase = Phase.RECEIVING;
      checked = checkedBefore;
      end = endBefore;
      forgetPieces();
      throw e;
    }
  }

  private void takeAll(Storage.Batch batch, SnapshotSource.Part part, @Nullable Place reached) {
    Place last = null;
    for (SnapshotEntry entry : part.entries()) {
      Place place = entry.place();
      boolean follows =
          last == null
              ? place.compareTo(checked) >= 0
              : place.compareTo(last) > 0 || place.equals(piecesOf);
      int order = reached == null ? -1 : place.compareTo(reached);
      if (!follows || order > 0 || (order == 0 && part.nextOffset() == 0)) {
        throw new CodecException("rows of a snapshot must ascend in their range");
      }
      take(batch, entry);
      last = place;
    }
    Place open = piecesOf;
    if (open == null
        ? part.nextOffset() > 0
        : !open.equals(reached) || piecesFilled != part.nextOffset()) {
      throw new CodecException("a row of a snapshot lacks its end");
    }
  }

  /** Rows of an earlier snapshot give way. */
  private void drop(Storage.Batch batch, Place upTo) {
    if (checked.compareTo(end) >= 0) {
      return;
    }
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.SNAPSHOT, rowKey(checked), rowKey(upTo))) {
      while (rows.next()) {
        batch.delete(Table.SNAPSHOT, rows.key());
      }
    }
  }

  private void take(Storage.Batch batch, SnapshotEntry entry) {
    if (entry.isWhole()) {
      if (piecesOf != null) {
        throw new CodecException("a row of a snapshot lacks its end");
      }
      batch.put(Table.SNAPSHOT, rowKey(entry.place()), entry.bytes());
      return;
    }
    if (piecesOf == null && entry.offset() == 0) {
      piecesOf = entry.place();
      pieces = new byte[entry.bytes().length];
      piecesFilled = 0;
    }
    if (!entry.place().equals(piecesOf)
        || entry.offset() != piecesFilled
        || entry.bytes().length == 0) {
      throw new CodecException("a piece of a row of a snapshot is missing");
    }
    // Grows with what came, not with what was announced.
    if (pieces.length < piecesFilled + entry.bytes().length) {
      int wanted = Math.max(2 * pieces.length, piecesFilled + entry.bytes().length);
      pieces = Arrays.copyOf(pieces, Math.min(wanted, entry.total()));
    }
    System.arraycopy(entry.bytes(), 0, pieces, piecesFilled, entry.bytes().length);
    piecesFilled += entry.bytes().length;
    if (entry.isLast()) {
      batch.put(Table.SNAPSHOT, rowKey(entry.place()), Arrays.copyOf(pieces, piecesFilled));
      forgetPieces();
    }
  }

  /** What remains to be judged by whoever knows the members and the log. */
  public interface HeadCheck {
    /** Returns what is wrong with a head of an actor that is derived from its key, or null. */
    @Nullable String refusal(ActorId actor, SignedHead head, Head place);
  }

  private final class Verification {
    final TreeMap<ActorId, SignedHead> heads = new TreeMap<>();
    final TreeMap<ActorId, Head> frontier = new TreeMap<>();
    final DocumentHasher hasher = new DocumentHasher(database);
    Fingerprint sum = Fingerprint.ZERO;
    long existing;

    // What documents say that their texts and lists add up to, and what those do.
    Fingerprint claimed = Fingerprint.ZERO;
    Fingerprint sequences = Fingerprint.ZERO;
    final List<Sequence.Row> sequence = new ArrayList<>();
    byte[] from = FIRST_ROW_KEY;
    @Nullable String failure;
  }

  /** Why {@link #verify} said {@link Verdict#FAILS}. */
  public String failure() {
    Verification looking = verification;
    return String.valueOf(looking == null ? null : looking.failure);
  }

  /** Looks at further rows; only while {@link Phase#VERIFYING}. */
  public Verdict verify(HeadCheck check) {
    Verification looking = verification;
    if (looking == null) {
      looking = new Verification();
      verification = looking;
    }
    try {
      return verify(looking, check);
    } catch (CodecException e) {
      looking.failure = e.getMessage();
      return Verdict.FAILS;
    }
  }

  private Verdict verify(Verification looking, HeadCheck check) {
    int count = 0;
    int bytes = 0;
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.SNAPSHOT, looking.from, null)) {
      while (rows.next()) {
        Place place = place(rows.key());
        if (count == STEP_ROWS || bytes >= STEP_BYTES) {
          looking.from = rows.key();
          return Verdict.MORE;
        }
        count++;
        bytes += rows.value().length;
        if (place.section() == SnapshotEntry.HEADS) {
          // A signature takes as long as reading many rows.
          bytes += STEP_BYTES / 64;
          verifyHead(looking, check, place.key(), rows.value());
        } else if (place.section() == SnapshotEntry.DOCUMENTS) {
          verifyDocument(looking, place.key(), rows.value());
        } else {
          verifySequence(looking, place.key(), rows.value());
        }
      }
    }
    verifySequence(looking);
    if (!looking.sequences.equals(looking.claimed)) {
      throw new CodecException("its texts and lists are not those of its documents");
    }
    if (!Frontier.of(looking.frontier).hash().equals(id)) {
      throw new CodecException("its heads are not those of the frontier it was offered as");
    }
    if (!looking.sum.hash().equals(stateHash) || looking.existing != documents) {
      throw new CodecException("its documents are not those that were offered");
    }
    return Verdict.HOLDS;
  }

  private void verifyHead(Verification looking, HeadCheck check, byte[] key, byte[] row) {
    var in = new ByteReader(key);
    ActorId actor = ActorId.read(in);
    in.end();
    SignedHead head = SignedHead.read(row);
    if (!head.genesis().actor(database).equals(actor)) {
      throw new CodecException("actor " + actor + " is not derived from its key");
    }
    Head place = head.head(database, actor);
    String refusal = check.refusal(actor, head, place);
    if (refusal != null) {
      throw new CodecException(refusal);
    }
    looking.heads.put(actor, head);
    looking.frontier.put(actor, place);
  }

  private static void verifyDocument(Verification looking, byte[] key, byte[] row) {
    ChangeBody.checkId(key);
    DocumentState state =
        DocumentJoin.readForeign(
            row,
            dot -> {
              SignedHead head = looking.heads.get(dot.actor());
              return head != null && dot.seq() > 0 && head.seq() >= dot.seq();
            });
    looking.sum = looking.sum.plus(looking.hasher.of(key, row));
    looking.claimed = looking.claimed.plus(state.sequenceSum());
    looking.existing += state.exists() ? 1 : 0;
  }

  private static void verifySequence(Verification looking, byte[] key, byte[] row) {
    List<Sequence.Row> known = looking.sequence;
    int length = SequenceRows.prefixLength(key);
    if (!known.isEmpty()
        && !Arrays.equals(
            known.getFirst().key(),
            0,
            Math.min(length, known.getFirst().key().length),
            key,
            0,
            length)) {
      verifySequence(looking);
    }
    known.add(new Sequence.Row(key, row));
    looking.sequences = looking.sequences.plus(looking.hasher.of(key, row));
  }

  /** Looks at a text or list when all its rows have come by. */
  private static void verifySequence(Verification looking) {
    if (!looking.sequence.isEmpty()) {
      SequenceJoin.checkForeign(
          looking.sequence,
          dot -> {
            SignedHead head = looking.heads.get(dot.actor());
            return head != null && dot.seq() > 0 && head.seq() >= dot.seq();
          });
      looking.sequence.clear();
    }
  }

  /** The heads that {@link #verify} found; empty before. */
  NavigableMap<ActorId, SignedHead> verifiedHeads() {
    return verification == null ? new TreeMap<>() : verification.heads;
  }

  /** The heads of the snapshot that is being joined, as stored. */
  NavigableMap<ActorId, SignedHead> storedHeads() {
    var heads = new TreeMap<ActorId, SignedHead>();
    try (var snapshot = storage.snapshot();
        var rows =
            snapshot.scan(
                Table.SNAPSHOT, FIRST_ROW_KEY, new byte[] {(byte) SnapshotEntry.DOCUMENTS})) {
      while (rows.next()) {
        heads.put(
            ActorId.read(new ByteReader(place(rows.key()).key())), SignedHead.read(rows.value()));
      }
    }
    return heads;
  }

  /**
   * The snapshot holds: from now on it is being joined, whatever happens.
   *
   * @param fingerprint of all documents before anything is joined
   */
  void startJoining(Hash fingerprint) {
    phase = Phase.JOINING;
    before = fingerprint;
    joined = NOTHING;
    verification = null;
    commitProgress();
  }

  /** The fingerprint of all documents before joining began: that of the frontier until it ends. */
  Hash before() {
    return before;
  }

  /** Documents before this id are joined. */
  byte[] joined() {
    return joined;
  }

  void setJoined(byte[] upTo) {
    joined = upTo;
  }

  /** Adds to a batch that the documents before {@code upTo} are joined. */
  void putJoined(Storage.Batch batch, byte[] upTo) {
    byte[] reached = joined;
    joined = upTo;
    batch.put(Table.SNAPSHOT, PROGRESS_KEY, progressRow());
    joined = reached;
  }

  /** Adds to a batch that the snapshot is joined. */
  void putEnd(Storage.Batch batch) {
    phase = Phase.CLEARING;
    batch.put(Table.SNAPSHOT, PROGRESS_KEY, progressRow());
    phase = Phase.JOINING;
  }

  /** The snapshot is joined: what is left of it can go. */
  void ended() {
    phase = Phase.CLEARING;
  }

  /** Throws everything away, in steps: call {@link #clear} until it is {@link Phase#EMPTY}. */
  public void discard() {
    phase = Phase.CLEARING;
    verification = null;
    forgetPieces();
    commitProgress();
  }

  /** Throws further rows away; only while {@link Phase#CLEARING}. */
  public void clear() {
    int count = 0;
    try (var snapshot = storage.snapshot();
        var batch = storage.newBatch();
        var rows = snapshot.scan(Table.SNAPSHOT, FIRST_ROW_KEY, null)) {
      while (count < STEP_ROWS && rows.next()) {
        batch.delete(Table.SNAPSHOT, rows.key());
        count++;
      }
      boolean all = count < STEP_ROWS;
      if (all) {
        batch.delete(Table.SNAPSHOT, PROGRESS_KEY);
      }
      storage.commit(batch, Durability.BUFFERED);
      if (all) {
        reset();
      }
    }
  }

  private void reset() {
    phase = Phase.EMPTY;
    id = Hash.ZERO;
    stateHash = Hash.ZERO;
    documents = 0;
    checked = Place.START;
    end = Place.START;
    joined = NOTHING;
    before = Hash.ZERO;
    verification = null;
    forgetPieces();
  }

  /** The document's row in the snapshot: null for none, empty when it was joined already. */
  byte @Nullable [] document(byte[] documentId) {
    return storage.get(Table.SNAPSHOT, rowKey(new Place(SnapshotEntry.DOCUMENTS, documentId)));
  }
}
