package io.pluresdb.crdt.value;

import java.util.Arrays;

/**
 * A value at a path: what one register holds.
 *
 * @param path the encoding of {@link Path}
 * @param value canonical JSON of a scalar, an array or the empty object {@code {}}, UTF-8
 */
public record Leaf(byte[] path, byte[] value) implements Comparable<Leaf> {
  @Override
  public int compareTo(Leaf other) {
    return Arrays.compareUnsigned(path, other.path);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Leaf leaf
        && Arrays.equals(path, leaf.path)
        && Arrays.equals(value, leaf.value);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(path) + Arrays.hashCode(value);
  }

  @Override
  public String toString() {
    return Path.text(path) + "=" + new String(value, java.nio.charset.StandardCharsets.UTF_8);
  }
}
