package io.pluresdb.crdt.store;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.compaction.StableCut;
import io.pluresdb.crdt.compaction.Stand;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The newest stand of each member, in memory and on disk.
 *
 * <pre>
 * STAND  device 32 -> received u64 | stand
 * </pre>
 *
 * <p>One thread: the replica's.
 */
public final class StandTable {
  private record Kept(Stand stand, long receivedMillis) {}

  private final Storage storage;
  private final Hash database;
  private final TreeMap<byte[], Kept> stands = new TreeMap<>(Arrays::compareUnsigned);
  private @Nullable Hash hash;

  StandTable(Storage storage, Hash database) {
    this.storage = storage;
    this.database = database;
    try (var snapshot = storage.snapshot();
        var rows = snapshot.scan(Table.STAND, new byte[0], null)) {
      while (rows.next()) {
        var in = new ByteReader(rows.value());
        long received = in.i64();
        stands.put(rows.key(), new Kept(Stand.read(in), received));
      }
    }
  }

  public @Nullable Stand of(byte[] device) {
    Kept kept = stands.get(device);
    return kept == null ? null : kept.stand;
  }

  /** Equal on two replicas exactly when they have the same stands. */
  public Hash hash() {
    Hash known = hash;
    if (known == null) {
      var out = new ByteWriter(40 * stands.size() + 8);
      stands.forEach((device, kept) -> out.bytes(device).i64(kept.stand.at()));
      known = Hash.of("pluresdb-stands-v1", out.toByteArray());
      hash = known;
    }
    return known;
  }

  /** When each device made the stand that is here. */
  public NavigableMap<byte[], Long> at() {
    var at = new TreeMap<byte[], Long>(Arrays::compareUnsigned);
    stands.forEach((device, kept) -> at.put(device, kept.stand.at()));
    return at;
  }

  /** The stands that are newer than what somebody else has. */
  public List<Stand> newerThan(Map<byte[], Long> theirs) {
    var newer = new ArrayList<Stand>();
    stands.forEach(
        (device, kept) -> {
          if (theirs.getOrDefault(device, -1L) < kept.stand.at()) {
            newer.add(kept.stand);
          }
        });
    return newer;
  }

  /**
   * Takes in those that are authentic, of members and newer than what is here.
   *
   * @return whether there was any
   */
  public boolean add(Collection<Stand> more, Membership membership, long nowMillis) {
    var fresh = new ArrayList<Stand>();
    for (Stand stand : more) {
      Stand known = of(stand.device());
      if ((known == null || known.at() < stand.at())
          && stand.database().equals(database)
          && membership.role(stand.device()) != null
          && stand.isAuthentic()) {
        fresh.add(stand);
      }
    }
    if (fresh.isEmpty()) {
      return false;
    }
    try (var batch = storage.newBatch()) {
      for (Stand stand : fresh) {
        var out = new ByteWriter(8 + stand.encodedBytes()).i64(nowMillis);
        stand.write(out);
        batch.put(Table.STAND, stand.device(), out.toByteArray());
      }
      storage.commit(batch, Durability.BUFFERED);
    }
    fresh.forEach(stand -> stands.put(stand.device(), new Kept(stand, nowMillis)));
    hash = null;
    return true;
  }

  /** Where every member stands, as far as is known here. */
  public List<StableCut.Known> known(Membership membership) {
    var admitted = new TreeMap<byte[], Long>(Arrays::compareUnsigned);
    long earliest = Long.MAX_VALUE;
    for (var member : membership.members()) {
      admitted.put(member.device(), member.atMillis());
      earliest = Math.min(earliest, member.atMillis());
    }
    // The founder need not have an entry: it was there before the first.
    if (membership.role(membership.founder()) != null) {
      admitted.putIfAbsent(membership.founder(), earliest);
    }
    var known = new ArrayList<StableCut.Known>();
    admitted.forEach(
        (device, at) -> {
          Kept kept = stands.get(device);
          known.add(
              new StableCut.Known(
                  device,
                  at,
                  kept == null ? null : kept.stand,
                  kept == null ? 0 : kept.receivedMillis));
        });
    return known;
  }
}
