package io.pluresdb.crdt.model;

/** A rule of the model, broken. Each must make the comparison with the product fail. */
enum Mutant {
  /** What an assignment replaces is looked up where it is applied. */
  OBSERVED_AT_RECEIVER,
  /** A delete takes away whatever existence the receiver holds. */
  DELETE_WITHOUT_OBSERVED,
  /** Only the greatest sibling of a register is stored. */
  SIBLINGS_TRUNCATED,
  /** One value per register: the vector clock decides, then the wall clock, pair by pair. */
  VECTOR_CLOCK_THEN_WALL_CLOCK,
  /** Foreign changes are applied as if they were local writes. */
  REMOTE_THROUGH_LOCAL_PUT,
  /** A snapshot is merged by union. */
  SNAPSHOT_BY_UNION,
  /** A restored replica goes on under the actor it had. */
  ACTOR_REUSED_AFTER_RESTORE,
  /** The whole document travels and the receiver computes the difference. */
  RECEIVER_SIDE_DIFFERENCE,
  /** A put assigns every leaf. */
  PUT_REWRITES_UNCHANGED,
  /** Arrays are merged by index. */
  ARRAYS_BY_INDEX,
  /** Changes are applied as they come. */
  CAUSAL_ORDER_IGNORED,
  /** What was applied already is applied again. */
  DUPLICATES_APPLIED,
  /** Receiving does not advance the hybrid clock. */
  FOREIGN_TIME_NOT_OBSERVED,
  /** The hybrid clock is the wall clock. */
  WALL_CLOCK_ONLY,
  /** A change from the future is applied at once. */
  FUTURE_NOT_HELD,
  /** A change that is held advances the clock. */
  FUTURE_ADVANCES_CLOCK,
  /** A put or patch of an existing document does not assert its existence again. */
  EXISTENCE_NOT_REASSERTED,
  /** A delete removes the fields too, so nothing is left for a concurrent edit to return. */
  DELETE_REMOVES_FIELDS,
  /** A concurrent delete wins. */
  DELETE_WINS,
  /** A refused batch leaves the edits before the refused one. */
  BATCH_IN_PARTS,
  /** A counter is a value: the newest increment wins. */
  COUNTER_IS_A_VALUE,
  /** All dots of a change are the same. */
  DOTS_WITHOUT_INDEX,
  /** A value always wins against fields below it. */
  VALUE_ALWAYS_WINS,
  /** Ties are broken by the actor alone. */
  TIES_BY_ACTOR,
  /** A patch leaves conflicts of what it changes. */
  PATCH_KEEPS_LOSERS
}
