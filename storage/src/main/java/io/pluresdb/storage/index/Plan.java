package io.pluresdb.storage.index;

import io.pluresdb.storage.index.Filter.Operator;
import io.pluresdb.storage.index.Filter.Test;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How an index serves a query: the part of it that is looked at.
 *
 * @param ranges {@code [from, to)} of entries, in the order in which they are read
 * @param backwards each range is read from its end
 * @param ordered whether hits come in the order that is asked for
 * @param matched how many tests the ranges meet, a measure of how few hits there will be
 */
record Plan(FieldIndex index, List<Range> ranges, boolean backwards, boolean ordered, int matched) {

  record Range(byte[] from, byte[] to) {}

  private static final byte[] AFTER_ALL = {(byte) 0xff};

  /** The best plan of some indexes, or null when none helps. */
  static @Nullable Plan best(List<FieldIndex> indexes, DocumentQuery query) {
    Plan best = null;
    for (FieldIndex index : indexes) {
      Plan plan = of(index, query);
      if (plan != null && (best == null || plan.worth() > best.worth())) {
        best = plan;
      }
    }
    return best;
  }

  private int worth() {
    return 2 * matched + (ordered ? 3 : 0);
  }

  private static @Nullable Plan of(FieldIndex index, DocumentQuery query) {
    IndexDefinition definition = index.definition();
    List<byte[]> paths = definition.paths();
    byte[] prefix = {};
    int equal = 0;
    while (equal < paths.size()) {
      boolean elements = equal == 0 && definition.ofElements();
      Test test =
          find(query.filter(), paths.get(equal), elements ? Operator.CONTAINS : Operator.EQ);
      if (test == null || (elements && test.operand().length == 0)) {
        break;
      }
      prefix = IndexDefinition.joined(prefix, test.key());
      equal++;
    }
    if (definition.ofElements() && equal == 0) {
      return null;
    }
    if (equal == paths.size()) {
      boolean ordered = query.orders().isEmpty();
      return new Plan(index, List.of(new Range(prefix, after(prefix))), false, ordered, 2 * equal);
    }
    byte[] path = paths.get(equal);
    byte[] low = prefix;
    byte[] high = after(prefix);
    int bounds = 0;
    for (Test test : query.filter().tests()) {
      if (!Arrays.equals(test.path(), path)) {
        continue;
      }
      byte[] key =
          IndexDefinition.joined(prefix, test.operator() == Operator.IN ? new byte[0] : test.key());
      byte[] kind = Arrays.copyOf(key, prefix.length + 1);
      switch (test.operator()) {
        case LT, LTE -> {
          low = greatest(low, kind);
          high = least(high, after(key));
          bounds++;
        }
        case GT, GTE -> {
          low = greatest(low, key);
          high = least(high, after(kind));
          bounds++;
        }
        case PREFIX -> {
          // Without the two bytes that end a key.
          byte[] start = Arrays.copyOf(key, key.length - 2);
          low = greatest(low, start);
          high = least(high, after(start));
          bounds++;
        }
        case EQ, NE, IN, CONTAINS, EXISTS -> {}
      }
    }
    boolean sorts =
        query.orders().size() == 1
            && equal == paths.size() - 1
            && Arrays.equals(query.orders().getFirst().path(), path);
    if (equal == 0 && bounds == 0 && !sorts) {
      return null;
    }
    boolean backwards = sorts && query.orders().getFirst().descending();
    var ranges = new ArrayList<Range>();
    byte[] missing = IndexDefinition.joined(prefix, SortKey.missing());
    if (backwards && bounds == 0) {
      // Documents without a value come last in both directions.
      ranges.add(new Range(low, missing));
      ranges.add(new Range(missing, high));
    } else {
      ranges.add(new Range(low, high));
    }
    return new Plan(index, ranges, backwards, sorts, 2 * equal + Math.min(bounds, 1));
  }

  private static @Nullable Test find(Filter filter, byte[] path, Operator operator) {
    for (Test test : filter.tests()) {
      if (test.operator() == operator && Arrays.equals(test.path(), path)) {
        return test;
      }
    }
    return null;
  }

  /** The least bytes after all that begin with {@code prefix}. */
  private static byte[] after(byte[] prefix) {
    if (prefix.length == 0) {
      return AFTER_ALL;
    }
    byte[] end = prefix;
    while (end[end.length - 1] == (byte) 0xff) {
      end = Arrays.copyOf(end, end.length - 1);
    }
    end = end.clone();
    end[end.length - 1]++;
    return end;
  }

  private static byte[] greatest(byte[] a, byte[] b) {
    return Arrays.compareUnsigned(a, b) >= 0 ? a : b;
  }

  private static byte[] least(byte[] a, byte[] b) {
    return Arrays.compareUnsigned(a, b) <= 0 ? a : b;
  }
}
