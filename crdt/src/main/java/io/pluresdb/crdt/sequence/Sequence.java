package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.ElementRange;
import io.pluresdb.crdt.op.Place;
import io.pluresdb.crdt.op.Register;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The content of one text or list.
 *
 * <p>Applying the same operations in any causal order gives the same content and the same rows.
 * What was applied since {@link #mark} can be taken back. Mutable, and owned by one thread.
 */
public abstract sealed class Sequence permits TextSequence, ListSequence {
  final Order order = new Order();

  /** Undoes one step. */
  interface Undo {
    void run();
  }

  private final ArrayDeque<Undo> journal = new ArrayDeque<>();
  private boolean recording;

  /** An empty sequence for a register. */
  public static Sequence empty(byte[] register) {
    return register[0] == Register.TEXT ? new TextSequence() : new ListSequence();
  }

  /** A row of a sequence. */
  public record Row(byte[] key, byte[] value) {}

  /**
   * Reads a sequence from its rows.
   *
   * @param rows all rows whose keys begin with {@code prefix}, ascending
   * @throws io.pluresdb.crdt.codec.CodecException when they are none
   */
  public static Sequence read(byte[] register, byte[] prefix, Iterable<Row> rows) {
    Sequence sequence = empty(register);
    for (Row row : rows) {
      var in = new ByteReader(row.value());
      sequence.load(SequenceRows.Key.read(row.key(), prefix.length), in);
      in.end();
    }
    sequence.loaded();
    return sequence;
  }

  abstract void load(SequenceRows.Key key, ByteReader in);

  abstract void loaded();

  /** Where changed rows go. */
  public interface RowSink {
    /**
     * @param value the row as it shall be, or null when there shall be none
     */
    void row(byte[] key, byte @Nullable [] value);
  }

  /** Hands out the rows that changed since the last call. */
  public abstract void flush(byte[] prefix, RowSink sink);

  /** Makes {@link #flush} hand out every row. */
  public void everythingChanged() {
    order.authors().forEach(author -> order.dirty().addAll(author.chunks));
  }

  /**
   * Applies an operation whose elements and origins are here.
   *
   * @param dot the dot it makes
   * @param timestamp hybrid time of its change
   */
  public abstract void apply(OnSequence operation, Dot dot, long timestamp);

  /**
   * Applies an operation although some elements it names will never be here, because the changes
   * that made them do not count: what hangs below one of them hangs below the root.
   */
  public void applyRest(OnSequence operation, Dot dot, long timestamp) {
    if (namesOnlyKnown(operation)) {
      apply(operation, dot, timestamp);
      return;
    }
    switch (operation) {
      case CrdtOperation.ListSet set when !order.contains(set.element()) -> {}
      case CrdtOperation.ListMove move when !order.contains(move.element()) ->
          // The slot that a move takes is taken all the same: its author counts it.
          insert(dot.actor(), 1, Place.START, false);
      default -> {
        if (operation.renamed(known()) instanceof OnSequence rest) {
          apply(rest, dot, timestamp);
        }
      }
    }
  }

  private boolean namesOnlyKnown(OnSequence operation) {
    return switch (operation) {
      case CrdtOperation.TextInsert insert -> isKnown(insert.place());
      case CrdtOperation.TextDelete delete -> areKnown(delete.ranges());
      case CrdtOperation.ListInsert insert -> isKnown(insert.place());
      case CrdtOperation.ListDelete delete -> areKnown(delete.ranges());
      case CrdtOperation.ListSet set -> order.contains(set.element());
      case CrdtOperation.ListMove move -> order.contains(move.element()) && isKnown(move.place());
    };
  }

  private boolean isKnown(Place place) {
    ElementId origin = place.origin();
    return origin == null || order.contains(origin);
  }

  private boolean areKnown(List<ElementRange> ranges) {
    for (ElementRange range : ranges) {
      if (range.end() > count(range.actor())) {
        return false;
      }
    }
    return true;
  }

  private CrdtOperation.Names known() {
    return new CrdtOperation.Names() {
      @Override
      public Dot dot(Dot dot) {
        return dot;
      }

      @Override
      public @Nullable ElementId element(ElementId element) {
        return order.contains(element) ? element : null;
      }

      @Override
      public List<Change.Dependency> seen(List<Change.Dependency> seen) {
        return seen;
      }
    };
  }

  /** What a reader sees. */
  public abstract Content content();

  /** Number of visible elements. */
  public int length() {
    return order.length();
  }

  /** Number of elements {@code actor} put in, which is the counter of its next one. */
  public int count(ActorId actor) {
    return order.count(actor);
  }

  /** What this takes in memory, in elements and spans. */
  public long weight() {
    return order.elements() + 8L * order.spans();
  }

  /** Where an element goes that shall stand at {@code position} in [0, length]. */
  public Place placeAt(int position) {
    return order.placeAt(position);
  }

  /** The element at {@code position} in [0, length). */
  public ElementId elementAt(int position) {
    return order.id(order.keyAt(position));
  }

  /** The visible elements at {@code [position, position + count)}, as ranges that ascend by id. */
  public List<ElementRange> rangesAt(int position, int count) {
    var ranges = new ArrayList<ElementRange>();
    if (count == 0) {
      return ranges;
    }
    long first = order.keyAt(position);
    int skip = Order.counterOf(first);
    order.forEachFrom(
        first,
        new SpanTree.Visitor() {
          private int rest = count;
          private boolean started;

          @Override
          public boolean visit(Span span) {
            if (!span.visible) {
              return true;
            }
            int from = started ? span.from : skip;
            started = true;
            int take = Math.min(rest, span.end() - from);
            rest -= take;
            ranges.add(new ElementRange(span.chunk.author.actor, from, take));
            return rest > 0;
          }
        });
    return joined(ranges);
  }

  /** Every element of every author, deleted ones too, as ranges that ascend by id. */
  public List<ElementRange> all() {
    var ranges = new ArrayList<ElementRange>();
    for (Author author : order.authors()) {
      if (author.count > 0) {
        ranges.add(new ElementRange(author.actor, 0, author.count));
      }
    }
    return joined(ranges);
  }

  static List<ElementRange> joined(List<ElementRange> ranges) {
    ranges.sort(Comparator.comparing(ElementRange::actor).thenComparingInt(ElementRange::from));
    var joined = new ArrayList<ElementRange>(ranges.size());
    for (ElementRange range : ranges) {
      ElementRange last = joined.isEmpty() ? null : joined.getLast();
      if (last != null && last.actor().equals(range.actor()) && last.end() == range.from()) {
        joined.removeLast();
        joined.add(new ElementRange(last.actor(), last.from(), last.length() + range.length()));
      } else {
        joined.add(range);
      }
    }
    return joined;
  }

  /** The operations after which this reads {@code json}, by what differs. */
  public abstract List<CrdtOperation> become(byte[] register, List<Dot> observed, byte[] json);

  /** The operations after which nothing of what is here now is left. */
  public abstract List<CrdtOperation> clear(byte[] register);

  /** From here on, steps are taken down so that {@link #rollBack} can undo them. */
  public void mark() {
    journal.clear();
    recording = true;
  }

  /** Keeps everything since {@link #mark}. */
  public void keep() {
    journal.clear();
    recording = false;
  }

  /** Undoes everything since {@link #mark}. */
  public void rollBack() {
    recording = false;
    while (!journal.isEmpty()) {
      journal.removeLast().run();
    }
  }

  void undoable(Undo undo) {
    if (recording) {
      journal.addLast(undo);
    }
  }

  /**
   * Checks a position somebody asks for.
   *
   * @throws CoreException unless it is 0 to {@code max}
   */
  static void requirePosition(String what, int position, int max, String of) {
    if (position < 0 || position > max) {
      throw CoreException.invalid(
          what + " must be 0 to " + max + " in a " + of + ", but is " + position);
    }
  }

  /** Inserts elements and takes it down; returns the first counter. */
  int insert(ActorId actor, int length, Place place, boolean visible) {
    int counter = order.insert(actor, length, place, visible);
    undoable(() -> order.takeBack(actor, counter));
    return counter;
  }

  /** Shows or hides elements and takes down what changed. */
  void setVisible(Author author, int from, int length, boolean visible) {
    order.setVisible(
        author,
        from,
        length,
        visible,
        (changed, at, count) ->
            undoable(() -> order.setVisible(changed, at, count, !visible, (a, b, c) -> {})));
  }
}
