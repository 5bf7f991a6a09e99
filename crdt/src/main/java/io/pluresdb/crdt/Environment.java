package io.pluresdb.crdt;

import java.time.InstantSource;
import java.util.random.RandomGenerator;

/**
 * Everything of the outside that the core may ask for. The daemon builds one from the system, the
 * simulator one from a seed; nothing else reads a clock or entropy.
 *
 * @param wallClock the device's clock, which may step
 * @param random must be cryptographically strong outside of simulations: actor nonces come from it
 */
public record Environment(InstantSource wallClock, RandomGenerator random) {
  /** {@code count} fresh random bytes. */
  public byte[] randomBytes(int count) {
    byte[] bytes = new byte[count];
    random.nextBytes(bytes);
    return bytes;
  }
}
