package io.pluresdb.daemon.cli;

import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.time.Duration;
import java.time.Instant;

/** Counts what is read of a file and, on a terminal, shows it as a bar with the rate. */
final class Progress extends FilterInputStream {
  private static final Duration EVERY = Duration.ofMillis(100);
  private static final int BAR_CHARS = 30;
  private static final double MIB = 1 << 20;

  private final Io io;
  private final long totalBytes;
  private final Instant start;
  private Instant shown;
  private long bytes;

  /**
   * @param totalBytes length of the input, or 0 when it is unknown
   */
  Progress(InputStream in, long totalBytes, Io io) {
    super(in);
    this.io = io;
    this.totalBytes = totalBytes;
    start = io.clock().instant();
    shown = start;
  }

  @Override
  public int read() throws IOException {
    int b = super.read();
    count(b < 0 ? 0 : 1);
    return b;
  }

  @Override
  public int read(byte[] target, int offset, int length) throws IOException {
    int read = super.read(target, offset, length);
    count(Math.max(read, 0));
    return read;
  }

  private void count(int more) {
    bytes += more;
    if (!io.terminal()) {
      return;
    }
    Instant now = io.clock().instant();
    if (Duration.between(shown, now).compareTo(EVERY) >= 0) {
      shown = now;
      double seconds = seconds();
      var line = new StringBuilder("\r");
      if (totalBytes > 0) {
        int done = (int) (BAR_CHARS * bytes / totalBytes);
        line.append('[').repeat('#', done).repeat('.', BAR_CHARS - done).append("] ");
        line.append(100 * bytes / totalBytes).append(" % ");
      }
      line.append(String.format("%.1f MiB, %.1f MiB/s ", bytes / MIB, bytes / MIB / seconds));
      io.err().print(line);
      io.err().flush();
    }
  }

  /** Seconds since the start, never 0. */
  double seconds() {
    return Math.max(1, Duration.between(start, io.clock().instant()).toMillis()) / 1e3;
  }

  /** Removes the bar. */
  void clear() {
    if (io.terminal()) {
      io.err().print("\r\u001b[K");
      io.err().flush();
    }
  }
}
