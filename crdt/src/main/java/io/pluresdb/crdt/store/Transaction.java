package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.op.ChangeBody;
import java.util.List;

/**
 * Edits that take effect together on every replica, or not at all.
 *
 * @param edits 1 to {@link ChangeBody#MAX_EDITS}; a later edit of a document sees the earlier ones
 * @param acknowledgement when the store answers
 */
public record Transaction(List<Edit> edits, Acknowledgement acknowledgement) {
  /** What must have happened before a write is acknowledged. */
  public enum Acknowledgement {
    /** Synced to this device's disk; nothing is published before. The default. */
    LOCAL,
    /**
     * Written, not yet synced, and already published. After a power loss this device may have
     * forgotten the write, and goes on under a new actor.
     */
    RELAXED
  }

  public Transaction {
    if (edits.isEmpty() || edits.size() > ChangeBody.MAX_EDITS) {
      throw CoreException.tooLarge(
          "a batch must hold 1 to "
              + ChangeBody.MAX_EDITS
              + " operations, but holds "
              + edits.size());
    }
    edits = List.copyOf(edits);
  }

  /** Bytes of what its edits hold. */
  public long bytes() {
    long bytes = 0;
    for (Edit edit : edits) {
      bytes += edit.bytes();
    }
    return bytes;
  }

  public static Transaction of(Edit... edits) {
    return new Transaction(List.of(edits), Acknowledgement.LOCAL);
  }
}
