package io.pluresdb.storage.crypto;

import java.util.Arrays;
import java.util.Collections;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The data keys of a data directory by number. What is written is sealed with the newest; the
 * others open what was sealed before. Safe from any thread.
 */
public final class Keyring {
  /** AES-256. */
  public static final int KEY_BYTES = 32;

  private volatile NavigableMap<Integer, byte[]> keys;

  /**
   * A keyring of one or more keys of {@link #KEY_BYTES} bytes, numbered from 1.
   *
   * @throws IllegalArgumentException when a key has another length or is all zeros
   */
  public Keyring(NavigableMap<Integer, byte[]> keys) {
    if (keys.isEmpty() || keys.firstKey() < 1) {
      throw new IllegalArgumentException("a keyring must have keys numbered from 1: " + keys);
    }
    keys.values().forEach(Keyring::check);
    this.keys = Collections.unmodifiableNavigableMap(new TreeMap<>(keys));
  }

  private static void check(byte[] key) {
    if (key.length != KEY_BYTES || Arrays.equals(key, new byte[KEY_BYTES])) {
      throw new IllegalArgumentException(
          "a data key must be " + KEY_BYTES + " bytes and not all zeros");
    }
  }

  /** Number of the key that seals. */
  int newest() {
    return keys.lastKey();
  }

  /** The key of a number, or null. */
  byte @Nullable [] key(int number) {
    return keys.get(number);
  }

  /** Seals with another key from now on. */
  synchronized void add(int number, byte[] key) {
    check(key);
    if (number <= newest()) {
      throw new IllegalArgumentException(
          "a new data key must have a number above " + newest() + ", but has " + number);
    }
    var more = new TreeMap<>(keys);
    more.put(number, key.clone());
    keys = Collections.unmodifiableNavigableMap(more);
  }

  /** Forgets all keys but the newest. */
  synchronized void keepNewest() {
    var one = new TreeMap<Integer, byte[]>();
    one.put(newest(), keys.lastEntry().getValue());
    keys = Collections.unmodifiableNavigableMap(one);
  }
}
