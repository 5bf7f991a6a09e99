package io.pluresdb.transport.noise;

import java.security.GeneralSecurityException;
import java.util.Arrays;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.spec.SecretKeySpec;
import org.jspecify.annotations.Nullable;

/**
 * One direction's key and nonce counter (section 5.1 of the Noise specification).
 *
 * <p>Works on heap arrays, in place but where that is slow, and keeps one {@link Cipher} for its
 * life: a JCE AEAD is slow to look up, and handles a heap array that starts at offset 0 without an
 * inner copy. After a failure the key is dropped and every later call throws {@link
 * IllegalStateException}. Not thread-safe.
 */
public final class CipherState {
  /** Size of the tag each ciphertext ends with. */
  public static final int TAG_BYTES = 16;

  /** Size of a key. */
  static final int KEY_BYTES = 32;

  /** Most bytes a Noise message may have, tag included. */
  public static final int MAX_MESSAGE_BYTES = 65535;

  // 2^64 - 1 is reserved for rekeying.
  private static final long REKEY_NONCE = -1L;
  private static final byte[] NO_ASSOCIATED_BYTES = {};

  private final CipherFunction function;
  private final Cipher cipher;
  private @Nullable SecretKeySpec key;
  private long nonce;

  CipherState(CipherFunction function, byte[] key) {
    this.function = function;
    try {
      this.cipher = Cipher.getInstance(function.transformation());
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("this Java runtime lacks " + function.transformation(), e);
    }
    this.key = new SecretKeySpec(key, 0, KEY_BYTES, function.keyAlgorithm());
  }

  /**
   * Encrypts {@code buffer[0, length)} in place and appends the tag.
   *
   * @param buffer has at least {@code length + 16} bytes
   * @return {@code length + 16}
   * @throws NoiseException {@code TOO_LONG} or {@code NONCE_EXHAUSTED}
   */
  public int encrypt(byte[] buffer, int length) throws NoiseException {
    return encrypt(NO_ASSOCIATED_BYTES, buffer, 0, length);
  }

  /**
   * Decrypts {@code buffer[0, length)} in place.
   *
   * @return {@code length - 16}
   * @throws NoiseException {@code BAD_TAG}, {@code TOO_SHORT}, {@code TOO_LONG} or {@code
   *     NONCE_EXHAUSTED}; the content of {@code buffer} is then undefined
   */
  public int decrypt(byte[] buffer, int length) throws NoiseException {
    return decrypt(NO_ASSOCIATED_BYTES, buffer, 0, length);
  }

  /**
   * Decrypts {@code from[0, length)} to the beginning of {@code into}, which may be the same array.
   *
   * @param into has at least {@code length - 16} bytes
   * @return {@code length - 16}
   * @throws NoiseException as the other; the content of {@code into} is then undefined
   */
  public int decrypt(byte[] from, int length, byte[] into) throws NoiseException {
    requireDecryptable(length);
    return crypt(Cipher.DECRYPT_MODE, NO_ASSOCIATED_BYTES, from, 0, length, into);
  }

  /** Whether {@link #decrypt(byte[], int)} is as fast as into another array. */
  public boolean decryptsWellInPlace() {
    return function.decryptsWellInPlace();
  }

  int encrypt(byte[] associated, byte[] buffer, int offset, int length) throws NoiseException {
    if (length > MAX_MESSAGE_BYTES - TAG_BYTES) {
      throw failed(NoiseException.Kind.TOO_LONG);
    }
    return crypt(Cipher.ENCRYPT_MODE, associated, buffer, offset, length, buffer);
  }

  int decrypt(byte[] associated, byte[] buffer, int offset, int length) throws NoiseException {
    requireDecryptable(length);
    return crypt(Cipher.DECRYPT_MODE, associated, buffer, offset, length, buffer);
  }

  private void requireDecryptable(int length) throws NoiseException {
    if (length < TAG_BYTES) {
      throw failed(NoiseException.Kind.TOO_SHORT);
    }
    if (length > MAX_MESSAGE_BYTES) {
      throw failed(NoiseException.Kind.TOO_LONG);
    }
  }

  /** Replaces the key by a one-way function of it; the nonce goes on (section 4.2). */
  public void rekey() {
    byte[] next = new byte[KEY_BYTES + TAG_BYTES];
    try {
      cipher.init(Cipher.ENCRYPT_MODE, liveKey(), function.parameters(function.nonce(REKEY_NONCE)));
      cipher.doFinal(next, 0, KEY_BYTES, next, 0);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("rekeying failed", e);
    }
    key = new SecretKeySpec(next, 0, KEY_BYTES, function.keyAlgorithm());
    Arrays.fill(next, (byte) 0);
  }

  /** Number of messages so far, as an unsigned number. */
  public long nonce() {
    return nonce;
  }

  /** Jumps to {@code nonce}; for tests of the limit. */
  void setNonce(long nonce) {
    this.nonce = nonce;
  }

  private int crypt(int mode, byte[] associated, byte[] from, int offset, int length, byte[] into)
      throws NoiseException {
    SecretKeySpec live = liveKey();
    if (nonce == REKEY_NONCE) {
      throw failed(NoiseException.Kind.NONCE_EXHAUSTED);
    }
    try {
      cipher.init(mode, live, function.parameters(function.nonce(nonce)));
      if (associated.length > 0) {
        cipher.updateAAD(associated);
      }
      int written = cipher.doFinal(from, offset, length, into, offset);
      nonce++;
      return written;
    } catch (AEADBadTagException e) {
      throw failed(NoiseException.Kind.BAD_TAG);
    } catch (GeneralSecurityException e) {
      key = null;
      throw new IllegalStateException("the cipher refused a valid call", e);
    }
  }

  private SecretKeySpec liveKey() {
    SecretKeySpec live = key;
    if (live == null) {
      throw new IllegalStateException("this cipher failed before and must not be used again");
    }
    return live;
  }

  private NoiseException failed(NoiseException.Kind kind) {
    key = null;
    return new NoiseException(kind);
  }
}
