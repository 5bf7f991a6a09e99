package io.pluresdb.storage.crypto;

import static io.pluresdb.storage.crypto.KnownBins.ORDER;

import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Batch;
import io.pluresdb.crdt.store.Storage.Snapshot;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.storage.crypto.Bins.Bin;
import io.pluresdb.storage.crypto.SealedBatch.Write;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.NavigableSet;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Function;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * A table whose keys do not show: its bins, and how those that overflow are cut.
 *
 * <p>Any thread reads {@link #view}; everything else is for the one that commits.
 */
final class HiddenTable {
  /** A bin is cut when it would hold more rows. */
  static final int MAX_BIN_ROWS = 128;

  /** Rows of each part when a bin is cut. */
  static final int CUT_ROWS = 32;

  /** Writes to a full bin before its rows are counted again. */
  private static final int MIN_ALLOWANCE = 48;

  private static final Comparator<Bin> BY_START = Comparator.comparing(Bin::start, ORDER);

  /** The bins as committed, and as they will be after the commit that is under way. */
  static final class View {
    final Bins current;
    final @Nullable Bins next;

    private View(Bins current, @Nullable Bins next) {
      this.current = current;
      this.next = next;
    }
  }

  final Table table;
  private final RandomGenerator random;
  private final KnownBins known = new KnownBins(KnownBins.PROCESS);
  private volatile View view;

  /**
   * @param random draws ids of bins
   */
  HiddenTable(Table table, Bins bins, RandomGenerator random) {
    this.table = table;
    this.random = random;
    this.view = new View(bins, null);
  }

  View view() {
    return view;
  }

  /** Lets readers look into the bins that a commit is about to make, too. */
  void announce(Bins next) {
    view = new View(view.current, next);
  }

  /** That commit is done, or failed. */
  void settle(boolean done) {
    Bins next = view.next;
    view = new View(done && next != null ? next : view.current, null);
  }

  /** Nothing is known of what the bins hold any more. */
  void forget() {
    known.clear();
    view.current.all().forEach(bin -> bin.left = 0);
  }

  /** A bin is gone. */
  void forget(Bin bin) {
    known.forget(bin);
  }

  /**
   * Tells writes their bins, and cuts those that they would overfill; the bins afterwards, or null
   * for as before.
   */
  @Nullable Bins makeRoom(List<Write> writes, Storage inner, Sealer sealer, Batch out) {
    Bins bins = view.current;
    var full = new TreeMap<Bin, List<byte[]>>(BY_START);
    for (Write write : writes) {
      Bin bin = write.foundBin();
      if (bin == null || !bin.holds(write.key)) {
        bin = bins.of(write.key);
      }
      write.bin = bin;
      if (write.value != null && --bin.left < 0) {
        full.putIfAbsent(bin, new ArrayList<>());
      }
    }
    Bins next = full.isEmpty() ? null : cut(bins, writes, full, inner, sealer, out);
    for (Write write : writes) {
      if (write.bin != null) {
        known.written(write.bin, write.key, write.value != null);
      }
    }
    return next;
  }

  /** Cuts those of the bins {@code full} that {@code writes} do overfill. */
  private @Nullable Bins cut(
      Bins bins,
      List<Write> writes,
      Map<Bin, List<byte[]>> full,
      Storage inner,
      Sealer sealer,
      Batch out) {
    for (Write write : writes) {
      List<byte[]> coming = write.bin == null || write.value == null ? null : full.get(write.bin);
      if (coming != null) {
        coming.add(write.key);
      }
    }
    var cut = new TreeMap<Integer, List<Bin>>();
    try (var snapshot = inner.snapshot()) {
      for (var bin : full.entrySet()) {
        List<Bin> parts = cut(bin.getKey(), bin.getValue(), snapshot, sealer, out);
        if (parts.size() > 1) {
          cut.put(bins.find(bin.getKey().start()), parts);
        }
      }
    }
    if (cut.isEmpty()) {
      return null;
    }
    Bins next = bins.replace(cut);
    for (Write write : writes) {
      if (write.bin != null && !write.bin.holds(write.key)) {
        write.bin = next.of(write.key);
      }
    }
    SealedRows.writeVersion(out, sealer, table, next.version());
    return next;
  }

  private List<Bin> cut(Bin bin, List<byte[]> coming, Snapshot snapshot, Sealer sealer, Batch out) {
    KnownBins.Known stored = known.of(bin);
    if (stored == null) {
      return cutUnknown(bin, coming, snapshot, sealer, out);
    }
    var fresh = new TreeSet<>(ORDER);
    for (byte[] key : coming) {
      if (!stored.contains(key)) {
        fresh.add(key);
      }
    }
    List<byte[]> keys = stored.keys();
    int count = keys.size() + fresh.size();
    if (count <= MAX_BIN_ROWS) {
      bin.left = allowance(count);
      return List.of(bin);
    }
    List<List<byte[]>> sections = sections(keys, stored.runEnds(), fresh);
    return share(bin, sections, fresh, place -> snapshot.get(table, place), sealer, out);
  }

  /** Cuts a bin whose rows must be read for it, and opened if there are too many. */
  private List<Bin> cutUnknown(
      Bin bin, List<byte[]> coming, Snapshot snapshot, Sealer sealer, Batch out) {
    var places = new TreeMap<byte[], byte[]>(ORDER);
    try (var rows = SealedRows.rowsOf(snapshot, table, bin)) {
      while (rows.next()) {
        places.put(rows.key(), rows.value());
      }
    }
    var fresh = new TreeSet<>(ORDER);
    for (byte[] key : coming) {
      if (!places.containsKey(SealedRows.place(sealer, table, bin, key))) {
        fresh.add(key);
      }
    }
    int count = places.size() + fresh.size();
    if (count <= MAX_BIN_ROWS) {
      bin.left = allowance(count);
      return List.of(bin);
    }
    var keys = new ArrayList<byte[]>(places.size());
    places.forEach((at, value) -> keys.add(SealedRows.row(sealer, table, at, value).key()));
    return share(bin, List.of(union(keys, fresh)), fresh, places::get, sealer, out);
  }

  /** {@code some} and {@code others}, which have none in common, ascending. */
  private static List<byte[]> union(List<byte[]> some, NavigableSet<byte[]> others) {
    var union = new ArrayList<byte[]>(some.size() + others.size());
    union.addAll(some);
    union.addAll(others);
    union.sort(ORDER);
    return union;
  }

  /**
   * The keys behind each end of a run apart from those before it: where rows come in ascending
   * order, at one place of a bin or at several, each place gets bins of its own, whose rows need
   * not move when more come. What comes at an end goes with the run while that leaves room for
   * more, and else begins anew.
   */
  private static List<List<byte[]>> sections(
      List<byte[]> keys, List<Integer> runEnds, NavigableSet<byte[]> fresh) {
    var sections = new ArrayList<List<byte[]>>();
    NavigableSet<byte[]> left = fresh;
    int from = 0;
    for (int end : runEnds) {
      byte[] last = keys.get(end);
      List<byte[]> run = union(keys.subList(from, end + 1), left.headSet(last, false));
      from = end + 1;
      left = left.tailSet(last, false);
      NavigableSet<byte[]> coming = from < keys.size() ? left.headSet(keys.get(from), false) : left;
      if (run.size() + coming.size() <= MAX_BIN_ROWS - CUT_ROWS) {
        sections.add(union(run, coming));
      } else {
        sections.add(run);
        sections.add(List.copyOf(coming));
      }
      left = from < keys.size() ? left.tailSet(keys.get(from), false) : new TreeSet<>(ORDER);
    }
    sections.add(union(keys.subList(from, keys.size()), left));
    sections.removeIf(List::isEmpty);
    return sections;
  }

  /**
   * Moves what does not stay in {@code bin}; values move as they are, sealed with their keys.
   *
   * @param sections what must not share a bin, ascending; the first row stays
   * @param fresh the keys among them that are not stored yet
   * @param rows gives the rows of the bin as they are on disk, by their places
   */
  private List<Bin> share(
      Bin bin,
      List<List<byte[]>> sections,
      NavigableSet<byte[]> fresh,
      Function<byte[], byte @Nullable []> rows,
      Sealer sealer,
      Batch out) {
    var parts = new ArrayList<Bin>();
    for (List<byte[]> section : sections) {
      boolean whole = sections.size() > 1 && section.size() <= MAX_BIN_ROWS;
      int most = whole ? MAX_BIN_ROWS : CUT_ROWS;
      for (int from = 0; from < section.size(); from += most) {
        List<byte[]> keys = section.subList(from, Math.min(section.size(), from + most));
        List<byte[]> stored = keys.stream().filter(key -> !fresh.contains(key)).toList();
        Bin part = bin;
        if (!parts.isEmpty()) {
          part = new Bin(keys.getFirst(), random.nextLong(), bin.key());
          SealedRows.writeBin(out, sealer, table, part);
          move(stored, bin, part, rows, sealer, out);
        }
        known.learn(part, stored);
        part.left = allowance(keys.size());
        parts.add(part);
      }
    }
    return parts;
  }

  private void move(
      List<byte[]> keys,
      Bin bin,
      Bin part,
      Function<byte[], byte @Nullable []> rows,
      Sealer sealer,
      Batch out) {
    for (byte[] key : keys) {
      byte[] from = SealedRows.place(sealer, table, bin, key);
      byte[] value = rows.apply(from);
      if (value == null) {
        throw SealedRows.damaged(table, new SealException("a row of a bin is gone"));
      }
      out.delete(table, from);
      out.put(table, SealedRows.place(sealer, table, part, key), value);
    }
  }

  private static int allowance(int rows) {
    return Math.max(MIN_ALLOWANCE, MAX_BIN_ROWS - rows);
  }
}
