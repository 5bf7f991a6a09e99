package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Sink;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;

/** Passes an answer to a stream as it comes, and counts its lines. */
final class OutSink implements Sink {
  private final OutputStream out;
  private long lines;

  OutSink(OutputStream out) {
    this.out = out;
  }

  long lines() {
    return lines;
  }

  @Override
  public void write(byte[] bytes, int from, int to) throws IOException {
    for (int i = from; i < to; i++) {
      if (bytes[i] == '\n') {
        lines++;
      }
    }
    out.write(bytes, from, to - from);
    // A print stream keeps its failures to itself: a closed pipe must end the command.
    if (out instanceof PrintStream print && print.checkError()) {
      throw new IOException("standard output was closed");
    }
  }

  @Override
  public void flush() throws IOException {
    out.flush();
  }

  @Override
  public void onClose(Runnable action) {}
}
