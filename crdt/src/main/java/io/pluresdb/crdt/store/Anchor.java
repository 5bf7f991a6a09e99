package io.pluresdb.crdt.store;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.Hash;
import java.util.Arrays;

/**
 * A memory of what this device has published, kept outside the database directory: a database that
 * was rolled back or copied is behind or beside it, and goes on under a new actor.
 */
public interface Anchor {
  /** Bytes of an instance id. */
  int INSTANCE_BYTES = 16;

  /**
   * What was recorded.
   *
   * @param instance the random id a database directory gets when it is made
   * @param seq number of the actor's newest published change
   * @param headHash its hash
   */
  record Mark(byte[] instance, ActorId actor, long seq, Hash headHash) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Mark mark
          && Arrays.equals(instance, mark.instance)
          && actor.equals(mark.actor)
          && seq == mark.seq
          && headHash.equals(mark.headHash);
    }

    @Override
    public int hashCode() {
      return Long.hashCode(seq) * 31 + actor.hashCode();
    }
  }

  /** What {@link #read} found. */
  sealed interface Reading {
    /** Nothing was ever recorded. */
    record Missing() implements Reading {}

    record Valid(Mark mark) implements Reading {}

    /** Something is there and no part of it holds. */
    record Damaged(String detail) implements Reading {}
  }

  Reading read();

  /**
   * Records {@code mark}; on return it survives power loss.
   *
   * @throws StorageException.Failed when it may not have
   */
  void record(Mark mark);

  /**
   * Notes {@code mark} without waiting for the disk: it survives the end of the process. After
   * power loss {@link #read} may find the mark that was recorded last instead.
   *
   * @throws StorageException.Failed when it could not be written
   */
  void note(Mark mark);
}
