package io.pluresdb.storage.index;

import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.PriorityQueue;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Answers queries from one commit: through an index where one helps, else by looking at every
 * document.
 *
 * <p>The answer is that of the commit, exactly, however far the index has come: documents touched
 * since are looked at themselves, and what the index says of them is not believed. An index too far
 * behind is not used. Any thread.
 */
public final class Finder {
  /** An index is not used when more changes than this are not in it. */
  static final int MAX_OVERLAY = 2_048;

  /** Hits of an index that are looked at before looking at every document is cheaper. */
  static final int MAX_LOOKED_AT = 10_000;

  private Finder() {}

  /**
   * The documents of a query, as of {@code view}, which is closed with the answer.
   *
   * @param indexes those of the storage
   */
  public static CrdtStore.Documents find(
      CommitView view, List<FieldIndex> indexes, DocumentQuery query) {
    try {
      return new Search(view, query).run(indexes);
    } catch (RuntimeException e) {
      view.close();
      throw e;
    }
  }

  /** The ids of all documents that meet a filter, as of {@code view}, which stays open. */
  public static List<byte[]> ids(CommitView view, List<FieldIndex> indexes, Filter filter) {
    var query = new DocumentQuery("", null, filter, List.of(), Long.MAX_VALUE);
    return new Search(view, query).ids(indexes);
  }

  /** A document that meets the filter, with what it is sorted by. */
  private record Found(byte[] id, List<byte[]> keys) {}

  private static final class Search {
    private final CommitView view;
    private final DocumentQuery query;
    private final int tests;
    private final FieldValues values;
    private final byte[] low;
    private final byte @Nullable [] high;
    private final Comparator<Found> order;

    Search(CommitView view, DocumentQuery query) {
      this.view = view;
      this.query = query;
      this.tests = query.filter().tests().size();
      var paths = new ArrayList<byte[]>();
      query.filter().tests().forEach(test -> paths.add(test.path()));
      query.orders().forEach(by -> paths.add(by.path()));
      this.values = new FieldValues(paths);
      byte[] prefix = query.prefix().getBytes(StandardCharsets.UTF_8);
      byte[] from = prefix;
      String after = query.after();
      if (after != null) {
        byte[] next = after.getBytes(StandardCharsets.UTF_8);
        next = Arrays.copyOf(next, next.length + 1);
        from = Arrays.compareUnsigned(next, from) > 0 ? next : from;
      }
      this.low = from;
      this.high = end(prefix);
      this.order = this::compare;
    }

    private static byte @Nullable [] end(byte[] prefix) {
      int length = prefix.length;
      while (length > 0 && prefix[length - 1] == (byte) 0xff) {
        length--;
      }
      if (length == 0) {
        return null;
      }
      byte[] end = Arrays.copyOf(prefix, length);
      end[length - 1]++;
      return end;
    }

    private int compare(Found a, Found b) {
      for (int i = 0; i < a.keys.size(); i++) {
        int by = compare(a.keys.get(i), b.keys.get(i), query.orders().get(i).descending());
        if (by != 0) {
          return by;
        }
      }
      int byId = Arrays.compareUnsigned(a.id, b.id);
      return query.isDescending() ? -byId : byId;
    }

    private static int compare(byte[] a, byte[] b, boolean descending) {
      boolean missing = a[0] == (byte) SortKey.MISSING || b[0] == (byte) SortKey.MISSING;
      int by = Arrays.compareUnsigned(a, b);
      return descending && !missing ? -by : by;
    }

    CrdtStore.Documents run(List<FieldIndex> indexes) {
      if (tests > 0 || !query.orders().isEmpty()) {
        List<byte[]> found = indexed(indexes);
        if (found != null) {
          return new Listed(this, found);
        }
      }
      return query.orders().isEmpty() ? new Scan(this) : new Listed(this, sorted());
    }

    /** All at once. */
    List<byte[]> ids(List<FieldIndex> indexes) {
      List<byte[]> found = indexed(indexes);
      if (found != null) {
        return found;
      }
      var ids = new ArrayList<byte[]>();
      try (var rows = view.snapshot().scan(Table.STATE, low, high)) {
        while (rows.next()) {
          byte[] id = rows.key();
          if (meets(id, rows.value())) {
            ids.add(id);
          }
        }
      }
      return ids;
    }

    /** Null when no index helps. */
    private @Nullable List<byte[]> indexed(List<FieldIndex> indexes) {
      Plan plan = Plan.best(indexes, query);
      if (plan != null) {
        CommitView.Since lag = view.touched(place(plan.index()), MAX_OVERLAY);
        if (!lag.truncated() && lag.next() == view.arrivals()) {
          return through(plan, lag.ids());
        }
      }
      return null;
    }

    /** How far the index had come in this commit. */
    private long place(FieldIndex index) {
      return index.placeIn(view.snapshot());
    }

    /** Null when looking at every document is cheaper. */
    private @Nullable List<byte[]> through(Plan plan, List<byte[]> touched) {
      var changed = new TreeSet<byte[]>(Arrays::compareUnsigned);
      changed.addAll(touched);
      long wanted = plan.ordered() ? query.limit() : Long.MAX_VALUE;
      var found = new ArrayList<Found>();
      int lookedAt = 0;
      for (Plan.Range range : plan.ranges()) {
        byte[] from = plan.index().entryKey(range.from());
        byte[] to = plan.index().entryKey(range.to());
        boolean exact = query.orders().isEmpty() && plan.ordered();
        if (exact) {
          // All entries are alike, so their ids ascend: begin at the first that counts.
          from = IndexDefinition.joined(from, low);
        }
        var snapshot = view.snapshot();
        try (var rows =
            plan.backwards()
                ? snapshot.scanBackwards(Table.INDEX, from, to)
                : snapshot.scan(Table.INDEX, from, to)) {
          while (found.size() < wanted && rows.next()) {
            if (++lookedAt > MAX_LOOKED_AT && found.size() < wanted) {
              return null;
            }
            byte[] id = plan.index().idOf(rows.key());
            if (inRange(id) && !changed.contains(id)) {
              add(found, id);
            } else if (exact && high != null && Arrays.compareUnsigned(id, high) >= 0) {
              break;
            }
          }
        }
      }
      for (byte[] id : changed) {
        if (inRange(id)) {
          add(found, id);
        }
      }
      found.sort(order);
      var ids = new ArrayList<byte[]>();
      for (Found one : found) {
        if (ids.size() < query.limit()
            && (ids.isEmpty() || !Arrays.equals(ids.getLast(), one.id))) {
          ids.add(one.id);
        }
      }
      return ids;
    }

    private boolean inRange(byte[] id) {
      return Arrays.compareUnsigned(id, low) >= 0
          && (high == null || Arrays.compareUnsigned(id, high) < 0);
    }

    private void add(List<Found> found, byte[] id) {
      byte[] row = view.row(id);
      if (row != null && meets(id, row)) {
        found.add(new Found(id, keys()));
      }
    }

    /** Whether a document exists and meets the filter. */
    boolean meets(byte[] id, byte[] row) {
      return values.read(view, id, row) && query.filter().isMetBy(values);
    }

    private List<byte[]> keys() {
      var keys = new ArrayList<byte[]>(query.orders().size());
      for (int i = 0; i < query.orders().size(); i++) {
        keys.add(values.sortKey(tests + i));
      }
      return keys;
    }

    /** The ids of the first documents, of all of them. */
    private List<byte[]> sorted() {
      var best = new PriorityQueue<Found>(order.reversed());
      try (var rows = view.snapshot().scan(Table.STATE, low, high)) {
        while (rows.next()) {
          byte[] id = rows.key();
          if (meets(id, rows.value())) {
            var found = new Found(id, keys());
            if (best.size() < query.limit()) {
              best.add(found);
            } else if (order.compare(found, best.element()) < 0) {
              best.remove();
              best.add(found);
            }
          }
        }
      }
      return best.stream().sorted(order).map(Found::id).toList();
    }
  }

  /** Documents whose ids are known. */
  private static final class Listed implements CrdtStore.Documents {
    private final Search search;
    private final List<byte[]> ids;
    private int next;

    Listed(Search search, List<byte[]> ids) {
      this.search = search;
      this.ids = ids;
    }

    @Override
    public boolean hasNext() {
      return next < ids.size();
    }

    @Override
    public NodeRecord next() {
      if (!hasNext()) {
        throw new NoSuchElementException();
      }
      byte[] id = ids.get(next++);
      NodeRecord document = search.view.document(id);
      if (document == null) {
        throw new IllegalStateException("a document of a commit is not in it");
      }
      return document;
    }

    @Override
    public void close() {
      search.view.close();
    }
  }

  /** All documents that meet the filter, in the order of ids. */
  private static final class Scan implements CrdtStore.Documents {
    private final Search search;
    private final Storage.Cursor rows;
    private @Nullable NodeRecord next;
    private long left;
    private boolean ended;

    Scan(Search search) {
      this.search = search;
      this.left = search.query.limit();
      this.rows = search.view.snapshot().scan(Table.STATE, search.low, search.high);
    }

    @Override
    public boolean hasNext() {
      while (next == null && !ended) {
        ended = left == 0 || !rows.next();
        if (!ended) {
          byte[] id = rows.key();
          byte[] row = rows.value();
          if (search.tests == 0 || search.meets(id, row)) {
            next = search.view.document(id, row);
          }
        }
      }
      return next != null;
    }

    @Override
    public NodeRecord next() {
      NodeRecord document = hasNext() ? next : null;
      if (document == null) {
        throw new NoSuchElementException();
      }
      next = null;
      left--;
      return document;
    }

    @Override
    public void close() {
      rows.close();
      search.view.close();
    }
  }
}
