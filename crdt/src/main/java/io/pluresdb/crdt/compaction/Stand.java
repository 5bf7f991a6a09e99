package io.pluresdb.crdt.compaction;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Collections;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * A device's signed statement of what it had on its disk at a moment. Of two stands of a device the
 * one with the greater {@code at} counts, whatever they say: a restored device says less than
 * before.
 *
 * <pre>
 * stand := version u8 = 1 | database 32 | device 32 | at u64 | count varint | (actor 16 | seq varint) *
 *        | signature 64
 * </pre>
 *
 * @param device Ed25519 public key, 32 bytes
 * @param at milliseconds since 1970 by the device's clock; rises from stand to stand even when the
 *     clock does not
 * @param seqs of each actor the greatest seq up to which all is there
 * @param signature Ed25519 over {@code pluresdb-stand-v1}, a zero byte and all before the signature
 */
public record Stand(
    Hash database, byte[] device, long at, NavigableMap<ActorId, Long> seqs, byte[] signature) {
  private static final int VERSION = 1;
  private static final byte[] DOMAIN = "pluresdb-stand-v1\0".getBytes(StandardCharsets.US_ASCII);

  public Stand {
    seqs = Collections.unmodifiableNavigableMap(seqs);
  }

  /** Makes and signs a stand of the signer's device. */
  public static Stand sign(Hash database, long at, Frontier durable, Signer signer) {
    var seqs = new TreeMap<ActorId, Long>();
    durable.heads().forEach((actor, head) -> seqs.put(actor, head.seq()));
    var unsigned = new Stand(database, signer.publicKey(), at, seqs, new byte[0]);
    return new Stand(database, unsigned.device, at, seqs, signer.sign(unsigned.signed()));
  }

  private byte[] signed() {
    var out = new ByteWriter(DOMAIN.length + 80 + 24 * seqs.size());
    out.bytes(DOMAIN);
    writeUnsigned(out);
    return out.toByteArray();
  }

  /** Whether the signature is the device's. */
  public boolean isAuthentic() {
    return Signer.verify(device, signed(), signature);
  }

  /** The greatest seq of an actor that the device had, 0 for none. */
  public long seq(ActorId actor) {
    return seqs.getOrDefault(actor, 0L);
  }

  private void writeUnsigned(ByteWriter out) {
    out.u8(VERSION).bytes(database.bytes()).bytes(device).i64(at).varint(seqs.size());
    seqs.forEach(
        (actor, seq) -> {
          actor.write(out);
          out.varint(seq);
        });
  }

  public void write(ByteWriter out) {
    writeUnsigned(out);
    out.bytes(signature);
  }

  /** Bytes {@link #write} takes, at most. */
  public int encodedBytes() {
    return 160 + (ActorId.BYTES + 9) * seqs.size();
  }

  public static Stand read(ByteReader in) {
    int version = in.u8();
    if (version != VERSION) {
      throw new CodecException("stand version must be " + VERSION + ", but is " + version);
    }
    var database = new Hash(in.bytes(Hash.BYTES));
    byte[] device = in.bytes(Signer.KEY_BYTES);
    long at = in.i64();
    if (at < 0) {
      throw new CodecException("at must be 0 or more");
    }
    int count = in.count("actors of a stand", Frontier.MAX_ACTORS);
    var seqs = new TreeMap<ActorId, Long>();
    for (int i = 0; i < count; i++) {
      ActorId actor = ActorId.read(in);
      if (!seqs.isEmpty() && seqs.lastKey().compareTo(actor) >= 0) {
        throw new CodecException("actors of a stand must ascend");
      }
      seqs.put(actor, in.varint());
    }
    return new Stand(database, device, at, seqs, in.bytes(Signer.SIGNATURE_BYTES));
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof Stand stand
        && at == stand.at
        && database.equals(stand.database)
        && Arrays.equals(device, stand.device)
        && seqs.equals(stand.seqs)
        && Arrays.equals(signature, stand.signature);
  }

  @Override
  public int hashCode() {
    return 31 * Arrays.hashCode(device) + Long.hashCode(at);
  }
}
