package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.reconcile.RangeMessage.Answer;
import io.pluresdb.crdt.reconcile.RangeMessage.Ask;
import io.pluresdb.crdt.reconcile.RangeMessage.Exchange;
import io.pluresdb.crdt.reconcile.RangeMessage.Listing;
import io.pluresdb.crdt.reconcile.RangeMessage.Pieces;
import io.pluresdb.crdt.reconcile.RangeMessage.Question;
import io.pluresdb.crdt.reconcile.RangeMessage.Reply;
import io.pluresdb.crdt.reconcile.RangeMessage.Same;
import io.pluresdb.crdt.reconcile.RangeSource.Item;
import io.pluresdb.crdt.reconcile.RangeSource.Part;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The side of a range reconciliation that answers. It does a bounded amount of work for each
 * message: it answers as many questions as that allows, and the others with the next message, which
 * may hold no question of its own. At most {@link RangeMessage#MAX_RANGES} questions are open.
 */
public final class RangeResponder {
  /** Rows one message may cost before the rest of its questions is left for the next. */
  public static final int ROWS_PER_MESSAGE = 16_384;

  /** Bytes of answers after which the rest is left for the next message. */
  static final int BYTES_PER_MESSAGE = 1 << 20;

  /** A range of so few documents is listed rather than cut. */
  static final int LIST_AT_MOST = 24;

  /** How many documents a list should hold. */
  static final int LIST_GOAL = 16;

  private final RangeSource source;
  private final Differences differences;
  private final int rowsPerMessage;
  private final ArrayDeque<Question> open = new ArrayDeque<>();

  /** Answers from {@code source}, which must not change meanwhile. */
  public RangeResponder(RangeSource source, int maxDifferences) {
    this(source, maxDifferences, ROWS_PER_MESSAGE);
  }

  RangeResponder(RangeSource source, int maxDifferences, int rowsPerMessage) {
    this.source = source;
    this.differences = new Differences(maxDifferences);
    this.rowsPerMessage = rowsPerMessage;
  }

  /** Answers what it can, or returns null when more questions are open than may be. */
  public @Nullable Answer answer(Ask ask) {
    open.addAll(ask.questions());
    if (open.size() > RangeMessage.MAX_RANGES) {
      return null;
    }
    long end = source.rowsRead() + rowsPerMessage;
    var ids = new ArrayList<List<byte[]>>(ask.exchanges().size());
    for (Exchange exchange : ask.exchanges()) {
      ids.add(exchange(exchange));
    }
    var replies = new ArrayList<Reply>(open.size());
    int bytes = 0;
    while (!open.isEmpty()
        && (replies.isEmpty() || (source.rowsRead() < end && bytes < BYTES_PER_MESSAGE))) {
      Reply reply = reply(open.remove());
      replies.add(reply);
      bytes += bytes(reply);
    }
    return new Answer(ask.id(), ask.round(), replies, ids);
  }

  private static int bytes(Reply reply) {
    return switch (reply) {
      case Same() -> 1;
      case Listing(var documents) -> Digest.BYTES * documents.size();
      case Pieces(var bounds, var digests) -> {
        int bytes = Digest.BYTES * digests.size();
        for (byte[] bound : bounds) {
          bytes += bound.length;
        }
        yield bytes;
      }
    };
  }

  private Reply reply(Question question) {
    KeyRange range = question.range();
    Digest theirs = question.digest();
    Summary ours = source.summary(range);
    if (theirs != null && theirs.equals(ours.digest())) {
      return new Same();
    }
    if (ours.count() <= LIST_AT_MOST) {
      return new Listing(source.items(range, LIST_AT_MOST).stream().map(Item::digest).toList());
    }
    List<Part> parts = source.cut(range, pieces(ours.count()));
    return new Pieces(
        parts.stream().skip(1).map(part -> part.range().from()).toList(),
        parts.stream().map(part -> part.summary().digest()).toList());
  }

  /** Into how many pieces a range of {@code count} documents is cut. */
  static int pieces(long count) {
    return Math.clamp((count + LIST_GOAL - 1) / LIST_GOAL, 2, RangeMessage.MAX_PIECES);
  }

  private List<byte[]> exchange(Exchange exchange) {
    exchange.mine().forEach(differences::onlyThere);
    if (exchange.wanted().isEmpty()) {
      return List.of();
    }
    List<Item> listed = source.items(exchange.range(), RangeMessage.MAX_LIST);
    var ids = new ArrayList<byte[]>(exchange.wanted().size());
    for (int position : exchange.wanted()) {
      if (position < listed.size()) {
        byte[] id = listed.get(position).id();
        ids.add(id);
        differences.onlyHere(id);
      }
    }
    return ids;
  }

  /** What the other side has told so far; all there is once it has closed the conversation. */
  public Differences differences() {
    return differences;
  }
}
