package io.pluresdb.crdt.value;

import io.pluresdb.crdt.CoreException;
import java.util.Arrays;
import java.util.List;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * A JSON merge patch (RFC 7396) as the leaves of the patch document.
 *
 * <p>A leaf that is {@code null} removes what is at and below its path; {@code {}} makes sure an
 * object is there; any other leaf replaces. A patch that is no object replaces the whole document.
 */
public final class JsonPatch {
  private static final byte[] NULL = {'n', 'u', 'l', 'l'};

  private final List<Leaf> leaves;

  private JsonPatch(List<Leaf> leaves) {
    this.leaves = leaves;
  }

  /**
   * Parses a patch.
   *
   * @param json UTF-8, at most {@link CanonicalJson#MAX_BYTES}
   * @throws CoreException when it is not JSON or over a limit
   */
  public static JsonPatch parse(byte[] json) {
    return new JsonPatch(CanonicalJson.leaves(json));
  }

  /**
   * Bytes of what it holds.
   *
   * @param overhead counted for each leaf besides
   */
  public long bytes(int overhead) {
    long bytes = 0;
    for (Leaf leaf : leaves) {
      bytes += leaf.path().length + leaf.value().length + overhead;
    }
    return bytes;
  }

  /** The leaves of {@code document} after the patch, ascending; {@code document} ascends too. */
  public List<Leaf> apply(List<Leaf> document) {
    var result = new TreeMap<byte[], Leaf>(Arrays::compareUnsigned);
    for (Leaf leaf : document) {
      result.put(leaf.path(), leaf);
    }
    for (Leaf leaf : leaves) {
      byte[] path = leaf.path();
      if (path.length == 0 && !isObject(leaf)) {
        // Not an object: RFC 7396 replaces the target, here with any value including null.
        return List.of(leaf);
      }
      if (isObject(leaf)) {
        ensureObject(result, path);
      } else {
        subtree(result, path).clear();
        if (isNull(leaf)) {
          ensureObject(result, parent(path));
        } else {
          makeRoom(result, path);
          result.put(path, leaf);
        }
      }
    }
    return List.copyOf(result.values());
  }

  /** Whether the value at {@code path} may be another after the patch. */
  public boolean touches(byte[] path) {
    for (Leaf leaf : leaves) {
      int common = Math.min(leaf.path().length, path.length);
      if (Arrays.equals(leaf.path(), 0, common, path, 0, common)
          && (leaf.path().length >= path.length || !isObject(leaf))) {
        return true;
      }
    }
    return false;
  }

  private static NavigableMap<byte[], Leaf> subtree(
      NavigableMap<byte[], Leaf> document, byte[] path) {
    byte[] end = Path.subtreeEnd(path);
    return end == null ? document : document.subMap(path, true, end, false);
  }

  /** Turns whatever is at {@code path} into an object, keeping one that is there. */
  private static void ensureObject(NavigableMap<byte[], Leaf> document, byte[] path) {
    var subtree = subtree(document, path);
    if (subtree.isEmpty() || Arrays.equals(subtree.lastKey(), path)) {
      makeRoom(document, path);
      document.put(path, new Leaf(path, CanonicalJson.EMPTY_OBJECT));
    }
  }

  /** Values above {@code path} give way: their places become objects. */
  private static void makeRoom(NavigableMap<byte[], Leaf> document, byte[] path) {
    Path.ancestors(path).forEach(document::remove);
  }

  private static byte[] parent(byte[] path) {
    int end = path.length - 1;
    while (end > 0 && path[end - 1] != Path.END) {
      end--;
    }
    return Arrays.copyOf(path, Math.max(end, 0));
  }

  private static boolean isNull(Leaf leaf) {
    return Arrays.equals(leaf.value(), NULL);
  }

  private static boolean isObject(Leaf leaf) {
    return Arrays.equals(leaf.value(), CanonicalJson.EMPTY_OBJECT);
  }
}
