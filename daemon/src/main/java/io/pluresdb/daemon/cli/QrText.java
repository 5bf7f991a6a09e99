package io.pluresdb.daemon.cli;

import io.nayuki.qrcodegen.QrCode;

/** A QR code in half blocks: two modules a character, dark on light whatever the terminal. */
final class QrText {
  /** Light modules around the code, which readers need. */
  private static final int QUIET = 2;

  private static final String BLACK_ON_WHITE = "\u001b[30;107m";
  private static final String RESET = "\u001b[0m";

  private QrText() {}

  static String of(String text) {
    QrCode code = QrCode.encodeText(text, QrCode.Ecc.LOW);
    var out = new StringBuilder();
    for (int y = -QUIET; y < code.size + QUIET; y += 2) {
      out.append(BLACK_ON_WHITE);
      for (int x = -QUIET; x < code.size + QUIET; x++) {
        // Modules outside the code are light.
        boolean upper = code.getModule(x, y);
        boolean lower = code.getModule(x, y + 1);
        out.append(upper ? (lower ? '█' : '▀') : (lower ? '▄' : ' '));
      }
      out.append(RESET).append('\n');
    }
    return out.toString();
  }
}
