package io.pluresdb.storage.index;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.value.Path;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Which documents are wanted, and in what order.
 *
 * @param prefix of their ids
 * @param after only ids after this one, null for all; only without orders
 * @param orders what to sort by, most important first; none for the order of ids. Documents without
 *     a value come last either way; equal ones are in the order of their ids, or against it when
 *     the first order descends
 * @param limit most documents; with orders at most {@link #MAX_SORTED}
 */
public record DocumentQuery(
    String prefix, @Nullable String after, Filter filter, List<Order> orders, long limit) {
  /** Most documents of a sorted answer. */
  public static final int MAX_SORTED = 10_000;

  /** Most fields to sort by. */
  public static final int MAX_ORDERS = 4;

  /**
   * A field to sort by.
   *
   * @param path as {@link Path} encodes it
   */
  public record Order(byte[] path, boolean descending) {}

  public DocumentQuery {
    if (orders.size() > MAX_ORDERS) {
      throw CoreException.invalid(
          "sort must name at most " + MAX_ORDERS + " fields, but names " + orders.size());
    }
    if (limit < 1 || (!orders.isEmpty() && limit > MAX_SORTED)) {
      throw CoreException.invalid(
          "limit must be 1 to "
              + (orders.isEmpty() ? Long.MAX_VALUE : MAX_SORTED)
              + (orders.isEmpty() ? "" : " with sort")
              + ", but is "
              + limit);
    }
    if (!orders.isEmpty() && after != null) {
      throw CoreException.invalid("after goes with the order of ids, not with sort");
    }
    orders = List.copyOf(orders);
  }

  /** Reads {@code field,-field}: a minus sorts from the greatest down. */
  public static List<Order> parseOrders(String text) {
    var orders = new ArrayList<Order>();
    for (String field : text.split(",", -1)) {
      boolean descending = field.startsWith("-");
      String name = descending ? field.substring(1) : field;
      if (name.isEmpty()) {
        throw CoreException.invalid(
            "sort must be field names joined by commas, but is \"" + text + "\"");
      }
      orders.add(new Order(Path.parse(name), descending));
    }
    return orders;
  }

  boolean isDescending() {
    return !orders.isEmpty() && orders.getFirst().descending();
  }
}
