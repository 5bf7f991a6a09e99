package io.pluresdb.storage.text;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.store.CommitView;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.index.DerivedIndex;
import io.pluresdb.storage.index.Filter;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;
import org.apache.lucene.analysis.tokenattributes.PositionIncrementAttribute;
import org.apache.lucene.document.Document;
import org.apache.lucene.document.Field;
import org.apache.lucene.document.StringField;
import org.apache.lucene.document.TextField;
import org.apache.lucene.index.CorruptIndexException;
import org.apache.lucene.index.DirectoryReader;
import org.apache.lucene.index.IndexCommit;
import org.apache.lucene.index.IndexDeletionPolicy;
import org.apache.lucene.index.IndexWriter;
import org.apache.lucene.index.IndexWriterConfig;
import org.apache.lucene.index.IndexWriterConfig.OpenMode;
import org.apache.lucene.index.LeafReaderContext;
import org.apache.lucene.index.Term;
import org.apache.lucene.search.BooleanClause.Occur;
import org.apache.lucene.search.BooleanQuery;
import org.apache.lucene.search.IndexSearcher;
import org.apache.lucene.search.MatchAllDocsQuery;
import org.apache.lucene.search.PhraseQuery;
import org.apache.lucene.search.PrefixQuery;
import org.apache.lucene.search.Query;
import org.apache.lucene.search.ScoreDoc;
import org.apache.lucene.search.SearcherManager;
import org.apache.lucene.search.TermQuery;
import org.apache.lucene.store.ByteBuffersDirectory;
import org.apache.lucene.store.Directory;
import org.apache.lucene.store.FSDirectory;
import org.apache.lucene.util.BytesRef;
import org.jspecify.annotations.Nullable;

/**
 * The words of the documents, on Lucene, ranked by BM25 (Robertson and Zaragoza, 2009).
 *
 * <p>It lies in a folder of its own, or beside an encrypted store in memory alone. A save is a
 * commit of Lucene's, synced, and then a row in the storage that names it: the row is in the
 * storage's log behind every document the commit was made from, so a commit that is named is never
 * ahead of the documents. Opening takes the commit that is named, of the two that are kept, or
 * begins anew; what arrived since is taken in again.
 */
public final class TextIndex implements DerivedIndex {
  private static final Logger LUCENE_NEWS =
      Logger.getLogger("org.apache.lucene.internal.vectorization");

  private static final byte[] MARK = {4, 't'};
  private static final String ID = "id";
  private static final String ALL = "text";

  /** Before the name of a field; no name of ours begins so. */
  private static final String FIELD = "f:";

  private static final String NUMBER = "number";
  private static final String ARRIVALS = "arrivals";
  private static final String WORDS = "words";

  /** Fields of a document that can be searched on their own; others only together with all. */
  private static final int MAX_FIELDS = 64;

  /** An index is read whole when it is opened, to see whether it is damaged, up to this size. */
  private static final long CHECKED_BYTES = 64 << 20;

  private static final double BUFFER_MEBIBYTES = 16;
  private static final long SAVE_AFTER_CHANGES = 20_000;
  private static final long SAVE_AFTER_NANOS = TimeUnit.SECONDS.toNanos(30);

  private final Storage storage;
  private final Words words = new Words();
  private final Directory directory;
  private final IndexWriter writer;
  private final SearcherManager searchers;
  private volatile long arrivals;
  private long number;
  private long savedArrivals;
  private long savedNanos = System.nanoTime();
  private long unsaved;
  private boolean closed;

  private TextIndex(
      Storage storage, Directory directory, IndexWriter writer, long number, long arrivals)
      throws IOException {
    this.storage = storage;
    this.directory = directory;
    this.writer = writer;
    this.number = number;
    this.arrivals = arrivals;
    this.savedArrivals = arrivals;
    this.searchers = new SearcherManager(writer, null);
  }

  /** Whether a row names the files of such an index, and is worth nothing without them. */
  public static boolean namesFiles(byte[] key) {
    return Arrays.equals(key, MARK);
  }

  /** Whether the storage has seen such an index. */
  public static boolean isKnown(Storage storage) {
    return storage.get(Table.INDEX, MARK) != null;
  }

  /**
   * Opens the index in {@code folder}, or an empty one that is to be rebuilt.
   *
   * @param folder null for one that is in memory alone and made anew at each start
   * @throws StorageException.OpenFailed when the folder cannot be used
   */
  public static TextIndex open(Storage storage, @Nullable Path folder) {
    // Lucene says at its first use which instructions it found; status says it where it matters.
    LUCENE_NEWS.setLevel(Level.SEVERE);
    try {
      if (folder == null) {
        return open(storage, new ByteBuffersDirectory(), 0, null);
      }
      Directory directory = FSDirectory.open(folder);
      byte[] mark = storage.get(Table.INDEX, MARK);
      long number = mark == null ? 0 : new ByteReader(mark).varint();
      IndexCommit commit = mark == null ? null : whole(directory, number);
      try {
        return open(storage, directory, number, commit);
      } catch (IOException | IllegalArgumentException damaged) {
        if (commit == null) {
          throw damaged;
        }
        return open(storage, directory, number, null);
      }
    } catch (IOException e) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", "the text index in " + folder + " cannot be opened: " + e, e);
    }
  }

  private static TextIndex open(
      Storage storage, Directory directory, long number, @Nullable IndexCommit commit)
      throws IOException {
    if (commit == null) {
      // Whatever is there is not believed, nor does Lucene read it to begin anew.
      for (String file : directory.listAll()) {
        if (!file.equals(IndexWriter.WRITE_LOCK_NAME)) {
          directory.deleteFile(file);
        }
      }
    }
    var config =
        new IndexWriterConfig(new Words())
            .setOpenMode(commit == null ? OpenMode.CREATE : OpenMode.APPEND)
            .setIndexDeletionPolicy(new KeepTwo())
            .setRAMBufferSizeMB(BUFFER_MEBIBYTES)
            .setCommitOnClose(false);
    if (commit != null) {
      config.setIndexCommit(commit);
    }
    long reached =
        commit == null
            ? DerivedIndex.NOTHING
            : Long.parseLong(commit.getUserData().getOrDefault(ARRIVALS, "-1"));
    var writer = new IndexWriter(directory, config);
    try {
      return new TextIndex(storage, directory, writer, number, reached);
    } catch (IOException | RuntimeException e) {
      writer.rollback();
      throw e;
    }
  }

  /** The commit of that number; null when there is none, or it is damaged. */
  private static @Nullable IndexCommit whole(Directory directory, long number) {
    try {
      IndexCommit commit = named(directory, number);
      if (commit != null) {
        long bytes = 0;
        for (String file : commit.getFileNames()) {
          bytes += directory.fileLength(file);
        }
        try (DirectoryReader reader = DirectoryReader.open(commit)) {
          if (bytes <= CHECKED_BYTES) {
            checkIntegrity(reader);
          }
        }
      }
      return commit;
    } catch (IOException | IllegalArgumentException damaged) {
      return null;
    }
  }

  private static void checkIntegrity(DirectoryReader reader) throws IOException {
    for (LeafReaderContext leaf : reader.leaves()) {
      leaf.reader().checkIntegrity();
    }
  }

  private static @Nullable IndexCommit named(Directory directory, long number) throws IOException {
    if (!DirectoryReader.indexExists(directory)) {
      return null;
    }
    for (IndexCommit commit : DirectoryReader.listCommits(directory)) {
      Map<String, String> said = commit.getUserData();
      if (Long.toString(number).equals(said.get(NUMBER))
          && Integer.toString(Words.VERSION).equals(said.get(WORDS))) {
        return commit;
      }
    }
    return null;
  }

  /** Keeps the commit that is being named and the one before. */
  private static final class KeepTwo extends IndexDeletionPolicy {
    @Override
    public void onInit(List<? extends IndexCommit> commits) {
      onCommit(commits);
    }

    @Override
    public void onCommit(List<? extends IndexCommit> commits) {
      for (int i = 0; i < commits.size() - 2; i++) {
        commits.get(i).delete();
      }
    }
  }

  @Override
  public String name() {
    return "text index";
  }

  @Override
  public long arrivals() {
    return arrivals;
  }

  @Override
  public void rebuild(CommitView view) {
    arrivals = DerivedIndex.NOTHING;
    try {
      writer.deleteAll();
      try (var rows = view.snapshot().scan(Table.STATE, new byte[0], null)) {
        while (rows.next()) {
          NodeRecord document = view.document(rows.key(), rows.value());
          if (document != null) {
            writer.addDocument(fields(document));
          }
        }
      }
    } catch (IOException e) {
      throw failed(e);
    }
    arrivals = view.arrivals();
    saveNow();
  }

  @Override
  public void apply(CommitView view, List<byte[]> ids, long next) {
    try {
      for (byte[] id : ids) {
        NodeRecord document = view.document(id);
        var term = new Term(ID, new BytesRef(id));
        if (document == null) {
          writer.deleteDocuments(term);
        } else {
          writer.updateDocument(term, fields(document));
        }
      }
    } catch (IOException e) {
      throw failed(e);
    }
    arrivals = next;
    unsaved += ids.size();
    if (unsaved >= SAVE_AFTER_CHANGES) {
      saveNow();
    }
  }

  private static Document fields(NodeRecord record) {
    var document = new Document();
    document.add(
        new StringField(
            ID, new BytesRef(record.id().getBytes(StandardCharsets.UTF_8)), Field.Store.YES));
    var named = new HashSet<String>();
    TextFields.of(
        record.data(),
        (name, text) -> {
          document.add(new TextField(ALL, text, Field.Store.NO));
          if (named.contains(name) || named.size() < MAX_FIELDS) {
            named.add(name);
            document.add(new TextField(FIELD + name, text, Field.Store.NO));
          }
        });
    return document;
  }

  @Override
  public void save(boolean atOnce) {
    boolean due = atOnce || System.nanoTime() - savedNanos >= SAVE_AFTER_NANOS;
    if (due && arrivals >= 0 && arrivals != savedArrivals) {
      saveNow();
    }
  }

  private void saveNow() {
    if (directory instanceof ByteBuffersDirectory) {
      savedArrivals = arrivals;
      return;
    }
    try {
      number++;
      writer.setLiveCommitData(
          Map.of(
                  NUMBER, Long.toString(number),
                  ARRIVALS, Long.toString(arrivals),
                  WORDS, Integer.toString(Words.VERSION))
              .entrySet());
      writer.commit();
    } catch (IOException e) {
      throw failed(e);
    }
    try (var batch = storage.newBatch()) {
      batch.put(Table.INDEX, MARK, new ByteWriter(9).varint(number).toByteArray());
      storage.commit(batch, Durability.BUFFERED);
    }
    savedArrivals = arrivals;
    savedNanos = System.nanoTime();
    unsaved = 0;
  }

  private static RuntimeException failed(IOException cause) {
    return new StorageException.Failed("the text index cannot be written: " + cause, cause);
  }

  /**
   * A document that was found.
   *
   * @param score BM25, greater is better, no fixed scale
   */
  public record Hit(NodeRecord document, double score, List<Highlight> highlights) {}

  /**
   * The best documents, best first, as they are in {@code view}.
   *
   * @param limit 1 or more; so many are given if there are so many
   */
  public List<Hit> search(CommitView view, TextQuery query, Filter filter, int limit) {
    var terms = new LinkedHashSet<String>();
    var prefixes = new ArrayList<String>();
    Query lucene = query(query, terms, prefixes);
    var highlighter = new Highlighter(words, terms, prefixes, query.field());
    var hits = new ArrayList<Hit>();
    try {
      searchers.maybeRefreshBlocking();
      IndexSearcher searcher = searchers.acquire();
      try {
        int seen = 0;
        for (int wanted = limit; hits.size() < limit; wanted = 4 * wanted) {
          wanted = Math.clamp(wanted, 1, Math.max(1, searcher.getIndexReader().maxDoc()));
          ScoreDoc[] found = searcher.search(lucene, wanted).scoreDocs;
          for (; seen < found.length && hits.size() < limit; seen++) {
            Document stored = searcher.storedFields().document(found[seen].doc);
            BytesRef id = stored.getBinaryValue(ID);
            NodeRecord document = id == null ? null : view.document(bytes(id));
            if (document != null && filter.accepts(document.data())) {
              List<Highlight> highlights = highlighter.of(document.data());
              // What the index says may be older than the document.
              if (!highlights.isEmpty()) {
                hits.add(new Hit(document, found[seen].score, highlights));
              }
            }
          }
          if (found.length < wanted || wanted >= searcher.getIndexReader().maxDoc()) {
            break;
          }
        }
      } finally {
        searchers.release(searcher);
      }
    } catch (IOException e) {
      throw new StorageException.Failed("the text index cannot be read: " + e, e);
    }
    return hits;
  }

  private static byte[] bytes(BytesRef ref) {
    byte[] bytes = new byte[ref.length];
    System.arraycopy(ref.bytes, ref.offset, bytes, 0, ref.length);
    return bytes;
  }

  private Query query(TextQuery query, Set<String> terms, List<String> prefixes) {
    String field = query.field() == null ? ALL : FIELD + query.field();
    var all = new BooleanQuery.Builder();
    boolean any = false;
    for (TextQuery.Part part : query.parts()) {
      Query one =
          switch (part) {
            case TextQuery.Phrase(String text, boolean excluded) ->
                phrase(field, text, excluded ? new HashSet<>() : terms);
            case TextQuery.Prefix(String text, boolean excluded) -> {
              String start = words.normalize(field, text).utf8ToString();
              if (!excluded) {
                prefixes.add(start);
              }
              yield new PrefixQuery(new Term(field, start));
            }
          };
      if (one != null) {
        any |= !part.excluded();
        all.add(one, part.excluded() ? Occur.MUST_NOT : Occur.SHOULD);
      }
    }
    if (!any) {
      // Nothing but punctuation was looked for.
      all.add(MatchAllDocsQuery.INSTANCE, Occur.MUST_NOT);
    }
    return all.build();
  }

  /** Words one after another; null when the text has none. */
  private @Nullable Query phrase(String field, String text, Set<String> terms) {
    var builder = new PhraseQuery.Builder();
    var found = new ArrayList<String>();
    try (TokenStream stream = words.tokenStream(field, text)) {
      CharTermAttribute term = stream.addAttribute(CharTermAttribute.class);
      PositionIncrementAttribute step = stream.addAttribute(PositionIncrementAttribute.class);
      stream.reset();
      int position = -1;
      while (stream.incrementToken()) {
        position += step.getPositionIncrement();
        found.add(term.toString());
        builder.add(new Term(field, term.toString()), position);
      }
      stream.end();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    terms.addAll(found);
    return switch (found.size()) {
      case 0 -> null;
      case 1 -> new TermQuery(new Term(field, found.getFirst()));
      default -> builder.build();
    };
  }

  /**
   * What differs from the documents of a commit that it has reached, at most {@code limit}
   * sentences.
   */
  public List<String> differences(CommitView view, int limit) {
    var differences = new ArrayList<String>();
    try {
      searchers.maybeRefreshBlocking();
      IndexSearcher searcher = searchers.acquire();
      try {
        long documents = 0;
        checkIntegrity((DirectoryReader) searcher.getIndexReader());
        try (var rows = view.snapshot().scan(Table.STATE, new byte[0], null)) {
          while (rows.next() && differences.size() < limit) {
            NodeRecord document = view.document(rows.key(), rows.value());
            if (document != null) {
              documents++;
              if (!holds(searcher, document)) {
                differences.add("text index does not hold document " + document.id() + " as it is");
              }
            }
          }
        }
        if (differences.isEmpty() && documents != searcher.getIndexReader().numDocs()) {
          differences.add(
              "text index has "
                  + searcher.getIndexReader().numDocs()
                  + " documents, but there are "
                  + documents);
        }
      } finally {
        searchers.release(searcher);
      }
    } catch (CorruptIndexException e) {
      differences.add("a file of the text index is damaged: " + e.getMessage());
    } catch (IOException e) {
      throw new StorageException.Failed("the text index cannot be read: " + e, e);
    }
    return differences;
  }

  /** Whether each string of a document is found in it as a phrase, and it is there once. */
  private boolean holds(IndexSearcher searcher, NodeRecord document) throws IOException {
    var id =
        new TermQuery(new Term(ID, new BytesRef(document.id().getBytes(StandardCharsets.UTF_8))));
    var all = new BooleanQuery.Builder().add(id, Occur.FILTER);
    var clauses = new ArrayList<Query>();
    TextFields.of(
        document.data(),
        (name, text) -> {
          Query phrase = phrase(ALL, text, new HashSet<>());
          if (phrase != null && clauses.size() < IndexSearcher.getMaxClauseCount() / 2) {
            clauses.add(phrase);
          }
        });
    clauses.forEach(clause -> all.add(clause, Occur.FILTER));
    return searcher.count(all.build()) == 1;
  }

  /** Bytes of its files. */
  public long bytesOnDisk() {
    try {
      long bytes = 0;
      for (String file : directory.listAll()) {
        bytes += directory.fileLength(file);
      }
      return bytes;
    } catch (IOException e) {
      // A merge removed a file meanwhile.
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
    try {
      searchers.close();
      writer.close();
      directory.close();
      words.close();
    } catch (IOException e) {
      throw failed(e);
    }
    if (failure != null) {
      throw failure;
    }
  }
}
