package io.pluresdb.storage.anchor;

import java.util.Arrays;
import java.util.HexFormat;

/**
 * How far a replica had come when it last published: a database that is behind its anchor was
 * restored or lost writes, and must continue under a new actor.
 *
 * @param instance 16 bytes, drawn when the database directory was created
 * @param actor 16 bytes, the writer incarnation
 * @param seq the actor's last durable change, unsigned
 * @param headHash 32 bytes, the hash of that change
 * @param counter the logical part of the clock or another value that only grows, unsigned
 */
public record Anchor(byte[] instance, byte[] actor, long seq, byte[] headHash, long counter) {

  static final int ID_BYTES = 16;
  static final int HASH_BYTES = 32;

  /** Copies the arrays and checks their lengths. */
  public Anchor {
    instance = exactly("instance", ID_BYTES, instance);
    actor = exactly("actor", ID_BYTES, actor);
    headHash = exactly("headHash", HASH_BYTES, headHash);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Anchor that
        && seq == that.seq
        && counter == that.counter
        && Arrays.equals(instance, that.instance)
        && Arrays.equals(actor, that.actor)
        && Arrays.equals(headHash, that.headHash);
  }

  @Override
  public int hashCode() {
    return Arrays.hashCode(headHash) * 31 + Long.hashCode(seq);
  }

  @Override
  public String toString() {
    HexFormat hex = HexFormat.of();
    return "Anchor[instance=%s, actor=%s, seq=%s, head=%s, counter=%s]"
        .formatted(
            hex.formatHex(instance, 0, 4),
            hex.formatHex(actor, 0, 4),
            Long.toUnsignedString(seq),
            hex.formatHex(headHash, 0, 4),
            Long.toUnsignedString(counter));
  }

  private static byte[] exactly(String field, int bytes, byte[] value) {
    if (value.length != bytes) {
      throw new IllegalArgumentException(
          field + " must be " + bytes + " bytes, but is " + value.length);
    }
    return value.clone();
  }
}
