package io.pluresdb.harness.sim;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.codec.Verifier;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.harness.fault.WatchedAnchor;
import io.pluresdb.harness.fault.WatchedStorage;
import java.util.HashMap;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/** A device: a key, a disk, an anchor, a clock, and an engine while it is up; or a liar. */
final class SimNode {
  final int index;
  final Signer signer;
  final ReplicaIdentity identity;
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

  /** Length of the arrival log when it was looked at last; unchanged, it need not be again. */
  long looked = -1;

  /** The newest write handed to this life's engine, by document. */
  final Map<String, Integer> lastWrite = new HashMap<>();

  SimNode(
      int index,
      Hash database,
      byte @Nullable [] founder,
      RandomGenerator random,
      Environment environment,
      Verifier verifier,
      WatchedStorage storage) {
    this.index = index;
    this.random = random;
    this.storage = storage;
    this.environment = environment;
    signer = new Signer(environment.randomBytes(32));
    identity =
        new ReplicaIdentity(
            database, founder == null ? signer.publicKey() : founder, signer, verifier);
  }
}
