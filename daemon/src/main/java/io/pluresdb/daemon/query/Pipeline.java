package io.pluresdb.daemon.query;

import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.daemon.config.Nearest;
import io.pluresdb.daemon.query.Step.Function;
import io.pluresdb.daemon.query.Step.Operation;
import io.pluresdb.daemon.query.Step.Operator;
import io.pluresdb.daemon.query.Step.Predicate;
import io.pluresdb.daemon.query.Token.Kind;
import io.pluresdb.daemon.query.Token.Language;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * Reads pipelines, as text and as JSON.
 *
 * <pre>
 * pipeline  := step ("|>" step)*
 * step      := "filter" "(" any ")" | "sort" "(" "by" ":" string ["," "dir" ":" string] ")"
 *            | "limit" "(" number ")" | "project" "(" "[" [string ("," string)*] "]" ")"
 *            | "aggregate" "(" function ["," "field" ":" string] ")"
 *            | "mutate" "(" operation ("," operation)* ")"
 * any       := all ("or" all)*
 * all       := one ("and" one)*
 * one       := "not" one | "(" any ")" | field operator json
 * operation := ("put" | "patch") "(" string "," json ")" | "delete" "(" string ")"
 * </pre>
 */
final class Pipeline {
  private static final List<String> STEPS =
      List.of("filter", "sort", "limit", "project", "aggregate", "mutate");
  private static final List<String> OPERATIONS = List.of("put", "patch", "delete");

  private Pipeline() {}

  /**
   * Reads text.
   *
   * @throws QueryException naming the character
   */
  static List<Step> parse(String text) {
    return checked(new Parser(text).steps());
  }

  /**
   * Reads an array of steps such as {@code {"op":"limit","n":3}}.
   *
   * @throws QueryException naming the step and member
   */
  static List<Step> ofJson(Value steps) {
    var read = new ArrayList<Step>();
    List<Value> items = items(steps, "steps", QueryLimits.MAX_COLUMNS);
    for (int i = 0; i < items.size(); i++) {
      read.add(step(new Members(items.get(i), "steps[" + i + "]")));
    }
    return checked(read);
  }

  /** Refuses steps in places where they mean nothing. */
  private static List<Step> checked(List<Step> steps) {
    if (steps.isEmpty()) {
      throw QueryException.pipeline("a pipeline must have a step: " + String.join(", ", STEPS));
    }
    for (int i = 0; i < steps.size(); i++) {
      if (steps.get(i) instanceof Step.Mutate && i > 0) {
        throw QueryException.pipeline("mutate must be the first step, but is number " + (i + 1));
      }
      if (steps.get(i) instanceof Step.Aggregate && i + 1 < steps.size()) {
        throw QueryException.pipeline("aggregate must be the last step, but is number " + (i + 1));
      }
    }
    return List.copyOf(steps);
  }

  private static String oneOf(List<String> names, String found) {
    return "must be one of "
        + String.join(", ", names)
        + ", but is \""
        + found
        + "\"; the nearest is "
        + Nearest.to(found, names);
  }

  /** The field that a dotted text names. */
  private static Field field(String text, String where) {
    List<String> keys = List.of(text.split("\\.", -1));
    if (keys.contains("") || keys.size() > QueryLimits.MAX_DEPTH) {
      throw QueryException.pipeline(
          where
              + " must be at most "
              + QueryLimits.MAX_DEPTH
              + " names joined by dots, but is \""
              + text
              + "\"");
    }
    return Field.of(keys);
  }

  private static void require(boolean fits, String where, String wanted) {
    if (!fits) {
      throw QueryException.pipeline(where + " must be " + wanted);
    }
  }

  private static List<Value> items(Value value, String where, int most) {
    require(
        value instanceof Value.Items(var values) && values.size() <= most,
        where,
        "an array of at most " + most);
    return ((Value.Items) value).values();
  }

  // JSON.

  /** The members of a step, predicate or operation. */
  private record Members(Map<String, Value> values, String where) {
    Members(Value value, String where) {
      this(
          value instanceof Value.Members(var members) ? members : Map.of("", Value.None.VALUE),
          where);
      require(value instanceof Value.Members, where, "an object");
    }

    Members only(String... names) {
      List<String> allowed = List.of(names);
      for (String name : values.keySet()) {
        if (!allowed.contains(name)) {
          throw QueryException.pipeline(
              where + " has no member \"" + name + "\"; it takes " + String.join(", ", allowed));
        }
      }
      return this;
    }

    boolean has(String name) {
      return values.containsKey(name);
    }

    Value required(String name) {
      Value value = values.get(name);
      if (value == null) {
        throw QueryException.pipeline(where + " must have a member \"" + name + "\"");
      }
      return value;
    }

    String string(String name) {
      if (required(name) instanceof Value.Text(String text)) {
        return text;
      }
      throw QueryException.pipeline(where + "." + name + " must be a string");
    }

    Field fieldNamed(String name) {
      return field(string(name), where + "." + name);
    }
  }

  private static Step step(Members in) {
    String op = in.string("op");
    return switch (op) {
      case "filter" -> {
        in.only("op", "predicate");
        var count = new int[1];
        yield new Step.Filter(
            predicate(new Members(in.required("predicate"), in.where + ".predicate"), 1, count));
      }
      case "sort" -> {
        in.only("op", "by", "dir");
        String direction = in.has("dir") ? in.string("dir") : "asc";
        require(
            direction.equals("asc") || direction.equals("desc"),
            in.where + ".dir",
            "\"asc\" or \"desc\", but is \"" + direction + "\"");
        yield new Step.Sort(in.fieldNamed("by"), direction.equals("desc"));
      }
      case "limit" -> {
        in.only("op", "n");
        yield new Step.Limit(limit(in.required("n"), in.where + ".n"));
      }
      case "project" -> {
        in.only("op", "fields");
        var fields = new ArrayList<Field>();
        for (Value name :
            items(in.required("fields"), in.where + ".fields", QueryLimits.MAX_COLUMNS)) {
          require(name instanceof Value.Text, in.where + ".fields", "an array of strings");
          fields.add(field(((Value.Text) name).value(), in.where + ".fields"));
        }
        yield new Step.Project(fields);
      }
      case "aggregate" -> {
        in.only("op", "func", "field");
        String name = in.string("func");
        Function function = function(name);
        require(
            function != null,
            in.where + ".func",
            "one of " + Function.all() + ", but is \"" + name + "\"");
        yield aggregate(
            java.util.Objects.requireNonNull(function),
            in.has("field") ? in.fieldNamed("field") : null,
            in.where);
      }
      case "mutate" -> {
        in.only("op", "ops");
        var operations = new ArrayList<Operation>();
        List<Value> ops = items(in.required("ops"), in.where + ".ops", ChangeBody.MAX_EDITS);
        require(!ops.isEmpty(), in.where + ".ops", "one operation or more");
        for (int i = 0; i < ops.size(); i++) {
          operations.add(operation(new Members(ops.get(i), in.where + ".ops[" + i + "]")));
        }
        yield new Step.Mutate(operations);
      }
      default -> throw QueryException.pipeline(in.where + ".op " + oneOf(STEPS, op));
    };
  }

  private static int limit(Value value, String where) {
    if (value instanceof Value.Numeric(String json)
        && json.length() < 10
        && json.chars().allMatch(Character::isDigit)) {
      int count = Integer.parseInt(json);
      if (count >= 1 && count <= QueryLimits.MAX_ROWS) {
        return count;
      }
    }
    throw QueryException.pipeline(
        where
            + " must be a whole number from 1 to "
            + QueryLimits.MAX_ROWS
            + ", but is "
            + value.text());
  }

  private static @Nullable Function function(String name) {
    for (Function function : Function.values()) {
      if (function.text().equals(name)) {
        return function;
      }
    }
    return null;
  }

  private static Step aggregate(Function function, @Nullable Field field, String where) {
    if (field == null && function != Function.COUNT) {
      throw QueryException.pipeline(where + ": " + function.text() + " must name a field");
    }
    return new Step.Aggregate(function, field);
  }

  private static Operation operation(Members in) {
    String op = in.string("op");
    return switch (op) {
      case "put" -> {
        in.only("op", "id", "data");
        yield new Operation.Put(in.string("id"), in.required("data"));
      }
      case "patch" -> {
        in.only("op", "id", "patch");
        yield new Operation.Patch(in.string("id"), in.required("patch"));
      }
      case "delete" -> {
        in.only("op", "id");
        yield new Operation.Delete(in.string("id"));
      }
      default -> throw QueryException.pipeline(in.where + ".op " + oneOf(OPERATIONS, op));
    };
  }

  private static Predicate predicate(Members in, int depth, int[] count) {
    require(
        depth <= QueryLimits.MAX_DEPTH,
        in.where,
        "nested at most " + QueryLimits.MAX_DEPTH + " levels deep");
    if (in.has("and") || in.has("or")) {
      String name = in.has("and") ? "and" : "or";
      in.only(name);
      var parts = new ArrayList<Predicate>();
      List<Value> items =
          items(in.required(name), in.where + "." + name, QueryLimits.MAX_COMPARISONS);
      require(!items.isEmpty(), in.where + "." + name, "one predicate or more");
      for (int i = 0; i < items.size(); i++) {
        parts.add(
            predicate(
                new Members(items.get(i), in.where + "." + name + "[" + i + "]"),
                depth + 1,
                count));
      }
      if (parts.size() == 1) {
        return parts.getFirst();
      }
      return name.equals("and") ? new Predicate.All(parts) : new Predicate.Any(parts);
    }
    if (in.has("not")) {
      in.only("not");
      return new Predicate.Not(
          predicate(new Members(in.required("not"), in.where + ".not"), depth + 1, count));
    }
    in.only("field", "cmp", "value");
    require(
        ++count[0] <= QueryLimits.MAX_COMPARISONS,
        in.where,
        "one of at most " + QueryLimits.MAX_COMPARISONS + " comparisons");
    String name = in.string("cmp");
    Operator operator = Operator.named(name);
    if (operator == null) {
      throw QueryException.pipeline(
          in.where + ".cmp must be one of " + Operator.all() + ", but is \"" + name + "\"");
    }
    Value operand = in.required("value");
    String wanted = operator.wanted(operand);
    require(wanted == null, in.where + ".value", wanted + " with " + name);
    return new Predicate.Test(in.fieldNamed("field"), operator, operand);
  }

  // Text.

  /** Reads one pipeline. */
  private static final class Parser {
    private final Tokens in;

    Parser(String text) {
      in = new Tokens(text, Language.PIPELINE);
    }

    List<Step> steps() {
      var steps = new ArrayList<Step>();
      do {
        steps.add(step());
        in.atMost(QueryLimits.MAX_COLUMNS, steps.size(), "steps");
      } while (in.taken("|>"));
      if (in.peek().kind() != Kind.END) {
        throw in.expected("\"|>\" and another step, or the end");
      }
      return steps;
    }

    private Step step() {
      Token name = in.peek();
      if (name.kind() != Kind.WORD) {
        throw in.expected("a step: " + String.join(", ", STEPS));
      }
      if (!STEPS.contains(name.text())) {
        throw in.wrong(name, "a step " + oneOf(STEPS, name.text()));
      }
      in.take();
      in.expect("(");
      Step step =
          switch (name.text()) {
            case "filter" -> new Step.Filter(any());
            case "sort" -> sort();
            case "limit" -> new Step.Limit(in.whole("the most nodes", 1, QueryLimits.MAX_ROWS));
            case "project" -> project();
            case "aggregate" -> aggregated();
            default -> mutate();
          };
      in.expect(")");
      return step;
    }

    private Step sort() {
      Token first = in.peek();
      Map<String, String> given = named("by", "dir");
      String by = given.get("by");
      String direction = given.getOrDefault("dir", "asc");
      if (by == null) {
        throw in.wrong(first, "sort must name a field: by: \"FIELD\"");
      }
      if (!direction.equals("asc") && !direction.equals("desc")) {
        throw in.wrong(first, "dir must be \"asc\" or \"desc\", but is \"" + direction + "\"");
      }
      return new Step.Sort(at(first, by), direction.equals("desc"));
    }

    /** Arguments such as {@code by: "x"}, in any order. */
    private Map<String, String> named(String... allowed) {
      var given = new LinkedHashMap<String, String>();
      do {
        Token name = in.peek();
        if (name.kind() != Kind.WORD || !List.of(allowed).contains(name.text())) {
          throw in.expected(String.join(" or ", allowed) + " and a colon");
        }
        in.take();
        in.expect(":");
        if (given.put(name.text(), in.string("a string")) != null) {
          throw in.wrong(name, name.text() + " is given twice");
        }
      } while (in.taken(","));
      return given;
    }

    private Field at(Token where, String text) {
      try {
        return field(text, "a field");
      } catch (QueryException e) {
        throw in.wrong(where, String.valueOf(e.getMessage()));
      }
    }

    private Step project() {
      in.expect("[");
      var fields = new ArrayList<Field>();
      while (!in.peek().is("]")) {
        if (!fields.isEmpty()) {
          in.expect(",");
        }
        Token where = in.peek();
        fields.add(at(where, in.string("a field")));
        in.atMost(QueryLimits.MAX_COLUMNS, fields.size(), "fields");
      }
      in.expect("]");
      return new Step.Project(fields);
    }

    private Step aggregated() {
      Token name = in.peek();
      Function function = name.kind() == Kind.WORD ? function(name.text()) : null;
      if (function == null) {
        throw in.expected("one of " + Function.all());
      }
      in.take();
      String field = in.taken(",") ? named("field").get("field") : null;
      if (field == null && function != Function.COUNT) {
        throw in.wrong(name, function.text() + " must name a field: field: \"FIELD\"");
      }
      return new Step.Aggregate(function, field == null ? null : at(name, field));
    }

    private Step mutate() {
      var operations = new ArrayList<Operation>();
      do {
        operations.add(operation());
        in.atMost(ChangeBody.MAX_EDITS, operations.size(), "operations");
      } while (in.taken(","));
      return new Step.Mutate(operations);
    }

    private Operation operation() {
      Token name = in.peek();
      if (name.kind() != Kind.WORD || !OPERATIONS.contains(name.text())) {
        throw in.expected("an operation: put, patch or delete");
      }
      in.take();
      in.expect("(");
      String id = in.string("an id");
      Operation operation =
          switch (name.text()) {
            case "put" -> new Operation.Put(id, afterComma());
            case "patch" -> new Operation.Patch(id, afterComma());
            default -> new Operation.Delete(id);
          };
      in.expect(")");
      return operation;
    }

    private Value afterComma() {
      in.expect(",");
      return json();
    }

    private Predicate any() {
      var parts = new ArrayList<Predicate>();
      do {
        parts.add(all());
      } while (in.taken("or"));
      return parts.size() == 1 ? parts.getFirst() : new Predicate.Any(parts);
    }

    private Predicate all() {
      var parts = new ArrayList<Predicate>();
      do {
        parts.add(one());
      } while (in.taken("and"));
      return parts.size() == 1 ? parts.getFirst() : new Predicate.All(parts);
    }

    private Predicate one() {
      in.enter();
      Predicate one;
      if (in.taken("not")) {
        one = new Predicate.Not(one());
      } else if (in.taken("(")) {
        one = any();
        in.expect(")");
      } else {
        one = test();
      }
      in.leave();
      return one;
    }

    private Predicate test() {
      in.compares();
      Field field = Field.of(in.keys("a field, \"not\" or \"(\""));
      Token sign = in.peek();
      Operator operator =
          sign.kind() == Kind.WORD || sign.kind() == Kind.SIGN ? Operator.named(sign.text()) : null;
      if (operator == null) {
        throw in.expected("one of " + Operator.all());
      }
      in.take();
      Token place = in.peek();
      Value operand = json();
      String wanted = operator.wanted(operand);
      if (wanted != null) {
        throw in.wrong(
            place, operator.text() + " takes " + wanted + ", but found " + operand.text());
      }
      return new Predicate.Test(field, operator, operand);
    }

    /** Any JSON value. */
    private Value json() {
      in.enter();
      Value value;
      if (in.isNumber()) {
        value = in.number();
      } else if (in.peek().kind() == Kind.STRING) {
        value = new Value.Text(in.take().text());
      } else if (in.taken("[")) {
        value = array();
      } else if (in.taken("{")) {
        value = object();
      } else {
        value =
            switch (in.peek().kind() == Kind.WORD ? in.peek().text() : "") {
              case "true" -> new Value.Truth(true);
              case "false" -> new Value.Truth(false);
              case "null" -> Value.Null.VALUE;
              default -> throw in.expected("a JSON value");
            };
        in.take();
      }
      in.leave();
      return value;
    }

    private Value array() {
      var items = new ArrayList<Value>();
      while (!in.taken("]")) {
        if (!items.isEmpty()) {
          in.expect(",");
        }
        items.add(json());
      }
      return new Value.Items(items);
    }

    private Value object() {
      var members = new TreeMap<String, Value>(Pipeline::byBytes);
      while (!in.taken("}")) {
        if (!members.isEmpty()) {
          in.expect(",");
        }
        Token name = in.peek();
        String text = in.string("a member's name");
        in.expect(":");
        if (members.put(text, json()) != null) {
          throw in.wrong(name, "the member \"" + text + "\" is given twice");
        }
      }
      return new Value.Members(new LinkedHashMap<>(members));
    }
  }

  static int byBytes(String a, String b) {
    return new Value.Text(a).compareTo(new Value.Text(b));
  }
}
