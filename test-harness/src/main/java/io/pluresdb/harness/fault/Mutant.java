package io.pluresdb.harness.fault;

import java.util.List;

/**
 * A defence inside the product that is switched off: a method of it does nothing, or always says
 * the same. The class files are rewritten while they are loaded.
 */
public enum Mutant {
  /** Every signature holds. */
  NO_SIGNATURES("codec.Signer", "verify", Body.TRUE),
  /** Every device may write. */
  NO_MEMBERSHIP("store.Limits", "limit", Body.NULL),
  /** Changes do not name what they depend on. */
  NO_DEPENDENCIES("store.Replica", "dependencies", Body.EMPTY_LIST),
  /** The hybrid clock does not learn from others. */
  DEAF_CLOCK("causal.HybridClock", "observe", Body.NOTHING),
  /** The anchor always agrees with the storage. */
  BLIND_ANCHOR("store.ActorGuard", "agrees", Body.TRUE),
  /** Acknowledgements cover what only waits. */
  EARLY_ACKNOWLEDGEMENT("sync.SyncSession", "incomplete", Body.NOTHING),
  /** Documents that change leave the fingerprint as it was. */
  STALE_FINGERPRINT("store.BucketSums", "replace", Body.NOTHING),
  /** Documents are not written, only changes are. */
  LOG_ONLY("store.Replica", "writeDocument", Body.ZERO),
  /** Operations do not change documents. */
  NO_MERGE("doc.DocumentState", "apply", Body.NOTHING),
  /** After a full disk nobody sends again what was lost. */
  FULL_DISK_FORGETS("engine.ReplicaEngine", "dropContributors", Body.NOTHING),
  /** A peer has no credit at all. */
  IMPATIENT("sync.SyncSession", "maxUnacknowledgedBytes", Body.ZERO),
  /** What was sent to a peer is taken to be there, whatever its frontier says. */
  NO_FRONTIERS("sync.SyncSession", "knows", Body.NOTHING),
  /** Nothing that waits is tried again. */
  NO_RETRY("engine.ReplicaEngine", "release", Body.NOTHING),
  /** Whatever a peer says of our actor is believed, as often as it says it. */
  CREDULOUS("engine.ReplicaEngine", "mayBelieve", Body.TRUE),
  /** Nobody looks up which changes of an actor are here. */
  FORGETS_ACTORS("store.Staging", "actor", Body.NULL),
  /** Changes do not wait for what they depend on. */
  NO_WAITING("store.NamedPast", "lacks", Body.ZERO),
  /** Observed dots may be of changes that are not here. */
  UNCHECKED_OBSERVATIONS("store.Replica", "checkNamed", Body.NULL),
  /** Changes are sent before the anchor knows of them. */
  NO_ANCHOR("store.Replica", "anchorOwn", Body.NOTHING),
  /** What a removal does not accept goes on counting. */
  REMOVAL_IGNORED("store.Limits", "settle", Body.ZERO),
  /** A removed device has a session like any other. */
  REMOVED_IS_SERVED("engine.ReplicaEngine", "tellRemoved", Body.ZERO),
  /** Two branches of one actor prove nothing. */
  NO_FORK_PROOF("engine.Forks", "onOffshoot", Body.NULL),
  /** A copy of a device does not write again what became void. */
  NO_COMEBACK("engine.ReplicaEngine", "adoptOwn", Body.NOTHING),
  /** Everything may leave the log, whoever lacks it. */
  CUTS_TOO_MUCH("compaction.StableCut", "seq", Body.MAX),
  /** A device whose database was put back removes others before it has heard of anything. */
  HASTY_REMOVAL("store.ActorGuard", "isBehind", Body.ZERO),
  /** Nobody looks at the heads of a snapshot. */
  UNCHECKED_HEADS("store.Replica", "refusal", Body.NULL);

  /** What is left of the method. */
  public enum Body {
    NOTHING,
    TRUE,
    NULL,
    ZERO,
    /** The greatest long. */
    MAX,
    EMPTY_LIST
  }

  private final String className;
  private final String method;
  private final Body body;

  Mutant(String className, String method, Body body) {
    this.className = "io.pluresdb.crdt." + className;
    this.method = method;
    this.body = body;
  }

  public String className() {
    return className;
  }

  public String method() {
    return method;
  }

  public Body body() {
    return body;
  }

  /** What every mutant is loaded with, apart from the product itself. */
  static List<String> packages() {
    return List.of("io.pluresdb.crdt.", "io.pluresdb.harness.");
  }
}
