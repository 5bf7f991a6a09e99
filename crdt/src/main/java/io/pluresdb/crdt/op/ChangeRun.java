package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Consecutive changes of one actor, with the signature over the last: because each change links to
 * the one before, that signature answers for all of them.
 *
 * <pre>
 * run     := actor 16 | fromSeq varint | genesis? | count varint | change * | signature 64
 * genesis := deviceKey 32 | nonce 16                               only when fromSeq is 1
 * </pre>
 *
 * @param fromSeq number of the first change, from 1
 * @param genesis who the actor is; present exactly when {@code fromSeq} is 1
 * @param changes one or more
 * @param signature Ed25519 over the last change's hash, 64 bytes
 */
public record ChangeRun(
    ActorId actor,
    long fromSeq,
    @Nullable Genesis genesis,
    List<Change> changes,
    byte[] signature) {
  /** Largest run, in bytes: with the head of a message it fits into one. */
  public static final int MAX_BYTES = (4 << 20) - 64;

  /** Most changes in one run. */
  public static final int MAX_CHANGES = 65_536;

  /** The device behind an actor; its hash with the database's is the actor's id. */
  public record Genesis(byte[] deviceKey, byte[] nonce) {
    public static final int NONCE_BYTES = 16;

    public ActorId actor(Hash database) {
      return ActorId.derive(database, deviceKey, nonce);
    }

    public void write(ByteWriter out) {
      out.bytes(deviceKey).bytes(nonce);
    }

    public static Genesis read(ByteReader in) {
      return new Genesis(in.bytes(Signer.KEY_BYTES), in.bytes(NONCE_BYTES));
    }
  }

  public long toSeq() {
    return fromSeq + changes.size() - 1;
  }

  public void write(ByteWriter out) {
    actor.write(out);
    out.varint(fromSeq);
    if (genesis != null) {
      genesis.write(out);
    }
    out.varint(changes.size());
    for (Change change : changes) {
      change.write(out);
    }
    out.bytes(signature);
  }

  public static ChangeRun read(ByteReader in) {
    int start = in.position();
    ActorId actor = ActorId.read(in);
    long fromSeq = in.varint();
    if (fromSeq == 0) {
      throw new CodecException("seq of a change must be 1 or more");
    }
    Genesis genesis = fromSeq == 1 ? Genesis.read(in) : null;
    int count = in.count("changes of a run", MAX_CHANGES);
    if (count == 0) {
      throw new CodecException("a run must hold a change");
    }
    var changes = new ArrayList<Change>(Math.min(count, 1_024));
    for (int i = 0; i < count; i++) {
      changes.add(Change.read(in));
    }
    byte[] signature = in.bytes(Signer.SIGNATURE_BYTES);
    int bytes = in.position() - start;
    if (bytes > MAX_BYTES) {
      throw new CodecException("a run must be at most " + MAX_BYTES + " bytes, but is " + bytes);
    }
    return new ChangeRun(actor, fromSeq, genesis, changes, signature);
  }

  /** Bytes of all bodies and headers, within a few. */
  public int encodedBytes() {
    int bytes = 160;
    for (Change change : changes) {
      bytes += change.encodedBytes();
    }
    return bytes;
  }
}
