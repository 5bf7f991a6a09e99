package io.pluresdb.daemon.api;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeException;
import io.pluresdb.daemon.node.Quota;
import io.pluresdb.storage.backup.BackupManifest;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.transport.dht.AddressFamily;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.LookupTrace;
import io.pluresdb.transport.nat.NatProtocol;
import io.pluresdb.transport.nat.NatStatus;
import io.pluresdb.transport.nat.PortKind;
import io.pluresdb.transport.nat.PortMapping;
import io.pluresdb.transport.path.NatKind;
import io.pluresdb.transport.relay.RelayStatus;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentSkipListSet;
import org.jspecify.annotations.Nullable;

/** A node with one database in memory and no network. */
public final class FakeNode implements Node {
  public static final Instant STARTED = Instant.ofEpochMilli(1_700_000_000_000L);

  private final FakeStore store = new FakeStore();
  private final FakeSearches searches = new FakeSearches(store);
  private volatile CompletableFuture<Void> pulse = CompletableFuture.completedFuture(null);
  private volatile Map<String, String> stopped = Map.of();
  private volatile Quota quota = Quota.NONE;
  private final Set<String> wanted = new ConcurrentSkipListSet<>();

  public FakeStore store() {
    return store;
  }

  @Override
  public String deviceId() {
    return "ABCD-EFGH";
  }

  @Override
  public Instant startedAt() {
    return STARTED;
  }

  @Override
  public List<String> databases() {
    return List.of(DEFAULT_DATABASE);
  }

  @Override
  public FakeStore store(String database) {
    if (!database.equals(DEFAULT_DATABASE)) {
      throw new NodeException(
          "NODE_UNKNOWN_DATABASE", "there is no database " + database, "status lists them");
    }
    return store;
  }

  @Override
  public void createDatabase(String name, Quota quota) {
    throw exists(name);
  }

  private static NodeException exists(String name) {
    return new NodeException(
        "NODE_DATABASE_EXISTS", "there is a database " + name, "choose another name");
  }

  @Override
  public void dropDatabase(String name) {
    store(name);
  }

  @Override
  public void moveDatabase(String name, String to) {
    store(name);
    throw exists(to);
  }

  @Override
  public long copyDatabase(String name, String to) {
    store(name);
    throw exists(to);
  }

  @Override
  public Quota quota(String database) {
    store(database);
    return quota;
  }

  @Override
  public void limit(String database, Quota limit) {
    store(database);
    quota = limit;
  }

  @Override
  public FakeSearches searches(String database) {
    store(database);
    return searches;
  }

  @Override
  public DatabaseStatus status(String database) {
    return new DatabaseStatus(
        database,
        "1d".repeat(32),
        "70".repeat(32),
        List.of("note:"),
        store(database).status(),
        store(database).status().bytesOnDisk(),
        wanted.size(),
        "admin",
        0);
  }

  @Override
  public CompletableFuture<Void> pulse() {
    return pulse;
  }

  /** From now on it is asked in vain whether all is well. */
  void hang() {
    pulse = new CompletableFuture<>();
  }

  @Override
  public Map<String, String> stopped() {
    return stopped;
  }

  void stop(String why) {
    stopped = Map.of(DEFAULT_DATABASE, why);
  }

  @Override
  public Activity activity(String database) {
    return new Activity(7, 70, 1, 2, 3, 4, Map.of("bad_signature", 5L), 6, 8, 9);
  }

  @Override
  public List<PeerStatus> peers(String database) {
    store(database);
    return wanted.stream()
        .map(
            address ->
                new PeerStatus("", "", address, "none", "none", "connecting", 3, 0, 0, 0, ""))
        .toList();
  }

  @Override
  public LogStatus log(String database) {
    store(database);
    return new LogStatus(
        12,
        5,
        60_000,
        120_000,
        List.of(
            new Standing(deviceId(), "laptop", "self", STARTED, 0),
            new Standing("PHON-EEEE", "phone", "active", STARTED, 3),
            new Standing("OLDD-EEEE", "tablet", "expired", STARTED, 9)));
  }

  @Override
  public CompletableFuture<LogStatus> vacuum(String database) {
    return CompletableFuture.completedFuture(log(database));
  }

  @Override
  public long remakeEdges(String database) {
    store(database);
    return 0;
  }

  @Override
  public BackupManifest backup(String database, Path target, boolean keys) {
    store(database);
    return new BackupManifest(
        BackupManifest.FORMAT,
        database,
        "1d".repeat(32),
        STARTED.toEpochMilli(),
        2,
        12,
        new TreeMap<>(),
        "00".repeat(32),
        keys,
        List.of(new BackupManifest.Entry("store/CURRENT", 16, "00".repeat(32))));
  }

  @Override
  public EncryptionStatus encryption() {
    return new EncryptionStatus(null, false, 0, "");
  }

  @Override
  public void changeSecret(EncryptionConfig old, EncryptionConfig fresh) {
    reencrypt();
  }

  @Override
  public EncryptionStatus rotateKey() {
    return reencrypt();
  }

  @Override
  public EncryptionStatus reencrypt() {
    throw new EncryptionException("ENCRYPTION_NOT_ENABLED", "not encrypted", "init --encrypt");
  }

  @Override
  public List<Device> devices(String database) {
    store(database);
    return List.of(laptop(Role.ADMIN));
  }

  private Device laptop(@Nullable Role role) {
    return new Device(
        deviceId(),
        "laptop",
        role,
        role == null ? "removed" : "member",
        STARTED,
        false,
        true,
        role == null ? 3 : 0,
        false);
  }

  @Override
  public Device approve(String database, String device, @Nullable Role role) {
    store(database);
    if (!device.equals("laptop")) {
      throw new NodeException("NODE_UNKNOWN_DEVICE", "no device " + device, "devices lists them");
    }
    return laptop(role == null ? Role.WRITE : role);
  }

  @Override
  public Device revoke(String database, String device, @Nullable Role keep) {
    store(database);
    return laptop(keep);
  }

  @Override
  public long adopt(String database, String device) {
    store(database);
    return 3;
  }

  @Override
  public Author author(String database, ActorId actor) {
    store(database);
    return actor.equals(FakeStore.ACTOR) ? new Author(deviceId(), "laptop") : new Author("", "");
  }

  /** Has one other device, which gets a write within a second. */
  @Override
  public void requireCopies(String database, int copies) {
    if (copies > 1) {
      throw new NodeException("NODE_TOO_FEW_DEVICES", "copies must be at most 1", "invite more");
    }
  }

  @Override
  public CompletableFuture<Integer> awaitCopies(
      String database, CrdtStore.Receipt write, int copies, Duration wait) {
    return wait.toMillis() < 1_000
        ? CompletableFuture.failedFuture(
            new NodeException("NODE_NOT_REPLICATED", "not within " + wait, "it stays written"))
        : CompletableFuture.completedFuture(1);
  }

  @Override
  public Invite invite(String database, Role role, Duration validity, boolean approval) {
    store(database);
    if (role == Role.ADMIN) {
      throw new NodeException("NODE_NOT_ALLOWED", "only an admin may invite", "ask one");
    }
    return new Invite(
        "pluresdb://join/" + role + (approval ? "/approval" : ""), STARTED.plus(validity));
  }

  @Override
  public CompletableFuture<Joined> join(String database, String url, List<String> prefixes) {
    if (url.endsWith("/expired")) {
      return CompletableFuture.failedFuture(
          new NodeException("NODE_INVITE_EXPIRED", "the invite has ended", "ask for another"));
    }
    return CompletableFuture.completedFuture(new Joined(database, "1d".repeat(32), Role.WRITE, 2));
  }

  @Override
  public void connect(String database, InetSocketAddress address) {
    store(database);
    wanted.add(text(address));
  }

  @Override
  public boolean disconnect(String database, InetSocketAddress address) {
    return wanted.remove(text(address));
  }

  @Override
  public void sync(String database) {
    store(database);
  }

  private static String text(InetSocketAddress address) {
    return address.getHostString() + ":" + address.getPort();
  }

  @Override
  public List<Finding> doctor(String database) {
    store(database);
    return List.of(
        Finding.ok("rows", "7 rows are readable"),
        Finding.warning("peers", "no peer is connected", "connect one"));
  }

  @Override
  public CompletableFuture<Finding> doctorAgainst(String database, String peer) {
    store(database);
    if (!peer.equals("phone")) {
      throw new NodeException("NODE_PEER_NOT_CONNECTED", peer + " is not connected", "peers");
    }
    return CompletableFuture.completedFuture(
        Finding.error("against", "1 document differs: \"a\" (here)", "start over on one"));
  }

  @Override
  public NetworkStatus network() {
    return new NetworkStatus("0.0.0.0:34570", "on", NatKind.CONE, List.of("203.0.113.5:34570"));
  }

  @Override
  public List<RelayStatus> relays() {
    return List.of();
  }

  @Override
  public NatStatus portMapping() {
    return new NatStatus(
        NatProtocol.PCP,
        List.of(
            new PortMapping(
                PortKind.TCP,
                34_570,
                new InetSocketAddress(InetAddress.ofLiteral("198.51.100.7"), 40_001),
                3_600)),
        Map.of(NatProtocol.UPNP, "no answer"));
  }

  @Override
  public NetworkCounters networkCounters() {
    return new NetworkCounters(
        Map.of("accepted", 9L, "closed.silent", 2L, "refused.half-open", 3L),
        4,
        Map.of("half-open", 256),
        Map.of("queries-limited", 5L));
  }

  @Override
  public CompletableFuture<DhtReport> dht() {
    throw new NodeException("NODE_DHT_OFF", "no part in the DHT", "set peers.dht to true");
  }

  @Override
  public CompletableFuture<LookupTrace> dhtLookup(DhtId topic) {
    var at = new InetSocketAddress(InetAddress.ofLiteral("192.0.2.7"), 6881);
    return CompletableFuture.completedFuture(
        new LookupTrace(
            topic,
            AddressFamily.IPV4,
            true,
            0,
            12,
            1,
            1,
            1,
            List.of(at),
            7,
            1,
            0,
            List.of(new LookupTrace.Step(at, "6d".repeat(20), 9, 1, 0, 7, 1))));
  }
}
