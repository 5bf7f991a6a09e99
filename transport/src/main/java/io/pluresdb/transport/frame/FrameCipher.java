package io.pluresdb.transport.frame;

import io.pluresdb.transport.noise.CipherState;
import io.pluresdb.transport.noise.NoiseException;

/**
 * One direction of a session's encryption: Noise transport messages, rekeyed after every 2^16 of
 * them on both sides alike.
 *
 * <p>Works at offset 0 of heap arrays. After an exception it must not be used again. Not
 * thread-safe.
 */
public final class FrameCipher {
  public static final int TAG_BYTES = CipherState.TAG_BYTES;

  /** Most bytes of a frame on the wire, behind its length. */
  public static final int MAX_SEALED_BYTES = CipherState.MAX_MESSAGE_BYTES;

  /** Most bytes of a frame's plaintext, its kind included. */
  public static final int MAX_PLAIN_BYTES = MAX_SEALED_BYTES - TAG_BYTES;

  private static final int MESSAGES_PER_KEY = 1 << 16;

  private final CipherState cipher;
  private int messages;

  public FrameCipher(CipherState cipher) {
    this.cipher = cipher;
  }

  /**
   * Encrypts {@code buffer[0, length)} in place; returns the sealed length, 16 more.
   *
   * @throws NoiseException as {@link CipherState#encrypt}
   */
  public int seal(byte[] buffer, int length) throws NoiseException {
    int sealed = cipher.encrypt(buffer, length);
    count();
    return sealed;
  }

  /**
   * Decrypts {@code buffer[0, length)} in place; returns the plain length, 16 less.
   *
   * @throws NoiseException as {@link CipherState#decrypt}
   */
  public int open(byte[] buffer, int length) throws NoiseException {
    int plain = cipher.decrypt(buffer, length);
    count();
    return plain;
  }

  /**
   * Decrypts {@code from[0, length)} to the beginning of {@code into}; returns the plain length.
   *
   * @throws NoiseException as {@link CipherState#decrypt}
   */
  public int open(byte[] from, int length, byte[] into) throws NoiseException {
    int plain = cipher.decrypt(from, length, into);
    count();
    return plain;
  }

  /** Whether {@link #open(byte[], int)} is as fast as into another array. */
  public boolean opensWellInPlace() {
    return cipher.decryptsWellInPlace();
  }

  private void count() {
    if (++messages == MESSAGES_PER_KEY) {
      cipher.rekey();
      messages = 0;
    }
  }
}
