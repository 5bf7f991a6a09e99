package io.pluresdb.transport.dht;

import java.nio.BufferOverflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Writes bencoding (BEP 3) into a bounded buffer. The caller writes keys in ascending order. */
final class BencodeWriter {
  private final ByteBuffer out;

  /**
   * @param maxBytes writing more throws {@link BufferOverflowException}
   */
  BencodeWriter(int maxBytes) {
    this.out = ByteBuffer.allocate(maxBytes);
  }

  BencodeWriter table() {
    out.put((byte) 'd');
    return this;
  }

  BencodeWriter items() {
    out.put((byte) 'l');
    return this;
  }

  /** Ends a table or items. */
  BencodeWriter end() {
    out.put((byte) 'e');
    return this;
  }

  BencodeWriter whole(long value) {
    ascii("i" + value + "e");
    return this;
  }

  /** A key, or a string of one byte a character. */
  BencodeWriter text(String text) {
    return text(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  BencodeWriter text(byte[] bytes) {
    size(bytes.length).put(bytes);
    return this;
  }

  /** Begins a byte string of {@code bytes} bytes, which the caller puts into what is returned. */
  ByteBuffer size(int bytes) {
    ascii(bytes + ":");
    return out;
  }

  byte[] toByteArray() {
    return Arrays.copyOf(out.array(), out.position());
  }

  private void ascii(String text) {
    out.put(text.getBytes(StandardCharsets.US_ASCII));
  }
}
