package io.pluresdb.crdt.sequence;

import org.jspecify.annotations.Nullable;

/** Neighbouring elements, all visible or all hidden. */
final class Span {
  final Chunk chunk;
  int from;
  int length;
  boolean visible;

  /** Whether the first element is the right child of the element before it, of one author. */
  boolean joined;

  /** Where the first element hangs, unless joined. */
  long parent = Order.ROOT;

  boolean isLeft;
  SpanTree.@Nullable Leaf leaf;

  Span(Chunk chunk, int from, int length, boolean visible) {
    this.chunk = chunk;
    this.from = from;
    this.length = length;
    this.visible = visible;
  }

  int end() {
    return from + length;
  }

  long key(int counter) {
    return chunk.author.key(counter);
  }

  SpanTree.Leaf leaf() {
    SpanTree.Leaf in = leaf;
    if (in == null) {
      throw new IllegalStateException("a span that is in no tree");
    }
    return in;
  }

  /** Number of visible elements. */
  int weight() {
    return visible ? length : 0;
  }
}
