package io.pluresdb.harness.sim;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.harness.fault.WatchedAnchor;
import io.pluresdb.harness.fault.WatchedStorage;
import java.util.HashMap;
import java.util.Map;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/** A device: a key, a disk, an anchor, a clock, and an engine while it is up. */
final class SimNode {
  final int index;
  final Signer signer;
  final ReplicaIdentity identity;
  final Environment environment;
  final SplittableRandom random;

  WatchedStorage storage;
  WatchedAnchor anchor = new WatchedAnchor();
  @Nullable ReplicaEngine engine;
  int lives;

  long clockOffset;
  long fullUntil;
  long unreadUntil;
  boolean neverReads;
  boolean turnScheduled;

  /** The newest write handed to this life's engine, by document. */
  final Map<String, Integer> lastWrite = new HashMap<>();

  SimNode(
      int index,
      Hash database,
      byte @Nullable [] founder,
      SplittableRandom random,
      java.time.InstantSource clock,
      WatchedStorage storage) {
    this.index = index;
    this.random = random;
    this.storage = storage;
    byte[] secret = new byte[32];
    random.nextBytes(secret);
    signer = new Signer(secret);
    identity =
        new ReplicaIdentity(database, founder == null ? signer.publicKey() : founder, signer);
    environment = new Environment(clock, random);
  }
}
