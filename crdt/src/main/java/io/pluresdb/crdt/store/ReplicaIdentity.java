package io.pluresdb.crdt.store;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.codec.Verifier;
import io.pluresdb.crdt.reconcile.KeyScope;

/**
 * Which database a replica belongs to, who writes in it and which documents it holds.
 *
 * @param database hash of the database's id
 * @param founder Ed25519 public key of the device that created the database, 32 bytes
 * @param signer this device's key
 * @param verifier checks the signatures of others
 * @param scope the documents it holds
 */
public record ReplicaIdentity(
    Hash database, byte[] founder, Signer signer, Verifier verifier, KeyScope scope) {
  /** The identity of a replica of all documents. */
  public ReplicaIdentity(Hash database, byte[] founder, Signer signer, Verifier verifier) {
    this(database, founder, signer, verifier, KeyScope.ALL);
  }

  /** An identity that checks every signature itself. */
  public ReplicaIdentity(Hash database, byte[] founder, Signer signer) {
    this(database, founder, signer, Signer::verify);
  }

  /** The hash that stands for a database id in everything that is signed. */
  public static Hash databaseHash(String databaseId) {
    return Hash.of(
        "pluresdb-database-v1", databaseId.getBytes(java.nio.charset.StandardCharsets.UTF_8));
  }
}
