package io.pluresdb.daemon.query;

import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.value.CanonicalJson;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** A step of a pipeline. Each takes what the one before gives; the first takes all documents. */
sealed interface Step {
  /** Goes on with what meets it. */
  record Filter(Predicate predicate) implements Step {}

  record Sort(Field by, boolean descending) implements Step {}

  record Limit(int count) implements Step {}

  /** Goes on with these fields of each only. */
  record Project(List<Field> fields) implements Step {
    public Project {
      fields = List.copyOf(fields);
    }
  }

  /**
   * Makes one value of all; the last step.
   *
   * @param field null to count documents
   */
  record Aggregate(Function function, @Nullable Field field) implements Step {}

  /** Writes, all together; the first step. */
  record Mutate(List<Operation> operations) implements Step {
    public Mutate {
      operations = List.copyOf(operations);
    }
  }

  /** What is made of many values. */
  enum Function {
    COUNT,
    SUM,
    AVG,
    MIN,
    MAX,
    /** Each value once, ascending. */
    DISTINCT,
    /** Each value, in order. */
    COLLECT;

    String text() {
      return name().toLowerCase(Locale.ROOT);
    }

    static String all() {
      return List.of(values()).stream().map(Function::text).collect(Collectors.joining(", "));
    }
  }

  /** A write. */
  sealed interface Operation {
    String id();

    record Put(String id, Value data) implements Operation {}

    record Patch(String id, Value patch) implements Operation {}

    record Delete(String id) implements Operation {}
  }

  /** What documents must hold, in two-valued logic; {@link #condition} is the same for SQL's. */
  sealed interface Predicate {
    record All(List<Predicate> parts) implements Predicate {
      public All {
        parts = List.copyOf(parts);
      }
    }

    record Any(List<Predicate> parts) implements Predicate {
      public Any {
        parts = List.copyOf(parts);
      }
    }

    record Not(Predicate part) implements Predicate {}

    record Test(Field field, Operator operator, Value operand) implements Predicate {}

    /** The same as a condition. */
    default Condition condition() {
      return switch (this) {
        case All(var parts) -> new Condition.All(parts.stream().map(Predicate::condition).toList());
        case Any(var parts) -> new Condition.Any(parts.stream().map(Predicate::condition).toList());
        case Not(var part) -> new Condition.Not(new Condition.Holds(part.condition()));
        case Test(var field, var operator, var operand) -> operator.condition(field, operand);
      };
    }
  }

  /** How a field is tested. */
  enum Operator {
    EQ("=="),
    NE("!="),
    LT("<"),
    LTE("<="),
    GT(">"),
    GTE(">="),
    IN("in"),
    /** An array with that element, or a string with that in it. */
    CONTAINS("contains"),
    /** An array with that element. */
    HAS("has"),
    STARTS_WITH("starts_with");

    private final String text;

    Operator(String text) {
      this.text = text;
    }

    String text() {
      return text;
    }

    static @Nullable Operator named(String text) {
      for (Operator operator : values()) {
        if (operator.text.equals(text)) {
          return operator;
        }
      }
      return null;
    }

    static String all() {
      return List.of(values()).stream().map(Operator::text).collect(Collectors.joining(", "));
    }

    /** What the operand must be, or null when any will do. */
    @Nullable String wanted(Value operand) {
      return switch (this) {
        case EQ, NE, CONTAINS, HAS -> null;
        case LT, LTE, GT, GTE ->
            operand instanceof Value.Numeric || operand instanceof Value.Text
                ? null
                : "a number or a string";
        case IN ->
            operand instanceof Value.Items(var items) && items.size() <= QueryLimits.MAX_VALUES
                ? null
                : "an array of at most " + QueryLimits.MAX_VALUES + " values";
        case STARTS_WITH -> operand instanceof Value.Text ? null : "a string";
      };
    }

    private Condition condition(Field field, Value operand) {
      return switch (this) {
        case EQ -> equal(field, operand);
        case NE -> new Condition.Not(new Condition.Holds(equal(field, operand)));
        case LT -> new Condition.Compare(field, Condition.Comparison.LT, operand);
        case LTE -> new Condition.Compare(field, Condition.Comparison.LTE, operand);
        case GT -> new Condition.Compare(field, Condition.Comparison.GT, operand);
        case GTE -> new Condition.Compare(field, Condition.Comparison.GTE, operand);
        case IN -> {
          List<Value> values = ((Value.Items) operand).values();
          Condition in = new Condition.In(field, values);
          yield values.contains(Value.Null.VALUE)
              ? new Condition.Any(List.of(in, new Condition.IsNothing(field)))
              : in;
        }
        case CONTAINS ->
            operand instanceof Value.Text(String part)
                ? new Condition.Any(
                    List.of(new Condition.Has(field, operand), new Condition.HasText(field, part)))
                : new Condition.Has(field, operand);
        case HAS -> new Condition.Has(field, operand);
        case STARTS_WITH -> new Condition.StartsWith(field, ((Value.Text) operand).value());
      };
    }

    private static Condition equal(Field field, Value operand) {
      return operand.isNothing()
          ? new Condition.IsNothing(field)
          : new Condition.Compare(field, Condition.Comparison.EQ, operand);
    }
  }

  /** The step as it is written in a pipeline. */
  default String text() {
    return switch (this) {
      case Filter(var predicate) -> "filter(" + text(predicate) + ")";
      case Sort(var by, var descending) ->
          "sort(by: " + quoted(by.text()) + (descending ? ", dir: \"desc\")" : ")");
      case Limit(int count) -> "limit(" + count + ")";
      case Project(var fields) ->
          fields.stream()
              .map(field -> quoted(field.text()))
              .collect(Collectors.joining(", ", "project([", "])"));
      case Aggregate(var function, var field) ->
          "aggregate("
              + function.text()
              + (field == null ? ")" : ", field: " + quoted(field.text()) + ")");
      case Mutate(var operations) ->
          operations.stream().map(Step::text).collect(Collectors.joining(", ", "mutate(", ")"));
    };
  }

  private static String text(Operation operation) {
    return switch (operation) {
      case Operation.Put(var id, var data) -> "put(" + quoted(id) + ", " + data.text() + ")";
      case Operation.Patch(var id, var patch) -> "patch(" + quoted(id) + ", " + patch.text() + ")";
      case Operation.Delete(var id) -> "delete(" + quoted(id) + ")";
    };
  }

  private static String text(Predicate predicate) {
    return switch (predicate) {
      case Predicate.All(var parts) ->
          parts.stream().map(Step::text).collect(Collectors.joining(" and ", "(", ")"));
      case Predicate.Any(var parts) ->
          parts.stream().map(Step::text).collect(Collectors.joining(" or ", "(", ")"));
      case Predicate.Not(var part) -> "not (" + text(part) + ")";
      case Predicate.Test(var field, var operator, var operand) ->
          field.text() + " " + operator.text() + " " + operand.text();
    };
  }

  private static String quoted(String text) {
    var out = new ByteWriter();
    CanonicalJson.string(out, text);
    return new String(out.toByteArray(), StandardCharsets.UTF_8);
  }
}
