package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.op.ElementId;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The rows of a sequence: keys, and the part of a chunk's row that says where its elements hang.
 *
 * <pre>
 * key  := prefix | 1 | actor 16 | chunk u32      elements [128 * chunk, 128 * chunk + 128) of the actor
 *       | prefix | 2 | actor 16 | counter u32    one element of a list
 * prefix := idLength u16 | id | registerLength u16 | register
 * head := version u8 = 1 | actors varint | actor 16 * | runs varint | run *
 * run  := 0 length varint                        joined to the element before the chunk
 *       | 1 length varint                        below the root
 *       | 2 length varint element                right of element
 *       | 3 length varint element                left of element
 * element := actor index varint | counter varint
 * </pre>
 *
 * A run is as long as its elements are joined, so the same elements give the same bytes whatever
 * operations brought them. Actor index 0 is the row's own actor.
 */
public final class SequenceRows {
  static final int CHUNK_KIND = 1;
  static final int ELEMENT_KIND = 2;
  private static final int VERSION = 1;
  private static final int JOINED = 0;
  private static final int BELOW_ROOT = 1;
  private static final int RIGHT_OF = 2;
  private static final int LEFT_OF = 3;

  private SequenceRows() {}

  /** What the keys of all rows of one register of one document begin with. */
  public static byte[] prefix(byte[] id, byte[] register) {
    var out = new ByteWriter(4 + id.length + register.length);
    out.u8(id.length >>> 8).u8(id.length).bytes(id);
    return out.u8(register.length >>> 8).u8(register.length).bytes(register).array();
  }

  /** The id of the document a row belongs to. */
  public static byte[] document(byte[] key) {
    var in = new ByteReader(key);
    return in.bytes(in.u8() << 8 | in.u8());
  }

  /** What the keys of all rows of one document begin with. */
  public static byte[] prefixOf(byte[] id) {
    return new ByteWriter(2 + id.length).u8(id.length >>> 8).u8(id.length).bytes(id).array();
  }

  /** The length of what a key has in common with those of its register. */
  public static int prefixLength(byte[] key) {
    var in = new ByteReader(key);
    in.skip(in.u8() << 8 | in.u8());
    in.skip(in.u8() << 8 | in.u8());
    return in.position();
  }

  /** The register a row belongs to. */
  public static byte[] register(byte[] key) {
    var in = new ByteReader(key);
    in.skip(in.u8() << 8 | in.u8());
    return in.bytes(in.u8() << 8 | in.u8());
  }

  /** Reads over the head of a chunk's row; how many elements the chunk has. */
  static int elements(ByteReader in) {
    in.u8();
    in.skip(ActorId.BYTES * in.count("actors of a sequence row", Chunk.ELEMENTS));
    int runs = in.count("runs of a chunk", Chunk.ELEMENTS);
    int elements = 0;
    for (int i = 0; i < runs; i++) {
      int kind = in.u8();
      elements += in.count("length of a run", Chunk.ELEMENTS - elements);
      if (kind == RIGHT_OF || kind == LEFT_OF) {
        in.varint();
        in.varint();
      }
    }
    return elements;
  }

  /** The least key greater than every key that begins with {@code prefix}. */
  public static byte @Nullable [] end(byte[] prefix) {
    for (int i = prefix.length - 1; i >= 0; i--) {
      if (prefix[i] != (byte) 0xff) {
        byte[] end = Arrays.copyOf(prefix, i + 1);
        end[i]++;
        return end;
      }
    }
    return null;
  }

  static byte[] key(byte[] prefix, int kind, ActorId actor, int number) {
    var out = new ByteWriter(prefix.length + 1 + ActorId.BYTES + 4);
    out.bytes(prefix).u8(kind);
    actor.write(out);
    return out.u8(number >>> 24).u8(number >>> 16).u8(number >>> 8).u8(number).array();
  }

  /** The part of a key behind the prefix. */
  record Key(int kind, ActorId actor, int number) {
    static Key read(byte[] key, int prefixLength) {
      var in = new ByteReader(key, prefixLength, key.length);
      int kind = in.u8();
      ActorId actor = ActorId.read(in);
      int number = in.u8() << 24 | in.u8() << 16 | in.u8() << 8 | in.u8();
      in.end();
      if (number < 0 || number > ElementId.MAX_COUNTER) {
        throw new CodecException("number of a sequence row is too large: " + number);
      }
      return new Key(kind, actor, number);
    }
  }

  /** Writes the head of a chunk's row. */
  static void writeHead(Order order, Chunk chunk, ByteWriter out) {
    Map<Integer, Integer> table = new LinkedHashMap<>();
    table.put(chunk.author.index, 0);
    var runs = new ByteWriter(64);
    int count = 0;
    for (int i = 0; i < chunk.size(); count++) {
      Span first = chunk.span(i);
      int length = first.length;
      for (i++; i < chunk.size() && chunk.span(i).joined; i++) {
        length += chunk.span(i).length;
      }
      if (first.joined) {
        runs.u8(JOINED).varint(length);
      } else if (first.parent == Order.ROOT) {
        runs.u8(BELOW_ROOT).varint(length);
      } else {
        runs.u8(first.isLeft ? LEFT_OF : RIGHT_OF).varint(length);
        writeElement(order, table, first.parent, runs);
      }
    }
    out.u8(VERSION);
    writeTable(order, table, out);
    out.varint(count).bytes(runs.array(), 0, runs.size());
  }

  static void writeTable(Order order, Map<Integer, Integer> table, ByteWriter out) {
    out.varint(table.size() - 1);
    for (int author : table.keySet()) {
      if (table.getOrDefault(author, 0) > 0) {
        order.authors().get(author).actor.write(out);
      }
    }
  }

  static void writeElement(Order order, Map<Integer, Integer> table, long key, ByteWriter out) {
    int author = order.authorOf(key).index;
    Integer index = table.get(author);
    if (index == null) {
      index = table.size();
      table.put(author, index);
    }
    out.varint(index).varint(Order.counterOf(key));
  }

  /** Reads the head of a chunk's row into {@code order}. */
  static Chunk readHead(Order order, Key key, ByteReader in) {
    int version = in.u8();
    if (version != VERSION) {
      throw new CodecException("sequence row version must be " + VERSION + ", but is " + version);
    }
    Author author = order.author(key.actor());
    List<Author> table = readTable(order, author, in);
    Chunk chunk = order.loadChunk(author, key.number());
    int runs = in.count("runs of a chunk", Chunk.ELEMENTS);
    if (runs == 0) {
      throw new CodecException("a sequence row must hold an element");
    }
    int from = key.number() * Chunk.ELEMENTS;
    int end = from + Chunk.ELEMENTS;
    for (int i = 0; i < runs; i++) {
      int kind = in.u8();
      int length = in.count("length of a run", end - from);
      long parent = Order.ROOT;
      if (kind == RIGHT_OF || kind == LEFT_OF) {
        parent = readElement(table, in);
      } else if (kind > LEFT_OF || (kind == JOINED && (i > 0 || from == 0)) || length == 0) {
        throw new CodecException("a run of a sequence row hangs nowhere");
      }
      order.load(chunk, from, length, kind == JOINED, parent, kind == LEFT_OF);
      from += length;
    }
    return chunk;
  }

  static List<Author> readTable(Order order, Author own, ByteReader in) {
    int count = in.count("actors of a sequence row", Chunk.ELEMENTS);
    var table = new ArrayList<Author>(count + 1);
    table.add(own);
    for (int i = 0; i < count; i++) {
      table.add(order.author(ActorId.read(in)));
    }
    return table;
  }

  static long readElement(List<Author> table, ByteReader in) {
    Author author = table.get(in.count("actor index", table.size() - 1));
    return author.key(in.count("counter", ElementId.MAX_COUNTER));
  }
}
