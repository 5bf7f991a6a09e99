package io.pluresdb.transport.frame;

/** Bytes from a peer that break the frame format; the session must end. */
public final class FrameException extends Exception {
  private static final long serialVersionUID = 1;

  /** Which rule was broken. */
  public enum Kind {
    /** A frame's length is outside the limits of its phase. */
    FRAME_LENGTH,
    /** The first plaintext byte names no kind of frame. */
    UNKNOWN_KIND,
    /** A control frame's content is not what its kind has. */
    MALFORMED_CONTROL,
    /** A frame arrived in a phase that does not have it. */
    OUT_OF_PHASE,
    /** A message's length is above the configured limit; nothing was allocated for it. */
    MESSAGE_TOO_LARGE
  }

  private final Kind kind;
  private final long value;

  /**
   * @param value the offending length or code, for the log
   */
  public FrameException(Kind kind, long value) {
    // Peers cause these at will: no stack trace.
    super("frame refused: " + kind + ", value=" + value, null, false, false);
    this.kind = kind;
    this.value = value;
  }

  public Kind kind() {
    return kind;
  }

  public long value() {
    return value;
  }
}
