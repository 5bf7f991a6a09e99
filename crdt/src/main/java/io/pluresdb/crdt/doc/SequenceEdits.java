package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.op.CrdtOperation;
import java.util.List;

/** The texts and lists of one document, for whoever turns a wish into operations on them. */
public interface SequenceEdits extends Content.Source {
  /**
   * The operations after which the sequence of {@code register} reads {@code json}.
   *
   * @param observed the dots in the register
   * @param json a canonical string for a text, an array for a list
   */
  List<CrdtOperation> become(byte[] register, List<Dot> observed, byte[] json);

  /** The operations after which nothing is left in the sequence. */
  List<CrdtOperation> clear(byte[] register);
}
