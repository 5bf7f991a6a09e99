package io.pluresdb.crdt.property;

import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * Looks for a value that breaks a property, and for the simplest such value.
 *
 * <p>Seeds count up from 1, so a build that passed passes again. {@code -Dproperty.seed=N} replays
 * one seed; {@code -Dproperty.runs=N} tries N seeds instead of what the test asks for.
 */
public final class Property {
  /** Most simpler values that are tried before the simplest found so far is reported. */
  private static final int MAX_SHRINKS = 2_000;

  private Property() {}

  /** What must hold of a value: throws when it does not. */
  public interface Check<T> {
    void check(T value) throws Exception;
  }

  /** How many seeds to try where a test asks for {@code runs}. */
  public static int runs(int runs) {
    return Integer.getInteger("property.runs", runs);
  }

  /**
   * Checks {@code property} on values of {@code runs} seeds.
   *
   * @throws AssertionError naming the seed and the simplest counterexample found
   */
  public static <T> void forAll(int runs, Gen<T> gen, Check<T> property) {
    Long only = Long.getLong("property.seed");
    long first = only == null ? 1 : only;
    long last = only == null ? runs(runs) : only;
    for (long seed = first; seed <= last; seed++) {
      T value = gen.generate(new SplittableRandom(seed));
      Throwable failure = failure(property, value);
      if (failure != null) {
        throw report(seed, gen, property, value, failure);
      }
    }
  }

  private static <T> AssertionError report(
      long seed, Gen<T> gen, Check<T> property, T value, Throwable failure) {
    T simplest = value;
    Throwable cause = failure;
    int tried = 0;
    boolean simpler = true;
    while (simpler && tried < MAX_SHRINKS) {
      simpler = false;
      for (T candidate : gen.shrink(simplest)) {
        if (++tried > MAX_SHRINKS) {
          break;
        }
        Throwable candidateFailure = failure(property, candidate);
        if (candidateFailure != null) {
          simplest = candidate;
          cause = candidateFailure;
          simpler = true;
          break;
        }
      }
    }
    return new AssertionError(
        "property fails; replay with -Dproperty.seed="
            + seed
            + "\nsimplest case of "
            + tried
            + " tried: "
            + simplest
            + "\nbecause "
            + cause,
        cause);
  }

  private static <T> @Nullable Throwable failure(Check<T> property, T value) {
    try {
      property.check(value);
      return null;
    } catch (Exception | AssertionError e) {
      return e;
    }
  }
}
