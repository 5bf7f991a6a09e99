package io.pluresdb.transport.identity;

import io.pluresdb.transport.hash.Blake2b;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * The name of a device: BLAKE2b-256 of its Ed25519 public key.
 *
 * <p>Printed as 56 characters of base32 (RFC 4648 alphabet) in seven groups of eight: the 32 bytes
 * and three check bytes, the first of BLAKE2b-256({@code "pluresdb device id check 1" || id}), so a
 * mistyped id is noticed but for one chance in 2^24.
 *
 * @param bytes 32 bytes; copied in and out
 */
public record DeviceId(byte[] bytes) implements Comparable<DeviceId> {
  public static final int DEVICE_ID_BYTES = Blake2b.HASH_BYTES;

  private static final int CHECK_BYTES = 3;
  private static final int TEXT_CHARACTERS = (DEVICE_ID_BYTES + CHECK_BYTES) * 8 / 5;
  private static final int GROUP_CHARACTERS = 8;
  private static final int SHORT_BYTES = 4;
  private static final String ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  private static final byte[] CHECK_LABEL =
      "pluresdb device id check 1".getBytes(StandardCharsets.US_ASCII);

  public DeviceId {
    if (bytes.length != DEVICE_ID_BYTES) {
      throw new IllegalArgumentException("a device id must have 32 bytes, but has " + bytes.length);
    }
    bytes = bytes.clone();
  }

  /** The id of the device with this 32-byte Ed25519 public key. */
  public static DeviceId of(byte[] publicKey) {
    if (publicKey.length != DeviceIdentity.PUBLIC_KEY_BYTES) {
      throw new IllegalArgumentException(
          "a device's public key must have 32 bytes, but has " + publicKey.length);
    }
    return new DeviceId(Blake2b.hash256(publicKey));
  }

  /**
   * Reads a printed id. Case, dashes and white space do not matter; 0, 1 and 8, which base32 lacks,
   * are read as O, I and B.
   *
   * @throws IllegalArgumentException when the length, a character or the check digits are wrong
   */
  public static DeviceId parse(String text) {
    byte[] decoded = new byte[DEVICE_ID_BYTES + CHECK_BYTES];
    int characters = 0;
    int bits = 0;
    int buffer = 0;
    int at = 0;
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '-' || Character.isWhitespace(c)) {
        continue;
      }
      int digit = digit(c);
      if (digit < 0) {
        throw new IllegalArgumentException(
            "a device id must have letters and the digits 2 to 7, but character "
                + (i + 1)
                + " is neither");
      }
      if (++characters > TEXT_CHARACTERS) {
        break;
      }
      buffer = buffer << 5 | digit;
      bits += 5;
      if (bits >= 8) {
        bits -= 8;
        decoded[at++] = (byte) (buffer >>> bits);
      }
    }
    if (characters != TEXT_CHARACTERS) {
      throw new IllegalArgumentException(
          "a device id must have 56 characters, but has "
              + (characters > TEXT_CHARACTERS ? "more" : characters));
    }
    byte[] id = Arrays.copyOf(decoded, DEVICE_ID_BYTES);
    byte[] check = Arrays.copyOfRange(decoded, DEVICE_ID_BYTES, decoded.length);
    if (!Arrays.equals(check, check(id))) {
      throw new IllegalArgumentException(
          "the device id is mistyped: its check digits do not match");
    }
    return new DeviceId(id);
  }

  @Override
  public byte[] bytes() {
    return bytes.clone();
  }

  /** Eight hexadecimal digits, for logs; not unique. */
  public String shortForm() {
    return HexFormat.of().formatHex(bytes, 0, SHORT_BYTES);
  }

  /** Orders as unsigned bytes. */
  @Override
  public int compareTo(DeviceId other) {
    return Arrays.compareUnsigned(bytes, other.bytes);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof DeviceId id && Arrays.equals(bytes, id.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  /** The printed form {@link #parse} reads. */
  @Override
  public String toString() {
    byte[] all = Arrays.copyOf(bytes, DEVICE_ID_BYTES + CHECK_BYTES);
    System.arraycopy(check(bytes), 0, all, DEVICE_ID_BYTES, CHECK_BYTES);
    StringBuilder text = new StringBuilder(TEXT_CHARACTERS + TEXT_CHARACTERS / GROUP_CHARACTERS);
    int bits = 0;
    int buffer = 0;
    int characters = 0;
    for (byte b : all) {
      buffer = buffer << 8 | (b & 0xff);
      bits += 8;
      while (bits >= 5) {
        bits -= 5;
        if (characters > 0 && characters % GROUP_CHARACTERS == 0) {
          text.append('-');
        }
        text.append(ALPHABET.charAt(buffer >>> bits & 31));
        characters++;
      }
    }
    return text.toString();
  }

  private static byte[] check(byte[] id) {
    return Arrays.copyOf(Blake2b.hash256(CHECK_LABEL, id), CHECK_BYTES);
  }

  private static int digit(char c) {
    return switch (c) {
      case '0' -> 'O' - 'A';
      case '1' -> 'I' - 'A';
      case '8' -> 'B' - 'A';
      case '2', '3', '4', '5', '6', '7' -> c - '2' + 26;
      default -> {
        char upper = c >= 'a' && c <= 'z' ? (char) (c - 'a' + 'A') : c;
        yield upper >= 'A' && upper <= 'Z' ? upper - 'A' : -1;
      }
    };
  }
}
