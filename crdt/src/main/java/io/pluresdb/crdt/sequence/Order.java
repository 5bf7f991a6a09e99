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
  /** The key of no element: what hangs below the root hangs below this. */
  static final long ROOT = -1;

  private final Map<ActorId, Author> byActor = new HashMap<>();
  private final ArrayList<Author> authors = new ArrayList<>();
  // Children that are not joined, ascending by id; those of the root under ROOT on the right.
  private final HashMap<Long, long[]> rightChildren = new HashMap<>();
  private final HashMap<Long, long[]> leftChildren = new HashMap<>();
  private final LinkedHashSet<Chunk> dirty = new LinkedHashSet<>();
  private final SpanTree tree = new SpanTree();
  private long elements;

  /** Number of visible elements. */
  int length() {
    return tree.visible();
  }

  /** Number of elements, hidden ones included. */
  long elements() {
    return elements;
  }

  /** Number of spans: what this takes in memory. */
  int spans() {
    return tree.spans();
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
    return authorOf(key).chunks.get(counter / Chunk.ELEMENTS).spanOf(counter);
  }

  boolean isVisible(long key) {
    return spanOf(key).visible;
  }

  /** The order of siblings: by actor, then by counter. */
  int compare(long a, long b) {
    int left = (int) (a >>> 32);
    int right = (int) (b >>> 32);
    return left == right
        ? Integer.compare(counterOf(a), counterOf(b))
        : authors.get(left).actor.compareTo(authors.get(right).actor);
  }

  // --- Positions ---------------------------------------------------------------------------------

  /** The key of the visible element at {@code position} in [0, length). */
  long keyAt(int position) {
    return tree.keyAt(position);
  }

  /** How many visible elements come before the element. */
  int positionOf(long key) {
    return tree.positionOf(spanOf(key), counterOf(key));
  }

  /** Where an element goes that shall stand at {@code position} in [0, length]. */
  Place placeAt(int position) {
    if (position == 0) {
      Span head = tree.first();
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
    Span next = tree.next(span);
    if (next == null) {
      throw new IllegalStateException("an element with a right child is not the last");
    }
    return Place.leftOf(id(next.key(next.from)));
  }

  /** Visits all spans in order. */
  void forEach(SpanTree.Visitor visitor) {
    tree.forEach(visitor);
  }

  /** Visits the spans from the one of {@code key} on. */
  void forEachFrom(long key, SpanTree.Visitor visitor) {
    tree.forEachFrom(spanOf(key), visitor);
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
      int take = Math.min(length - done, Chunk.ELEMENTS - from % Chunk.ELEMENTS);
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
    int number = counter / Chunk.ELEMENTS;
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
        tree.resize(last, last.length + length);
      } else {
        tree.insertAfter(last, joinedSpan(chunk, from, length, visible));
      }
    } else {
      insertAmong(siblings, before, false, joinedSpan(chunk, from, length, visible));
    }
    grown(author, chunk, length);
  }

  private Span joinedSpan(Chunk chunk, int from, int length, boolean visible) {
    var span = new Span(chunk, from, length, visible);
    span.joined = true;
    chunk.add(chunk.size(), span);
    return span;
  }

  private void insertChild(
      Author author, int from, int length, boolean visible, long parent, boolean isLeft) {
    Chunk chunk = chunkFor(author, from);
    var span = new Span(chunk, from, length, visible);
    span.parent = parent;
    span.isLeft = isLeft;
    chunk.add(chunk.size(), span);
    Map<Long, long[]> map = isLeft ? leftChildren : rightChildren;
    long[] siblings = map.get(parent);
    if (siblings == null && !isLeft && parent != ROOT && isJoinedNext(parent)) {
      insertAmong(new long[0], parent, false, span);
    } else if (siblings != null) {
      insertAmong(siblings, parent, isLeft, span);
    } else if (isLeft) {
      insertBefore(parent, span);
    } else if (parent != ROOT) {
      tree.insertAfter(splitAfter(parent), span);
    } else {
      tree.insertOnly(span);
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
      tree.insertAfter(splitAfter(lastBelow(greatest)), span);
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
      Span span = chunk.span(chunk.size() - 1);
      int keep = Math.max(0, from - span.from);
      int gone = span.length - keep;
      if (keep > 0) {
        tree.resize(span, keep);
      } else {
        if (!span.joined) {
          removeChild(span.isLeft ? leftChildren : rightChildren, span.parent, span.key(span.from));
        }
        tree.remove(span);
        chunk.remove(chunk.size() - 1);
      }
      author.count -= gone;
      elements -= gone;
      dirty.add(chunk);
      if (chunk.size() == 0) {
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
      Chunk chunk = author.chunks.get(counter / Chunk.ELEMENTS);
      Span span = chunk.spanOf(counter);
      int next = Math.min(end, span.end());
      if (span.visible != visible) {
        if (counter > span.from) {
          span = split(span, counter);
        }
        if (next < span.end()) {
          split(span, next);
        }
        int changed = span.length;
        tree.setVisible(span, visible);
        dirty.add(chunk);
        flipped.flipped(author, counter, changed);
        merge(span);
      }
      counter = next;
    }
  }

  /** Puts a span together with its neighbours where they are alike, so that few remain. */
  private void merge(Span span) {
    Span next = tree.beside(span, 1);
    if (next != null && continues(span, next)) {
      absorb(span, next);
    }
    Span before = tree.beside(span, -1);
    if (before != null && continues(before, span)) {
      absorb(before, span);
    }
  }

  private static boolean continues(Span span, Span next) {
    return next.chunk == span.chunk
        && next.from == span.end()
        && next.joined
        && next.visible == span.visible;
  }

  private void absorb(Span span, Span next) {
    tree.remove(next);
    span.chunk.remove(span.chunk.indexOf(next.from));
    tree.resize(span, span.length + next.length);
  }

  /** Puts a span directly before an element. */
  private void insertBefore(long key, Span span) {
    Span at = spanOf(key);
    tree.insertBefore(counterOf(key) > at.from ? split(at, counterOf(key)) : at, span);
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
    tree.resize(span, counter - span.from);
    tree.insertAfter(span, rest);
    return rest;
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
    chunk.add(chunk.size(), span);
    chunk.author.count += length;
    elements += length;
    if (!joined) {
      addChild(isLeft ? leftChildren : rightChildren, parent, span.key(from));
    }
  }

  /** The author's next chunk, empty. */
  Chunk loadChunk(Author author, int number) {
    if (number != author.chunks.size() || author.count != number * Chunk.ELEMENTS) {
      throw new CodecException("a row of a sequence is missing before chunk " + number);
    }
    var chunk = new Chunk(author, number);
    author.chunks.add(chunk);
    return chunk;
  }

  /** Puts all that was loaded in order. */
  void build(OrderBuilder.Visibility visibility) {
    new OrderBuilder(this, tree, rightChildren, leftChildren, visibility).build();
  }
}
