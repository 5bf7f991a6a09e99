package io.pluresdb.transport.dht;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The nodes of one family that this node knows and that answered it: for each number of leading
 * bits in common with the own id, a bucket of {@link #BUCKET} (Maymounkov and Mazières 2002).
 *
 * <p>Nodes with global addresses are strangers: at most one of each address in the table and one of
 * each network in a bucket, and an id proven for its address (BEP 42) goes before one that is not.
 * A full bucket keeps a reserve; the newest of it takes the place of a node that stopped answering.
 */
final class RoutingTable {
  static final int BUCKET = 8;
  static final int RESERVE = 8;

  /** A node that did not answer so often in a row is bad. */
  static final int BAD_AFTER = 2;

  /** A node that answered within that time is good; then it is asked. */
  static final long GOOD_MILLIS = 15 * 60_000;

  /** Bad nodes are tried so often before they are forgotten, for when the network was away. */
  static final int FORGOTTEN_AFTER = 6;

  private static final long RETRY_MILLIS = 10_000;
  private static final long RETRY_BAD_MILLIS = 5 * 60_000;

  /** What is thought of a node. */
  enum Standing {
    GOOD,
    QUESTIONABLE,
    BAD
  }

  /** A node and its record. */
  static final class Entry {
    private final NodeContact contact;
    private final boolean proven;
    private long answeredAt;
    private long triedAt;
    private int failures;

    private Entry(NodeContact contact, long now) {
      this.contact = contact;
      this.proven = contact.isProven();
      this.answeredAt = now;
      this.triedAt = now;
    }

    NodeContact contact() {
      return contact;
    }

    boolean proven() {
      return proven;
    }

    long answeredAt() {
      return answeredAt;
    }

    Standing standing(long now) {
      if (failures >= BAD_AFTER) {
        return Standing.BAD;
      }
      return failures == 0 && now - answeredAt < GOOD_MILLIS
          ? Standing.GOOD
          : Standing.QUESTIONABLE;
    }

    private boolean isBad() {
      return failures >= BAD_AFTER;
    }

    private boolean isStranger() {
      return AddressScope.of(contact.address().getAddress()) == AddressScope.GLOBAL;
    }

    private long subnet() {
      return AddressScope.subnet(contact.address().getAddress());
    }

    private boolean isDue(long now) {
      if (failures == 0) {
        return now - answeredAt >= GOOD_MILLIS && now - triedAt >= RETRY_MILLIS;
      }
      return now - triedAt >= (isBad() ? RETRY_BAD_MILLIS : RETRY_MILLIS);
    }
  }

  private static final class Bucket {
    private final List<Entry> entries = new ArrayList<>(BUCKET);
    private final List<Entry> reserve = new ArrayList<>();
    private long refreshedAt;

    Bucket(long now) {
      this.refreshedAt = now;
    }
  }

  private final DhtId self;
  private final @Nullable Bucket[] buckets = new @Nullable Bucket[DhtId.BITS];

  /** Strangers by address; an address has one place. */
  private final Map<InetAddress, Entry> strangers = new HashMap<>();

  private int size;

  RoutingTable(DhtId self) {
    this.self = self;
  }

  DhtId self() {
    return self;
  }

  /** The nodes of this table in one around another id. */
  RoutingTable around(DhtId id, long now) {
    var table = new RoutingTable(id);
    for (Entry entry : entries()) {
      if (!entry.isBad()) {
        table.answered(entry.contact, now);
      }
    }
    return table;
  }

  /** Number of nodes, bad ones included. */
  int size() {
    return size;
  }

  List<Entry> entries() {
    var all = new ArrayList<Entry>(size);
    for (Bucket bucket : buckets) {
      if (bucket != null) {
        all.addAll(bucket.entries);
      }
    }
    return all;
  }

  /** Whether a node that sent a query would get a place if it answered. */
  boolean hasPlaceFor(NodeContact contact, long now) {
    Entry holder = strangers.get(contact.address().getAddress());
    // The same socket with another id has started anew: it is to be asked.
    boolean taken =
        holder != null
            && (holder.contact.equals(contact)
                || !holder.contact.address().equals(contact.address()));
    if (contact.id().equals(self)
        || taken
        || AddressScope.of(contact.address().getAddress()) == AddressScope.NONE) {
      return false;
    }
    Bucket bucket = buckets[self.commonBits(contact.id())];
    if (bucket == null) {
      return true;
    }
    var entry = new Entry(contact, now);
    for (Entry present : bucket.entries) {
      if (present.contact.equals(contact) || takesSubnetOf(present, entry)) {
        return false;
      }
    }
    return bucket.entries.size() < BUCKET || bucket.entries.stream().anyMatch(Entry::isBad);
  }

  private static boolean takesSubnetOf(Entry present, Entry other) {
    return present.isStranger() && other.isStranger() && present.subnet() == other.subnet();
  }

  /** A node answered a query that was sent to its address: it is what it says. */
  void answered(NodeContact contact, long now) {
    InetSocketAddress address = contact.address();
    if (contact.id().equals(self)
        || AddressScope.of(address.getAddress()) == AddressScope.NONE
        || address.getPort() == 0) {
      return;
    }
    int index = self.commonBits(contact.id());
    Bucket bucket = buckets[index];
    if (bucket == null) {
      bucket = new Bucket(now);
      buckets[index] = bucket;
    }
    for (Entry present : bucket.entries) {
      if (present.contact.id().equals(contact.id())) {
        if (present.contact.address().equals(address)) {
          present.answeredAt = now;
          present.triedAt = now;
          present.failures = 0;
          return;
        }
        if (!present.isBad()) {
          // Whoever has the id first keeps it; a thief of ids waits until the owner is gone.
          return;
        }
        remove(bucket, present);
        break;
      }
    }
    var entry = new Entry(contact, now);
    if (entry.isStranger() && !clearAddress(entry)) {
      return;
    }
    if (!clearSubnet(bucket, entry)) {
      return;
    }
    if (bucket.entries.size() < BUCKET || evict(bucket, entry)) {
      add(bucket, entry);
    } else {
      keepInReserve(bucket, entry);
    }
  }

  /** Whether the address has no place, or one that can be given up. */
  private boolean clearAddress(Entry entry) {
    Entry holder = strangers.get(entry.contact.address().getAddress());
    if (holder == null) {
      return true;
    }
    // The same socket with another id: it started anew.
    boolean succeeded = holder.contact.address().equals(entry.contact.address());
    if (!succeeded && !holder.isBad()) {
      return false;
    }
    Bucket bucket = buckets[self.commonBits(holder.contact.id())];
    if (bucket != null) {
      remove(bucket, holder);
    }
    return true;
  }

  private boolean clearSubnet(Bucket bucket, Entry entry) {
    for (Entry present : bucket.entries) {
      if (takesSubnetOf(present, entry)) {
        if (!present.isBad() && (present.proven || !entry.proven)) {
          return false;
        }
        remove(bucket, present);
        return true;
      }
    }
    return true;
  }

  /** Makes room in a full bucket: a bad node goes, or an unproven one for a proven one. */
  private boolean evict(Bucket bucket, Entry entry) {
    Entry victim = null;
    for (Entry present : bucket.entries) {
      if (present.isBad()) {
        victim = present;
        break;
      }
      if (entry.proven && !present.proven) {
        // The one that came last: long-lived nodes live longest.
        victim = present;
      }
    }
    if (victim == null) {
      return false;
    }
    remove(bucket, victim);
    return true;
  }

  private static void keepInReserve(Bucket bucket, Entry entry) {
    bucket.reserve.removeIf(
        waiting ->
            waiting.contact.id().equals(entry.contact.id())
                || waiting.contact.address().equals(entry.contact.address()));
    if (bucket.reserve.size() >= RESERVE) {
      bucket.reserve.removeFirst();
    }
    bucket.reserve.add(entry);
  }

  private void add(Bucket bucket, Entry entry) {
    bucket.entries.add(entry);
    if (entry.isStranger()) {
      strangers.put(entry.contact.address().getAddress(), entry);
    }
    size++;
  }

  private void remove(Bucket bucket, Entry entry) {
    if (bucket.entries.remove(entry)) {
      strangers.remove(entry.contact.address().getAddress(), entry);
      size--;
    }
  }

  /** A node of that id did not answer at that address. */
  void failed(NodeContact contact) {
    Bucket bucket = contact.id().equals(self) ? null : buckets[self.commonBits(contact.id())];
    if (bucket == null) {
      return;
    }
    bucket.reserve.removeIf(waiting -> waiting.contact.equals(contact));
    for (Entry present : List.copyOf(bucket.entries)) {
      if (present.contact.equals(contact)) {
        present.failures++;
        if (present.failures >= FORGOTTEN_AFTER && size > BUCKET) {
          remove(bucket, present);
        } else if (present.isBad()) {
          replace(bucket, present);
        }
      }
    }
  }

  private void replace(Bucket bucket, Entry bad) {
    while (!bucket.reserve.isEmpty()) {
      Entry next = bucket.reserve.removeLast();
      boolean fits =
          !next.isStranger() || !strangers.containsKey(next.contact.address().getAddress());
      for (Entry present : bucket.entries) {
        fits &= present == bad || !takesSubnetOf(present, next);
      }
      if (fits) {
        remove(bucket, bad);
        add(bucket, next);
        return;
      }
    }
  }

  /** The nodes nearest to {@code target} that answered when last asked, nearest first. */
  List<NodeContact> closest(DhtId target, int count) {
    var nearest = new ArrayList<NodeContact>(count + 1);
    for (Bucket bucket : buckets) {
      if (bucket == null) {
        continue;
      }
      for (Entry entry : bucket.entries) {
        if (entry.failures > 0) {
          continue;
        }
        int at = nearest.size();
        while (at > 0 && target.compareDistance(entry.contact.id(), nearest.get(at - 1).id()) < 0) {
          at--;
        }
        if (at < count) {
          nearest.add(at, entry.contact);
          if (nearest.size() > count) {
            nearest.removeLast();
          }
        }
      }
    }
    return nearest;
  }

  /** Nodes to ask whether they are still there, at most {@code count}, counted as tried now. */
  List<NodeContact> due(int count, long now) {
    var due = new ArrayList<NodeContact>();
    for (Bucket bucket : buckets) {
      if (bucket == null) {
        continue;
      }
      for (Entry entry : bucket.entries) {
        if (due.size() < count && entry.isDue(now)) {
          entry.triedAt = now;
          due.add(entry.contact);
        }
      }
    }
    return due;
  }

  /**
   * A bucket nothing was looked for in for {@link #GOOD_MILLIS}: the number of bits its nodes have
   * in common with the own id. -1 when there is none. It counts as refreshed now.
   */
  int staleBucket(long now) {
    int deepest = deepest();
    for (int index = 0; index <= deepest; index++) {
      Bucket bucket = buckets[index];
      if (bucket == null) {
        bucket = new Bucket(now - GOOD_MILLIS);
        buckets[index] = bucket;
      }
      if (now - bucket.refreshedAt >= GOOD_MILLIS) {
        bucket.refreshedAt = now;
        return index;
      }
    }
    return -1;
  }

  /** Makes every bucket stale. */
  void forgetRefreshes(long now) {
    for (Bucket bucket : buckets) {
      if (bucket != null) {
        bucket.refreshedAt = now - GOOD_MILLIS;
      }
    }
  }

  /** Something near {@code target} was looked for. */
  void refreshed(DhtId target, long now) {
    if (!target.equals(self)) {
      Bucket bucket = buckets[self.commonBits(target)];
      if (bucket != null) {
        bucket.refreshedAt = now;
      }
    }
  }

  private int deepest() {
    for (int index = buckets.length - 1; index >= 0; index--) {
      Bucket bucket = buckets[index];
      if (bucket != null && !bucket.entries.isEmpty()) {
        return index;
      }
    }
    return -1;
  }
}
