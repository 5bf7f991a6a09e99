package io.pluresdb.crdt.sequence;

import java.util.Arrays;

/** The elements {@code [number * ELEMENTS, number * ELEMENTS + ELEMENTS)} of an author. */
final class Chunk {
  /** Elements of one author that share a row. Part of the disk format. */
  static final int ELEMENTS = 128;

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

  int indexOf(int counter) {
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

  void add(int at, Span span) {
    if (size == spans.length) {
      spans = Arrays.copyOf(spans, size * 2);
    }
    System.arraycopy(spans, at, spans, at + 1, size - at);
    spans[at] = span;
    size++;
  }

  void remove(int at) {
    size--;
    System.arraycopy(spans, at + 1, spans, at, size - at);
  }

  /** The span an element is in. */
  Span spanOf(int counter) {
    return spans[indexOf(counter)];
  }

  void clear() {
    Arrays.fill(spans, 0, size, null);
    size = 0;
  }
}
