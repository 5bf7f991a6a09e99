package io.pluresdb.transport.identity;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.Test;

class DeviceIdTest {
  @Test
  void parse_printedId_isTheSameWhateverCaseAndDashes() {
    Random random = new Random(11);
    for (int i = 0; i < 1000; i++) {
      DeviceId id = DeviceIdentity.create(random).id();
      String text = id.toString();
      assertThat(text).matches("([A-Z2-7]{8}-){6}[A-Z2-7]{8}");
      assertThat(DeviceId.parse(text)).isEqualTo(id);
      assertThat(DeviceId.parse(text.toLowerCase(Locale.ROOT).replace("-", " "))).isEqualTo(id);
    }
  }

  @Test
  void parse_lookalikeDigits_areReadAsLetters() {
    DeviceId id = new DeviceId(new byte[32]);
    String text = id.toString();
    String typed = text.replace('O', '0').replace('I', '1').replace('B', '8');
    assertThat(DeviceId.parse(typed)).isEqualTo(id);
  }

  @Test
  void parse_oneWrongOrSwappedCharacter_isRefused() {
    String text = DeviceIdentity.create(new Random(12)).id().toString();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '-') {
        continue;
      }
      String wrong = text.substring(0, i) + (c == 'A' ? 'C' : 'A') + text.substring(i + 1);
      assertThatIllegalArgumentException()
          .isThrownBy(() -> DeviceId.parse(wrong))
          .withMessageContaining("mistyped");
    }
  }

  @Test
  void parse_otherLengthsAndCharacters_areRefused() {
    String text = DeviceIdentity.create(new Random(13)).id().toString();
    assertThatIllegalArgumentException().isThrownBy(() -> DeviceId.parse(""));
    assertThatIllegalArgumentException().isThrownBy(() -> DeviceId.parse(text + "A"));
    assertThatIllegalArgumentException().isThrownBy(() -> DeviceId.parse(text.substring(1)));
    assertThatIllegalArgumentException().isThrownBy(() -> DeviceId.parse("!" + text.substring(1)));
  }

  @Test
  void compareTo_highBytes_ordersUnsigned() {
    byte[] high = new byte[32];
    high[0] = (byte) 0x80;
    byte[] low = new byte[32];
    low[0] = 0x7f;
    assertThat(new DeviceId(high)).isGreaterThan(new DeviceId(low));
    assertThat(new DeviceId(high).shortForm()).isEqualTo("80000000");
  }
}
