package io.pluresdb.storage.file;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DurableFilesTest {
  @TempDir Path folder;

  private static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static String permissions(Path path) throws IOException {
    return PosixFilePermissions.toString(Files.getPosixFilePermissions(path));
  }

  private long files() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.count();
    }
  }

  @Test
  void write_replacesTheContent_forTheOwnerOnly_andLeavesNothingElse() throws IOException {
    Path file = folder.resolve("file");
    DurableFiles.write(file, bytes("one"));
    DurableFiles.write(file, bytes("two"));
    assertThat(file).hasContent("two");
    assertThat(permissions(file)).isEqualTo("rw-------");
    assertThat(files()).isEqualTo(1);
  }

  @Test
  void write_thatFails_leavesWhatWasThere() throws IOException {
    Path inTheWay = Files.createDirectories(folder.resolve("file").resolve("inside"));
    assertThatThrownBy(() -> DurableFiles.write(folder.resolve("file"), bytes("one")))
        .isInstanceOf(IOException.class);
    assertThat(inTheWay).isDirectory();
    assertThat(files()).isEqualTo(1);
    assertThatThrownBy(() -> DurableFiles.write(folder.resolve("no/file"), bytes("one")))
        .isInstanceOf(IOException.class);
  }

  @Test
  void makeFolders_makesThoseThatAreMissing_asPrivateAsAskedFor() throws IOException {
    DurableFiles.makeFolders(folder.resolve("a/b"));
    DurableFiles.makePrivateFolders(folder.resolve("a/c/d"));
    DurableFiles.makePrivateFolders(folder.resolve("a/c/d"));
    assertThat(folder.resolve("a/b")).isDirectory();
    assertThat(permissions(folder.resolve("a/c"))).isEqualTo("rwx------");
    assertThat(permissions(folder.resolve("a/c/d"))).isEqualTo("rwx------");
    Files.write(folder.resolve("a/file"), bytes("one"));
    assertThatThrownBy(() -> DurableFiles.makeFolders(folder.resolve("a/file")))
        .isInstanceOf(FileAlreadyExistsException.class);
  }

  @Test
  void move_takesFoldersToOtherFolders() throws IOException {
    DurableFiles.makeFolders(folder.resolve("a/b"));
    DurableFiles.write(folder.resolve("a/b/file"), bytes("one"));
    DurableFiles.move(folder.resolve("a/b"), folder.resolve("c"));
    assertThat(folder.resolve("c/file")).hasContent("one");
    assertThat(folder.resolve("a")).isEmptyDirectory();
  }
}
