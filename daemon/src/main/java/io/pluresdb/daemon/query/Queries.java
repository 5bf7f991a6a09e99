package io.pluresdb.daemon.query;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.daemon.query.Statement.Column;
import io.pluresdb.daemon.query.Statement.Order;
import io.pluresdb.daemon.query.Statement.Source;
import io.pluresdb.daemon.query.Statement.Table;
import io.pluresdb.storage.search.Searches;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Carries queries out on one database. Reads see one commit; a write finds its documents in one
 * commit and then changes them all together. Waits; any thread.
 */
public final class Queries {
  private final CrdtStore store;
  private final Reading reading;
  private final Runnable beforeWriting;

  /**
   * What a statement gives.
   *
   * @param changes documents that were written
   * @param lastKey the key of the last row inserted, where it is a whole number; else null
   */
  public record Result(
      List<String> columns, List<List<Value>> rows, long changes, @Nullable Long lastKey) {}

  /**
   * What a pipeline gives.
   *
   * @param aggregate null when it has none
   * @param mutated documents that were written; null when it writes none
   */
  public record Nodes(List<Node> nodes, @Nullable Value aggregate, @Nullable Integer mutated) {}

  /** A document, or what is left of it. */
  public record Node(String id, long timestamp, Value data) {}

  /**
   * @param beforeWriting throws when the caller may not write
   */
  public Queries(CrdtStore store, Searches searches, Runnable beforeWriting) {
    this.store = store;
    this.reading = new Reading(store, searches);
    this.beforeWriting = beforeWriting;
  }

  /**
   * Carries a statement out.
   *
   * @param parameters what its question marks stand for
   * @throws QueryException when it is not understood
   * @throws CoreException when it is over a limit, or the write is refused
   */
  public Result sql(String text, List<Value> parameters) {
    return switch (Sql.parse(text, parameters)) {
      case Statement.Select select -> select(select);
      case Statement.Insert insert -> insert(insert);
      case Statement.Update update -> update(update);
      case Statement.Delete delete -> delete(delete);
    };
  }

  /** Carries a pipeline out; throws as {@link #sql} does. */
  public Nodes pipeline(String text) {
    return run(Pipeline.parse(text));
  }

  /** The same of an array of steps. */
  public Nodes steps(Value steps) {
    return run(Pipeline.ofJson(steps));
  }

  /**
   * Refuses an answer that has become too large.
   *
   * @throws CoreException over {@link QueryLimits#MAX_ANSWER_BYTES}
   */
  public static void requireSize(long bytes) {
    if (bytes > QueryLimits.MAX_ANSWER_BYTES) {
      throw Best.tooLarge();
    }
  }

  // SQL.

  private Result select(Statement.Select select) {
    if (select.isGrouped()) {
      return new Grouping(select).run();
    }
    List<String> names = select.columns().stream().map(Column::name).toList();
    if (select.distinct()) {
      return distinct(select, names);
    }
    List<NodeRecord> documents = page(select);
    if (select.columns().isEmpty()) {
      return everything(documents, select.table());
    }
    var rows = new ArrayList<List<Value>>();
    for (NodeRecord document : documents) {
      rows.add(columns(select, Row.of(document, select.table().prefix())));
    }
    return new Result(names, rows, 0, null);
  }

  private List<NodeRecord> page(Statement.Select select) {
    Integer limit = select.limit();
    if (limit != null && limit == 0) {
      return List.of();
    }
    int count = limit == null ? QueryLimits.MAX_ROWS : most(limit, select.offset());
    List<NodeRecord> first =
        reading.first(select.table(), select.where(), select.orders(), count, limit != null);
    return first.subList(Math.min(select.offset(), first.size()), first.size());
  }

  private static int most(int limit, int offset) {
    if (limit + offset > QueryLimits.MAX_ROWS) {
      throw CoreException.tooLarge(
          "LIMIT and OFFSET together must be at most "
              + QueryLimits.MAX_ROWS
              + ", but are "
              + (limit + offset)
              + "; go on with WHERE id > the last one instead");
    }
    return limit + offset;
  }

  private static List<Value> columns(Statement.Select select, Row row) {
    var values = new ArrayList<Value>();
    for (Column column : select.columns()) {
      if (column.source() instanceof Source.Plain(var field)) {
        values.add(row.get(field));
      }
    }
    return values;
  }

  /**
   * {@code *}: the id, and in the table of all documents all of each, else every field there is.
   */
  private static Result everything(List<NodeRecord> documents, Table table) {
    var rows = new ArrayList<List<Value>>();
    if (table.prefix().isEmpty()) {
      for (NodeRecord document : documents) {
        rows.add(
            List.of(
                new Value.Text(document.id()),
                Value.ofCanonical(document.data()),
                Value.of(document.timestamp())));
      }
      return new Result(List.of("id", "data", "timestamp"), rows, 0, null);
    }
    var fields = new TreeSet<String>();
    var read = new ArrayList<Row.Document>();
    for (NodeRecord document : documents) {
      var row = (Row.Document) Row.of(document, table.prefix());
      read.add(row);
      if (row.data() instanceof Value.Members(var members)) {
        fields.addAll(members.keySet());
      }
    }
    var names = new ArrayList<>(List.of("key"));
    names.addAll(fields);
    requireSize((long) names.size() * read.size());
    for (Row.Document row : read) {
      var values = new ArrayList<Value>();
      values.add(row.get(new Field.Key()));
      fields.forEach(field -> values.add(row.data().member(field)));
      rows.add(values);
    }
    return new Result(names, rows, 0, null);
  }

  private Result distinct(Statement.Select select, List<String> names) {
    if (select.columns().isEmpty()) {
      throw QueryException.sql("DISTINCT goes with columns, not with *");
    }
    var seen = new LinkedHashMap<List<Value>, List<Value>>();
    var bytes = new long[1];
    reading.each(
        select.table(),
        select.where(),
        document -> {
          Row row = Row.of(document, select.table().prefix());
          List<Value> values = columns(select, row);
          if (seen.putIfAbsent(values, Reading.keys(row, select.orders())) == null) {
            values.forEach(value -> bytes[0] += value.json().length);
            held(seen.size(), bytes[0]);
          }
          return true;
        });
    var best = best(select);
    seen.forEach((values, keys) -> best.add(values, keys, 0));
    return new Result(names, cut(best.all(), select), 0, null);
  }

  private static void held(int rows, long bytes) {
    if (rows > QueryLimits.MAX_ROWS) {
      throw Best.tooMany();
    }
    requireSize(bytes);
  }

  private static Best<List<Value>> best(Statement.Select select) {
    return new Best<>(
        select.orders().stream().map(Order::descending).toList(), QueryLimits.MAX_ROWS, false);
  }

  private static List<List<Value>> cut(List<List<Value>> rows, Statement.Select select) {
    Integer limit = select.limit();
    int from = Math.min(select.offset(), rows.size());
    int to = limit == null ? rows.size() : Math.min(rows.size(), from + limit);
    return rows.subList(from, to);
  }

  /** Rows that are made of several documents each. */
  private final class Grouping {
    private final Statement.Select select;
    private final Map<List<Value>, List<Accumulator>> groups = new TreeMap<>(Queries::compare);
    private long bytes;

    Grouping(Statement.Select select) {
      this.select = select;
    }

    Result run() {
      if (select.groups().isEmpty()) {
        groups.put(List.of(), accumulators());
      }
      reading.each(
          select.table(),
          select.where(),
          document -> {
            add(Row.of(document, select.table().prefix()));
            return true;
          });
      var best = best(select);
      List<String> names = select.columns().stream().map(Column::name).toList();
      groups.forEach(
          (group, made) -> {
            List<Value> values = row(group, made);
            Row row = field -> values.get(names.indexOf(((Field.Path) field).keys().getFirst()));
            if (select.having().isMetBy(row)) {
              best.add(values, Reading.keys(row, select.orders()), 0);
            }
          });
      return new Result(names, cut(best.all(), select), 0, null);
    }

    private void add(Row row) {
      List<Value> group = select.groups().stream().map(row::get).toList();
      List<Accumulator> made = groups.get(group);
      if (made == null) {
        made = accumulators();
        groups.put(group, made);
        group.forEach(value -> bytes += value.json().length);
      }
      int next = 0;
      for (Column column : select.columns()) {
        if (column.source() instanceof Source.Aggregate(var function, var field, var distinct)) {
          Accumulator one = made.get(next++);
          bytes -= one.bytes();
          one.add(field == null ? new Value.Truth(true) : row.get(field));
          bytes += one.bytes();
        }
      }
      held(groups.size(), bytes);
    }

    private List<Accumulator> accumulators() {
      var made = new ArrayList<Accumulator>();
      for (Column column : select.columns()) {
        if (column.source() instanceof Source.Aggregate(var function, var field, var distinct)) {
          Accumulator one =
              switch (function) {
                case COUNT -> new Accumulator.Count();
                case SUM -> new Accumulator.Sum(false);
                case AVG -> new Accumulator.Sum(true);
                case MIN -> new Accumulator.Extreme(false);
                case MAX -> new Accumulator.Extreme(true);
              };
          made.add(distinct ? new Accumulator.Distinct(List.of(one)) : one);
        }
      }
      return made;
    }

    private List<Value> row(List<Value> group, List<Accumulator> made) {
      var values = new ArrayList<Value>();
      int next = 0;
      for (Column column : select.columns()) {
        values.add(
            switch (column.source()) {
              case Source.Plain(var field) -> group.get(select.groups().indexOf(field));
              case Source.Aggregate aggregate -> made.get(next++).result();
            });
      }
      return values;
    }
  }

  private static int compare(List<Value> a, List<Value> b) {
    for (int i = 0; i < a.size(); i++) {
      int by = a.get(i).compareTo(b.get(i));
      if (by != 0) {
        return by;
      }
    }
    return 0;
  }

  private Result insert(Statement.Insert insert) {
    beforeWriting.run();
    var edits = new ArrayList<Edit>();
    var ids = new ArrayList<String>();
    for (List<Value> row : insert.rows()) {
      String id = id(insert, row);
      if (ids.contains(id)) {
        throw QueryException.sql("the id \"" + id + "\" is inserted twice");
      }
      ids.add(id);
      edits.add(Edit.put(id, document(insert, row)));
    }
    var transaction = new Transaction(edits, Acknowledgement.LOCAL);
    if (insert.replace()) {
      CrdtStore.await(store.submit(transaction));
    } else {
      CrdtStore.await(store.submitIf(ids.stream().map(Queries::mustBeNew).toList(), transaction));
    }
    return new Result(List.of(), List.of(), ids.size(), number(ids.getLast(), insert.table()));
  }

  private static CrdtStore.Condition mustBeNew(String id) {
    return new CrdtStore.Condition(
        id,
        found -> {
          if (found.isPresent()) {
            throw new CoreException(
                CoreException.Kind.PRECONDITION_FAILED,
                "document \"" + id + "\" exists; INSERT OR REPLACE writes over it");
          }
          return true;
        });
  }

  private static @Nullable Long number(String id, Table table) {
    try {
      return Long.valueOf(id.substring(table.prefix().length()));
    } catch (NumberFormatException e) {
      return null;
    }
  }

  private static String id(Statement.Insert insert, List<Value> row) {
    Table table = insert.table();
    int at =
        Math.max(
            insert.columns().indexOf(new Field.Id()), insert.columns().indexOf(new Field.Key()));
    if (!(row.get(at) instanceof Value.Text(String name))) {
      throw QueryException.sql(
          insert.columns().get(at).text()
              + " must be a string or a number, but is "
              + row.get(at).text());
    }
    if (insert.columns().get(at) instanceof Field.Key) {
      return table.prefix() + name;
    }
    if (!name.startsWith(table.prefix())) {
      throw QueryException.sql(
          "ids of the table "
              + table.name()
              + " must begin with \""
              + table.prefix()
              + "\", but there is \""
              + name
              + "\"");
    }
    return name;
  }

  private static byte[] document(Statement.Insert insert, List<Value> row) {
    int whole = insert.columns().indexOf(new Field.Data());
    if (whole >= 0) {
      return row.get(whole).json();
    }
    var values = new LinkedHashMap<List<String>, Value>();
    for (int i = 0; i < row.size(); i++) {
      if (insert.columns().get(i) instanceof Field.Path(var keys) && !row.get(i).isNothing()) {
        values.put(keys, row.get(i));
      }
    }
    return nested(values).json();
  }

  /** The object with values at those paths. */
  private static Value nested(Map<List<String>, Value> values) {
    var members = new TreeMap<String, Value>(Pipeline::byBytes);
    values.forEach((keys, value) -> insert(members, keys, value));
    return new Value.Members(members);
  }

  private static void insert(Map<String, Value> members, List<String> keys, Value value) {
    String first = keys.getFirst();
    if (keys.size() == 1) {
      if (members.put(first, value) != null) {
        throw QueryException.sql("the field " + first + " is named with one inside it");
      }
      return;
    }
    Value within = members.getOrDefault(first, Value.None.VALUE);
    var inner = new TreeMap<String, Value>(Pipeline::byBytes);
    if (within instanceof Value.Members(var already)) {
      inner.putAll(already);
    } else if (!(within instanceof Value.None)) {
      throw QueryException.sql("the field " + first + " is named with one inside it");
    }
    insert(inner, keys.subList(1, keys.size()), value);
    members.put(first, new Value.Members(inner));
  }

  private Result update(Statement.Update update) {
    beforeWriting.run();
    byte[] patch = nested(update.values()).json();
    int each = (update.values().isEmpty() ? 0 : 1) + update.increments().size();
    var edits = new ArrayList<Edit>();
    for (String id : ids(update.table(), update.where(), ChangeBody.MAX_EDITS / each)) {
      if (!update.values().isEmpty()) {
        edits.add(Edit.patch(id, patch));
      }
      update
          .increments()
          .forEach((keys, amount) -> edits.add(Edit.increment(id, String.join(".", keys), amount)));
    }
    return written(edits, edits.size() / each);
  }

  private Result delete(Statement.Delete delete) {
    beforeWriting.run();
    List<Edit> edits =
        ids(delete.table(), delete.where(), ChangeBody.MAX_EDITS).stream()
            .<Edit>map(Edit::delete)
            .toList();
    return written(edits, edits.size());
  }

  private Result written(List<Edit> edits, int documents) {
    if (!edits.isEmpty()) {
      CrdtStore.await(store.submit(new Transaction(edits, Acknowledgement.LOCAL)));
    }
    return new Result(List.of(), List.of(), documents, null);
  }

  private List<String> ids(Table table, Condition where, int most) {
    var ids = new ArrayList<String>();
    reading.each(
        table,
        where,
        document -> {
          if (ids.size() == most) {
            throw CoreException.tooLarge(
                "a statement changes at most "
                    + most
                    + " documents: narrow it, or repeat it with WHERE id > the last one");
          }
          ids.add(document.id());
          return true;
        });
    return ids;
  }

  // Pipelines.

  private Nodes run(List<Step> steps) {
    Integer mutated = null;
    int at = 0;
    if (steps.getFirst() instanceof Step.Mutate(var operations)) {
      mutated = mutate(operations);
      at = 1;
      if (steps.size() == 1) {
        return new Nodes(List.of(), null, mutated);
      }
    }
    var conditions = new ArrayList<Condition>();
    while (at < steps.size() && steps.get(at) instanceof Step.Filter(var predicate)) {
      conditions.add(predicate.condition());
      at++;
    }
    var all = new Condition.All(conditions);
    Table table = Table.named(Table.ALL);
    if (at < steps.size() && steps.get(at) instanceof Step.Aggregate(var function, var field)) {
      Accumulator made = accumulator(function);
      reading.each(
          table,
          all,
          document -> {
            add(made, Row.of(document, ""), field);
            return true;
          });
      return new Nodes(List.of(), made.result(), mutated);
    }
    var orders = new ArrayList<Order>();
    while (at < steps.size() && steps.get(at) instanceof Step.Sort(var by, var descending)) {
      // A later sort keeps the order of the one before among what is equal to it.
      orders.addFirst(new Order(by, descending));
      at++;
    }
    boolean limited = at < steps.size() && steps.get(at) instanceof Step.Limit;
    int count = QueryLimits.MAX_ROWS;
    if (limited && steps.get(at++) instanceof Step.Limit(int most)) {
      count = most;
    }
    List<Node> nodes =
        reading.first(table, all, orders, count, limited).stream()
            .map(d -> new Node(d.id(), d.timestamp(), Value.ofCanonical(d.data())))
            .toList();
    return rest(nodes, steps.subList(at, steps.size()), mutated);
  }

  private static Nodes rest(List<Node> first, List<Step> steps, @Nullable Integer mutated) {
    List<Node> nodes = first;
    for (Step step : steps) {
      switch (step) {
        case Step.Filter(var predicate) -> {
          Condition condition = predicate.condition();
          nodes = nodes.stream().filter(node -> condition.isMetBy(row(node))).toList();
        }
        case Step.Sort(var by, var descending) ->
            nodes =
                nodes.stream()
                    .sorted((a, b) -> Best.compare(row(a).get(by), row(b).get(by), descending))
                    .toList();
        case Step.Limit(int most) -> nodes = nodes.subList(0, Math.min(most, nodes.size()));
        case Step.Project(var fields) ->
            nodes = nodes.stream().map(node -> projected(node, fields)).toList();
        case Step.Aggregate(var function, var field) -> {
          Accumulator made = accumulator(function);
          nodes.forEach(node -> add(made, row(node), field));
          return new Nodes(List.of(), made.result(), mutated);
        }
        case Step.Mutate mutate ->
            throw new IllegalStateException("a mutate that is not first was refused before");
      }
    }
    return new Nodes(nodes, null, mutated);
  }

  private static Row row(Node node) {
    return new Row.Document(node.id(), node.timestamp(), node.data(), "");
  }

  private static void add(Accumulator made, Row row, @Nullable Field field) {
    made.add(field == null ? new Value.Truth(true) : row.get(field));
    held(0, made.bytes());
  }

  private static Accumulator accumulator(Step.Function function) {
    return switch (function) {
      case COUNT -> new Accumulator.Count();
      case SUM -> new Accumulator.Sum(false);
      case AVG -> new Accumulator.Sum(true);
      case MIN -> new Accumulator.Extreme(false);
      case MAX -> new Accumulator.Extreme(true);
      case DISTINCT -> new Accumulator.Distinct(List.of());
      case COLLECT -> new Accumulator.Collect();
    };
  }

  /** A node whose data holds those fields only, where they have a value. */
  private static Node projected(Node node, List<Field> fields) {
    var values = new LinkedHashMap<List<String>, Value>();
    for (Field field : fields) {
      if (field instanceof Field.Data) {
        return node;
      }
      Value value = row(node).get(field);
      if (field instanceof Field.Path(var keys) && !(value instanceof Value.None)) {
        values.keySet().removeIf(other -> begins(other, keys));
        if (values.keySet().stream().noneMatch(other -> begins(keys, other))) {
          values.put(keys, value);
        }
      }
    }
    return new Node(node.id(), node.timestamp(), nested(values));
  }

  private static boolean begins(List<String> keys, List<String> start) {
    return keys.size() >= start.size() && keys.subList(0, start.size()).equals(start);
  }

  private int mutate(List<Step.Operation> operations) {
    beforeWriting.run();
    var edits = new ArrayList<Edit>();
    for (Step.Operation operation : operations) {
      edits.add(
          switch (operation) {
            case Step.Operation.Put(var id, var data) -> Edit.put(id, data.json());
            case Step.Operation.Patch(var id, var patch) -> Edit.patch(id, patch.json());
            case Step.Operation.Delete(var id) -> Edit.delete(id);
          });
    }
    CrdtStore.await(store.submit(new Transaction(edits, Acknowledgement.LOCAL)));
    return edits.size();
  }
}
