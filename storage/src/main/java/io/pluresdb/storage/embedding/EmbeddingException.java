package io.pluresdb.storage.embedding;

/** Embeddings were not made: the model does not load, or its server does not answer. */
public final class EmbeddingException extends RuntimeException {
  private static final long serialVersionUID = 1;

  /** The code of this error. */
  public static final String CODE = "EMBEDDING_FAILED";

  public EmbeddingException(String message) {
    super(message);
  }

  public EmbeddingException(String message, Throwable cause) {
    super(message, cause);
  }
}
