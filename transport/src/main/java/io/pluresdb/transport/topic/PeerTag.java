package io.pluresdb.transport.topic;

import io.pluresdb.transport.hash.Blake2b;
import io.pluresdb.transport.identity.DeviceId;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * The name of a device at one {@link Rendezvous}. Who has the sync key can tell which of the
 * devices it knows that is; a relay can not.
 *
 * <pre>
 * BLAKE2b-128(key = rendezvous key, "pluresdb rendezvous peer 1" || rendezvous || device id)
 * </pre>
 *
 * @param bytes 16 bytes; copied in and out
 */
public record PeerTag(byte[] bytes) {
  public static final int TAG_BYTES = 16;

  private static final byte[] LABEL =
      "pluresdb rendezvous peer 1".getBytes(StandardCharsets.US_ASCII);

  public PeerTag {
    if (bytes.length != TAG_BYTES) {
      throw new IllegalArgumentException("a peer tag must have 16 bytes, but has " + bytes.length);
    }
    bytes = bytes.clone();
  }

  /** The name of {@code device} at {@code rendezvous}. */
  public static PeerTag of(DatabaseKeys database, Rendezvous rendezvous, DeviceId device) {
    return new PeerTag(
        Blake2b.keyed(database.rendezvous(), TAG_BYTES, LABEL, rendezvous.bytes(), device.bytes()));
  }

  @Override
  public byte[] bytes() {
    return bytes.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof PeerTag that && Arrays.equals(bytes, that.bytes);
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
