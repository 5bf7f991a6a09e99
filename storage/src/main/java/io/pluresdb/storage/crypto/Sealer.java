package io.pluresdb.storage.crypto;

import com.github.luben.zstd.ZstdCompressCtx;
import com.github.luben.zstd.ZstdDecompressCtx;
import com.github.luben.zstd.ZstdException;
import io.pluresdb.storage.crypto.SealingKeys.Pair;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.random.RandomGenerator;
import javax.crypto.AEADBadTagException;
import javax.crypto.Cipher;
import javax.crypto.spec.GCMParameterSpec;
import javax.crypto.spec.IvParameterSpec;
import javax.crypto.spec.SecretKeySpec;

/**
 * Seals and opens byte arrays with XAES-256-GCM (C2SP), compressed first, and hides names with
 * AES-256-CMAC (RFC 4493).
 *
 * <pre>
 * sealed  := version u8 = 1 | data key u32 | nonce 24 | AES-256-GCM(content) | tag 16
 * AAD     := version u8 | data key u32 | context
 * content := 0 bytes | 1 length u32 zstd(bytes)
 * </pre>
 *
 * <p>The 192-bit nonces of one {@link #begin} start at a random number and count from there, so
 * that they share their first half, which alone decides the derived key: it is derived once.
 *
 * <p>Not thread-safe; owns native memory until it is closed.
 */
final class Sealer implements AutoCloseable {
  /** What sealing adds to the bytes at most. */
  static final int OVERHEAD_BYTES = 1 + 4 + 24 + 1 + 16;

  static final int NAME_BYTES = 16;

  private static final byte VERSION = 1;
  private static final int BLOCK_BYTES = 16;
  private static final int NONCE_BYTES = 24;
  private static final int HALF_NONCE_BYTES = 12;
  private static final int HEADER_BYTES = 1 + 4 + NONCE_BYTES;
  private static final int TAG_BYTES = 16;
  private static final byte PLAIN = 0;
  private static final byte ZSTD = 1;

  /** Shorter values gain little on their own, and each costs some 5 microseconds. */
  static final int MIN_COMPRESSED_BYTES = 1024;

  /** A value is never larger; a length above it is no length. */
  private static final int MAX_BYTES = 1 << 28;

  private static final int COMPRESSION_LEVEL = 1;
  private static final byte DOUBLING = (byte) 0x87;

  private final SealingKeys keys;
  private final Cipher gcm;
  private final Map<Integer, Own> own = new HashMap<>();
  private final ZstdCompressCtx compression = new ZstdCompressCtx();
  private final ZstdDecompressCtx decompression = new ZstdDecompressCtx();

  private final byte[] nonce = new byte[NONCE_BYTES];
  private boolean begun;
  private Pair sealing;
  private byte[] content = new byte[4096];

  /** The ciphers of one pair of keys. */
  private static final class Own {
    final Cipher block;
    final byte[] subkey;
    final Cipher chain;
    final byte[] wholeBlock;
    final byte[] paddedBlock;
    byte[] derivedFor = new byte[0];
    SecretKeySpec derived;

    Own(Pair pair) throws GeneralSecurityException {
      this.block = Cipher.getInstance("AES/ECB/NoPadding");
      block.init(Cipher.ENCRYPT_MODE, pair.values());
      this.subkey = doubled(block.doFinal(new byte[BLOCK_BYTES]));
      this.derived = pair.values();
      this.chain = Cipher.getInstance("AES/CBC/NoPadding");
      chain.init(Cipher.ENCRYPT_MODE, pair.names(), new IvParameterSpec(new byte[BLOCK_BYTES]));
      this.wholeBlock = doubled(chain.doFinal(new byte[BLOCK_BYTES]));
      this.paddedBlock = doubled(wholeBlock);
    }

    private static byte[] doubled(byte[] block) {
      byte[] twice = new byte[BLOCK_BYTES];
      for (int i = 0; i < BLOCK_BYTES; i++) {
        int next = i + 1 < BLOCK_BYTES ? (block[i + 1] & 0xff) >>> 7 : 0;
        twice[i] = (byte) (block[i] << 1 | next);
      }
      if (block[0] < 0) {
        twice[BLOCK_BYTES - 1] ^= DOUBLING;
      }
      return twice;
    }

    /** The key of all nonces that begin with the first half of {@code nonce}. */
    SecretKeySpec key(byte[] from, int at) throws GeneralSecurityException {
      if (Arrays.equals(from, at, at + HALF_NONCE_BYTES, derivedFor, 0, derivedFor.length)) {
        return derived;
      }
      byte[] blocks = new byte[2 * BLOCK_BYTES];
      for (int i = 0; i < 2; i++) {
        blocks[BLOCK_BYTES * i + 1] = (byte) (i + 1);
        blocks[BLOCK_BYTES * i + 2] = 'X';
        System.arraycopy(from, at, blocks, BLOCK_BYTES * i + 4, HALF_NONCE_BYTES);
        for (int j = 0; j < BLOCK_BYTES; j++) {
          blocks[BLOCK_BYTES * i + j] ^= subkey[j];
        }
      }
      derived = new SecretKeySpec(block.doFinal(blocks), "AES");
      derivedFor = Arrays.copyOfRange(from, at, at + HALF_NONCE_BYTES);
      return derived;
    }

    byte[] cmac(byte[] message) throws GeneralSecurityException {
      boolean whole = message.length > 0 && message.length % BLOCK_BYTES == 0;
      int blocks = whole ? message.length / BLOCK_BYTES : message.length / BLOCK_BYTES + 1;
      byte[] padded = Arrays.copyOf(message, blocks * BLOCK_BYTES);
      if (!whole) {
        padded[message.length] = (byte) 0x80;
      }
      byte[] last = whole ? wholeBlock : paddedBlock;
      for (int i = 0; i < BLOCK_BYTES; i++) {
        padded[padded.length - BLOCK_BYTES + i] ^= last[i];
      }
      byte[] chained = chain.doFinal(padded);
      return Arrays.copyOfRange(chained, chained.length - BLOCK_BYTES, chained.length);
    }
  }

  Sealer(SealingKeys keys) {
    this.keys = keys;
    this.sealing = keys.newest();
    compression.setLevel(COMPRESSION_LEVEL);
    try {
      this.gcm = Cipher.getInstance("AES/GCM/NoPadding");
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("every Java has AES-GCM", e);
    }
  }

  /** Draws the nonce that the next values are counted from, and takes the newest key. */
  void begin(RandomGenerator random) {
    random.nextBytes(nonce);
    sealing = keys.newest();
    begun = true;
  }

  /** Number of the data key that seals. */
  int key() {
    return sealing.number();
  }

  private Own own(Pair pair) throws GeneralSecurityException {
    Own known = own.get(pair.number());
    if (known == null) {
      known = new Own(pair);
      own.put(pair.number(), known);
    }
    return known;
  }

  /** Seals {@code head} followed by {@code value}, compressed where it helps. */
  byte[] seal(byte[] context, byte[] head, byte[] value) {
    if (!begun) {
      throw new IllegalStateException("no nonce was drawn");
    }
    int length = head.length + value.length;
    byte[] sealed;
    try {
      int used = fill(head, value, length);
      sealed = new byte[HEADER_BYTES + used + TAG_BYTES];
      sealed[0] = VERSION;
      ByteBuffer.wrap(sealed).putInt(1, sealing.number()).put(1 + 4, nonce);
      var spec = new GCMParameterSpec(8 * TAG_BYTES, nonce, HALF_NONCE_BYTES, HALF_NONCE_BYTES);
      gcm.init(Cipher.ENCRYPT_MODE, own(sealing).key(nonce, 0), spec);
      gcm.updateAAD(sealed, 0, 1 + 4);
      gcm.updateAAD(context);
      gcm.doFinal(content, 0, used, sealed, HEADER_BYTES);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("a value cannot be sealed", e);
    }
    for (int i = NONCE_BYTES - 1; i >= HALF_NONCE_BYTES && ++nonce[i] == 0; i--) {}
    return sealed;
  }

  /** Puts what is to be encrypted into {@link #content}; returns its length. */
  private int fill(byte[] head, byte[] value, int length) {
    if (length < MIN_COMPRESSED_BYTES) {
      reserve(1 + length);
      content[0] = PLAIN;
      System.arraycopy(head, 0, content, 1, head.length);
      System.arraycopy(value, 0, content, 1 + head.length, value.length);
      return 1 + length;
    }
    byte[] whole = new byte[length];
    System.arraycopy(head, 0, whole, 0, head.length);
    System.arraycopy(value, 0, whole, head.length, value.length);
    byte[] small = compression.compress(whole);
    boolean better = small.length + 4 < length;
    byte[] taken = better ? small : whole;
    int front = better ? 1 + 4 : 1;
    reserve(front + taken.length);
    content[0] = better ? ZSTD : PLAIN;
    if (better) {
      ByteBuffer.wrap(content).putInt(1, length);
    }
    System.arraycopy(taken, 0, content, front, taken.length);
    return front + taken.length;
  }

  private void reserve(int bytes) {
    if (content.length < bytes || (content.length > 1 << 20 && bytes < 1 << 16)) {
      content = new byte[Math.max(4096, bytes)];
    }
  }

  /** Number of the data key that sealed these bytes. */
  static int keyOf(byte[] sealed) throws SealException {
    if (sealed.length < HEADER_BYTES + 1 + TAG_BYTES || sealed[0] != VERSION) {
      throw new SealException("it is not sealed");
    }
    return ByteBuffer.wrap(sealed).getInt(1);
  }

  /**
   * Opens what {@link #seal} made with the same context.
   *
   * @throws SealException when it was changed, belongs elsewhere, or the key is not known
   */
  byte[] open(byte[] context, byte[] sealed) throws SealException {
    Pair pair = keys.of(keyOf(sealed));
    try {
      int at = 1 + 4;
      var spec =
          new GCMParameterSpec(8 * TAG_BYTES, sealed, at + HALF_NONCE_BYTES, HALF_NONCE_BYTES);
      gcm.init(Cipher.DECRYPT_MODE, own(pair).key(sealed, at), spec);
      gcm.updateAAD(sealed, 0, at);
      gcm.updateAAD(context);
      byte[] opened = gcm.doFinal(sealed, HEADER_BYTES, sealed.length - HEADER_BYTES);
      if (opened[0] == PLAIN) {
        return Arrays.copyOfRange(opened, 1, opened.length);
      }
      int length = opened.length < 1 + 4 ? -1 : ByteBuffer.wrap(opened).getInt(1);
      if (opened[0] != ZSTD || length < 0 || length > MAX_BYTES) {
        throw new SealException("its content has an unknown form");
      }
      byte[] whole = new byte[length];
      int made =
          decompression.decompressByteArray(whole, 0, length, opened, 1 + 4, opened.length - 5);
      if (made != length) {
        throw new SealException("its content is shorter than it says");
      }
      return whole;
    } catch (AEADBadTagException e) {
      throw new SealException("its authentication fails");
    } catch (GeneralSecurityException | ZstdException e) {
      throw new SealException("it cannot be opened: " + e.getMessage());
    }
  }

  /** What stands for {@code name} on disk: the same for the same name, table and key. */
  byte[] hide(int number, int table, byte[] name) throws SealException {
    Pair pair = keys.of(number);
    byte[] message = new byte[1 + name.length];
    message[0] = (byte) table;
    System.arraycopy(name, 0, message, 1, name.length);
    try {
      return own(pair).cmac(message);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("a name cannot be hidden", e);
    }
  }

  /** XAES-256-GCM itself, for the published vectors. */
  static byte[] xaes(Pair pair, byte[] nonce, byte[] aad, byte[] plain)
      throws GeneralSecurityException {
    Cipher cipher = Cipher.getInstance("AES/GCM/NoPadding");
    var spec = new GCMParameterSpec(8 * TAG_BYTES, nonce, HALF_NONCE_BYTES, HALF_NONCE_BYTES);
    cipher.init(Cipher.ENCRYPT_MODE, new Own(pair).key(nonce, 0), spec);
    cipher.updateAAD(aad);
    return cipher.doFinal(plain);
  }

  /** AES-256-CMAC itself, for the published vectors. */
  static byte[] cmac(Pair pair, byte[] message) throws GeneralSecurityException {
    return new Own(pair).cmac(message);
  }

  @Override
  public void close() {
    compression.close();
    decompression.close();
  }
}
