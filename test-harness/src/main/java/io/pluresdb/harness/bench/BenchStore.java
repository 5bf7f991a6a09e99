package io.pluresdb.harness.bench;

import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import io.pluresdb.storage.crypto.EncryptionConfig;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.SplittableRandom;

/**
 * A database, plain or encrypted, in a process of its own with the flags of a daemon, told what to
 * measure a line at a time on standard input; answers each line with a number.
 */
public final class BenchStore {
  /** The child that serves {@code directory}, which is made. */
  static Child child(Path directory, boolean encrypted) {
    return Child.of(BenchStore.class, directory.toString(), Boolean.toString(encrypted));
  }

  private final CrdtStore store;

  private BenchStore(CrdtStore store) {
    this.store = store;
  }

  /** Arguments: the data directory, and whether it is encrypted. */
  public static void main(String[] args) throws IOException, InterruptedException {
    Path directory = Path.of(args[0]);
    NodeOptions options = NodeOptions.offline("bench");
    if (Boolean.parseBoolean(args[1])) {
      EncryptionConfig secret = EncryptionConfig.password("a password of the bench");
      DeviceNode.init(directory, false, secret);
      options = options.with(metadata -> secret);
    }
    try (DeviceNode node = DeviceNode.open(directory, options)) {
      var bench = new BenchStore(node.store(Node.DEFAULT_DATABASE));
      var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
      String line;
      while ((line = in.readLine()) != null) {
        System.out.println(bench.answer(line.split(" ")));
      }
    }
  }

  private double answer(String[] words) throws InterruptedException {
    return switch (words[0]) {
      case "warm" -> warm();
      case "puts" -> puts(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]));
      case "gets" ->
          gets(
              words[1],
              Integer.parseInt(words[2]),
              Integer.parseInt(words[3]),
              Integer.parseInt(words[4]),
              Long.parseLong(words[5]));
      case "scan" -> scan();
      case "bytes" -> store.status().bytesOnDisk();
      default -> throw new IllegalArgumentException(String.join(" ", words));
    };
  }

  private double warm() throws InterruptedException {
    PutBench.warmUp(store);
    Settle.await();
    return 0;
  }

  private double puts(String set, int clients, int puts) throws InterruptedException {
    double rate = PutBench.puts(store, set, clients, puts);
    Settle.await();
    return rate;
  }

  /**
   * Gets a second, of {@code count} at random among what {@code rounds} rounds of {@link
   * PutBench#puts} by 256 clients put, {@code each} documents a client.
   */
  private double gets(String set, int rounds, int each, int count, long seed) {
    var random = new SplittableRandom(seed);
    long begun = System.nanoTime();
    for (int i = 0; i < count; i++) {
      String client = set + "-" + random.nextInt(rounds) + "-" + random.nextInt(256);
      String id = Documents.id(client, random.nextInt(each));
      if (store.get(id).isEmpty()) {
        throw new IllegalStateException("document " + id + " is missing");
      }
    }
    return count / ((System.nanoTime() - begun) / 1e9);
  }

  private double scan() {
    long count = 0;
    long begun = System.nanoTime();
    try (CrdtStore.Documents documents = store.list("", null)) {
      while (documents.hasNext()) {
        documents.next();
        count++;
      }
    }
    return count / ((System.nanoTime() - begun) / 1e9);
  }
}
