package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.Register;
import java.util.Arrays;

/**
 * A row of a snapshot on its way from one replica to another, or a piece of a large one.
 *
 * <p>A snapshot is a sequence of rows in ascending order of {@link Place}: first the signed heads
 * of all actors, then the document rows, then those of texts and lists.
 *
 * <pre>
 * entry := place | total varint | offset varint | bytes block
 * place := section u8 | key block
 * </pre>
 *
 * @param total bytes of the whole row
 * @param offset where in it {@code bytes} begin; 0 with all bytes for a whole row
 */
public record SnapshotEntry(Place place, int total, int offset, byte[] bytes) {
  /** Largest row that is sent; a replica with a larger one cannot be joined this way. */
  public static final int MAX_ROW_BYTES = 64 << 20;

  /** Longer rows travel in pieces of that many bytes. */
  public static final int PIECE_BYTES = 256 << 10;

  /** Signed heads: actor to {@link io.pluresdb.crdt.op.SignedHead}. */
  static final int HEADS = 1;

  /** Documents: id to {@link io.pluresdb.crdt.doc.DocumentState}. */
  static final int DOCUMENTS = 2;

  /** Texts and lists: (document, register, actor, number) to elements. */
  static final int SEQUENCES = 3;

  private static final int LAST_SECTION = SEQUENCES;

  // Two lengths, an id, a register, a kind, an actor and a number.
  private static final int MAX_SEQUENCE_KEY_BYTES =
      4 + ChangeBody.MAX_ID_BYTES + Register.MAX_BYTES + 1 + ActorId.BYTES + 4;

  /** Where a row stands in a snapshot. */
  public record Place(int section, byte[] key) implements Comparable<Place> {
    /** Before every row. */
    public static final Place START = new Place(HEADS, new byte[0]);

    @Override
    public int compareTo(Place other) {
      int order = Integer.compare(section, other.section);
      return order != 0 ? order : Arrays.compareUnsigned(key, other.key);
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Place place && compareTo(place) == 0;
    }

    @Override
    public int hashCode() {
      return 31 * section + Arrays.hashCode(key);
    }

    /** The least place behind this one. */
    Place next() {
      return new Place(section, Arrays.copyOf(key, key.length + 1));
    }

    public void write(ByteWriter out) {
      out.u8(section).block(key);
    }

    public static Place read(ByteReader in) {
      int section = in.u8();
      if (section < HEADS || section > LAST_SECTION) {
        throw new CodecException(
            "section of a snapshot must be "
                + HEADS
                + " to "
                + LAST_SECTION
                + ", but is "
                + section);
      }
      int max =
          switch (section) {
            case HEADS -> ActorId.BYTES;
            case DOCUMENTS -> ChangeBody.MAX_ID_BYTES;
            default -> MAX_SEQUENCE_KEY_BYTES;
          };
      // A place behind a row is its key and a zero byte.
      return new Place(section, in.block("key bytes", max + 1));
    }

    @Override
    public String toString() {
      return section + "/" + java.util.HexFormat.of().formatHex(key);
    }
  }

  public boolean isWhole() {
    return offset == 0 && bytes.length == total;
  }

  /** Whether this is the end of its row. */
  public boolean isLast() {
    return offset + bytes.length == total;
  }

  /** Bytes it takes in a message, at most. */
  public int encodedBytes() {
    return place.key.length + bytes.length + 24;
  }

  public void write(ByteWriter out) {
    place.write(out);
    out.varint(total).varint(offset).block(bytes);
  }

  public static SnapshotEntry read(ByteReader in) {
    Place place = Place.read(in);
    int total = in.count("row bytes", MAX_ROW_BYTES);
    int offset = in.count("offset", total);
    return new SnapshotEntry(place, total, offset, in.block("piece bytes", total - offset));
  }
}
