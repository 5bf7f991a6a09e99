package io.pluresdb.transport.relay;

import io.pluresdb.transport.hash.Blake2b;
import io.pluresdb.transport.identity.DeviceIdentity;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.Base64;
import java.util.Collection;
import org.jspecify.annotations.Nullable;

/**
 * A token of a relay that its operator signed: whoever has it may use relays that know the
 * operator's public key, until it expires. Relays need no list of such tokens.
 *
 * <pre>
 * text      := "s1." | base64url without padding of: signed | signature 64
 * signed    := expires u64 | circuits u32 | bytes per second u64 | n u8, 1..32 | name, n bytes
 * signature := Ed25519(operator's key, "pluresdb relay token 1" | public key 32 | signed)
 * </pre>
 *
 * @param name whom it is for: 1 to 32 printable ASCII characters, no spaces
 * @param expires in milliseconds since 1970, first instant at which it is worth nothing
 * @param circuits most ends of circuits at a time, 0 for what the relay lets any token have
 * @param bytesPerSecond likewise
 */
public record RelayToken(String name, long expires, int circuits, long bytesPerSecond) {
  /** With what signed tokens begin, and no others. */
  public static final String PREFIX = "s1.";

  public static final int MAX_NAME_CHARACTERS = 32;

  private static final byte[] LABEL = "pluresdb relay token 1".getBytes(StandardCharsets.US_ASCII);
  private static final int FIXED_BYTES = Long.BYTES + Integer.BYTES + Long.BYTES + 1;

  /** Longest text. */
  public static final int MAX_TEXT_CHARACTERS =
      PREFIX.length()
          + (FIXED_BYTES + MAX_NAME_CHARACTERS + DeviceIdentity.SIGNATURE_BYTES + 2) / 3 * 4;

  public RelayToken {
    if (!isName(name)) {
      throw new IllegalArgumentException(
          "the name of a relay token must have 1 to "
              + MAX_NAME_CHARACTERS
              + " printable ASCII characters and no spaces, but is \""
              + name
              + "\"");
    }
    if (expires <= 0 || circuits < 0 || bytesPerSecond < 0) {
      throw new IllegalArgumentException(
          "expiry must be after 1970, circuits and bytes per second 0 or more, but are "
              + expires
              + ", "
              + circuits
              + " and "
              + bytesPerSecond);
    }
  }

  private static boolean isName(String name) {
    return !name.isEmpty()
        && name.length() <= MAX_NAME_CHARACTERS
        && name.chars().allMatch(c -> c > ' ' && c < 0x7f);
  }

  /** What a relay makes of a text. */
  public sealed interface Verdict {
    record Valid(RelayToken token) implements Verdict {}

    /**
     * @param why for who uses the token
     */
    record Invalid(String why) implements Verdict {}
  }

  /** The text, signed with the operator's key. */
  public String sign(DeviceIdentity operator) {
    byte[] signed = signed();
    byte[] signature = operator.sign(message(operator.publicKey(), signed));
    byte[] all =
        ByteBuffer.allocate(signed.length + signature.length).put(signed).put(signature).array();
    return PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(all);
  }

  private byte[] signed() {
    byte[] text = name.getBytes(StandardCharsets.US_ASCII);
    return ByteBuffer.allocate(FIXED_BYTES + text.length)
        .putLong(expires)
        .putInt(circuits)
        .putLong(bytesPerSecond)
        .put((byte) text.length)
        .put(text)
        .array();
  }

  private static byte[] message(byte[] publicKey, byte[] signed) {
    return ByteBuffer.allocate(LABEL.length + publicKey.length + signed.length)
        .put(LABEL)
        .put(publicKey)
        .put(signed)
        .array();
  }

  /**
   * Judges a text.
   *
   * @param operators public keys of 32 bytes each, any of which may have signed it
   */
  public static Verdict judge(String text, Collection<byte[]> operators, Instant now) {
    byte[] all = bytes(text);
    RelayToken token = all == null ? null : read(all);
    if (all == null || token == null) {
      return new Verdict.Invalid("this is no token");
    }
    if (token.hasExpired(now)) {
      return new Verdict.Invalid("this token expired at " + Instant.ofEpochMilli(token.expires));
    }
    int signedBytes = all.length - DeviceIdentity.SIGNATURE_BYTES;
    byte[] signed = Arrays.copyOf(all, signedBytes);
    byte[] signature = Arrays.copyOfRange(all, signedBytes, all.length);
    for (byte[] operator : operators) {
      if (DeviceIdentity.verify(operator, message(operator, signed), signature)) {
        return new Verdict.Valid(token);
      }
    }
    return new Verdict.Invalid("this token was not signed for this relay");
  }

  /** Whether it is worth nothing any more. */
  public boolean hasExpired(Instant now) {
    return now.toEpochMilli() >= expires;
  }

  /** Names the text for a relay's books; does not lead back to it. */
  public static String fingerprint(String text) {
    return java.util.HexFormat.of()
        .formatHex(Blake2b.hash256(text.getBytes(StandardCharsets.US_ASCII)));
  }

  private static byte @Nullable [] bytes(String text) {
    if (!text.startsWith(PREFIX) || text.length() > MAX_TEXT_CHARACTERS) {
      return null;
    }
    try {
      byte[] all = Base64.getUrlDecoder().decode(text.substring(PREFIX.length()));
      // One text for one token: bits that no byte has, and padding, would make others.
      String again = Base64.getUrlEncoder().withoutPadding().encodeToString(all);
      return text.endsWith(again) && text.length() == PREFIX.length() + again.length() ? all : null;
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  private static @Nullable RelayToken read(byte[] all) {
    ByteBuffer in = ByteBuffer.wrap(all);
    try {
      long expires = in.getLong();
      int circuits = in.getInt();
      long bytesPerSecond = in.getLong();
      byte[] text = new byte[in.get() & 0xff];
      in.get(text);
      String name = new String(text, StandardCharsets.ISO_8859_1);
      boolean valid =
          in.remaining() == DeviceIdentity.SIGNATURE_BYTES
              && isName(name)
              && expires > 0
              && circuits >= 0
              && bytesPerSecond >= 0;
      return valid ? new RelayToken(name, expires, circuits, bytesPerSecond) : null;
    } catch (BufferUnderflowException e) {
      return null;
    }
  }
}
