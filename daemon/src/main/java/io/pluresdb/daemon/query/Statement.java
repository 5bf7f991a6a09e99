package io.pluresdb.daemon.query;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** What SQL says is to be done. */
sealed interface Statement {
  /** The documents it is about. */
  Table table();

  /**
   * All documents, or those whose ids begin with the table's name and a colon.
   *
   * @param prefix of the ids; empty for all
   */
  record Table(String name, String prefix) {
    /** The table of all documents. */
    static final String ALL = "documents";

    static Table named(String name) {
      // As migrate-from-sqlite writes names.
      String escaped = name.replace("%", "%25").replace(":", "%3A");
      return name.equalsIgnoreCase(ALL) ? new Table(name, "") : new Table(name, escaped + ":");
    }
  }

  /**
   * Reads.
   *
   * @param columns none for all
   * @param groups fields of which each combination is a row; none with aggregates for one row
   * @param having about columns, by their names
   * @param orders most important first
   * @param limit most rows, or null for as many as there are
   */
  record Select(
      Table table,
      boolean distinct,
      List<Column> columns,
      Condition where,
      List<Field> groups,
      Condition having,
      List<Order> orders,
      @Nullable Integer limit,
      int offset)
      implements Statement {
    public Select {
      columns = List.copyOf(columns);
      groups = List.copyOf(groups);
      orders = List.copyOf(orders);
    }

    /** Whether rows are made of several documents. */
    boolean isGrouped() {
      return !groups.isEmpty()
          || columns.stream().anyMatch(column -> column.source() instanceof Source.Aggregate);
    }
  }

  /** A column of the answer. */
  record Column(Source source, String name) {}

  /** What a column is made of. */
  sealed interface Source {
    record Plain(Field field) implements Source {}

    /**
     * @param field null to count rows
     */
    record Aggregate(Function function, @Nullable Field field, boolean distinct) implements Source {
      String text() {
        return function.name().toLowerCase(Locale.ROOT)
            + "("
            + (distinct ? "distinct " : "")
            + (field == null ? "*" : field.text())
            + ")";
      }
    }
  }

  enum Function {
    COUNT,
    SUM,
    AVG,
    MIN,
    MAX
  }

  /**
   * @param field of a document; in grouped rows the name of a column
   */
  record Order(Field field, boolean descending) {}

  /**
   * Writes new documents.
   *
   * @param replace whether documents that exist are written over
   * @param rows as many values as there are columns, in each
   */
  record Insert(Table table, boolean replace, List<Field> columns, List<List<Value>> rows)
      implements Statement {}

  /**
   * Changes documents.
   *
   * @param values by the keys of their paths; null takes a value away
   * @param increments what is added to numbers
   */
  record Update(
      Table table,
      Map<List<String>, Value> values,
      Map<List<String>, Long> increments,
      Condition where)
      implements Statement {}

  record Delete(Table table, Condition where) implements Statement {}
}
