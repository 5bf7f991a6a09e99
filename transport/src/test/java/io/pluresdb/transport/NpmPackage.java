package io.pluresdb.transport;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;

/** A package of npm that a test speaks with, in a folder of its own under {@code target}. */
public final class NpmPackage {
  private static final int INSTALL_SECONDS = 120;

  private final Path folder;

  private NpmPackage(Path folder) {
    this.folder = folder;
  }

  /**
   * Installs a package unless it is there; skips the running test, loudly, where that fails.
   *
   * @param name of the package and of the folder
   * @param files names of test resources under {@code /interop/} and what to call them
   */
  public static NpmPackage install(String name, Map<String, String> files) {
    Path folder = Path.of("target", "npm", name).toAbsolutePath();
    try {
      Files.createDirectories(folder);
      for (Map.Entry<String, String> file : files.entrySet()) {
        String resource = "/interop/" + file.getKey();
        try (InputStream in = NpmPackage.class.getResourceAsStream(resource)) {
          if (in == null) {
            throw new AssertionError("missing test resource " + resource);
          }
          Files.copy(in, folder.resolve(file.getValue()), StandardCopyOption.REPLACE_EXISTING);
        }
      }
      var installed = new NpmPackage(folder);
      if (!Files.isDirectory(folder.resolve("node_modules").resolve(name))
          && (!installed.succeeds("node", "--version")
              || !installed.succeeds(
                  "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"))) {
        Vectors.skip("no node, no npm, or no way to install " + name + " of npm");
      }
      return installed;
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  /** Starts {@code node} in the folder; its standard error is the test's. */
  public Process node(String... arguments) throws IOException {
    var command = new ArrayList<>(List.of("node"));
    command.addAll(List.of(arguments));
    return new ProcessBuilder(command)
        .directory(folder.toFile())
        .redirectError(ProcessBuilder.Redirect.INHERIT)
        .start();
  }

  private boolean succeeds(String... command) {
    try {
      Process process =
          new ProcessBuilder(command)
              .directory(folder.toFile())
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      boolean ended = process.waitFor(INSTALL_SECONDS, TimeUnit.SECONDS);
      process.destroy();
      return ended && process.exitValue() == 0;
    } catch (IOException e) {
      return false;
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return false;
    }
  }
}
