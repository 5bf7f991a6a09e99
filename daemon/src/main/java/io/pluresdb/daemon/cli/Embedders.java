package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.config.Config;
import io.pluresdb.daemon.config.Settings;
import io.pluresdb.daemon.node.NodeOptions.Embeddings;
import io.pluresdb.storage.embedding.EmbedText;
import io.pluresdb.storage.embedding.EmbeddingException;
import io.pluresdb.storage.embedding.HttpEmbedder;
import io.pluresdb.storage.embedding.OnnxEmbedder;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/** What the settings say of how embeddings are made. */
final class Embedders {
  private Embedders() {}

  /** Null where none are made. */
  static @Nullable Embeddings of(Config config) {
    String model = config.get(Settings.EMBEDDING_MODEL);
    Optional<URI> url = config.get(Settings.EMBEDDING_URL);
    if (!model.isEmpty() && url.isPresent()) {
      throw CliException.usage(
          "embedding.model and embedding.url are both set", "set one of them only");
    }
    Supplier<EmbedText> load;
    if (!model.isEmpty()) {
      load = () -> OnnxEmbedder.load(Path.of(model));
    } else if (url.isPresent()) {
      load =
          () ->
              new HttpEmbedder(
                  HttpEmbedder.Server.of(
                      url.get(), config.get(Settings.EMBEDDING_NAME), key(config)));
    } else {
      return null;
    }
    return new Embeddings(load, config.get(Settings.EMBEDDING_FIELDS));
  }

  private static @Nullable String key(Config config) {
    String path = config.get(Settings.EMBEDDING_KEY_FILE);
    if (path.isEmpty()) {
      return null;
    }
    Path file = Path.of(path);
    try {
      Set<PosixFilePermission> allowed = Files.getPosixFilePermissions(file);
      if (allowed.contains(PosixFilePermission.GROUP_READ)
          || allowed.contains(PosixFilePermission.OTHERS_READ)) {
        throw new EmbeddingException(file + " can be read by others: chmod go= " + file);
      }
      return Files.readString(file).lines().findFirst().orElse("").strip();
    } catch (IOException e) {
      throw new EmbeddingException(file + " cannot be read: " + e, e);
    }
  }
}
