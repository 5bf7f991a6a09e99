package io.pluresdb.storage.vector;

import io.github.jbellis.jvector.disk.ByteBufferReader;
import io.github.jbellis.jvector.graph.GraphIndexBuilder;
import io.github.jbellis.jvector.graph.GraphSearcher;
import io.github.jbellis.jvector.graph.OnHeapGraphIndex;
import io.github.jbellis.jvector.graph.SearchResult;
import io.github.jbellis.jvector.graph.diversity.VamanaDiversityProvider;
import io.github.jbellis.jvector.graph.similarity.BuildScoreProvider;
import io.github.jbellis.jvector.graph.similarity.DefaultSearchScoreProvider;
import io.github.jbellis.jvector.util.Bits;
import io.github.jbellis.jvector.util.PhysicalCoreExecutor;
import io.github.jbellis.jvector.vector.VectorSimilarityFunction;
import io.github.jbellis.jvector.vector.VectorizationProvider;
import io.github.jbellis.jvector.vector.types.VectorFloat;
import io.pluresdb.storage.file.DurableFiles;
import java.io.BufferedOutputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ForkJoinPool;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import java.util.function.Predicate;
import java.util.zip.CRC32C;
import java.util.zip.CheckedOutputStream;
import org.jspecify.annotations.Nullable;

/**
 * The vectors of one dimension with the graph over them (hierarchical Vamana, by JVector).
 *
 * <p>A vector that several documents have is one node: nodes at distance 0 would fill each other's
 * neighbour lists. A replaced or deleted vector is never a hit from then on; its node stays a way
 * to others until the nodes without documents are half as many as those with, and then everything
 * is numbered anew in a new file.
 *
 * <p>JVector's form of a graph that can still grow is deprecated for one that cannot; it is what we
 * need, and an index that a later JVector cannot read is made anew.
 *
 * <pre>
 * GENERATION.vectors   the vectors by number, float32 little-endian
 * NUMBER.graph         one state:
 *   magic "PLVECTOR" | version u32 = 1 | dimension u32 | generation u64 | nodes u32
 *   | (hash i64 | documents u32 | (bytes u32 | id) *) * | graph of JVector | crc32c u32 of all before
 * </pre>
 */
@SuppressWarnings("deprecation")
final class VectorSpace implements AutoCloseable {
  private static final long MAGIC = 0x504c564543544f52L;
  private static final int VERSION = 1;

  private static final int DEGREE = 32;
  private static final int BUILD_WIDTH = 100;
  private static final float OVERFLOW = 1.2f;
  private static final float ALPHA = 1.2f;

  /** Least number of candidates a search keeps. */
  private static final int SEARCH_WIDTH = 100;

  /** So many nodes without documents are left alone. */
  private static final int MIN_DEAD = 1_024;

  /** A document's id as a key. */
  private record Id(byte[] bytes) {
    @Override
    public boolean equals(@Nullable Object other) {
      return other instanceof Id id && Arrays.equals(bytes, id.bytes);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(bytes);
    }
  }

  /** A node and its score, the cosine. */
  record Near(int node, double cosine) {}

  /** What belongs to one numbering of the vectors. */
  private static final class Generation {
    final long number;
    final Vectors vectors;
    final Map<Id, Integer> nodeOf;
    final List<byte[][]> documentsOf;
    final List<Long> hashOf;
    final Map<Long, Integer> byHash;
    GraphIndexBuilder builder;
    int live;

    /**
     * An empty graph over vectors.
     *
     * @param nodes that there will be soon
     */
    Generation(long number, Vectors vectors, int nodes) {
      this.number = number;
      this.vectors = vectors;
      this.nodeOf = HashMap.newHashMap(nodes);
      this.byHash = HashMap.newHashMap(nodes);
      this.documentsOf = new ArrayList<>(nodes);
      this.hashOf = new ArrayList<>(nodes);
      this.builder =
          new GraphIndexBuilder(
              scores(), vectors.dimension(), DEGREE, BUILD_WIDTH, OVERFLOW, ALPHA, true, false);
    }

    private BuildScoreProvider scores() {
      return BuildScoreProvider.randomAccessScoreProvider(
          vectors, VectorSimilarityFunction.DOT_PRODUCT);
    }

    /**
     * Takes a graph that was saved. The builder's own way to load it computes every score anew,
     * though the file has them.
     */
    void load(ByteBuffer graph) throws IOException {
      var saved =
          OnHeapGraphIndex.load(
              new ByteBufferReader(graph.slice()),
              vectors.dimension(),
              OVERFLOW,
              new VamanaDiversityProvider(scores(), ALPHA));
      if (!saved.isHierarchical()) {
        // It is small, and read so it would never get a second layer.
        builder.load(new ByteBufferReader(graph.slice()));
        return;
      }
      builder.close();
      builder =
          new GraphIndexBuilder(
              scores(),
              vectors.dimension(),
              saved,
              BUILD_WIDTH,
              OVERFLOW,
              ALPHA,
              false,
              PhysicalCoreExecutor.pool(),
              ForkJoinPool.commonPool());
    }
  }

  private final @Nullable Path folder;
  private final int dimension;
  private final ReentrantReadWriteLock lock = new ReentrantReadWriteLock(true);
  private Generation current; // Changed under the write lock.
  private boolean dirty;

  private VectorSpace(@Nullable Path folder, int dimension, Generation current) {
    this.folder = folder;
    this.dimension = dimension;
    this.current = current;
  }

  /**
   * An empty one; what lies in the folder is of no use any more.
   *
   * @param folder null for one that is in memory alone, and cannot be saved
   */
  static VectorSpace create(@Nullable Path folder, int dimension) throws IOException {
    if (folder == null) {
      return new VectorSpace(null, dimension, new Generation(1, Vectors.inMemory(dimension), 0));
    }
    DurableFiles.makeFolders(folder);
    try (var files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    var vectors = Vectors.open(folder.resolve("1.vectors"), dimension, 0);
    return new VectorSpace(folder, dimension, new Generation(1, vectors, 0));
  }

  /**
   * Reads a state.
   *
   * @throws IOException when it is not there or is damaged
   */
  static VectorSpace load(Path folder, int dimension, long number) throws IOException {
    try (FileChannel channel =
        FileChannel.open(folder.resolve(number + ".graph"), StandardOpenOption.READ)) {
      ByteBuffer in = channel.map(MapMode.READ_ONLY, 0, channel.size());
      var sum = new CRC32C();
      sum.update(in.slice(0, in.limit() - 4));
      if (in.getInt(in.limit() - 4) != (int) sum.getValue()
          || in.getLong() != MAGIC
          || in.getInt() != VERSION
          || in.getInt() != dimension) {
        throw new IOException(folder + "/" + number + ".graph is damaged");
      }
      long generation = in.getLong();
      int nodes = in.getInt();
      var loaded =
          new Generation(
              generation,
              Vectors.open(folder.resolve(generation + ".vectors"), dimension, nodes),
              nodes);
      for (int node = 0; node < nodes; node++) {
        long hash = in.getLong();
        byte[][] documents = new byte[in.getInt()][];
        for (int i = 0; i < documents.length; i++) {
          documents[i] = new byte[in.getInt()];
          in.get(documents[i]);
          loaded.nodeOf.put(new Id(documents[i]), node);
        }
        loaded.documentsOf.add(documents);
        loaded.hashOf.add(hash);
        loaded.byHash.put(hash, node);
        loaded.live += documents.length > 0 ? 1 : 0;
      }
      if (nodes > 0) {
        loaded.load(in);
      }
      return new VectorSpace(folder, dimension, loaded);
    }
  }

  /** Writes the state under a number; on disk when this returns. */
  void save(long number) throws IOException {
    Path folder = Objects.requireNonNull(this.folder, "in memory alone");
    lock.writeLock().lock();
    try {
      current.vectors.force();
      if (!current.documentsOf.isEmpty()) {
        current.builder.cleanup();
      }
      Path draft = folder.resolve(number + ".tmp");
      try (FileChannel channel =
          FileChannel.open(
              draft,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        var sum = new CRC32C();
        var out =
            new DataOutputStream(
                new BufferedOutputStream(
                    new CheckedOutputStream(Channels.newOutputStream(channel), sum), 1 << 16));
        write(out);
        out.flush();
        out.writeInt((int) sum.getValue());
        out.flush();
      }
      DurableFiles.replace(draft, folder.resolve(number + ".graph"));
      dirty = false;
    } finally {
      lock.writeLock().unlock();
    }
  }

  private void write(DataOutputStream out) throws IOException {
    out.writeLong(MAGIC);
    out.writeInt(VERSION);
    out.writeInt(dimension);
    out.writeLong(current.number);
    out.writeInt(current.documentsOf.size());
    for (int node = 0; node < current.documentsOf.size(); node++) {
      out.writeLong(current.hashOf.get(node));
      byte[][] documents = current.documentsOf.get(node);
      out.writeInt(documents.length);
      for (byte[] id : documents) {
        out.writeInt(id.length);
        out.write(id);
      }
    }
    if (!current.documentsOf.isEmpty()) {
      ((OnHeapGraphIndex) current.builder.getGraph()).save(out);
    }
  }

  boolean isDirty() {
    return dirty;
  }

  long generation() {
    return current.number;
  }

  /** Documents with a vector here. */
  int documents() {
    lock.readLock().lock();
    try {
      return current.nodeOf.size();
    } finally {
      lock.readLock().unlock();
    }
  }

  /** Gives a document a vector of length 1, or none. */
  void put(byte[] id, float @Nullable [] vector) throws IOException {
    lock.writeLock().lock();
    try {
      var key = new Id(id);
      Integer before = current.nodeOf.get(key);
      if (vector == null) {
        if (before != null) {
          remove(key, before);
        }
        return;
      }
      long hash = hash(vector);
      Integer same = current.byHash.get(hash);
      if (same != null && !isAt(same, vector)) {
        same = null;
      }
      if (same != null && same.equals(before)) {
        return;
      }
      if (before != null) {
        remove(key, before);
      }
      dirty = true;
      if (same == null) {
        add(current, key, vector, hash);
      } else {
        byte[][] documents = current.documentsOf.get(same);
        if (documents.length == 0) {
          current.live++;
        }
        byte[][] more = Arrays.copyOf(documents, documents.length + 1);
        more[documents.length] = id;
        current.documentsOf.set(same, more);
        current.nodeOf.put(key, same);
      }
    } finally {
      lock.writeLock().unlock();
    }
  }

  private static void add(Generation to, Id key, float[] vector, long hash) throws IOException {
    int node = to.vectors.add(vector);
    to.documentsOf.add(new byte[][] {key.bytes});
    to.hashOf.add(hash);
    to.byHash.put(hash, node);
    to.nodeOf.put(key, node);
    to.live++;
    VectorFloat<?> wrapped =
        VectorizationProvider.getInstance().getVectorTypeSupport().createFloatVector(vector);
    to.builder.addGraphNode(node, wrapped);
  }

  private void remove(Id key, int node) {
    dirty = true;
    current.nodeOf.remove(key);
    byte[][] documents = current.documentsOf.get(node);
    byte[][] less =
        Arrays.stream(documents).filter(id -> !Arrays.equals(id, key.bytes)).toArray(byte[][]::new);
    current.documentsOf.set(node, less);
    if (less.length == 0) {
      current.live--;
    }
  }

  private boolean isAt(int node, float[] vector) {
    float[] stored = new float[dimension];
    current.vectors.read(node, stored);
    return Arrays.equals(stored, vector);
  }

  private static long hash(float[] vector) {
    long hash = 0x9e3779b97f4a7c15L;
    for (float value : vector) {
      hash = (hash ^ Float.floatToIntBits(value)) * 0xff51afd7ed558ccdL;
      hash ^= hash >>> 32;
    }
    return hash;
  }

  private Vectors emptyVectors(long number) throws IOException {
    if (folder == null) {
      return Vectors.inMemory(dimension);
    }
    Path file = folder.resolve(number + ".vectors");
    Files.deleteIfExists(file);
    return Vectors.open(file, dimension, 0);
  }

  /** Leaves out nodes without documents when there are many. */
  void tidy() throws IOException {
    int dead = current.documentsOf.size() - current.live;
    if (dead < MIN_DEAD || dead < current.live / 2) {
      return;
    }
    long number = current.number + 1;
    var next = new Generation(number, emptyVectors(number), current.live);
    for (int node = 0; node < current.documentsOf.size(); node++) {
      byte[][] documents = current.documentsOf.get(node);
      if (documents.length > 0) {
        float[] vector = new float[dimension];
        current.vectors.read(node, vector);
        add(next, new Id(documents[0]), vector, current.hashOf.get(node));
        next.documentsOf.set(next.documentsOf.size() - 1, documents);
        for (byte[] id : documents) {
          next.nodeOf.put(new Id(id), next.documentsOf.size() - 1);
        }
      }
    }
    lock.writeLock().lock();
    try {
      Generation old = current;
      current = next;
      dirty = true;
      old.builder.close();
      old.vectors.close();
    } finally {
      lock.writeLock().unlock();
    }
  }

  /** Whether the vector of a document is this one; null for that it has none. */
  boolean holds(byte[] id, float @Nullable [] vector) {
    lock.readLock().lock();
    try {
      Integer node = current.nodeOf.get(new Id(id));
      if (vector == null || node == null) {
        return vector == null && node == null;
      }
      return isAt(node, vector);
    } finally {
      lock.readLock().unlock();
    }
  }

  /** A search with everything held still. */
  <T> T reading(java.util.function.Function<Reading, T> reader) {
    lock.readLock().lock();
    try {
      return reader.apply(new Reading(current));
    } finally {
      lock.readLock().unlock();
    }
  }

  /** The space while nobody changes it. */
  static final class Reading {
    private final Generation generation;

    private Reading(Generation generation) {
      this.generation = generation;
    }

    int live() {
      return generation.live;
    }

    int nodes() {
      return generation.documentsOf.size();
    }

    List<byte[]> documents(int node) {
      return List.of(generation.documentsOf.get(node));
    }

    /** The node of a document, or -1. */
    int node(byte[] id) {
      Integer node = generation.nodeOf.get(new Id(id));
      return node == null ? -1 : node;
    }

    void vector(int node, float[] into) {
      generation.vectors.read(node, into);
    }

    /**
     * The nodes nearest to a vector of length 1, best first.
     *
     * @param accepted which documents count
     */
    List<Near> nearest(float[] vector, int count, @Nullable Predicate<byte[]> accepted) {
      if (generation.live == 0) {
        return List.of();
      }
      var asked = new BitSet();
      var accepting = new BitSet();
      Bits bits =
          node -> {
            byte[][] documents = generation.documentsOf.get(node);
            if (accepted == null || documents.length == 0) {
              return documents.length > 0;
            }
            if (!asked.get(node)) {
              asked.set(node);
              accepting.set(node, Arrays.stream(documents).anyMatch(accepted));
            }
            return accepting.get(node);
          };
      VectorFloat<?> query =
          VectorizationProvider.getInstance().getVectorTypeSupport().createFloatVector(vector);
      var scores =
          DefaultSearchScoreProvider.exact(
              query, VectorSimilarityFunction.DOT_PRODUCT, generation.vectors.copy());
      try (var searcher = new GraphSearcher(generation.builder.getGraph())) {
        SearchResult result =
            searcher.search(scores, count, Math.max(SEARCH_WIDTH, 2 * count), 0f, 0f, bits);
        var near = new ArrayList<Near>();
        for (SearchResult.NodeScore found : result.getNodes()) {
          near.add(new Near(found.node, 2.0 * found.score - 1));
        }
        return near;
      } catch (IOException e) {
        throw new java.io.UncheckedIOException(e);
      }
    }
  }

  @Override
  public void close() throws IOException {
    lock.writeLock().lock();
    try {
      current.builder.close();
      current.vectors.close();
    } finally {
      lock.writeLock().unlock();
    }
  }
}
