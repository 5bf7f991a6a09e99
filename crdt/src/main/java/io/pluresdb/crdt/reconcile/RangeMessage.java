package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.ChangeBody;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What two replicas say to each other to find the documents in which they differ.
 *
 * <pre>
 * message := 24 | id u64 | frontierHash 32 | exact u8 | range   Open
 *          | 25 | id u64 | frontierHash 32 | digest 16          Opened
 *          | 26 | id u64 | round varint | asked | questions     Ask
 *          | 27 | id u64 | round varint | answered | told       Answer
 *          | 28 | id u64 | reason u8                            Close
 * </pre>
 *
 * Bounds of ranges and document ids are written as what they share with the bound before them in
 * the message, and the rest; digests stand together, so that the others compress.
 */
public sealed interface RangeMessage {
  /** Most ranges, and most exchanges, in one message. */
  int MAX_RANGES = 256;

  /** Most pieces a range is answered with. */
  int MAX_PIECES = 16;

  /** Most documents in a list. */
  int MAX_LIST = 64;

  /** Most document ids in one exchange. */
  int MAX_IDS = 256;

  /** Most documents whose ids one message may ask for. */
  int MAX_WANTED = 1_024;

  /** Names one conversation; drawn by whoever asks. */
  long id();

  /**
   * Begins: the receiver fixes what it has now and answers {@link Opened} or {@link Close}.
   *
   * @param frontier what the sender fixed
   * @param exact whether documents are to be added up once more, in place of what is stored of
   *     their sums
   */
  record Open(long id, Hash frontier, boolean exact, KeyRange range) implements RangeMessage {}

  /** What the range adds up to here. */
  record Opened(long id, Hash frontier, Digest digest) implements RangeMessage {}

  /**
   * One range to compare.
   *
   * @param digest of the sender's documents in it, or null when they are known to differ
   */
  record Question(KeyRange range, @Nullable Digest digest) {}

  /**
   * Who has what of a range that was answered with a list.
   *
   * @param mine ids of documents that only the sender has as they are, ascending
   * @param wanted positions in the list of documents that only the receiver has, ascending
   */
  record Exchange(KeyRange range, List<byte[]> mine, List<Integer> wanted) {}

  /**
   * Compares ranges, ascending and disjoint, and exchanges ids. Without either it only asks for the
   * answers that are still owed.
   */
  record Ask(long id, long round, List<Question> questions, List<Exchange> exchanges)
      implements RangeMessage {}

  /** What a range is like at the receiver of a question. */
  sealed interface Reply {}

  /** As the sender of the question said. */
  record Same() implements Reply {}

  /**
   * Other documents, too many to list.
   *
   * @param bounds 1 or more, where the range is cut, ascending
   * @param digests one more than bounds
   */
  record Pieces(List<byte[]> bounds, List<Digest> digests) implements Reply {}

  /** Other documents: these, in the order of their ids. */
  record Listing(List<Digest> documents) implements Reply {}

  /**
   * Answers the oldest open questions, at least one if there is any, and all exchanges of the
   * {@link Ask} it follows.
   *
   * @param ids of the wanted documents, one list an exchange
   */
  record Answer(long id, long round, List<Reply> replies, List<List<byte[]>> ids)
      implements RangeMessage {}

  /** Why a conversation is over. */
  enum Reason {
    /** The asker has what it wanted. */
    DONE(0),
    /** The receiver does not compare ranges now. */
    BUSY(1),
    /** The receiver knows no such conversation, or has given it up. */
    UNKNOWN(2);

    private final int code;

    Reason(int code) {
      this.code = code;
    }

    private static Reason of(int code) {
      for (Reason reason : values()) {
        if (reason.code == code) {
          return reason;
        }
      }
      throw new CodecException("unknown reason " + code);
    }
  }

  record Close(long id, Reason reason) implements RangeMessage {}

  default void write(ByteWriter out) {
    var bounds = new Bounds(out);
    switch (this) {
      case Open(var id, var frontier, var exact, var range) -> {
        out.u8(24).i64(id).bytes(frontier.bytes()).u8(exact ? 1 : 0);
        bounds.write(range);
      }
      case Opened(var id, var frontier, var digest) ->
          digest.write(out.u8(25).i64(id).bytes(frontier.bytes()));
      case Ask(var id, var round, var questions, var exchanges) -> {
        out.u8(26).i64(id).varint(round).varint(questions.size()).varint(exchanges.size());
        questions.forEach(question -> bounds.write(question.range, question.digest == null));
        for (Exchange exchange : exchanges) {
          bounds.write(exchange.range);
          bounds.write(exchange.mine);
          out.varint(exchange.wanted.size());
          exchange.wanted.forEach(out::u8);
        }
        for (Question question : questions) {
          if (question.digest != null) {
            question.digest.write(out);
          }
        }
      }
      case Answer(var id, var round, var replies, var ids) -> {
        out.u8(27).i64(id).varint(round).varint(replies.size()).varint(ids.size());
        var digests = new ByteWriter(1_024);
        for (Reply reply : replies) {
          switch (reply) {
            case Same() -> out.u8(0);
            case Pieces(var inner, var sums) -> {
              out.u8(1);
              bounds.write(inner);
              sums.forEach(digest -> digest.write(digests));
            }
            case Listing(var documents) -> {
              out.u8(2).varint(documents.size());
              documents.forEach(digest -> digest.write(digests));
            }
          }
        }
        ids.forEach(bounds::write);
        out.bytes(digests.array(), 0, digests.size());
      }
      case Close(var id, var reason) -> out.u8(28).i64(id).u8(reason.code);
    }
  }

  /**
   * Decodes the fields that follow a tag.
   *
   * @throws CodecException on anything this format does not allow
   */
  static RangeMessage read(int tag, ByteReader in) {
    var bounds = new BoundReader(in);
    long id = in.i64();
    return switch (tag) {
      case 24 -> new Open(id, new Hash(in.bytes(Hash.BYTES)), in.u8() == 1, bounds.range().range);
      case 25 -> new Opened(id, new Hash(in.bytes(Hash.BYTES)), Digest.read(in));
      case 26 -> ask(id, in, bounds);
      case 27 -> answer(id, in, bounds);
      case 28 -> new Close(id, Reason.of(in.u8()));
      default -> throw new CodecException("unknown message " + tag);
    };
  }

  private static Ask ask(long id, ByteReader in, BoundReader bounds) {
    long round = in.varint();
    int count = in.count("ranges of a message", MAX_RANGES);
    int exchangeCount = in.count("exchanges of a message", MAX_RANGES);
    var flagged = new ArrayList<BoundReader.Flagged>(count);
    for (int i = 0; i < count; i++) {
      BoundReader.Flagged next = bounds.range();
      byte[] end = flagged.isEmpty() ? KeyRange.ALL.from() : flagged.getLast().range.to();
      if (end == null || Arrays.compareUnsigned(end, next.range.from()) > 0) {
        throw new CodecException("ranges of a message must ascend and be disjoint");
      }
      flagged.add(next);
    }
    var exchanges = new ArrayList<Exchange>(exchangeCount);
    int allWanted = 0;
    for (int i = 0; i < exchangeCount; i++) {
      KeyRange range = bounds.range().range;
      List<byte[]> mine = bounds.ascending("ids of an exchange", MAX_IDS);
      int most = Math.min(MAX_LIST, MAX_WANTED - allWanted);
      int wantedCount = in.count("wanted documents of an exchange", most);
      allWanted += wantedCount;
      var wanted = new ArrayList<Integer>(wantedCount);
      for (int j = 0; j < wantedCount; j++) {
        int position = in.u8();
        if (position >= MAX_LIST || (j > 0 && wanted.getLast() >= position)) {
          throw new CodecException("wanted positions must ascend and be below " + MAX_LIST);
        }
        wanted.add(position);
      }
      exchanges.add(new Exchange(range, mine, wanted));
    }
    var questions = new ArrayList<Question>(count);
    for (BoundReader.Flagged question : flagged) {
      questions.add(new Question(question.range, question.flag ? null : Digest.read(in)));
    }
    return new Ask(id, round, questions, exchanges);
  }

  private static Answer answer(long id, ByteReader in, BoundReader bounds) {
    long round = in.varint();
    int count = in.count("answers of a message", MAX_RANGES);
    int exchangeCount = in.count("exchanges of a message", MAX_RANGES);
    var cuts = new ArrayList<@Nullable List<byte[]>>(count);
    int[] listed = new int[count];
    for (int i = 0; i < count; i++) {
      int kind = in.u8();
      cuts.add(null);
      switch (kind) {
        case 0 -> listed[i] = -1;
        case 1 -> {
          List<byte[]> inner = bounds.ascending("bounds of an answer", MAX_PIECES - 1);
          if (inner.isEmpty()) {
            throw new CodecException("an answer in pieces must have a bound");
          }
          cuts.set(i, inner);
        }
        case 2 -> listed[i] = in.count("documents of a list", MAX_LIST);
        default -> throw new CodecException("unknown answer " + kind);
      }
    }
    var ids = new ArrayList<List<byte[]>>(exchangeCount);
    for (int i = 0; i < exchangeCount; i++) {
      ids.add(bounds.ascending("ids of an exchange", MAX_LIST));
    }
    var replies = new ArrayList<Reply>(count);
    for (int i = 0; i < count; i++) {
      List<byte[]> inner = cuts.get(i);
      if (inner != null) {
        replies.add(new Pieces(inner, digests(inner.size() + 1, in)));
      } else {
        replies.add(listed[i] < 0 ? new Same() : new Listing(digests(listed[i], in)));
      }
    }
    return new Answer(id, round, replies, ids);
  }

  private static List<Digest> digests(int count, ByteReader in) {
    var digests = new ArrayList<Digest>(count);
    for (int i = 0; i < count; i++) {
      digests.add(Digest.read(in));
    }
    return digests;
  }

  /**
   * Writes bounds as differences to the one before.
   *
   * <pre>
   * range := flags u8 | from bound unless flags has 1 | to bound unless flags has 2
   *          1: from is the bound before, 2: no end, 4: no digest follows
   * bound := shared varint | rest block
   * list  := count varint | bound *
   * </pre>
   */
  final class Bounds {
    private final ByteWriter out;
    private byte[] before = KeyRange.ALL.from();

    Bounds(ByteWriter out) {
      this.out = out;
    }

    void write(KeyRange range) {
      write(range, false);
    }

    void write(KeyRange range, boolean flag) {
      byte[] to = range.to();
      boolean joined = Arrays.equals(range.from(), before);
      out.u8((joined ? 1 : 0) | (to == null ? 2 : 0) | (flag ? 4 : 0));
      if (!joined) {
        write(range.from());
      }
      if (to != null) {
        write(to);
      }
    }

    void write(List<byte[]> bounds) {
      out.varint(bounds.size());
      bounds.forEach(this::write);
    }

    private void write(byte[] bound) {
      int mismatch = Arrays.mismatch(before, bound);
      int shared = mismatch < 0 ? bound.length : mismatch;
      out.varint(shared).varint(bound.length - shared).bytes(bound, shared, bound.length);
      before = bound;
    }
  }

  /** Reads what {@link Bounds} wrote. */
  final class BoundReader {
    private final ByteReader in;
    private byte[] before = KeyRange.ALL.from();

    record Flagged(KeyRange range, boolean flag) {}

    BoundReader(ByteReader in) {
      this.in = in;
    }

    Flagged range() {
      int flags = in.u8();
      if (flags > 7) {
        throw new CodecException("flags of a range must be 0 to 7, but are " + flags);
      }
      byte[] from = (flags & 1) != 0 ? before : bound();
      var range = new KeyRange(from, (flags & 2) != 0 ? null : bound());
      if (range.isEmpty()) {
        throw new CodecException("a range must end after it begins");
      }
      return new Flagged(range, (flags & 4) != 0);
    }

    List<byte[]> ascending(String what, int max) {
      int count = in.count(what, max);
      var bounds = new ArrayList<byte[]>(count);
      for (int i = 0; i < count; i++) {
        byte[] bound = bound();
        if (i > 0 && Arrays.compareUnsigned(bounds.getLast(), bound) >= 0) {
          throw new CodecException(what + " must ascend");
        }
        bounds.add(bound);
      }
      return bounds;
    }

    private byte[] bound() {
      int shared = in.count("shared bytes of a bound", before.length);
      int rest = in.count("bytes of a bound", ChangeBody.MAX_ID_BYTES - shared);
      byte[] tail = in.bytes(rest);
      byte[] bound = Arrays.copyOf(before, shared + rest);
      System.arraycopy(tail, 0, bound, shared, rest);
      before = bound;
      return bound;
    }
  }
}
