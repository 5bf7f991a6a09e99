package io.pluresdb.storage.crypto;

import com.github.luben.zstd.Zstd;
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
  private static final byte[] NOTHING = {};

  // Of what is kept from one value to the next.
  private static final int MIN_KEPT_BYTES = 4 << 10;
  private static final int MAX_KEPT_BYTES = 1 << 20;

  private static final byte DOUBLING = (byte) 0x87;

  private final SealingKeys keys;
  private final Cipher gcm;
  private final Map<Integer, Own> own = new HashMap<>();
  private final ZstdCompressCtx compression = new ZstdCompressCtx();
  private final ZstdDecompressCtx decompression = new ZstdDecompressCtx();

  private final byte[] nonce = new byte[NONCE_BYTES];
  private boolean begun;
  private Pair sealing;

  // Kept from one value to the next.
  private byte[] content = NOTHING;
  private byte[] packed = NOTHING;
  private byte[] name = NOTHING;

  // What was opened last.
  private byte[] text = NOTHING;
  private int textFrom;
  private int textEnd;

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

    /** Puts the code of the first bytes of {@code message}, which changes, to {@code at}. */
    void cmac(byte[] message, int length, byte[] to, int at) throws GeneralSecurityException {
      boolean whole = length > 0 && length % BLOCK_BYTES == 0;
      int end = paddedLength(length);
      if (!whole) {
        message[length] = (byte) 0x80;
        Arrays.fill(message, length + 1, end, (byte) 0);
      }
      byte[] last = whole ? wholeBlock : paddedBlock;
      for (int i = 0; i < BLOCK_BYTES; i++) {
        message[end - BLOCK_BYTES + i] ^= last[i];
      }
      chain.doFinal(message, 0, end, message, 0);
      System.arraycopy(message, end - BLOCK_BYTES, to, at, BLOCK_BYTES);
    }

    static int paddedLength(int length) {
      return Math.max(BLOCK_BYTES, (length + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES);
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
    int length = head.length + value.length;
    reserve(length);
    System.arraycopy(head, 0, content, 1, head.length);
    System.arraycopy(value, 0, content, 1 + head.length, value.length);
    return sealContent(context, length);
  }

  /** Seals {@code key} behind its length, followed by {@code value}. */
  byte[] sealRow(byte[] context, byte[] key, byte[] value) {
    int length = Integer.BYTES + key.length + value.length;
    reserve(length);
    ByteBuffer.wrap(content, 1, length).putInt(key.length).put(key).put(value);
    return sealContent(context, length);
  }

  /** Seals so many bytes of {@link #content}, from its second on. */
  private byte[] sealContent(byte[] context, int length) {
    if (!begun) {
      throw new IllegalStateException("no nonce was drawn");
    }
    byte[] sealed;
    try {
      int used = compress(length);
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

  /** Brings {@link #content} into its final form; returns its length. */
  private int compress(int length) {
    content[0] = PLAIN;
    if (length < MIN_COMPRESSED_BYTES) {
      return 1 + length;
    }
    int most = (int) Zstd.compressBound(length);
    if (packed.length < most) {
      packed = new byte[most];
    }
    int small = compression.compressByteArray(packed, 0, most, content, 1, length);
    if (small + Integer.BYTES >= length) {
      return 1 + length;
    }
    ByteBuffer.wrap(content).put(ZSTD).putInt(length).put(packed, 0, small);
    if (packed.length > MAX_KEPT_BYTES) {
      packed = NOTHING;
    }
    return 1 + Integer.BYTES + small;
  }

  /** Makes room for so many bytes of {@link #content} behind its first. */
  private void reserve(int length) {
    int bytes = Math.max(MIN_KEPT_BYTES, 1 + length);
    if (content.length < bytes || content.length > Math.max(MAX_KEPT_BYTES, bytes)) {
      content = new byte[bytes];
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
    decrypt(context, sealed);
    return Arrays.copyOfRange(text, textFrom, textEnd);
  }

  /** What {@link #sealRow} sealed. */
  record KeyAndValue(byte[] key, byte[] value) {}

  /**
   * Opens what {@link #sealRow} made with the same context.
   *
   * @throws SealException as {@link #open} does
   */
  KeyAndValue openRow(byte[] context, byte[] sealed) throws SealException {
    int value = decryptRow(context, sealed);
    return new KeyAndValue(
        Arrays.copyOfRange(text, textFrom + Integer.BYTES, value),
        Arrays.copyOfRange(text, value, textEnd));
  }

  /**
   * The value that {@link #sealRow} sealed with this key and context.
   *
   * @throws SealException as {@link #open} does; also when it was sealed with another key
   */
  byte[] openValue(byte[] context, byte[] key, byte[] sealed) throws SealException {
    int value = decryptRow(context, sealed);
    if (!Arrays.equals(text, textFrom + Integer.BYTES, value, key, 0, key.length)) {
      throw new SealException("another row is in its place");
    }
    return Arrays.copyOfRange(text, value, textEnd);
  }

  /** Opens a row into {@link #text}; returns where its value begins. */
  private int decryptRow(byte[] context, byte[] sealed) throws SealException {
    decrypt(context, sealed);
    int left = textEnd - textFrom - Integer.BYTES;
    int length = left < 0 ? -1 : ByteBuffer.wrap(text).getInt(textFrom);
    if (length < 0 || length > left) {
      throw new SealException("its key is cut off");
    }
    return textFrom + Integer.BYTES + length;
  }

  private void decrypt(byte[] context, byte[] sealed) throws SealException {
    Pair pair = keys.of(keyOf(sealed));
    try {
      int at = 1 + 4;
      var spec =
          new GCMParameterSpec(8 * TAG_BYTES, sealed, at + HALF_NONCE_BYTES, HALF_NONCE_BYTES);
      gcm.init(Cipher.DECRYPT_MODE, own(pair).key(sealed, at), spec);
      gcm.updateAAD(sealed, 0, at);
      gcm.updateAAD(context);
      int length = sealed.length - HEADER_BYTES - TAG_BYTES;
      reserve(length);
      gcm.doFinal(sealed, HEADER_BYTES, sealed.length - HEADER_BYTES, content, 0);
      if (content[0] == PLAIN) {
        become(content, 1, length);
        return;
      }
      int whole = length < 1 + 4 ? -1 : ByteBuffer.wrap(content).getInt(1);
      if (content[0] != ZSTD || whole < 0 || whole > MAX_BYTES) {
        throw new SealException("its content has an unknown form");
      }
      byte[] unpacked = new byte[whole];
      int made = decompression.decompressByteArray(unpacked, 0, whole, content, 1 + 4, length - 5);
      if (made != whole) {
        throw new SealException("its content is shorter than it says");
      }
      become(unpacked, 0, whole);
    } catch (AEADBadTagException e) {
      throw new SealException("its authentication fails");
    } catch (GeneralSecurityException | ZstdException e) {
      throw new SealException("it cannot be opened: " + e.getMessage());
    }
  }

  private void become(byte[] opened, int from, int end) {
    text = opened;
    textFrom = from;
    textEnd = end;
  }

  /**
   * Puts what stands for {@code key} on disk, {@link #NAME_BYTES} bytes, to {@code at}: the same
   * for the same key, table and data key.
   */
  void hide(int number, int table, byte[] key, byte[] to, int at) throws SealException {
    Pair pair = keys.of(number);
    int length = 1 + key.length;
    int padded = Own.paddedLength(length);
    if (name.length < padded) {
      name = new byte[Math.max(MIN_KEPT_BYTES, padded)];
    }
    name[0] = (byte) table;
    System.arraycopy(key, 0, name, 1, key.length);
    try {
      own(pair).cmac(name, length, to, at);
    } catch (GeneralSecurityException e) {
      throw new IllegalStateException("a key cannot be hidden", e);
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
    byte[] code = new byte[BLOCK_BYTES];
    byte[] padded = Arrays.copyOf(message, Own.paddedLength(message.length));
    new Own(pair).cmac(padded, message.length, code, 0);
    return code;
  }

  @Override
  public void close() {
    compression.close();
    decompression.close();
  }
}
