package io.pluresdb.daemon.node;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.engine.Comparison;
import io.pluresdb.crdt.reconcile.Differences.Side;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.replication.Replicator;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.crypto.EncryptionMetadata;
import io.pluresdb.storage.crypto.KeyVault;
import io.pluresdb.storage.rocks.WriteAheadLog;
import io.pluresdb.storage.search.IndexBehindException;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.transport.dht.LookupTrace;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.identity.IdentityException;
import io.pluresdb.transport.session.Session;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.SortedMap;
import java.util.StringJoiner;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.Executor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * The checks of one database and of the device around it. A check is a method that returns a {@link
 * Finding}; it reads, and repairs nothing.
 */
final class Doctor {
  /** Less room than this is a warning. */
  static final long LOW_DISK_BYTES = 1L << 30;

  /** Less room than this is an error: the store may need it to merge its files. */
  static final long FULL_DISK_BYTES = 64L << 20;

  /** Documents that are looked for, and named, at most. */
  static final int MAX_DIFFERENCES = 10_000;

  private static final String RECOVER =
      "restore a backup, or keep what precedes the damage: pluresdb wal recover";

  private static final String OFFLINE = "the daemon does not run";

  private static final int MAX_MIXED = 5;
  private static final long LOOKUP_MILLIS = 15_000;
  private static final long RELAY_MILLIS = 5_000;
  private static final long RELAY_POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(50);
  private static final int MAX_INDEX_DIFFERENCES = 3;
  private static final long INDEX_MILLIS = 10_000;
  private static final int NAMED = 20;
  private static final int TRIES = 20;
  private static final int FAILED_TRIES = 4;
  private static final long BETWEEN_TRIES_MILLIS = 500;

  private final DataDirectory directory;
  private final LocalDatabase database;
  private final InstantSource clock;
  private final Surroundings around;

  /**
   * What is not of one database.
   *
   * @param online whether there is a network
   * @param dht null where it is not used
   * @param relays null without a network
   * @param reencryption why sealing anew stopped, empty when it did not
   */
  record Surroundings(
      boolean online,
      @Nullable DhtDiscovery dht,
      @Nullable RelayLinks relays,
      String reencryption) {}

  Doctor(
      DataDirectory directory, LocalDatabase database, InstantSource clock, Surroundings around) {
    this.directory = directory;
    this.database = database;
    this.clock = clock;
    this.around = around;
  }

  /** All checks, in the order in which they should be read. */
  List<Finding> findings() {
    var findings = new ArrayList<Finding>();
    findings.add(storage());
    findings.add(checksums());
    findings.add(log());
    findings.addAll(Inspection.of(database.replica()));
    findings.add(indexes());
    findings.add(embeddings());
    findings.add(background());
    findings.add(anchor());
    findings.add(clock());
    findings.add(pending());
    findings.add(peers());
    findings.add(dht());
    findings.add(relays());
    findings.add(divergence());
    findings.add(encryption());
    findings.add(keys());
    findings.add(disk(directory.root()));
    findings.add(permissions(directory.root(), database.name()));
    return findings;
  }

  /**
   * What can be said of a database that does not open.
   *
   * @param failure why it does not
   */
  static List<Finding> closed(Path root, String database, Finding failure) {
    var findings = new ArrayList<Finding>();
    findings.add(failure);
    Path store = DataDirectory.store(root, database);
    if (Files.isDirectory(store)) {
      findings.add(log(() -> WriteAheadLog.inspect(store), RECOVER));
    }
    findings.add(disk(root));
    findings.add(permissions(root, database));
    return findings;
  }

  /** Every block of every table file. */
  private Finding checksums() {
    try {
      database.files().verifyChecksums();
      return Finding.ok("checksums", "every table file is as it was written");
    } catch (StorageException e) {
      return Finding.error(
          "checksums",
          String.valueOf(e.getMessage()),
          "copy what can be read with `pluresdb export`, then restore a backup, or start over with"
              + " an empty data directory and join again; look after the disk");
    }
  }

  private Finding log() {
    // Everything in it is still in memory: written to table files, it is needed no more.
    return log(
        () -> database.files().inspectLog(),
        "do not stop the daemon; `pluresdb vacuum` writes anew what is in the log; look after the"
            + " disk");
  }

  private static Finding log(Supplier<WriteAheadLog.Report> inspection, String remedy) {
    try {
      WriteAheadLog.Report report = inspection.get();
      WriteAheadLog.Damage damage = report.damage();
      if (damage != null && damage.isHarmful()) {
        return Finding.error(
            "wal", damage + "; " + report.behind() + " commits follow that can be read", remedy);
      }
      return Finding.ok("wal", report.commits() + " commits in the write-ahead log can be read");
    } catch (StorageException e) {
      return Finding.error("wal", String.valueOf(e.getMessage()), "check the disk");
    }
  }

  private Finding storage() {
    RuntimeException broken = database.store().broken();
    return broken == null
        ? Finding.ok(
            "storage", "open, " + database.store().status().bytesOnDisk() + " bytes on disk")
        : Finding.error(
            "storage",
            "stopped after a failure: " + broken.getMessage(),
            "see the log for the cause, remove it and restart the daemon");
  }

  /** Asks the replica loop. */
  private <T extends @Nullable Object> T ask(Function<Replica, T> question) {
    return CrdtStore.await(database.store().call(engine -> question.apply(engine.replica())));
  }

  private Finding indexes() {
    if (database.searches().status().isEmpty()) {
      return Finding.notApplicable("indexes", "there are none");
    }
    try {
      List<String> differences =
          database.searches().differences(MAX_INDEX_DIFFERENCES, INDEX_MILLIS);
      return differences.isEmpty()
          ? Finding.ok("indexes", "agree with the documents")
          : Finding.error(
              "indexes",
              String.join("; ", differences),
              "stop the daemon and delete the folder indexes of the database; index drop and index"
                  + " add make an index on fields anew");
    } catch (IndexBehindException e) {
      return Finding.warning(
          "indexes", String.valueOf(e.getMessage()), "look again later; indexes catch up");
    }
  }

  private Finding anchor() {
    Replica replica = database.replica();
    ActorId own = ask(Replica::ownActor);
    return switch (database.anchorReading()) {
      case Anchor.Reading.Damaged(var detail) ->
          Finding.warning(
              "anchor",
              "the anchor file is damaged: " + detail,
              "nothing needs to be done: this device goes on under a new actor");
      case Anchor.Reading.Missing() ->
          own == null
              ? Finding.notApplicable("anchor", "this device has not written yet")
              : Finding.ok("anchor", "nothing was published yet");
      case Anchor.Reading.Valid(var mark) -> {
        long seq = replica.view().frontier().seq(mark.actor());
        if (!mark.actor().equals(own)) {
          yield seq >= mark.seq()
              ? Finding.ok("anchor", "this device goes on under a new actor")
              : Finding.warning(
                  "anchor",
                  "this device made "
                      + mark.seq()
                      + " changes under its last actor, of which "
                      + seq
                      + " are here; it goes on under a new actor",
                  "connect the devices that may have the others: they send them back");
        }
        yield seq >= mark.seq()
            ? Finding.ok("anchor", "all " + mark.seq() + " published changes are here")
            : Finding.error(
                "anchor",
                "change " + mark.seq() + " was published, but the database ends at " + seq,
                "the database was rolled back; restart the daemon, and it goes on under a new"
                    + " actor");
      }
    };
  }

  private Finding clock() {
    long newest = HybridClock.wallMillis(ask(Replica::lastTimestamp));
    long aheadMillis = newest - clock.millis();
    return aheadMillis <= TimeUnit.MINUTES.toMillis(1)
        ? Finding.ok("clock", "not behind the newest change")
        : Finding.warning(
            "clock",
            "this device's clock is " + aheadMillis / 1_000 + " s behind the newest change",
            "set the clocks of your devices, best by network time");
  }

  private Finding pending() {
    record Waiting(int changes, long seconds) {}
    Waiting waiting =
        CrdtStore.await(
            database.store().call(engine -> new Waiting(engine.pending(), engine.pendingTicks())));
    return waiting.changes == 0
        ? Finding.ok("pending", "no change waits for another")
        : Finding.warning(
            "pending",
            waiting.changes
                + " changes wait for changes that have not come, the oldest for "
                + waiting.seconds
                + " s",
            "connect the device that has them; peers shows which are connected");
  }

  private Finding peers() {
    int connected = database.replicator().connections().size();
    if (!around.online) {
      return Finding.notApplicable("peers", OFFLINE);
    }
    if (connected > 0) {
      return Finding.ok("peers", connected + " connected");
    }
    return database.store().view().membership().members().size() > 1
        ? Finding.warning(
            "peers",
            "no other device is connected",
            "see `pluresdb peers` for why, or `pluresdb connect HOST:PORT`")
        : Finding.notApplicable("peers", "no other device is a member");
  }

  /** Looks for the database's peers, and says who answered. */
  private Finding dht() {
    DhtDiscovery dht = around.dht;
    if (dht == null) {
      return Finding.notApplicable("dht", around.online ? "the DHT is not used" : OFFLINE);
    }
    LookupTrace lookup;
    try {
      lookup =
          dht.search(DhtDiscovery.topic(database.keys()))
              .orTimeout(LOOKUP_MILLIS, TimeUnit.MILLISECONDS)
              .join();
    } catch (CompletionException e) {
      return Finding.warning("dht", "a lookup has no end: " + e.getCause(), "try again");
    }
    return lookup.answers() > 0
        ? Finding.ok(
            "dht",
            lookup.answers()
                + " of "
                + lookup.queries()
                + " nodes answered, in "
                + lookup.durationMillis()
                + " ms")
        : Finding.warning(
            "dht",
            lookup.queries() == 0
                ? "no node of the DHT is known"
                : "none of " + lookup.queries() + " nodes answered",
            "let UDP through to the Internet, name nodes that can be reached (peers.dht-bootstrap),"
                + " or use a relay; dht --lookup shows every step");
  }

  /** Tries relays that are not connected once more, and says which still are not. */
  private Finding relays() {
    RelayLinks relays = around.relays;
    if (relays == null || relays.status().isEmpty()) {
      return Finding.notApplicable("relays", around.online ? "none is used" : OFFLINE);
    }
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(RELAY_MILLIS);
    if (!unreachable(relays).isEmpty()) {
      relays.hurry();
    }
    while (!unreachable(relays).isEmpty() && System.nanoTime() - end < 0) {
      LockSupport.parkNanos(RELAY_POLL_NANOS);
    }
    List<String> unreachable = unreachable(relays);
    return unreachable.isEmpty()
        ? Finding.ok("relays", relays.status().size() + " connected")
        : Finding.warning(
            "relays",
            String.join("; ", unreachable),
            "check its address, and the proxy if there is one; devices behind other routers may"
                + " not be reached meanwhile");
  }

  private static List<String> unreachable(RelayLinks relays) {
    return relays.status().stream()
        .filter(relay -> !relay.connected())
        .map(
            relay ->
                relay.url().text()
                    + " is not connected"
                    + (relay.lastError().isEmpty() ? "" : ": " + relay.lastError()))
        .toList();
  }

  private Finding embeddings() {
    List<String> mixed = database.searches().mixedDimensions(MAX_MIXED);
    return mixed.isEmpty()
        ? Finding.ok("embeddings", "those of each type have one dimension")
        : Finding.warning(
            "embeddings",
            String.join("; ", mixed),
            "write the documents with the other ones again: a search finds those that are as long"
                + " as what it looks for");
  }

  /** What works by itself, and whom nobody waits for. */
  private Finding background() {
    var failures = new ArrayList<String>();
    String files = database.files().backgroundFailure();
    if (files != null) {
      failures.add("files of the store: " + files);
    }
    for (Searches.IndexStatus index : database.searches().status()) {
      if (!index.error().isEmpty()) {
        failures.add(
            "index of "
                + index.kind()
                + (index.fields().isEmpty() ? "" : " " + String.join(",", index.fields()))
                + ": "
                + index.error());
      }
    }
    Searches.EmbeddingStats embedding = database.searches().embeddingStats();
    if (embedding != null && !embedding.error().isEmpty()) {
      failures.add("making embeddings: " + embedding.error());
    }
    if (!around.reencryption.isEmpty()) {
      failures.add("sealing with a new key: " + around.reencryption);
    }
    return failures.isEmpty()
        ? Finding.ok("background", "nothing failed")
        : Finding.error(
            "background",
            String.join("; ", failures),
            "look at checksums and disk above, mend the cause and restart the daemon: what was not"
                + " done is done then");
  }

  private Finding divergence() {
    var diverged = database.replicator().divergedPeers();
    if (diverged.isEmpty()) {
      return Finding.ok("divergence", "no connected peer has other documents");
    }
    String peer = diverged.getFirst().toString();
    return Finding.error(
        "divergence",
        diverged.size() + " peers have the same operations and other documents",
        "find out which: pluresdb doctor --against " + peer);
  }

  /** What of the encryption waits for somebody. */
  private Finding encryption() {
    KeyVault vault = directory.vault();
    if (vault == null) {
      return Finding.notApplicable("encryption", "the data directory is not encrypted");
    }
    if (vault.isReencrypting()) {
      return Finding.warning(
          "encryption",
          "not everything is sealed with the newest data key yet",
          "let the daemon run until `pluresdb encryption status` shows one key");
    }
    List<String> revoked = vault.metadata().revokedDevices();
    return revoked.isEmpty()
        ? Finding.ok("encryption", sealedWith(vault.metadata().keys()))
        : Finding.warning(
            "encryption",
            revoked.size() + " devices were removed since everything was sealed anew",
            "if one of them may have had a copy of this data directory: pluresdb encryption"
                + " reencrypt");
  }

  private static String sealedWith(List<EncryptionMetadata.WrappedKey> keys) {
    return keys.size() == 1
        ? "everything is sealed with one data key"
        : "what was written since "
            + Instant.ofEpochMilli(keys.getLast().createdMillis())
            + " is sealed with the newest of "
            + keys.size()
            + " data keys";
  }

  /** The files that hold keys can be read, and hold what this process goes on with. */
  private Finding keys() {
    String remedy = "stop the daemon and put the file back from a backup made with keys";
    try {
      if (!Arrays.equals(
          DeviceIdentity.load(directory.deviceKey()).publicKey(), database.deviceKey())) {
        return Finding.error(
            "keys", directory.deviceKey() + " is the key of another device", remedy);
      }
      Path file = directory.databaseFile(database.name());
      DatabaseFile read = DatabaseFile.load(file, directory.vault());
      // It may just be written.
      if (!read.equals(database.file())
          && !DatabaseFile.load(file, directory.vault()).equals(database.file())) {
        return Finding.error("keys", file + " is not what was written", remedy);
      }
      KeyVault vault = directory.vault();
      // It may just be written, too.
      if (vault != null && !isAsWritten(vault) && !isAsWritten(vault)) {
        return Finding.error("keys", directory.encryption() + " is not what was written", remedy);
      }
    } catch (StorageException | IdentityException | EncryptionException e) {
      return Finding.error("keys", String.valueOf(e.getMessage()), remedy);
    }
    return Finding.ok("keys", "the files with keys can be read");
  }

  private boolean isAsWritten(KeyVault vault) {
    return KeyVault.metadata(directory.encryption()).equals(vault.metadata());
  }

  private static Finding disk(Path root) {
    long usable;
    try {
      usable = Files.getFileStore(root).getUsableSpace();
    } catch (IOException e) {
      return Finding.warning("disk", "its room cannot be told: " + e, "see `df`");
    }
    String room = (usable >> 20) + " MiB free";
    String remedy = "free space on the disk of " + root;
    if (usable < FULL_DISK_BYTES) {
      return Finding.error("disk", room, remedy);
    }
    return usable < LOW_DISK_BYTES
        ? Finding.warning("disk", room, remedy)
        : Finding.ok("disk", room);
  }

  /** What holds secrets is the owner's alone. */
  private static Finding permissions(Path root, String database) {
    for (Path file :
        List.of(
            root,
            DataDirectory.deviceKey(root),
            DataDirectory.encryption(root),
            DataDirectory.databaseFile(root, database),
            root.resolve("api-token"))) {
      try {
        if (Files.exists(file)) {
          Set<PosixFilePermission> allowed = Files.getPosixFilePermissions(file);
          if (!PosixFilePermissions.fromString("rwx------").containsAll(allowed)) {
            return Finding.error(
                "permissions",
                file + " can be used by others: " + PosixFilePermissions.toString(allowed),
                "chmod go= " + file);
          }
        }
      } catch (IOException | UnsupportedOperationException e) {
        return Finding.warning("permissions", file + " cannot be looked at: " + e, "see `ls -l`");
      }
    }
    return Finding.ok("permissions", "keys are readable by their owner only");
  }

  /**
   * Compares all documents with a peer.
   *
   * @param later runs the tries after the first
   */
  CompletableFuture<Finding> against(String peer, Executor later) {
    Session session = session(peer);
    if (session == null) {
      throw new NodeException(
          "NODE_PEER_NOT_CONNECTED",
          "no session with \"" + peer + "\" is up",
          "`pluresdb peers` shows who is connected");
    }
    // By its id from here on: a session may be replaced by another with the same device.
    return attempt(session.peer().toString(), session, 1, later);
  }

  private @Nullable Session session(String peer) {
    for (Replicator.Connection connection : database.replicator().connections()) {
      Session session = connection.session();
      String id = session.peer().toString();
      boolean byId = peer.length() >= 8 && id.startsWith(peer);
      if (byId
          || session.remoteAddress().toString().endsWith("/" + peer)
          || peer.equals(DeviceNode.nameOf(database, session))) {
        return session;
      }
    }
    return null;
  }

  private CompletableFuture<Finding> attempt(
      String peer, Session session, int number, Executor later) {
    return database
        .replicator()
        .compare(session, MAX_DIFFERENCES)
        .thenCompose(
            comparisons -> {
              boolean failed = comparisons.stream().anyMatch(Comparison.Failed.class::isInstance);
              boolean underWay = comparisons.stream().anyMatch(Doctor::isUnderWay);
              if (number >= (failed ? FAILED_TRIES : TRIES) || !(failed || underWay)) {
                return CompletableFuture.completedFuture(finding(comparisons));
              }
              database.store().execute(engine -> engine.probe());
              Executor delayed =
                  CompletableFuture.delayedExecutor(
                      BETWEEN_TRIES_MILLIS, TimeUnit.MILLISECONDS, later);
              return CompletableFuture.supplyAsync(() -> session(peer), delayed)
                  .thenCompose(
                      next -> attempt(peer, next == null ? session : next, number + 1, later));
            });
  }

  private static boolean isUnderWay(Comparison comparison) {
    return comparison instanceof Comparison.Compared compared && !compared.sameFrontier();
  }

  private static Finding finding(List<Comparison> comparisons) {
    var differences = new TreeMap<byte[], Side>(Arrays::compareUnsigned);
    boolean complete = true;
    boolean sameFrontier = true;
    for (Comparison comparison : comparisons) {
      switch (comparison) {
        case Comparison.Failed(var why) -> {
          return Finding.warning("against", "not compared: " + why, "try again");
        }
        case Comparison.Compared compared -> {
          differences.putAll(compared.differences().documents());
          complete &= compared.differences().complete();
          sameFrontier &= compared.sameFrontier();
        }
      }
    }
    if (differences.isEmpty()) {
      return Finding.ok("against", "all documents that both hold are equal");
    }
    String named = named(differences, complete);
    return sameFrontier
        ? Finding.error(
            "against",
            named,
            "look at these documents on a third device; start over on the device that is wrong"
                + " and join again")
        : Finding.warning(
            "against",
            "operations are still on their way; until then " + named,
            "try again when both devices are quiet");
  }

  private static String named(SortedMap<byte[], Side> differences, boolean complete) {
    int count = differences.size();
    var names = new StringJoiner(", ");
    differences.entrySet().stream()
        .limit(NAMED)
        .forEach(
            entry ->
                names.add(
                    "\""
                        + new String(entry.getKey(), StandardCharsets.UTF_8)
                        + "\""
                        + switch (entry.getValue()) {
                          case HERE -> " (missing there)";
                          case THERE -> " (missing here)";
                          case BOTH -> " (other content)";
                        }));
    String more = count > NAMED ? " and " + (count - NAMED) + " more" : "";
    String counted = complete ? "" + count : "more than " + count;
    return counted + (count == 1 ? " document differs: " : " documents differ: ") + names + more;
  }
}
