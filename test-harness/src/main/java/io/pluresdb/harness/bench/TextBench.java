package io.pluresdb.harness.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.MissingNode;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.sequence.TextSequence;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.harness.bench.TextTrace.Splice;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;

/** How fast somebody's typing is replayed, beside Yjs and Automerge in the same run. */
final class TextBench {
  private static final int ROUNDS = 3;

  /** Edits under way at once: what the group commit may put together. */
  private static final int WINDOW = 4_096;

  private static final int NODE_MINUTES = 10;
  private static final byte[] PATH = io.pluresdb.crdt.value.Path.parse("text");

  private TextBench() {}

  /**
   * Each edit is a transaction of its own: for us a change that is logged, hashed, applied to the
   * stored rows and synced together with those that wait; for Yjs and Automerge a transaction in
   * memory. Medians of three rounds, in turn, each in a fresh database or process.
   */
  static Report run(Path directory, @Nullable Path file) throws Exception {
    TextTrace trace = TextTrace.load(file);
    int edits = trace.edits().size();
    var report = new Report("text").add("trace", trace.name()).add("edits", edits);
    Path node = nodeFolder(trace);
    double[] memory = new double[ROUNDS];
    double[] stored = new double[ROUNDS];
    List<Peer> peers =
        node == null
            ? List.of()
            : List.of(new Peer(node, "yjs", 0.5), new Peer(node, "automerge", 1));
    long bytes = 0;
    for (int round = 0; round < ROUNDS; round++) {
      stored[round] = edits / replay(directory.resolve("db" + round), trace);
      bytes = bytesAfterRestart(directory.resolve("db" + round));
      for (Peer peer : peers) {
        peer.last = node(peer.folder, peer.name);
        peer.editsPerSecond[round] = edits / peer.last.path("seconds").asDouble();
      }
      memory[round] = edits / inMemory(trace);
    }
    double ours = median(stored);
    report.add("inMemoryEditsPerSecond", median(memory));
    report.add("storedEditsPerSecond", ours);
    report.add("storedBytes", bytes);
    for (Peer peer : peers) {
      double theirs = median(peer.editsPerSecond);
      report.add(peer.name + "EditsPerSecond", theirs);
      report.add(peer.name + "SavedBytes", peer.last.path("saved").asLong());
      report.add(peer.name + "ChangesBytes", peer.last.path("changes").asLong());
      report.add("shareOf" + capital(peer.name), ours / theirs, ">=", peer.target);
    }
    if (node != null) {
      JsonNode once = node(node, "automerge-once");
      report.add("automergeInOneChangeEditsPerSecond", edits / once.path("seconds").asDouble());
    }
    return report;
  }

  /** A library of npm. */
  private static final class Peer {
    final Path folder;
    final String name;
    final double target;
    final double[] editsPerSecond = new double[ROUNDS];
    JsonNode last = MissingNode.getInstance();

    Peer(Path folder, String name, double target) {
      this.folder = folder;
      this.name = name;
      this.target = target;
    }
  }

  private static String capital(String name) {
    return Character.toUpperCase(name.charAt(0)) + name.substring(1);
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  /** Through the replica loop and RocksDB; returns seconds until the last edit is on disk. */
  private static double replay(Path directory, TextTrace trace) {
    try (DeviceNode node = DeviceNode.open(directory, NodeOptions.offline("bench"))) {
      CrdtStore store = node.store(Node.DEFAULT_DATABASE);
      store.put("text", "{}".getBytes(StandardCharsets.UTF_8));
      var waiting = new ArrayDeque<CompletableFuture<?>>(WINDOW);
      long begun = System.nanoTime();
      for (Splice edit : trace.edits()) {
        if (waiting.size() == WINDOW) {
          waiting.remove().join();
        }
        waiting.add(
            store.submit(
                Transaction.of(
                    Edit.spliceText("text", "text", edit.at(), edit.deleted(), edit.inserted()))));
      }
      waiting.forEach(CompletableFuture::join);
      double seconds = (System.nanoTime() - begun) / 1e9;
      requireEnd(trace, store);
      return seconds;
    }
  }

  /** Opens again, so that what was in the write-ahead log is in tables; and reads once more. */
  private static long bytesAfterRestart(Path directory) {
    try (DeviceNode node = DeviceNode.open(directory, NodeOptions.offline("bench"))) {
      return node.store(Node.DEFAULT_DATABASE).status().bytesOnDisk();
    }
  }

  private static void requireEnd(TextTrace trace, CrdtStore store) throws IllegalStateException {
    String json = store.get("text").orElseThrow().json();
    try {
      if (!new ObjectMapper().readTree(json).path("text").asText().equals(trace.end())) {
        throw new IllegalStateException("the replayed text is not the expected one");
      }
    } catch (IOException e) {
      throw new IllegalStateException("the store answers no JSON", e);
    }
  }

  /** The sequence alone: positions to elements, the tree and the order; no change, no row. */
  private static double inMemory(TextTrace trace) {
    byte[] register = Register.at(Register.TEXT, PATH);
    var text = new TextSequence();
    var actor = new ActorId(1, 1);
    long seq = 1;
    var observed = List.of(new Dot(actor, seq, 0));
    long begun = System.nanoTime();
    for (Splice edit : trace.edits()) {
      for (CrdtOperation operation :
          text.splice(register, observed, edit.at(), edit.deleted(), edit.inserted())) {
        text.apply((OnSequence) operation, new Dot(actor, ++seq, 0), seq);
      }
    }
    double seconds = (System.nanoTime() - begun) / 1e9;
    if (!text.text().equals(trace.end())) {
      throw new IllegalStateException("the replayed text is not the expected one");
    }
    return seconds;
  }

  /** A folder with the script, its libraries and the trace, or null without Node or network. */
  private static @Nullable Path nodeFolder(TextTrace trace) throws Exception {
    Path folder = Path.of(System.getProperty("java.io.tmpdir"), "pluresdb-bench-node");
    Files.createDirectories(folder);
    for (String name : List.of("package.json", "text.mjs")) {
      try (InputStream in = TextBench.class.getResourceAsStream("/bench/" + name)) {
        if (in == null) {
          throw new IllegalStateException("the resource bench/" + name + " is missing");
        }
        Files.copy(in, folder.resolve(name), StandardCopyOption.REPLACE_EXISTING);
      }
    }
    var mapper = new ObjectMapper();
    var edits = mapper.createArrayNode();
    for (Splice edit : trace.edits()) {
      edits.add(mapper.createArrayNode().add(edit.at()).add(edit.deleted()).add(edit.inserted()));
    }
    var json = mapper.createObjectNode();
    json.set("edits", edits);
    json.put("end", trace.end());
    mapper.writeValue(folder.resolve("trace.json").toFile(), json);
    if (run(folder, "npm", "install", "--no-audit", "--no-fund", "--ignore-scripts") == null) {
      System.err.println(
          "SKIPPED: Yjs and Automerge: no node, no npm, or no way to install them in " + folder);
      return null;
    }
    return folder;
  }

  private static JsonNode node(Path folder, String kind) throws Exception {
    String output =
        run(folder, "node", "--max-old-space-size=2048", "text.mjs", kind, "trace.json");
    if (output == null) {
      throw new IllegalStateException("node text.mjs " + kind + " failed; its error is above");
    }
    return new ObjectMapper().readTree(output);
  }

  /** Runs a command to its end; null when it cannot be run or fails. */
  private static @Nullable String run(Path folder, String... command) throws InterruptedException {
    try {
      Process process =
          new ProcessBuilder(command)
              .directory(folder.toFile())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      boolean ended = process.waitFor(NODE_MINUTES, TimeUnit.MINUTES);
      process.destroy();
      return ended && process.exitValue() == 0 ? output : null;
    } catch (IOException e) {
      return null;
    }
  }
}
