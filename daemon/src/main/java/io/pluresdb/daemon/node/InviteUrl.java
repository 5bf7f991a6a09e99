package io.pluresdb.daemon.node;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.SyncKey;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;

/**
 * An invite as it is handed over: whoever has the text can join once, until it expires.
 *
 * <pre>
 * url     := "pluresdb://join/" base64url(content | first 4 bytes of its hash)
 * content := version u8 = 1 | database 32 | syncKey 32 | founder 32 | inviter 32 | secret 16
 *          | roleLength varint | role | expires u64 | count varint | (length varint | host:port) *
 * </pre>
 *
 * @param database the 32 bytes whose hex is its id
 * @param syncKey the current one
 * @param founder Ed25519 key of the device that made the database
 * @param inviter Ed25519 key of the device that made this invite
 * @param secret known to the two devices only
 * @param role what the new device may do
 * @param expiresMillis since 1970
 * @param addresses where the inviter can be reached
 */
record InviteUrl(
    byte[] database,
    byte[] syncKey,
    byte[] founder,
    byte[] inviter,
    byte[] secret,
    Role role,
    long expiresMillis,
    List<String> addresses) {
  static final int SECRET_BYTES = 16;
  static final int MAX_ADDRESSES = 16;

  private static final String PREFIX = "pluresdb://join/";
  private static final int VERSION = 1;
  private static final int CHECK_BYTES = 4;
  private static final int MAX_ADDRESS_BYTES = 300;

  /** The public name of the invite with this secret. */
  static byte[] inviteId(byte[] secret) {
    return Arrays.copyOf(
        Hash.of("pluresdb-invite-v1", secret).bytes(), MembershipEntry.INVITE_BYTES);
  }

  /** What a device shows to be let in: proves the secret without giving it away. */
  static byte[] claim(byte[] secret, byte[] deviceKey) {
    return Hash.of("pluresdb-invite-claim-v1", secret, deviceKey).bytes();
  }

  /** The keys to come with. */
  DatabaseKeys keys() {
    return DatabaseKeys.of(HexFormat.of().formatHex(database), new SyncKey(syncKey), Epochs.NUMBER);
  }

  String text() {
    var out = new ByteWriter(256);
    out.u8(VERSION).bytes(database).bytes(syncKey).bytes(founder).bytes(inviter).bytes(secret);
    out.block(role.toString().getBytes(StandardCharsets.US_ASCII)).i64(expiresMillis);
    out.varint(addresses.size());
    addresses.forEach(address -> out.block(address.getBytes(StandardCharsets.UTF_8)));
    byte[] content = out.toByteArray();
    out.bytes(check(content));
    return PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(out.toByteArray());
  }

  private static byte[] check(byte[] content) {
    return Arrays.copyOf(Hash.of("pluresdb-invite-check-v1", content).bytes(), CHECK_BYTES);
  }

  /**
   * Parses an invite.
   *
   * @throws NodeException {@code NODE_INVITE_INVALID}, {@code NODE_INVITE_EXPIRED}
   */
  static InviteUrl parse(String url, Instant now) {
    String text = url.strip();
    if (!text.startsWith(PREFIX)) {
      throw invalid("an invite starts with " + PREFIX);
    }
    InviteUrl invite;
    try {
      byte[] all = Base64.getUrlDecoder().decode(text.substring(PREFIX.length()));
      int end = all.length - CHECK_BYTES;
      if (end <= 0
          || !Arrays.equals(
              check(Arrays.copyOf(all, end)), Arrays.copyOfRange(all, end, all.length))) {
        throw invalid("the invite is incomplete or mistyped: its check digits do not match");
      }
      invite = read(new ByteReader(all, 0, end));
    } catch (IllegalArgumentException | CodecException e) {
      throw invalid("the invite cannot be read: " + e.getMessage());
    }
    if (invite.expiresMillis <= now.toEpochMilli()) {
      throw new NodeException(
          "NODE_INVITE_EXPIRED",
          "the invite ended at " + Instant.ofEpochMilli(invite.expiresMillis),
          "run `pluresdb invite` on the other device again");
    }
    return invite;
  }

  private static InviteUrl read(ByteReader in) {
    int version = in.u8();
    if (version != VERSION) {
      throw new CodecException("invite version must be " + VERSION + ", but is " + version);
    }
    byte[] database = in.bytes(32);
    byte[] syncKey = in.bytes(32);
    byte[] founder = in.bytes(Signer.KEY_BYTES);
    byte[] inviter = in.bytes(Signer.KEY_BYTES);
    byte[] secret = in.bytes(SECRET_BYTES);
    String role = new String(in.block("role bytes", 16), StandardCharsets.US_ASCII);
    long expires = in.i64();
    int count = in.count("addresses", MAX_ADDRESSES);
    var addresses = new ArrayList<String>(count);
    for (int i = 0; i < count; i++) {
      addresses.add(
          new String(in.block("address bytes", MAX_ADDRESS_BYTES), StandardCharsets.UTF_8));
    }
    in.end();
    return new InviteUrl(
        database, syncKey, founder, inviter, secret, Role.parse(role), expires, addresses);
  }

  private static NodeException invalid(String message) {
    return new NodeException(
        "NODE_INVITE_INVALID", message, "copy the whole URL that `pluresdb invite` printed");
  }
}
