package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.op.ElementRange;
import io.pluresdb.crdt.op.Place;
import io.pluresdb.crdt.value.CanonicalJson;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * A text: one element per Unicode code point. Deleting is final, and forgets the character.
 *
 * <pre>
 * chunk row := head | pieces varint | length varint * | bytes varint | UTF-8 of the visible characters
 * </pre>
 *
 * The pieces are visible and deleted elements in turn, ascending by counter, visible first.
 */
public final class TextSequence extends Sequence {
  // By author index: the code point of each element; that of a deleted one is never read.
  private final ArrayList<int[]> characters = new ArrayList<>();

  // By author index while rows are read: which elements are visible.
  private final ArrayList<java.util.BitSet> visible = new ArrayList<>();

  @Override
  public void apply(OnSequence operation, Dot dot, long timestamp) {
    switch (operation) {
      case CrdtOperation.TextInsert(var register, var observed, var place, var text) -> {
        int[] added = text.codePoints().toArray();
        int counter = insert(dot.actor(), added.length, place, true);
        int[] all = charactersOf(order.author(dot.actor()).index, counter + added.length);
        System.arraycopy(added, 0, all, counter, added.length);
      }
      case CrdtOperation.TextDelete(var register, var ranges) -> {
        for (ElementRange range : ranges) {
          setVisible(order.author(range.actor()), range.from(), range.length(), false);
        }
      }
      default -> throw new IllegalArgumentException("not an operation on a text: " + operation);
    }
  }

  private int[] charactersOf(int author, int size) {
    while (characters.size() <= author) {
      characters.add(new int[16]);
    }
    int[] all = characters.get(author);
    if (all.length < size) {
      all = Arrays.copyOf(all, Math.max(size, all.length * 2));
      characters.set(author, all);
    }
    return all;
  }

  /** The text, as UTF-8. */
  @Override
  public Content content() {
    var json = new ByteWriter(order.length() + 16);
    CanonicalJson.string(json, text());
    return new Content(json.toByteArray(), List.of());
  }

  /** The text. */
  public String text() {
    var text = new StringBuilder(order.length());
    order.forEach(
        span -> {
          if (span.visible) {
            int[] all = characters.get(span.chunk.author.index);
            for (int i = span.from; i < span.end(); i++) {
              text.appendCodePoint(all[i]);
            }
          }
          return true;
        });
    return text.toString();
  }

  /**
   * The operations that delete {@code delete} characters at {@code at} and insert {@code insert}
   * there.
   *
   * @param at code points from the start, 0 to the length
   * @throws CoreException when it reaches beyond the text
   */
  public List<CrdtOperation> splice(
      byte[] register, List<Dot> observed, int at, int delete, String insert) {
    String text = "text of " + length() + " code points";
    requirePosition("at", at, length(), text);
    requirePosition("delete", delete, length() - at, text + " from " + at + " on");
    var operations = new ArrayList<CrdtOperation>(2);
    if (delete > 0) {
      operations.add(new CrdtOperation.TextDelete(register, rangesAt(at, delete)));
    }
    if (!insert.isEmpty() || observed.isEmpty()) {
      Place place = insert.isEmpty() ? Place.START : placeAt(at);
      operations.add(new CrdtOperation.TextInsert(register, observed, place, insert));
    }
    return operations;
  }

  @Override
  public List<CrdtOperation> become(byte[] register, List<Dot> observed, byte[] json) {
    int[] now = text().codePoints().toArray();
    int[] wanted = CanonicalJson.text(json).codePoints().toArray();
    int prefix = Arrays.mismatch(now, wanted);
    if (prefix < 0) {
      // Where there was nothing yet, even the empty text is to be declared.
      return observed.isEmpty() ? splice(register, observed, 0, 0, "") : List.of();
    }
    int suffix = 0;
    int most = Math.min(now.length, wanted.length) - prefix;
    while (suffix < most && now[now.length - 1 - suffix] == wanted[wanted.length - 1 - suffix]) {
      suffix++;
    }
    return splice(
        register,
        observed,
        prefix,
        now.length - prefix - suffix,
        new String(wanted, prefix, wanted.length - prefix - suffix));
  }

  @Override
  public List<CrdtOperation> clear(byte[] register) {
    List<ElementRange> all = all();
    return all.isEmpty() ? List.of() : List.of(new CrdtOperation.TextDelete(register, all));
  }

  @Override
  public void flush(byte[] prefix, RowSink sink) {
    var out = new ByteWriter(512);
    for (Chunk chunk : order.dirty()) {
      write(chunk, out.clear());
      sink.row(
          SequenceRows.key(prefix, SequenceRows.CHUNK_KIND, chunk.author.actor, chunk.number),
          out.toByteArray());
    }
    order.clean();
  }

  private void write(Chunk chunk, ByteWriter out) {
    SequenceRows.writeHead(order, chunk, out);
    int[] all = characters.get(chunk.author.index);
    var text = new StringBuilder(Chunk.ELEMENTS);
    var pieces = new ByteWriter(16);
    int count = 0;
    boolean shown = true;
    int length = 0;
    for (int i = 0; i < chunk.size(); i++) {
      Span span = chunk.span(i);
      if (span.visible != shown) {
        pieces.varint(length);
        count++;
        length = 0;
        shown = !shown;
      }
      length += span.length;
      for (int c = span.from; shown && c < span.end(); c++) {
        text.appendCodePoint(all[c]);
      }
    }
    pieces.varint(length);
    out.varint(count + 1).bytes(pieces.array(), 0, pieces.size());
    out.block(text.toString().getBytes(StandardCharsets.UTF_8));
  }

  @Override
  void load(SequenceRows.Key key, ByteReader in) {
    if (key.kind() != SequenceRows.CHUNK_KIND) {
      throw new CodecException("a text has no row of kind " + key.kind());
    }
    Chunk chunk = SequenceRows.readHead(order, key, in);
    while (visible.size() <= chunk.author.index) {
      visible.add(new java.util.BitSet());
    }
    var shown = visible.get(chunk.author.index);
    int from = key.number() * Chunk.ELEMENTS;
    int[] all = charactersOf(chunk.author.index, chunk.author.count);
    int pieces = in.count("pieces of a chunk", Chunk.ELEMENTS + 1);
    for (int i = 0; i < pieces; i++) {
      int length = in.count("length of a piece", chunk.author.count - from);
      if (i % 2 == 0) {
        shown.set(from, from + length);
      }
      from += length;
    }
    int[] text =
        new String(in.block("bytes of a chunk", 4 * Chunk.ELEMENTS), StandardCharsets.UTF_8)
            .codePoints()
            .toArray();
    int next = 0;
    for (int c = key.number() * Chunk.ELEMENTS; c < chunk.author.count; c++) {
      if (shown.get(c)) {
        if (next == text.length) {
          throw new CodecException("a chunk of a text lacks characters");
        }
        all[c] = text[next++];
      }
    }
    if (from != chunk.author.count || next != text.length) {
      throw new CodecException("a chunk of a text has pieces of another length");
    }
  }

  @Override
  void loaded() {
    order.build(key -> visible.get(order.authorOf(key).index).get(Order.counterOf(key)));
    visible.clear();
  }
}
