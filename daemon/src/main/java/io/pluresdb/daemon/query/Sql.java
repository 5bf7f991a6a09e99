package io.pluresdb.daemon.query;

import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.daemon.config.Nearest;
import io.pluresdb.daemon.query.Condition.Comparison;
import io.pluresdb.daemon.query.Statement.Column;
import io.pluresdb.daemon.query.Statement.Function;
import io.pluresdb.daemon.query.Statement.Order;
import io.pluresdb.daemon.query.Statement.Source;
import io.pluresdb.daemon.query.Statement.Table;
import io.pluresdb.daemon.query.Token.Kind;
import io.pluresdb.daemon.query.Token.Language;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * Reads SQL: one statement about one table.
 *
 * <pre>
 * statement := select | insert | update | delete [";"]
 * select    := SELECT [DISTINCT] ("*" | column ("," column)*) FROM table [WHERE any]
 *              [GROUP BY field ("," field)*] [HAVING any]
 *              [ORDER BY place [ASC|DESC] ("," ...)*] [LIMIT count [OFFSET count]]
 * column    := (field | function "(" ("*" | [DISTINCT] field) ")") [[AS] name]
 * insert    := INSERT [OR REPLACE] INTO table "(" field ("," field)* ")" VALUES row ("," row)*
 * update    := UPDATE table SET field "=" (value | field ("+"|"-") number) ("," ...)* [WHERE any]
 * delete    := DELETE FROM table [WHERE any]
 * any       := all (OR all)*        all := one (AND one)*
 * one       := NOT one | "(" any ")" | field test
 * test      := ("=" | "==" | "&lt;>" | "!=" | "&lt;" | "&lt;=" | ">" | ">=") value | IS [NOT] NULL
 *            | [NOT] (IN "(" value ("," value)* ")" | LIKE value | BETWEEN value AND value
 *            | CONTAINS value)
 * value     := 'string' | number | TRUE | FALSE | NULL | "?"
 * </pre>
 */
final class Sql {
  /** Words that are no names unless they are quoted. */
  private static final Set<String> RESERVED =
      Set.of(
          "SELECT",
          "FROM",
          "WHERE",
          "GROUP",
          "HAVING",
          "ORDER",
          "BY",
          "LIMIT",
          "OFFSET",
          "AND",
          "OR",
          "NOT",
          "IN",
          "LIKE",
          "BETWEEN",
          "CONTAINS",
          "IS",
          "NULL",
          "AS",
          "DISTINCT",
          "INSERT",
          "INTO",
          "VALUES",
          "UPDATE",
          "SET",
          "DELETE",
          "TRUE",
          "FALSE",
          "JOIN",
          "UNION");

  private static final List<String> STATEMENTS = List.of("SELECT", "INSERT", "UPDATE", "DELETE");
  private static final List<String> FUNCTIONS = List.of("COUNT", "SUM", "AVG", "MIN", "MAX");

  private final Tokens in;
  private final List<Value> parameters;
  private int used;

  /** What HAVING may name. */
  private List<Column> selected = List.of();

  private Sql(String text, List<Value> parameters) {
    this.in = new Tokens(text, Language.SQL);
    this.parameters = parameters;
  }

  /**
   * Reads a statement.
   *
   * @param parameters what its question marks stand for, in order
   * @throws QueryException naming the character
   */
  static Statement parse(String text, List<Value> parameters) {
    if (parameters.size() > QueryLimits.MAX_PARAMETERS) {
      throw QueryException.sql(
          "params must be at most "
              + QueryLimits.MAX_PARAMETERS
              + ", but are "
              + parameters.size());
    }
    return new Sql(text, parameters).statement();
  }

  private Statement statement() {
    Token first = in.peek();
    Statement statement =
        switch (first.kind() == Kind.WORD ? first.keyword() : "") {
          case "SELECT" -> select();
          case "INSERT" -> insert();
          case "UPDATE" -> update();
          case "DELETE" -> delete();
          default ->
              throw in.expected(
                  "a statement, "
                      + String.join(", ", STATEMENTS)
                      + (first.kind() == Kind.WORD
                          ? " (the nearest is " + Nearest.to(first.keyword(), STATEMENTS) + ")"
                          : ""));
        };
    if (!in.taken(";") && in.peek().kind() != Kind.END) {
      throw in.expected(after(statement));
    }
    in.end();
    if (used < parameters.size()) {
      throw QueryException.sql(
          "the statement has "
              + used
              + " question marks, but there are "
              + parameters.size()
              + " params");
    }
    return statement;
  }

  /** What may still come. */
  private static String after(Statement statement) {
    return switch (statement) {
      case Statement.Select select ->
          "WHERE, GROUP BY, HAVING, ORDER BY, LIMIT, OFFSET in this order, or the end";
      case Statement.Insert insert -> "another row in parentheses, or the end";
      case Statement.Update update -> "WHERE, or the end";
      case Statement.Delete delete -> "WHERE, or the end";
    };
  }

  private Statement select() {
    in.expect("SELECT");
    boolean distinct = in.taken("DISTINCT");
    var columns = new ArrayList<Column>();
    if (!in.taken("*")) {
      do {
        columns.add(column());
        in.atMost(QueryLimits.MAX_COLUMNS, columns.size(), "columns");
      } while (in.taken(","));
    }
    in.expect("FROM");
    Table table = table();
    if (in.peek().is(",") || in.peek().is("JOIN")) {
      throw in.wrong(in.peek(), "a statement is about one table; there are no joins");
    }
    Condition where = where(table);
    var groups = new ArrayList<Field>();
    if (in.taken("GROUP")) {
      in.expect("BY");
      do {
        groups.add(field(table));
        in.atMost(QueryLimits.MAX_COLUMNS, groups.size(), "groups");
      } while (in.taken(","));
    }
    List<Column> placed = columns.stream().map(column -> placed(column, table)).toList();
    Token place = in.peek();
    selected = placed;
    Condition having = in.taken("HAVING") ? any(null) : Condition.always();
    var orders = new ArrayList<Order>();
    boolean grouped =
        !groups.isEmpty() || placed.stream().anyMatch(c -> c.source() instanceof Source.Aggregate);
    if (!having.equals(Condition.always()) && !grouped) {
      throw in.wrong(place, "HAVING needs GROUP BY or a function; use WHERE");
    }
    if (grouped) {
      requireGrouped(placed, groups, place);
    }
    if (in.taken("ORDER")) {
      in.expect("BY");
      do {
        orders.add(order(placed, grouped, distinct, table));
        in.atMost(QueryLimits.MAX_COLUMNS, orders.size(), "fields to order by");
      } while (in.taken(","));
    }
    Integer limit = null;
    int offset = 0;
    if (in.taken("LIMIT")) {
      limit = count("the most rows", 0);
      if (in.taken("OFFSET")) {
        offset = count("the rows to skip", 0);
      }
    }
    return new Statement.Select(
        table, distinct, placed, where, groups, having, orders, limit, offset);
  }

  private int count(String what, int least) {
    if (!in.peek().is("?")) {
      return in.whole(what, least, QueryLimits.MAX_ROWS);
    }
    Token place = in.peek();
    if (value() instanceof Value.Numeric(String json)
        && json.length() < 10
        && json.chars().allMatch(Character::isDigit)
        && Integer.parseInt(json) >= least
        && Integer.parseInt(json) <= QueryLimits.MAX_ROWS) {
      return Integer.parseInt(json);
    }
    throw in.wrong(
        place, what + " must be a whole number from " + least + " to " + QueryLimits.MAX_ROWS);
  }

  private void require(boolean fits, Token place, String message) {
    if (!fits) {
      throw in.wrong(place, message);
    }
  }

  private void requireGrouped(List<Column> columns, List<Field> groups, Token place) {
    require(!columns.isEmpty(), place, "* does not go with groups; name columns");
    for (Column column : columns) {
      boolean fits =
          switch (column.source()) {
            case Source.Aggregate aggregate -> true;
            case Source.Plain(var field) -> groups.contains(field);
          };
      require(fits, place, "the column " + column.name() + " must be in GROUP BY or in a function");
    }
  }

  /** A column before it is known of which table. */
  private Column column() {
    Token first = in.peek();
    Source source;
    if (first.kind() == Kind.WORD && in.second().is("(")) {
      source = aggregate();
    } else {
      source = new Source.Plain(Field.of(names()));
    }
    String name =
        switch (source) {
          case Source.Plain(var field) -> field.text();
          case Source.Aggregate aggregate -> aggregate.text();
        };
    boolean as = in.taken("AS");
    Token alias = in.peek();
    if (as
        || alias.kind() == Kind.NAME
        || (alias.kind() == Kind.WORD && !RESERVED.contains(alias.keyword()))) {
      name = name("a name of the column");
    }
    return new Column(source, name);
  }

  private Column placed(Column column, Table table) {
    return switch (column.source()) {
      case Source.Plain(var field) ->
          new Column(new Source.Plain(placed(field, table)), column.name());
      case Source.Aggregate(var function, var field, var distinct) ->
          new Column(
              new Source.Aggregate(function, field == null ? null : placed(field, table), distinct),
              column.name());
    };
  }

  /** In a table with a prefix {@code key} is what follows it. */
  private static Field placed(Field field, Table table) {
    return field.equals(new Field.Path(List.of("key"))) && !table.prefix().isEmpty()
        ? new Field.Key()
        : field;
  }

  private Source aggregate() {
    Token name = in.take();
    if (!FUNCTIONS.contains(name.keyword())) {
      throw in.wrong(
          name,
          "a function must be one of "
              + String.join(", ", FUNCTIONS)
              + ", but is \""
              + name.text()
              + "\"; the nearest is "
              + Nearest.to(name.keyword(), FUNCTIONS));
    }
    Function function = Function.valueOf(name.keyword());
    in.expect("(");
    Field field = null;
    boolean distinct = false;
    if (in.peek().is("*") && function == Function.COUNT) {
      in.take();
    } else {
      distinct = in.taken("DISTINCT");
      field = Field.of(names());
    }
    in.expect(")");
    return new Source.Aggregate(function, field, distinct);
  }

  private Order order(List<Column> columns, boolean grouped, boolean distinct, Table table) {
    Token place = in.peek();
    Field field;
    if (place.kind() == Kind.NUMBER) {
      int number = in.whole("the number of a column", 1, Math.max(1, columns.size()));
      field = columns.isEmpty() ? new Field.Id() : columnOrField(columns.get(number - 1), grouped);
    } else if (place.kind() == Kind.WORD && in.second().is("(")) {
      var source = (Source.Aggregate) aggregate();
      Column column =
          columns.stream()
              .filter(c -> placed(new Column(source, ""), table).source().equals(c.source()))
              .findFirst()
              .orElseThrow(
                  () -> in.wrong(place, "ORDER BY " + source.text() + " must be a column, too"));
      field = new Field.Path(List.of(column.name()));
    } else {
      List<String> names = names();
      String text = String.join(".", names);
      Field named = placed(Field.of(names), table);
      Column column =
          columns.stream()
              .filter(c -> c.name().equals(text) || c.source().equals(new Source.Plain(named)))
              .findFirst()
              .orElse(null);
      if (column == null && (grouped || (distinct && !columns.isEmpty()))) {
        throw in.wrong(
            place,
            "ORDER BY "
                + text
                + " must be one of the columns: "
                + String.join(", ", columns.stream().map(Column::name).toList()));
      }
      field = column == null ? named : columnOrField(column, grouped);
    }
    boolean descending = in.taken("DESC");
    if (!descending) {
      in.taken("ASC");
    }
    return new Order(field, descending);
  }

  private static Field columnOrField(Column column, boolean grouped) {
    return !grouped && column.source() instanceof Source.Plain(var field)
        ? field
        : new Field.Path(List.of(column.name()));
  }

  private Table table() {
    return Table.named(name("a table"));
  }

  private String name(String what) {
    Token token = in.peek();
    boolean plain = token.kind() == Kind.WORD && !RESERVED.contains(token.keyword());
    if (!plain && token.kind() != Kind.NAME) {
      throw in.expected(
          what
              + (RESERVED.contains(token.keyword())
                  ? ", which must be in double quotes when it is a keyword"
                  : ""));
    }
    if (token.text().isEmpty()) {
      throw in.wrong(token, "a name must not be empty");
    }
    return in.take().text();
  }

  private List<String> names() {
    Token token = in.peek();
    if (token.kind() == Kind.WORD && RESERVED.contains(token.keyword())) {
      name("a field");
    }
    return in.keys("a field");
  }

  private Field field(@Nullable Table table) {
    Field field = Field.of(names());
    return table == null ? field : placed(field, table);
  }

  private Statement insert() {
    in.expect("INSERT");
    boolean replace = in.taken("OR");
    if (replace) {
      in.expect("REPLACE");
    }
    in.expect("INTO");
    Table table = table();
    Token place = in.peek();
    in.expect("(");
    var columns = new ArrayList<Field>();
    do {
      Token where = in.peek();
      Field column = field(table);
      if (column instanceof Field.Timestamp) {
        throw in.wrong(where, "timestamp is not written, it is when a document is written");
      }
      if (columns.contains(column)) {
        throw in.wrong(where, "the column " + column.text() + " is named twice");
      }
      columns.add(column);
      in.atMost(QueryLimits.MAX_COLUMNS, columns.size(), "columns");
    } while (in.taken(","));
    in.expect(")");
    boolean named = columns.contains(new Field.Id()) != columns.contains(new Field.Key());
    String ids = table.prefix().isEmpty() ? "id" : "either id or key";
    require(named, place, "the columns must have " + ids + ": rows are not numbered");
    boolean whole = columns.contains(new Field.Data());
    require(
        !whole || columns.size() == 2, place, "data is the whole document, so no field beside it");
    in.expect("VALUES");
    var rows = new ArrayList<List<Value>>();
    do {
      rows.add(row(columns));
      in.atMost(ChangeBody.MAX_EDITS, rows.size(), "rows");
    } while (in.taken(","));
    return new Statement.Insert(table, replace, List.copyOf(columns), List.copyOf(rows));
  }

  private List<Value> row(List<Field> columns) {
    Token place = in.peek();
    in.expect("(");
    var values = new ArrayList<Value>();
    do {
      Value value = value();
      values.add(values.size() < columns.size() ? named(columns.get(values.size()), value) : value);
    } while (in.taken(","));
    in.expect(")");
    require(
        values.size() == columns.size(),
        place,
        "there are " + columns.size() + " columns, but " + values.size() + " values");
    return values;
  }

  private Statement update() {
    in.expect("UPDATE");
    Table table = table();
    in.expect("SET");
    var values = new LinkedHashMap<List<String>, Value>();
    var increments = new LinkedHashMap<List<String>, Long>();
    var set = new ArrayList<List<String>>();
    do {
      Token place = in.peek();
      if (!(field(table) instanceof Field.Path(var keys))) {
        throw in.wrong(place, "id, key, timestamp and data cannot be set; name a field in data");
      }
      for (List<String> other : set) {
        int shorter = Math.min(keys.size(), other.size());
        boolean within = keys.subList(0, shorter).equals(other.subList(0, shorter));
        require(!within, place, "a field is set twice, or with one inside it");
      }
      set.add(keys);
      in.expect("=");
      if (in.peek().kind() == Kind.WORD && isName(in.peek())) {
        increments.put(keys, increment(place, keys, table));
      } else {
        values.put(keys, value());
      }
      in.atMost(QueryLimits.MAX_COLUMNS, set.size(), "fields to set");
    } while (in.taken(","));
    return new Statement.Update(table, values, increments, where(table));
  }

  private static boolean isName(Token token) {
    return !RESERVED.contains(token.keyword());
  }

  /** {@code field + n} of the field itself. */
  private long increment(Token place, List<String> keys, Table table) {
    boolean same = field(table).equals(new Field.Path(keys));
    require(same, place, "SET takes a value, or the field itself plus or minus a whole number");
    boolean minus = in.taken("-");
    if (!minus) {
      in.expect("+");
    }
    Token at = in.peek();
    if ((in.isNumber() ? in.number() : in.peek().is("?") ? value() : Value.None.VALUE)
        instanceof Value.Numeric(String json)) {
      try {
        long amount = Long.parseLong(json);
        if (Math.abs(amount) <= CrdtOperation.Increment.MAX_AMOUNT && amount != Long.MIN_VALUE) {
          return minus ? -amount : amount;
        }
      } catch (NumberFormatException e) {
        // Falls through: no whole number and one that is too large get the same message.
      }
    }
    throw in.wrong(
        at, "must be a whole number of at most " + CrdtOperation.Increment.MAX_AMOUNT + " in size");
  }

  private Statement delete() {
    in.expect("DELETE");
    in.expect("FROM");
    Table table = table();
    return new Statement.Delete(table, where(table));
  }

  private Condition where(Table table) {
    return in.taken("WHERE") ? any(table) : Condition.always();
  }

  /**
   * @param table of the fields; null when they are columns
   */
  private Condition any(@Nullable Table table) {
    var parts = new ArrayList<Condition>();
    do {
      parts.add(all(table));
    } while (in.taken("OR"));
    return parts.size() == 1 ? parts.getFirst() : new Condition.Any(parts);
  }

  private Condition all(@Nullable Table table) {
    var parts = new ArrayList<Condition>();
    do {
      parts.add(one(table));
    } while (in.taken("AND"));
    return parts.size() == 1 ? parts.getFirst() : new Condition.All(parts);
  }

  private Condition one(@Nullable Table table) {
    in.enter();
    Condition one;
    if (in.taken("NOT")) {
      one = new Condition.Not(one(table));
    } else if (in.taken("(")) {
      one = any(table);
      in.expect(")");
    } else {
      one = test(table);
    }
    in.leave();
    return one;
  }

  private Condition test(@Nullable Table table) {
    in.compares();
    Field field;
    Token first = in.peek();
    if (first.kind() == Kind.WORD && in.second().is("(")) {
      if (table != null) {
        throw in.wrong(first, "functions stand in columns and in HAVING");
      }
      field = selected(first, aggregate(), null);
    } else {
      List<String> names = names();
      field =
          table == null
              ? selected(first, new Source.Plain(Field.of(names)), String.join(".", names))
              : placed(Field.of(names), table);
    }
    if (in.taken("IS")) {
      boolean not = in.taken("NOT");
      in.expect("NULL");
      Condition nothing = new Condition.IsNothing(field);
      return not ? new Condition.Not(nothing) : nothing;
    }
    boolean not = in.taken("NOT");
    Token sign = in.peek();
    String word = sign.kind() == Kind.WORD || sign.kind() == Kind.SIGN ? sign.keyword() : "";
    Condition test =
        switch (word) {
          case "IN" -> in(field);
          case "LIKE" -> like(field);
          case "BETWEEN" -> between(field);
          case "CONTAINS" -> {
            in.take();
            yield new Condition.Has(field, value());
          }
          case "=", "==" -> compare(field, not, Comparison.EQ);
          case "<>", "!=" -> compare(field, not, Comparison.NE);
          case "<" -> compare(field, not, Comparison.LT);
          case "<=" -> compare(field, not, Comparison.LTE);
          case ">" -> compare(field, not, Comparison.GT);
          case ">=" -> compare(field, not, Comparison.GTE);
          default -> throw in.expected("=, <>, <, <=, >, >=, IS, IN, LIKE, BETWEEN or CONTAINS");
        };
    return not ? new Condition.Not(test) : test;
  }

  /** The column that HAVING means, as a field of grouped rows. */
  private Field selected(Token place, Source source, @Nullable String name) {
    return selected.stream()
        .filter(column -> column.source().equals(source) || column.name().equals(name))
        .findFirst()
        .<Field>map(column -> new Field.Path(List.of(column.name())))
        .orElseThrow(
            () ->
                in.wrong(
                    place,
                    "HAVING must name one of the columns: "
                        + String.join(", ", selected.stream().map(Column::name).toList())));
  }

  private Condition compare(Field field, boolean not, Comparison comparison) {
    if (not) {
      throw in.expected("IN, LIKE, BETWEEN or CONTAINS after NOT");
    }
    in.take();
    boolean same = comparison == Comparison.EQ || comparison == Comparison.NE;
    return new Condition.Compare(field, comparison, same ? named(field, value()) : value());
  }

  /** Ids are strings, also those that look like numbers. */
  private static Value named(Field field, Value operand) {
    boolean ofId = field instanceof Field.Id || field instanceof Field.Key;
    return ofId && operand instanceof Value.Numeric(String json) ? new Value.Text(json) : operand;
  }

  private Condition in(Field field) {
    in.expect("IN");
    in.expect("(");
    var values = new ArrayList<Value>();
    do {
      values.add(named(field, value()));
      in.atMost(QueryLimits.MAX_VALUES, values.size(), "values of IN");
    } while (in.taken(","));
    in.expect(")");
    return new Condition.In(field, values);
  }

  private Condition like(Field field) {
    in.expect("LIKE");
    Token place = in.peek();
    if (!(value() instanceof Value.Text(String pattern))) {
      throw in.wrong(place, "LIKE takes a string, with % for any characters and _ for one");
    }
    String start = pattern.endsWith("%") ? pattern.substring(0, pattern.length() - 1) : "%";
    return start.contains("%") || start.contains("_")
        ? new Condition.Like(field, pattern)
        : new Condition.StartsWith(field, start);
  }

  private Condition between(Field field) {
    in.expect("BETWEEN");
    Value low = value();
    in.expect("AND");
    return new Condition.All(
        List.of(
            new Condition.Compare(field, Comparison.GTE, low),
            new Condition.Compare(field, Comparison.LTE, value())));
  }

  private Value value() {
    if (in.isNumber()) {
      return in.number();
    }
    Token token = in.peek();
    if (token.kind() == Kind.STRING) {
      return new Value.Text(in.take().text());
    }
    if (token.is("?")) {
      if (used == parameters.size()) {
        throw in.wrong(
            token,
            "this is question mark "
                + (used + 1)
                + ", but there are "
                + parameters.size()
                + " params");
      }
      in.take();
      return parameters.get(used++);
    }
    Value value =
        switch (token.kind() == Kind.WORD ? token.keyword() : "") {
          case "TRUE" -> new Value.Truth(true);
          case "FALSE" -> new Value.Truth(false);
          case "NULL" -> Value.Null.VALUE;
          default ->
              throw in.expected(
                  "a value: a string in single quotes, a number, TRUE, FALSE, NULL or ?"
                      + (token.kind() == Kind.NAME ? " (double quotes are for names)" : ""));
        };
    in.take();
    return value;
  }
}
