package io.pluresdb.transport.dht;

import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * One datagram of the mainline DHT (BEP 5, with BEP 32, 42 and 43).
 *
 * <pre>
 * query   d 1:a {arguments} 1:q method [2:ro i1e] 1:t transaction [1:v client] 1:y 1:q e
 * reply   d [2:ip address] 1:r {id, nodes, nodes6, token, values} 1:t transaction 1:y 1:r e
 * failure d 1:e l code text e 1:t transaction 1:y 1:e e
 * </pre>
 */
public sealed interface KrpcMessage {
  /** Largest datagram that is read. */
  int MAX_READ_BYTES = 2048;

  /** Largest datagram that is sent: below every path's limit, fragments get lost. */
  int MAX_SENT_BYTES = 1024;

  int MAX_TRANSACTION_BYTES = 32;
  int MAX_TOKEN_BYTES = 64;

  /** Most contacts of a family, and most values, that are taken from one reply. */
  int MAX_CONTACTS = 20;

  int MAX_VALUES = 100;
  int MAX_FAILURE_TEXT_BYTES = 128;

  /** Codes of {@link Failure} (BEP 5). */
  int PROTOCOL_ERROR = 203;

  int METHOD_UNKNOWN = 204;

  /** Chosen by who asks; the answer repeats it. 1 to {@link #MAX_TRANSACTION_BYTES} bytes. */
  byte[] transaction();

  /** What a query asks. */
  sealed interface Ask {
    String method();

    record Ping() implements Ask {
      @Override
      public String method() {
        return "ping";
      }
    }

    /**
     * @param want families of nodes wanted; empty for the one of the datagram
     */
    record FindNode(DhtId target, Set<AddressFamily> want) implements Ask {
      @Override
      public String method() {
        return "find_node";
      }
    }

    /**
     * @param want as in {@link FindNode}
     */
    record GetPeers(DhtId topic, Set<AddressFamily> want) implements Ask {
      @Override
      public String method() {
        return "get_peers";
      }
    }

    /**
     * @param port 1 to 65535 unless {@code impliedPort}
     * @param impliedPort take the port the datagram came from
     */
    record AnnouncePeer(DhtId topic, int port, boolean impliedPort, byte[] token) implements Ask {
      @Override
      public String method() {
        return "announce_peer";
      }
    }
  }

  /**
   * @param readOnly the sender answers no queries and is to be kept in no table (BEP 43)
   */
  record Query(byte[] transaction, DhtId sender, boolean readOnly, Ask ask)
      implements KrpcMessage {}

  /**
   * @param nodes of both families
   * @param peers values of a topic
   * @param token to announce with; null when none came
   * @param observed where the replier saw the query come from (BEP 42); null when not said
   */
  record Reply(
      byte[] transaction,
      DhtId sender,
      List<NodeContact> nodes,
      List<InetSocketAddress> peers,
      byte @Nullable [] token,
      @Nullable InetSocketAddress observed)
      implements KrpcMessage {}

  record Failure(byte[] transaction, int code, String text) implements KrpcMessage {}

  /**
   * A datagram that is none of these.
   *
   * @param transaction empty unless it is a query that can be refused with {@code code}
   */
  record Malformed(byte[] transaction, int code, String reason) implements KrpcMessage {
    private static Malformed silent(String reason) {
      return new Malformed(new byte[0], PROTOCOL_ERROR, reason);
    }
  }

  /** Reads {@code bytes[0, length)}; what does not fit is {@link Malformed}, never an exception. */
  static KrpcMessage decode(byte[] bytes, int length) {
    if (length > MAX_READ_BYTES) {
      return Malformed.silent("too-long");
    }
    if (!(BencodeValue.decode(bytes, length) instanceof BencodeValue.Table table)) {
      return Malformed.silent("no-bencoded-table");
    }
    byte[] transaction = table.text("t");
    byte[] kind = table.text("y");
    if (transaction == null
        || transaction.length == 0
        || transaction.length > MAX_TRANSACTION_BYTES
        || kind == null
        || kind.length != 1) {
      return Malformed.silent("no-envelope");
    }
    return switch (kind[0]) {
      case 'q' -> query(table, transaction);
      case 'r' -> reply(table, transaction);
      case 'e' -> failure(table, transaction);
      default -> Malformed.silent("unknown-kind");
    };
  }

  private static KrpcMessage query(BencodeValue.Table table, byte[] transaction) {
    byte[] method = table.text("q");
    BencodeValue.Table arguments = table.table("a");
    DhtId sender = arguments == null ? null : id(arguments, "id");
    if (method == null || arguments == null || sender == null) {
      return new Malformed(transaction, PROTOCOL_ERROR, "no-query");
    }
    Set<AddressFamily> want = EnumSet.noneOf(AddressFamily.class);
    for (BencodeValue item : arguments.items("want")) {
      for (AddressFamily family : AddressFamily.values()) {
        if (item instanceof BencodeValue.Text(byte[] text) && ascii(text).equals(family.want())) {
          want.add(family);
        }
      }
    }
    Ask ask;
    switch (ascii(method)) {
      case "ping" -> ask = new Ask.Ping();
      case "find_node" -> {
        DhtId target = id(arguments, "target");
        ask = target == null ? null : new Ask.FindNode(target, want);
      }
      case "get_peers" -> {
        DhtId topic = id(arguments, "info_hash");
        ask = topic == null ? null : new Ask.GetPeers(topic, want);
      }
      case "announce_peer" -> ask = announce(arguments);
      default -> {
        return new Malformed(transaction, METHOD_UNKNOWN, "unknown-method");
      }
    }
    return ask == null
        ? new Malformed(transaction, PROTOCOL_ERROR, "arguments")
        : new Query(transaction, sender, table.whole("ro", 0) == 1, ask);
  }

  private static @Nullable Ask announce(BencodeValue.Table arguments) {
    DhtId topic = id(arguments, "info_hash");
    byte[] token = arguments.text("token");
    boolean implied = arguments.whole("implied_port", 0) == 1;
    long port = arguments.whole("port", 0);
    boolean usable = implied || (port > 0 && port <= 0xffff);
    return topic == null || token == null || token.length > MAX_TOKEN_BYTES || !usable
        ? null
        : new Ask.AnnouncePeer(topic, implied ? 0 : (int) port, implied, token);
  }

  private static KrpcMessage reply(BencodeValue.Table table, byte[] transaction) {
    BencodeValue.Table results = table.table("r");
    DhtId sender = results == null ? null : id(results, "id");
    if (results == null || sender == null) {
      return Malformed.silent("no-reply");
    }
    var nodes = new ArrayList<NodeContact>();
    for (AddressFamily family : AddressFamily.values()) {
      byte[] compact = results.text(family.nodesKey());
      var some = new ArrayList<NodeContact>();
      if (compact != null && !family.readContacts(compact, some)) {
        return Malformed.silent("nodes");
      }
      nodes.addAll(some.subList(0, Math.min(some.size(), MAX_CONTACTS)));
    }
    var peers = new ArrayList<InetSocketAddress>();
    for (BencodeValue item : results.items("values")) {
      InetSocketAddress peer =
          item instanceof BencodeValue.Text(byte[] text) ? AddressFamily.readAddress(text) : null;
      if (peer == null) {
        return Malformed.silent("values");
      }
      if (peers.size() < MAX_VALUES) {
        peers.add(peer);
      }
    }
    byte[] token = results.text("token");
    byte[] observed = table.text("ip");
    return new Reply(
        transaction,
        sender,
        List.copyOf(nodes),
        List.copyOf(peers),
        token == null || token.length > MAX_TOKEN_BYTES ? null : token,
        observed == null ? null : AddressFamily.readAddress(observed));
  }

  private static KrpcMessage failure(BencodeValue.Table table, byte[] transaction) {
    List<BencodeValue> items = table.items("e");
    if (items.size() < 2
        || !(items.get(0) instanceof BencodeValue.Whole(long code))
        || !(items.get(1) instanceof BencodeValue.Text(byte[] text))) {
      // Some nodes send the text alone; it is an answer all the same.
      return new Failure(transaction, 0, "");
    }
    int shown = Math.min(text.length, MAX_FAILURE_TEXT_BYTES);
    return new Failure(
        transaction, (int) code, new String(text, 0, shown, StandardCharsets.ISO_8859_1));
  }

  private static @Nullable DhtId id(BencodeValue.Table table, String key) {
    byte[] bytes = table.text(key);
    return bytes == null || bytes.length != DhtId.BYTES ? null : DhtId.read(bytes, 0);
  }

  private static String ascii(byte[] bytes) {
    return new String(bytes, StandardCharsets.US_ASCII);
  }

  /**
   * The datagram of this message.
   *
   * @throws java.nio.BufferOverflowException beyond {@link #MAX_SENT_BYTES}
   */
  default byte[] encode() {
    var out = new BencodeWriter(MAX_SENT_BYTES).table();
    switch (this) {
      case Query query -> {
        out.text("a").table().text("id").text(query.sender.toByteArray());
        switch (query.ask) {
          case Ask.Ping() -> {}
          case Ask.FindNode(DhtId target, Set<AddressFamily> want) -> {
            out.text("target").text(target.toByteArray());
            writeWant(out, want);
          }
          case Ask.GetPeers(DhtId topic, Set<AddressFamily> want) -> {
            out.text("info_hash").text(topic.toByteArray());
            writeWant(out, want);
          }
          case Ask.AnnouncePeer(DhtId topic, int port, boolean implied, byte[] token) -> {
            if (implied) {
              out.text("implied_port").whole(1);
            }
            out.text("info_hash").text(topic.toByteArray());
            out.text("port").whole(port).text("token").text(token);
          }
        }
        out.end().text("q").text(query.ask.method());
        if (query.readOnly) {
          out.text("ro").whole(1);
        }
        out.text("t").text(query.transaction).text("y").text("q");
      }
      case Reply reply -> {
        if (reply.observed != null) {
          out.text("ip");
          writeAddress(out, reply.observed);
        }
        out.text("r").table().text("id").text(reply.sender.toByteArray());
        for (AddressFamily family : AddressFamily.values()) {
          var some = reply.nodes.stream().filter(c -> c.family() == family).toList();
          if (!some.isEmpty()) {
            ByteBuffer to = out.text(family.nodesKey()).size(some.size() * family.contactBytes());
            some.forEach(contact -> AddressFamily.write(to, contact));
          }
        }
        if (reply.token != null) {
          out.text("token").text(reply.token);
        }
        if (!reply.peers.isEmpty()) {
          out.text("values").items();
          reply.peers.forEach(peer -> writeAddress(out, peer));
          out.end();
        }
        out.end().text("t").text(reply.transaction).text("y").text("r");
      }
      case Failure failure -> {
        out.text("e").items().whole(failure.code).text(failure.text).end();
        out.text("t").text(failure.transaction).text("y").text("e");
      }
      case Malformed malformed ->
          throw new IllegalArgumentException("cannot be sent: " + malformed.reason);
    }
    return out.end().toByteArray();
  }

  private static void writeWant(BencodeWriter out, Set<AddressFamily> want) {
    if (!want.isEmpty()) {
      out.text("want").items();
      want.forEach(family -> out.text(family.want()));
      out.end();
    }
  }

  private static void writeAddress(BencodeWriter out, InetSocketAddress address) {
    AddressFamily.write(out.size(AddressFamily.of(address).addressBytes()), address);
  }
}
