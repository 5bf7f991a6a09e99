package io.pluresdb.transport.dht;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.transport.dht.KrpcMessage.Ask;
import io.pluresdb.transport.dht.KrpcMessage.Failure;
import io.pluresdb.transport.dht.KrpcMessage.Malformed;
import io.pluresdb.transport.dht.KrpcMessage.Query;
import io.pluresdb.transport.dht.KrpcMessage.Reply;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.BufferOverflowException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

class KrpcMessageTest {
  /** The ids, the token and the transactions of the examples in BEP 5. */
  private static final DhtId ASKER = id("abcdefghij0123456789");

  private static final DhtId OTHER = id("mnopqrstuvwxyz123456");
  private static final byte[] AA = bytes("aa");

  static DhtId id(String text) {
    return DhtId.read(bytes(text), 0);
  }

  static byte[] bytes(String latin) {
    return latin.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static InetSocketAddress at(String ip, int port) {
    return new InetSocketAddress(InetAddress.ofLiteral(ip), port);
  }

  private static KrpcMessage decode(String latin) {
    byte[] bytes = bytes(latin);
    return KrpcMessage.decode(bytes, bytes.length);
  }

  private static Query query(Ask ask) {
    return new Query(AA, ASKER, false, ask);
  }

  private static Reply reply(
      List<NodeContact> nodes, List<InetSocketAddress> peers, byte @Nullable [] token) {
    return new Reply(AA, OTHER, nodes, peers, token, null);
  }

  /** Each example of BEP 5 that has no elided part, and the messages it stands for. */
  static Stream<Object[]> examples() {
    var want = EnumSet.of(AddressFamily.IPV4, AddressFamily.IPV6);
    return Stream.of(
        new Object[] {
          "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe", query(new Ask.Ping())
        },
        new Object[] {
          "d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:re", reply(List.of(), List.of(), null)
        },
        new Object[] {
          "d1:ad2:id20:abcdefghij01234567896:target20:mnopqrstuvwxyz123456e1:q9:find_node"
              + "1:t2:aa1:y1:qe",
          query(new Ask.FindNode(OTHER, Set.of()))
        },
        new Object[] {
          "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers"
              + "1:t2:aa1:y1:qe",
          query(new Ask.GetPeers(OTHER, Set.of()))
        },
        new Object[] {
          "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:wantl2:n42:n6ee"
              + "1:q9:get_peers1:t2:aa1:y1:qe",
          query(new Ask.GetPeers(OTHER, want))
        },
        new Object[] {
          "d1:rd2:id20:mnopqrstuvwxyz1234565:token8:aoeusnth6:valuesl6:axje.u6:idhtnmee"
              + "1:t2:aa1:y1:re",
          reply(
              List.of(),
              List.of(at("97.120.106.101", 0x2e75), at("105.100.104.116", 0x6e6d)),
              bytes("aoeusnth"))
        },
        new Object[] {
          "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti6881e"
              + "5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe",
          query(new Ask.AnnouncePeer(OTHER, 6881, false, bytes("aoeusnth")))
        },
        new Object[] {
          "d1:eli201e23:A Generic Error Ocurrede1:t2:aa1:y1:ee",
          new Failure(AA, 201, "A Generic Error Ocurred")
        },
        new Object[] {
          "d2:ip6:abcdef1:rd2:id20:mnopqrstuvwxyz1234565:nodes26:abcdefghij0123456789axje.u"
              + "6:nodes638:abcdefghij0123456789 \001\015\270\0\0\0\0\0\0\0\0\0\0\0\001.ue"
              + "1:t2:aa1:y1:re",
          new Reply(
              AA,
              OTHER,
              List.of(
                  new NodeContact(ASKER, at("97.120.106.101", 0x2e75)),
                  new NodeContact(ASKER, at("2001:db8::1", 0x2e75))),
              List.of(),
              null,
              at("97.98.99.100", 0x6566))
        },
        new Object[] {
          "d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe",
          new Query(AA, ASKER, true, new Ask.Ping())
        });
  }

  @ParameterizedTest
  @MethodSource("examples")
  void example_isReadAndWrittenByteForByte(String wire, KrpcMessage message) {
    assertThat(new String(message.encode(), StandardCharsets.ISO_8859_1)).isEqualTo(wire);
    assertThat(decode(wire)).usingRecursiveComparison().isEqualTo(message);
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "",
        "d",
        "le",
        "i1e",
        "de",
        "d1:t2:aa1:y1:xe",
        "d1:t0:1:y1:qe",
        "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qee",
        "d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:t2:aa1:y1:qe",
        "d1:ad2:id020:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
        "d1:rd2:id19:mnopqrstuvwxyz12345e1:t2:aa1:y1:re",
        "d1:rd2:id20:mnopqrstuvwxyz1234565:nodes25:abcdefghij0123456789axje.e1:t2:aa1:y1:re",
        "d1:rd2:id20:mnopqrstuvwxyz1234566:valuesl5:axje.ee1:t2:aa1:y1:re",
        "d1:ri00ee1:t2:aa1:y1:re",
        "d1:ri-0ee1:t2:aa1:y1:re",
        "d1:ri99999999999999999999ee1:t2:aa1:y1:re",
        "d1:t99999999999999999999:aa1:y1:re",
        "d1:rllllllleeeeeeee1:t2:aa1:y1:re"
      })
  void whatIsNoMessage_isMalformedAndNotAnswered(String wire) {
    assertThat(decode(wire))
        .isInstanceOfSatisfying(Malformed.class, m -> assertThat(m.transaction()).isEmpty());
  }

  @Test
  void queryWithoutSense_isRefusedByItsTransaction() {
    assertThat(decode("d1:ad2:id20:abcdefghij0123456789e1:q4:vote1:t2:aa1:y1:qe"))
        .usingRecursiveComparison()
        .isEqualTo(new Malformed(AA, KrpcMessage.METHOD_UNKNOWN, "unknown-method"));
    assertThat(decode("d1:ad2:id20:abcdefghij0123456789e1:q9:find_node1:t2:aa1:y1:qe"))
        .usingRecursiveComparison()
        .isEqualTo(new Malformed(AA, KrpcMessage.PROTOCOL_ERROR, "arguments"));
    for (int port : new int[] {-1, 0, 65_536}) {
      assertThat(
              decode(
                  "d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz1234564:porti"
                      + port
                      + "e5:token8:aoeusnthe1:q13:announce_peer1:t2:aa1:y1:qe"))
          .isInstanceOf(Malformed.class);
    }
  }

  @Test
  void keysOutOfOrder_asDeployedNodesAppendThem_areRead() {
    assertThat(decode("d1:rd2:id20:mnopqrstuvwxyz123456e1:t2:aa1:y1:r2:ip6:abcdefe"))
        .isInstanceOfSatisfying(
            Reply.class, r -> assertThat(r.observed()).isEqualTo(at("97.98.99.100", 0x6566)));
  }

  @Test
  void mappedAddress_isNoNodeOfIpv6() {
    String mapped = "\0\0\0\0\0\0\0\0\0\0\377\377\177\0\0\001.u";
    assertThat(
            decode(
                "d1:rd2:id20:mnopqrstuvwxyz1234566:nodes638:abcdefghij0123456789"
                    + mapped
                    + "e1:t2:aa1:y1:re"))
        .isInstanceOfSatisfying(Reply.class, r -> assertThat(r.nodes()).isEmpty());
  }

  @Test
  void lengthOfADatagram_hasALimit() {
    byte[] ping = query(new Ask.Ping()).encode();
    byte[] longest = Arrays.copyOf(ping, KrpcMessage.MAX_READ_BYTES + 1);
    assertThat(KrpcMessage.decode(longest, longest.length))
        .isInstanceOfSatisfying(Malformed.class, m -> assertThat(m.reason()).isEqualTo("too-long"));
    assertThatThrownBy(() -> query(new Ask.AnnouncePeer(OTHER, 1, false, new byte[1024])).encode())
        .isInstanceOf(BufferOverflowException.class);
  }

  @Test
  void replyWithTooMany_isReadUpToTheLimit() {
    var peers = new ArrayList<InetSocketAddress>();
    for (int i = 0; i < KrpcMessage.MAX_VALUES + 1; i++) {
      peers.add(at("192.0.2.1", 1 + i));
    }
    byte[] wire = reply(List.of(), peers, null).encode();
    assertThat(KrpcMessage.decode(wire, wire.length))
        .isInstanceOfSatisfying(
            Reply.class, r -> assertThat(r.peers()).hasSize(KrpcMessage.MAX_VALUES));
  }

  @Test
  void nesting_hasALimit() {
    String deepest = "l".repeat(BencodeValue.MAX_DEPTH) + "e".repeat(BencodeValue.MAX_DEPTH);
    assertThat(BencodeValue.decode(bytes(deepest), deepest.length())).isNotNull();
    assertThat(BencodeValue.decode(bytes("l" + deepest + "e"), deepest.length() + 2)).isNull();
    String many = "l" + "le".repeat(BencodeValue.MAX_VALUES - 1) + "e";
    assertThat(BencodeValue.decode(bytes(many), many.length())).isNotNull();
    String tooMany = "l" + "le".repeat(BencodeValue.MAX_VALUES) + "e";
    assertThat(BencodeValue.decode(bytes(tooMany), tooMany.length())).isNull();
  }

  @Test
  void truncatedOrFlipped_neverThrows_andWhatIsReadCanBeWritten() {
    var random = new Random(5);
    int read = 0;
    for (Object[] example : examples().toList()) {
      byte[] wire = bytes((String) example[0]);
      for (int length = 0; length < wire.length; length++) {
        assertThat(KrpcMessage.decode(wire, length)).isInstanceOf(Malformed.class);
      }
      for (int round = 0; round < 10_000; round++) {
        byte[] broken = wire.clone();
        for (int flips = 1 + random.nextInt(3); flips > 0; flips--) {
          broken[random.nextInt(broken.length)] ^= (byte) (1 << random.nextInt(8));
        }
        KrpcMessage message = KrpcMessage.decode(broken, broken.length);
        if (!(message instanceof Malformed)) {
          byte[] again = message.encode();
          assertThat(KrpcMessage.decode(again, again.length))
              .as(() -> HexFormat.of().formatHex(broken))
              .usingRecursiveComparison()
              .isEqualTo(message);
          read++;
        }
      }
    }
    assertThat(read).isPositive();
  }
}
