package io.pluresdb.transport.path;

import java.net.InetAddress;
import java.util.Collection;
import org.jspecify.annotations.Nullable;

/**
 * What stands between this device's UDP port and the world, as far as its effect on others goes
 * (RFC 4787 calls the two kinds of NAT endpoint-independent and address-dependent mapping).
 */
public enum NatKind {
  /** Nobody said, or too few. */
  UNKNOWN(0, 1),
  /** Nothing: others see an address of this device. */
  OPEN(1, 0),
  /** A NAT that shows everybody one port. */
  CONE(2, 1),
  /** A NAT that shows each destination another port, so that nobody can be told one. */
  SYMMETRIC(3, 2);

  private final byte code;
  private final int hardness;

  NatKind(int code, int hardness) {
    this.code = (byte) code;
    this.hardness = hardness;
  }

  /**
   * The harder side of two dials: what comes from behind a harder NAT shows where it comes from.
   */
  public int hardness() {
    return hardness;
  }

  byte code() {
    return code;
  }

  static @Nullable NatKind of(int code) {
    for (NatKind kind : values()) {
      if (kind.code == code) {
        return kind;
      }
    }
    return null;
  }

  /**
   * Judges what others said.
   *
   * @param seen the address most of them see, null when too few said one
   * @param port the port all of them see, 0 when they see different ones
   * @param own addresses of this device's network interfaces
   */
  public static NatKind of(@Nullable InetAddress seen, int port, Collection<InetAddress> own) {
    if (seen == null) {
      return UNKNOWN;
    }
    if (own.contains(seen)) {
      return OPEN;
    }
    return port == 0 ? SYMMETRIC : CONE;
  }
}
