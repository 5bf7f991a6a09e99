package io.pluresdb.harness.bench;

import java.nio.charset.StandardCharsets;
import java.util.Random;

/** Documents of exactly 200 bytes of JSON, of which 134 are random letters and digits. */
final class Documents {
  static final int BYTES = 200;
  private static final String ALPHABET =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

  private final Random random;

  Documents(long seed) {
    random = new Random(seed);
  }

  static String id(String set, int number) {
    return set + ":" + String.format("%08d", number);
  }

  byte[] next(int number) {
    var json = new StringBuilder(BYTES);
    json.append("{\"type\":\"note\",\"number\":").append(10_000_000 + number);
    json.append(",\"done\":").append(number % 2 == 0 ? "true" : "null");
    json.append(",\"title\":\"");
    random(json, 24);
    json.append("\",\"body\":\"");
    random(json, BYTES - 2 - json.length());
    json.append("\"}");
    return json.toString().getBytes(StandardCharsets.US_ASCII);
  }

  private void random(StringBuilder to, int count) {
    for (int i = 0; i < count; i++) {
      to.append(ALPHABET.charAt(random.nextInt(ALPHABET.length())));
    }
  }
}
