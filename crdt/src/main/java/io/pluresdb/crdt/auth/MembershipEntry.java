package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.value.Utf8;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/**
 * One signed statement: {@code signer} lets {@code device} take part in {@code database} as {@code
 * role}. The founder's first statement is about itself.
 *
 * <pre>
 * entry := version u8 = 1 | database 32 | device 32 | role u8 | nameLength varint | name
 *        | atMillis u64 | invite 16 | signer 32 | signature 64
 * </pre>
 *
 * @param database hash of the database's id
 * @param device Ed25519 public key, 32 bytes
 * @param name what people call the device, at most {@link #MAX_NAME_BYTES} of UTF-8
 * @param atMillis the signer's wall clock, for people
 * @param invite id of the invite that was used, 16 bytes; zero for the founder
 * @param signer Ed25519 public key, 32 bytes
 * @param signature over all that stands before it
 */
public record MembershipEntry(
    Hash database,
    byte[] device,
    Role role,
    String name,
    long atMillis,
    byte[] invite,
    byte[] signer,
    byte[] signature) {
  public static final int MAX_NAME_BYTES = 128;
  public static final int INVITE_BYTES = 16;

  private static final int VERSION = 1;

  /**
   * Makes and signs an entry.
   *
   * @throws CoreException when the name is too long or has no UTF-8 form
   */
  public static MembershipEntry sign(
      Hash database,
      byte[] device,
      Role role,
      String name,
      long atMillis,
      byte[] invite,
      Signer signer) {
    int nameBytes = name.getBytes(StandardCharsets.UTF_8).length;
    if (nameBytes > MAX_NAME_BYTES || !Utf8.isEncodable(name)) {
      throw CoreException.invalid(
          "name of a device must be at most "
              + MAX_NAME_BYTES
              + " bytes of UTF-8, but is "
              + nameBytes);
    }
    var unsigned =
        new MembershipEntry(
            database, device, role, name, atMillis, invite, signer.publicKey(), new byte[64]);
    return new MembershipEntry(
        database,
        device,
        role,
        name,
        atMillis,
        invite,
        unsigned.signer,
        signer.sign(unsigned.signed()));
  }

  /** Whether the signature is the signer's. */
  public boolean isAuthentic() {
    return Signer.verify(signer, signed(), signature);
  }

  /** Whether the signer speaks of itself. */
  public boolean isFounding() {
    return Arrays.equals(device, signer);
  }

  private byte[] signed() {
    var out = new ByteWriter(256);
    out.bytes("pluresdb-member-v1\0".getBytes(StandardCharsets.US_ASCII));
    writeUnsigned(out);
    return out.toByteArray();
  }

  private void writeUnsigned(ByteWriter out) {
    out.u8(VERSION).bytes(database.bytes()).bytes(device).u8(role.code());
    out.block(name.getBytes(StandardCharsets.UTF_8)).i64(atMillis).bytes(invite).bytes(signer);
  }

  public void write(ByteWriter out) {
    writeUnsigned(out);
    out.bytes(signature);
  }

  public static MembershipEntry read(ByteReader in) {
    int version = in.u8();
    if (version != VERSION) {
      throw new CodecException("membership version must be " + VERSION + ", but is " + version);
    }
    var database = new Hash(in.bytes(Hash.BYTES));
    byte[] device = in.bytes(Signer.KEY_BYTES);
    Role role = Role.ofCode(in.u8());
    byte[] name = in.block("name bytes", MAX_NAME_BYTES);
    long atMillis = in.i64();
    byte[] invite = in.bytes(INVITE_BYTES);
    return new MembershipEntry(
        database,
        device,
        role,
        new String(name, StandardCharsets.UTF_8),
        atMillis,
        invite,
        in.bytes(Signer.KEY_BYTES),
        in.bytes(Signer.SIGNATURE_BYTES));
  }

  /** The name of this entry: equal for equal entries. */
  public Hash hash() {
    var out = new ByteWriter(320);
    write(out);
    return Hash.of("pluresdb-member-entry-v1", out.toByteArray());
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof MembershipEntry entry && hash().equals(entry.hash());
  }

  @Override
  public int hashCode() {
    return hash().hashCode();
  }
}
