package io.pluresdb.transport.relay;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.transport.identity.DeviceIdentity;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Tokens that an operator signed. */
class RelayTokenTest {
  private static final DeviceIdentity OPERATOR = DeviceIdentity.create(new Random(1));
  private static final List<byte[]> KNOWN = List.of(OPERATOR.publicKey());
  private static final Instant NOW = Instant.ofEpochMilli(1_700_000_000_000L);
  private static final RelayToken TOKEN =
      new RelayToken("family", NOW.toEpochMilli() + 1, 7, 1 << 20);

  private static String why(String text, List<byte[]> operators, Instant at) {
    return switch (RelayToken.judge(text, operators, at)) {
      case RelayToken.Verdict.Valid ignored -> "";
      case RelayToken.Verdict.Invalid(var why) -> why;
    };
  }

  @Test
  void token_isReadAsItWasSigned_untilItExpires() {
    String text = TOKEN.sign(OPERATOR);
    assertThat(RelayToken.judge(text, KNOWN, NOW)).isEqualTo(new RelayToken.Verdict.Valid(TOKEN));
    assertThat(why(text, KNOWN, NOW.plusMillis(1)))
        .isEqualTo("this token expired at 2023-11-14T22:13:20.001Z");
    assertThat(RelayUrl.parse("wss://" + text + "@relay.example").token()).isEqualTo(text);
    var longest = new RelayToken("n".repeat(32), Long.MAX_VALUE, Integer.MAX_VALUE, 0);
    assertThat(longest.sign(OPERATOR).length()).isLessThanOrEqualTo(RelayToken.MAX_TEXT_CHARACTERS);
    assertThat(why(longest.sign(OPERATOR), KNOWN, NOW)).isEmpty();
  }

  @Test
  void token_ofAnotherOperator_orChangedAnywhere_isNone() {
    DeviceIdentity other = DeviceIdentity.create(new Random(2));
    assertThat(why(TOKEN.sign(other), KNOWN, NOW)).contains("not signed for this relay");
    assertThat(why(TOKEN.sign(OPERATOR), List.of(), NOW)).contains("not signed for this relay");
    assertThat(why(TOKEN.sign(other), List.of(OPERATOR.publicKey(), other.publicKey()), NOW))
        .isEmpty();
    byte[] all =
        Base64.getUrlDecoder().decode(TOKEN.sign(OPERATOR).substring(RelayToken.PREFIX.length()));
    for (int bit = 0; bit < all.length * 8; bit++) {
      byte[] changed = all.clone();
      changed[bit / 8] ^= (byte) (1 << bit % 8);
      String text =
          RelayToken.PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(changed);
      assertThat(why(text, KNOWN, NOW)).as("bit %d", bit).isNotEmpty();
    }
  }

  @Test
  void anotherTextOfAToken_orNone_isNoToken() {
    String text = TOKEN.sign(OPERATOR);
    for (String wrong :
        List.of(
            "",
            RelayToken.PREFIX,
            text.substring(1),
            text + "=",
            text + "A",
            text.substring(0, text.length() - 1),
            "s1.!" + text.substring(4),
            RelayToken.PREFIX + "A".repeat(10_000))) {
      assertThat(why(wrong, KNOWN, NOW)).isEqualTo("this is no token");
    }
  }

  @Test
  void values_outOfRange_areRefused() {
    for (String name : List.of("", "n".repeat(33), "two words", "näh")) {
      assertThatThrownBy(() -> new RelayToken(name, 1, 0, 0)).hasMessageContaining("1 to 32");
    }
    assertThatThrownBy(() -> new RelayToken("n", 0, 0, 0)).hasMessageContaining("after 1970");
    assertThatThrownBy(() -> new RelayToken("n", 1, -1, 0)).hasMessageContaining("-1");
    assertThatThrownBy(() -> new RelayToken("n", 1, 0, -1)).hasMessageContaining("-1");
  }
}
