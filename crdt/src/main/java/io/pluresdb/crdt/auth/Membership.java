package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The members of a database: a growing set of signed entries, and those of them that follow from
 * the founder. Immutable; the union of two sets does not depend on order.
 *
 * <p>An entry counts when its signature holds and its signer is the founder or, by an entry that
 * counts, an admin. Of several entries for a device the greatest role counts.
 */
public final class Membership {
  /** Most entries of a database; further ones are refused. */
  public static final int MAX_ENTRIES = 4_096;

  private final Hash database;
  private final byte[] founder;
  private final TreeMap<byte[], MembershipEntry> entries = new TreeMap<>(Arrays::compareUnsigned);
  private final TreeMap<byte[], MembershipEntry> members = new TreeMap<>(Arrays::compareUnsigned);
  private final Hash hash;

  private Membership(Hash database, byte[] founder, Collection<MembershipEntry> all) {
    this.database = database;
    this.founder = founder;
    for (MembershipEntry entry : all) {
      entries.put(entry.hash().bytes(), entry);
    }
    boolean grows = true;
    while (grows) {
      grows = false;
      for (MembershipEntry entry : entries.values()) {
        if (!counts(entry)) {
          continue;
        }
        MembershipEntry known = members.get(entry.device());
        if (known == null || entry.role().compareTo(known.role()) > 0) {
          members.put(entry.device(), entry);
          grows = true;
        }
      }
    }
    var out = new ByteWriter(32 * entries.size() + 32);
    entries.keySet().forEach(out::bytes);
    hash = Hash.of("pluresdb-members-v1", out.toByteArray());
  }

  /** The membership that follows from {@code entries}; those that do not hold are left out. */
  public static Membership of(Hash database, byte[] founder, Collection<MembershipEntry> entries) {
    return new Membership(
        database,
        founder,
        entries.stream().filter(e -> e.database().equals(database) && e.isAuthentic()).toList());
  }

  private boolean counts(MembershipEntry entry) {
    if (entry.isFounding()) {
      return Arrays.equals(entry.device(), founder);
    }
    if (Arrays.equals(entry.signer(), founder)) {
      return true;
    }
    MembershipEntry signer = members.get(entry.signer());
    return signer != null && signer.role() == Role.ADMIN;
  }

  /**
   * This membership with {@code more}; itself when nothing is new. Entries that are not authentic,
   * belong to another database or exceed {@link #MAX_ENTRIES} are left out.
   */
  public Membership with(Collection<MembershipEntry> more) {
    var all = new ArrayList<>(entries.values());
    boolean grew = false;
    for (MembershipEntry entry : more) {
      if (all.size() < MAX_ENTRIES
          && entry.database().equals(database)
          && !entries.containsKey(entry.hash().bytes())
          && entry.isAuthentic()) {
        all.add(entry);
        grew = true;
      }
    }
    return grew ? new Membership(database, founder, all) : this;
  }

  /** The role of a device, or null when it is no member. The founder is an admin. */
  public @Nullable Role role(byte[] device) {
    if (Arrays.equals(device, founder)) {
      return Role.ADMIN;
    }
    MembershipEntry entry = members.get(device);
    return entry == null ? null : entry.role();
  }

  public boolean may(byte[] device, Role needed) {
    Role role = role(device);
    return role != null && role.includes(needed);
  }

  /** The entry that admitted each device, ascending by key. */
  public List<MembershipEntry> members() {
    return List.copyOf(members.values());
  }

  /** Whether an entry admits somebody by this invite. */
  public boolean isUsed(byte[] invite) {
    return entries.values().stream()
        .anyMatch(e -> !e.isFounding() && Arrays.equals(e.invite(), invite));
  }

  /** All entries, also those that do not count yet because their signer's is still missing. */
  public List<MembershipEntry> entries() {
    return List.copyOf(entries.values());
  }

  public byte[] founder() {
    return founder.clone();
  }

  /** Equal on two replicas exactly when they hold the same entries. */
  public Hash hash() {
    return hash;
  }

  /** {@code count varint, entry *}. */
  public static void write(List<MembershipEntry> entries, ByteWriter out) {
    out.varint(entries.size());
    entries.forEach(entry -> entry.write(out));
  }

  public static List<MembershipEntry> read(ByteReader in) {
    int count = in.count("membership entries", MAX_ENTRIES);
    var entries = new ArrayList<MembershipEntry>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      entries.add(MembershipEntry.read(in));
    }
    return entries;
  }
}
