package io.pluresdb.crdt.op;

import io.pluresdb.crdt.value.CanonicalJson;
import java.util.Arrays;
import java.util.Locale;
import java.util.NavigableSet;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/** What a field is that is no plain value. */
public enum FieldType {
  TEXT(Register.TEXT),
  LIST(Register.LIST),
  SET(Register.SET);

  private final byte space;

  FieldType(byte space) {
    this.space = space;
  }

  /** The space of {@link Register} that holds it. */
  public byte space() {
    return space;
  }

  /** Its name as people write it: {@code text}, {@code list} or {@code set}. */
  public String label() {
    return name().toLowerCase(Locale.ROOT);
  }

  /** Whether a value, canonical JSON, could be the content. */
  public boolean holds(byte[] value) {
    return switch (this) {
      case TEXT -> value[0] == '"';
      case LIST -> value[0] == '[';
      case SET -> value[0] == '[' && distinct(value) != null;
    };
  }

  /** What {@link #holds} asks for, for messages. */
  public String content() {
    return switch (this) {
      case TEXT -> "string";
      case LIST -> "array";
      case SET ->
          "array without duplicates and of elements of at most "
              + Register.MAX_ELEMENT_BYTES
              + " bytes";
    };
  }

  /** The elements of an array, ascending, or null when one comes twice or is too long for a set. */
  public static @Nullable NavigableSet<byte[]> distinct(byte[] array) {
    var elements = new TreeSet<byte[]>(Arrays::compareUnsigned);
    for (byte[] element : CanonicalJson.elements(array)) {
      if (element.length > Register.MAX_ELEMENT_BYTES || !elements.add(element)) {
        return null;
      }
    }
    return elements;
  }

  /** The type of a register of a text, list or set. */
  public static FieldType of(byte[] register) {
    return Arrays.stream(values())
        .filter(type -> type.space == register[0])
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException("register of space " + register[0]));
  }
}
