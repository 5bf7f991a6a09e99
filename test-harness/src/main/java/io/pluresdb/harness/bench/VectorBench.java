package io.pluresdb.harness.bench;

import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.harness.bench.QueryBench.Opened;
import io.pluresdb.storage.text.LuceneVectors;
import io.pluresdb.storage.vector.VectorIndex;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * Nearest neighbours of one replica on disk against the exact ones, beside Lucene's HNSW over the
 * same vectors in the same process. Searches are whole: they end with documents.
 */
final class VectorBench {
  static final int DIMENSION = 384;
  private static final int NEAREST = 10;
  private static final int QUERIES = 300;
  private static final int CLUSTERS = 100;
  private static final double SPREAD = 0.6;
  private static final float[] NOWHERE = {};

  private VectorBench() {}

  /** What is measured. */
  enum Engine {
    PLURESDB,
    LUCENE
  }

  private interface Finding {
    List<String> find(float[] query);
  }

  /**
   * Measures both, or one.
   *
   * @param only null for both
   */
  static Report run(Path folder, int count, boolean clustered, @Nullable Engine only)
      throws IOException {
    var random = new Random(9);
    float[][] centres = new float[CLUSTERS][];
    for (int i = 0; i < CLUSTERS; i++) {
      centres[i] = unit(random, NOWHERE);
    }
    float[][] vectors = new float[count][];
    for (int i = 0; i < count; i++) {
      vectors[i] = unit(random, clustered ? centres[random.nextInt(CLUSTERS)] : NOWHERE);
    }
    float[][] queries = new float[QUERIES][];
    for (int i = 0; i < QUERIES; i++) {
      queries[i] = unit(random, clustered ? centres[random.nextInt(CLUSTERS)] : NOWHERE);
    }
    List<Set<String>> truth =
        Arrays.stream(queries).parallel().map(query -> exact(vectors, query)).toList();
    var report =
        new Report("vectors")
            .add("vectors", count)
            .add("dimension", DIMENSION)
            .add("clustered", clustered)
            .add("instructions", VectorIndex.instructions());
    boolean small = count <= 10_000;
    double raw = 4.0 * DIMENSION * count;
    if (only != Engine.LUCENE) {
      try (var opened = new Opened(folder.resolve("db"))) {
        opened.write(() -> edits(vectors));
        try (var index = VectorIndex.open(opened.storage, folder.resolve("vectors"))) {
          long start = System.nanoTime();
          try (CommitView view = CommitView.of(opened.storage)) {
            index.rebuild(view);
          }
          report.add("builtPerSecond", count / ((System.nanoTime() - start) / 1e9));
          report.add("diskTimesRaw", index.bytesOnDisk() / raw, "<=", 2);
        }
        long start = System.nanoTime();
        try (var index = VectorIndex.open(opened.storage, folder.resolve("vectors"))) {
          report.add("openMillis", (System.nanoTime() - start) / 1e6, "<=", 500);
          if (index.documents() != count) {
            throw new IllegalStateException("opened with " + index.documents() + " vectors");
          }
          measure(
              report,
              "",
              truth,
              queries,
              query -> {
                try (CommitView view = CommitView.of(opened.storage)) {
                  return index.search(view, query, NEAREST, 0, null, List::of).stream()
                      .map(hit -> hit.document().id())
                      .toList();
                }
              },
              !clustered ? 0 : small ? 0.98 : 0.95,
              small ? 1 : 3);
        }
      }
    }
    if (only != Engine.PLURESDB) {
      long start = System.nanoTime();
      try (var lucene = LuceneVectors.build(folder.resolve("lucene"), vectors)) {
        report.add("luceneBuiltPerSecond", count / ((System.nanoTime() - start) / 1e9));
        report.add("luceneDiskTimesRaw", lucene.bytesOnDisk() / raw);
        measure(
            report,
            "lucene",
            truth,
            queries,
            query ->
                IntStream.of(lucene.nearest(query, NEAREST)).mapToObj(VectorBench::id).toList(),
            0,
            Double.MAX_VALUE);
      }
    }
    return report;
  }

  private static String id(int number) {
    return Documents.id("v", number);
  }

  private static Iterator<Edit> edits(float[][] vectors) {
    byte[] json = "{}".getBytes(StandardCharsets.UTF_8);
    return IntStream.range(0, vectors.length)
        .<Edit>mapToObj(i -> Edit.put(id(i), json, vectors[i]))
        .iterator();
  }

  private static void measure(
      Report report,
      String prefix,
      List<Set<String>> truth,
      float[][] queries,
      Finding finding,
      double recallTarget,
      double millisTarget) {
    long[] nanos = new long[queries.length];
    int found = 0;
    // The first passes warm up.
    for (int pass = 0; pass < 4; pass++) {
      found = 0;
      for (int i = 0; i < queries.length; i++) {
        long start = System.nanoTime();
        List<String> ids = finding.find(queries[i]);
        nanos[i] = System.nanoTime() - start;
        for (String id : ids) {
          found += truth.get(i).contains(id) ? 1 : 0;
        }
      }
    }
    double recall = found / (double) (NEAREST * queries.length);
    String recallName = prefix.isEmpty() ? "recallAt10" : prefix + "RecallAt10";
    String p50 = prefix.isEmpty() ? "searchMillisP50" : prefix + "SearchMillisP50";
    if (recallTarget > 0) {
      report.add(recallName, recall, ">=", recallTarget);
    } else {
      report.add(recallName, recall);
    }
    if (prefix.isEmpty()) {
      report.add(p50, Report.percentile(nanos, 0.5), "<=", millisTarget);
    } else {
      report.add(p50, Report.percentile(nanos, 0.5));
    }
    report.add(p50.replace("P50", "P99"), Report.percentile(nanos, 0.99));
  }

  private static float[] unit(Random random, float[] centre) {
    float[] vector = new float[DIMENSION];
    double length = 0;
    for (int i = 0; i < DIMENSION; i++) {
      double noise = random.nextGaussian() / Math.sqrt(DIMENSION);
      vector[i] = (float) (centre.length == 0 ? noise : centre[i] + SPREAD * noise);
      length += vector[i] * vector[i];
    }
    for (int i = 0; i < DIMENSION; i++) {
      vector[i] /= (float) Math.sqrt(length);
    }
    return vector;
  }

  private static Set<String> exact(float[][] vectors, float[] query) {
    record Scored(int number, float score) {}
    var best = new ArrayList<Scored>();
    float least = -2;
    for (int i = 0; i < vectors.length; i++) {
      float dot = 0;
      for (int j = 0; j < DIMENSION; j++) {
        dot += vectors[i][j] * query[j];
      }
      if (dot > least || best.size() < NEAREST) {
        best.add(new Scored(i, dot));
        best.sort((a, b) -> Float.compare(b.score, a.score));
        if (best.size() > NEAREST) {
          best.removeLast();
        }
        least = best.getLast().score;
      }
    }
    var ids = new HashSet<String>();
    best.forEach(one -> ids.add(id(one.number)));
    return ids;
  }
}
