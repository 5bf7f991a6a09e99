package io.pluresdb.daemon.node;

import io.pluresdb.storage.embedding.EmbedText;
import io.pluresdb.storage.embedding.EmbeddingException;
import java.util.List;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What makes embeddings for all databases of a node, loaded when it is first needed. */
final class LoadedEmbedder implements EmbedText {
  private final Supplier<EmbedText> load;
  private @Nullable EmbedText loaded; // Guarded by this.
  private boolean closed; // Guarded by this.

  LoadedEmbedder(Supplier<EmbedText> load) {
    this.load = load;
  }

  private synchronized EmbedText loaded() {
    if (closed) {
      throw new EmbeddingException("the node has been closed");
    }
    EmbedText embedder = loaded;
    if (embedder == null) {
      embedder = load.get();
      loaded = embedder;
    }
    return embedder;
  }

  @Override
  public synchronized String name() {
    return loaded == null ? "" : loaded.name();
  }

  @Override
  public int batch() {
    return loaded().batch();
  }

  @Override
  public List<float[]> embed(List<String> texts) {
    return loaded().embed(texts);
  }

  @Override
  public synchronized void close() {
    closed = true;
    if (loaded != null) {
      loaded.close();
    }
  }
}
