package io.pluresdb.transport.topic;

import io.pluresdb.transport.hash.Blake2b;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;

/**
 * The 32-byte name under which the peers of one database meet.
 *
 * @param bytes 32 bytes; copied in and out
 */
public record Topic(byte[] bytes) {
  public static final int TOPIC_BYTES = Blake2b.HASH_BYTES;

  /** Size of a mainline DHT info-hash (BEP 3). */
  private static final int INFO_HASH_BYTES = 20;

  public Topic {
    if (bytes.length != TOPIC_BYTES) {
      throw new IllegalArgumentException("a topic must have 32 bytes, but has " + bytes.length);
    }
    bytes = bytes.clone();
  }

  /** Returns BLAKE2b-256 of the UTF-8 bytes of {@code databaseId}. */
  public static Topic deriveTopic(String databaseId) {
    return new Topic(Blake2b.hash256(databaseId.getBytes(StandardCharsets.UTF_8)));
  }

  @Override
  public byte[] bytes() {
    return bytes.clone();
  }

  /** The first 20 bytes: what the DHT announces and looks up. */
  public byte[] infoHash() {
    return Arrays.copyOf(bytes, INFO_HASH_BYTES);
  }

  /** 64 lower-case hexadecimal characters. */
  public String hex() {
    return HexFormat.of().formatHex(bytes);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Topic topic && Arrays.equals(bytes, topic.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  @Override
  public String toString() {
    return hex();
  }
}
