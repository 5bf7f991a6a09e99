package io.pluresdb.crdt.sequence;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Spans in the order of a sequence, in a B+-tree that counts visible elements: from a position to a
 * span and back in O(log n). A block may become empty; it stays.
 */
final class SpanTree {
  private static final int LEAF_SPANS = 64;
  private static final int FANOUT = 32;

  abstract static class Block {
    @Nullable Node parent;
    int visible;
    int size;
  }

  static final class Leaf extends Block {
    final Span[] spans = new Span[LEAF_SPANS];
    @Nullable Leaf next;

    int indexOf(Span span) {
      for (int i = 0; i < size; i++) {
        if (spans[i] == span) {
          return i;
        }
      }
      throw new IllegalStateException("a span that is not in its leaf");
    }
  }

  static final class Node extends Block {
    final Block[] children = new Block[FANOUT];

    @SuppressWarnings("ReferenceEquality") // The block itself is looked for.
    int indexOf(Block child) {
      for (int i = 0; i < size; i++) {
        if (children[i] == child) {
          return i;
        }
      }
      throw new IllegalStateException("a block that is not in its parent");
    }
  }

  private final Leaf first = new Leaf();
  private Leaf last = first;
  private Block root = first;
  private int spans;

  /** Number of visible elements. */
  int visible() {
    return root.visible;
  }

  /** Number of spans. */
  int spans() {
    return spans;
  }

  /** The key of the visible element at {@code position} in [0, length). */
  long keyAt(int position) {
    Block block = root;
    int rest = position;
    while (block instanceof Node node) {
      int i = 0;
      while (rest >= node.children[i].visible) {
        rest -= node.children[i].visible;
        i++;
      }
      block = node.children[i];
    }
    Leaf leaf = (Leaf) block;
    int i = 0;
    while (rest >= leaf.spans[i].weight()) {
      rest -= leaf.spans[i].weight();
      i++;
    }
    return leaf.spans[i].key(leaf.spans[i].from + rest);
  }

  /** How many visible elements come before an element of {@code span}. */
  int positionOf(Span span, int counter) {
    Leaf leaf = span.leaf();
    int position = span.visible ? counter - span.from : 0;
    for (int i = leaf.indexOf(span) - 1; i >= 0; i--) {
      position += leaf.spans[i].weight();
    }
    Block block = leaf;
    for (Node node = block.parent; node != null; node = block.parent) {
      for (int i = node.indexOf(block) - 1; i >= 0; i--) {
        position += node.children[i].visible;
      }
      block = node;
    }
    return position;
  }

  @Nullable Span first() {
    return firstFrom(first);
  }

  private static @Nullable Span firstFrom(@Nullable Leaf start) {
    for (Leaf leaf = start; leaf != null; leaf = leaf.next) {
      if (leaf.size > 0) {
        return leaf.spans[0];
      }
    }
    return null;
  }

  @Nullable Span next(Span span) {
    Leaf leaf = span.leaf();
    int at = leaf.indexOf(span) + 1;
    return at < leaf.size ? leaf.spans[at] : firstFrom(leaf.next);
  }

  /** The span beside another one, or null where that is the end of its block. */
  @Nullable Span beside(Span span, int step) {
    Leaf leaf = span.leaf();
    int at = leaf.indexOf(span) + step;
    return at >= 0 && at < leaf.size ? leaf.spans[at] : null;
  }

  /** Is told of spans in the order of the sequence. */
  interface Visitor {
    /** False ends the walk. */
    boolean visit(Span span);
  }

  /** Visits all spans in order. */
  void forEach(Visitor visitor) {
    for (Leaf leaf = first; leaf != null; leaf = leaf.next) {
      for (int i = 0; i < leaf.size; i++) {
        if (!visitor.visit(leaf.spans[i])) {
          return;
        }
      }
    }
  }

  /** Visits a span and all behind it. */
  void forEachFrom(Span span, Visitor visitor) {
    Leaf leaf = span.leaf();
    int from = leaf.indexOf(span);
    for (Leaf in = leaf; in != null; in = in.next) {
      for (int i = from; i < in.size; i++) {
        if (!visitor.visit(in.spans[i])) {
          return;
        }
      }
      from = 0;
    }
  }

  private static void count(Leaf leaf, int delta) {
    for (Block block = leaf; block != null; block = block.parent) {
      block.visible += delta;
    }
  }

  /** Gives a span another length. */
  void resize(Span span, int length) {
    int before = span.weight();
    span.length = length;
    count(span.leaf(), span.weight() - before);
  }

  void setVisible(Span span, boolean visible) {
    int before = span.weight();
    span.visible = visible;
    count(span.leaf(), span.weight() - before);
  }

  /** Puts the only span into an empty tree. */
  void insertOnly(Span span) {
    insertAt(first, 0, span);
  }

  void insertAfter(Span before, Span span) {
    Leaf leaf = before.leaf();
    insertAt(leaf, leaf.indexOf(before) + 1, span);
  }

  void insertBefore(Span after, Span span) {
    Leaf leaf = after.leaf();
    insertAt(leaf, leaf.indexOf(after), span);
  }

  void remove(Span span) {
    Leaf leaf = span.leaf();
    int at = leaf.indexOf(span);
    count(leaf, -span.weight());
    leaf.size--;
    System.arraycopy(leaf.spans, at + 1, leaf.spans, at, leaf.size - at);
    Arrays.fill(leaf.spans, leaf.size, leaf.size + 1, null);
    span.leaf = null;
    spans--;
  }

  private void insertAt(Leaf leaf, int at, Span span) {
    Leaf target = leaf;
    int index = at;
    if (leaf.size == LEAF_SPANS) {
      Leaf right = splitLeaf(leaf);
      if (at > leaf.size) {
        target = right;
        index = at - leaf.size;
      }
    }
    System.arraycopy(target.spans, index, target.spans, index + 1, target.size - index);
    target.spans[index] = span;
    target.size++;
    span.leaf = target;
    spans++;
    count(target, span.weight());
  }

  private Leaf splitLeaf(Leaf leaf) {
    var right = new Leaf();
    int half = LEAF_SPANS / 2;
    right.size = LEAF_SPANS - half;
    System.arraycopy(leaf.spans, half, right.spans, 0, right.size);
    Arrays.fill(leaf.spans, half, LEAF_SPANS, null);
    leaf.size = half;
    for (int i = 0; i < right.size; i++) {
      right.spans[i].leaf = right;
      right.visible += right.spans[i].weight();
    }
    leaf.visible -= right.visible;
    right.next = leaf.next;
    leaf.next = right;
    addSibling(leaf, right);
    return right;
  }

  /** Hangs {@code right} behind {@code left}; splits full nodes on the way up. */
  private void addSibling(Block left, Block right) {
    Block before = left;
    Block added = right;
    while (true) {
      Node parent = before.parent;
      if (parent == null) {
        var grown = new Node();
        grown.children[0] = before;
        grown.children[1] = added;
        grown.size = 2;
        grown.visible = before.visible + added.visible;
        before.parent = grown;
        added.parent = grown;
        root = grown;
        return;
      }
      int at = parent.indexOf(before);
      if (parent.size < FANOUT) {
        insertChild(parent, at + 1, added);
        return;
      }
      Node split = splitNode(parent);
      if (at < parent.size) {
        insertChild(parent, at + 1, added);
      } else {
        insertChild(split, at - parent.size + 1, added);
      }
      recount(parent);
      recount(split);
      before = parent;
      added = split;
    }
  }

  private static void insertChild(Node node, int at, Block child) {
    System.arraycopy(node.children, at, node.children, at + 1, node.size - at);
    node.children[at] = child;
    node.size++;
    child.parent = node;
  }

  private static Node splitNode(Node node) {
    var right = new Node();
    int half = FANOUT / 2;
    right.size = FANOUT - half;
    System.arraycopy(node.children, half, right.children, 0, right.size);
    Arrays.fill(node.children, half, FANOUT, null);
    node.size = half;
    for (int i = 0; i < right.size; i++) {
      right.children[i].parent = right;
    }
    return right;
  }

  private static void recount(Node node) {
    node.visible = 0;
    for (int i = 0; i < node.size; i++) {
      node.visible += node.children[i].visible;
    }
  }

  /** Puts a span behind all others; {@link #appended} ends a series of these. */
  void append(Span span) {
    // Three quarters full, so that the first insertions split nothing.
    if (last.size == LEAF_SPANS * 3 / 4) {
      var next = new Leaf();
      last.next = next;
      addSibling(last, next);
      last = next;
    }
    last.spans[last.size++] = span;
    span.leaf = last;
    spans++;
  }

  /** Counts what was appended, from below. */
  void appended() {
    var level = new ArrayList<Node>();
    for (Leaf leaf = first; leaf != null; leaf = leaf.next) {
      leaf.visible = 0;
      for (int i = 0; i < leaf.size; i++) {
        leaf.visible += leaf.spans[i].weight();
      }
      addParent(level, leaf);
    }
    while (!level.isEmpty()) {
      var above = new ArrayList<Node>();
      for (Node node : level) {
        recount(node);
        addParent(above, node);
      }
      level = above;
    }
  }

  private static void addParent(List<Node> level, Block block) {
    Node parent = block.parent;
    if (parent != null && (level.isEmpty() || !level.getLast().equals(parent))) {
      level.add(parent);
    }
  }
}
