package io.pluresdb.daemon.node;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.pluresdb.crdt.reconcile.KeyScope;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.crypto.KeyVault;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a device keeps about a database beside its data: {@code database.json}. Holds secrets; 0600.
 *
 * @param format {@link #FORMAT}
 * @param database its id
 * @param keys the sync keys it has had, and what belongs to them
 * @param founder hex of the founder's Ed25519 key
 * @param peers addresses to keep connected, {@code host:port}
 * @param invites invites this device made and that may still be used
 * @param pending devices that came with an invite of ours and wait for approval
 * @param joined how this device came in, or null where it founded the database
 * @param prefixes the documents this device holds begin with one of these; null for all
 * @param quota how much it may take here; null for no limit
 */
@JsonInclude(JsonInclude.Include.NON_NULL)
record DatabaseFile(
    int format,
    String database,
    Keys keys,
    String founder,
    List<String> peers,
    List<Issued> invites,
    List<Pending> pending,
    @Nullable Credit joined,
    @Nullable List<String> prefixes,
    @Nullable Quota quota) {
  static final int FORMAT = 1;

  /** Most addresses kept for one database; the oldest gives way. */
  static final int MAX_PEERS = 64;

  /** Most invites open at a time. */
  static final int MAX_INVITES = 64;

  private static final String SEALED_NAME = "database.json";

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  /** Most devices that wait for approval; the oldest gives way. */
  static final int MAX_PENDING = 64;

  /**
   * The sync keys of a database.
   *
   * @param used hex of each, the current one last
   * @param sinceMillis when the current one came here, 0 for the first
   * @param secrets hex of the secrets of epochs that are known here
   * @param met hex of the devices that were met under the current key
   * @param told hex of the removed devices that were told so since it is current
   */
  record Keys(
      List<String> used,
      long sinceMillis,
      List<String> secrets,
      List<String> met,
      List<String> told) {
    /** Most keys that are kept; the oldest gives way. */
    static final int MAX_USED = 16;

    Keys {
      if (used.isEmpty()) {
        throw new IllegalArgumentException("a database must have a sync key");
      }
      used = List.copyOf(used);
      secrets = List.copyOf(secrets);
      met = List.copyOf(met);
      told = List.copyOf(told);
    }

    static Keys first(String key) {
      return new Keys(List.of(key), 0, List.of(), List.of(), List.of());
    }

    String current() {
      return used.getLast();
    }

    Keys followedBy(String key, long atMillis) {
      var all = new ArrayList<>(used);
      all.remove(key);
      all.add(key);
      while (all.size() > MAX_USED) {
        all.removeFirst();
      }
      return new Keys(all, atMillis, secrets, List.of(), List.of());
    }

    Keys withSecret(String secret) {
      return new Keys(used, sinceMillis, with(secrets, secret), met, told);
    }

    Keys withMet(String device) {
      return new Keys(used, sinceMillis, secrets, with(met, device), told);
    }

    Keys withTold(String device) {
      return new Keys(used, sinceMillis, secrets, met, with(told, device));
    }

    private static List<String> with(List<String> all, String one) {
      if (all.contains(one)) {
        return all;
      }
      var more = new ArrayList<>(all);
      more.add(one);
      return more;
    }
  }

  /**
   * An invite that was made here.
   *
   * @param secret 32 hex digits
   * @param approval whether who comes with it waits for approval
   */
  record Issued(String secret, String role, long expiresMillis, boolean approval) {}

  /**
   * A device that waits for approval.
   *
   * @param device hex of its key
   * @param invite hex of the id of the invite it came with
   */
  record Pending(String device, String name, String role, String invite, long atMillis) {}

  /**
   * The claim to be let in, kept until the membership log shows that it was honoured.
   *
   * @param inviter hex of the inviting device's key
   * @param invite hex of the invite's id
   * @param claim hex of the proof
   */
  record Credit(String inviter, String invite, String claim) {}

  DatabaseFile {
    peers = List.copyOf(peers);
    invites = List.copyOf(invites);
    pending = List.copyOf(pending);
    prefixes = prefixes == null ? null : List.copyOf(prefixes);
  }

  /** The prefixes, none for all documents. */
  List<String> prefixesHeld() {
    return prefixes == null ? List.of() : prefixes;
  }

  /** How much it may take here. */
  Quota quotaHeld() {
    return quota == null ? Quota.NONE : quota;
  }

  DatabaseFile withQuota(Quota limit) {
    return new DatabaseFile(
        format,
        database,
        keys,
        founder,
        peers,
        invites,
        pending,
        joined,
        prefixes,
        limit.equals(Quota.NONE) ? null : limit);
  }

  /** The documents this device holds. */
  KeyScope scope() {
    return KeyScope.of(prefixesHeld());
  }

  byte[] founderKey() {
    return HexFormat.of().parseHex(founder);
  }

  DatabaseFile withPeer(String address) {
    var all = new ArrayList<>(peers);
    all.remove(address);
    all.add(address);
    while (all.size() > MAX_PEERS) {
      all.removeFirst();
    }
    return new DatabaseFile(
        format, database, keys, founder, all, invites, pending, joined, prefixes, quota);
  }

  DatabaseFile withoutPeer(String address) {
    var all = new ArrayList<>(peers);
    all.remove(address);
    return new DatabaseFile(
        format, database, keys, founder, all, invites, pending, joined, prefixes, quota);
  }

  DatabaseFile withKeys(Keys next) {
    return new DatabaseFile(
        format, database, next, founder, peers, invites, pending, joined, prefixes, quota);
  }

  DatabaseFile withInvites(List<Issued> open) {
    return new DatabaseFile(
        format, database, keys, founder, peers, open, pending, joined, prefixes, quota);
  }

  /** With a device that waits, in place of what it asked before. */
  DatabaseFile withPending(Pending asking) {
    var all = new ArrayList<>(withoutPending(asking.device()).pending());
    all.add(asking);
    while (all.size() > MAX_PENDING) {
      all.removeFirst();
    }
    return withAllPending(all);
  }

  /** Without the device with this key in hex. */
  DatabaseFile withoutPending(String device) {
    return withAllPending(
        pending.stream().filter(other -> !other.device().equals(device)).toList());
  }

  private DatabaseFile withAllPending(List<Pending> all) {
    return new DatabaseFile(
        format, database, keys, founder, peers, invites, all, joined, prefixes, quota);
  }

  /** What {@code database.json} is in an encrypted data directory: the same, sealed, in hex. */
  private record Sealed(int format, String sealed) {}

  /**
   * Reads a file that {@link #save} wrote.
   *
   * @param vault what sealed it, or null
   */
  static DatabaseFile load(Path file, @Nullable KeyVault vault) {
    try {
      var tree = JSON.readTree(Files.readAllBytes(file));
      if (tree.has("sealed") != (vault != null)) {
        throw new StorageException.OpenFailed(
            vault == null ? "STORAGE_ENCRYPTED" : "STORAGE_NOT_ENCRYPTED",
            file
                + (vault == null ? " is encrypted, but" : " is not encrypted, but")
                + " encryption.json says otherwise",
            new IOException("sealed"));
      }
      if (vault != null) {
        byte[] sealed = HexFormat.of().parseHex(tree.path("sealed").asText());
        tree = JSON.readTree(vault.openFile(SEALED_NAME, sealed));
      }
      int format = tree.path("format").asInt();
      if (format > FORMAT) {
        throw new StorageException.OpenFailed(
            "STORAGE_NEWER_FORMAT",
            file
                + " has format "
                + format
                + ", but this version reads up to "
                + FORMAT
                + ": install a newer PluresDB",
            new IOException("format"));
      }
      return JSON.treeToValue(tree, DatabaseFile.class);
    } catch (IOException | IllegalArgumentException e) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", file + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** Writes this to a file, sealed by {@code vault} where there is one. */
  void save(Path file, @Nullable KeyVault vault) {
    try {
      byte[] json = JSON.writeValueAsBytes(this);
      if (vault != null) {
        String sealed = HexFormat.of().formatHex(vault.sealFile(SEALED_NAME, json));
        json = JSON.writeValueAsBytes(new Sealed(FORMAT, sealed));
      }
      DataDirectory.writeAtomically(file, json);
    } catch (JacksonException e) {
      throw new IllegalStateException("a record of texts and numbers has a JSON form", e);
    }
  }
}
