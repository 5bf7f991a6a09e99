package io.pluresdb.crdt.causal;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import java.util.Collections;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * A version vector with the hash of each actor's newest change: which operations a replica has, and
 * that they are the same operations. Immutable.
 *
 * <p>Encoded as {@code count varint, (actor 16, seq varint, headHash 32)*} in ascending order of
 * actors.
 */
public final class Frontier {
  /** Most actors a frontier may name; one more is refused when decoding. */
  public static final int MAX_ACTORS = 65_536;

  public static final Frontier EMPTY = new Frontier(new TreeMap<>());

  /** The newest change of an actor: its number, from 1, and its hash. */
  public record Head(long seq, Hash hash) {}

  private final NavigableMap<ActorId, Head> heads;
  private volatile Hash hash = Hash.ZERO;

  private Frontier(NavigableMap<ActorId, Head> heads) {
    this.heads = Collections.unmodifiableNavigableMap(heads);
  }

  public static Frontier of(Map<ActorId, Head> heads) {
    return heads.isEmpty() ? EMPTY : new Frontier(new TreeMap<>(heads));
  }

  /** Actors in ascending order with their heads; unmodifiable. */
  public NavigableMap<ActorId, Head> heads() {
    return heads;
  }

  /** The number of {@code actor}'s newest change, 0 when there is none. */
  public long seq(ActorId actor) {
    Head head = heads.get(actor);
    return head == null ? 0 : head.seq();
  }

  public boolean covers(Dot dot) {
    return seq(dot.actor()) >= dot.seq();
  }

  /**
   * BLAKE2b-256 of the encoding: equal on two replicas exactly when they have the same operations.
   */
  public Hash hash() {
    Hash known = hash;
    if (known.equals(Hash.ZERO)) {
      var out = new ByteWriter(64 * (heads.size() + 1));
      write(out);
      known = Hash.of("pluresdb-frontier-v1", out.toByteArray());
      hash = known;
    }
    return known;
  }

  public void write(ByteWriter out) {
    out.varint(heads.size());
    heads.forEach(
        (actor, head) -> {
          actor.write(out);
          out.varint(head.seq()).bytes(head.hash().bytes());
        });
  }

  public static Frontier read(ByteReader in) {
    int count = in.count("actors of a frontier", MAX_ACTORS);
    var heads = new TreeMap<ActorId, Head>();
    for (int i = 0; i < count; i++) {
      ActorId actor = ActorId.read(in);
      if (!heads.isEmpty() && heads.lastKey().compareTo(actor) >= 0) {
        throw new CodecException("actors of a frontier must ascend");
      }
      long seq = in.varint();
      if (seq == 0) {
        throw new CodecException("seq of a frontier must be 1 or more");
      }
      heads.put(actor, new Head(seq, new Hash(in.bytes(Hash.BYTES))));
    }
    return new Frontier(heads);
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Frontier frontier && heads.equals(frontier.heads);
  }

  @Override
  public int hashCode() {
    return heads.hashCode();
  }

  @Override
  public String toString() {
    return "frontier " + hash() + " of " + heads.size() + " actors";
  }
}
