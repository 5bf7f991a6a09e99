package io.pluresdb.transport.dht;

import java.net.Inet4Address;
import java.net.InetAddress;
import java.nio.ByteBuffer;
import java.util.HexFormat;
import java.util.random.RandomGenerator;
import java.util.zip.CRC32C;

/**
 * A point of the DHT's 160-bit space: the id of a node, or the info-hash of a topic. Ordered as an
 * unsigned number.
 *
 * @param high the first 8 bytes
 * @param middle the next 8 bytes
 * @param low the last 4 bytes
 */
public record DhtId(long high, long middle, int low) implements Comparable<DhtId> {
  public static final int BYTES = 20;
  public static final int BITS = 160;

  /** What of an address goes into an id (BEP 42): fewer bits where one owner has more of them. */
  private static final int IPV4_MASK = 0x030f3fff;

  private static final long IPV6_MASK = 0x0103070f1f3f7fffL;

  /** The bits of an id that BEP 42 fixes: 21 at the front. */
  private static final long PROVEN_BITS = 0xfffff80000000000L;

  /** Reads 20 bytes at {@code offset}. */
  public static DhtId read(byte[] bytes, int offset) {
    ByteBuffer in = ByteBuffer.wrap(bytes, offset, BYTES);
    return new DhtId(in.getLong(), in.getLong(), in.getInt());
  }

  /**
   * Reads 40 hexadecimal characters.
   *
   * @throws IllegalArgumentException for anything else
   */
  public static DhtId parse(String hex) {
    if (hex.length() != 2 * BYTES) {
      throw new IllegalArgumentException(
          "a DHT id must have 40 hexadecimal characters, but has " + hex.length());
    }
    return read(HexFormat.of().parseHex(hex), 0);
  }

  public static DhtId random(RandomGenerator random) {
    return new DhtId(random.nextLong(), random.nextLong(), random.nextInt());
  }

  /** An id that a node at {@code address} may have (BEP 42). */
  public static DhtId provenFor(InetAddress address, RandomGenerator random) {
    DhtId any = random(random);
    return new DhtId(
        (prefix(address, any.low & 7) & PROVEN_BITS) | (any.high & ~PROVEN_BITS),
        any.middle,
        any.low);
  }

  /**
   * Whether a node at {@code address} may have this id (BEP 42). Any id will do at a loopback,
   * private or link-local address.
   */
  public boolean isProvenFor(InetAddress address) {
    return AddressScope.of(address) != AddressScope.GLOBAL
        || ((prefix(address, low & 7) ^ high) & PROVEN_BITS) == 0;
  }

  private static long prefix(InetAddress address, int choice) {
    ByteBuffer masked;
    if (address instanceof Inet4Address) {
      int ip = ByteBuffer.wrap(address.getAddress()).getInt() & IPV4_MASK;
      masked = ByteBuffer.allocate(4).putInt(ip | (choice << 29));
    } else {
      long ip = ByteBuffer.wrap(address.getAddress()).getLong() & IPV6_MASK;
      masked = ByteBuffer.allocate(8).putLong(ip | ((long) choice << 61));
    }
    var crc = new CRC32C();
    crc.update(masked.array());
    return crc.getValue() << 32;
  }

  /** Number of leading bits both have in common, 0 to 160. */
  public int commonBits(DhtId other) {
    long first = high ^ other.high;
    if (first != 0) {
      return Long.numberOfLeadingZeros(first);
    }
    long second = middle ^ other.middle;
    if (second != 0) {
      return 64 + Long.numberOfLeadingZeros(second);
    }
    return 128 + Integer.numberOfLeadingZeros(low ^ other.low);
  }

  /** A random id that has exactly {@code bits} leading bits in common with this, 0 to 159. */
  public DhtId withCommonBits(int bits, RandomGenerator random) {
    byte[] mine = toByteArray();
    byte[] next = random(random).toByteArray();
    int whole = bits / 8;
    System.arraycopy(mine, 0, next, 0, whole);
    int kept = bits % 8;
    int same = 0xff00 >> kept & 0xff;
    int flipped = 0x80 >> kept;
    int fixed = same | flipped;
    next[whole] = (byte) (((mine[whole] ^ flipped) & fixed) | (next[whole] & ~fixed));
    return read(next, 0);
  }

  /** Compares the distances of {@code a} and {@code b} to this: negative when {@code a} is near. */
  public int compareDistance(DhtId a, DhtId b) {
    int first = Long.compareUnsigned(high ^ a.high, high ^ b.high);
    if (first != 0) {
      return first;
    }
    int second = Long.compareUnsigned(middle ^ a.middle, middle ^ b.middle);
    return second != 0 ? second : Integer.compareUnsigned(low ^ a.low, low ^ b.low);
  }

  @Override
  public int compareTo(DhtId other) {
    int first = Long.compareUnsigned(high, other.high);
    if (first != 0) {
      return first;
    }
    int second = Long.compareUnsigned(middle, other.middle);
    return second != 0 ? second : Integer.compareUnsigned(low, other.low);
  }

  public byte[] toByteArray() {
    return ByteBuffer.allocate(BYTES).putLong(high).putLong(middle).putInt(low).array();
  }

  /** 40 lower-case hexadecimal characters. */
  public String hex() {
    return HexFormat.of().formatHex(toByteArray());
  }

  /** The first eight hexadecimal digits. */
  @Override
  public String toString() {
    return hex().substring(0, 8);
  }
}
