package io.pluresdb.daemon.query;

import io.pluresdb.crdt.CoreException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.PriorityQueue;

/**
 * The first of many things, in an order, in bounded memory. Those without a value come last in both
 * directions; equal ones as they came, or the other way round when the first order descends, as
 * indexes have it.
 */
final class Best<T> {
  private record Entry<T>(T thing, List<Value> keys, long number, long bytes) {}

  private final int count;
  private final boolean bounded;
  private final Comparator<Entry<T>> order;
  private final PriorityQueue<Entry<T>> worstFirst;
  private long bytes;
  private long number;

  /**
   * @param descending for each key
   * @param count most that are kept
   * @param bounded whether more than {@code count} is all right
   */
  Best(List<Boolean> descending, int count, boolean bounded) {
    this.count = count;
    this.bounded = bounded;
    this.order =
        (a, b) -> {
          for (int i = 0; i < descending.size(); i++) {
            int by = compare(a.keys.get(i), b.keys.get(i), descending.get(i));
            if (by != 0) {
              return by;
            }
          }
          int byNumber = Long.compare(a.number, b.number);
          return !descending.isEmpty() && descending.getFirst() ? -byNumber : byNumber;
        };
    this.worstFirst = new PriorityQueue<>(order.reversed());
  }

  static int compare(Value a, Value b, boolean descending) {
    int by = a.compareTo(b);
    return descending && !(a instanceof Value.None) && !(b instanceof Value.None) ? -by : by;
  }

  /**
   * @param size bytes of JSON that it holds
   * @throws CoreException over {@link QueryLimits#MAX_ANSWER_BYTES}, or over the count unless more
   *     is all right
   */
  void add(T thing, List<Value> keys, long size) {
    var entry = new Entry<>(thing, List.copyOf(keys), number++, size);
    if (worstFirst.size() == count) {
      if (!bounded) {
        throw tooMany();
      }
      Entry<T> worst = worstFirst.peek();
      if (worst == null || order.compare(entry, worst) >= 0) {
        return;
      }
      worstFirst.remove();
      bytes -= worst.bytes;
    }
    worstFirst.add(entry);
    bytes += size;
    if (bytes > QueryLimits.MAX_ANSWER_BYTES) {
      throw tooLarge();
    }
  }

  static CoreException tooMany() {
    return CoreException.tooLarge(
        "a query gives at most "
            + QueryLimits.MAX_ROWS
            + " rows: limit it, or read everything with list");
  }

  static CoreException tooLarge() {
    return CoreException.tooLarge(
        "a query gives and sorts at most "
            + QueryLimits.MAX_ANSWER_BYTES
            + " bytes of JSON: limit it, or name fewer fields");
  }

  /** In order. */
  List<T> all() {
    var sorted = new ArrayList<>(worstFirst);
    sorted.sort(order);
    return sorted.stream().map(Entry::thing).toList();
  }
}
