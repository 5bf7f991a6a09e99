package io.pluresdb.daemon.query;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.daemon.query.Statement.Order;
import io.pluresdb.daemon.query.Statement.Table;
import io.pluresdb.storage.index.DocumentQuery;
import io.pluresdb.storage.search.Searches;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** The documents that meet a condition, read from one commit. */
final class Reading {
  /** Takes documents. */
  interface Visitor {
    /** Whether to go on. */
    boolean take(NodeRecord document);
  }

  private final CrdtStore store;
  private final Searches searches;

  Reading(CrdtStore store, Searches searches) {
    this.store = store;
    this.searches = searches;
  }

  /**
   * Hands out documents in the order of their ids until {@code wanted} says false.
   *
   * @param wanted whether to go on
   */
  void each(Table table, Condition condition, Visitor wanted) {
    each(table, condition, Narrowed.of(condition, table), List.of(), Long.MAX_VALUE, wanted);
  }

  private void each(
      Table table,
      Condition condition,
      Narrowed narrowed,
      List<DocumentQuery.Order> orders,
      long limit,
      Visitor wanted) {
    String id = narrowed.id();
    if (id != null) {
      Optional<NodeRecord> document =
          id.isEmpty() || !id.startsWith(narrowed.prefix()) ? Optional.empty() : store.get(id);
      if (document.isPresent() && meets(document.get(), table, condition)) {
        wanted.take(document.get());
      }
      return;
    }
    var query =
        new DocumentQuery(
            narrowed.prefix(),
            orders.isEmpty() ? narrowed.after() : null,
            narrowed.filter(),
            orders,
            limit);
    try (var documents = searches.find(query)) {
      boolean more = true;
      while (more && documents.hasNext()) {
        NodeRecord document = documents.next();
        if (narrowed.exact() || meets(document, table, condition)) {
          more = wanted.take(document);
        }
      }
    }
  }

  private static boolean meets(NodeRecord document, Table table, Condition condition) {
    return condition.isMetBy(Row.of(document, table.prefix()));
  }

  /**
   * The first documents in an order.
   *
   * @param orders none for the order of ids
   * @param count most, 1 or more
   * @param bounded whether more than {@code count} is all right; else it is refused
   */
  List<NodeRecord> first(
      Table table, Condition condition, List<Order> orders, int count, boolean bounded) {
    Narrowed narrowed = Narrowed.of(condition, table);
    List<DocumentQuery.Order> stored = stored(orders);
    boolean inStore =
        stored.size() == orders.size() && (narrowed.after() == null || orders.isEmpty());
    boolean sorted =
        orders.isEmpty() || (inStore && narrowed.exact() && bounded && narrowed.id() == null);
    var best =
        new Best<NodeRecord>(
            sorted ? List.of() : orders.stream().map(Order::descending).toList(), count, bounded);
    long limit = narrowed.exact() && bounded && sorted ? count : Long.MAX_VALUE;
    var left = new int[] {count};
    each(
        table,
        condition,
        narrowed,
        sorted && !orders.isEmpty() ? stored : List.of(),
        limit,
        document -> {
          if (sorted && bounded && left[0]-- == 0) {
            return false;
          }
          best.add(
              document,
              sorted ? List.of() : keys(Row.of(document, table.prefix()), orders),
              bytes(document));
          return true;
        });
    return best.all();
  }

  private static long bytes(NodeRecord document) {
    float[] embedding = document.embedding();
    return document.data().length + (embedding == null ? 0 : 4L * embedding.length);
  }

  static List<Value> keys(Row row, List<Order> orders) {
    return orders.stream().map(order -> row.get(order.field())).toList();
  }

  /** Those orders that the store knows, up to the first that it does not. */
  private static List<DocumentQuery.Order> stored(List<Order> orders) {
    var stored = new ArrayList<DocumentQuery.Order>();
    for (Order order : orders) {
      if (!(order.field() instanceof Field.Path(List<String> keys))
          || stored.size() == DocumentQuery.MAX_ORDERS) {
        break;
      }
      stored.add(new DocumentQuery.Order(io.pluresdb.crdt.value.Path.of(keys), order.descending()));
    }
    return stored;
  }
}
