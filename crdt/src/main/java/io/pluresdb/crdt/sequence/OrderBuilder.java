package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.codec.CodecException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Orders elements that were read from rows by one traversal of their tree, without recursion. */
final class OrderBuilder {
  /** Says which elements are visible; an element is asked for once. */
  interface Visibility {
    boolean isVisible(long key);
  }

  private static final long NONE = Long.MIN_VALUE;

  private final Order order;
  private final SpanTree tree;
  private final Visibility visibility;
  private final Map<Long, long[]> rightChildren;
  private final Map<Long, long[]> leftChildren;
  private final int[][] branches;
  private final int[][] ends;
  private final List<Span> ordered = new ArrayList<>();
  private long emitted;

  /**
   * @param rightChildren ascending, by the key of the parent
   * @param leftChildren ascending, by the key of the parent
   */
  OrderBuilder(
      Order order,
      SpanTree tree,
      Map<Long, long[]> rightChildren,
      Map<Long, long[]> leftChildren,
      Visibility visibility) {
    this.order = order;
    this.tree = tree;
    this.rightChildren = rightChildren;
    this.leftChildren = leftChildren;
    this.visibility = visibility;
    branches = branches();
    ends = chainEnds();
  }

  /**
   * Fills the tree and the chunks.
   *
   * @throws CodecException when an element hangs below none
   */
  void build() {
    var stack = new LongStack();
    pushDescending(stack, rightChildren.get(Order.ROOT), NONE, NONE);
    while (stack.size > 0) {
      long key = stack.pop();
      if (key < 0) {
        emit(~key, 1);
        continue;
      }
      Author author = order.authorOf(key);
      int counter = Order.counterOf(key);
      int end = chainEnd(author, counter);
      int at = Arrays.binarySearch(branches[author.index], counter);
      int next = at < 0 ? -at - 1 : at;
      int branch =
          next < branches[author.index].length ? branches[author.index][next] : Integer.MAX_VALUE;
      emit(key, Math.min(branch, end) - counter);
      if (branch < end) {
        long node = author.key(branch);
        long joined = branch + 1 < end ? node + 1 : NONE;
        long[] right = rightChildren.get(node);
        pushDescending(stack, right, joined, NONE);
        if (joined != NONE) {
          stack.push(joined);
          pushDescending(stack, right, NONE, joined);
        }
        stack.push(~node);
        pushDescending(stack, leftChildren.get(node), NONE, NONE);
      }
    }
    finish();
  }

  /** Pushes keys so that the least is popped first, those above and below the given ones. */
  private void pushDescending(LongStack stack, long @Nullable [] keys, long above, long below) {
    if (keys == null) {
      return;
    }
    for (int i = keys.length - 1; i >= 0; i--) {
      if ((above == NONE || order.compare(keys[i], above) > 0)
          && (below == NONE || order.compare(keys[i], below) < 0)) {
        stack.push(keys[i]);
      }
    }
  }

  /** Per author the counters of elements with children that are not joined, ascending. */
  private int[][] branches() {
    int[][] branches = new int[order.authors().size()][];
    int[] sizes = new int[order.authors().size()];
    for (int i = 0; i < branches.length; i++) {
      branches[i] = new int[8];
    }
    for (Map<Long, long[]> map : List.of(leftChildren, rightChildren)) {
      for (long key : map.keySet()) {
        if (key == Order.ROOT) {
          continue;
        }
        int author = (int) (key >>> 32);
        if (author >= branches.length
            || Order.counterOf(key) >= order.authors().get(author).count) {
          throw new CodecException("an element of a sequence hangs below an unknown one");
        }
        if (sizes[author] == branches[author].length) {
          branches[author] = Arrays.copyOf(branches[author], 2 * sizes[author]);
        }
        branches[author][sizes[author]++] = Order.counterOf(key);
      }
    }
    for (int i = 0; i < branches.length; i++) {
      branches[i] = Arrays.copyOf(branches[i], sizes[i]);
      Arrays.sort(branches[i]);
    }
    return branches;
  }

  /** Per author the ends of its chains of joined elements, ascending. */
  private int[][] chainEnds() {
    int[][] ends = new int[order.authors().size()][];
    for (Author author : order.authors()) {
      var starts = new ArrayList<Integer>();
      for (Chunk chunk : author.chunks) {
        for (int i = 0; i < chunk.size(); i++) {
          if (!chunk.span(i).joined && chunk.span(i).from > 0) {
            starts.add(chunk.span(i).from);
          }
        }
      }
      starts.add(author.count);
      ends[author.index] = starts.stream().mapToInt(Integer::intValue).toArray();
    }
    return ends;
  }

  private int chainEnd(Author author, int counter) {
    int at = Arrays.binarySearch(ends[author.index], counter + 1);
    return ends[author.index][at < 0 ? -at - 1 : at];
  }

  private void emit(long first, int length) {
    emitted += length;
    for (int i = 0; i < length; i++) {
      long key = first + i;
      int counter = Order.counterOf(key);
      boolean visible = visibility.isVisible(key);
      Span loaded = order.spanOf(key);
      boolean starts = loaded.from == counter && !loaded.joined;
      Span last = ordered.isEmpty() ? null : ordered.getLast();
      if (last != null
          && !starts
          && last.chunk == loaded.chunk
          && last.end() == counter
          && last.visible == visible) {
        last.length++;
        continue;
      }
      var span = new Span(loaded.chunk, counter, 1, visible);
      span.joined = !starts;
      if (starts) {
        span.parent = loaded.parent;
        span.isLeft = loaded.isLeft;
      }
      ordered.add(span);
      tree.append(span);
    }
  }

  private void finish() {
    if (emitted != order.elements()) {
      throw new CodecException("a sequence holds elements that hang below nothing");
    }
    tree.appended();
    for (Author author : order.authors()) {
      author.chunks.forEach(Chunk::clear);
    }
    ordered.sort(Comparator.comparingInt(span -> span.from));
    for (Span span : ordered) {
      span.chunk.add(span.chunk.size(), span);
    }
  }

  private static final class LongStack {
    private long[] values = new long[64];
    int size;

    void push(long value) {
      if (size == values.length) {
        values = Arrays.copyOf(values, size * 2);
      }
      values[size++] = value;
    }

    long pop() {
      return values[--size];
    }
  }
}
