package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.crypto.EncryptionMetadata;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * Where the password or key file of a data directory comes from: the settings, then the credentials
 * systemd hands out, then a person at the terminal. Never from the command line itself, which every
 * user of the machine can read.
 */
record Secrets(Io io, Config config) implements NodeOptions.Secret {
  /** Names of credentials in {@code $CREDENTIALS_DIRECTORY}. */
  static final String PASSWORD_CREDENTIAL = "pluresdb.password";

  static final String KEY_CREDENTIAL = "pluresdb.key";

  private static final String CREDENTIALS = "CREDENTIALS_DIRECTORY";

  @Override
  public EncryptionConfig of(EncryptionMetadata metadata) {
    EncryptionConfig given = given();
    if (given != null) {
      return given;
    }
    if (metadata.mode().equals(EncryptionMetadata.PASSWORD)) {
      String typed = io.prompt().ask("Password");
      if (typed != null) {
        return EncryptionConfig.password(typed);
      }
    }
    return NodeOptions.Secret.NONE.of(metadata);
  }

  /** A secret for a data directory that is made now. */
  EncryptionConfig fresh() {
    EncryptionConfig given = given();
    return given == null ? typedTwice() : given;
  }

  /** A new secret in the place of another. */
  EncryptionConfig fresh(@Nullable Path passwordFile, @Nullable Path keyFile) {
    if (passwordFile != null && keyFile != null) {
      throw CliException.usage(
          "--new-password-file and --new-key-file exclude each other", "say one of them");
    }
    if (passwordFile != null) {
      return EncryptionConfig.passwordFile(passwordFile);
    }
    return keyFile == null ? typedTwice() : EncryptionConfig.keyFile(keyFile);
  }

  private EncryptionConfig typedTwice() {
    String typed = io.prompt().ask("New password");
    if (typed == null) {
      throw new EncryptionException(
          "ENCRYPTION_SECRET_NEEDED",
          "a new password is needed, and there is no terminal to ask at",
          "name a file with it, readable by you alone: see --help");
    }
    EncryptionConfig password = EncryptionConfig.password(typed);
    if (!typed.equals(io.prompt().ask("The same again"))) {
      throw CliException.usage("the two passwords are not the same", "try again");
    }
    return password;
  }

  private @Nullable EncryptionConfig given() {
    String passwordFile = config.get(Settings.ENCRYPTION_PASSWORD_FILE);
    String keyFile = config.get(Settings.ENCRYPTION_KEY_FILE);
    if (!passwordFile.isEmpty() && !keyFile.isEmpty()) {
      throw CliException.usage(
          "encryption.password-file and encryption.key-file exclude each other", "set one of them");
    }
    if (!passwordFile.isEmpty()) {
      return EncryptionConfig.passwordFile(Path.of(passwordFile));
    }
    if (!keyFile.isEmpty()) {
      return EncryptionConfig.keyFile(Path.of(keyFile));
    }
    String credentials = io.environment().getOrDefault(CREDENTIALS, "");
    if (credentials.isEmpty()) {
      return null;
    }
    Path password = Path.of(credentials, PASSWORD_CREDENTIAL);
    Path key = Path.of(credentials, KEY_CREDENTIAL);
    if (Files.exists(password)) {
      return EncryptionConfig.passwordFile(password);
    }
    return Files.exists(key) ? EncryptionConfig.keyFile(key) : null;
  }
}
