package io.pluresdb.daemon.node;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionPath;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import org.jspecify.annotations.Nullable;

/**
 * What a device says about itself in the handshake, inside the encryption.
 *
 * <pre>
 * introduction := version u8 = 1 | nameLength varint | name | port varint | claims u8 | (invite 16 | claim 32)?
 * </pre>
 *
 * @param name what people call the device
 * @param port where it accepts sessions, 0 when it does not
 * @param invite id of the invite it comes with, or null
 * @param claim the proof that goes with the invite, or null
 */
record Introduction(String name, int port, byte @Nullable [] invite, byte @Nullable [] claim) {
  private static final int VERSION = 1;

  byte[] toByteArray() {
    var out = new ByteWriter(128);
    out.u8(VERSION).block(name.getBytes(StandardCharsets.UTF_8)).varint(port);
    if (invite != null && claim != null) {
      out.u8(1).bytes(invite).bytes(claim);
    } else {
      out.u8(0);
    }
    return out.toByteArray();
  }

  /** Where the peer of a session accepts sessions, {@code host:port}; empty when not known. */
  static String address(Session session) {
    if (!(session.path() instanceof SessionPath.Direct)
        || !(session.remoteAddress() instanceof InetSocketAddress remote)
        || remote.getAddress() == null) {
      return "";
    }
    if (session.dialledPath()) {
      return Addresses.format(remote);
    }
    try {
      int port = read(session.peerAttachment()).port();
      return port == 0 ? "" : Addresses.format(new InetSocketAddress(remote.getAddress(), port));
    } catch (CodecException e) {
      return "";
    }
  }

  /**
   * Reads what a peer sent.
   *
   * @throws CodecException when it is no introduction
   */
  static Introduction read(byte[] bytes) {
    var in = new ByteReader(bytes);
    int version = in.u8();
    if (version != VERSION) {
      throw new CodecException("introduction version must be " + VERSION + ", but is " + version);
    }
    byte[] name = in.block("name bytes", MembershipEntry.MAX_NAME_BYTES);
    int port = in.count("port", 65_535);
    byte[] invite = null;
    byte[] claim = null;
    if (in.u8() == 1) {
      invite = in.bytes(MembershipEntry.INVITE_BYTES);
      claim = in.bytes(Hash.BYTES);
    }
    return new Introduction(new String(name, StandardCharsets.UTF_8), port, invite, claim);
  }
}
