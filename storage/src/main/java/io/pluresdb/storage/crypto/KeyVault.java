package io.pluresdb.storage.crypto;

import io.pluresdb.storage.crypto.EncryptionMetadata.Kdf;
import io.pluresdb.storage.crypto.EncryptionMetadata.WrappedKey;
import io.pluresdb.storage.file.DurableFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import javax.crypto.Cipher;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.bouncycastle.crypto.generators.Argon2BytesGenerator;
import org.bouncycastle.crypto.params.Argon2Parameters;

/**
 * The data keys of a data directory, wrapped by a key that is made of a password or a key file.
 * Changing the password wraps the same keys again and rewrites nothing else.
 *
 * <p>The file is replaced whole, so an end in the middle leaves the old or the new one. Safe from
 * any thread; one process at a time.
 */
public final class KeyVault {
  /** Most data keys that may be in use at once. */
  public static final int MAX_KEYS = 64;

  private static final HexFormat HEX = HexFormat.of();
  private static final int SALT_BYTES = 16;

  /** Files are sealed with other keys than the rows of any database. */
  private static final byte[] FILE_SALT = "pluresdb files 1".getBytes(StandardCharsets.US_ASCII);

  private static final int MAX_FILE_BYTES = 1 << 20;

  private final Path file;
  private final RandomGenerator random;
  private final InstantSource clock;
  private final Keyring keyring;
  private EncryptionMetadata metadata; // Guarded by this, like the key.
  private SecretKeySpec wrapping;

  private KeyVault(
      Path file,
      RandomGenerator random,
      InstantSource clock,
      EncryptionMetadata metadata,
      SecretKeySpec wrapping,
      Keyring keyring) {
    this.file = file;
    this.random = random;
    this.clock = clock;
    this.metadata = metadata;
    this.wrapping = wrapping;
    this.keyring = keyring;
  }

  /** Makes {@code file} with a fresh data key. */
  public static KeyVault create(
      Path file, EncryptionConfig config, RandomGenerator random, InstantSource clock) {
    byte[] key = random(random, Keyring.KEY_BYTES);
    byte[] salt = random(random, SALT_BYTES);
    SecretKeySpec wrapping = derive(config, kdf(config), salt);
    var metadata =
        new EncryptionMetadata(
            EncryptionMetadata.VERSION,
            HEX.formatHex(random(random, SALT_BYTES)),
            config.mode(),
            EncryptionMetadata.CIPHER,
            kdf(config),
            HEX.formatHex(salt),
            List.of(new WrappedKey(1, clock.millis(), wrap(wrapping, key))),
            List.of(),
            false);
    var keys = new TreeMap<Integer, byte[]>();
    keys.put(1, key);
    var vault = new KeyVault(file, random, clock, metadata, wrapping, new Keyring(keys));
    vault.save(metadata);
    return vault;
  }

  /**
   * What {@code file} says without any secret.
   *
   * @throws EncryptionException {@code ENCRYPTION_METADATA_DAMAGED}, or {@code
   *     ENCRYPTION_NOT_ENABLED} when there is no such file
   */
  public static EncryptionMetadata metadata(Path file) {
    try {
      if (Files.size(file) > MAX_FILE_BYTES) {
        throw EncryptionMetadata.damaged(file + " has more than " + MAX_FILE_BYTES + " bytes");
      }
      return EncryptionMetadata.parse(Files.readAllBytes(file), file.toString());
    } catch (NoSuchFileException e) {
      throw new EncryptionException(
          "ENCRYPTION_NOT_ENABLED",
          "the data directory is not encrypted: there is no " + file,
          "`pluresdb encryption enable` encrypts it");
    } catch (IOException e) {
      throw EncryptionMetadata.damaged(file + " cannot be read: " + e);
    }
  }

  /**
   * Unwraps the data keys.
   *
   * @throws EncryptionException {@code ENCRYPTION_WRONG_PASSWORD} or {@code
   *     ENCRYPTION_WRONG_KEY_FILE}, {@code ENCRYPTION_SECRET_NEEDED} when a key file is given where
   *     a password is asked for or the other way round, and as {@link #metadata(Path)}
   */
  public static KeyVault unlock(
      Path file, EncryptionConfig config, RandomGenerator random, InstantSource clock) {
    EncryptionMetadata metadata = metadata(file);
    if (!metadata.mode().equals(config.mode())) {
      throw new EncryptionException(
          "ENCRYPTION_SECRET_NEEDED",
          "the data directory is unlocked by a %s, but a %s was given"
              .formatted(metadata.mode(), config.mode()),
          metadata.mode().equals(EncryptionMetadata.PASSWORD)
              ? "type the password or name a file with it: --password-file FILE"
              : "name the key file: --key-file FILE");
    }
    SecretKeySpec wrapping = derive(config, metadata.kdf(), HEX.parseHex(metadata.salt()));
    var keys = new TreeMap<Integer, byte[]>();
    for (WrappedKey key : metadata.keys()) {
      keys.put(key.number(), unwrap(wrapping, key, config));
    }
    return new KeyVault(file, random, clock, metadata, wrapping, new Keyring(keys));
  }

  /** The keys, for storages. */
  public Keyring keyring() {
    return keyring;
  }

  public synchronized EncryptionMetadata metadata() {
    return metadata;
  }

  /** Whether everything is being sealed with the newest key. */
  public synchronized boolean isReencrypting() {
    return metadata.reencrypting();
  }

  /** Whether this vault has all keys of another, or an earlier state of this one. */
  public synchronized boolean opens(EncryptionMetadata other) {
    return other.id().equals(metadata.id())
        && other.keys().stream().allMatch(key -> keyring.key(key.number()) != null);
  }

  /**
   * Wraps the same data keys with another secret; the old one opens nothing any more.
   *
   * @param old must be the present one
   * @throws EncryptionException as {@link #unlock} does
   */
  public synchronized void change(EncryptionConfig old, EncryptionConfig fresh) {
    KeyVault checked = unlock(file, old, random, clock);
    byte[] salt = random(random, SALT_BYTES);
    SecretKeySpec other = derive(fresh, kdf(fresh), salt);
    var wrapped = new ArrayList<WrappedKey>();
    for (WrappedKey key : checked.metadata.keys()) {
      byte[] plain = unwrap(checked.wrapping, key, old);
      wrapped.add(new WrappedKey(key.number(), key.createdMillis(), wrap(other, plain)));
    }
    save(
        new EncryptionMetadata(
            EncryptionMetadata.VERSION,
            checked.metadata.id(),
            fresh.mode(),
            EncryptionMetadata.CIPHER,
            kdf(fresh),
            HEX.formatHex(salt),
            wrapped,
            checked.metadata.revokedDevices(),
            checked.metadata.reencrypting()));
    wrapping = other;
  }

  /**
   * Adds a data key that seals from now on. What was sealed before stays as it is until it is
   * written again or {@link #beginReencryption}.
   *
   * @throws EncryptionException {@code ENCRYPTION_REENCRYPTING} while everything is being sealed
   *     with a new key, {@code ENCRYPTION_TOO_MANY_KEYS} when {@link #MAX_KEYS} are in use
   */
  public synchronized void rotate() {
    if (metadata.reencrypting()) {
      throw new EncryptionException(
          "ENCRYPTION_REENCRYPTING",
          "everything is being sealed with a new data key",
          "wait until `pluresdb encryption status` shows one key");
    }
    if (metadata.keys().size() >= MAX_KEYS) {
      throw new EncryptionException(
          "ENCRYPTION_TOO_MANY_KEYS",
          "at most " + MAX_KEYS + " data keys may be in use, and so many are",
          "seal everything with one: pluresdb encryption reencrypt");
    }
    addKey(metadata);
  }

  /**
   * Adds a data key that everything is to be sealed with; the others are kept until {@link
   * #dropOldKeys}. Changes nothing while that goes on already.
   */
  public synchronized void beginReencryption() {
    if (!metadata.reencrypting()) {
      addKey(metadata.withRevoked(List.of()).withReencrypting(true));
    }
  }

  private void addKey(EncryptionMetadata next) {
    int number = metadata.keys().getLast().number() + 1;
    byte[] key = random(random, Keyring.KEY_BYTES);
    var keys = new ArrayList<>(metadata.keys());
    keys.add(new WrappedKey(number, clock.millis(), wrap(wrapping, key)));
    save(next.withKeys(keys));
    keyring.add(number, key);
  }

  /** Forgets all keys but the newest: nothing is sealed with them any more. */
  public synchronized void dropOldKeys() {
    save(metadata.withKeys(List.of(metadata.keys().getLast())).withReencrypting(false));
    keyring.keepNewest();
  }

  /** Notes that a device was removed from a database. */
  public synchronized void revoked(String deviceId) {
    var devices = new TreeSet<>(metadata.revokedDevices());
    if (devices.add(deviceId)) {
      save(metadata.withRevoked(List.copyOf(devices)));
    }
  }

  /**
   * Seals a small file with the newest data key.
   *
   * @param name what {@link #openFile} must be given too, so that no file passes for another
   */
  public byte[] sealFile(String name, byte[] content) {
    try (Sealer sealer = new Sealer(new SealingKeys(keyring, FILE_SALT))) {
      sealer.begin(random);
      return sealer.seal(name.getBytes(StandardCharsets.UTF_8), new byte[0], content);
    }
  }

  /**
   * Opens a file that {@link #sealFile} sealed.
   *
   * @throws EncryptionException {@code ENCRYPTION_FILE_DAMAGED}
   */
  public byte[] openFile(String name, byte[] sealed) {
    try (Sealer sealer = new Sealer(new SealingKeys(keyring, FILE_SALT))) {
      return sealer.open(name.getBytes(StandardCharsets.UTF_8), sealed);
    } catch (SealException e) {
      throw new EncryptionException(
          "ENCRYPTION_FILE_DAMAGED",
          name + " cannot be opened: " + e.getMessage(),
          "restore it from a backup, or join the database again");
    }
  }

  private synchronized void save(EncryptionMetadata next) {
    try {
      DurableFiles.write(file, next.toJson());
    } catch (IOException e) {
      throw new EncryptionException(
          "ENCRYPTION_METADATA_DAMAGED",
          file + " cannot be written: " + e,
          "check the disk and its room, then try again");
    }
    metadata = next;
  }

  private static Kdf kdf(EncryptionConfig config) {
    return switch (config) {
      case EncryptionConfig.Password password -> Kdf.ARGON2ID;
      case EncryptionConfig.KeyFile keyFile -> Kdf.HMAC;
    };
  }

  private static SecretKeySpec derive(EncryptionConfig config, Kdf kdf, byte[] salt) {
    return new SecretKeySpec(
        switch (config) {
          case EncryptionConfig.Password(var password) -> argon2id(password, kdf, salt);
          case EncryptionConfig.KeyFile(var key) -> hmac(key, salt);
        },
        "AES");
  }

  private static byte[] argon2id(byte[] password, Kdf kdf, byte[] salt) {
    int memory = kdf.memoryKib();
    int iterations = kdf.iterations();
    int parallelism = kdf.parallelism();
    boolean usable =
        kdf.name().equals("argon2id")
            && memory >= 8 << 10
            && memory <= 1 << 20
            && iterations >= 1
            && iterations <= 64
            && parallelism >= 1
            && parallelism <= 64;
    if (!usable) {
      throw EncryptionMetadata.damaged("encryption.json has a derivation out of bounds: " + kdf);
    }
    var generator = new Argon2BytesGenerator();
    generator.init(
        new Argon2Parameters.Builder(Argon2Parameters.ARGON2_id)
            .withVersion(Argon2Parameters.ARGON2_VERSION_13)
            .withMemoryAsKB(memory)
            .withIterations(iterations)
            .withParallelism(parallelism)
            .withSalt(salt)
            .build());
    byte[] key = new byte[Keyring.KEY_BYTES];
    generator.generateBytes(password, key);
    return key;
  }

  private static byte[] hmac(byte[] key, byte[] salt) {
    try {
      Mac mac = Mac.getInstance("HmacSHA256");
      mac.init(new SecretKeySpec(key, "HmacSHA256"));
      mac.update("pluresdb key file 1".getBytes(StandardCharsets.US_ASCII));
      return mac.doFinal(salt);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every Java has HMAC-SHA256", e);
    }
  }

  private static String wrap(SecretKeySpec wrapping, byte[] key) {
    try {
      Cipher cipher = Cipher.getInstance("AES/KWP/NoPadding");
      cipher.init(Cipher.WRAP_MODE, wrapping);
      return HEX.formatHex(cipher.wrap(new SecretKeySpec(key, "AES")));
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("a data key cannot be wrapped", e);
    }
  }

  private static byte[] unwrap(SecretKeySpec wrapping, WrappedKey key, EncryptionConfig config) {
    try {
      Cipher cipher = Cipher.getInstance("AES/KWP/NoPadding");
      cipher.init(Cipher.UNWRAP_MODE, wrapping);
      return cipher.unwrap(HEX.parseHex(key.wrapped()), "AES", Cipher.SECRET_KEY).getEncoded();
    } catch (IllegalArgumentException e) {
      throw EncryptionMetadata.damaged("encryption.json has a key that is not hexadecimal");
    } catch (GeneralSecurityException e) {
      throw switch (config) {
        case EncryptionConfig.Password password ->
            new EncryptionException(
                "ENCRYPTION_WRONG_PASSWORD", "the password is wrong", "type it again");
        case EncryptionConfig.KeyFile keyFile ->
            new EncryptionException(
                "ENCRYPTION_WRONG_KEY_FILE", "the key file is another one", "name the right one");
      };
    }
  }

  private static byte[] random(RandomGenerator random, int bytes) {
    byte[] drawn = new byte[bytes];
    random.nextBytes(drawn);
    return drawn;
  }
}
