package io.pluresdb.transport.topic;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.util.Arrays;
import java.util.HexFormat;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.Test;

class TopicTest {
  private static final SyncKey KEY = new SyncKey(new byte[SyncKey.SYNC_KEY_BYTES]);

  // b2sum -l 256 of the UTF-8 bytes.
  @Test
  void deriveTopic_ofKnownIds_isBlake2bOfTheirUtf8() {
    assertThat(Topic.deriveTopic("").hex())
        .isEqualTo("0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    assertThat(Topic.deriveTopic("abc").hex())
        .isEqualTo("bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    assertThat(Topic.deriveTopic("b\u00fccher").hex())
        .isEqualTo("54a1e3328e59e3a56fe0c465dd214e80bda218a9482412524d50c5e67ea930e7");
  }

  @Test
  void infoHash_isTheFirstTwentyBytes() {
    Topic topic = Topic.deriveTopic("abc");
    assertThat(topic.infoHash()).isEqualTo(Arrays.copyOf(topic.bytes(), 20));
  }

  // Computed by an independent implementation (Python's hashlib and hmac).
  @Test
  void syncKey_derivations_areTheWrittenOnes() {
    assertThat(KEY.databaseId())
        .isEqualTo("309c117e3aef7681cbf2b67dc0e9dfc710d73c0da22182fb480ec15a89ed5b1f");
    assertThat(KEY.hint(1)).hasToString("5a75a9bcd3a11ad5bdcd405a01852826");
    assertThat(HexFormat.of().formatHex(KEY.psk(1)))
        .isEqualTo("92309ff23ebae71175503f8aa493b03b84dd00112ecb45853389fb939d3d2d88");
  }

  @Test
  void syncKey_anotherEpoch_givesAnotherHintAndPskButTheSameId() {
    DatabaseKeys first = DatabaseKeys.of(KEY, 1);
    DatabaseKeys second = DatabaseKeys.of(KEY, 2);
    assertThat(second.hint()).isNotEqualTo(first.hint());
    assertThat(second.psk()).isNotEqualTo(first.psk());
    assertThat(second.databaseId()).isEqualTo(first.databaseId());
    assertThat(second).isNotEqualTo(first).isEqualTo(DatabaseKeys.of(KEY, 2));
  }

  @Test
  void generateSyncKey_givesSixtyFourHexCharactersThatParse() {
    String key = SyncKey.generateSyncKey(new Random(1));
    assertThat(key).matches("[0-9a-f]{64}");
    assertThat(SyncKey.parse(" " + key.toUpperCase(Locale.ROOT) + "\n").revealHex()).isEqualTo(key);
  }

  @Test
  void parse_wrongText_saysWhatIsWrongWithoutTheText() {
    String secret = "z" + "a".repeat(62);
    assertThatIllegalArgumentException()
        .isThrownBy(() -> SyncKey.parse(secret))
        .withMessage("a sync key must have 64 hexadecimal characters, but has 63");
    assertThatIllegalArgumentException()
        .isThrownBy(() -> SyncKey.parse("a".repeat(63) + "g"))
        .withMessageContaining("character 64 is not one");
    assertThatIllegalArgumentException().isThrownBy(() -> new SyncKey(new byte[31]));
    assertThatIllegalArgumentException().isThrownBy(() -> KEY.psk(-1));
    assertThatIllegalArgumentException().isThrownBy(() -> KEY.hint(-1));
  }

  @Test
  void toString_ofSecrets_showsNone() {
    SyncKey key = SyncKey.parse(SyncKey.generateSyncKey(new Random(2)));
    DatabaseKeys keys = DatabaseKeys.of(key, 1);
    String shown = key + " " + keys;
    assertThat(shown).doesNotContain(key.revealHex().substring(0, 8));
    assertThat(shown).doesNotContain(HexFormat.of().formatHex(keys.psk(), 0, 4));
  }

  @Test
  void hint_parse_readsWhatItPrints() {
    Hint hint = KEY.hint(7);
    assertThat(Hint.parse(hint.toString())).isEqualTo(hint).hasSameHashCodeAs(hint);
    assertThatIllegalArgumentException().isThrownBy(() -> Hint.parse("00"));
    assertThatIllegalArgumentException().isThrownBy(() -> Hint.parse("x".repeat(32)));
  }
}
