package io.pluresdb.storage.crypto;

import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;

/**
 * The keys of one purpose, derived from the data keys: HMAC-SHA256(data key, purpose | salt), one
 * that seals values and one that hides keys. A database has a salt of its own, so equal ids of two
 * databases do not look alike. Safe from any thread.
 */
final class SealingKeys {
  /**
   * The keys derived from one data key.
   *
   * @param number of the data key
   * @param values seals values
   * @param names hides keys of rows
   */
  record Pair(int number, SecretKeySpec values, SecretKeySpec names) {}

  private final Keyring keyring;
  private final byte[] salt;
  private final Map<Integer, Pair> derived = new ConcurrentHashMap<>();

  SealingKeys(Keyring keyring, byte[] salt) {
    this.keyring = keyring;
    this.salt = salt.clone();
  }

  /** Those that seal now. */
  Pair newest() {
    return derive(keyring.newest());
  }

  /**
   * Those of a number.
   *
   * @throws SealException when the keyring does not have it
   */
  Pair of(int number) throws SealException {
    if (keyring.key(number) == null) {
      throw new SealException("it is sealed with data key " + number + ", which is not known");
    }
    return derive(number);
  }

  private Pair derive(int number) {
    return derived.computeIfAbsent(
        number,
        n -> {
          byte[] key = keyring.key(n);
          if (key == null) {
            throw new IllegalStateException("data key " + n + " was dropped while it was in use");
          }
          return new Pair(n, derive(key, "pluresdb values 1"), derive(key, "pluresdb names 1"));
        });
  }

  private SecretKeySpec derive(byte[] key, String purpose) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key, "HmacSHA256"));
      mac.update(purpose.getBytes(StandardCharsets.US_ASCII));
      return new SecretKeySpec(mac.doFinal(salt), "AES");
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every Java has HMAC-SHA256", e);
    }
  }
}
