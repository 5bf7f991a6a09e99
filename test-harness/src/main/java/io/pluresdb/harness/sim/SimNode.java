package io.pluresdb.harness.sim;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.harness.check.Chains;
import io.pluresdb.harness.fault.WatchedAnchor;
import io.pluresdb.harness.fault.WatchedStorage;
import java.util.HashMap;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** A device: a key, a disk, an anchor, a clock, and an engine while it is up; or a liar. */
final class SimNode {
  final int index;
  // A clone takes over those of the device it is copied from.
  Signer signer;
  ReplicaIdentity identity;

  /** The device whose key this is: another one for a clone. */
  int author;

  final Environment environment;

  /** Chances of this device: when it has time, how it dies. */
  final RandomGenerator random;

  WatchedStorage storage;
  WatchedAnchor anchor = new WatchedAnchor();
  @Nullable ReplicaEngine engine;
  int lives;

  /** What this device is instead of a replica, or null. */
  @Nullable Liar liar;

  /** What comes back when a damaged row is met. */
  @Nullable MemoryStorage salvage;

  long clockOffset;
  long fullUntil;
  long unreadUntil;
  boolean neverReads;
  boolean turnScheduled;

  /** A clone that was not made yet. */
  boolean dormant;

  /** How often this device gave its actor up for other reasons than a new life. */
  int retired;

  /** Length of the arrival log when it was looked at last; unchanged, it need not be again. */
  long looked = -1;

  /** The newest write handed to this life's engine, by document. */
  final Map<String, Integer> lastWrite = new HashMap<>();

  SimNode(
      int index,
      RandomGenerator random,
      Environment environment,
      ReplicaIdentity identity,
      WatchedStorage storage) {
    this.index = index;
    this.author = index;
    this.random = random;
    this.storage = storage;
    this.environment = environment;
    this.identity = identity;
    this.signer = identity.signer();
  }

  /** Whose the chains of this device's storage are. */
  Chains.Owner owner() {
    return owner(identity, author);
  }

  static Chains.Owner owner(ReplicaIdentity identity, int author) {
    return new Chains.Owner(
        identity.database(), identity.founder(), identity.signer().publicKey(), author);
  }
}
