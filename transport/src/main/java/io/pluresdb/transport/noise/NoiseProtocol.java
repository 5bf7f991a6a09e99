package io.pluresdb.transport.noise;

/**
 * A whole Noise protocol: pattern, Curve25519, cipher and hash.
 *
 * <p>Any 25519 protocol of revision 34 is known: the one-way, interactive and deferred patterns
 * with any {@code pskN} modifiers, ChaChaPoly and AESGCM, SHA256, SHA512, BLAKE2s and BLAKE2b.
 */
public final class NoiseProtocol {
  private static final int NAME_PARTS = 5;

  private final String name;
  private final Pattern pattern;
  private final CipherFunction cipher;
  private final HashFunction hash;

  private NoiseProtocol(String name, Pattern pattern, CipherFunction cipher, HashFunction hash) {
    this.name = name;
    this.pattern = pattern;
    this.cipher = cipher;
    this.hash = hash;
  }

  /**
   * Reads a name such as {@code Noise_XXpsk0_25519_ChaChaPoly_BLAKE2b}.
   *
   * @throws IllegalArgumentException when any part is unknown
   */
  public static NoiseProtocol parse(String name) {
    String[] parts = name.split("_", -1);
    if (parts.length != NAME_PARTS || !parts[0].equals("Noise") || !parts[2].equals("25519")) {
      throw new IllegalArgumentException("unknown Noise protocol " + name);
    }
    return new NoiseProtocol(
        name,
        Pattern.parse(parts[1]),
        CipherFunction.parse(parts[3]),
        HashFunction.parse(parts[4]));
  }

  public String name() {
    return name;
  }

  /** Whether only the initiator may send after the handshake. */
  public boolean oneWay() {
    return pattern.oneWay();
  }

  Pattern pattern() {
    return pattern;
  }

  CipherFunction cipher() {
    return cipher;
  }

  HashFunction hash() {
    return hash;
  }

  @Override
  public String toString() {
    return name;
  }
}
