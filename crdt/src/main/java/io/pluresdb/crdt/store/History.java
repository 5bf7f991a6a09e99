package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.HybridClock;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A page of a document's history.
 *
 * @param versions in the order in which they arrived on this device, newest first: what a version
 *     depends on comes after it
 * @param next hand this to the call for the next page as {@code before}; 0 when there is none
 * @param truncated whether older versions existed that are no longer kept; only on the last page
 */
public record History(List<Version> versions, long next, boolean truncated) {
  /** Most versions on one page. */
  public static final int MAX_VERSIONS = 1_000;

  /** A page ends early, but not before its first version, when it holds this many bytes. */
  static final int PAGE_BYTES = 1 << 20;

  /**
   * One change, as far as it is about the document.
   *
   * @param arrival its place in this device's arrival log
   * @param timestamp hybrid time, as {@link HybridClock} lays it out
   * @param steps what it did to parts of the document, in order, at most {@link #MAX_STEPS}
   * @param omitted how many more steps there were
   */
  public record Version(
      ActorId actor,
      long seq,
      long arrival,
      long timestamp,
      Effect effect,
      List<Step> steps,
      int omitted) {
    /** Most steps that are listed. */
    public static final int MAX_STEPS = 64;

    /** What people call it: eight hex digits of the actor and the seq. */
    public String name() {
      return actor + "." + seq;
    }

    /** Milliseconds since 1970. */
    public long wallMillis() {
      return HybridClock.wallMillis(timestamp);
    }

    int bytes() {
      int bytes = 128;
      for (Step step : steps) {
        bytes += 64 + step.path().length();
        bytes += step instanceof Step.Set set && set.value() != null ? set.value().length() : 0;
      }
      return bytes;
    }
  }

  /** What a change made of the document, as its author saw it. */
  public enum Effect {
    /** It did not exist before. */
    CREATED,
    UPDATED,
    DELETED
  }

  /** What a change did to one part. The index is that of the dot it made. */
  public sealed interface Step {
    /** Longest value that is listed, in bytes of UTF-8. */
    int MAX_VALUE_BYTES = 256;

    /** Keys joined by dots; empty for the whole document. */
    String path();

    /**
     * A value was put there.
     *
     * @param value canonical JSON, or null when it is longer than {@link #MAX_VALUE_BYTES}
     * @param bytes length of the value
     */
    record Set(String path, int index, @Nullable String value, int bytes) implements Step {}

    /** What was there went. */
    record Removed(String path) implements Step {}

    record Incremented(String path, int index, long amount) implements Step {}

    /**
     * A text, list or set was edited.
     *
     * @param operation {@code text.insert}, {@code text.delete}, {@code list.insert}, {@code
     *     list.delete}, {@code list.set}, {@code list.move}, {@code set.add} or {@code set.remove}
     * @param elements how many characters or elements; 0 only says that it is there
     */
    record Edited(String path, String operation, int elements) implements Step {}

    /** An embedding was supplied. */
    record Embedded(int index, int dimensions) implements Step {
      @Override
      public String path() {
        return "";
      }
    }

    /** The embedding went. */
    record EmbeddingRemoved() implements Step {
      @Override
      public String path() {
        return "";
      }
    }

    /** An operation of a later version, which was not applied. */
    record Unknown(String path, int index, int tag) implements Step {}
  }
}
