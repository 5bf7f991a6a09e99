package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;

/** What became of a run of foreign changes. */
public sealed interface RunOutcome {
  /** It was integrated; {@code changes} of it were new, at least one. */
  record Applied(int changes) implements RunOutcome {}

  /** Everything in it was known already. */
  record Known() implements RunOutcome {}

  /** It waits in the bounded buffer until {@code actor}'s change {@code seq} is here. */
  record Waiting(ActorId actor, long seq) implements RunOutcome {}

  /** It waits because its hybrid time lies too far ahead of our clock. */
  record Ahead(long timestamp) implements RunOutcome {}

  /** It was thrown away. */
  record Rejected(Reason reason, String detail) implements RunOutcome {}

  /** Why a run was thrown away; each is counted. */
  enum Reason {
    /** The author is no member with the role to write; may be sent again after it became one. */
    NOT_A_MEMBER,
    /** The actor is not derived from the key that signs. */
    WRONG_GENESIS,
    /** The signature does not cover a chain that continues ours: forged, or a fork. */
    BAD_SIGNATURE,
    /** Bytes that do not follow the format, or operations that break a rule. */
    MALFORMED,
    /** The buffer of waiting runs is full. */
    BUFFER_FULL,
    /** A body is missing, and this replica holds all documents. */
    BODY_MISSING,
    /** It waited too long for what it depends on. */
    EXPIRED
  }
}
