package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.doc.Edge;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The edges of each document, both ways. Its rows are in the batch of the documents that are edges,
 * so the index is never behind them; other indexes follow the arrival log.
 *
 * <pre>
 * 08                              -> 01                 the edges of all documents are below
 * 09 text(from) text(relation) id -> to block           id: the document that is the edge
 * 0a text(to) text(relation) id   -> from block
 * text := bytes, 00 written as 00 ff, ended by 00 00
 * </pre>
 */
public final class EdgeIndex {
  private static final byte[] MADE = {8};
  private static final int OUT = 9;
  private static final int IN = 10;

  /** Most edges that one question gives. */
  public static final int MAX_EDGES = 10_000;

  /** Documents of one commit when it is made anew. */
  private static final int STEP = 512;

  private static final byte[] NOTHING = {};
  private static final HexFormat HEX = HexFormat.of();

  private EdgeIndex() {}

  /** Which edges of a document are wanted. */
  public enum Direction {
    OUT,
    IN,
    BOTH
  }

  /**
   * An edge and the document that it is.
   *
   * @param id of that document
   */
  public record Found(String id, Edge edge) {}

  /**
   * Some edges of a document.
   *
   * @param next where to go on, or null when these are the last
   */
  public record Page(List<Found> edges, @Nullable String next) {}

  /** Writes what changes when a document's row becomes another. */
  static void replace(
      Storage.Batch batch, byte[] id, byte @Nullable [] before, byte @Nullable [] now) {
    Edge was = before == null ? null : Edge.ofRow(before);
    Edge is = now == null ? null : Edge.ofRow(now);
    if (Objects.equals(was, is)) {
      return;
    }
    if (was != null) {
      batch.delete(Table.INDEX, key(OUT, was.from(), was.relation(), id));
      batch.delete(Table.INDEX, key(IN, was.to(), was.relation(), id));
    }
    if (is != null) {
      batch.put(Table.INDEX, key(OUT, is.from(), is.relation(), id), block(is.to()));
      batch.put(Table.INDEX, key(IN, is.to(), is.relation(), id), block(is.from()));
    }
  }

  /** Notes that an empty database has no edges. */
  static void begin(Storage.Batch batch) {
    batch.put(Table.INDEX, MADE, new byte[] {1});
  }

  static boolean isMade(Storage storage) {
    return storage.get(Table.INDEX, MADE) != null;
  }

  /**
   * Makes it anew of all documents; nobody may write them meanwhile. After an end in the middle it
   * is not made, and the next start makes it.
   *
   * @return how many edges there are
   */
  static long make(Storage storage) {
    try (var batch = storage.newBatch()) {
      batch.delete(Table.INDEX, MADE);
      storage.commit(batch, Durability.BUFFERED);
    }
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.INDEX, new byte[] {OUT}, new byte[] {IN + 1})) {
      boolean more = true;
      while (more) {
        try (var batch = storage.newBatch()) {
          while (batch.size() < STEP && (more = rows.next())) {
            batch.delete(Table.INDEX, rows.key());
          }
          storage.commit(batch, Durability.BUFFERED);
        }
      }
    }
    long edges = 0;
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.STATE, NOTHING, null)) {
      boolean more = true;
      while (more) {
        try (var batch = storage.newBatch()) {
          for (int i = 0; i < STEP && (more = rows.next()); i++) {
            int size = batch.size();
            replace(batch, rows.key(), null, rows.value());
            edges += batch.size() > size ? 1 : 0;
          }
          if (!more) {
            begin(batch);
          }
          storage.commit(batch, Durability.BUFFERED);
        }
      }
    }
    return edges;
  }

  /**
   * The edges of a document whose ends both exist: first those that lead from it, then those that
   * lead to it, each by relation and the id of the edge. One that leads from it to itself is given
   * once.
   *
   * @param relation null for any
   * @param after what the page before gave to go on, or null
   * @param limit 1 to {@link #MAX_EDGES}
   */
  public static Page of(
      Storage.Snapshot snapshot,
      String id,
      Direction direction,
      @Nullable String relation,
      @Nullable String after,
      int limit) {
    if (limit < 1 || limit > MAX_EDGES) {
      throw CoreException.invalid("limit must be 1 to " + MAX_EDGES + ", but is " + limit);
    }
    byte[] resume = after == null ? NOTHING : parse(after);
    var found = new ArrayList<Found>();
    byte[] last = NOTHING;
    if (!exists(snapshot, id)) {
      return new Page(found, null);
    }
    for (int side :
        direction == Direction.BOTH ? new int[] {OUT, IN} : new int[] {side(direction)}) {
      byte[] prefix = prefix(side, id, relation);
      byte[] from = Arrays.compareUnsigned(resume, prefix) > 0 ? resume : prefix;
      byte[] to = end(prefix);
      if (Arrays.compareUnsigned(from, to) >= 0) {
        continue;
      }
      try (var rows = snapshot.scan(Table.INDEX, from, to)) {
        while (rows.next()) {
          byte[] key = rows.key();
          if (Arrays.equals(key, resume)) {
            continue;
          }
          String other = text(new ByteReader(rows.value()).block("id bytes", rows.value().length));
          boolean loop = side == IN && direction == Direction.BOTH && other.equals(id);
          if (loop || !exists(snapshot, other)) {
            continue;
          }
          if (found.size() == limit) {
            return new Page(found, HEX.formatHex(last));
          }
          found.add(found(side, id, other, key));
          last = key;
        }
      }
    }
    return new Page(found, null);
  }

  private static int side(Direction direction) {
    return direction == Direction.IN ? IN : OUT;
  }

  private static byte[] parse(String after) {
    try {
      return HEX.parseHex(after);
    } catch (IllegalArgumentException e) {
      throw CoreException.invalid("after must be what the answer before gave as next");
    }
  }

  private static Found found(int side, String id, String other, byte[] key) {
    int relation = textEnd(key, 1);
    int edge = textEnd(key, relation);
    String kind = unescaped(key, relation, edge);
    return new Found(
        new String(key, edge, key.length - edge, StandardCharsets.UTF_8),
        side == OUT ? new Edge(id, kind, other) : new Edge(other, kind, id));
  }

  private static boolean exists(Storage.Snapshot snapshot, String id) {
    byte[] key = bytes(id);
    if (key.length == 0 || key.length > ChangeBody.MAX_ID_BYTES) {
      return false;
    }
    byte[] row = snapshot.get(Table.STATE, key);
    return row != null && DocumentState.read(row).exists();
  }

  /** What differs from the documents of one commit, at most {@code limit} sentences. */
  public static List<String> differences(Storage.Snapshot snapshot, int limit) {
    var differences = new ArrayList<String>();
    long edges = 0;
    try (var rows = snapshot.scan(Table.STATE, NOTHING, null)) {
      while (rows.next() && differences.size() < limit) {
        byte[] id = rows.key();
        Edge edge = Edge.ofRow(rows.value());
        if (edge == null) {
          continue;
        }
        edges++;
        byte[] out = snapshot.get(Table.INDEX, key(OUT, edge.from(), edge.relation(), id));
        byte[] in = snapshot.get(Table.INDEX, key(IN, edge.to(), edge.relation(), id));
        if (!Arrays.equals(out, block(edge.to())) || !Arrays.equals(in, block(edge.from()))) {
          differences.add("the index of edges does not hold document " + text(id) + " as it is");
        }
      }
    }
    long stored = 0;
    try (var rows = snapshot.scan(Table.INDEX, new byte[] {OUT}, new byte[] {IN + 1})) {
      while (rows.next()) {
        stored++;
      }
    }
    if (differences.isEmpty() && stored != 2 * edges) {
      differences.add(
          "the index of edges has " + stored + " rows, but " + edges + " documents are edges");
    }
    return differences;
  }

  private static byte[] key(int side, String end, String relation, byte[] id) {
    return new ByteWriter(64).bytes(prefix(side, end, relation)).bytes(id).toByteArray();
  }

  private static byte[] prefix(int side, String end, @Nullable String relation) {
    var out = new ByteWriter(64).u8(side);
    escape(out, bytes(end));
    if (relation != null) {
      escape(out, bytes(relation));
    }
    return out.toByteArray();
  }

  /** The first key above all that begin with {@code prefix}, which ends with a terminator. */
  private static byte[] end(byte[] prefix) {
    byte[] end = prefix.clone();
    end[end.length - 1] = 1;
    return end;
  }

  private static void escape(ByteWriter out, byte[] text) {
    for (byte b : text) {
      out.u8(b);
      if (b == 0) {
        out.u8(0xff);
      }
    }
    out.u8(0).u8(0);
  }

  private static int textEnd(byte[] key, int from) {
    int i = from;
    while (key[i] != 0 || key[i + 1] != 0) {
      i += key[i] == 0 ? 2 : 1;
    }
    return i + 2;
  }

  private static String unescaped(byte[] key, int from, int end) {
    var out = new ByteWriter(end - from);
    for (int i = from; i < end - 2; i++) {
      out.u8(key[i]);
      i += key[i] == 0 ? 1 : 0;
    }
    return text(out.toByteArray());
  }

  private static byte[] block(String text) {
    return new ByteWriter(64).block(bytes(text)).toByteArray();
  }

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
