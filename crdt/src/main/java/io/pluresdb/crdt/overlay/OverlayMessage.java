package io.pluresdb.crdt.overlay;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import java.util.ArrayList;
import java.util.List;

/**
 * What {@link HyParView} says to a neighbour.
 *
 * <pre>
 * message := kind u8 | fields
 * 1 Join
 * 2 ForwardJoin   := ttl u8 | contact
 * 3 Neighbor      := urgent u8
 * 4 NeighborReply := accepted u8
 * 5 Disconnect
 * 6 Shuffle       := ttl u8 | path | contacts
 * 7 ShuffleReply  := path | contacts
 * contact  := peer 32 | address block
 * path     := count varint | peer *
 * contacts := count varint | contact *
 * </pre>
 */
public sealed interface OverlayMessage {
  /** Most hops of a walk. */
  int MAX_WALK = 8;

  /** Most contacts in a message. */
  int MAX_CONTACTS = 16;

  /** Asks to be introduced; whoever gets it always takes the sender in. */
  record Join() implements OverlayMessage {}

  /** Carries a newcomer through the graph; where the walk ends, it gets a neighbour. */
  record ForwardJoin(int ttl, Contact joiner) implements OverlayMessage {}

  /**
   * Asks to become neighbours.
   *
   * @param urgent the sender has no neighbour: must not be refused
   */
  record Neighbor(boolean urgent) implements OverlayMessage {}

  record NeighborReply(boolean accepted) implements OverlayMessage {}

  /** Ends being neighbours; the receiver closes the session. */
  record Disconnect() implements OverlayMessage {}

  /**
   * Walks through the graph and exchanges contacts with the device where it ends.
   *
   * @param path who it went through, the origin first and the sender last
   */
  record Shuffle(int ttl, List<PeerId> path, List<Contact> contacts) implements OverlayMessage {}

  /**
   * Goes back the way the {@link Shuffle} came.
   *
   * @param path what is left of the way, the origin first; empty where it ends
   */
  record ShuffleReply(List<PeerId> path, List<Contact> contacts) implements OverlayMessage {}

  default void write(ByteWriter out) {
    switch (this) {
      case Join() -> out.u8(1);
      case ForwardJoin(int ttl, Contact joiner) -> joiner.write(out.u8(2).u8(ttl));
      case Neighbor(boolean urgent) -> out.u8(3).u8(urgent ? 1 : 0);
      case NeighborReply(boolean accepted) -> out.u8(4).u8(accepted ? 1 : 0);
      case Disconnect() -> out.u8(5);
      case Shuffle(int ttl, var path, var contacts) -> {
        out.u8(6).u8(ttl).varint(path.size());
        path.forEach(peer -> peer.write(out));
        out.varint(contacts.size());
        contacts.forEach(contact -> contact.write(out));
      }
      case ShuffleReply(var path, var contacts) -> {
        out.u8(7).varint(path.size());
        path.forEach(peer -> peer.write(out));
        out.varint(contacts.size());
        contacts.forEach(contact -> contact.write(out));
      }
    }
  }

  /**
   * Decodes a message.
   *
   * @throws CodecException on anything this format does not allow
   */
  static OverlayMessage read(ByteReader in) {
    int kind = in.u8();
    return switch (kind) {
      case 1 -> new Join();
      case 2 -> new ForwardJoin(ttl(in), Contact.read(in));
      case 3 -> new Neighbor(flag(in));
      case 4 -> new NeighborReply(flag(in));
      case 5 -> new Disconnect();
      case 6 -> {
        int ttl = ttl(in);
        List<PeerId> path = path(in);
        if (path.isEmpty()) {
          throw new CodecException("a shuffle must name its origin");
        }
        yield new Shuffle(ttl, path, contacts(in));
      }
      case 7 -> new ShuffleReply(path(in), contacts(in));
      default -> throw new CodecException("unknown overlay message " + kind);
    };
  }

  private static int ttl(ByteReader in) {
    int ttl = in.u8();
    if (ttl > MAX_WALK) {
      throw new CodecException("hops of a walk must be 0 to " + MAX_WALK + ", but are " + ttl);
    }
    return ttl;
  }

  private static boolean flag(ByteReader in) {
    int flag = in.u8();
    if (flag > 1) {
      throw new CodecException("a flag must be 0 or 1, but is " + flag);
    }
    return flag == 1;
  }

  private static List<PeerId> path(ByteReader in) {
    int count = in.count("hops of a path", MAX_WALK);
    var path = new ArrayList<PeerId>(count);
    for (int i = 0; i < count; i++) {
      path.add(PeerId.read(in));
    }
    return path;
  }

  private static List<Contact> contacts(ByteReader in) {
    int count = in.count("contacts of a message", MAX_CONTACTS);
    var contacts = new ArrayList<Contact>(count);
    for (int i = 0; i < count; i++) {
      contacts.add(Contact.read(in));
    }
    return contacts;
  }
}
