package io.pluresdb.crdt.op;

import org.jspecify.annotations.Nullable;

/**
 * Where a new element hangs in the tree of a sequence (Weidner and Kleppmann, Fugue): below an
 * element, on its left or on its right, or below the root.
 *
 * @param origin the element it hangs below, or null for the root, which has no left side
 */
public record Place(@Nullable ElementId origin, boolean isLeft) {
  /** Below the root. */
  public static final Place START = new Place(null, false);

  public Place {
    if (origin == null && isLeft) {
      throw new IllegalArgumentException("the root has no left side");
    }
  }

  public static Place leftOf(ElementId origin) {
    return new Place(origin, true);
  }

  public static Place rightOf(ElementId origin) {
    return new Place(origin, false);
  }
}
