package io.pluresdb.crdt.value;

import io.pluresdb.crdt.CoreException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

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

  /** The leaves of {@code document} after the patch, ascending; {@code document} ascends too. */
  public List<Leaf> apply(List<Leaf> document) {
    List<Leaf> result = new ArrayList<>(document);
    for (Leaf leaf : leaves) {
      byte[] path = leaf.path();
      if (path.length == 0 && !isObject(leaf)) {
        // Not an object: RFC 7396 replaces the target, here with any value including null.
        return List.of(leaf);
      }
      if (isObject(leaf)) {
        ensureObject(result, path);
      } else {
        result.removeIf(l -> Path.isWithin(l.path(), path));
        if (isNull(leaf)) {
          ensureObject(result, parent(path));
        } else {
          makeRoom(result, path);
          insert(result, leaf);
        }
      }
    }
    return result;
  }

  /** Turns whatever is at {@code path} into an object, keeping one that is there. */
  private static void ensureObject(List<Leaf> document, byte[] path) {
    boolean isObject =
        document.stream()
            .anyMatch(l -> l.path().length > path.length && Path.isWithin(l.path(), path));
    if (!isObject) {
      document.removeIf(l -> Arrays.equals(l.path(), path));
      makeRoom(document, path);
      insert(document, new Leaf(path, CanonicalJson.EMPTY_OBJECT));
    }
  }

  /** Values above {@code path} give way: their places become objects. */
  private static void makeRoom(List<Leaf> document, byte[] path) {
    document.removeIf(l -> l.path().length < path.length && Path.isWithin(path, l.path()));
  }

  private static void insert(List<Leaf> document, Leaf leaf) {
    int at = Collections.binarySearch(document, leaf);
    document.add(at < 0 ? -at - 1 : at, leaf);
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
