package io.pluresdb.transport.relay;

import java.nio.ByteBuffer;

/**
 * Whether bytes that come in pieces are UTF-8 (RFC 3629: no overlong forms, no surrogates, nothing
 * above U+10FFFF). Not thread-safe.
 */
final class Utf8Check {
  private int missing;
  // What the next byte may be, while some are missing.
  private int least;
  private int most;

  /** Whether {@code buffer[from, to)} goes on as it may. */
  boolean take(ByteBuffer buffer, int from, int to) {
    for (int at = from; at < to; at++) {
      int next = buffer.get(at) & 0xff;
      if (missing > 0) {
        if (next < least || next > most) {
          return false;
        }
        missing--;
        expect(0x80, 0xbf);
      } else if (next >= 0x80 && !begin(next)) {
        return false;
      }
    }
    return true;
  }

  private boolean begin(int first) {
    if (first < 0xc2 || first > 0xf4) {
      return false;
    }
    missing = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    switch (first) {
      case 0xe0 -> expect(0xa0, 0xbf);
      case 0xed -> expect(0x80, 0x9f);
      case 0xf0 -> expect(0x90, 0xbf);
      case 0xf4 -> expect(0x80, 0x8f);
      default -> expect(0x80, 0xbf);
    }
    return true;
  }

  private void expect(int from, int to) {
    least = from;
    most = to;
  }

  /** Whether the text may end here. */
  boolean isWhole() {
    return missing == 0;
  }
}
