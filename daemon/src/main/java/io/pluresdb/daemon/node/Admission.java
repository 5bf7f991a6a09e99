package io.pluresdb.daemon.node;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.daemon.node.DatabaseFile.Credit;
import io.pluresdb.daemon.node.DatabaseFile.Issued;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.net.TcpTransport;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Decision;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionFailedException;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.SessionPolicy;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.Hint;
import java.net.InetSocketAddress;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Who may have a session: members, and whoever comes with an invite of ours. And the other side of
 * it: asking to be let in.
 */
final class Admission implements SessionPolicy {
  /** How long a join may look for the inviting device. */
  static final Duration ENTRY_TIMEOUT = Duration.ofSeconds(30);

  private static final Logger log = LoggerFactory.getLogger(Admission.class);
  private static final Duration RETRY = Duration.ofMillis(300);

  /** Addresses tried for an entry besides those of the invite. */
  private static final int MAX_FOUND = 32;

  private static final HexFormat HEX = HexFormat.of();
  private static final String PENDING_CODE = "INVITE_PENDING";
  private static final Decision PENDING =
      new Decision.Reject(PENDING_CODE, "the device waits to be approved");

  private final DeviceNode node;
  private final DeviceIdentity device;
  private final String deviceName;
  private final Environment environment;
  private final Map<String, Entry> entries = new ConcurrentHashMap<>();
  private volatile int acceptingPort;

  Admission(DeviceNode node, DeviceIdentity device, String deviceName, Environment environment) {
    this.node = node;
    this.device = device;
    this.deviceName = deviceName;
    this.environment = environment;
  }

  /** An attempt to be let in under way. */
  private static final class Entry implements SessionListener {
    final DatabaseKeys keys;
    final InviteUrl invite;
    final CompletableFuture<Boolean> entered = new CompletableFuture<>();

    /** Where others say there is a peer; tried besides the addresses of the invite. */
    final Set<Candidate> found = ConcurrentHashMap.newKeySet();

    volatile String lastFailure = "no address answered";
    volatile boolean pending;

    Entry(DatabaseKeys keys, InviteUrl invite) {
      this.keys = keys;
      this.invite = invite;
    }

    @Override
    public void established(Session session) {}

    @Override
    public void message(Session session, byte[] message) {
      // Whoever accepted us goes straight on to replication: only then are we in.
      entered.complete(true);
      session.close(new CloseReason.Ended("JOINED", "comes back as a member"));
    }

    @Override
    public void writabilityChanged(Session session) {}

    @Override
    public void closed(Session session, CloseReason reason) {
      failed(reason);
    }

    void failed(CloseReason reason) {
      lastFailure = Endings.text(reason);
      pending |=
          reason instanceof CloseReason.EndedByPeer(var code, var _) && code.equals(PENDING_CODE);
      if (reason instanceof CloseReason.EndedByPeer(var code, var message)
          && code.startsWith("INVITE_")
          && !code.equals(PENDING_CODE)) {
        entered.completeExceptionally(
            new NodeException(
                "NODE_" + code, message, "run `pluresdb invite` on the other device again"));
      }
    }
  }

  /** Told the port once sessions are accepted. */
  void acceptsOn(int port) {
    acceptingPort = port;
  }

  boolean isJoining(String name) {
    return entries.containsKey(name);
  }

  void endJoining(String name) {
    entries.remove(name);
  }

  @Override
  public @Nullable DatabaseKeys keysFor(Hint hint) {
    LocalDatabase database = node.byHint(hint);
    if (database != null) {
      return database.epochs().byHint(hint);
    }
    for (Entry entry : entries.values()) {
      if (entry.keys.hint().equals(hint)) {
        return entry.keys;
      }
    }
    return null;
  }

  private @Nullable Entry entry(DatabaseKeys keys) {
    for (Entry entry : entries.values()) {
      if (entry.keys.equals(keys)) {
        return entry;
      }
    }
    return null;
  }

  @Override
  public byte[] attachment(DatabaseKeys keys) {
    byte[] invite = null;
    byte[] claim = null;
    LocalDatabase database = node.byHint(keys.hint());
    Entry entry = entry(keys);
    if (database != null) {
      Credit credit = database.file().joined();
      Membership membership = database.store().view().membership();
      if (credit != null
          && membership.role(device.publicKey()) == null
          && !membership.isRemoved(device.publicKey())) {
        invite = HEX.parseHex(credit.invite());
        claim = HEX.parseHex(credit.claim());
      }
    } else if (entry != null) {
      invite = InviteUrl.inviteId(entry.invite.secret());
      claim = InviteUrl.claim(entry.invite.secret(), device.publicKey());
    }
    return new Introduction(deviceName, acceptingPort, invite, claim).toByteArray();
  }

  @Override
  public SessionListener listener(DatabaseKeys keys) {
    LocalDatabase database = node.byHint(keys.hint());
    if (database != null) {
      return database.replicator();
    }
    Entry entry = entry(keys);
    if (entry != null) {
      return entry;
    }
    throw new IllegalStateException("the database was closed during the handshake");
  }

  @Override
  public Decision authorize(DatabaseKeys keys, byte[] peerKey, byte[] attachment) {
    LocalDatabase database = node.byHint(keys.hint());
    if (database == null) {
      Entry entry = entry(keys);
      return entry != null
              && !entry.entered.isDone()
              && Arrays.equals(entry.invite.inviter(), peerKey)
          ? new Decision.Accept()
          : new Decision.Reject("NOT_READY", "this device is joining and waits for its inviter");
    }
    Membership membership = database.store().view().membership();
    if (membership.role(peerKey) != null || isInviter(database, membership, peerKey)) {
      return new Decision.Accept();
    }
    Introduction introduction;
    try {
      introduction = Introduction.read(attachment);
    } catch (CodecException e) {
      return new Decision.Reject("BAD_INTRODUCTION", "the handshake carries no introduction");
    }
    if (introduction.claim() == null && membership.isRemoved(peerKey)) {
      // To be told, and to hear no more than that; in an earlier epoch once.
      return database.epochs().mayBeTold(keys, peerKey)
          ? new Decision.Accept()
          : new Decision.Reject("REMOVED", "this device was removed from the database");
    }
    return claimed(database, peerKey, introduction);
  }

  /** Before the membership log is here, the inviting device is all that is known. */
  private boolean isInviter(LocalDatabase database, Membership membership, byte[] peerKey) {
    Credit credit = database.file().joined();
    return credit != null
        && membership.role(device.publicKey()) == null
        && credit.inviter().equals(HEX.formatHex(peerKey));
  }

  private Decision claimed(LocalDatabase database, byte[] peerKey, Introduction introduction) {
    byte[] invite = introduction.invite();
    byte[] claim = introduction.claim();
    if (invite == null || claim == null) {
      return new Decision.Reject(
          "NOT_A_MEMBER", "this device is not a member of the database: ask for an invite");
    }
    synchronized (database) {
      if (database.store().view().membership().role(peerKey) != null) {
        // Let in by another session a moment ago: both sides dial when both find each other.
        return new Decision.Accept();
      }
      long now = environment.wallClock().millis();
      for (Issued issued : database.file().invites()) {
        byte[] secret = HEX.parseHex(issued.secret());
        if (!MessageDigest.isEqual(InviteUrl.inviteId(secret), invite)
            || !MessageDigest.isEqual(InviteUrl.claim(secret, peerKey), claim)) {
          continue;
        }
        if (issued.expiresMillis() <= now) {
          return new Decision.Reject(
              "INVITE_EXPIRED",
              "the invite ended at " + Instant.ofEpochMilli(issued.expiresMillis()));
        }
        if (issued.approval()) {
          wait(database, peerKey, introduction.name(), issued, invite);
        } else {
          new Members(database, device, environment)
              .admit(
                  peerKey, Role.parse(issued.role()), introduction.name(), HEX.formatHex(invite));
        }
        database.update(
            file ->
                file.withInvites(
                    file.invites().stream().filter(other -> !other.equals(issued)).toList()));
        return issued.approval() ? PENDING : new Decision.Accept();
      }
      if (database.file().pending().stream()
          .anyMatch(
              other ->
                  other.device().equals(HEX.formatHex(peerKey))
                      && other.invite().equals(HEX.formatHex(invite)))) {
        return PENDING;
      }
    }
    return new Decision.Reject("INVITE_USED", "the invite was used already or is not known here");
  }

  private void wait(
      LocalDatabase database, byte[] peerKey, String name, Issued issued, byte[] invite) {
    var pending =
        new DatabaseFile.Pending(
            HEX.formatHex(peerKey),
            name.isEmpty() ? "unnamed" : name,
            issued.role(),
            HEX.formatHex(invite),
            environment.wallClock().millis());
    database.update(file -> file.withPending(pending));
    log.info("device waits for approval database={} name={}", database.name(), name);
  }

  /** Makes an invite and remembers it. */
  Node.Invite invite(
      LocalDatabase database,
      Role role,
      Duration validity,
      boolean approval,
      List<String> addresses) {
    byte[] secret = environment.randomBytes(InviteUrl.SECRET_BYTES);
    long now = environment.wallClock().millis();
    long expires = now + validity.toMillis();
    synchronized (database) {
      var open = new ArrayList<Issued>();
      for (Issued issued : database.file().invites()) {
        if (issued.expiresMillis() > now) {
          open.add(issued);
        }
      }
      if (open.size() >= DatabaseFile.MAX_INVITES) {
        throw CoreException.tooLarge(
            "at most " + DatabaseFile.MAX_INVITES + " invites can be open: wait until some end");
      }
      open.add(new Issued(HEX.formatHex(secret), role.toString(), expires, approval));
      database.update(file -> file.withInvites(open));
    }
    DatabaseFile file = database.file();
    var url =
        new InviteUrl(
            HEX.parseHex(file.database()),
            HEX.parseHex(file.keys().current()),
            file.founderKey(),
            device.publicKey(),
            secret,
            role,
            expires,
            addresses);
    return new Node.Invite(url.text(), Instant.ofEpochMilli(expires));
  }

  /**
   * Asks the inviting device to let this one in, everywhere until it answers.
   *
   * @param candidates where the invite says it is
   * @return completes once it did; fails with {@link NodeException}
   */
  CompletableFuture<Boolean> requestEntry(
      String name,
      DatabaseKeys keys,
      InviteUrl invite,
      List<Candidate> candidates,
      TcpTransport transport) {
    var entry = new Entry(keys, invite);
    if (entries.putIfAbsent(name, entry) != null) {
      throw new NodeException(
          "NODE_BUSY", "database \"" + name + "\" is joining already", "wait for it to finish");
    }
    transport
        .timers()
        .schedule(
            ENTRY_TIMEOUT,
            () ->
                entry.entered.completeExceptionally(
                    entry.pending ? notApproved() : unreachable(entry)));
    candidates.forEach(candidate -> attempt(entry, candidate, transport));
    return entry.entered.whenComplete(
        (entered, failure) -> {
          if (failure != null) {
            endJoining(name);
          }
        });
  }

  /** Hints of the databases that are joining. */
  Set<Hint> joining() {
    return entries.values().stream().map(entry -> entry.keys.hint()).collect(Collectors.toSet());
  }

  /** Somebody says that there is a peer of a topic: it may be the inviting device. */
  void found(DhtId topic, InetSocketAddress address, TcpTransport transport) {
    found(
        entry -> DhtDiscovery.topic(entry.keys).equals(topic),
        new Candidate.Direct(address),
        transport);
  }

  /** As the other, for somebody on the local network. */
  void found(Hint hint, InetSocketAddress address, TcpTransport transport) {
    found(entry -> entry.keys.hint().equals(hint), new Candidate.Direct(address), transport);
  }

  /** As the other, for somebody at a relay. */
  void found(DatabaseKeys keys, Candidate.Relayed peer, TcpTransport transport) {
    found(entry -> entry.keys.equals(keys), peer, transport);
  }

  /** Somebody is not at a relay any more. */
  void gone(DatabaseKeys keys, Candidate.Relayed peer) {
    for (Entry entry : entries.values()) {
      if (entry.keys.equals(keys)) {
        entry.found.remove(peer);
      }
    }
  }

  private void found(Predicate<Entry> meant, Candidate candidate, TcpTransport transport) {
    for (Entry entry : entries.values()) {
      if (meant.test(entry) && entry.found.size() < MAX_FOUND && entry.found.add(candidate)) {
        attempt(entry, candidate, transport);
      }
    }
  }

  /** Addresses that were found for the database that is joining under this name. */
  List<InetSocketAddress> foundFor(String name) {
    Entry entry = entries.get(name);
    var addresses = new ArrayList<InetSocketAddress>();
    if (entry != null) {
      for (Candidate candidate : entry.found) {
        if (candidate instanceof Candidate.Direct(var address)) {
          addresses.add(address);
        }
      }
    }
    return addresses;
  }

  private NodeException notApproved() {
    return new NodeException(
        "NODE_INVITE_PENDING",
        "the inviting device has not approved this one yet",
        "run `pluresdb approve " + device.id().shortForm() + "` there, then join again here");
  }

  private static NodeException unreachable(Entry entry) {
    return new NodeException(
        "NODE_PEER_UNREACHABLE",
        "the inviting device did not answer within "
            + ENTRY_TIMEOUT.toSeconds()
            + " s at "
            + entry.invite.addresses().stream()
                .map(Admission::withoutToken)
                .collect(Collectors.joining(", "))
            + " ("
            + entry.lastFailure
            + ")",
        "check that its daemon runs and that both are on one network");
  }

  private static String withoutToken(String address) {
    return RelayLinks.isRelay(address) ? RelayUrl.parse(address).toString() : address;
  }

  private static void attempt(Entry entry, Candidate candidate, TcpTransport transport) {
    boolean gone = candidate instanceof Candidate.Relayed && !entry.found.contains(candidate);
    if (gone || entry.entered.isDone()) {
      return;
    }
    var _ =
        transport
            .dial(candidate, entry.keys)
            .whenComplete(
                (session, failure) -> {
                  Throwable cause =
                      failure instanceof CompletionException ? failure.getCause() : failure;
                  if (cause instanceof SessionFailedException failed) {
                    entry.failed(failed.reason());
                  }
                  transport.timers().schedule(RETRY, () -> attempt(entry, candidate, transport));
                });
  }
}
