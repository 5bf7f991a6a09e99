package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.Dot;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * One step on one register of one document.
 *
 * <p>{@code observed} are the dots the author saw in the register; they were computed where the
 * operation was made, never where it is applied. An operation that makes a dot takes the next index
 * of its change.
 */
public sealed interface CrdtOperation {
  /** The key of the register, as {@link Register} builds it. */
  byte[] register();

  /** Replaces what was observed by {@code value}: canonical JSON, or empty, or an embedding. */
  record Assign(byte[] register, List<Dot> observed, byte[] value) implements CrdtOperation {}

  /** Takes away what was observed. */
  record Remove(byte[] register, List<Dot> observed) implements CrdtOperation {}

  /** Adds to the counter at the register; replaces nothing. */
  record Increment(byte[] register, long amount) implements CrdtOperation {
    /** Greatest magnitude of one increment. */
    public static final long MAX_AMOUNT = 1L << 53;
  }

  /**
   * An operation of a later version: kept and forwarded, not applied.
   *
   * @param tag at least {@link ChangeBody#FIRST_UNKNOWN_TAG}
   */
  record Unknown(int tag, byte[] register, byte[] payload) implements CrdtOperation {}

  /**
   * The same step seen by another author.
   *
   * @param names what each dot that was seen is to that author; null for nothing
   */
  default CrdtOperation renamed(Function<Dot, @Nullable Dot> names) {
    return switch (this) {
      case Assign(var register, var observed, var value) ->
          new Assign(register, renamed(observed, names), value);
      case Remove(var register, var observed) -> new Remove(register, renamed(observed, names));
      case Increment increment -> increment;
      case Unknown unknown -> unknown;
    };
  }

  private static List<Dot> renamed(List<Dot> dots, Function<Dot, @Nullable Dot> names) {
    var renamed = new ArrayList<Dot>(dots.size());
    for (Dot dot : dots) {
      Dot name = names.apply(dot);
      if (name != null) {
        renamed.add(name);
      }
    }
    return renamed;
  }

  /** Whether this operation takes a dot. */
  default boolean makesDot() {
    return switch (this) {
      case Assign a -> true;
      case Increment i -> true;
      case Remove r -> false;
      case Unknown u -> true;
    };
  }

  /** The dots its author saw in the register and took away. */
  default List<Dot> observedDots() {
    return switch (this) {
      case Assign assign -> assign.observed();
      case Remove remove -> remove.observed();
      case Increment increment -> List.of();
      case Unknown unknown -> List.of();
    };
  }
}
