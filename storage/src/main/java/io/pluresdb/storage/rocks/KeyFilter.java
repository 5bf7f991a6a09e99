package io.pluresdb.storage.rocks;

import io.pluresdb.crdt.codec.SipHash;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;

/**
 * A Bloom filter in memory, each key in one word of 64 bits, so that asking costs one read of
 * memory. It never denies a key that was added; of others it lets {@code 2 %} pass when it holds as
 * many as it is made for. Any number of threads add and ask at once.
 */
final class KeyFilter {
  /** Memory for each key it is made for. */
  static final int BITS_PER_KEY = 16;

  /** Bits of a word that stand for a key. */
  private static final int BITS_SET = 5;

  private static final VarHandle WORD = MethodHandles.arrayElementVarHandle(long[].class);

  private final SipHash hash;
  private final long[] words;

  /**
   * @param capacity keys it is made for, from 1
   * @param seed 16 bytes that who chooses the keys does not know
   */
  KeyFilter(int capacity, byte[] seed) {
    this.hash = new SipHash(seed);
    this.words = new long[words(capacity)];
  }

  /** Bytes that a filter for so many keys takes. */
  static long bytes(int capacity) {
    return (long) Long.BYTES * words(capacity);
  }

  private static int words(int capacity) {
    return Math.toIntExact(((long) capacity * BITS_PER_KEY + Long.SIZE - 1) / Long.SIZE);
  }

  /** Returns false when the filter let the key pass before. */
  boolean add(byte[] key) {
    long h = hash.of(key);
    int at = index(h);
    long bits = bits(h);
    if (((long) WORD.getOpaque(words, at) & bits) == bits) {
      return false;
    }
    WORD.getAndBitwiseOr(words, at, bits);
    return true;
  }

  /** False when the key was never added. */
  boolean mayContain(byte[] key) {
    long h = hash.of(key);
    long bits = bits(h);
    return ((long) WORD.getOpaque(words, index(h)) & bits) == bits;
  }

  /** By the upper half of the hash, without dividing. */
  private int index(long h) {
    return (int) (((h >>> 32) * words.length) >>> 32);
  }

  private static long bits(long h) {
    long bits = 0;
    for (int i = 0; i < BITS_SET; i++) {
      bits |= 1L << (h >>> (6 * i)); // A shift takes the lowest six bits.
    }
    return bits;
  }
}
