package io.pluresdb.daemon.api;

import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.value.CanonicalJson;
import java.nio.charset.StandardCharsets;

/**
 * Writes JSON as UTF-8, with documents passed through as the bytes they are stored in. Commas are
 * its business, balance is the caller's. Not thread-safe; reusable through {@link #clear}.
 */
public final class JsonWriter {
  private static final int USUAL_BYTES = 512;

  private final ByteWriter out;
  private boolean comma;

  public JsonWriter() {
    this(USUAL_BYTES);
  }

  /**
   * @param bytes that are expected; more are taken all the same
   */
  JsonWriter(int bytes) {
    out = new ByteWriter(bytes);
  }

  public JsonWriter clear() {
    out.clear();
    comma = false;
    return this;
  }

  /** Forgets the bytes but not the place: the next value still gets its comma. */
  void forget() {
    out.clear();
  }

  public int size() {
    return out.size();
  }

  /** The backing array; valid up to {@link #size} and until the next write. */
  public byte[] array() {
    return out.array();
  }

  public byte[] toByteArray() {
    return out.toByteArray();
  }

  public JsonWriter beginObject() {
    return open('{');
  }

  public JsonWriter endObject() {
    return close('}');
  }

  public JsonWriter beginArray() {
    return open('[');
  }

  public JsonWriter endArray() {
    return close(']');
  }

  /** A member's name; its value comes next. */
  public JsonWriter name(String name) {
    separate();
    CanonicalJson.string(out, name);
    out.u8(':');
    comma = false;
    return this;
  }

  public JsonWriter string(String value) {
    separate();
    CanonicalJson.string(out, value);
    return this;
  }

  public JsonWriter number(long value) {
    return ascii(Long.toString(value));
  }

  /** A finite number. */
  public JsonWriter number(double value) {
    return ascii(Double.toString(value));
  }

  /** A finite number, in the shortest digits that read back as the same float. */
  public JsonWriter number(float value) {
    return ascii(Float.toString(value));
  }

  public JsonWriter bool(boolean value) {
    return ascii(value ? "true" : "false");
  }

  public JsonWriter nothing() {
    return ascii("null");
  }

  /** A whole JSON value that is UTF-8 already. */
  public JsonWriter raw(byte[] json) {
    separate();
    out.bytes(json);
    return this;
  }

  /** A line end between the values of NDJSON. */
  public JsonWriter newline() {
    out.u8('\n');
    comma = false;
    return this;
  }

  private JsonWriter ascii(String text) {
    return raw(text.getBytes(StandardCharsets.ISO_8859_1));
  }

  private JsonWriter open(char bracket) {
    separate();
    out.u8(bracket);
    comma = false;
    return this;
  }

  private JsonWriter close(char bracket) {
    out.u8(bracket);
    comma = true;
    return this;
  }

  private void separate() {
    if (comma) {
      out.u8(',');
    }
    comma = true;
  }
}
