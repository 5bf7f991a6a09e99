package io.pluresdb.daemon.node;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Edit;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many databases in one process: what each of them costs. {@code -Dnode.databases=100} for as many
 * as the reference speaks of.
 */
@Timeout(300)
class ManyDatabasesTest {
  private static final int DATABASES = Integer.getInteger("node.databases", 40);
  private static final int DOCUMENTS = 200;

  /** What a database may cost in memory, files and buffers of its own included. */
  private static final double MOST_MEBIBYTES_EACH = 5.0;

  @TempDir Path directory;

  /** Resident memory without what files of the disk cache put in it, in KiB. */
  private static long anonymousKib() throws IOException {
    return Files.readString(Path.of("/proc/self/status"))
        .lines()
        .filter(line -> line.startsWith("RssAnon:"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("[^0-9]", "")))
        .findFirst()
        .orElseThrow();
  }

  private static int threads() {
    return ManagementFactory.getThreadMXBean().getThreadCount();
  }

  @Test
  void manyDatabases_costLittleEach() throws IOException {
    try (DeviceNode node = DeviceNode.open(directory, NodeOptions.offline("laptop"))) {
      fill(node, Node.DEFAULT_DATABASE);
      long before = anonymousKib();
      int threadsBefore = threads();
      for (int i = 1; i < DATABASES; i++) {
        node.createDatabase("db" + i, Quota.NONE);
        fill(node, "db" + i);
      }
      double each = (anonymousKib() - before) / 1024.0 / (DATABASES - 1);
      double threadsEach = (double) (threads() - threadsBefore) / (DATABASES - 1);
      System.out.printf(
          "%d databases of %d documents: %.2f MiB and %.2f threads each%n",
          DATABASES, DOCUMENTS, each, threadsEach);
      assertThat(each).isLessThan(MOST_MEBIBYTES_EACH);
      assertThat(threadsEach).isLessThanOrEqualTo(1);
      for (int i = 1; i < DATABASES; i++) {
        assertThat(node.store("db" + i).status().documents()).isEqualTo(DOCUMENTS);
      }
    }
    long begun = System.nanoTime();
    try (DeviceNode node = DeviceNode.open(directory, NodeOptions.offline("laptop"))) {
      System.out.printf("opened again in %d ms%n", (System.nanoTime() - begun) / 1_000_000);
      assertThat(node.databases()).hasSize(DATABASES);
    }
  }

  private static void fill(DeviceNode node, String database) {
    byte[] json = ("{\"text\":\"" + "x".repeat(180) + "\"}").getBytes(StandardCharsets.UTF_8);
    var edits = new ArrayList<Edit>();
    for (int i = 0; i < DOCUMENTS; i++) {
      edits.add(Edit.put("document-" + i, json));
    }
    node.store(database).batch(edits);
  }
}
