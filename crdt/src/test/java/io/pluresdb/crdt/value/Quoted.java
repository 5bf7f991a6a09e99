package io.pluresdb.crdt.value;

import io.pluresdb.crdt.codec.ByteWriter;
import java.nio.charset.StandardCharsets;

/** A JSON string. */
final class Quoted {
  private Quoted() {}

  static String of(String text) {
    var out = new ByteWriter();
    CanonicalJson.string(out, text);
    return new String(out.toByteArray(), StandardCharsets.UTF_8);
  }
}
