package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.MembershipEntry.Revoke;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.daemon.node.DatabaseFile.Keys;
import io.pluresdb.daemon.replication.KeyMessage;
import io.pluresdb.daemon.replication.KeyMessage.Have;
import io.pluresdb.daemon.replication.KeyMessage.Here;
import io.pluresdb.daemon.replication.KeyMessage.Want;
import io.pluresdb.daemon.replication.Replicator;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.Hint;
import io.pluresdb.transport.topic.SyncKey;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The keys of one database, epoch by epoch. Whoever removes a device draws a secret and names it in
 * the removal; members hand it to each other in their sessions, and what follows from the secrets
 * of the newest removals is the sync key from then on. The removed device is given none.
 *
 * <p>Earlier keys are answered to as long as somebody may come who has no other: a member that was
 * not met under the current key, a removed device that was not told, a guest with an invite. Usable
 * from any thread; what writes to the disk must not be called from an event loop.
 */
final class Epochs {
  /**
   * The keys themselves change, so the number that goes into what is derived from them does not.
   */
  static final long NUMBER = 0;

  /** Earlier keys are given up when they were replaced so long ago, whoever is missing. */
  static final long KEPT_MILLIS = CompactionSettings.DEFAULT.leaseMillis();

  private static final String CLOSED_CODE = "NEW_EPOCH";
  private static final Logger log = LoggerFactory.getLogger(Epochs.class);
  private static final HexFormat HEX = HexFormat.of();

  private final LocalDatabase database;
  private final byte[] self;
  private final InstantSource clock;

  /** The current one first. */
  private volatile List<DatabaseKeys> keys;

  Epochs(LocalDatabase database, byte[] self, InstantSource clock) {
    this.database = database;
    this.self = self;
    this.clock = clock;
    this.keys = keys(database.file());
  }

  private static List<DatabaseKeys> keys(DatabaseFile file) {
    var all = new ArrayList<DatabaseKeys>();
    for (String key : file.keys().used()) {
      all.addFirst(DatabaseKeys.of(file.database(), new SyncKey(HEX.parseHex(key)), NUMBER));
    }
    return List.copyOf(all);
  }

  /** The keys of the current epoch. */
  DatabaseKeys current() {
    return keys.getFirst();
  }

  /** The keys under which peers are looked for, the current ones first. */
  List<DatabaseKeys> sought() {
    List<DatabaseKeys> all = keys;
    return all.size() > 1 && isRecent() && isAwaited() ? all : all.subList(0, 1);
  }

  /** The keys under which peers are answered, the current ones first. */
  List<DatabaseKeys> answered() {
    List<DatabaseKeys> all = keys;
    return all.size() > 1 && isRecent() && (isAwaited() || isAnyToBeTold())
        ? all
        : all.subList(0, 1);
  }

  /** The keys that go with a hint, or null when nobody is answered under it. */
  @Nullable DatabaseKeys byHint(Hint hint) {
    for (DatabaseKeys each : answered()) {
      if (each.hint().equals(hint)) {
        return each;
      }
    }
    return null;
  }

  private Membership membership() {
    return database.store().view().membership();
  }

  private boolean isRecent() {
    return clock.millis() - database.file().keys().sinceMillis() < KEPT_MILLIS;
  }

  /** Whether somebody may come who has an earlier key only. */
  private boolean isAwaited() {
    DatabaseFile file = database.file();
    long now = clock.millis();
    return file.invites().stream().anyMatch(invite -> invite.expiresMillis() > now)
        || !file.pending().isEmpty()
        || membership().members().stream()
            .map(Admit::device)
            .anyMatch(
                device ->
                    !Arrays.equals(device, self)
                        && !file.keys().met().contains(HEX.formatHex(device)));
  }

  private boolean isAnyToBeTold() {
    Membership membership = membership();
    Keys stored = database.file().keys();
    for (MembershipEntry entry : membership.entries()) {
      if (entry instanceof Admit
          && membership.isRemoved(entry.device())
          && !stored.told().contains(HEX.formatHex(entry.device()))) {
        return true;
      }
    }
    return false;
  }

  /** Whether a removed device that came under {@code under} is let in to be told so. */
  boolean mayBeTold(DatabaseKeys under, byte[] device) {
    return under.equals(current())
        || !database.file().keys().told().contains(HEX.formatHex(device));
  }

  /**
   * Draws the secret of the epoch that begins with a removal, and keeps it.
   *
   * @return its name
   */
  Hash begin(Environment environment) {
    byte[] secret = environment.randomBytes(KeyMessage.SECRET_BYTES);
    keep(List.of(secret));
    return Revoke.nameOf(secret);
  }

  private void keep(List<byte[]> secrets) {
    database.update(
        file -> {
          Keys stored = file.keys();
          for (byte[] secret : secrets) {
            stored = stored.withSecret(HEX.formatHex(secret));
          }
          return file.withKeys(stored);
        });
  }

  private byte @Nullable [] secret(Hash name) {
    for (String stored : database.file().keys().secrets()) {
      byte[] secret = HEX.parseHex(stored);
      if (Revoke.nameOf(secret).equals(name)) {
        return secret;
      }
    }
    return null;
  }

  /** The names of the secrets that make the current key, ascending; none for the first key. */
  private List<Hash> names() {
    return membership().rotations().stream()
        .map(Revoke::secret)
        .distinct()
        .sorted(MembershipEntry.HASHES)
        .toList();
  }

  /**
   * Looks where the membership has come: goes over to the key that follows from it, or asks for
   * what is missing.
   *
   * @return whether the current key changed
   */
  synchronized boolean look() {
    if (membership().role(self) == null) {
      return false;
    }
    List<Hash> names = names();
    List<Hash> missing = names.stream().filter(name -> secret(name) == null).toList();
    if (!missing.isEmpty()) {
      var question = new Want(missing.subList(0, Math.min(missing.size(), KeyMessage.MAX_SECRETS)));
      sessions().forEach(session -> send(session, question));
      return false;
    }
    // A removal that was undone leaves the key as it is.
    return !names.isEmpty() && goOver(key(names));
  }

  private String key(List<Hash> names) {
    var all = new ByteWriter(KeyMessage.SECRET_BYTES * names.size());
    for (Hash name : names) {
      byte[] secret = secret(name);
      if (secret == null) {
        throw new IllegalStateException("a secret was known a moment ago");
      }
      all.bytes(secret);
    }
    return HEX.formatHex(Hash.of("pluresdb-epoch-key-v1", all.toByteArray()).bytes());
  }

  private boolean goOver(String key) {
    if (database.file().keys().current().equals(key)) {
      return false;
    }
    database.update(file -> file.withKeys(file.keys().followedBy(key, clock.millis())));
    keys = keys(database.file());
    log.info("keys changed database={} hint={}", database.name(), current().hint());
    sessions().forEach(this::sayWhere);
    return true;
  }

  private List<Session> sessions() {
    return database.replicator().connections().stream()
        .map(Replicator.Connection::session)
        .toList();
  }

  private static void send(Session session, KeyMessage message) {
    session.send(message.toByteArray());
    session.flush();
  }

  private void sayWhere(Session session) {
    if (!session.keys().equals(current())) {
      send(session, new Here(current().hint()));
    }
  }

  /** A session was made. */
  void met(Session session) {
    if (session.keys().equals(current())) {
      if (membership().role(session.peerPublicKey()) != null) {
        String device = HEX.formatHex(session.peerPublicKey());
        database.update(file -> file.withKeys(file.keys().withMet(device)));
      }
    } else {
      sayWhere(session);
    }
  }

  /** A session has ended with which a removed device was told so. */
  void told(Session session) {
    String device = HEX.formatHex(session.peerPublicKey());
    database.update(file -> file.withKeys(file.keys().withTold(device)));
  }

  /**
   * A peer speaks about keys.
   *
   * @return whether the current key changed
   */
  boolean receive(Session session, KeyMessage message) {
    if (membership().role(session.peerPublicKey()) == null) {
      return false;
    }
    switch (message) {
      case Want(var names) -> {
        var known = new ArrayList<byte[]>();
        for (Hash name : names) {
          byte[] secret = secret(name);
          if (secret != null) {
            known.add(secret);
          }
        }
        if (!known.isEmpty()) {
          send(session, new Have(known));
        }
      }
      case Have(var secrets) -> {
        List<Hash> wanted = names();
        keep(secrets.stream().filter(secret -> wanted.contains(Revoke.nameOf(secret))).toList());
        return look();
      }
      case Here(var hint) -> {
        if (hint.equals(current().hint()) && !session.keys().equals(current())) {
          if (session.initiator()) {
            session.close(new CloseReason.Ended(CLOSED_CODE, "comes back with the new keys"));
          } else {
            sayWhere(session);
          }
        }
      }
    }
    return false;
  }
}
