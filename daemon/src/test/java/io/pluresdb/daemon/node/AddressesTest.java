package io.pluresdb.daemon.node;

import static org.assertj.core.api.Assertions.assertThat;

import java.net.InetSocketAddress;
import java.util.List;
import java.util.Objects;
import org.junit.jupiter.api.Test;

class AddressesTest {
  @Test
  void parseNumeric_readsDigits_asTheyAreWritten() {
    for (String text : List.of("192.0.2.1:34570", "[2001:db8:0:0:0:0:0:1]:1")) {
      InetSocketAddress address = Objects.requireNonNull(Addresses.parseNumeric(text), text);
      assertThat(address.isUnresolved()).isFalse();
      assertThat(Addresses.format(address)).isEqualTo(text);
    }
  }

  /** A stranger's address must not make this device ask a name server. */
  @Test
  void parseNumeric_refusesNamesAndNonsense() {
    for (String text :
        List.of(
            "",
            ":",
            "localhost:1",
            "example.org:443",
            "192.0.2.999:1",
            "192.0.2.1",
            "192.0.2.1:0",
            "192.0.2.1:65536",
            "192.0.2.1:-1",
            "192.0.2.1:x",
            "[::1:1",
            "[]:1")) {
      assertThat(Addresses.parseNumeric(text)).as(text).isNull();
    }
  }
}
