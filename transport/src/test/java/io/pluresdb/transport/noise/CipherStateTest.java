package io.pluresdb.transport.noise;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class CipherStateTest {
  private static final byte[] KEY = new byte[CipherState.KEY_BYTES];
  private static final long LAST_NONCE = -2L;

  @ParameterizedTest
  @EnumSource
  void encrypt_atTheLastNonce_worksOnceThenRefuses(CipherFunction function) throws NoiseException {
    CipherState cipher = new CipherState(function, KEY);
    cipher.setNonce(LAST_NONCE);
    assertThat(cipher.encrypt(new byte[17], 1)).isEqualTo(17);
    assertKind(() -> cipher.encrypt(new byte[17], 1), NoiseException.Kind.NONCE_EXHAUSTED);
  }

  @ParameterizedTest
  @EnumSource
  void rekey_onBothSides_goesOnWithTheNonce(CipherFunction function) throws NoiseException {
    CipherState sending = new CipherState(function, KEY);
    CipherState receiving = new CipherState(function, KEY);
    byte[] before = new byte[20];
    sending.encrypt(before, 4);
    receiving.decrypt(before.clone(), 20);
    sending.rekey();
    receiving.rekey();
    byte[] after = new byte[20];
    sending.encrypt(after, 4);
    assertThat(after).isNotEqualTo(before);
    assertThat(receiving.decrypt(after, 20)).isEqualTo(4);
    assertThat(sending.nonce()).isEqualTo(2);
  }

  @ParameterizedTest
  @EnumSource
  void decrypt_afterOneSidedRekey_isABadTag(CipherFunction function) throws NoiseException {
    CipherState sending = new CipherState(function, KEY);
    CipherState receiving = new CipherState(function, KEY);
    sending.rekey();
    byte[] sealed = new byte[20];
    sending.encrypt(sealed, 4);
    assertKind(() -> receiving.decrypt(sealed, 20), NoiseException.Kind.BAD_TAG);
  }

  @ParameterizedTest
  @EnumSource
  void decrypt_afterABadTag_neverWorksAgain(CipherFunction function) throws NoiseException {
    CipherState sending = new CipherState(function, KEY);
    CipherState receiving = new CipherState(function, KEY);
    byte[] sealed = new byte[20];
    sending.encrypt(sealed, 4);
    byte[] tampered = sealed.clone();
    tampered[3] ^= 1;
    assertKind(() -> receiving.decrypt(tampered, 20), NoiseException.Kind.BAD_TAG);
    assertThatThrownBy(() -> receiving.decrypt(sealed, 20))
        .isInstanceOf(IllegalStateException.class);
  }

  @ParameterizedTest
  @EnumSource
  void encrypt_largestMessage_fillsTheFrame(CipherFunction function) throws NoiseException {
    byte[] buffer = new byte[CipherState.MAX_MESSAGE_BYTES];
    Arrays.fill(buffer, (byte) 7);
    int length = CipherState.MAX_MESSAGE_BYTES - CipherState.TAG_BYTES;
    assertThat(new CipherState(function, KEY).encrypt(buffer, length)).isEqualTo(65535);
    assertThat(new CipherState(function, KEY).decrypt(buffer, 65535)).isEqualTo(65519);
    assertThat(Arrays.copyOf(buffer, length)).containsOnly(7);
    CipherState another = new CipherState(function, KEY);
    assertKind(
        () -> another.encrypt(new byte[length + 17], length + 1), NoiseException.Kind.TOO_LONG);
  }

  @Test
  void decrypt_shorterThanATag_isTooShort() {
    CipherState cipher = new CipherState(CipherFunction.CHACHAPOLY, KEY);
    assertKind(() -> cipher.decrypt(new byte[15], 15), NoiseException.Kind.TOO_SHORT);
  }

  private interface Call {
    void run() throws NoiseException;
  }

  private static void assertKind(Call call, NoiseException.Kind kind) {
    assertThatThrownBy(call::run)
        .isInstanceOfSatisfying(NoiseException.class, e -> assertThat(e.kind()).isEqualTo(kind));
  }
}
