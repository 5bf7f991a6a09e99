package io.pluresdb.storage.crypto;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.util.List;
import java.util.TreeSet;

/**
 * How a data directory is encrypted: {@code encryption.json}. Holds no secret that the password or
 * key file does not guard.
 *
 * @param version {@link #VERSION}
 * @param id random, for the life of the data directory: 32 hex digits
 * @param mode {@link #PASSWORD} or {@link #KEY_FILE}
 * @param cipher {@link #CIPHER}
 * @param kdf how the key that wraps the others is made of the secret
 * @param salt hex; of the derivation
 * @param keys the data keys, wrapped with AES-KWP (RFC 5649), by number ascending; the last seals
 * @param revokedDevices ids of devices that were removed from a database since everything was last
 *     sealed anew; what they kept of this directory before, if anything, is sealed with a key that
 *     is still in use
 * @param reencrypting whether everything is being sealed with the newest key
 */
public record EncryptionMetadata(
    int version,
    String id,
    String mode,
    String cipher,
    Kdf kdf,
    String salt,
    List<WrappedKey> keys,
    List<String> revokedDevices,
    boolean reencrypting) {
  public static final int VERSION = 1;
  public static final String PASSWORD = "password";
  public static final String KEY_FILE = "key-file";
  public static final String CIPHER = "XAES-256-GCM";

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  /**
   * A key derivation.
   *
   * @param name {@code argon2id} or {@code hmac-sha256}
   * @param memoryKib of argon2id, 0 for the other; likewise the next two
   */
  public record Kdf(String name, int memoryKib, int iterations, int parallelism) {
    /** About 0.25 s and 64 MiB for each guess. */
    static final Kdf ARGON2ID = new Kdf("argon2id", 64 << 10, 3, 4);

    static final Kdf HMAC = new Kdf("hmac-sha256", 0, 0, 0);
  }

  /**
   * A data key.
   *
   * @param wrapped hex
   */
  public record WrappedKey(int number, long createdMillis, String wrapped) {}

  public EncryptionMetadata {
    keys = List.copyOf(keys);
    revokedDevices = List.copyOf(new TreeSet<>(revokedDevices));
  }

  EncryptionMetadata withKeys(List<WrappedKey> others) {
    return new EncryptionMetadata(
        version, id, mode, cipher, kdf, salt, others, revokedDevices, reencrypting);
  }

  /** With other ids of devices that were removed. */
  EncryptionMetadata withRevoked(List<String> devices) {
    return new EncryptionMetadata(
        version, id, mode, cipher, kdf, salt, keys, devices, reencrypting);
  }

  EncryptionMetadata withReencrypting(boolean goesOn) {
    return new EncryptionMetadata(
        version, id, mode, cipher, kdf, salt, keys, revokedDevices, goesOn);
  }

  byte[] toJson() {
    try {
      return JSON.writeValueAsBytes(this);
    } catch (JacksonException e) {
      throw new IllegalStateException("a record of texts and numbers has a JSON form", e);
    }
  }

  /**
   * Reads a file of this form.
   *
   * @throws EncryptionException {@code ENCRYPTION_METADATA_DAMAGED}
   */
  static EncryptionMetadata parse(byte[] json, String file) {
    try {
      int version = JSON.readTree(json).path("version").asInt();
      if (version != VERSION) {
        throw damaged(
            file + " has version " + version + ", but this version of PluresDB reads " + VERSION);
      }
      EncryptionMetadata metadata = JSON.readValue(json, EncryptionMetadata.class);
      boolean known =
          metadata.cipher.equals(CIPHER)
              && (metadata.mode.equals(PASSWORD) || metadata.mode.equals(KEY_FILE))
              && !metadata.keys.isEmpty();
      if (!known) {
        throw damaged(file + " names a cipher or mode that this version does not know, or no key");
      }
      return metadata;
    } catch (IOException | NullPointerException e) {
      throw damaged(file + " cannot be read: " + e.getMessage());
    }
  }

  static EncryptionException damaged(String message) {
    return new EncryptionException(
        "ENCRYPTION_METADATA_DAMAGED",
        message,
        "restore the file from a backup: without it the data cannot be read by anybody");
  }
}
