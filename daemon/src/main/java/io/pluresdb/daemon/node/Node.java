package io.pluresdb.daemon.node;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.storage.backup.BackupManifest;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionMetadata;
import io.pluresdb.storage.search.Searches;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.DhtStatus;
import io.pluresdb.transport.dht.LookupTrace;
import io.pluresdb.transport.nat.NatStatus;
import io.pluresdb.transport.path.NatKind;
import io.pluresdb.transport.relay.RelayStatus;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * What a running node offers to its interfaces (HTTP, Unix socket, command line). Safe from any
 * thread; calls that wait for peers return futures, the others do not wait for the network.
 *
 * <p>Wherever a database is named and none of that name exists, {@link NodeException} with {@code
 * NODE_UNKNOWN_DATABASE} is thrown.
 */
public interface Node {
  /** The database that is meant when none is named. */
  String DEFAULT_DATABASE = "default";

  /** How long an invite is valid unless said otherwise. */
  Duration DEFAULT_INVITE_VALIDITY = Duration.ofHours(24);

  /** This device's id, in the form people read: base32 with check digits. */
  String deviceId();

  /** The moment this node became ready. */
  Instant startedAt();

  /** Names of the databases, ascending. */
  List<String> databases();

  /** The store of a database; it refuses what would take it over its quota. */
  CrdtStore store(String database);

  /** Most databases of a device. */
  int MAX_DATABASES = 256;

  /**
   * Makes a database that this device founds, with a sync key of its own.
   *
   * @param name 1 to 63 of a to z, 0 to 9, - and _, beginning with a letter or digit
   * @throws NodeException {@code NODE_DATABASE_EXISTS}, {@code NODE_TOO_MANY_DATABASES}, or {@code
   *     NODE_BUSY} while a join or another of these runs
   */
  void createDatabase(String name, Quota quota);

  /**
   * Looks whether writes can be waited for until so many other devices have them.
   *
   * @throws NodeException {@code NODE_OFFLINE}, or {@code NODE_TOO_FEW_DEVICES} when the database
   *     has fewer other members
   */
  void requireCopies(String database, int copies);

  /**
   * Completes with their number when at least so many other devices have a write on their disks:
   * devices that are connected meanwhile and hold all documents.
   *
   * @param wait for so long; then it fails with {@code NODE_NOT_REPLICATED}, and the write stands
   * @throws io.pluresdb.crdt.CoreException {@code CORE_OVERLOADED} when very many wait
   */
  CompletableFuture<Integer> awaitCopies(
      String database, CrdtStore.Receipt write, int copies, Duration wait);

  /**
   * Deletes a database from this device, with its keys. Other members keep theirs, and are not
   * told.
   */
  void dropDatabase(String name);

  /** Gives a database another name on this device. Its sessions end and come back. */
  void moveDatabase(String name, String to);

  /**
   * Makes a database of its own, with its own sync key, out of the documents, embeddings, field
   * indexes and quota of another. It has neither the history nor the members of that one.
   *
   * @return number of documents
   */
  long copyDatabase(String name, String to);

  Quota quota(String database);

  /** Sets a quota; what is over it stays. */
  void limit(String database, Quota quota);

  /** What finds documents of a database by what they hold. */
  Searches searches(String database);

  DatabaseStatus status(String database);

  /**
   * A database as {@code /api/status} shows it.
   *
   * @param id the database id, 64 hex digits for a private one; not a secret, but who knows it can
   *     look for its peers
   * @param topic hex of the topic
   * @param prefixes the documents held begin with one of these; none for all
   * @param store document count, frontier, state hash, pending and bytes on disk
   * @param peers number of sessions that are up
   * @param role what this device may do: {@code pull} to {@code admin}, {@code pending} before it
   *     is known, {@code removed}
   * @param trafficBytes bytes on the wire of all sessions since the start, both directions
   */
  record DatabaseStatus(
      String name,
      String id,
      String topic,
      List<String> prefixes,
      CrdtStore.Status store,
      long bytesOnDisk,
      int peers,
      String role,
      long trafficBytes) {}

  /** Ends when every database has taken an event: while one hangs, it does not. */
  CompletableFuture<Void> pulse();

  /** Why a database takes no writes any more, by its name; empty when all take them. */
  Map<String, String> stopped();

  /** What a database did since the start; waits for its loop. */
  Activity activity(String database);

  /**
   * What a database did since the start.
   *
   * @param queuedWrites local writes that wait now
   * @param queuedBytes of those
   * @param localChanges made here
   * @param foreignChanges that came from others and were new
   * @param knownRuns runs of changes that came although they were known
   * @param divergences times that documents differed though operations did not
   * @param rejected runs that were refused, by reason
   * @param snapshotsOffered to peers that the log did not help
   * @param snapshotsJoined of peers
   * @param snapshotsFailed that did not hold what they said
   */
  record Activity(
      int queuedWrites,
      long queuedBytes,
      long localChanges,
      long foreignChanges,
      long knownRuns,
      long divergences,
      Map<String, Long> rejected,
      long snapshotsOffered,
      long snapshotsJoined,
      long snapshotsFailed) {}

  /** The sessions and wanted addresses of a database. */
  List<PeerStatus> peers(String database);

  /**
   * A peer, connected or wanted.
   *
   * @param deviceId empty while no session was up yet
   * @param name what people call the device, empty while unknown
   * @param address where it is or was tried
   * @param path {@code direct}, {@code quic}, {@code relay} or {@code none}
   * @param direction {@code outbound}, {@code inbound} or {@code none}
   * @param state {@code connected}, {@code connecting} or {@code rejected}
   * @param lag changes in our arrival log that the peer has not acknowledged
   * @param bytesSent on the wire
   * @param bytesReceived on the wire
   * @param roundTripMicros to the peer and back on this path, 0 while unknown
   * @param lastError why the last attempt or session ended, empty when it did not
   */
  record PeerStatus(
      String deviceId,
      String name,
      String address,
      String path,
      String direction,
      String state,
      long lag,
      long bytesSent,
      long bytesReceived,
      long roundTripMicros,
      String lastError) {}

  /** What is kept of the log of a database, and why not less. */
  LogStatus log(String database);

  /**
   * The log of a database.
   *
   * @param arrivals changes that ever arrived here
   * @param floor those up to here are not in the log any more
   * @param keepMillis age below which changes stay whoever has them
   * @param leaseMillis silence after which a member does not count
   * @param members all of them
   */
  record LogStatus(
      long arrivals, long floor, long keepMillis, long leaseMillis, List<Standing> members) {
    /** The member that counts and is furthest behind, if any is behind. */
    public Optional<Standing> heldBackBy() {
      return members.stream()
          .filter(member -> member.state().equals("active") && member.behind() > 0)
          .max(Comparator.comparingLong(Standing::behind));
    }
  }

  /**
   * What a member is known to have.
   *
   * @param state {@code self}, {@code active}, or {@code expired} after it was silent for its lease
   * @param heard when it last said where it stands, or was admitted
   * @param behind changes here that it is not known to have
   */
  record Standing(String deviceId, String name, String state, Instant heard, long behind) {}

  /**
   * Takes off the log at once what all members have that count, and what is old enough; then gives
   * the disk back what is not needed any more.
   *
   * @return the log afterwards
   */
  CompletableFuture<LogStatus> vacuum(String database);

  /**
   * Makes the index of edges anew; writes wait meanwhile.
   *
   * @return how many edges there are
   */
  long remakeEdges(String database);

  /**
   * Copies a database as of one moment, while it is read and written.
   *
   * @param target a folder that does not exist yet
   * @param keys whether the copy holds the keys of the database and of this device
   * @return what is in the backup
   * @throws io.pluresdb.storage.backup.BackupException when it cannot be made; then nothing is left
   *     of it
   */
  BackupManifest backup(String database, Path target, boolean keys);

  /** How the data directory is encrypted. */
  EncryptionStatus encryption();

  /**
   * The encryption of a data directory.
   *
   * @param metadata null where it is not encrypted
   * @param running whether everything is being sealed with a new key
   * @param rows how many rows were since the start
   * @param failure why that stopped; empty when it did not
   */
  record EncryptionStatus(
      @Nullable EncryptionMetadata metadata, boolean running, long rows, String failure) {}

  /**
   * Lets another password or key file unlock the data directory; nothing is sealed anew.
   *
   * @throws io.pluresdb.storage.crypto.EncryptionException when {@code old} is not the present one,
   *     or the directory is not encrypted
   */
  void changeSecret(EncryptionConfig old, EncryptionConfig fresh);

  /**
   * Makes a new data key and seals everything with it, in the background and through restarts; goes
   * on with what was begun before.
   *
   * @throws io.pluresdb.storage.crypto.EncryptionException when the directory is not encrypted
   */
  EncryptionStatus reencrypt();

  /**
   * Makes a new data key for what is written from now on.
   *
   * @throws io.pluresdb.storage.crypto.EncryptionException when the directory is not encrypted, is
   *     being sealed anew, or has too many keys
   */
  EncryptionStatus rotateKey();

  /** The members of a database, those that wait to be let in, and those that were removed. */
  List<Device> devices(String database);

  /**
   * A device of a database.
   *
   * @param role null for one that is no member
   * @param state {@code member}, {@code pending} or {@code removed}
   * @param since when it was let in, asked, or was removed
   * @param connected whether a session with it is up
   * @param self whether it is this device
   * @param voided number of its changes that are kept here and do not count
   * @param forked whether it was caught writing twice under one actor: two copies of a data
   *     directory, or a device that lies
   */
  record Device(
      String deviceId,
      String name,
      @Nullable Role role,
      String state,
      Instant since,
      boolean connected,
      boolean self,
      long voided,
      boolean forked) {}

  /**
   * Lets a device in that waits, lets one in again that was removed, or gives a member another
   * role. What an earlier removal did not accept stays void.
   *
   * @param device its id, four or more characters its id starts with, or its name
   * @param role null for what the invite says, or the role it had
   * @throws NodeException {@code NODE_NOT_ALLOWED} when this device is no admin of the database,
   *     {@code NODE_UNKNOWN_DEVICE} or {@code NODE_AMBIGUOUS_DEVICE} when {@code device} does not
   *     name one
   */
  Device approve(String database, String device, @Nullable Role role);

  /**
   * Removes a device, or leaves it a lesser role. What is here of it is accepted; what it did
   * beyond, and not yet sent here, counts nowhere.
   *
   * @param device as in {@link #approve}; this device itself may leave
   * @param keep null for none
   * @throws NodeException as {@link #approve}
   */
  Device revoke(String database, String device, @Nullable Role keep);

  /**
   * Writes what a device did beyond its accepted changes again, as changes of this device.
   *
   * @return number of changes
   */
  long adopt(String database, String device);

  /** The device an actor writes for; both texts are empty when the actor is not known here. */
  Author author(String database, ActorId actor);

  /**
   * Who wrote something.
   *
   * @param name what people call the device, empty when it is no member (any more)
   */
  record Author(String deviceId, String name) {}

  /**
   * Makes an invite for one device.
   *
   * @param validity 1 minute to 30 days
   * @param approval whether who comes with it waits for {@link #approve}
   * @return the URL, {@code pluresdb://join/…}, and when it ends
   * @throws NodeException {@code NODE_NOT_ALLOWED} when this device is no admin of the database
   */
  Invite invite(String database, Role role, Duration validity, boolean approval);

  /** An invite that needs no approval. */
  default Invite invite(String database, Role role, Duration validity) {
    return invite(database, role, validity, false);
  }

  record Invite(String url, Instant expires) {}

  /**
   * Joins the database of an invite under the local name {@code database}. Documents that exist
   * there already are carried into the joined database. Completes when the inviting device has
   * admitted this one; fails with {@link NodeException} {@code NODE_INVITE_INVALID}, {@code
   * NODE_INVITE_EXPIRED}, {@code NODE_INVITE_USED}, {@code NODE_ALREADY_JOINED} or {@code
   * NODE_PEER_UNREACHABLE}, and then nothing has changed.
   *
   * @param prefixes this device holds only the documents whose ids begin with one of these; none
   *     for all. It cannot be changed later. {@code NODE_OUTSIDE_PREFIX} when a document that is
   *     here already begins with none of them
   */
  CompletableFuture<Joined> join(String database, String url, List<String> prefixes);

  /** Joins for all documents. */
  default CompletableFuture<Joined> join(String database, String url) {
    return join(database, url, List.of());
  }

  /**
   * A finished join.
   *
   * @param carriedOver number of local documents taken along
   */
  record Joined(String database, String id, Role role, long carriedOver) {}

  /** Keeps the address connected, also after restarts, until {@link #disconnect}. */
  void connect(String database, InetSocketAddress address);

  /** Forgets an address and closes its session; false when it was not known. */
  boolean disconnect(String database, InetSocketAddress address);

  /** Tries every wanted address at once and compares frontiers with every peer. */
  void sync(String database);

  /** Looks whether the device and a database are in order; takes seconds for many documents. */
  List<Finding> doctor(String database);

  /**
   * Compares all documents with a connected peer, document by document, not by what is stored of
   * their sums. Where operations are still on their way it tries again for some seconds.
   *
   * @param peer a device id or its first 8 or more letters, a device's name, or an address
   * @throws NodeException {@code NODE_PEER_NOT_CONNECTED} when no session with it is up
   */
  CompletableFuture<Finding> doctorAgainst(String database, String peer);

  /** What is known of where this device is. */
  NetworkStatus network();

  /**
   * Where this device is.
   *
   * @param udp where its UDP port is bound, empty when there is none
   * @param quic {@code on}, {@code starting}, {@code off}, or why QUIC cannot be spoken
   * @param addresses at which peers are told to try the UDP port
   */
  record NetworkStatus(String udp, String quic, NatKind nat, List<String> addresses) {}

  /** What the network counted since the start; all zero while no network is up. */
  NetworkCounters networkCounters();

  /**
   * @param sessions names as {@link io.pluresdb.transport.session.SessionCounters} has them
   * @param halfOpen accepted connections whose handshake is not finished now
   * @param limits of connections, by name
   * @param dht names as {@link io.pluresdb.transport.dht.DhtCounter} has them; zero without DHT
   */
  record NetworkCounters(
      Map<String, Long> sessions,
      int halfOpen,
      Map<String, Integer> limits,
      Map<String, Long> dht) {
    public static final NetworkCounters NONE = new NetworkCounters(Map.of(), 0, Map.of(), Map.of());
  }

  /** Which ports the router forwards to this device, and why not others. */
  NatStatus portMapping();

  /** The relays of this device; none while no network is up. */
  List<RelayStatus> relays();

  /**
   * What this device knows of the DHT.
   *
   * @throws NodeException {@code NODE_DHT_OFF} when it takes no part in it
   */
  CompletableFuture<DhtReport> dht();

  /**
   * The DHT as this device sees it.
   *
   * @param address of its UDP socket
   * @param databases names of the databases behind followed topics
   */
  record DhtReport(String address, DhtStatus status, Map<DhtId, String> databases) {}

  /**
   * Looks for the peers of a topic in the DHT, without announcing.
   *
   * @throws NodeException {@code NODE_DHT_OFF} when this device takes no part in it
   */
  CompletableFuture<LookupTrace> dhtLookup(DhtId topic);
}
