package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.codec.SipHash;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A set of 64-bit items as an endless stream of coded symbols, of which a receiver that has nearly
 * the same set needs about 1.4 for each item that differs, whatever the size of the sets (Yang,
 * Gilad and Alizadeh, SIGCOMM 2024: rateless invertible Bloom lookup tables).
 *
 * <p>Every item is in symbol 0, and in symbol i with probability 1 / (1 + i/2). The places are
 * drawn by a generator that is seeded with the item: where items are keyed hashes, nobody without
 * the key can choose them. What {@link Decoder} accepts is bounded: each item is found once, so no
 * symbols keep it busy for ever.
 */
final class CodedSymbols {
  /** Places beyond are not drawn. */
  private static final long LAST_PLACE = 1L << 40;

  private CodedSymbols() {}

  /**
   * The items of some place added up.
   *
   * @param items XOR of the items
   * @param check XOR of a keyed hash of each
   * @param count number of items; in a difference, theirs less ours
   */
  record Symbol(long items, int check, long count) {
    static final Symbol ZERO = new Symbol(0, 0, 0);

    private Symbol plus(long item, int itemCheck, long sign) {
      return new Symbol(items ^ item, check ^ itemCheck, count + sign);
    }

    private Symbol minus(Symbol other) {
      return new Symbol(items ^ other.items, check ^ other.check, count - other.count);
    }
  }

  /** The places of items, each visited in ascending order. */
  private static final class Places {
    private long[] items = new long[16];
    private long[] next = new long[16];
    private long[] state = new long[16];
    private long[] signs = new long[16];
    private int size;

    /** Adds an item at its first place. */
    int add(long item, long sign) {
      if (size == items.length) {
        items = Arrays.copyOf(items, 2 * size);
        next = Arrays.copyOf(next, 2 * size);
        state = Arrays.copyOf(state, 2 * size);
        signs = Arrays.copyOf(signs, 2 * size);
      }
      items[size] = item;
      next[size] = 0;
      state[size] = item;
      signs[size] = sign;
      return size++;
    }

    /**
     * Moves an item to its next place: from i, a gap of {@code ceil((i + 1.5) (1/sqrt(u) - 1))}, at
     * least 1, with u from SplitMix64 in (0, 1].
     */
    void advance(int index) {
      state[index] += 0x9e3779b97f4a7c15L;
      long mixed = state[index];
      mixed = (mixed ^ (mixed >>> 30)) * 0xbf58476d1ce4e5b9L;
      mixed = (mixed ^ (mixed >>> 27)) * 0x94d049bb133111ebL;
      mixed ^= mixed >>> 31;
      double u = ((mixed >>> 11) + 1) * 0x1p-53;
      double gap = Math.ceil((next[index] + 1.5) * (1 / Math.sqrt(u) - 1));
      next[index] = (long) Math.min(LAST_PLACE, next[index] + Math.max(1, gap));
    }
  }

  private static int check(SipHash checks, long item) {
    byte[] bytes = new byte[8];
    for (int i = 0; i < 8; i++) {
      bytes[i] = (byte) (item >>> (8 * i));
    }
    return (int) checks.of(bytes);
  }

  /** Adds what {@code places} hold in {@code [from, from + symbols.length)}. */
  private static void fill(Places places, SipHash checks, long from, Symbol[] symbols) {
    long end = from + symbols.length;
    for (int i = 0; i < places.size; i++) {
      if (places.next[i] >= end) {
        continue;
      }
      int check = check(checks, places.items[i]);
      for (; places.next[i] < end; places.advance(i)) {
        int at = (int) (places.next[i] - from);
        symbols[at] = symbols[at].plus(places.items[i], check, places.signs[i]);
      }
    }
  }

  /** Produces the symbols of a set in order. */
  static final class Encoder {
    private final Places places = new Places();
    private final SipHash checks;
    private long from;

    Encoder(long[] items, SipHash checks) {
      this.checks = checks;
      for (long item : items) {
        places.add(item, 1);
      }
    }

    /** Number of symbols produced so far. */
    long produced() {
      return from;
    }

    List<Symbol> next(int count) {
      var symbols = new Symbol[count];
      Arrays.fill(symbols, Symbol.ZERO);
      fill(places, checks, from, symbols);
      from += count;
      return List.of(symbols);
    }
  }

  /** What a decoder knows. */
  enum State {
    NEEDS_MORE,
    DECODED,
    /** The symbols are those of no set. */
    IMPOSSIBLE
  }

  /** Finds in which items another set differs from ours. */
  static final class Decoder {
    private final Encoder ours;
    private final long[] sorted;
    private final SipHash checks;
    private final ArrayList<Symbol> differences = new ArrayList<>();

    /** Items found so far; removed from every symbol that holds them. */
    private final Places found = new Places();

    private final java.util.HashSet<Long> foundItems = new java.util.HashSet<>();

    Decoder(long[] items, SipHash checks) {
      this.ours = new Encoder(items, checks);
      this.sorted = items.clone();
      this.checks = checks;
      Arrays.sort(sorted);
    }

    /** Number of symbols taken in so far. */
    int received() {
      return differences.size();
    }

    State add(List<Symbol> theirs) {
      int from = differences.size();
      List<Symbol> mine = ours.next(theirs.size());
      var fresh = new Symbol[theirs.size()];
      for (int i = 0; i < fresh.length; i++) {
        fresh[i] = theirs.get(i).minus(mine.get(i));
      }
      fill(found, checks, from, fresh);
      differences.addAll(List.of(fresh));
      var pure = new java.util.ArrayDeque<Integer>();
      for (int i = from; i < differences.size(); i++) {
        pure.add(i);
      }
      while (!pure.isEmpty()) {
        Symbol symbol = differences.get(pure.remove());
        if (Math.abs(symbol.count) != 1 || check(checks, symbol.items) != symbol.check) {
          continue;
        }
        boolean oursOnly = Arrays.binarySearch(sorted, symbol.items) >= 0;
        // Each item once, and on the side that has it: anything else is no difference of two sets.
        if (oursOnly != (symbol.count < 0) || !foundItems.add(symbol.items)) {
          return State.IMPOSSIBLE;
        }
        int index = found.add(symbol.items, -symbol.count);
        for (; found.next[index] < differences.size(); found.advance(index)) {
          int at = (int) found.next[index];
          differences.set(at, differences.get(at).plus(symbol.items, symbol.check, -symbol.count));
          pure.add(at);
        }
      }
      return differences.getFirst().equals(Symbol.ZERO) ? State.DECODED : State.NEEDS_MORE;
    }

    /** Items found that are only in our set. */
    long[] onlyHere() {
      return only(1);
    }

    /** Items found that are only in the other set. */
    long[] onlyThere() {
      return only(-1);
    }

    private long[] only(long sign) {
      long[] items = new long[found.size];
      int size = 0;
      for (int i = 0; i < found.size; i++) {
        if (found.signs[i] == sign) {
          items[size++] = found.items[i];
        }
      }
      return Arrays.copyOf(items, size);
    }
  }
}
