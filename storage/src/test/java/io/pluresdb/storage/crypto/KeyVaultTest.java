package io.pluresdb.storage.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.storage.crypto.EncryptionConfig.KeyFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class KeyVaultTest {
  private static final EncryptionConfig PASSWORD = EncryptionConfig.password("correct horse");
  private static final InstantSource CLOCK =
      InstantSource.fixed(Instant.ofEpochMilli(1_700_000_000_000L));

  @TempDir Path directory;
  private final SecureRandom random = new SecureRandom();

  private Path file() {
    return directory.resolve("encryption.json");
  }

  private KeyVault create(EncryptionConfig config) {
    return KeyVault.create(file(), config, random, CLOCK);
  }

  private KeyVault unlock(EncryptionConfig config) {
    return KeyVault.unlock(file(), config, random, CLOCK);
  }

  private static KeyFile keyFile(int seed) {
    byte[] key = new byte[32];
    new java.util.SplittableRandom(seed).nextBytes(key);
    return new KeyFile(key);
  }

  private static byte[] newest(KeyVault vault) {
    byte[] key = vault.keyring().key(vault.keyring().newest());
    assertThat(key).isNotNull();
    return key == null ? new byte[0] : key;
  }

  @Test
  void unlock_withTheSecret_givesTheKey_andWithAnother_saysSo() throws IOException {
    byte[] key = newest(create(PASSWORD));
    assertThat(newest(unlock(PASSWORD))).isEqualTo(key);
    assertThat(Files.readString(file()))
        .contains("\"argon2id\"", "\"memoryKib\" : 65536", "\"iterations\" : 3")
        .doesNotContain("correct horse", java.util.HexFormat.of().formatHex(key));
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file())))
        .isEqualTo("rw-------");
    assertThat(refused(EncryptionConfig.password("correct house")))
        .isEqualTo("ENCRYPTION_WRONG_PASSWORD");
    assertThat(refused(keyFile(1))).isEqualTo("ENCRYPTION_SECRET_NEEDED");
  }

  @Test
  void unlock_withAKeyFile_takesNoOther() {
    byte[] key = newest(create(keyFile(1)));
    assertThat(newest(unlock(keyFile(1)))).isEqualTo(key);
    assertThat(refused(keyFile(2))).isEqualTo("ENCRYPTION_WRONG_KEY_FILE");
    assertThat(refused(PASSWORD)).isEqualTo("ENCRYPTION_SECRET_NEEDED");
  }

  private String refused(EncryptionConfig config) {
    return catchThrowableOfType(EncryptionException.class, () -> unlock(config)).code();
  }

  @Test
  void change_ofThePassword_keepsTheDataKey_andEndsTheOldOne() {
    KeyVault vault = create(PASSWORD);
    byte[] key = newest(vault);
    EncryptionConfig other = EncryptionConfig.password("battery staple");
    assertThatThrownBy(() -> vault.change(other, PASSWORD))
        .isInstanceOf(EncryptionException.class)
        .hasMessage("the password is wrong");
    vault.change(PASSWORD, other);
    assertThat(newest(unlock(other))).isEqualTo(key);
    assertThat(refused(PASSWORD)).isEqualTo("ENCRYPTION_WRONG_PASSWORD");
    vault.change(other, keyFile(3));
    assertThat(newest(unlock(keyFile(3)))).isEqualTo(key);
    // What is wrapped afterwards is wrapped with the new secret.
    vault.rotate();
    assertThat(newest(unlock(keyFile(3)))).isEqualTo(newest(vault)).isNotEqualTo(key);
  }

  @Test
  void reencryption_keepsTheOldKey_untilItIsDropped() {
    KeyVault vault = create(PASSWORD);
    byte[] old = newest(vault);
    vault.revoked("DEVICE-B");
    vault.revoked("DEVICE-A");
    assertThat(unlock(PASSWORD).metadata().revokedDevices())
        .containsExactly("DEVICE-A", "DEVICE-B");
    vault.beginReencryption();
    assertThat(vault.metadata().revokedDevices()).isEmpty();
    KeyVault again = unlock(PASSWORD);
    assertThat(again.isReencrypting()).isTrue();
    again.beginReencryption();
    assertThat(again.keyring().newest()).isEqualTo(2);
    assertThat(again.keyring().key(1)).isEqualTo(old);
    // A key that came between would be dropped while rows are sealed with it.
    assertThatThrownBy(again::rotate)
        .isInstanceOfSatisfying(
            EncryptionException.class,
            e -> assertThat(e.code()).isEqualTo("ENCRYPTION_REENCRYPTING"));
    again.dropOldKeys();
    assertThat(again.isReencrypting()).isFalse();
    assertThat(unlock(PASSWORD).isReencrypting()).isFalse();
    assertThat(unlock(PASSWORD).keyring().key(1)).isNull();
    assertThat(unlock(PASSWORD).keyring().newest()).isEqualTo(2);
  }

  @Test
  void rotate_keepsEveryKey_upToTheMost() {
    KeyVault vault = create(PASSWORD);
    byte[] first = newest(vault);
    vault.revoked("DEVICE-A");
    for (int i = 1; i < KeyVault.MAX_KEYS; i++) {
      vault.rotate();
    }
    assertThatThrownBy(vault::rotate)
        .isInstanceOf(EncryptionException.class)
        .hasMessage("at most 64 data keys may be in use, and so many are");
    KeyVault again = unlock(PASSWORD);
    assertThat(again.keyring().newest()).isEqualTo(64);
    assertThat(again.keyring().key(1)).isEqualTo(first);
    assertThat(again.isReencrypting()).isFalse();
    assertThat(again.metadata().revokedDevices()).containsExactly("DEVICE-A");
    again.beginReencryption();
    assertThat(again.keyring().newest()).isEqualTo(65);
    again.dropOldKeys();
    again.rotate();
    assertThat(again.metadata().keys()).hasSize(2);
  }

  @Test
  void metadata_thatIsDamaged_isRefused() throws IOException {
    create(PASSWORD);
    String whole = Files.readString(file());
    for (String damaged :
        new String[] {
          "",
          "{}",
          whole.replace("\"version\" : 1", "\"version\" : 2"),
          whole.replace("XAES", "XXES"),
          whole.replace("65536", "1"),
          whole.replace("65536", "99999999"),
          whole.substring(0, whole.length() / 2)
        }) {
      Files.writeString(file(), damaged);
      assertThat(refused(PASSWORD)).as(damaged).isEqualTo("ENCRYPTION_METADATA_DAMAGED");
    }
    Files.delete(file());
    assertThat(refused(PASSWORD)).isEqualTo("ENCRYPTION_NOT_ENABLED");
  }

  @Test
  void secrets_outOfBounds_areRefused() {
    for (int length : new int[] {0, 7, 1025}) {
      assertThatThrownBy(() -> EncryptionConfig.password("x".repeat(length)))
          .isInstanceOf(EncryptionException.class)
          .hasMessage("a password must be 8 to 1024 bytes, but has " + length);
    }
    assertThat(EncryptionConfig.password("x".repeat(1024)).secret()).hasSize(1024);
    assertThatThrownBy(() -> new KeyFile(new byte[31])).hasMessageContaining("32 to 4096 bytes");
    byte[] zeros = new byte[32];
    assertThatThrownBy(() -> new KeyFile(zeros)).hasMessageContaining("must be random");
    byte[] most = new byte[4097];
    assertThatThrownBy(() -> new KeyFile(most)).hasMessageContaining("but has 4097");
    Arrays.fill(most, (byte) 1);
    assertThat(EncryptionConfig.password("x".repeat(99)).toString()).isEqualTo("Password");
  }

  @Test
  void secretFiles_thatOthersCanRead_areRefused() throws IOException {
    Path file = directory.resolve("password");
    Files.writeString(file, "correct horse\nnot this\n", StandardCharsets.UTF_8);
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-r--r--"));
    assertThatThrownBy(() -> EncryptionConfig.passwordFile(file))
        .isInstanceOf(EncryptionException.class)
        .hasMessageContaining("can be read by others");
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rw-------"));
    assertThat(EncryptionConfig.passwordFile(file).secret()).isEqualTo(PASSWORD.secret());
    // As systemd hands a credential out.
    Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("r--r-----"));
    Files.setPosixFilePermissions(directory, PosixFilePermissions.fromString("rwx------"));
    assertThat(EncryptionConfig.passwordFile(file).secret()).isEqualTo(PASSWORD.secret());
    assertThatThrownBy(() -> EncryptionConfig.keyFile(directory.resolve("none")))
        .hasMessageContaining("cannot be read");
  }
}
