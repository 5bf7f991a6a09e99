package io.pluresdb.transport.topic;

import io.pluresdb.transport.hash.Blake2b;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;

/**
 * What a session needs to know of one database in one epoch.
 *
 * <p>Two of these are equal when they name the same database and epoch. {@link #toString} shows no
 * secret.
 */
public final class DatabaseKeys {
  private final String databaseId;
  private final byte[] databaseIdHash;
  private final long epoch;
  private final Topic topic;
  private final Hint hint;
  private final byte[] psk;
  private final byte[] rendezvous;

  private DatabaseKeys(
      String databaseId, long epoch, Topic topic, Hint hint, byte[] psk, byte[] rendezvous) {
    this.databaseId = databaseId;
    this.databaseIdHash = Blake2b.hash256(databaseId.getBytes(StandardCharsets.UTF_8));
    this.epoch = epoch;
    this.topic = topic;
    this.hint = hint;
    this.psk = psk;
    this.rendezvous = rendezvous;
  }

  /** The keys of the database {@code syncKey} itself names. */
  public static DatabaseKeys of(SyncKey syncKey, long epoch) {
    return of(syncKey.databaseId(), syncKey, epoch);
  }

  /**
   * The keys of a database that keeps its id while its sync key was replaced.
   *
   * @param databaseId any non-empty text; both sides must have the same
   */
  public static DatabaseKeys of(String databaseId, SyncKey syncKey, long epoch) {
    if (databaseId.isEmpty()) {
      throw new IllegalArgumentException("a database id must not be empty");
    }
    return new DatabaseKeys(
        databaseId,
        epoch,
        Topic.deriveTopic(syncKey.databaseId()),
        syncKey.hint(epoch),
        syncKey.psk(epoch),
        syncKey.rendezvous(epoch));
  }

  public String databaseId() {
    return databaseId;
  }

  /** BLAKE2b-256 of the database id, 32 bytes: what prologue and credentials bind. */
  public byte[] databaseIdHash() {
    return databaseIdHash.clone();
  }

  public long epoch() {
    return epoch;
  }

  /** Where its peers meet; that of the database id until the sync key is replaced. */
  public Topic topic() {
    return topic;
  }

  public Hint hint() {
    return hint;
  }

  /** The 32 secret bytes of the handshake's psk token. */
  public byte[] psk() {
    return psk.clone();
  }

  /** The 32 secret bytes behind {@link Rendezvous} and {@link PeerTag}. */
  byte[] rendezvous() {
    return rendezvous;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof DatabaseKeys keys
        && databaseId.equals(keys.databaseId)
        && hint.equals(keys.hint);
  }

  @Override
  public int hashCode() {
    return hint.hashCode();
  }

  @Override
  public String toString() {
    return "DatabaseKeys[database="
        + HexFormat.of().formatHex(databaseIdHash, 0, 4)
        + ", epoch="
        + epoch
        + "]";
  }
}
