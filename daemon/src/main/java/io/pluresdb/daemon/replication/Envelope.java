package io.pluresdb.daemon.replication;

import com.github.luben.zstd.Zstd;
import com.github.luben.zstd.ZstdException;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.Arrays;

/**
 * A sync message as it travels: as it is, or compressed where that is worth it.
 *
 * <pre>
 * envelope := 0 u8 | message
 *           | 1 u8 | message length u32 | zstd frame
 * </pre>
 */
public final class Envelope {
  /** Smaller messages are not compressed. */
  static final int COMPRESS_FROM_BYTES = 512;

  private static final byte PLAIN = 0;
  private static final byte ZSTD = 1;
  private static final int LENGTH_BYTES = 4;
  private static final int LEVEL = 1;

  private Envelope() {}

  public static byte[] wrap(SyncMessage message) {
    byte[] plain = message.toByteArray();
    if (plain.length >= COMPRESS_FROM_BYTES) {
      int head = 1 + LENGTH_BYTES;
      byte[] out = new byte[head + (int) Zstd.compressBound(plain.length)];
      long size =
          Zstd.compressByteArray(out, head, out.length - head, plain, 0, plain.length, LEVEL);
      if (!Zstd.isError(size) && size + LENGTH_BYTES < plain.length) {
        out[0] = ZSTD;
        for (int i = 0; i < LENGTH_BYTES; i++) {
          out[1 + i] = (byte) (plain.length >>> (8 * (LENGTH_BYTES - 1 - i)));
        }
        return Arrays.copyOf(out, head + (int) size);
      }
    }
    byte[] out = new byte[1 + plain.length];
    out[0] = PLAIN;
    System.arraycopy(plain, 0, out, 1, plain.length);
    return out;
  }

  /**
   * Decodes what a peer sent; the claimed length is checked before memory is allocated.
   *
   * @throws CodecException when it is not an envelope with a message in it
   */
  public static SyncMessage unwrap(byte[] envelope) {
    if (envelope.length == 0) {
      throw new CodecException("empty envelope");
    }
    return switch (envelope[0]) {
      case PLAIN -> SyncMessage.read(Arrays.copyOfRange(envelope, 1, envelope.length));
      case ZSTD -> SyncMessage.read(inflate(envelope));
      default -> throw new CodecException("unknown envelope " + envelope[0]);
    };
  }

  private static byte[] inflate(byte[] envelope) {
    int head = 1 + LENGTH_BYTES;
    if (envelope.length < head) {
      throw new CodecException("truncated envelope");
    }
    int length = 0;
    for (int i = 1; i < head; i++) {
      length = length << 8 | (envelope[i] & 0xff);
    }
    if (length < 0 || length > SyncMessage.MAX_BYTES) {
      throw new CodecException(
          "message must be at most " + SyncMessage.MAX_BYTES + " bytes, but claims " + length);
    }
    byte[] plain = new byte[length];
    try {
      long size =
          Zstd.decompressByteArray(plain, 0, length, envelope, head, envelope.length - head);
      if (size != length) {
        throw new CodecException("message is shorter than it claims");
      }
    } catch (ZstdException e) {
      throw new CodecException("message does not decompress: " + e.getMessage());
    }
    return plain;
  }
}
