package io.pluresdb.transport.topic;

import io.pluresdb.transport.hash.Blake2b;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;

/**
 * The name under which the devices of a database meet at a relay on one day. Without the sync key
 * the names of two days cannot be told to belong together.
 *
 * <pre>
 * BLAKE2b-256(key = rendezvous key, "pluresdb rendezvous topic 1" || days since 1970 u64)
 * </pre>
 *
 * @param bytes 32 bytes; copied in and out
 */
public record Rendezvous(byte[] bytes) {
  public static final int RENDEZVOUS_BYTES = 32;

  /** Devices whose clocks differ by less than twice this have a name in common. */
  public static final Duration CLOCK_TOLERANCE = Duration.ofHours(6);

  private static final byte[] LABEL =
      "pluresdb rendezvous topic 1".getBytes(StandardCharsets.US_ASCII);
  private static final long DAY_MILLIS = Duration.ofDays(1).toMillis();

  public Rendezvous {
    if (bytes.length != RENDEZVOUS_BYTES) {
      throw new IllegalArgumentException(
          "a rendezvous must have 32 bytes, but has " + bytes.length);
    }
    bytes = bytes.clone();
  }

  /** The names to use at {@code now}: one, or two around midnight (UTC), the earlier day first. */
  public static List<Rendezvous> of(DatabaseKeys database, Instant now) {
    long early = day(now.minus(CLOCK_TOLERANCE));
    long late = day(now.plus(CLOCK_TOLERANCE));
    return early == late
        ? List.of(on(database, early))
        : List.of(on(database, early), on(database, late));
  }

  private static long day(Instant at) {
    return Math.max(0, Math.floorDiv(at.toEpochMilli(), DAY_MILLIS));
  }

  static Rendezvous on(DatabaseKeys database, long day) {
    byte[] days = ByteBuffer.allocate(Long.BYTES).putLong(day).array();
    return new Rendezvous(Blake2b.keyed(database.rendezvous(), RENDEZVOUS_BYTES, LABEL, days));
  }

  @Override
  public byte[] bytes() {
    return bytes.clone();
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Rendezvous that && Arrays.equals(bytes, that.bytes);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(bytes);
  }

  /** 64 lower-case hexadecimal characters. */
  @Override
  public String toString() {
    return HexFormat.of().formatHex(bytes);
  }
}
