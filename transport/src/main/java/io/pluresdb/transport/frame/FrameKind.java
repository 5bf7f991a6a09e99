package io.pluresdb.transport.frame;

/** What a decrypted frame carries, named by its first byte. */
public enum FrameKind {
  /** A piece of the message stream. */
  DATA(0),
  /**
   * The sender has authorised its peer, and which session this is. Each side's first frame unless
   * it rejects: a {@link Ready}.
   */
  READY(1),
  /** A number the receiver sends back at once: the sender is alive. */
  PROBE(2),
  /** A {@link Goodbye}; the sender's last frame. */
  GOODBYE(3),
  /** The number of a probe. */
  ECHO(4),
  /** How many messages the sender has received in this session. */
  RECEIVED(5),
  /** The number of the first message on this path; 0 where this does not come before DATA. */
  FROM(6),
  /** What the two sides tell each other about further paths. */
  PATHS(7);

  private static final FrameKind[] BY_CODE = values();

  private final byte code;

  FrameKind(int code) {
    this.code = (byte) code;
  }

  public byte code() {
    return code;
  }

  /**
   * @throws FrameException {@code UNKNOWN_KIND} for any other byte
   */
  public static FrameKind of(byte code) throws FrameException {
    if (code < 0 || code >= BY_CODE.length) {
      throw new FrameException(FrameException.Kind.UNKNOWN_KIND, code & 0xff);
    }
    return BY_CODE[code];
  }
}
