package io.pluresdb.storage.vector;

import io.github.jbellis.jvector.graph.RandomAccessVectorValues;
import io.github.jbellis.jvector.vector.VectorizationProvider;
import io.github.jbellis.jvector.vector.types.VectorFloat;
import io.github.jbellis.jvector.vector.types.VectorTypeSupport;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.FileChannel.MapMode;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * Vectors of one dimension in a file, each at its number, little-endian and of length 1.
 *
 * <p>They are read through memory maps, so they take no heap, and written through the channel, so a
 * full disk is an error and not a crash. It grows by chunks and has no capacity to be set. Beside
 * an encrypted store there is no file, and they are in memory alone.
 */
final class Vectors implements RandomAccessVectorValues, AutoCloseable {
  private static final long CHUNK_BYTES = 8 << 20;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final File file;
  private final float[] buffer;
  private final VectorFloat<?> shared;

  /** What all copies share. */
  private static final class File {
    final @Nullable FileChannel channel;
    final Arena arena = Arena.ofShared();
    final int dimension;
    final int perChunk;
    volatile MemorySegment[] chunks = {};
    volatile int size;

    File(@Nullable FileChannel channel, int dimension, int size) {
      this.channel = channel;
      this.dimension = dimension;
      this.perChunk = (int) Math.max(1, CHUNK_BYTES / (4L * dimension));
      this.size = size;
    }
  }

  private Vectors(File file) {
    this.file = file;
    VectorTypeSupport types = VectorizationProvider.getInstance().getVectorTypeSupport();
    float[] values = new float[file.dimension];
    VectorFloat<?> wrapped = types.createFloatVector(values);
    this.buffer = values;
    this.shared = wrapped;
  }

  /**
   * Opens or makes a file.
   *
   * @param size vectors in it that count
   */
  static Vectors open(Path path, int dimension, int size) throws IOException {
    FileChannel channel =
        FileChannel.open(
            path, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE);
    if (channel.size() < 4L * dimension * size) {
      channel.close();
      throw new IOException(path + " is shorter than " + size + " vectors");
    }
    var vectors = new Vectors(new File(channel, dimension, size));
    vectors.mapUpTo(size);
    return vectors;
  }

  /** Vectors that are held in memory outside the heap, and nowhere else. */
  static Vectors inMemory(int dimension) {
    return new Vectors(new File(null, dimension, 0));
  }

  private void mapUpTo(int count) throws IOException {
    FileChannel channel = file.channel;
    MemorySegment[] chunks = file.chunks;
    int needed = (count + file.perChunk - 1) / file.perChunk;
    if (needed > chunks.length) {
      MemorySegment[] more = Arrays.copyOf(chunks, needed);
      long bytes = 4L * file.dimension * file.perChunk;
      for (int i = chunks.length; i < needed; i++) {
        more[i] =
            channel == null
                ? file.arena.allocate(bytes)
                : channel.map(MapMode.READ_WRITE, i * bytes, bytes, file.arena);
      }
      file.chunks = more;
    }
  }

  /** Appends a vector and returns its number. One thread at a time. */
  int add(float[] vector) throws IOException {
    int number = file.size;
    mapUpTo(number + 1);
    FileChannel channel = file.channel;
    if (channel == null) {
      long at = 4L * file.dimension * (number % file.perChunk);
      MemorySegment.copy(vector, 0, file.chunks[number / file.perChunk], FLOAT, at, file.dimension);
      file.size = number + 1;
      return number;
    }
    ByteBuffer bytes = ByteBuffer.allocate(4 * file.dimension).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(vector);
    long at = 4L * file.dimension * number;
    while (bytes.hasRemaining()) {
      channel.write(bytes, at + bytes.position());
    }
    file.size = number + 1;
    return number;
  }

  /** Copies a vector. */
  void read(int number, float[] into) {
    long at = 4L * file.dimension * (number % file.perChunk);
    MemorySegment.copy(file.chunks[number / file.perChunk], FLOAT, at, into, 0, file.dimension);
  }

  void force() throws IOException {
    FileChannel channel = file.channel;
    if (channel != null) {
      channel.force(true);
    }
  }

  @Override
  public int size() {
    return file.size;
  }

  @Override
  public int dimension() {
    return file.dimension;
  }

  @Override
  public VectorFloat<?> getVector(int number) {
    read(number, buffer);
    return shared;
  }

  @Override
  public boolean isValueShared() {
    return true;
  }

  @Override
  public Vectors copy() {
    return new Vectors(file);
  }

  /** Nobody may read any more. */
  @Override
  public void close() throws IOException {
    file.arena.close();
    FileChannel channel = file.channel;
    if (channel != null) {
      channel.close();
    }
  }
}
