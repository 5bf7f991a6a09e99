package io.pluresdb.transport.path;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** What goes over the wire to open a path. */
class PathMessageTest {
  private static final byte[] TOKEN = HexFormat.of().parseHex("0102030405060708");

  private static String hex(PathMessage message) {
    return HexFormat.of().formatHex(message.encode());
  }

  @Test
  void messages_haveTheirGoldenBytes_andAreReadAgain() {
    var addresses =
        List.of(
            new InetSocketAddress("203.0.113.5", 34_570), new InetSocketAddress("2001:db8::1", 1));
    var offer = new PathMessage.Offer(7, NatKind.CONE, TOKEN, addresses);
    assertThat(hex(offer))
        .isEqualTo("01070201020304050607080204cb007105870a0620010db80000000000000000000000010001");
    assertThat(hex(new PathMessage.Answer(255, NatKind.UNKNOWN, TOKEN, List.of(), 0x123)))
        .isEqualTo("02ff000102030405060708000123");
    assertThat(hex(new PathMessage.Now(7))).isEqualTo("0307");
    assertThat(hex(new PathMessage.Again())).isEqualTo("04");
    assertThat(PathMessage.decode(offer.encode()))
        .isInstanceOfSatisfying(
            PathMessage.Offer.class, read -> assertThat(read.addresses()).isEqualTo(addresses));
    assertThat(new PunchProbe(true, TOKEN).encode())
        .isEqualTo(HexFormat.of().parseHex("10010102030405060708"));
  }

  @Test
  void decode_anythingElse_isNull() {
    var most = new InetSocketAddress[Reachability.MAX_ADDRESSES + 1];
    Arrays.setAll(most, i -> new InetSocketAddress("203.0.113.5", 1 + i));
    var full =
        new PathMessage.Offer(
            1, NatKind.OPEN, TOKEN, List.of(most).subList(0, Reachability.MAX_ADDRESSES));
    assertThat(PathMessage.decode(full.encode())).isNotNull();
    assertThat(
            PathMessage.decode(
                new PathMessage.Offer(1, NatKind.OPEN, TOKEN, List.of(most)).encode()))
        .isNull();
    byte[] whole = full.encode();
    for (int length = 0; length < whole.length; length++) {
      assertThat(PathMessage.decode(Arrays.copyOf(whole, length))).isNull();
    }
    assertThat(PathMessage.decode(Arrays.copyOf(whole, whole.length + 1))).isNull();
    var random = new Random(5);
    for (int i = 0; i < 20_000; i++) {
      byte[] bytes = new byte[random.nextInt(60)];
      random.nextBytes(bytes);
      if (bytes.length > 0) {
        bytes[0] = (byte) random.nextInt(6);
      }
      PathMessage read = PathMessage.decode(bytes);
      if (read != null) {
        assertThat(read.encode()).isEqualTo(bytes);
      }
      assertThat(PunchProbe.decode(bytes, bytes.length)).isNull();
    }
  }

  @Test
  void datagrams_ofOnePort_areToldApart() {
    assertThat(DatagramKind.of((byte) 'd', (byte) '1')).isEqualTo(DatagramKind.KRPC);
    assertThat(DatagramKind.of((byte) 'd', DatagramKind.CONNECTION_ID_MARK))
        .isEqualTo(DatagramKind.QUIC);
    for (int first = 0x40; first < 0x80; first++) {
      assertThat(DatagramKind.of((byte) first, DatagramKind.CONNECTION_ID_MARK))
          .isEqualTo(DatagramKind.QUIC);
    }
    for (int first = 0x80; first < 0x100; first++) {
      assertThat(DatagramKind.of((byte) first, (byte) '1')).isEqualTo(DatagramKind.QUIC);
    }
    assertThat(DatagramKind.of(DatagramKind.PUNCH_MARK, (byte) 0)).isEqualTo(DatagramKind.PUNCH);
    assertThat(DatagramKind.of((byte) 0, (byte) 0)).isEqualTo(DatagramKind.KRPC);
  }

  @Test
  void natKind_followsFromWhatOthersSay() {
    InetAddress seen = InetAddress.ofLiteral("203.0.113.5");
    assertThat(NatKind.of(null, 0, List.of())).isEqualTo(NatKind.UNKNOWN);
    assertThat(NatKind.of(seen, 7, List.of(seen))).isEqualTo(NatKind.OPEN);
    assertThat(NatKind.of(seen, 7, List.of())).isEqualTo(NatKind.CONE);
    assertThat(NatKind.of(seen, 0, List.of())).isEqualTo(NatKind.SYMMETRIC);
  }
}
