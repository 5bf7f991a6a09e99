package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import java.util.LinkedHashMap;
import java.util.Map;

/**
 * Whether what a foreign run names is here. What is void and named all the same needs no waiting
 * for, but should it count later, what it did comes late: whoever takes the run in has to {@link
 * #note} that.
 */
final class NamedPast {
  /** Which change made an element is not known: any later one may have. */
  private static final long ANY = Long.MAX_VALUE;

  private final Staging staging;
  private final Limits limits;
  private final Map<ActorId, Long> overtaken = new LinkedHashMap<>();

  NamedPast(Staging staging, Limits limits) {
    this.staging = staging;
    this.limits = limits;
  }

  /** Whether a change must be waited for. */
  boolean lacks(ActorId actor, long seq) {
    return staging.seq(actor) < seq && !isVoid(actor, seq, seq);
  }

  /**
   * The seq of the actor's next change, when it must be waited for because it may bring an element;
   * 0 when not.
   */
  long lacksNext(ActorId actor) {
    long next = staging.seq(actor) + 1;
    return isVoid(actor, next, ANY) ? 0 : next;
  }

  private boolean isVoid(ActorId actor, long seq, long upTo) {
    boolean isVoid = limits.isSkipped(staging, actor, seq);
    if (isVoid) {
      overtaken.merge(actor, upTo, Math::max);
    }
    return isVoid;
  }

  /** Remembers what was let through. */
  void note() {
    overtaken.forEach((actor, seq) -> limits.skip(staging, actor, seq));
  }
}
