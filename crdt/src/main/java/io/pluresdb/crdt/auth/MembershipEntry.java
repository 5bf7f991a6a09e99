package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.value.Utf8;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A signed statement about a device of a database. What follows from all of them together, in
 * whatever order they came, is decided by {@link Membership}.
 *
 * <pre>
 * entry  := 1 u8 | database 32 | device 32 | role u8 | name block | atMillis u64 | invite 16
 *         | seen | signer 32 | signature 64                                              Admit
 *         | 2 u8 | database 32 | device 32 | keep u8 | atMillis u64
 *         | heads varint | (actor 16 | seq varint | hash 32) * | seen | signer 32 | signature 64   Revoke
 *         | 3 u8 | database 32 | device 32 | nonce 16 | seq varint | hash 32 | branch | branch     Fork
 *         | 4 u8 | database 32 | device 32 | nonce 16 | seq varint | previous hash 32 | link
 *         | signature 64 | signer 32 | signature 64                                              Keep
 * seen   := count varint | entry hash 32 *                                               ascending
 * branch := links varint | link * | signature 64
 * </pre>
 */
public sealed interface MembershipEntry {
  int MAX_NAME_BYTES = 128;
  int INVITE_BYTES = 16;

  /** Most entries one entry may name as seen; their own past is seen with them. */
  int MAX_SEEN = 256;

  /** Most actors of one device whose heads a removal may name. */
  int MAX_HEADS = 4_096;

  /** Most changes between the last common one and a signed one in a proof. */
  int MAX_LINKS = 16_384;

  /** Hash of the database's id. */
  Hash database();

  /** Ed25519 public key of the device this is about, 32 bytes. */
  byte[] device();

  /** Whether every signature in it holds. */
  boolean isAuthentic();

  void write(ByteWriter out);

  /**
   * {@code signer} lets {@code device} take part as {@code role}. The founder's first statement is
   * about itself.
   *
   * @param name what people call the device, at most {@link #MAX_NAME_BYTES} of UTF-8
   * @param atMillis the signer's wall clock, for people
   * @param invite id of the invite that was used, 16 bytes; zero for none
   * @param seen hashes of the newest entries the signer knew, ascending
   * @param signer Ed25519 public key, 32 bytes
   * @param signature over all that stands before it
   */
  record Admit(
      Hash database,
      byte[] device,
      Role role,
      String name,
      long atMillis,
      byte[] invite,
      List<Hash> seen,
      byte[] signer,
      byte[] signature)
      implements MembershipEntry {
    private static final int KIND = 1;

    /**
     * Makes and signs an entry.
     *
     * @throws CoreException when the name is too long or has no UTF-8 form
     */
    public static Admit sign(
        Hash database,
        byte[] device,
        Role role,
        String name,
        long atMillis,
        byte[] invite,
        Collection<Hash> seen,
        Signer signer) {
      int nameBytes = name.getBytes(StandardCharsets.UTF_8).length;
      if (nameBytes > MAX_NAME_BYTES || !Utf8.isEncodable(name)) {
        throw CoreException.invalid(
            "name of a device must be at most "
                + MAX_NAME_BYTES
                + " bytes of UTF-8, but is "
                + nameBytes);
      }
      byte[] key = signer.publicKey();
      var unsigned =
          new Admit(
              database, device, role, name, atMillis, invite, ascending(seen), key, new byte[64]);
      return new Admit(
          database,
          device,
          role,
          name,
          atMillis,
          invite,
          unsigned.seen,
          key,
          signer.sign(unsigned.signed()));
    }

    /** Whether the signer speaks of itself. */
    public boolean isFounding() {
      return Arrays.equals(device, signer);
    }

    boolean usesInvite() {
      return !Arrays.equals(invite, new byte[INVITE_BYTES]);
    }

    @Override
    public boolean isAuthentic() {
      return Signer.verify(signer, signed(), signature);
    }

    private byte[] signed() {
      var out = new ByteWriter(256);
      out.bytes("pluresdb-member-v1\0".getBytes(StandardCharsets.US_ASCII));
      writeUnsigned(out);
      return out.toByteArray();
    }

    private void writeUnsigned(ByteWriter out) {
      out.u8(KIND).bytes(database.bytes()).bytes(device).u8(role.code());
      out.block(name.getBytes(StandardCharsets.UTF_8)).i64(atMillis).bytes(invite);
      writeSeen(seen, out);
      out.bytes(signer);
    }

    @Override
    public void write(ByteWriter out) {
      writeUnsigned(out);
      out.bytes(signature);
    }

    private static Admit read(Hash database, byte[] device, ByteReader in) {
      Role role = Role.ofCode(in.u8());
      byte[] name = in.block("name bytes", MAX_NAME_BYTES);
      return new Admit(
          database,
          device,
          role,
          new String(name, StandardCharsets.UTF_8),
          in.i64(),
          in.bytes(INVITE_BYTES),
          readSeen(in),
          in.bytes(Signer.KEY_BYTES),
          in.bytes(Signer.SIGNATURE_BYTES));
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Admit entry && hash().equals(entry.hash());
    }

    @Override
    public int hashCode() {
      return hash().hashCode();
    }
  }

  /**
   * {@code signer} takes from {@code device} every role above {@code keep} that it was given by
   * entries the signer had not seen to come after a removal. When the device may no longer write,
   * its changes count up to {@code heads}; those of actors not named there count for nothing.
   *
   * @param keep the greatest role that is left, or null for none: the device is no member any more
   * @param heads the accepted head of each actor of the device that the signer knew
   * @param secret {@link #nameOf} the secret of the epoch that begins with it; {@link Hash#ZERO}
   *     for none
   */
  record Revoke(
      Hash database,
      byte[] device,
      @Nullable Role keep,
      long atMillis,
      NavigableMap<ActorId, Head> heads,
      Hash secret,
      List<Hash> seen,
      byte[] signer,
      byte[] signature)
      implements MembershipEntry {
    private static final int KIND = 2;

    /** The hash by which an entry names the secret of an epoch. */
    public static Hash nameOf(byte[] secret) {
      return Hash.of("pluresdb-epoch-secret-v1", secret);
    }

    /** Whether a new epoch begins with this removal. */
    public boolean rotates() {
      return keep == null && !isOwn() && !secret.equals(Hash.ZERO);
    }

    /** Makes and signs an entry that begins no epoch. */
    public static Revoke sign(
        Hash database,
        byte[] device,
        @Nullable Role keep,
        long atMillis,
        Map<ActorId, Head> heads,
        Collection<Hash> seen,
        Signer signer) {
      return sign(database, device, keep, atMillis, heads, Hash.ZERO, seen, signer);
    }

    /** Makes and signs an entry. */
    public static Revoke sign(
        Hash database,
        byte[] device,
        @Nullable Role keep,
        long atMillis,
        Map<ActorId, Head> heads,
        Hash secret,
        Collection<Hash> seen,
        Signer signer) {
      if (heads.size() > MAX_HEADS) {
        throw CoreException.tooLarge(
            "a removal can name at most " + MAX_HEADS + " actors, but names " + heads.size());
      }
      byte[] key = signer.publicKey();
      var unsigned =
          new Revoke(
              database,
              device,
              keep,
              atMillis,
              new TreeMap<>(heads),
              secret,
              ascending(seen),
              key,
              new byte[64]);
      return new Revoke(
          database,
          device,
          keep,
          atMillis,
          unsigned.heads,
          secret,
          unsigned.seen,
          key,
          signer.sign(unsigned.signed()));
    }

    /** Whether the device leaves by itself. */
    public boolean isOwn() {
      return Arrays.equals(device, signer);
    }

    /** Whether {@code role} is more than this removal leaves. */
    boolean takes(Role role) {
      return keep == null || !keep.includes(role);
    }

    @Override
    public boolean isAuthentic() {
      return Signer.verify(signer, signed(), signature);
    }

    private byte[] signed() {
      var out = new ByteWriter(256);
      out.bytes("pluresdb-member-v1\0".getBytes(StandardCharsets.US_ASCII));
      writeUnsigned(out);
      return out.toByteArray();
    }

    private void writeUnsigned(ByteWriter out) {
      out.u8(KIND).bytes(database.bytes()).bytes(device);
      out.u8(keep == null ? 0 : keep.code() + 1).i64(atMillis).varint(heads.size());
      heads.forEach(
          (actor, head) -> {
            actor.write(out);
            out.varint(head.seq()).bytes(head.hash().bytes());
          });
      out.bytes(secret.bytes());
      writeSeen(seen, out);
      out.bytes(signer);
    }

    @Override
    public void write(ByteWriter out) {
      writeUnsigned(out);
      out.bytes(signature);
    }

    private static Revoke read(Hash database, byte[] device, ByteReader in) {
      int keep = in.u8();
      long atMillis = in.i64();
      int count = in.count("heads of a removal", MAX_HEADS);
      var heads = new TreeMap<ActorId, Head>();
      for (int i = 0; i < count; i++) {
        ActorId actor = ActorId.read(in);
        if (!heads.isEmpty() && heads.lastKey().compareTo(actor) >= 0) {
          throw new CodecException("actors of a removal must ascend");
        }
        heads.put(actor, new Head(in.varint(), new Hash(in.bytes(Hash.BYTES))));
      }
      return new Revoke(
          database,
          device,
          keep == 0 ? null : Role.ofCode(keep - 1),
          atMillis,
          heads,
          new Hash(in.bytes(Hash.BYTES)),
          readSeen(in),
          in.bytes(Signer.KEY_BYTES),
          in.bytes(Signer.SIGNATURE_BYTES));
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Revoke entry && hash().equals(entry.hash());
    }

    @Override
    public int hashCode() {
      return hash().hashCode();
    }
  }

  /**
   * The proof that a device wrote twice: two continuations of the same change of one actor, both
   * signed by the device's key. It convinces by itself, whoever hands it over.
   *
   * @param genesis the device and its actor's nonce
   * @param common the last change both have: seq 0 and {@link Hash#ZERO} when there is none
   */
  record Fork(Hash database, Genesis genesis, Head common, Branch first, Branch second)
      implements MembershipEntry {
    private static final int KIND = 3;

    /**
     * One continuation, up to its first signed change.
     *
     * @param links the changes behind the common one, without their bodies; one or more
     * @param signature the device's, over the hash of the last
     */
    public record Branch(List<Change.Link> links, byte[] signature) {
      /** The hash of the first change. */
      Hash first(Hash database, ActorId actor, Head common) {
        return links.getFirst().hash(database, actor, common.seq() + 1, common.hash());
      }

      /** Whether the device's signature answers for all of it. */
      public boolean isSigned(Hash database, Genesis genesis, Head common) {
        ActorId actor = genesis.actor(database);
        Hash hash = common.hash();
        long seq = common.seq();
        for (Change.Link link : links) {
          hash = link.hash(database, actor, ++seq, hash);
        }
        return !links.isEmpty() && Signer.verify(genesis.deviceKey(), hash.bytes(), signature);
      }

      public void write(ByteWriter out) {
        out.varint(links.size());
        links.forEach(link -> link.write(out));
        out.bytes(signature);
      }

      public static Branch read(ByteReader in) {
        int count = in.count("changes of a branch", MAX_LINKS);
        if (count == 0) {
          throw new CodecException("a branch must hold a change");
        }
        var links = new ArrayList<Change.Link>(Math.min(count, 64));
        for (int i = 0; i < count; i++) {
          links.add(Change.Link.read(in));
        }
        return new Branch(links, in.bytes(Signer.SIGNATURE_BYTES));
      }
    }

    /** The proof with its branches in the order of their first hashes. */
    public static Fork of(Hash database, Genesis genesis, Head common, Branch one, Branch other) {
      ActorId actor = genesis.actor(database);
      boolean ordered =
          HASHES.compare(one.first(database, actor, common), other.first(database, actor, common))
              < 0;
      return new Fork(database, genesis, common, ordered ? one : other, ordered ? other : one);
    }

    public ActorId actor() {
      return genesis.actor(database);
    }

    @Override
    public byte[] device() {
      return genesis.deviceKey();
    }

    @Override
    public boolean isAuthentic() {
      ActorId actor = actor();
      return HASHES.compare(
                  first.first(database, actor, common), second.first(database, actor, common))
              < 0
          && first.isSigned(database, genesis, common)
          && second.isSigned(database, genesis, common);
    }

    @Override
    public void write(ByteWriter out) {
      out.u8(KIND).bytes(database.bytes());
      genesis.write(out);
      out.varint(common.seq()).bytes(common.hash().bytes());
      first.write(out);
      second.write(out);
    }

    private static Fork read(Hash database, byte[] device, ByteReader in) {
      var genesis = new Genesis(device, in.bytes(Genesis.NONCE_BYTES));
      var common = new Head(in.varint(), new Hash(in.bytes(Hash.BYTES)));
      return new Fork(database, genesis, common, Branch.read(in), Branch.read(in));
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Fork entry && hash().equals(entry.hash());
    }

    @Override
    public int hashCode() {
      return hash().hashCode();
    }
  }

  /**
   * {@code signer} cannot take back what an actor did up to {@code head}: it left the log before
   * the signer heard that the actor should end earlier. No removal ends the actor before that while
   * the signer may write.
   *
   * @param head the last of these changes, signed by its author
   * @param signer Ed25519 public key, 32 bytes
   * @param signature over all that stands before it
   */
  record Keep(Hash database, SignedHead head, byte[] signer, byte[] signature)
      implements MembershipEntry {
    private static final int KIND = 4;

    /** Makes and signs an entry. */
    public static Keep sign(Hash database, SignedHead head, Signer signer) {
      var unsigned = new Keep(database, head, signer.publicKey(), new byte[64]);
      return new Keep(database, head, unsigned.signer, signer.sign(unsigned.signed()));
    }

    public ActorId actor() {
      return head.genesis().actor(database);
    }

    /** Up to where the actor counts. */
    Head place() {
      return head.head(database, actor());
    }

    @Override
    public byte[] device() {
      return head.genesis().deviceKey();
    }

    @Override
    public boolean isAuthentic() {
      return head.isAuthentic(database, actor()) && Signer.verify(signer, signed(), signature);
    }

    private byte[] signed() {
      var out = new ByteWriter(320);
      out.bytes("pluresdb-member-v1\0".getBytes(StandardCharsets.US_ASCII));
      writeUnsigned(out);
      return out.toByteArray();
    }

    private void writeUnsigned(ByteWriter out) {
      out.u8(KIND).bytes(database.bytes());
      head.genesis().write(out);
      out.varint(head.seq()).bytes(head.previous().bytes());
      head.link().write(out);
      out.bytes(head.signature()).bytes(signer);
    }

    @Override
    public void write(ByteWriter out) {
      writeUnsigned(out);
      out.bytes(signature);
    }

    private static Keep read(Hash database, byte[] device, ByteReader in) {
      var genesis = new Genesis(device, in.bytes(Genesis.NONCE_BYTES));
      return new Keep(
          database,
          SignedHead.read(genesis, in),
          in.bytes(Signer.KEY_BYTES),
          in.bytes(Signer.SIGNATURE_BYTES));
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Keep entry && hash().equals(entry.hash());
    }

    @Override
    public int hashCode() {
      return hash().hashCode();
    }
  }

  /** Hashes as unsigned bytes. */
  Comparator<Hash> HASHES = (a, b) -> Arrays.compareUnsigned(a.bytes(), b.bytes());

  private static List<Hash> ascending(Collection<Hash> seen) {
    return seen.stream().distinct().sorted(HASHES).limit(MAX_SEEN).toList();
  }

  private static void writeSeen(List<Hash> seen, ByteWriter out) {
    out.varint(seen.size());
    seen.forEach(hash -> out.bytes(hash.bytes()));
  }

  private static List<Hash> readSeen(ByteReader in) {
    int count = in.count("entries seen", MAX_SEEN);
    var seen = new ArrayList<Hash>(count);
    for (int i = 0; i < count; i++) {
      var hash = new Hash(in.bytes(Hash.BYTES));
      if (i > 0 && HASHES.compare(seen.getLast(), hash) >= 0) {
        throw new CodecException("entries seen must ascend");
      }
      seen.add(hash);
    }
    return seen;
  }

  static MembershipEntry read(ByteReader in) {
    int kind = in.u8();
    var database = new Hash(in.bytes(Hash.BYTES));
    byte[] device = in.bytes(Signer.KEY_BYTES);
    return switch (kind) {
      case Admit.KIND -> Admit.read(database, device, in);
      case Revoke.KIND -> Revoke.read(database, device, in);
      case Fork.KIND -> Fork.read(database, device, in);
      case Keep.KIND -> Keep.read(database, device, in);
      default ->
          throw new CodecException("kind of a membership entry must be 1 to 4, but is " + kind);
    };
  }

  default byte[] toByteArray() {
    var out = new ByteWriter(320);
    write(out);
    return out.toByteArray();
  }

  /** The name of this entry: equal for equal entries. */
  default Hash hash() {
    return Hash.of("pluresdb-member-entry-v1", toByteArray());
  }
}
