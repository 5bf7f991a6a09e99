package io.pluresdb.storage.vector;

import io.github.jbellis.jvector.vector.VectorizationProvider;
import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.index.DerivedIndex;
import io.pluresdb.storage.vector.VectorSpace.Near;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.jspecify.annotations.Nullable;

/**
 * The embeddings of the documents, one graph for each dimension.
 *
 * <p>A save writes the graphs that changed, synced, and then a row in the storage that names them:
 * the row is in the storage's log behind every document they were made from, so graphs that are
 * named are never ahead of the documents. Opening reads what is named and takes in what arrived
 * since; graphs that are missing or damaged are made anew.
 *
 * <pre>
 * 05 -> arrivals varint | spaces varint | (dimension varint | number varint) *
 * </pre>
 */
public final class VectorIndex implements DerivedIndex {
  private static final byte[] MARK = {5};

  /** Most dimensions of one database; documents of a further one are not found. */
  public static final int MAX_SPACES = 16;

  private static final int MAX_DIMENSIONS = 1 << 16;

  /** A graph changed by this share, or by {@link #MIN_CHANGES}, is saved before it is idle. */
  private static final int SAVE_SHARE = 5;

  private static final int MIN_CHANGES = 20_000;
  private static final long SAVE_AFTER_NANOS = TimeUnit.SECONDS.toNanos(30);

  /** Documents that are asked whether they meet a filter, to guess how many do. */
  private static final int SAMPLE = 64;

  /** Where fewer of the sample meet a filter, all that do are compared. */
  private static final int MIN_ACCEPTED = 8;

  private static final Logger JVECTOR_NEWS = Logger.getLogger("io.github.jbellis.jvector");

  private final Storage storage;
  private final @Nullable Path folder;
  private final Map<Integer, VectorSpace> spaces = new ConcurrentSkipListMap<>();
  private final TreeMap<Integer, Long> saved = new TreeMap<>();
  private volatile long arrivals;
  private long savedArrivals;
  private long savedNanos = System.nanoTime();
  private long unsaved;
  private long nextNumber = 1;
  private Set<String> referenced = Set.of();
  private boolean closed;

  private VectorIndex(Storage storage, @Nullable Path folder) {
    this.storage = storage;
    this.folder = folder;
    this.arrivals = DerivedIndex.NOTHING;
    this.savedArrivals = DerivedIndex.NOTHING;
  }

  /** Whether a row names the files of such an index, and is worth nothing without them. */
  public static boolean namesFiles(byte[] key) {
    return Arrays.equals(key, MARK);
  }

  /** Whether the storage has seen such an index. */
  public static boolean isKnown(Storage storage) {
    return storage.get(Table.INDEX, MARK) != null;
  }

  /** What computes distances: vector instructions, or none. */
  public static String instructions() {
    quiet();
    String name = VectorizationProvider.getInstance().getClass().getSimpleName();
    return name.startsWith("Default") ? "none" : "simd";
  }

  private static void quiet() {
    // It says at its first use what it found; status says it where it matters.
    JVECTOR_NEWS.setLevel(Level.SEVERE);
    if (System.getProperty("jvector.vectorization_provider") == null) {
      // Its native library is no faster here, and would be extracted at each start.
      boolean simd = ModuleLayer.boot().findModule("jdk.incubator.vector").isPresent();
      System.setProperty("jvector.vectorization_provider", simd ? "panama" : "default");
    }
  }

  /**
   * Opens what was saved, or an empty index that is to be rebuilt.
   *
   * @param folder null for one that is in memory alone and made anew at each start
   */
  public static VectorIndex open(Storage storage, @Nullable Path folder) {
    quiet();
    var index = new VectorIndex(storage, folder);
    byte[] mark = storage.get(Table.INDEX, MARK);
    if (mark != null && folder != null) {
      try {
        index.load(mark);
      } catch (IOException | RuntimeException e) {
        index.forget();
      }
    }
    return index;
  }

  private void load(byte[] mark) throws IOException {
    var in = new ByteReader(mark);
    long reached = in.varint();
    for (int left = in.count("spaces", MAX_SPACES); left > 0; left--) {
      int dimension = in.count("dimension", MAX_DIMENSIONS);
      long number = in.varint();
      spaces.put(dimension, VectorSpace.load(savedFolder(dimension), dimension, number));
      saved.put(dimension, number);
      nextNumber = Math.max(nextNumber, number + 1);
    }
    arrivals = reached;
    savedArrivals = reached;
    referenced = names();
  }

  private Path savedFolder(int dimension) {
    return Objects.requireNonNull(folderOf(dimension), "in memory alone");
  }

  private @Nullable Path folderOf(int dimension) {
    return folder == null ? null : folder.resolve(Integer.toString(dimension));
  }

  private void forget() {
    for (VectorSpace space : spaces.values()) {
      try {
        space.close();
      } catch (IOException e) {
        throw failed(e);
      }
    }
    spaces.clear();
    saved.clear();
    arrivals = DerivedIndex.NOTHING;
  }

  @Override
  public String name() {
    return "vector index";
  }

  @Override
  public long arrivals() {
    return arrivals;
  }

  @Override
  public void rebuild(CommitView view) {
    forget();
    try (var rows = view.snapshot().scan(Table.STATE, new byte[0], null)) {
      while (rows.next()) {
        put(rows.key(), view.document(rows.key(), rows.value()));
      }
    }
    arrivals = view.arrivals();
    saveNow();
  }

  @Override
  public void apply(CommitView view, List<byte[]> ids, long next) {
    for (byte[] id : ids) {
      put(id, view.document(id));
    }
    try {
      for (VectorSpace space : spaces.values()) {
        space.tidy();
      }
    } catch (IOException e) {
      throw failed(e);
    }
    arrivals = next;
    unsaved += ids.size();
    if (unsaved >= Math.max(MIN_CHANGES, documents() / SAVE_SHARE)) {
      saveNow();
    }
  }

  private void put(byte[] id, @Nullable NodeRecord document) {
    float[] vector = document == null ? null : unit(document.embedding());
    try {
      if (vector != null && !spaces.containsKey(vector.length) && spaces.size() < MAX_SPACES) {
        int dimension = vector.length;
        spaces.put(dimension, VectorSpace.create(folderOf(dimension), dimension));
      }
      for (var entry : spaces.entrySet()) {
        boolean here = vector != null && entry.getKey() == vector.length;
        entry.getValue().put(id, here ? vector : null);
      }
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** A vector's direction; null when it has none. */
  static float @Nullable [] unit(float @Nullable [] vector) {
    if (vector == null) {
      return null;
    }
    double squares = 0;
    for (float value : vector) {
      squares += (double) value * value;
    }
    double length = Math.sqrt(squares);
    if (!(length > 0 && length < Double.POSITIVE_INFINITY)) {
      return null;
    }
    float[] unit = new float[vector.length];
    for (int i = 0; i < unit.length; i++) {
      unit[i] = (float) (vector[i] / length);
    }
    return unit;
  }

  @Override
  public void save(boolean atOnce) {
    boolean due = atOnce || System.nanoTime() - savedNanos >= SAVE_AFTER_NANOS;
    if (due && arrivals >= 0 && arrivals != savedArrivals) {
      saveNow();
    }
  }

  private void saveNow() {
    if (folder == null) {
      return;
    }
    try {
      long number = nextNumber++;
      for (var entry : spaces.entrySet()) {
        if (entry.getValue().isDirty() || !saved.containsKey(entry.getKey())) {
          entry.getValue().save(number);
          saved.put(entry.getKey(), number);
        }
      }
      var row = new ByteWriter().varint(arrivals).varint(saved.size());
      saved.forEach((dimension, at) -> row.varint(dimension).varint(at));
      try (var batch = storage.newBatch()) {
        batch.put(Table.INDEX, MARK, row.toByteArray());
        storage.commit(batch, Durability.BUFFERED);
      }
      savedArrivals = arrivals;
      savedNanos = System.nanoTime();
      unsaved = 0;
      deleteUnreferenced();
    } catch (IOException e) {
      throw failed(e);
    }
  }

  private Set<String> names() {
    var names = new HashSet<String>();
    saved.forEach(
        (dimension, number) -> {
          VectorSpace space = spaces.get(dimension);
          if (space != null) {
            names.add(dimension + "/" + number + ".graph");
            names.add(dimension + "/" + space.generation() + ".vectors");
          }
        });
    return names;
  }

  /**
   * What neither this save nor the one before names: power may fail before this one's row is on
   * disk.
   */
  private void deleteUnreferenced() throws IOException {
    Set<String> now = names();
    for (int dimension : spaces.keySet()) {
      try (var files = Files.list(savedFolder(dimension))) {
        for (Path file : files.toList()) {
          String name = dimension + "/" + file.getFileName();
          if (!now.contains(name) && !referenced.contains(name)) {
            Files.delete(file);
          }
        }
      }
    }
    referenced = now;
  }

  private static RuntimeException failed(IOException cause) {
    return new StorageException.Failed("the vector index cannot be written: " + cause, cause);
  }

  /** Documents with a vector. */
  public int documents() {
    return spaces.values().stream().mapToInt(VectorSpace::documents).sum();
  }

  /** The dimensions there are, ascending. */
  public List<Integer> dimensions() {
    return spaces.entrySet().stream()
        .filter(entry -> entry.getValue().documents() > 0)
        .map(Map.Entry::getKey)
        .toList();
  }

  /**
   * A document that was found.
   *
   * @param score max(0, cosine)
   */
  public record Hit(NodeRecord document, double score) {}

  /**
   * The documents most similar to a vector, best first, as they are in {@code view}.
   *
   * @param limit so many are given if there are so many
   * @param threshold least score
   * @param filter what documents must meet, null for nothing
   * @param matching the ids of all documents that meet the filter, asked for when there are few
   * @throws CoreException when no document has a vector of that dimension, though some have others
   */
  public List<Hit> search(
      CommitView view,
      float[] embedding,
      int limit,
      double threshold,
      @Nullable Predicate<NodeRecord> filter,
      Supplier<List<byte[]>> matching) {
    float[] query = unit(embedding);
    if (query == null) {
      throw CoreException.invalid("embedding must hold finite numbers, not all zero");
    }
    VectorSpace space = spaces.get(query.length);
    if (space == null || space.documents() == 0) {
      List<Integer> dimensions = dimensions();
      if (dimensions.isEmpty()) {
        return List.of();
      }
      throw CoreException.invalid(
          "embedding must have as many numbers as those of the documents, "
              + dimensions
              + ", but has "
              + query.length);
    }
    return space.reading(
        reading -> {
          var search = new Search(view, reading, query, threshold, filter);
          if (filter == null || search.isMetByMany()) {
            int wanted = Math.min(limit, reading.live());
            while (true) {
              List<Near> near =
                  reading.nearest(query, wanted, filter == null ? null : search::accepts);
              List<Hit> hits = search.hits(near, limit);
              boolean all = near.size() == wanted;
              boolean below = !near.isEmpty() && near.getLast().cosine() < threshold;
              if (hits.size() == limit || (all && below)) {
                return hits;
              }
              if (!all || wanted == reading.live()) {
                // The graph does not lead to more of them.
                break;
              }
              wanted = Math.min(2 * wanted, reading.live());
            }
          }
          return search.compareAll(filter == null ? null : matching.get(), limit);
        });
  }

  private static final class Search {
    private final CommitView view;
    private final VectorSpace.Reading space;
    private final float[] query;
    private final double threshold;
    private final @Nullable Predicate<NodeRecord> filter;

    Search(
        CommitView view,
        VectorSpace.Reading space,
        float[] query,
        double threshold,
        @Nullable Predicate<NodeRecord> filter) {
      this.view = view;
      this.space = space;
      this.query = query;
      this.threshold = threshold;
      this.filter = filter;
    }

    boolean accepts(byte[] id) {
      NodeRecord document = view.document(id);
      return document != null && (filter == null || filter.test(document));
    }

    /** Looks at documents spread over the numbers, which are in the order of arrival. */
    boolean isMetByMany() {
      int met = 0;
      for (int i = 0; i < SAMPLE; i++) {
        int node = (int) ((long) i * space.nodes() / SAMPLE);
        met += space.documents(node).stream().anyMatch(this::accepts) ? 1 : 0;
      }
      return met >= MIN_ACCEPTED;
    }

    /** The documents of nodes, scored by what they hold now. */
    List<Hit> hits(List<Near> near, int limit) {
      var hits = new ArrayList<Hit>();
      for (Near one : near) {
        for (byte[] id : space.documents(one.node())) {
          Hit hit = hit(id);
          if (hit != null) {
            hits.add(hit);
          }
        }
      }
      hits.sort(BEST_FIRST);
      return hits.size() <= limit ? hits : List.copyOf(hits.subList(0, limit));
    }

    private @Nullable Hit hit(byte[] id) {
      NodeRecord document = view.document(id);
      float[] vector = document == null ? null : unit(document.embedding());
      if (document == null
          || vector == null
          || vector.length != query.length
          || (filter != null && !filter.test(document))) {
        return null;
      }
      double score = Math.clamp(dot(vector, query), 0.0, 1.0);
      return score >= threshold ? new Hit(document, score) : null;
    }

    /** Compares every document of a list, or every one there is. */
    List<Hit> compareAll(@Nullable List<byte[]> ids, int limit) {
      record Scored(byte[] id, double score) {}
      var best = new PriorityQueue<Scored>(Comparator.comparingDouble(Scored::score));
      float[] vector = new float[query.length];
      int count = ids == null ? space.nodes() : ids.size();
      for (int i = 0; i < count; i++) {
        int node = ids == null ? i : space.node(ids.get(i));
        if (node < 0) {
          continue;
        }
        space.vector(node, vector);
        double score = dot(vector, query);
        for (byte[] id : ids == null ? space.documents(node) : List.of(ids.get(i))) {
          best.add(new Scored(id, score));
          if (best.size() > limit) {
            best.remove();
          }
        }
      }
      var hits = new ArrayList<Hit>();
      for (Scored scored : best) {
        Hit hit = hit(scored.id);
        if (hit != null) {
          hits.add(hit);
        }
      }
      hits.sort(BEST_FIRST);
      return hits;
    }
  }

  private static final Comparator<Hit> BEST_FIRST =
      Comparator.comparingDouble(Hit::score).reversed().thenComparing(hit -> hit.document().id());

  private static double dot(float[] a, float[] b) {
    float even = 0;
    float odd = 0;
    int i = 0;
    for (; i + 1 < a.length; i += 2) {
      even += a[i] * b[i];
      odd += a[i + 1] * b[i + 1];
    }
    return i < a.length ? even + odd + a[i] * b[i] : even + odd;
  }

  /**
   * What differs from the documents of a commit that it has reached, at most {@code limit}
   * sentences.
   */
  public List<String> differences(CommitView view, int limit) {
    var differences = new ArrayList<String>();
    int expected = 0;
    try (var rows = view.snapshot().scan(Table.STATE, new byte[0], null)) {
      while (rows.next() && differences.size() < limit) {
        NodeRecord document = view.document(rows.key(), rows.value());
        float[] vector = document == null ? null : unit(document.embedding());
        boolean agree =
            vector == null || spaces.containsKey(vector.length) || spaces.size() == MAX_SPACES;
        for (var entry : spaces.entrySet()) {
          boolean here = vector != null && vector.length == entry.getKey();
          agree &= entry.getValue().holds(rows.key(), here ? vector : null);
          expected += here ? 1 : 0;
        }
        if (!agree) {
          differences.add(
              "vector index does not hold document "
                  + new String(rows.key(), StandardCharsets.UTF_8)
                  + " as it is");
        }
      }
    }
    if (differences.isEmpty() && expected != documents()) {
      differences.add(
          "vector index has " + documents() + " documents, but " + expected + " have a vector");
    }
    return differences;
  }

  /** Bytes of its files. */
  public long bytesOnDisk() {
    if (!Files.exists(folder)) {
      return 0;
    }
    try (var files = Files.walk(folder)) {
      return files.filter(Files::isRegularFile).mapToLong(file -> file.toFile().length()).sum();
    } catch (IOException | UncheckedIOException e) {
      // A save removed a file meanwhile.
      return 0;
    }
  }

  @Override
  public void close() {
    if (closed) {
      return;
    }
    closed = true;
    RuntimeException failure = null;
    try {
      if (arrivals >= 0 && arrivals != savedArrivals) {
        saveNow();
      }
    } catch (RuntimeException e) {
      failure = e;
    }
    long reached = arrivals;
    forget();
    arrivals = reached;
    if (failure != null) {
      throw failure;
    }
  }
}
