package io.pluresdb.transport.dht;

import io.pluresdb.transport.hash.Blake2b;
import java.net.InetAddress;
import java.security.MessageDigest;
import java.util.random.RandomGenerator;

/**
 * What a node must show to announce: that it received a reply at its address within the last
 * minutes. A token is a keyed hash of the address; nothing is remembered about who got one.
 */
final class Tokens {
  static final long ROTATION_MILLIS = 5 * 60_000;
  static final int TOKEN_BYTES = 8;

  private static final int SECRET_BYTES = 32;

  private final RandomGenerator random;
  private byte[] secret = new byte[SECRET_BYTES];
  private byte[] previous = new byte[SECRET_BYTES];
  private long rotatesAt;

  Tokens(RandomGenerator random, long now) {
    this.random = random;
    random.nextBytes(secret);
    random.nextBytes(previous);
    this.rotatesAt = now + ROTATION_MILLIS;
  }

  byte[] issue(InetAddress to, long now) {
    rotate(now);
    return token(secret, to);
  }

  /** Whether {@code token} was issued to {@code from}, for 5 minutes at least and 10 at most. */
  boolean accepts(byte[] token, InetAddress from, long now) {
    rotate(now);
    return MessageDigest.isEqual(token, token(secret, from))
        || MessageDigest.isEqual(token, token(previous, from));
  }

  private void rotate(long now) {
    while (now >= rotatesAt) {
      byte[] next = previous;
      previous = secret;
      random.nextBytes(next);
      secret = next;
      // After a long silence both are replaced, not every one in between.
      rotatesAt = Math.max(rotatesAt + ROTATION_MILLIS, now - ROTATION_MILLIS + 1);
    }
  }

  private static byte[] token(byte[] key, InetAddress address) {
    return Blake2b.keyed(key, TOKEN_BYTES, address.getAddress());
  }
}
