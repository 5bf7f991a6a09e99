package io.pluresdb.crdt.codec;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;

/**
 * SipHash-2-4 (Aumasson and Bernstein, 2012): a short keyed hash. Who does not know the key cannot
 * choose inputs that collide. Immutable; any thread.
 */
public final class SipHash {
  private static final VarHandle LONG =
      MethodHandles.byteArrayViewVarHandle(long[].class, ByteOrder.LITTLE_ENDIAN);

  private final long k0;
  private final long k1;

  /** A hash under the first 16 bytes of {@code key}, which are two little-endian words. */
  public SipHash(byte[] key) {
    this.k0 = (long) LONG.get(key, 0);
    this.k1 = (long) LONG.get(key, 8);
  }

  /** The hash of all of {@code bytes}. */
  public long of(byte[] bytes) {
    return of(bytes, bytes.length);
  }

  /** The hash of {@code [0, length)}. */
  public long of(byte[] bytes, int length) {
    var state = new State(k0, k1);
    int whole = length & ~7;
    for (int i = 0; i < whole; i += 8) {
      state.word((long) LONG.get(bytes, i));
    }
    long last = (long) length << 56;
    for (int i = whole; i < length; i++) {
      last |= (bytes[i] & 0xffL) << (8 * (i - whole));
    }
    state.word(last);
    return state.end();
  }

  private static final class State {
    private long v0;
    private long v1;
    private long v2;
    private long v3;

    State(long k0, long k1) {
      v0 = k0 ^ 0x736f6d6570736575L;
      v1 = k1 ^ 0x646f72616e646f6dL;
      v2 = k0 ^ 0x6c7967656e657261L;
      v3 = k1 ^ 0x7465646279746573L;
    }

    void word(long m) {
      v3 ^= m;
      round();
      round();
      v0 ^= m;
    }

    long end() {
      v2 ^= 0xff;
      round();
      round();
      round();
      round();
      return v0 ^ v1 ^ v2 ^ v3;
    }

    private void round() {
      v0 += v1;
      v1 = Long.rotateLeft(v1, 13) ^ v0;
      v0 = Long.rotateLeft(v0, 32);
      v2 += v3;
      v3 = Long.rotateLeft(v3, 16) ^ v2;
      v0 += v3;
      v3 = Long.rotateLeft(v3, 21) ^ v0;
      v2 += v1;
      v1 = Long.rotateLeft(v1, 17) ^ v2;
      v2 = Long.rotateLeft(v2, 32);
    }
  }
}
