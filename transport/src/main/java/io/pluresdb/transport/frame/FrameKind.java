package io.pluresdb.transport.frame;

/** What a decrypted frame carries, named by its first byte. */
public enum FrameKind {
  /** A piece of the message stream. */
  DATA(0),
  /**
   * Nothing more: the sender has authorised its peer. Each side's first frame unless it rejects.
   */
  READY(1),
  /** Nothing more: the sender is alive. */
  KEEP_ALIVE(2),
  /** A {@link Goodbye}; the sender's last frame. */
  GOODBYE(3);

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
