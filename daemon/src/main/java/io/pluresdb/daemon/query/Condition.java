package io.pluresdb.daemon.query;

import java.util.List;

/**
 * What rows must hold, in the three-valued logic of SQL: a comparison with nothing is neither met
 * nor not met. {@link Holds} makes two values of it.
 */
sealed interface Condition {
  /** Met by everything. */
  static Condition always() {
    return new All(List.of());
  }

  /** Every one. */
  record All(List<Condition> parts) implements Condition {
    public All {
      parts = List.copyOf(parts);
    }
  }

  /** At least one. */
  record Any(List<Condition> parts) implements Condition {
    public Any {
      parts = List.copyOf(parts);
    }
  }

  record Not(Condition part) implements Condition {}

  /** Met when the part is, otherwise not met, never unknown. */
  record Holds(Condition part) implements Condition {}

  /** Ranges are met by values of the operand's own kind only, numbers or strings. */
  record Compare(Field field, Comparison comparison, Value operand) implements Condition {}

  record In(Field field, List<Value> values) implements Condition {
    public In {
      values = List.copyOf(values);
    }
  }

  /** A string that fits, where {@code %} stands for any characters and {@code _} for one. */
  record Like(Field field, String pattern) implements Condition {}

  record StartsWith(Field field, String start) implements Condition {}

  /** A string with that in it. */
  record HasText(Field field, String part) implements Condition {}

  /** An array with that element. */
  record Has(Field field, Value element) implements Condition {}

  /** Null, or no value. */
  record IsNothing(Field field) implements Condition {}

  /** How two values are compared. */
  enum Comparison {
    EQ("eq"),
    NE("ne"),
    LT("lt"),
    LTE("lte"),
    GT("gt"),
    GTE("gte");

    private final String filterName;

    Comparison(String filterName) {
      this.filterName = filterName;
    }

    /** As {@link io.pluresdb.storage.index.Filter} spells it. */
    String filterName() {
      return filterName;
    }
  }

  /** How a condition is met; the order is that of logic: "and" is the least, "or" the greatest. */
  enum Outcome {
    NO,
    UNKNOWN,
    YES;

    static Outcome of(boolean met) {
      return met ? YES : NO;
    }
  }

  /** Whether a row is wanted. */
  default boolean isMetBy(Row row) {
    return outcome(row) == Outcome.YES;
  }

  private Outcome outcome(Row row) {
    return switch (this) {
      case All(var parts) -> {
        Outcome least = Outcome.YES;
        for (Condition part : parts) {
          Outcome one = part.outcome(row);
          least = one.compareTo(least) < 0 ? one : least;
          if (least == Outcome.NO) {
            break;
          }
        }
        yield least;
      }
      case Any(var parts) -> {
        Outcome greatest = Outcome.NO;
        for (Condition part : parts) {
          Outcome one = part.outcome(row);
          greatest = one.compareTo(greatest) > 0 ? one : greatest;
          if (greatest == Outcome.YES) {
            break;
          }
        }
        yield greatest;
      }
      case Not(var part) ->
          switch (part.outcome(row)) {
            case NO -> Outcome.YES;
            case UNKNOWN -> Outcome.UNKNOWN;
            case YES -> Outcome.NO;
          };
      case Holds(var part) -> Outcome.of(part.isMetBy(row));
      case IsNothing(var field) -> Outcome.of(row.get(field).isNothing());
      case Compare(var field, var comparison, var operand) -> {
        Value value = row.get(field);
        yield value.isNothing() || operand.isNothing()
            ? Outcome.UNKNOWN
            : Outcome.of(compare(value, comparison, operand));
      }
      case In(var field, var values) -> {
        Value value = row.get(field);
        if (value.isNothing()) {
          yield Outcome.UNKNOWN;
        }
        yield values.contains(value)
            ? Outcome.YES
            : values.contains(Value.Null.VALUE) ? Outcome.UNKNOWN : Outcome.NO;
      }
      case Like(var field, var pattern) -> ofText(row.get(field), text -> fits(text, pattern));
      case StartsWith(var field, var start) ->
          ofText(row.get(field), text -> text.startsWith(start));
      case HasText(var field, var part) -> ofText(row.get(field), text -> text.contains(part));
      case Has(var field, var element) -> {
        Value value = row.get(field);
        yield value.isNothing()
            ? Outcome.UNKNOWN
            : Outcome.of(value instanceof Value.Items(var items) && items.contains(element));
      }
    };
  }

  private static Outcome ofText(Value value, java.util.function.Predicate<String> test) {
    if (value.isNothing()) {
      return Outcome.UNKNOWN;
    }
    return Outcome.of(value instanceof Value.Text(String text) && test.test(text));
  }

  private static boolean compare(Value value, Comparison comparison, Value operand) {
    boolean comparable =
        (value instanceof Value.Numeric && operand instanceof Value.Numeric)
            || (value instanceof Value.Text && operand instanceof Value.Text);
    return switch (comparison) {
      case EQ -> value.equals(operand);
      case NE -> !value.equals(operand);
      case LT -> comparable && value.compareTo(operand) < 0;
      case LTE -> comparable && value.compareTo(operand) <= 0;
      case GT -> comparable && value.compareTo(operand) > 0;
      case GTE -> comparable && value.compareTo(operand) >= 0;
    };
  }

  /** Two places and one way back: the time is that of text times pattern at the most. */
  private static boolean fits(String text, String pattern) {
    int[] characters = text.codePoints().toArray();
    int[] wanted = pattern.codePoints().toArray();
    int at = 0;
    int in = 0;
    int star = -1;
    int resume = 0;
    while (at < characters.length) {
      if (in < wanted.length && wanted[in] == '%') {
        star = in++;
        resume = at;
      } else if (in < wanted.length && (wanted[in] == '_' || wanted[in] == characters[at])) {
        in++;
        at++;
      } else if (star >= 0) {
        in = star + 1;
        at = ++resume;
      } else {
        return false;
      }
    }
    while (in < wanted.length && wanted[in] == '%') {
      in++;
    }
    return in == wanted.length;
  }
}
