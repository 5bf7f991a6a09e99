package io.pluresdb.harness.sim;

import io.pluresdb.harness.fault.Fault;

/** One step of a schedule: somebody writes, or something goes wrong. */
public sealed interface Action {
  /** Virtual milliseconds since the start. */
  long atMillis();

  /** What a write does. */
  enum Kind {
    PUT,
    PATCH,
    DELETE,
    INCREMENT,
    /** Puts both halves of a pair in one batch. */
    PAIR_PUT,
    /** Deletes both halves of a pair in one batch. */
    PAIR_DELETE,
    /** Several documents in one batch. */
    BATCH
  }

  /**
   * A write.
   *
   * @param id its number, unique in the schedule; part of what is written
   * @param document its document; for a pair the name without its half
   */
  record Write(long atMillis, int node, int id, Kind kind, String document, boolean relaxed)
      implements Action {}

  /**
   * A fault.
   *
   * @param other second device, where there is one
   * @param millis how long it lasts
   * @param amount further parameter: which half, how many survive, how far
   */
  record Inject(long atMillis, Fault fault, int node, int other, long millis, int amount)
      implements Action {}
}
