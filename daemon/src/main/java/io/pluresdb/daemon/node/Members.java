package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.MembershipEntry.Fork;
import io.pluresdb.crdt.auth.MembershipEntry.Revoke;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Replica.VoidChanges;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.daemon.node.DatabaseFile.Pending;
import io.pluresdb.daemon.node.Node.Device;
import io.pluresdb.transport.identity.DeviceId;
import io.pluresdb.transport.identity.DeviceIdentity;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** The devices of one database: who they are, letting them in, removing them. */
final class Members {
  /** Fewest characters of an id that may stand for it. */
  static final int MIN_ID_CHARACTERS = 4;

  private static final Logger log = LoggerFactory.getLogger(Members.class);
  private static final HexFormat HEX = HexFormat.of();

  private final LocalDatabase database;
  private final DeviceIdentity self;
  private final Environment environment;

  Members(LocalDatabase database, DeviceIdentity self, Environment environment) {
    this.database = database;
    this.self = self;
    this.environment = environment;
  }

  private record Entry(byte[] key, Device device) {}

  private Membership membership() {
    return database.store().view().membership();
  }

  /** What a device may do in a database, in one word. */
  static String role(LocalDatabase database, DeviceIdentity device) {
    Membership membership = database.store().view().membership();
    Role role = membership.role(device.publicKey());
    if (role != null) {
      return role.toString();
    }
    return membership.isRemoved(device.publicKey()) ? "removed" : "pending";
  }

  List<Device> devices() {
    return entries().stream().map(Entry::device).toList();
  }

  /** Members first, then those that wait, then those that were removed; each by key. */
  private List<Entry> entries() {
    Membership membership = membership();
    var known = new TreeMap<byte[], Boolean>(Arrays::compareUnsigned);
    for (MembershipEntry entry : membership.entries()) {
      if (entry instanceof Admit) {
        known.put(entry.device(), true);
      }
    }
    Map<byte[], Long> voided = voided();
    var members = new ArrayList<Entry>();
    var removed = new ArrayList<Entry>();
    for (byte[] key : known.keySet()) {
      if (membership.role(key) != null) {
        members.add(entry(membership, key, "member", voided));
      } else if (membership.isRemoved(key)) {
        removed.add(entry(membership, key, "removed", voided));
      }
    }
    for (Pending pending : database.file().pending()) {
      byte[] key = HEX.parseHex(pending.device());
      if (membership.role(key) == null) {
        members.add(
            new Entry(
                key,
                new Device(
                    DeviceId.of(key).toString(),
                    pending.name(),
                    null,
                    "pending",
                    Instant.ofEpochMilli(pending.atMillis()),
                    false,
                    false,
                    0,
                    false)));
      }
    }
    members.addAll(removed);
    return members;
  }

  private Entry entry(Membership membership, byte[] key, String state, Map<byte[], Long> voided) {
    DeviceId id = DeviceId.of(key);
    Admit admission = membership.lastAdmission(key);
    long since = admission == null ? 0 : admission.atMillis();
    if (state.equals("removed")) {
      for (Revoke removal : membership.removals(key)) {
        since = Math.max(since, removal.atMillis());
      }
    }
    boolean forked = false;
    for (Fork fork : membership.forks()) {
      forked |= Arrays.equals(fork.device(), key);
    }
    return new Entry(
        key,
        new Device(
            id.toString(),
            admission == null ? "" : admission.name(),
            membership.role(key),
            state,
            Instant.ofEpochMilli(since),
            database.replicator().isConnected(id),
            id.equals(self.id()),
            voided.getOrDefault(key, 0L),
            forked));
  }

  private Map<byte[], Long> voided() {
    List<VoidChanges> all =
        CrdtStore.await(database.store().call(engine -> engine.replica().voidChanges()));
    var voided = new TreeMap<byte[], Long>(Arrays::compareUnsigned);
    all.forEach(changes -> voided.merge(changes.device(), changes.count(), Long::sum));
    return voided;
  }

  /** The device that is meant by an id, the beginning of one, or a name. */
  private Entry named(String which) {
    String id = which.replace("-", "").toUpperCase(Locale.ROOT);
    var found = new ArrayList<Entry>();
    for (Entry entry : entries()) {
      String own = entry.device.deviceId().replace("-", "");
      if (entry.device.name().equals(which)
          || (id.length() >= MIN_ID_CHARACTERS && own.startsWith(id))) {
        found.add(entry);
      }
    }
    if (found.size() > 1) {
      throw new NodeException(
          "NODE_AMBIGUOUS_DEVICE",
          "\"" + which + "\" fits " + found.size() + " devices",
          "use more of the id; devices prints it");
    }
    if (found.isEmpty()) {
      throw new NodeException(
          "NODE_UNKNOWN_DEVICE",
          "no device of database \"" + database.name() + "\" has the id or name \"" + which + "\"",
          "devices lists them; " + MIN_ID_CHARACTERS + " characters of an id are enough");
    }
    return found.getFirst();
  }

  private void requireAdmin() {
    if (!membership().may(self.publicKey(), Role.ADMIN)) {
      throw new NodeException(
          "NODE_NOT_ALLOWED",
          "this device is no admin of database \"" + database.name() + "\"",
          "do it on one that is; devices shows the roles");
    }
  }

  Device approve(String which, @Nullable Role wanted) {
    requireAdmin();
    Entry entry = named(which);
    Admit last = membership().lastAdmission(entry.key);
    Pending pending = null;
    for (Pending waiting : database.file().pending()) {
      if (waiting.device().equals(HEX.formatHex(entry.key))) {
        pending = waiting;
      }
    }
    Role role = wanted;
    if (role == null) {
      role = pending != null ? Role.parse(pending.role()) : last == null ? Role.WRITE : last.role();
    }
    Role has = membership().role(entry.key);
    if (has != null && has.includes(role) && has != role) {
      throw new NodeException(
          "NODE_ROLE_NOT_GREATER",
          "the device has the role " + has + " already",
          "revoke --keep " + role + " takes from it");
    }
    if (has != role) {
      admit(entry.key, role, entry.device.name(), pending == null ? null : pending.invite());
    }
    database.update(file -> file.withoutPending(HEX.formatHex(entry.key)));
    return named(entry.device.deviceId()).device;
  }

  /** Signs and publishes an admission. */
  void admit(byte[] key, Role role, String name, @Nullable String invite) {
    byte[] used = invite == null ? new byte[MembershipEntry.INVITE_BYTES] : HEX.parseHex(invite);
    CrdtStore.await(
        database
            .store()
            .call(
                engine -> {
                  engine.admit(
                      Admit.sign(
                          ReplicaIdentity.databaseHash(database.id()),
                          key,
                          role,
                          name.isEmpty() ? "unnamed" : name,
                          environment.wallClock().millis(),
                          used,
                          engine.replica().view().membership().newest(),
                          new Signer(self.publicKey(), self::sign)));
                  return true;
                }));
    log.info("device admitted database={} name={} role={}", database.name(), name, role);
  }

  Device revoke(String which, @Nullable Role keep) {
    Entry entry = named(which);
    if (entry.device.state().equals("pending")) {
      requireAdmin();
      database.update(file -> file.withoutPending(HEX.formatHex(entry.key)));
      return entry.device;
    }
    if (!entry.device.self()) {
      requireAdmin();
    }
    Role role = membership().role(entry.key);
    if (role != null && (keep == null || !keep.includes(role))) {
      boolean rotates = keep == null && !entry.device.self();
      Hash secret = rotates ? database.epochs().begin(environment) : Hash.ZERO;
      CrdtStore.await(database.store().call(engine -> engine.revoke(entry.key, keep, secret)));
      log.info(
          "device removed database={} name={} keep={}",
          database.name(),
          entry.device.name(),
          keep == null ? "nothing" : keep);
    }
    return named(entry.device.deviceId()).device;
  }

  long adopt(String which) {
    Entry entry = named(which);
    return CrdtStore.await(database.store().call(engine -> engine.adopt(entry.key)));
  }
}
