package io.pluresdb.harness.cluster;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.daemon.api.ApiException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A daemon whose disk fills up, on a small file system in memory. Needs root to mount one. */
class FullDiskTest {
  private static final Duration DEADLINE = Duration.ofSeconds(60);
  private static final int DISK_MEBIBYTES = 160;
  private static final int DOCUMENT_BYTES = 900_000;
  private static final int MAX_DOCUMENTS = 400;

  @TempDir Path temporary;

  @Test
  void fullDisk_refusesWritesWith507_keepsReading_andResumesWhenSpaceIsFreed()
      throws IOException, InterruptedException {
    Path disk = Files.createDirectory(temporary.resolve("disk"));
    if (run("mount", "-t", "tmpfs", "-o", "size=" + DISK_MEBIBYTES + "m", "tmpfs", disk) != 0) {
      String reason = "SKIPPED FullDiskTest: mounting a tmpfs needs root";
      System.err.println(reason);
      Assumptions.abort(reason);
    }
    try (DaemonProcess daemon = DaemonProcess.start(disk.resolve("data"))) {
      Path filler = disk.resolve("filler");
      Files.write(filler, new byte[40 << 20]);
      var acknowledged = new ArrayList<String>();
      ApiException refusal = fill(daemon, acknowledged);
      assertThat(refusal.code()).isEqualTo("STORAGE_FULL");
      assertThat(refusal.status()).isEqualTo(507);
      assertThat(daemon.get(acknowledged.getFirst())).startsWith("{\"text\":");
      Files.delete(filler);
      await(
          "writes after space was freed",
          DEADLINE,
          () -> {
            try {
              daemon.put("after", "{\"ok\":true}");
              return true;
            } catch (ApiException e) {
              return false;
            }
          });
      daemon.kill();
      daemon.start();
      assertThat(daemon.get("after")).isEqualTo("{\"ok\":true}");
      for (String id : acknowledged) {
        assertThat(daemon.get(id)).as(id).startsWith("{\"text\":");
      }
    } finally {
      assertThat(run("umount", "-l", disk)).isZero();
    }
  }

  private static ApiException fill(DaemonProcess daemon, List<String> acknowledged) {
    var random = new java.util.Random(1);
    for (int i = 0; i < MAX_DOCUMENTS; i++) {
      var text = new StringBuilder(DOCUMENT_BYTES);
      while (text.length() < DOCUMENT_BYTES) {
        text.append(Long.toString(random.nextLong() >>> 1, 36));
      }
      try {
        daemon.put("big:" + i, "{\"text\":\"" + text + "\"}");
        acknowledged.add("big:" + i);
      } catch (ApiException e) {
        return e;
      }
    }
    throw new AssertionError("the disk never filled");
  }

  private static int run(Object... command) throws IOException, InterruptedException {
    List<String> words = new ArrayList<>();
    for (Object word : command) {
      words.add(word.toString());
    }
    Process process = new ProcessBuilder(words).redirectErrorStream(true).start();
    process.getInputStream().readAllBytes();
    return process.waitFor(30, TimeUnit.SECONDS) ? process.exitValue() : -1;
  }
}
