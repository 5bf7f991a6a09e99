package io.pluresdb.crdt.codec;

/** Bytes that do not follow their format: truncated, over a limit or not canonical. */
public final class CodecException extends RuntimeException {
  private static final long serialVersionUID = 1;

  public CodecException(String message) {
    super(message);
  }
}
