package io.pluresdb.transport.topic;

import java.util.Arrays;
import java.util.HexFormat;

/**
 * The 16 bytes with which an initiator names, in the clear, the database it wants to talk about.
 *
 * <p>A keyed hash of the sync key: it reveals neither key nor database id nor topic. It does reveal
 * which connections and LAN announcements belong to the same database in the same epoch, to anybody
 * who sees them, and an observer may replay it, which opens nothing without the sync key.
 *
 * @param bytes 16 bytes; copied in and out
 */
public record Hint(byte[] bytes) {
  public static final int HINT_BYTES = 16;

  public Hint {
    if (bytes.length != HINT_BYTES) {
      throw new IllegalArgumentException("a hint must have 16 bytes, but has " + bytes.length);
    }
    bytes = bytes.clone();
  }

  /**
   * Reads 32 hexadecimal characters.
   *
   * @throws IllegalArgumentException for anything else
   */
  public static Hint parse(String hex) {
    if (hex.length() != 2 * HINT_BYTES) {
      throw new IllegalArgumentException(
          "a hint must have 32 hexadecimal characters, but has " + hex.length());
    }
    return new Hint(HexFormat.of().parseHex(hex));
  }

  @Override
  public byte[] bytes() {
    return bytes.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Hint hint && Arrays.equals(bytes, hint.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  /** 32 lower-case hexadecimal characters. */
  @Override
  public String toString() {
    return HexFormat.of().formatHex(bytes);
  }
}
