package io.pluresdb.crdt.value;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class Utf8Test {
  /** However the eight bytes that are looked at together lie. */
  @Test
  void byteThatIsNoCharacter_isFoundWhereverItStands() {
    for (int length = 1; length < 40; length++) {
      for (int at = 0; at < length; at++) {
        byte[] bytes = new byte[length];
        Arrays.fill(bytes, (byte) 'a');
        assertThat(Utf8.isValid(bytes, 0, length)).isTrue();
        bytes[at] = (byte) 0xff;
        assertThat(Utf8.isValid(bytes, 0, length)).as("%s of %s", at, length).isFalse();
        assertThat(Utf8.isValid(bytes, 0, at)).isTrue();
        assertThat(Utf8.isValid(bytes, at + 1, length)).isTrue();
      }
    }
  }

  @Test
  void longerCharacter_isValid_andHalfOfOneIsNot() {
    for (int before = 0; before < 20; before++) {
      byte[] bytes = ("a".repeat(before) + "é€😀").getBytes(StandardCharsets.UTF_8);
      assertThat(Utf8.isValid(bytes, 0, bytes.length)).isTrue();
      assertThat(Utf8.isValid(bytes, 0, bytes.length - 1)).isFalse();
      assertThat(Utf8.isValid(bytes, before + 1, bytes.length)).isFalse();
    }
  }
}
