package io.pluresdb.transport;

import java.time.InstantSource;
import java.util.random.RandomGenerator;

/**
 * The clock and the entropy the transport uses; nothing in this module reads either elsewhere.
 *
 * @param wallClock judges when a credential expires and when a LAN contact is stale
 * @param random makes keys: cryptographically secure in production ({@code SecureRandom}), seeded
 *     in tests; called from several threads
 */
public record Environment(InstantSource wallClock, RandomGenerator random) {}
