package io.pluresdb.daemon.query;

import java.math.BigDecimal;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/** One value made of many, of which nothing and what a function does not understand is left out. */
abstract sealed class Accumulator {
  /** Takes the next one; Nothing are left out. */
  final void add(Value value) {
    if (!value.isNothing()) {
      take(value);
    }
  }

  abstract void take(Value value);

  abstract Value result();

  /** Bytes of JSON that it holds and that grow with what it takes. */
  long bytes() {
    return 0;
  }

  /** How many there were. */
  static final class Count extends Accumulator {
    private long count;

    @Override
    void take(Value value) {
      count++;
    }

    @Override
    Value result() {
      return Value.of(count);
    }
  }

  /** The sum or the mean of the numbers; null of none. */
  static final class Sum extends Accumulator {
    private final boolean mean;
    private BigDecimal sum = BigDecimal.ZERO;
    private long count;

    Sum(boolean mean) {
      this.mean = mean;
    }

    @Override
    void take(Value value) {
      if (value instanceof Value.Numeric number) {
        // Enough digits for sums of 64-bit numbers; doubles far apart lose the smaller one.
        sum = sum.add(number.value(), MathContext.DECIMAL128);
        count++;
      }
    }

    @Override
    Value result() {
      if (count == 0) {
        return Value.Null.VALUE;
      }
      return Value.of(mean ? sum.divide(BigDecimal.valueOf(count), MathContext.DECIMAL128) : sum);
    }
  }

  /** The least or the greatest; null of none. */
  static final class Extreme extends Accumulator {
    private final boolean greatest;
    private Value found = Value.Null.VALUE;
    private long bytes;

    Extreme(boolean greatest) {
      this.greatest = greatest;
    }

    @Override
    void take(Value value) {
      if (found.isNothing()
          || (greatest ? value.compareTo(found) > 0 : value.compareTo(found) < 0)) {
        found = value;
        bytes = value.json().length;
      }
    }

    @Override
    Value result() {
      return found;
    }

    @Override
    long bytes() {
      return bytes;
    }
  }

  /** Each once: all of them, or another function of them. */
  static final class Distinct extends Accumulator {
    private final List<Accumulator> of;
    private final TreeSet<Value> values = new TreeSet<>();
    private long bytes;

    /**
     * @param of one, or none for a list of them
     */
    Distinct(List<Accumulator> of) {
      this.of = of;
    }

    @Override
    void take(Value value) {
      if (values.add(value)) {
        bytes += value.json().length;
        of.forEach(one -> one.add(value));
        if (values.size() > QueryLimits.MAX_ROWS) {
          throw Best.tooMany();
        }
      }
    }

    @Override
    Value result() {
      return of.isEmpty() ? new Value.Items(List.copyOf(values)) : of.getFirst().result();
    }

    @Override
    long bytes() {
      return bytes;
    }
  }

  /** All of them, in order. */
  static final class Collect extends Accumulator {
    private final List<Value> values = new ArrayList<>();
    private long bytes;

    @Override
    void take(Value value) {
      values.add(value);
      bytes += value.json().length;
      if (values.size() > QueryLimits.MAX_ROWS) {
        throw Best.tooMany();
      }
    }

    @Override
    Value result() {
      return new Value.Items(values);
    }

    @Override
    long bytes() {
      return bytes;
    }
  }
}
