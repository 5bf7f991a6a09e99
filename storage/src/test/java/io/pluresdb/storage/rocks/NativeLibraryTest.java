package io.pluresdb.storage.rocks;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.rocksdb.RocksDB;

/** Each load is a process of its own: a JVM loads a native library once. */
class NativeLibraryTest {
  @TempDir Path temporary;

  @Test
  void load_killedTwice_leavesOneLibraryAndNothingInTheTempFolder() throws Exception {
    Path home = temporary.resolve("native");
    loadAndKill(home, "ours");
    List<Path> first = files(home);
    assertThat(first).hasSize(2);
    loadAndKill(home, "ours");
    assertThat(files(home)).isEqualTo(first);
    assertThat(files(temporary.resolve("tmp"))).isEmpty();
  }

  @Test
  void load_byTheJarItself_leaksWhenKilled() throws Exception {
    loadAndKill(temporary.resolve("native"), "theirs");
    assertThat(files(temporary.resolve("tmp"))).as("control").hasSize(1);
  }

  @Test
  void load_ofATornOrOldLibrary_replacesIt() throws Exception {
    Path home = temporary.resolve("native");
    loadAndKill(home, "ours");
    Path library =
        files(home).stream().filter(file -> !file.endsWith("rocksdbjni.lock")).findFirst().get();
    Files.write(library, new byte[4096], StandardOpenOption.TRUNCATE_EXISTING);
    Path old = Files.createDirectory(home.resolve("rocksdbjni-00000000"));
    Files.write(old.resolve("old.so"), new byte[10]);
    loadAndKill(home, "ours");
    assertThat(Files.size(library)).isGreaterThan(1 << 20);
    assertThat(old).doesNotExist();
  }

  private void loadAndKill(Path home, String how) throws Exception {
    Path tmp = Files.createDirectories(temporary.resolve("tmp"));
    Process child =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-XX:-UsePerfData",
                "-Djava.io.tmpdir=" + tmp,
                "--enable-native-access=ALL-UNNAMED",
                "-cp",
                System.getProperty("java.class.path"),
                Loader.class.getName(),
                home.toString(),
                how)
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader lines = child.inputReader()) {
      assertThat(lines.readLine()).isEqualTo("loaded");
    } finally {
      child.destroyForcibly();
      assertThat(child.waitFor(30, TimeUnit.SECONDS)).isTrue();
    }
  }

  private static List<Path> files(Path directory) throws IOException {
    try (Stream<Path> files = Files.walk(directory)) {
      return files.filter(Files::isRegularFile).sorted().toList();
    }
  }

  /** Loads the library and waits to be killed. */
  static final class Loader {
    private Loader() {}

    public static void main(String[] arguments) throws IOException {
      if (arguments[1].equals("ours")) {
        NativeLibrary.load(Path.of(arguments[0]));
      } else {
        RocksDB.loadLibrary();
      }
      System.out.println("loaded");
      System.out.flush();
      int end = System.in.read();
      if (end >= 0) {
        throw new IllegalStateException("unexpected input");
      }
    }
  }
}
