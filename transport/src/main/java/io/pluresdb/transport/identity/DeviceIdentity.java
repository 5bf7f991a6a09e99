package io.pluresdb.transport.identity;

import io.pluresdb.transport.hash.Blake2b;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.Set;
import java.util.random.RandomGenerator;
import org.bouncycastle.math.ec.rfc8032.Ed25519;

/**
 * A device's Ed25519 key pair (RFC 8032), the root of what it may do anywhere.
 *
 * <p>The key file is one line of ASCII, {@code pluresdb-device-key-1 SEED CHECK}: the 32-byte seed
 * and the first four bytes of BLAKE2b-256 of it, both in hexadecimal. Thread-safe.
 */
public final class DeviceIdentity {
  public static final int PUBLIC_KEY_BYTES = Ed25519.PUBLIC_KEY_SIZE;
  public static final int SIGNATURE_BYTES = Ed25519.SIGNATURE_SIZE;

  private static final String FILE_TAG = "pluresdb-device-key-1";
  private static final int FILE_CHECK_BYTES = 4;
  private static final int MAX_FILE_BYTES = 256;
  private static final Set<PosixFilePermission> OWNER_ONLY =
      EnumSet.of(PosixFilePermission.OWNER_READ, PosixFilePermission.OWNER_WRITE);

  private final byte[] seed;
  private final byte[] publicKey;
  private final DeviceId id;

  private DeviceIdentity(byte[] seed) {
    this.seed = seed;
    this.publicKey = new byte[PUBLIC_KEY_BYTES];
    Ed25519.generatePublicKey(seed, 0, publicKey, 0);
    this.id = DeviceId.of(publicKey);
  }

  /** A new identity from 32 bytes of {@code random}, which must be cryptographically secure. */
  public static DeviceIdentity create(RandomGenerator random) {
    byte[] seed = new byte[Ed25519.SECRET_KEY_SIZE];
    random.nextBytes(seed);
    return new DeviceIdentity(seed);
  }

  /**
   * Reads the identity saved at {@code file}.
   *
   * @throws IdentityException.NotFound when there is none
   * @throws IdentityException.Exposed when group or others have any permission on it
   * @throws IdentityException.Damaged when it is not a whole key file
   * @throws IdentityException.Failed when it cannot be read
   */
  public static DeviceIdentity load(Path file) {
    try {
      requireOwnerOnly(file);
      if (Files.size(file) > MAX_FILE_BYTES) {
        throw new IdentityException.Damaged(
            "the device key file " + file + " has more than " + MAX_FILE_BYTES + " bytes");
      }
      return decode(Files.readString(file, StandardCharsets.ISO_8859_1), file);
    } catch (NoSuchFileException e) {
      throw new IdentityException.NotFound("there is no device key file " + file);
    } catch (IOException e) {
      throw new IdentityException.Failed("cannot read the device key file " + file + ": " + e, e);
    }
  }

  /**
   * Writes this identity to {@code file} with permissions 0600: the whole file appears at once and
   * is on disk, or nothing is there.
   *
   * @throws IdentityException.Exists when {@code file} exists; a key is never written over
   * @throws IdentityException.Failed when it cannot be written
   */
  public void save(Path file) {
    Path absolute = file.toAbsolutePath();
    Path folder = absolute.getParent();
    if (folder == null) {
      throw new IdentityException.Exists("the device key file " + file + " is a folder");
    }
    try {
      Path draft =
          posix(folder)
              ? Files.createTempFile(folder, ".device-key", ".tmp", ownerOnly())
              : Files.createTempFile(folder, ".device-key", ".tmp");
      try {
        try (FileChannel channel = FileChannel.open(draft, StandardOpenOption.WRITE)) {
          ByteBuffer bytes = ByteBuffer.wrap(encode().getBytes(StandardCharsets.US_ASCII));
          while (bytes.hasRemaining()) {
            channel.write(bytes);
          }
          channel.force(true);
        }
        publish(draft, absolute);
      } finally {
        Files.deleteIfExists(draft);
      }
      syncFolder(folder);
    } catch (FileAlreadyExistsException e) {
      throw new IdentityException.Exists(
          "the device key file " + file + " exists already and was left as it is");
    } catch (IOException e) {
      throw new IdentityException.Failed("cannot write the device key file " + file + ": " + e, e);
    }
  }

  /** Returns a copy of the 32-byte public key. */
  public byte[] publicKey() {
    return publicKey.clone();
  }

  public DeviceId id() {
    return id;
  }

  /** Returns the 64-byte deterministic signature of {@code message}. */
  public byte[] sign(byte[] message) {
    byte[] signature = new byte[SIGNATURE_BYTES];
    Ed25519.sign(seed, 0, publicKey, 0, message, 0, message.length, signature, 0);
    return signature;
  }

  /**
   * Whether {@code signature} of {@code message} was made by the holder of {@code publicKey}.
   *
   * <p>The key must be a canonically encoded point of the prime-order subgroup: a small-order key
   * would verify signatures of many messages. Verifiers of Ed25519 disagree about malicious input,
   * so every replica must use this one. Arrays of any length are judged, wrong lengths are false.
   */
  public static boolean verify(byte[] publicKey, byte[] message, byte[] signature) {
    if (publicKey.length != PUBLIC_KEY_BYTES || signature.length != SIGNATURE_BYTES) {
      return false;
    }
    Ed25519.PublicPoint point = Ed25519.validatePublicKeyFullExport(publicKey, 0);
    return point != null && Ed25519.verify(signature, 0, point, message, 0, message.length);
  }

  /** Names the device; the key is never part of it. */
  @Override
  public String toString() {
    return "DeviceIdentity[" + id.shortForm() + "]";
  }

  private String encode() {
    HexFormat hex = HexFormat.of();
    return FILE_TAG
        + ' '
        + hex.formatHex(seed)
        + ' '
        + hex.formatHex(Blake2b.hash256(seed), 0, FILE_CHECK_BYTES)
        + '\n';
  }

  private static DeviceIdentity decode(String text, Path file) {
    String[] words = text.strip().split(" ", -1);
    if (words.length != 3 || !words[0].equals(FILE_TAG)) {
      throw new IdentityException.Damaged(
          "the file " + file + " does not start with " + FILE_TAG + ": it is no device key");
    }
    byte[] seed;
    byte[] check;
    try {
      seed = HexFormat.of().parseHex(words[1]);
      check = HexFormat.of().parseHex(words[2]);
    } catch (IllegalArgumentException e) {
      throw damaged(file);
    }
    if (seed.length != Ed25519.SECRET_KEY_SIZE
        || !Arrays.equals(check, Arrays.copyOf(Blake2b.hash256(seed), FILE_CHECK_BYTES))) {
      throw damaged(file);
    }
    return new DeviceIdentity(seed);
  }

  private static IdentityException.Damaged damaged(Path file) {
    return new IdentityException.Damaged(
        "the device key file " + file + " is damaged: its check digits do not match");
  }

  private static void requireOwnerOnly(Path file) throws IOException {
    if (!posix(file)) {
      return;
    }
    Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(file);
    if (!OWNER_ONLY.containsAll(permissions)) {
      throw new IdentityException.Exposed(
          "the device key file "
              + file
              + " must have permissions 0600, but has "
              + PosixFilePermissions.toString(permissions)
              + ": run chmod 600 on it");
    }
  }

  private static FileAttribute<Set<PosixFilePermission>> ownerOnly() {
    return PosixFilePermissions.asFileAttribute(OWNER_ONLY);
  }

  private static boolean posix(Path path) {
    return path.getFileSystem().supportedFileAttributeViews().contains("posix");
  }

  // A hard link fails when the target exists, a rename would replace it; where the file system has
  // no links, the check and the move are two steps.
  private static void publish(Path draft, Path file) throws IOException {
    try {
      Files.createLink(file, draft);
    } catch (UnsupportedOperationException e) {
      if (Files.exists(file)) {
        throw new FileAlreadyExistsException(file.toString());
      }
      Files.move(draft, file, StandardCopyOption.ATOMIC_MOVE);
    }
  }

  private static void syncFolder(Path folder) throws IOException {
    if (posix(folder)) {
      try (FileChannel channel = FileChannel.open(folder, StandardOpenOption.READ)) {
        channel.force(true);
      }
    }
  }
}
