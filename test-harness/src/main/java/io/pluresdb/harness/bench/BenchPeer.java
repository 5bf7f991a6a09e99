package io.pluresdb.harness.bench;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.jspecify.annotations.Nullable;

/**
 * One node in a process of its own, told what to do a line at a time on standard input; answers
 * each line with one line.
 */
public final class BenchPeer {
  private static final int DOCUMENTS_PER_TRANSACTION = 1_000;
  private static final int TRANSACTIONS_IN_FLIGHT = 4;
  private static final Duration DEADLINE = Duration.ofMinutes(5);

  /** How often what takes a second is looked at: looking takes time that both processors need. */
  private static final Duration MANY_POLL = Duration.ofMillis(2);

  private static final Duration ONE_POLL = Duration.ofNanos(200_000);
  private static final String DB = Node.DEFAULT_DATABASE;

  private final Path directory;
  private final int port;
  private @Nullable DeviceNode node;
  private long @Nullable [] seen;

  private BenchPeer(Path directory, int port) {
    this.directory = directory;
    this.port = port;
  }

  /** Arguments: the data directory and the port for peers. */
  public static void main(String[] args) throws IOException {
    var peer = new BenchPeer(Path.of(args[0]), Integer.parseInt(args[1]));
    var in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    String line;
    while ((line = in.readLine()) != null) {
      System.out.println(peer.answer(line.split(" ")));
    }
    peer.close();
  }

  private String answer(String[] words) {
    return switch (words[0]) {
      case "open" -> open();
      case "close" -> close();
      case "invite" -> node().invite(DB, Role.WRITE, Duration.ofMinutes(10)).url();
      case "join" -> CrdtStore.await(node().join(DB, words[1])).id();
      case "load" -> load(words[1], Integer.parseInt(words[2]));
      case "documents" -> awaitDocuments(Long.parseLong(words[1]));
      case "acknowledged" -> awaitAcknowledged(MANY_POLL);
      case "traffic" -> traffic();
      case "hash" -> store().status().frontier().hash().hex() + store().status().stateHash().hex();
      case "compiling" -> "millis " + WarmUp.compilingMillis();
      case "settle" -> settle();
      case "watch" -> watch(words[1], Integer.parseInt(words[2]));
      case "write" -> write(words[1], Integer.parseInt(words[2]), words[3]);
      case "seen" -> seen();
      default -> throw new IllegalArgumentException(String.join(" ", words));
    };
  }

  private DeviceNode node() {
    if (node == null) {
      throw new IllegalStateException("open first");
    }
    return node;
  }

  private CrdtStore store() {
    return node().store(DB);
  }

  private String open() {
    var listen = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    node =
        DeviceNode.open(
            directory,
            new NodeOptions(
                directory.getFileName().toString(),
                new NodeOptions.Network(listen, false, List.of())));
    return "opened " + System.nanoTime();
  }

  private String close() {
    if (node != null) {
      node.close();
      node = null;
    }
    return "closed";
  }

  /** Puts documents in transactions, each synced; answers when the first began. */
  private String load(String set, int count) {
    var documents = new Documents(set.hashCode());
    var transactions = new ArrayList<Transaction>();
    var edits = new ArrayList<Edit>();
    for (int i = 0; i < count; i++) {
      edits.add(Edit.put(Documents.id(set, i), documents.next(i)));
      if (edits.size() == DOCUMENTS_PER_TRANSACTION || i + 1 == count) {
        transactions.add(new Transaction(edits, Acknowledgement.LOCAL));
        edits.clear();
      }
    }
    var inFlight = new ArrayDeque<CompletableFuture<CrdtStore.Receipt>>();
    long begun = System.nanoTime();
    for (Transaction transaction : transactions) {
      inFlight.add(store().submit(transaction));
      if (inFlight.size() >= TRANSACTIONS_IN_FLIGHT) {
        CrdtStore.await(inFlight.remove());
      }
    }
    inFlight.forEach(CrdtStore::await);
    return "loaded " + begun + " " + System.nanoTime();
  }

  private String awaitDocuments(long count) {
    await(MANY_POLL, () -> store().status().documents() >= count);
    return "has " + System.nanoTime();
  }

  /** Waits until the peer has told that all our changes are on its disk. */
  private String awaitAcknowledged(Duration poll) {
    await(
        poll,
        () -> {
          var peers = node().peers(DB);
          return peers.stream().anyMatch(p -> p.state().equals("connected"))
              && peers.stream().allMatch(p -> !p.state().equals("connected") || p.lag() == 0);
        });
    return "acknowledged " + System.nanoTime();
  }

  private static String settle() {
    Settle.await();
    return "settled";
  }

  private String traffic() {
    return "bytes " + node().status(DB).trafficBytes();
  }

  /** Notes when each of {@code count} documents of {@code set} becomes visible here. */
  private String watch(String set, int count) {
    long[] times = new long[count];
    seen = times;
    CrdtStore store = store();
    int[] next = {0};
    store.subscribe(
        () -> {
          while (next[0] < count && store.get(Documents.id(set, next[0])).isPresent()) {
            times[next[0]++] = System.nanoTime();
          }
        });
    return "watching";
  }

  /** Puts documents one after another, each once the one before is acknowledged everywhere. */
  private String write(String set, int count, String acknowledgement) {
    var documents = new Documents(set.hashCode());
    var answer = new StringBuilder("wrote");
    for (int i = 0; i < count; i++) {
      Edit edit = Edit.put(Documents.id(set, i), documents.next(i));
      var transaction = new Transaction(List.of(edit), Acknowledgement.valueOf(acknowledgement));
      long begun = System.nanoTime();
      CrdtStore.await(store().submit(transaction));
      answer.append(' ').append(begun).append(' ').append(System.nanoTime());
      awaitAcknowledged(ONE_POLL);
    }
    return answer.toString();
  }

  private String seen() {
    long[] times = seen;
    if (times == null) {
      throw new IllegalStateException("watch first");
    }
    await(ONE_POLL, () -> times[times.length - 1] != 0);
    var answer = new StringBuilder("seen");
    for (long time : times) {
      answer.append(' ').append(time);
    }
    return answer.toString();
  }

  private static void await(Duration poll, BooleanSupplier condition) {
    long end = System.nanoTime() + DEADLINE.toNanos();
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > end) {
        throw new IllegalStateException("did not happen within " + DEADLINE);
      }
      LockSupport.parkNanos(poll.toNanos());
    }
  }
}
