package io.pluresdb.transport.dht;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class DhtIdTest {
  private final Random random = new Random(3);

  /** The vectors of BEP 42. */
  @ParameterizedTest
  @CsvSource({
    "124.31.75.21, 5fbfbff10c5d6a4ec8a88e4c6ab4c28b95eee401",
    "21.75.31.124, 5a3ce9c14e7a08645677bbd1cfe7d8f956d53256",
    "65.23.51.170, a5d43220bc8f112a3d426c84764f8c2a1150e616",
    "84.124.73.14, 1b0321dd1bb1fe518101ceef99462b947a01ff41",
    "43.213.53.83, e56f6cbf5b7c4be0237986d5243b87aa6d51305a"
  })
  void idOfBep42_isProvenForItsAddressOnly(String ip, String id) {
    InetAddress address = InetAddress.ofLiteral(ip);
    assertThat(DhtId.parse(id).isProvenFor(address)).isTrue();
    assertThat(DhtId.parse(id).isProvenFor(InetAddress.ofLiteral("8.8.8.8"))).isFalse();
    DhtId flipped =
        DhtId.parse(Integer.toHexString(Character.digit(id.charAt(0), 16) ^ 15) + id.substring(1));
    assertThat(flipped.isProvenFor(address)).isFalse();
  }

  @ParameterizedTest
  @CsvSource({"198.51.100.7", "2001:db8:1:2::9"})
  void provenId_isProven_andOthersHardlyEver(String ip) {
    InetAddress address = InetAddress.ofLiteral(ip);
    int byChance = 0;
    for (int i = 0; i < 1_000; i++) {
      assertThat(DhtId.provenFor(address, random).isProvenFor(address)).isTrue();
      byChance += DhtId.random(random).isProvenFor(address) ? 1 : 0;
    }
    assertThat(byChance).isLessThan(2);
  }

  @ParameterizedTest
  @CsvSource({
    "127.0.0.1, LOOPBACK",
    "::1, LOOPBACK",
    "10.1.2.3, PRIVATE",
    "172.31.0.1, PRIVATE",
    "172.32.0.1, GLOBAL",
    "192.168.1.1, PRIVATE",
    "169.254.1.1, PRIVATE",
    "100.64.0.1, PRIVATE",
    "100.128.0.1, GLOBAL",
    "fe80::1, PRIVATE",
    "fd00::1, PRIVATE",
    "2001:db8::1, GLOBAL",
    "0.0.0.0, NONE",
    "0.1.2.3, NONE",
    "::, NONE",
    "224.0.0.1, NONE",
    "255.255.255.255, NONE",
    "ff02::1, NONE"
  })
  void scope_isOfTheAddress(String ip, AddressScope scope) {
    assertThat(AddressScope.of(InetAddress.ofLiteral(ip))).isEqualTo(scope);
  }

  @Test
  void stranger_tellsOfNobodyNearerThanHimself() {
    var loopback = InetAddress.ofLiteral("127.0.0.1");
    var home = InetAddress.ofLiteral("192.168.1.1");
    var far = InetAddress.ofLiteral("198.51.100.7");
    assertThat(AddressScope.mayTell(far, new InetSocketAddress(loopback, 1))).isFalse();
    assertThat(AddressScope.mayTell(far, new InetSocketAddress(home, 1))).isFalse();
    assertThat(AddressScope.mayTell(far, new InetSocketAddress(far, 1))).isTrue();
    assertThat(AddressScope.mayTell(home, new InetSocketAddress(far, 1))).isTrue();
    assertThat(AddressScope.mayTell(home, new InetSocketAddress(loopback, 1))).isFalse();
    assertThat(AddressScope.mayTell(loopback, new InetSocketAddress(home, 1))).isTrue();
    assertThat(AddressScope.mayTell(far, new InetSocketAddress(far, 0))).isFalse();
    assertThat(
            AddressScope.mayTell(far, new InetSocketAddress(InetAddress.ofLiteral("224.0.0.1"), 1)))
        .isFalse();
  }

  @Test
  void commonBits_areThoseAskedFor() {
    DhtId self = DhtId.random(random);
    for (int bits = 0; bits < DhtId.BITS; bits++) {
      for (int round = 0; round < 20; round++) {
        assertThat(self.commonBits(self.withCommonBits(bits, random))).isEqualTo(bits);
      }
    }
    assertThat(self.commonBits(self)).isEqualTo(DhtId.BITS);
  }

  @Test
  void distance_isByExclusiveOr() {
    DhtId zero = new DhtId(0, 0, 0);
    DhtId small = new DhtId(0, 0, 1);
    DhtId large = new DhtId(-1, 0, 0);
    assertThat(zero.compareDistance(small, large)).isNegative();
    assertThat(large.compareDistance(small, large)).isPositive();
    assertThat(small.compareTo(large)).isNegative();
    assertThat(DhtId.parse(large.hex())).isEqualTo(large);
    assertThat(DhtId.read(large.toByteArray(), 0)).isEqualTo(large);
    assertThatThrownBy(() -> DhtId.parse("00"))
        .hasMessage("a DHT id must have 40 hexadecimal characters, but has 2");
  }
}
