package io.pluresdb.crdt.codec;

/**
 * Decides whether an Ed25519 signature holds. There is one implementation, {@link Signer#verify};
 * many replicas in one process may share a memory of its answers.
 */
@FunctionalInterface
public interface Verifier {
  /**
   * Whether {@code signature} is {@code publicKey}'s over {@code message}: a pure function, false
   * on any defect.
   */
  boolean verify(byte[] publicKey, byte[] message, byte[] signature);
}
