package io.pluresdb.storage.present;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * A Bloom filter in memory of keys by their hashes, each in one word of 64 bits, so that asking
 * costs one read of memory. The hash is a keyed one that who chooses the keys cannot compute. It
 * never denies a key that was added; of others it lets {@code 2 %} pass when it holds as many as it
 * is made for. Any number of threads add and ask at once.
 */
final class KeyFilter {
  /** Memory for each key it is made for. */
  static final int BITS_PER_KEY = 16;

  /** Bits of a word that stand for a key. */
  private static final int BITS_SET = 5;

  private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);

  private final long[] words;

  /**
   * @param capacity keys it is made for, from 1
   */
  KeyFilter(int capacity) {
    this.words = new long[words(capacity)];
  }

  /** Bytes that a filter for so many keys takes. */
  static long bytes(int capacity) {
    return (long) Long.BYTES * words(capacity);
  }

  private static int words(int capacity) {
    return Math.toIntExact(((long) capacity * BITS_PER_KEY + Long.SIZE - 1) / Long.SIZE);
  }

  /** Returns false when the filter let the key of this hash pass before. */
  boolean add(long hash) {
    int at = index(hash);
    long bits = bits(hash);
    if (((long) WORD.getOpaque(words, at) & bits) == bits) {
      return false;
    }
    WORD.getAndBitwiseOr(words, at, bits);
    return true;
  }

  /** False when the key of this hash was never added. */
  boolean mayContain(long hash) {
    long bits = bits(hash);
    return ((long) WORD.getOpaque(words, index(hash)) & bits) == bits;
  }

  /** By the upper half of the hash, without dividing. */
  private int index(long hash) {
    return (int) (((hash >>> 32) * words.length) >>> 32);
  }

  private static long bits(long hash) {
    long bits = 0;
    for (int i = 0; i < BITS_SET; i++) {
      bits |= 1L << (hash >>> (6 * i)); // A shift takes the lowest six bits.
    }
    return bits;
  }
}
