package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.Place;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The total order of a sequence's elements, deleted ones included, and which of them are visible.
 *
 * <p>Elements form a tree (Weidner and Kleppmann, "The Art of the Fugue", TPDS 2025): each hangs on
 * the left or right of another; the order is the traversal that visits left children, the element,
 * right children, siblings ascending by id. It depends on nothing but the set of elements, whoever
 * made them up. What is typed at one place by one writer is one subtree, so concurrent runs do not
 * mix.
 *
 * <p>Neighbours are kept together as <i>spans</i>: elements with consecutive ids of one author, of
 * one chunk, each the right child of the one before, adjacent in the order, all visible or all
 * hidden. The spans are the leaves of a B+-tree in sequence order that counts visible elements; a
 * span is found by its author and counter through its chunk. So both ways between a position and an
 * element cost O(log n).
 *
 * <p>In here an element's <i>key</i> is {@code author index << 32 | counter}, the author index
 * being local to this object. Not thread-safe.
 */
final class Order {
  /** Elements of one author that share a row. Part of the disk format. */
  static final int CHUNK = 128;

  /** The key of no element: what hangs below the root hangs below this. */
  static final long ROOT = -1;

  private static final int LEAF_SPANS = 64;
  private static final int FANOUT = 32;

  /** A writer of this sequence. */
  static final class Author {
    final ActorId actor;
    final int index;
    final ArrayList<Chunk> chunks = new ArrayList<>();
    int count;

    Author(ActorId actor, int index) {
      this.actor = actor;
      this.index = index;
    }

    long key(int counter) {
      return (long) index << 32 | counter;
    }
  }

  /** The elements {@code [number * CHUNK, number * CHUNK + CHUNK)} of an author. */
  static final class Chunk {
    final Author author;
    final int number;
    private Span[] spans = new Span[2];
    private int size;

    Chunk(Author author, int number) {
      this.author = author;
      this.number = number;
    }

    /** Number of spans, which ascend by counter without gaps. */
    int size() {
      return size;
    }

    Span span(int i) {
      return spans[i];
    }

    private int indexOf(int counter) {
      int low = 0;
      int high = size - 1;
      while (low < high) {
        int middle = (low + high + 1) >>> 1;
        if (spans[middle].from <= counter) {
          low = middle;
        } else {
          high = middle - 1;
        }
      }
      return low;
    }

    private void add(int at, Span span) {
      if (size == spans.length) {
        spans = Arrays.copyOf(spans, size * 2);
      }
      System.arraycopy(spans, at, spans, at + 1, size - at);
      spans[at] = span;
      size++;
    }

    private void remove(int at) {
      size--;
      System.arraycopy(spans, at + 1, spans, at, size - at);
    }
  }

  /** Neighbouring elements, all visible or all hidden. */
  static final class Span {
    final Chunk chunk;
    int from;
    int length;
    boolean visible;

    /** Whether the first element is the right child of the element before it, of one author. */
    boolean joined;

    /** Where the first element hangs, unless joined. */
    long parent = ROOT;

    boolean isLeft;
    private @Nullable Leaf leaf;

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

    private Leaf leaf() {
      Leaf in = leaf;
      if (in == null) {
        throw new IllegalStateException("a span that is in no tree");
      }
      return in;
    }

    private int weight() {
      return visible ? length : 0;
    }
  }

  private abstract static class Block {
    @Nullable Node parent;
    int visible;
    int size;
  }

  private static final class Leaf extends Block {
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

  private static final class Node extends Block {
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

  private final Map<ActorId, Author> byActor = new HashMap<>();
  private final ArrayList<Author> authors = new ArrayList<>();
  // Children that are not joined, ascending by id; those of the root under ROOT on the right.
  private final HashMap<Long, long[]> rightChildren = new HashMap<>();
  private final HashMap<Long, long[]> leftChildren = new HashMap<>();
  private final LinkedHashSet<Chunk> dirty = new LinkedHashSet<>();
  private Leaf first = new Leaf();
  private Block root = first;
  private int spans;
  private long elements;

  /** Number of visible elements. */
  int length() {
    return root.visible;
  }

  /** Number of elements, hidden ones included. */
  long elements() {
    return elements;
  }

  /** Number of spans: what this takes in memory. */
  int spans() {
    return spans;
  }

  List<Author> authors() {
    return authors;
  }

  Author author(ActorId actor) {
    Author author = byActor.get(actor);
    if (author == null) {
      author = new Author(actor, authors.size());
      byActor.put(actor, author);
      authors.add(author);
    }
    return author;
  }

  /** Number of elements {@code actor} put in. */
  int count(ActorId actor) {
    Author author = byActor.get(actor);
    return author == null ? 0 : author.count;
  }

  Author authorOf(long key) {
    return authors.get((int) (key >>> 32));
  }

  static int counterOf(long key) {
    return (int) key;
  }

  ElementId id(long key) {
    return new ElementId(authorOf(key).actor, counterOf(key));
  }

  /** The key of an element that is here; throws when it is not. */
  long key(ElementId id) {
    Author author = byActor.get(id.actor());
    if (author == null || id.counter() >= author.count) {
      throw new IllegalStateException("unknown element " + id);
    }
    return author.key(id.counter());
  }

  boolean contains(ElementId id) {
    return id.counter() < count(id.actor());
  }

  Span spanOf(long key) {
    int counter = counterOf(key);
    Chunk chunk = authorOf(key).chunks.get(counter / CHUNK);
    return chunk.spans[chunk.indexOf(counter)];
  }

  boolean isVisible(long key) {
    return spanOf(key).visible;
  }

  private int compare(long a, long b) {
    int left = (int) (a >>> 32);
    int right = (int) (b >>> 32);
    return left == right
        ? Integer.compare(counterOf(a), counterOf(b))
        : authors.get(left).actor.compareTo(authors.get(right).actor);
  }

  // --- Positions ---------------------------------------------------------------------------------

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

  /** How many visible elements come before the element. */
  int positionOf(long key) {
    Span span = spanOf(key);
    Leaf leaf = span.leaf();
    int position = span.visible ? counterOf(key) - span.from : 0;
    for (int i = 0; leaf.spans[i] != span; i++) {
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

  /** Where an element goes that shall stand at {@code position} in [0, length]. */
  Place placeAt(int position) {
    if (position == 0) {
      Span head = firstSpan();
      return head == null ? Place.START : Place.leftOf(id(head.key(head.from)));
    }
    long before = keyAt(position - 1);
    if (!isJoinedNext(before) && !rightChildren.containsKey(before)) {
      return Place.rightOf(id(before));
    }
    Span span = spanOf(before);
    if (counterOf(before) + 1 < span.end()) {
      return Place.leftOf(id(before + 1));
    }
    Span next = nextSpan(span);
    if (next == null) {
      throw new IllegalStateException("an element with a right child is not the last");
    }
    return Place.leftOf(id(next.key(next.from)));
  }

  private @Nullable Span firstSpan() {
    for (Leaf leaf = first; leaf != null; leaf = leaf.next) {
      if (leaf.size > 0) {
        return leaf.spans[0];
      }
    }
    return null;
  }

  private static @Nullable Span nextSpan(Span span) {
    Leaf leaf = span.leaf();
    int at = leaf.indexOf(span) + 1;
    if (at < leaf.size) {
      return leaf.spans[at];
    }
    for (Leaf next = leaf.next; next != null; next = next.next) {
      if (next.size > 0) {
        return next.spans[0];
      }
    }
    return null;
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

  /** Visits the spans from the one of {@code key} on. */
  void forEachFrom(long key, Visitor visitor) {
    Span span = spanOf(key);
    Leaf leaf = span.leaf();
    int from = leaf.indexOf(span);
    for (Leaf in = leaf; in != null; in = in.next) {
      for (int i = in == leaf ? from : 0; i < in.size; i++) {
        if (!visitor.visit(in.spans[i])) {
          return;
        }
      }
    }
  }

  // --- Changes -----------------------------------------------------------------------------------

  /**
   * Adds the author's next {@code length} elements, the first at {@code place}, each further one
   * right of the one before.
   *
   * @return the counter of the first
   */
  int insert(ActorId actor, int length, Place place, boolean visible) {
    Author author = author(actor);
    int counter = author.count;
    ElementId origin = place.origin();
    long parent = origin == null ? ROOT : key(origin);
    boolean joins = !place.isLeft() && counter > 0 && parent == author.key(counter - 1);
    int done = 0;
    while (done < length) {
      int from = counter + done;
      int take = Math.min(length - done, CHUNK - from % CHUNK);
      if (done > 0) {
        insertJoined(author, from, take, visible);
      } else if (joins) {
        insertJoined(author, from, take, visible);
      } else {
        insertChild(author, from, take, visible, parent, place.isLeft());
      }
      done += take;
    }
    return counter;
  }

  private Chunk chunkFor(Author author, int counter) {
    int number = counter / CHUNK;
    if (number == author.chunks.size()) {
      author.chunks.add(new Chunk(author, number));
    }
    return author.chunks.get(number);
  }

  private void grown(Author author, Chunk chunk, int length) {
    author.count += length;
    elements += length;
    dirty.add(chunk);
  }

  private void insertJoined(Author author, int from, int length, boolean visible) {
    Chunk chunk = chunkFor(author, from);
    long before = author.key(from - 1);
    Span last = spanOf(before);
    long[] siblings = rightChildren.get(before);
    if (siblings == null) {
      if (last.chunk == chunk && last.visible == visible) {
        last.length += length;
        bump(last.leaf(), visible ? length : 0);
      } else {
        insertAfter(last, joinedSpan(chunk, from, length, visible));
      }
    } else {
      insertAmong(siblings, before, false, joinedSpan(chunk, from, length, visible));
    }
    grown(author, chunk, length);
  }

  private Span joinedSpan(Chunk chunk, int from, int length, boolean visible) {
    var span = new Span(chunk, from, length, visible);
    span.joined = true;
    chunk.add(chunk.size, span);
    return span;
  }

  private void insertChild(
      Author author, int from, int length, boolean visible, long parent, boolean isLeft) {
    Chunk chunk = chunkFor(author, from);
    var span = new Span(chunk, from, length, visible);
    span.parent = parent;
    span.isLeft = isLeft;
    chunk.add(chunk.size, span);
    Map<Long, long[]> map = isLeft ? leftChildren : rightChildren;
    long[] siblings = map.get(parent);
    if (siblings == null && !isLeft && parent != ROOT && isJoinedNext(parent)) {
      insertAmong(new long[0], parent, false, span);
    } else if (siblings != null) {
      insertAmong(siblings, parent, isLeft, span);
    } else if (isLeft) {
      insertBefore(parent, span);
    } else if (parent != ROOT) {
      insertAfter(splitAfter(parent), span);
    } else {
      insertFirst(span);
    }
    addChild(map, parent, span.key(from));
    grown(author, chunk, length);
  }

  /** Puts a span among the children on one side of {@code parent}, by id. */
  private void insertAmong(long[] siblings, long parent, boolean isLeft, Span span) {
    long id = span.key(span.from);
    long greater = ROOT;
    long greatest = ROOT;
    for (long sibling : siblings) {
      greatest = sibling;
      if (compare(sibling, id) > 0) {
        greater = sibling;
        break;
      }
    }
    if (!isLeft && parent != ROOT && id != parent + 1 && isJoinedNext(parent)) {
      long joined = parent + 1;
      if (compare(joined, id) > 0) {
        greater = greater == ROOT || compare(joined, greater) < 0 ? joined : greater;
      } else if (greatest == ROOT || compare(joined, greatest) > 0) {
        greatest = joined;
      }
    }
    if (greater != ROOT) {
      insertBefore(firstBelow(greater), span);
    } else if (isLeft) {
      insertBefore(parent, span);
    } else {
      insertAfter(splitAfter(lastBelow(greatest)), span);
    }
  }

  /** Whether the author's next element is the right child of this one. */
  private boolean isJoinedNext(long key) {
    int counter = counterOf(key);
    if (counter + 1 >= authorOf(key).count) {
      return false;
    }
    Span span = spanOf(key + 1);
    return span.joined || span.from <= counter;
  }

  /** The first element in the subtree of an element. */
  private long firstBelow(long key) {
    long first = key;
    for (long[] left = leftChildren.get(first); left != null; left = leftChildren.get(first)) {
      first = left[0];
    }
    return first;
  }

  /** The last element in the subtree of an element. */
  private long lastBelow(long key) {
    long last = key;
    while (true) {
      long[] right = rightChildren.get(last);
      long greatest = right == null ? ROOT : right[right.length - 1];
      if (isJoinedNext(last) && (greatest == ROOT || compare(last + 1, greatest) > 0)) {
        greatest = last + 1;
      }
      if (greatest == ROOT) {
        return last;
      }
      last = greatest;
    }
  }

  private void addChild(Map<Long, long[]> map, long parent, long child) {
    long[] old = map.get(parent);
    if (old == null) {
      map.put(parent, new long[] {child});
      return;
    }
    int at = old.length;
    while (at > 0 && compare(old[at - 1], child) > 0) {
      at--;
    }
    long[] grown = new long[old.length + 1];
    System.arraycopy(old, 0, grown, 0, at);
    grown[at] = child;
    System.arraycopy(old, at, grown, at + 1, old.length - at);
    map.put(parent, grown);
  }

  private static void removeChild(Map<Long, long[]> map, long parent, long child) {
    long[] old = map.get(parent);
    if (old == null || (old.length == 1 && old[0] == child)) {
      map.remove(parent);
      return;
    }
    map.put(parent, Arrays.stream(old).filter(other -> other != child).toArray());
  }

  /**
   * Takes back the newest elements of an author, from {@code from} on. Nothing may hang below them.
   */
  void takeBack(ActorId actor, int from) {
    Author author = author(actor);
    while (author.count > from) {
      Chunk chunk = author.chunks.getLast();
      Span span = chunk.spans[chunk.size - 1];
      int keep = Math.max(0, from - span.from);
      int gone = span.length - keep;
      if (keep > 0) {
        bump(span.leaf(), span.visible ? -gone : 0);
        span.length = keep;
      } else {
        if (!span.joined) {
          removeChild(span.isLeft ? leftChildren : rightChildren, span.parent, span.key(span.from));
        }
        remove(span);
        chunk.remove(chunk.size - 1);
      }
      author.count -= gone;
      elements -= gone;
      dirty.add(chunk);
      if (chunk.size == 0) {
        author.chunks.removeLast();
        dirty.remove(chunk);
      }
    }
  }

  /** Is told which elements changed between visible and hidden. */
  interface Flipped {
    void flipped(Author author, int from, int length);
  }

  /** Shows or hides elements of one author that are here. */
  void setVisible(Author author, int from, int length, boolean visible, Flipped flipped) {
    int counter = from;
    int end = from + length;
    while (counter < end) {
      Chunk chunk = author.chunks.get(counter / CHUNK);
      Span span = chunk.spans[chunk.indexOf(counter)];
      int next = Math.min(end, span.end());
      if (span.visible != visible) {
        if (counter > span.from) {
          span = split(span, counter);
        }
        if (next < span.end()) {
          split(span, next);
        }
        int weight = span.length;
        span.visible = visible;
        bump(span.leaf(), visible ? weight : -weight);
        dirty.add(chunk);
        flipped.flipped(author, counter, weight);
        merge(span);
      }
      counter = next;
    }
  }

  /** Puts a span together with its neighbours where they are alike, so that few remain. */
  private void merge(Span span) {
    Leaf leaf = span.leaf();
    int at = leaf.indexOf(span);
    if (at + 1 < leaf.size && continues(span, leaf.spans[at + 1])) {
      absorb(leaf, span, at + 1);
    }
    if (at > 0 && continues(leaf.spans[at - 1], span)) {
      absorb(leaf, leaf.spans[at - 1], at);
    }
  }

  private static boolean continues(Span span, Span next) {
    return next.chunk == span.chunk
        && next.from == span.end()
        && next.joined
        && next.visible == span.visible;
  }

  private void absorb(Leaf leaf, Span span, int at) {
    Span next = leaf.spans[at];
    span.length += next.length;
    span.chunk.remove(span.chunk.indexOf(next.from));
    leaf.size--;
    System.arraycopy(leaf.spans, at + 1, leaf.spans, at, leaf.size - at);
    Arrays.fill(leaf.spans, leaf.size, leaf.size + 1, null);
    spans--;
  }

  // --- The tree of spans -------------------------------------------------------------------------

  private static void bump(Leaf leaf, int delta) {
    for (Block block = leaf; block != null; block = block.parent) {
      block.visible += delta;
    }
  }

  private void insertFirst(Span span) {
    Span head = firstSpan();
    if (head == null) {
      insertAt(first, 0, span);
    } else {
      insertAt(head.leaf(), head.leaf().indexOf(head), span);
    }
  }

  private void insertAfter(Span before, Span span) {
    Leaf leaf = before.leaf();
    insertAt(leaf, leaf.indexOf(before) + 1, span);
  }

  /** Puts a span directly before an element. */
  private void insertBefore(long key, Span span) {
    Span at = spanOf(key);
    if (counterOf(key) > at.from) {
      at = split(at, counterOf(key));
    }
    Leaf leaf = at.leaf();
    insertAt(leaf, leaf.indexOf(at), span);
  }

  /** The span that ends with an element. */
  private Span splitAfter(long key) {
    Span span = spanOf(key);
    if (counterOf(key) + 1 < span.end()) {
      split(span, counterOf(key) + 1);
    }
    return span;
  }

  /** Cuts a span before {@code counter}; returns the second part. */
  private Span split(Span span, int counter) {
    var rest = new Span(span.chunk, counter, span.end() - counter, span.visible);
    rest.joined = true;
    span.chunk.add(span.chunk.indexOf(counter) + 1, rest);
    bump(span.leaf(), -rest.weight());
    span.length = counter - span.from;
    insertAfter(span, rest);
    return rest;
  }

  private void remove(Span span) {
    Leaf leaf = span.leaf();
    int at = leaf.indexOf(span);
    bump(leaf, -span.weight());
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
    bump(target, span.weight());
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
        // The visible elements of what was added were counted in the parent all along.
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

  // --- Rows --------------------------------------------------------------------------------------

  /** Chunks that changed since the last call of {@link #clean}. */
  Collection<Chunk> dirty() {
    return dirty;
  }

  void clean() {
    dirty.clear();
  }

  /**
   * Takes over elements from rows, before {@link #build}: chunks of an author ascend, runs ascend
   * in a chunk, and nothing is in the order yet.
   *
   * @param parent where the first hangs; ignored when joined
   */
  void load(Chunk chunk, int from, int length, boolean joined, long parent, boolean isLeft) {
    var span = new Span(chunk, from, length, false);
    span.joined = joined;
    span.parent = parent;
    span.isLeft = isLeft;
    chunk.add(chunk.size, span);
    chunk.author.count += length;
    elements += length;
    if (!joined) {
      addChild(isLeft ? leftChildren : rightChildren, parent, span.key(from));
    }
  }

  /** The author's next chunk, empty. */
  Chunk loadChunk(Author author, int number) {
    if (number != author.chunks.size() || author.count != number * CHUNK) {
      throw new CodecException("a row of a sequence is missing before chunk " + number);
    }
    var chunk = new Chunk(author, number);
    author.chunks.add(chunk);
    return chunk;
  }

  /** Says which of the elements are visible; an element is asked for once. */
  interface Visibility {
    boolean isVisible(long key);
  }

  /** Orders all that was loaded by one traversal of the tree, without recursion. */
  void build(Visibility visibility) {
    int[][] branches = branches();
    var builder = new Builder(visibility);
    var stack = new LongStack();
    pushDescending(stack, rightChildren.get(ROOT), Long.MIN_VALUE, Long.MIN_VALUE);
    while (stack.size > 0) {
      long key = stack.pop();
      if (key < 0) {
        builder.emit(~key, 1);
        continue;
      }
      Author author = authorOf(key);
      int counter = counterOf(key);
      int end = builder.chainEnd(author, counter);
      int at = Arrays.binarySearch(branches[author.index], counter);
      int next = at < 0 ? -at - 1 : at;
      int branch =
          next < branches[author.index].length ? branches[author.index][next] : Integer.MAX_VALUE;
      builder.emit(key, Math.min(branch, end) - counter);
      if (branch < end) {
        long node = author.key(branch);
        long joined = branch + 1 < end ? node + 1 : Long.MIN_VALUE;
        long[] right = rightChildren.get(node);
        pushDescending(stack, right, joined, Long.MIN_VALUE);
        if (joined != Long.MIN_VALUE) {
          stack.push(joined);
          pushDescending(stack, right, Long.MIN_VALUE, joined);
        }
        stack.push(~node);
        pushDescending(stack, leftChildren.get(node), Long.MIN_VALUE, Long.MIN_VALUE);
      }
    }
    builder.finish();
  }

  /** Pushes keys so that the least is popped first, those above and below the given ones. */
  private void pushDescending(LongStack stack, long @Nullable [] keys, long above, long below) {
    if (keys == null) {
      return;
    }
    for (int i = keys.length - 1; i >= 0; i--) {
      if ((above == Long.MIN_VALUE || compare(keys[i], above) > 0)
          && (below == Long.MIN_VALUE || compare(keys[i], below) < 0)) {
        stack.push(keys[i]);
      }
    }
  }

  /** Per author the counters of elements with children that are not joined, ascending. */
  private int[][] branches() {
    int[][] branches = new int[authors.size()][];
    int[] sizes = new int[authors.size()];
    for (int i = 0; i < branches.length; i++) {
      branches[i] = new int[8];
    }
    for (Map<Long, long[]> map : List.of(leftChildren, rightChildren)) {
      for (long key : map.keySet()) {
        if (key == ROOT) {
          continue;
        }
        int author = (int) (key >>> 32);
        if (author >= branches.length || counterOf(key) >= authors.get(author).count) {
          throw new CodecException("an element of a sequence hangs below an unknown one");
        }
        if (sizes[author] == branches[author].length) {
          branches[author] = Arrays.copyOf(branches[author], 2 * sizes[author]);
        }
        branches[author][sizes[author]++] = counterOf(key);
      }
    }
    for (int i = 0; i < branches.length; i++) {
      branches[i] = Arrays.copyOf(branches[i], sizes[i]);
      Arrays.sort(branches[i]);
    }
    return branches;
  }

  private static final class LongStack {
    private long[] values = new long[64];
    int size;

    void push(long value) {
      if (size == values.length) {
        values = Arrays.copyOf(values, size * 2);
      }
      values[size++] = value;
    }

    long pop() {
      return values[--size];
    }
  }

  /** Makes the spans and the tree above them while elements come in order. */
  private final class Builder {
    private final Visibility visibility;
    private final ArrayList<ArrayList<Span>> rebuilt = new ArrayList<>();
    private Leaf leaf = first;
    private @Nullable Span last;
    private long emitted;
    // Per author the ends of its chains of joined elements, ascending.
    private final int[][] ends;

    Builder(Visibility visibility) {
      this.visibility = visibility;
      ends = new int[authors.size()][];
      for (Author author : authors) {
        rebuilt.add(new ArrayList<>());
        var starts = new ArrayList<Integer>();
        for (Chunk chunk : author.chunks) {
          for (int i = 0; i < chunk.size; i++) {
            if (!chunk.spans[i].joined && chunk.spans[i].from > 0) {
              starts.add(chunk.spans[i].from);
            }
          }
        }
        starts.add(author.count);
        ends[author.index] = starts.stream().mapToInt(Integer::intValue).toArray();
      }
    }

    int chainEnd(Author author, int counter) {
      int at = Arrays.binarySearch(ends[author.index], counter + 1);
      return ends[author.index][at < 0 ? -at - 1 : at];
    }

    void emit(long key, int length) {
      emitted += length;
      for (int i = 0; i < length; i++) {
        long each = key + i;
        int counter = counterOf(each);
        boolean visible = visibility.isVisible(each);
        Span loaded = spanOf(each);
        boolean starts = loaded.from == counter && !loaded.joined;
        if (last != null
            && !starts
            && last.chunk == loaded.chunk
            && last.end() == counter
            && last.visible == visible) {
          last.length++;
          leaf.visible += visible ? 1 : 0;
        } else {
          add(each, loaded, starts, visible);
        }
      }
    }

    private void add(long key, Span loaded, boolean starts, boolean visible) {
      var span = new Span(loaded.chunk, counterOf(key), 1, visible);
      span.joined = !starts;
      if (starts) {
        span.parent = loaded.parent;
        span.isLeft = loaded.isLeft;
      }
      rebuilt.get(loaded.chunk.author.index).add(span);
      // Three quarters full, so that the first insertions split nothing.
      if (leaf.size == LEAF_SPANS * 3 / 4) {
        var next = new Leaf();
        leaf.next = next;
        addSibling(leaf, next);
        leaf = next;
      }
      leaf.spans[leaf.size++] = span;
      leaf.visible += visible ? 1 : 0;
      span.leaf = leaf;
      spans++;
      last = span;
    }

    void finish() {
      if (emitted != elements) {
        throw new CodecException("a sequence holds elements that hang below nothing");
      }
      for (Author author : authors) {
        ArrayList<Span> ascending = rebuilt.get(author.index);
        ascending.sort((a, b) -> Integer.compare(a.from, b.from));
        for (Chunk chunk : author.chunks) {
          chunk.size = 0;
          Arrays.fill(chunk.spans, null);
        }
        for (Span span : ascending) {
          span.chunk.add(span.chunk.size, span);
        }
      }
      recountAll();
    }

    /** Leaves were counted one by one; the nodes above them are now, from below. */
    private void recountAll() {
      var level = new ArrayList<Node>();
      for (Leaf each = first; each != null; each = each.next) {
        addParent(level, each);
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
}
