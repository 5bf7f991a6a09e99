package io.pluresdb.storage.text;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import org.apache.lucene.codecs.KnnVectorsFormat;
import org.apache.lucene.codecs.lucene104.Lucene104Codec;
import org.apache.lucene.codecs.lucene99.Lucene99HnswVectorsFormat;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.KnnFloatVectorField;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.VectorSimilarityFunction;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.KnnFloatVectorQuery;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.FSDirectory;

/** Lucene's HNSW over some vectors, to hold our own figures against. */
public final class LuceneVectors implements AutoCloseable {
  private static final int DEGREE = 16;
  private static final int BUILD_WIDTH = 200;
  private static final int SEARCH_WIDTH = 100;
  private static final String FIELD = "v";

  private final Directory directory;
  private final DirectoryReader reader;
  private final IndexSearcher searcher;

  private LuceneVectors(Directory directory) throws IOException {
    this.directory = directory;
    this.reader = DirectoryReader.open(directory);
    this.searcher = new IndexSearcher(reader);
  }

  /** Writes vectors of length 1 as one segment. */
  public static LuceneVectors build(Path folder, float[][] vectors) throws IOException {
    Directory directory = FSDirectory.open(folder);
    var config =
        new IndexWriterConfig()
            .setRAMBufferSizeMB(512)
            .setUseCompoundFile(false)
            .setCodec(
                new Lucene104Codec() {
                  @Override
                  public KnnVectorsFormat getKnnVectorsFormatForField(String field) {
                    return new Lucene99HnswVectorsFormat(DEGREE, BUILD_WIDTH);
                  }
                });
    try (var writer = new IndexWriter(directory, config)) {
      for (float[] vector : vectors) {
        var document = new Document();
        document.add(new KnnFloatVectorField(FIELD, vector, VectorSimilarityFunction.DOT_PRODUCT));
        writer.addDocument(document);
      }
      writer.forceMerge(1);
    }
    return new LuceneVectors(directory);
  }

  /** Numbers of the vectors nearest to one. */
  public int[] nearest(float[] query, int count) {
    try {
      ScoreDoc[] found =
          searcher.search(new KnnFloatVectorQuery(FIELD, query, SEARCH_WIDTH), count).scoreDocs;
      int[] numbers = new int[found.length];
      for (int i = 0; i < numbers.length; i++) {
        numbers[i] = found[i].doc;
      }
      return numbers;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  public long bytesOnDisk() throws IOException {
    long bytes = 0;
    for (String file : directory.listAll()) {
      bytes += directory.fileLength(file);
    }
    return bytes;
  }

  @Override
  public void close() throws IOException {
    reader.close();
    directory.close();
  }
}
