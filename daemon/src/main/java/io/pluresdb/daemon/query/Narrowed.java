package io.pluresdb.daemon.query;

import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.daemon.query.Condition.Comparison;
import io.pluresdb.daemon.query.Statement.Table;
import io.pluresdb.storage.index.Filter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The part of a condition that the store can look for itself, through indexes where there are some:
 * what meets the condition is among what is found so.
 *
 * @param id the only one, or null
 * @param prefix of all ids
 * @param after ids come after it; null for all
 * @param exact whether all that is found so meets the condition
 */
record Narrowed(
    @Nullable String id, String prefix, @Nullable String after, Filter filter, boolean exact) {

  static Narrowed of(Condition condition, Table table) {
    var narrowing = new Narrowing(table.prefix());
    narrowing.add(condition);
    return narrowing.done();
  }

  private static final class Narrowing {
    private final String table;
    private final Map<String, Map<String, Value>> tests = new LinkedHashMap<>();
    private @Nullable String id;
    private @Nullable String after;
    private String prefix;
    private int count;
    private boolean exact = true;

    Narrowing(String table) {
      this.table = table;
      this.prefix = table;
    }

    void add(Condition condition) {
      switch (condition) {
        case Condition.All(var parts) -> parts.forEach(this::add);
        case Condition.Compare(var field, var comparison, var operand) ->
            compare(field, comparison, operand);
        case Condition.StartsWith(var field, var start) -> starts(field, start);
        case Condition.In(var field, var values) -> {
          if (values.stream().allMatch(Narrowing::isScalar) && values.size() <= Filter.MAX_VALUES) {
            test(field, "in", new Value.Items(values));
          } else {
            exact = false;
          }
        }
        case Condition.Has(var field, var element) -> scalar(field, "contains", element);
        case Condition.Any any -> exact = false;
        case Condition.Not not -> exact = false;
        case Condition.Holds holds -> exact = false;
        case Condition.Like like -> exact = false;
        case Condition.HasText text -> exact = false;
        case Condition.IsNothing nothing -> exact = false;
      }
    }

    private static boolean isScalar(Value value) {
      return value instanceof Value.Numeric
          || value instanceof Value.Text
          || value instanceof Value.Truth;
    }

    private void compare(Field field, Comparison comparison, Value operand) {
      String text = operand instanceof Value.Text(String value) ? value : null;
      String named =
          text == null
              ? null
              : switch (field) {
                case Field.Id all -> text;
                case Field.Key key -> table + text;
                case Field.Timestamp t -> null;
                case Field.Data d -> null;
                case Field.Path p -> null;
              };
      if (named != null && comparison == Comparison.EQ) {
        exact &= id == null || id.equals(named);
        id = id == null ? named : id;
      } else if (named != null && comparison == Comparison.GT && after == null) {
        after = named;
      } else if (comparison == Comparison.NE) {
        exact = false;
      } else if (comparison == Comparison.EQ
          || operand instanceof Value.Numeric
          || operand instanceof Value.Text) {
        scalar(field, comparison.filterName(), operand);
      } else {
        exact = false;
      }
    }

    private void starts(Field field, String start) {
      String wanted =
          switch (field) {
            case Field.Id id -> start;
            case Field.Key key -> table + start;
            case Field.Timestamp t -> null;
            case Field.Data d -> null;
            case Field.Path p -> null;
          };
      if (wanted == null) {
        test(field, "prefix", new Value.Text(start));
      } else if (wanted.startsWith(prefix)) {
        prefix = wanted;
      } else {
        exact &= prefix.startsWith(wanted);
      }
    }

    private void scalar(Field field, String operator, Value operand) {
      if (isScalar(operand)) {
        test(field, operator, operand);
      } else {
        exact = false;
      }
    }

    private void test(Field field, String operator, Value operand) {
      if (!(field instanceof Field.Path(List<String> keys))
          || keys.stream().anyMatch(key -> key.contains("."))
          || count == Filter.MAX_TESTS) {
        exact = false;
        return;
      }
      Map<String, Value> ofField =
          tests.computeIfAbsent(String.join(".", keys), name -> new LinkedHashMap<>());
      if (ofField.putIfAbsent(operator, operand) == null) {
        count++;
      } else {
        exact = false;
      }
    }

    Narrowed done() {
      return new Narrowed(id, prefix, after, filter(), exact);
    }

    private Filter filter() {
      if (tests.isEmpty()) {
        return Filter.ALL;
      }
      var fields = new ArrayList<String>();
      tests.forEach(
          (field, operators) -> {
            var members = new ArrayList<String>();
            operators.forEach((name, operand) -> members.add(quoted(name) + ":" + operand.text()));
            fields.add(quoted(field) + ":{" + String.join(",", members) + "}");
          });
      String json = "{" + String.join(",", fields) + "}";
      return Filter.parse(json.getBytes(java.nio.charset.StandardCharsets.UTF_8));
    }

    private static String quoted(String text) {
      var out = new ByteWriter();
      CanonicalJson.string(out, text);
      return new String(out.toByteArray(), java.nio.charset.StandardCharsets.UTF_8);
    }
  }
}
