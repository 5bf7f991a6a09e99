package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Sink;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;

/** Prints the data of server-sent events, one a line. */
final class EventSink implements Sink {
  private static final byte[] DATA = {'d', 'a', 't', 'a', ':', ' '};

  private final PrintStream out;
  private final ByteArrayOutputStream line = new ByteArrayOutputStream();

  EventSink(PrintStream out) {
    this.out = out;
  }

  @Override
  public void write(byte[] bytes, int from, int to) throws IOException {
    for (int i = from; i < to; i++) {
      line.write(bytes[i]);
      if (bytes[i] == '\n') {
        byte[] whole = line.toByteArray();
        line.reset();
        if (java.util.Arrays.mismatch(whole, DATA) == DATA.length) {
          out.write(whole, DATA.length, whole.length - DATA.length);
        }
      }
    }
  }

  @Override
  public void flush() throws IOException {
    if (out.checkError()) {
      throw new IOException("standard output was closed");
    }
  }

  @Override
  public void onClose(Runnable action) {}
}
