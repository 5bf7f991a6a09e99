package io.pluresdb.harness.sim;

import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.codec.Verifier;
import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;

/**
 * Remembers verdicts on signatures: in a simulation every replica checks the same ones, which costs
 * nearly half of the time. Every different signature is checked once by the product's own code.
 */
final class VerdictMemo implements Verifier {
  private record Question(byte[] key, byte[] message, byte[] signature) {
    @Override
    public boolean equals(Object other) {
      return other instanceof Question question
          && Arrays.equals(key, question.key)
          && Arrays.equals(message, question.message)
          && Arrays.equals(signature, question.signature);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(signature) * 31 + Arrays.hashCode(message);
    }
  }

  private final Map<Question, Boolean> verdicts = new HashMap<>();

  @Override
  public boolean verify(byte[] publicKey, byte[] message, byte[] signature) {
    return verdicts.computeIfAbsent(
        new Question(publicKey, message, signature),
        q -> Signer.verify(q.key, q.message, q.signature));
  }
}
