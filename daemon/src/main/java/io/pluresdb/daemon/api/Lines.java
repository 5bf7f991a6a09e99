package io.pluresdb.daemon.api;

import io.pluresdb.daemon.api.JsonMembers.Slice;
import java.io.IOException;
import java.io.InputStream;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/** The lines of a stream as slices of one buffer that grows to the longest line. */
final class Lines {
  private final InputStream in;
  private final int maxBytes;
  private byte[] buffer = new byte[64 << 10];
  private int from;
  private int to;
  private long number;
  private boolean ended;

  /**
   * @param maxBytes longest line
   */
  Lines(InputStream in, int maxBytes) {
    this.in = in;
    this.maxBytes = maxBytes;
  }

  /** The number of the line that {@link #next} gave last, from 1. */
  long number() {
    return number;
  }

  /**
   * The next line without its end, valid until the next call; null at the end.
   *
   * @throws TooLong when the line has more than {@code maxBytes}
   */
  @Nullable Slice next() throws IOException {
    int scanned = from;
    while (true) {
      for (int i = scanned; i < to; i++) {
        if (buffer[i] == '\n') {
          return line(i, i + 1);
        }
      }
      if (ended) {
        return from == to ? null : line(to, to);
      }
      scanned = to - from;
      if (scanned > maxBytes) {
        throw new TooLong(maxBytes);
      }
      System.arraycopy(buffer, from, buffer, 0, scanned);
      from = 0;
      to = scanned;
      if (to == buffer.length) {
        buffer = Arrays.copyOf(buffer, 2 * to);
      }
      int read = in.read(buffer, to, buffer.length - to);
      ended = read < 0;
      to += Math.max(read, 0);
    }
  }

  private Slice line(int end, int next) throws TooLong {
    int last = end > from && buffer[end - 1] == '\r' ? end - 1 : end;
    var slice = new Slice(buffer, from, last);
    if (last - from > maxBytes) {
      throw new TooLong(maxBytes);
    }
    from = next;
    number++;
    return slice;
  }

  /** A line over the limit. */
  static final class TooLong extends IOException {
    private static final long serialVersionUID = 1;
    private final int maxBytes;

    TooLong(int maxBytes) {
      this.maxBytes = maxBytes;
    }

    ApiException asApiException() {
      return ApiException.tooLarge("a line", maxBytes, "split the document");
    }
  }
}
