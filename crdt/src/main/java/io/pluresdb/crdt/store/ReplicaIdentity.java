package io.pluresdb.crdt.store;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;

/**
 * Which database a replica belongs to and who writes in it.
 *
 * @param database hash of the database's id
 * @param founder Ed25519 public key of the device that created the database, 32 bytes
 * @param signer this device's key
 */
public record ReplicaIdentity(Hash database, byte[] founder, Signer signer) {
  /** The hash that stands for a database id in everything that is signed. */
  public static Hash databaseHash(String databaseId) {
    return Hash.of(
        "pluresdb-database-v1", databaseId.getBytes(java.nio.charset.StandardCharsets.UTF_8));
  }
}
