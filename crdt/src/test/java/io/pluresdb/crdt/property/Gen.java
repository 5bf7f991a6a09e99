package io.pluresdb.crdt.property;

import java.util.ArrayList;
import java.util.List;
import java.util.function.Function;
import java.util.random.RandomGenerator;

/**
 * Makes random values of a type and simpler ones in place of a given one.
 *
 * <p>Everything follows from the generator handed in: same seed, same value, on every machine.
 */
public interface Gen<T> {
  T generate(RandomGenerator random);

  /** Simpler values than {@code value}, the boldest first; none when it is as simple as it gets. */
  default Iterable<T> shrink(T value) {
    return List.of();
  }

  /** A generator that does not shrink. */
  static <T> Gen<T> of(Function<RandomGenerator, T> generate) {
    return generate::apply;
  }

  /** A list that shrinks by dropping elements: halves first, single ones last. */
  static <T> Gen<List<T>> list(int min, int max, Gen<T> element) {
    return new Gen<>() {
      @Override
      public List<T> generate(RandomGenerator random) {
        int size = random.nextInt(min, max + 1);
        var list = new ArrayList<T>(size);
        for (int i = 0; i < size; i++) {
          list.add(element.generate(random));
        }
        return list;
      }

      @Override
      public Iterable<List<T>> shrink(List<T> value) {
        return () ->
            shorter(value).stream().filter(candidate -> candidate.size() >= min).iterator();
      }
    };
  }

  /** The lists that are left when a half, a quarter, ... or one element of {@code list} goes. */
  static <T> List<List<T>> shorter(List<T> list) {
    var candidates = new ArrayList<List<T>>();
    for (int drop = Math.max(1, list.size() / 2); drop > 0 && !list.isEmpty(); drop /= 2) {
      for (int from = 0; from < list.size(); from += drop) {
        var candidate = new ArrayList<>(list.subList(0, from));
        candidate.addAll(list.subList(Math.min(list.size(), from + drop), list.size()));
        candidates.add(candidate);
      }
    }
    return candidates;
  }

  /** One of {@code choices}, all as likely. */
  static <T> T pick(RandomGenerator random, List<T> choices) {
    return choices.get(random.nextInt(choices.size()));
  }
}
