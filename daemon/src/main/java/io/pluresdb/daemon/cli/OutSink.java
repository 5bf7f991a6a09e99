package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Sink;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;

/** Passes an answer to a stream as it comes, and counts its lines that are documents. */
final class OutSink implements Sink {
  private static final byte[] DOCUMENT = {'{', '"', 'i', 'd', '"'};

  private final OutputStream out;
  private int matched;
  private long documents;

  OutSink(OutputStream out) {
    this.out = out;
  }

  long documents() {
    return documents;
  }

  @Override
  public void write(byte[] bytes, int from, int to) throws IOException {
    for (int i = from; i < to; i++) {
      if (bytes[i] == '\n') {
        matched = 0;
      } else if (matched < DOCUMENT.length) {
        matched = bytes[i] == DOCUMENT[matched] ? matched + 1 : Integer.MAX_VALUE;
        documents += matched == DOCUMENT.length ? 1 : 0;
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
