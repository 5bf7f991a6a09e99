package io.pluresdb.transport.session;

import io.pluresdb.transport.frame.Goodbye;

/** Whether a device that proved its identity may have a session. */
public sealed interface Decision {
  record Accept() implements Decision {}

  /**
   * @param code 1 to 64 characters of {@code A-Z 0-9 _}
   * @param message for the peer's user; at most 512 bytes are sent
   */
  record Reject(String code, String message) implements Decision {
    public Reject {
      new Goodbye(code, message);
    }
  }
}
