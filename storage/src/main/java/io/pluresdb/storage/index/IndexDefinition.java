package io.pluresdb.storage.index;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Fields of documents that are kept in order.
 *
 * @param fields 1 to {@link #MAX_FIELDS} dotted names; the first may end in {@code []} and then
 *     stands for each element of an array
 */
public record IndexDefinition(List<String> fields) {
  /** Most fields of an index. */
  public static final int MAX_FIELDS = 4;

  /** Most indexes of a database. */
  public static final int MAX_INDEXES = 64;

  private static final String ELEMENTS = "[]";

  public IndexDefinition {
    if (fields.isEmpty() || fields.size() > MAX_FIELDS) {
      throw CoreException.invalid(
          "an index must have 1 to " + MAX_FIELDS + " fields, but has " + fields.size());
    }
    for (int i = 0; i < fields.size(); i++) {
      String field = fields.get(i);
      boolean elements = field.endsWith(ELEMENTS);
      if (field.isEmpty() || field.equals(ELEMENTS) || (elements && i > 0)) {
        throw CoreException.invalid(
            "a field of an index must be a dotted name, and only the first may end in []: \""
                + field
                + "\"");
      }
    }
    fields = List.copyOf(fields);
  }

  /** Reads {@code a,b}, as {@link #toString} writes it. */
  public static IndexDefinition parse(String text) {
    return new IndexDefinition(List.of(text.split(",", -1)));
  }

  /** Whether each element of the first field has an entry. */
  boolean ofElements() {
    return fields.getFirst().endsWith(ELEMENTS);
  }

  /** The paths of the fields, as {@link Path} encodes them. */
  List<byte[]> paths() {
    var paths = new ArrayList<byte[]>();
    for (String field : fields) {
      boolean elements = field.endsWith(ELEMENTS);
      paths.add(
          Path.parse(elements ? field.substring(0, field.length() - ELEMENTS.length()) : field));
    }
    return paths;
  }

  /** The entries of a document whose fields hold those values; a value is empty where none is. */
  List<byte[]> entries(List<byte[]> values) {
    byte[] rest = {};
    for (byte[] value : values.subList(1, values.size())) {
      rest = joined(rest, value.length == 0 ? SortKey.missing() : SortKey.of(value));
    }
    byte[] first = values.getFirst();
    if (!ofElements()) {
      return List.of(joined(first.length == 0 ? SortKey.missing() : SortKey.of(first), rest));
    }
    if (first.length == 0 || first[0] != '[') {
      return List.of();
    }
    var entries = new ArrayList<byte[]>();
    for (byte[] element : CanonicalJson.elements(first)) {
      byte[] entry = joined(SortKey.of(element), rest);
      if (entries.stream().noneMatch(e -> Arrays.equals(e, entry))) {
        entries.add(entry);
      }
    }
    return entries;
  }

  static byte[] joined(byte[] a, byte[] b) {
    byte[] both = Arrays.copyOf(a, a.length + b.length);
    System.arraycopy(b, 0, both, a.length, b.length);
    return both;
  }

  @Override
  public String toString() {
    return String.join(",", fields);
  }
}
