package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.ChangeRun.Genesis;

/**
 * A change without its body, with its author's signature: shows that an actor has come that far,
 * and what the next change links to, when the changes themselves are gone.
 *
 * <pre>
 * head := seq varint | previous hash 32 | link | device key 32 | nonce 16 | signature 64
 * </pre>
 *
 * @param seq number of the change, from 1
 * @param previous hash of the change before it, zero for none
 * @param signature Ed25519 over the change's hash, 64 bytes; all zero where an end in the
 *     membership has to vouch for the change
 */
public record SignedHead(
    long seq, Hash previous, Change.Link link, Genesis genesis, byte[] signature) {

  /** Hybrid time of the change: the greatest of its actor so far. */
  public long timestamp() {
    return link.timestamp();
  }

  /** The place in a frontier that this shows. */
  public Head head(Hash database, ActorId actor) {
    return new Head(seq, link.hash(database, actor, seq, previous));
  }

  /** Whether {@code actor} is derived from the device's key, and the signature is the device's. */
  public boolean isAuthentic(Hash database, ActorId actor) {
    return genesis.actor(database).equals(actor)
        && Signer.verify(genesis.deviceKey(), head(database, actor).hash().bytes(), signature);
  }

  public void write(ByteWriter out) {
    out.varint(seq).bytes(previous.bytes());
    link.write(out);
    genesis.write(out);
    out.bytes(signature);
  }

  public byte[] toByteArray() {
    var out = new ByteWriter(320);
    write(out);
    return out.toByteArray();
  }

  public static SignedHead read(ByteReader in) {
    Unsigned place = Unsigned.read(in);
    return place.by(Genesis.read(in), in);
  }

  /** Reads one whose genesis stands elsewhere: {@code seq | previous | link | signature}. */
  public static SignedHead read(Genesis genesis, ByteReader in) {
    return Unsigned.read(in).by(genesis, in);
  }

  private record Unsigned(long seq, Hash previous, Change.Link link) {
    static Unsigned read(ByteReader in) {
      long seq = in.varint();
      if (seq == 0) {
        throw new CodecException("seq of a head must be 1 or more");
      }
      var previous = new Hash(in.bytes(Hash.BYTES));
      Change.Link link = Change.Link.read(in);
      if (link.timestamp() < 0) {
        throw new CodecException("timestamp must be 0 or more");
      }
      return new Unsigned(seq, previous, link);
    }

    SignedHead by(Genesis genesis, ByteReader in) {
      return new SignedHead(seq, previous, link, genesis, in.bytes(Signer.SIGNATURE_BYTES));
    }
  }

  /** A row or an entry of a snapshot. */
  public static SignedHead read(byte[] bytes) {
    var in = new ByteReader(bytes);
    SignedHead head = read(in);
    in.end();
    return head;
  }
}
