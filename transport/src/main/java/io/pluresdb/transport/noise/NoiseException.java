package io.pluresdb.transport.noise;

/** A Noise message that must end its session; the state that threw it refuses further use. */
public final class NoiseException extends Exception {
  private static final long serialVersionUID = 1;

  /** What was wrong with the message or the state. */
  public enum Kind {
    /** The tag does not match: another key, another nonce, or changed bytes. */
    BAD_TAG,
    /** Fewer bytes than the pattern needs. */
    TOO_SHORT,
    /** More than 65,535 bytes. */
    TOO_LONG,
    /** The peer's Curve25519 key yields the all-zero secret. */
    LOW_ORDER_KEY,
    /** All 2^64 - 1 nonces of a key are used up. */
    NONCE_EXHAUSTED
  }

  private final Kind kind;

  NoiseException(Kind kind) {
    // Peers cause these at will: no stack trace, the kind says all.
    super("Noise message refused: " + kind, null, false, false);
    this.kind = kind;
  }

  public Kind kind() {
    return kind;
  }
}
