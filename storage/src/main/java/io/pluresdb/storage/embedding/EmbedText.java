package io.pluresdb.storage.embedding;

import java.util.List;

/** Makes embeddings of texts. Safe from any thread. */
public interface EmbedText extends AutoCloseable {
  /** What people call it, such as the model's name. */
  String name();

  /** Most texts of one call. */
  int batch();

  /**
   * The embedding of each text, in their order and all of the same dimension.
   *
   * @param texts 1 to {@link #batch}
   * @throws EmbeddingException when they cannot be made now; trying again may help
   */
  List<float[]> embed(List<String> texts);

  @Override
  default void close() {}
}
