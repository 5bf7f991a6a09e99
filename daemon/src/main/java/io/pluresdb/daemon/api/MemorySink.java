package io.pluresdb.daemon.api;

import java.io.ByteArrayOutputStream;

/** A sink for an answer that is wanted whole, in memory. */
final class MemorySink implements Sink {
  private final ByteArrayOutputStream out = new ByteArrayOutputStream();

  @Override
  public void write(byte[] bytes, int from, int to) {
    out.write(bytes, from, to - from);
  }

  @Override
  public void flush() {}

  @Override
  public void onClose(Runnable action) {}

  byte[] bytes() {
    return out.toByteArray();
  }
}
