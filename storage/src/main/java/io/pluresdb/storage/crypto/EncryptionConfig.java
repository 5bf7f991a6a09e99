package io.pluresdb.storage.crypto;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.Set;

/**
 * What unlocks an encrypted data directory. One that exists is usable: there is none that stands
 * for no encryption, because a database would then pass for encrypted that is not.
 */
public sealed interface EncryptionConfig {
  /** Shortest password, in bytes of UTF-8. */
  int MIN_PASSWORD_BYTES = 8;

  /** Longest password, in bytes of UTF-8. */
  int MAX_PASSWORD_BYTES = 1024;

  /** Shortest key file. */
  int MIN_KEY_FILE_BYTES = 32;

  /** Longest key file. */
  int MAX_KEY_FILE_BYTES = 4096;

  /** The secret itself; must not be changed. */
  byte[] secret();

  /** What {@link EncryptionMetadata} calls this kind. */
  String mode();

  /** Something a person knows; stretched with Argon2id. */
  record Password(byte[] secret) implements EncryptionConfig {
    public Password {
      if (secret.length < MIN_PASSWORD_BYTES || secret.length > MAX_PASSWORD_BYTES) {
        throw refused(
            "a password must be %d to %d bytes, but has %d"
                .formatted(MIN_PASSWORD_BYTES, MAX_PASSWORD_BYTES, secret.length));
      }
      secret = secret.clone();
    }

    @Override
    public String mode() {
      return EncryptionMetadata.PASSWORD;
    }

    @Override
    public String toString() {
      return "Password";
    }
  }

  /** The bytes of a key file, random and so not stretched. */
  record KeyFile(byte[] secret) implements EncryptionConfig {
    public KeyFile {
      if (secret.length < MIN_KEY_FILE_BYTES || secret.length > MAX_KEY_FILE_BYTES) {
        throw refused(
            "a key file must have %d to %d bytes, but has %d"
                .formatted(MIN_KEY_FILE_BYTES, MAX_KEY_FILE_BYTES, secret.length));
      }
      boolean same = true;
      for (byte b : secret) {
        same &= b == secret[0];
      }
      if (same) {
        throw refused("a key file must be random, but all its bytes are the same");
      }
      secret = secret.clone();
    }

    @Override
    public String mode() {
      return EncryptionMetadata.KEY_FILE;
    }

    @Override
    public String toString() {
      return "KeyFile";
    }
  }

  /** A password as it was typed. */
  static EncryptionConfig password(String text) {
    return new Password(text.getBytes(StandardCharsets.UTF_8));
  }

  /**
   * The password in the first line of a file that only its owner can read.
   *
   * @throws EncryptionException when others can read it, or it cannot be read
   */
  static EncryptionConfig passwordFile(Path file) {
    byte[] content = read(file, MAX_PASSWORD_BYTES + 2);
    int end = 0;
    while (end < content.length && content[end] != '\n' && content[end] != '\r') {
      end++;
    }
    return new Password(Arrays.copyOf(content, end));
  }

  /**
   * A key file that only its owner can read.
   *
   * @throws EncryptionException when others can read it, or it cannot be read
   */
  static EncryptionConfig keyFile(Path file) {
    return new KeyFile(read(file, MAX_KEY_FILE_BYTES + 1));
  }

  private static byte[] read(Path file, int most) {
    try {
      if (Files.getFileStore(file).supportsFileAttributeView("posix")) {
        Set<PosixFilePermission> others = Files.getPosixFilePermissions(file);
        others.removeAll(PosixFilePermissions.fromString("rwx------"));
        // systemd hands credentials out as 0440 in a folder that nobody else can enter.
        if (others.stream().anyMatch(permission -> permission.name().startsWith("OTHERS"))
            || others.contains(PosixFilePermission.GROUP_WRITE)
            || (!others.isEmpty() && !isPrivate(file))) {
          throw new EncryptionException(
              "ENCRYPTION_SECRET_REFUSED", file + " can be read by others", "chmod 600 " + file);
        }
      }
      if (Files.size(file) > most) {
        throw refused(file + " must have at most " + (most - 1) + " bytes");
      }
      return Files.readAllBytes(file);
    } catch (IOException e) {
      throw new EncryptionException(
          "ENCRYPTION_SECRET_NEEDED", file + " cannot be read: " + e, "name a file that can");
    }
  }

  private static boolean isPrivate(Path file) throws IOException {
    Path folder = file.toAbsolutePath().getParent();
    return folder != null
        && PosixFilePermissions.fromString("rwx------")
            .containsAll(Files.getPosixFilePermissions(folder));
  }

  private static EncryptionException refused(String message) {
    return new EncryptionException(
        "ENCRYPTION_SECRET_REFUSED", message, "choose another; `openssl rand 32` makes a key file");
  }
}
