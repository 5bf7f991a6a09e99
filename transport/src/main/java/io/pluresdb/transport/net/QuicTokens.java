package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.handler.codec.quic.Quic;
import io.netty.handler.codec.quic.QuicTokenHandler;
import io.netty.util.concurrent.Ticker;
import io.pluresdb.transport.hash.Blake2b;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;

/**
 * The tokens of QUIC's Retry (RFC 9000, section 8.1.2): nothing is kept of a connection before its
 * initiator has shown that it receives at the address it sends from.
 *
 * <pre>
 * token := seconds u32 | BLAKE2b-128(key, seconds | address | port | original id) | original id
 * </pre>
 */
final class QuicTokens implements QuicTokenHandler {
  /** How long a token is good. */
  static final int VALID_SECONDS = 10;

  private static final int MAC_BYTES = 16;
  private static final int HEAD_BYTES = Integer.BYTES + MAC_BYTES;

  private final byte[] key = new byte[32];
  private final Ticker ticker;

  /**
   * @param random cryptographically secure in production
   */
  QuicTokens(RandomGenerator random, Ticker ticker) {
    this.ticker = ticker;
    random.nextBytes(key);
  }

  private int seconds() {
    return (int) TimeUnit.NANOSECONDS.toSeconds(ticker.nanoTime());
  }

  private byte[] mac(int seconds, InetSocketAddress address, byte[] id) {
    byte[] ip = address.getAddress().getAddress();
    ByteBuffer said = ByteBuffer.allocate(Integer.BYTES + ip.length + Integer.BYTES + id.length);
    said.putInt(seconds).put(ip).putInt(address.getPort()).put(id);
    return Blake2b.keyed(key, MAC_BYTES, said.array());
  }

  @Override
  public boolean writeToken(ByteBuf out, ByteBuf dcid, InetSocketAddress address) {
    byte[] id = new byte[dcid.readableBytes()];
    dcid.getBytes(dcid.readerIndex(), id);
    int now = seconds();
    out.writeInt(now).writeBytes(mac(now, address, id)).writeBytes(id);
    return true;
  }

  @Override
  public int validateToken(ByteBuf token, InetSocketAddress address) {
    int length = token.readableBytes();
    if (length < HEAD_BYTES || length > maxTokenLength()) {
      return -1;
    }
    int made = token.readInt();
    byte[] mac = new byte[MAC_BYTES];
    token.readBytes(mac);
    byte[] id = new byte[length - HEAD_BYTES];
    token.readBytes(id);
    int age = seconds() - made;
    return age >= 0 && age <= VALID_SECONDS && MessageDigest.isEqual(mac, mac(made, address, id))
        ? HEAD_BYTES
        : -1;
  }

  @Override
  public int maxTokenLength() {
    return HEAD_BYTES + Quic.MAX_CONN_ID_LEN;
  }
}
