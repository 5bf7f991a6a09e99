package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.MemoryStorage;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The store under threads, full disks and failing ones. */
@Timeout(60)
class ReplicaStoreTest {
  private final MemoryStorage storage = new MemoryStorage();
  private final ConcurrentLinkedQueue<RuntimeException> failures = new ConcurrentLinkedQueue<>();
  private final ReplicaStore store = open();

  private ReplicaStore open() {
    var signer = new Signer(new byte[32]);
    var environment = new Environment(InstantSource.system(), new Random(1));
    var identity = new ReplicaIdentity(Device.DATABASE, signer.publicKey(), signer);
    return ReplicaStore.start(
        Replica.open(storage, identity, new MemoryAnchor(), environment),
        environment,
        event -> {},
        failures::add);
  }

  @AfterEach
  void close() {
    store.close();
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static Transaction put(String id) {
    return Transaction.of(Edit.put(id, utf8("{\"a\":1}")));
  }

  private interface Work {
    void run(int thread) throws Exception;
  }

  private static void inThreads(int threads, Work work) throws Exception {
    try (var executor = Executors.newFixedThreadPool(threads)) {
      var start = new CountDownLatch(1);
      var futures = new ArrayList<Future<?>>();
      for (int i = 0; i < threads; i++) {
        int thread = i;
        futures.add(
            executor.submit(
                () -> {
                  start.await();
                  work.run(thread);
                  return null;
                }));
      }
      start.countDown();
      for (Future<?> future : futures) {
        future.get(50, TimeUnit.SECONDS);
      }
    }
  }

  @Test
  void writersOn64Threads_areEachAcknowledgedOnce_andReadWhatTheyWrote() throws Exception {
    var receipts = new ConcurrentLinkedQueue<Receipt>();
    inThreads(
        64,
        thread -> {
          for (int i = 0; i < 20; i++) {
            String id = thread + ":" + i;
            receipts.add(store.put(id, utf8("{\"i\":" + i + "}")));
            assertThat(store.get(id).orElseThrow().json()).isEqualTo("{\"i\":" + i + "}");
          }
        });
    assertThat(receipts.stream().map(Receipt::seq).sorted().toList())
        .isEqualTo(java.util.stream.LongStream.rangeClosed(1, 1_280).boxed().toList());
    assertThat(receipts.stream().map(Receipt::arrival).distinct().count()).isEqualTo(1_280);
    assertThat(receipts.stream().map(Receipt::actor).distinct().count()).isEqualTo(1);
    assertThat(store.status().documents()).isEqualTo(1_280);
  }

  @Test
  void close_whileWriting_answersEveryWrite_andKeepsWhatItAcknowledged() throws Exception {
    var submitted = new ConcurrentLinkedQueue<CompletableFuture<Receipt>>();
    inThreads(
        8,
        thread -> {
          for (int i = 0; i < 300; i++) {
            submitted.add(store.submit(put(thread + ":" + i)));
            if (thread == 0 && i == 100) {
              store.close();
            }
          }
        });
    int acknowledged = 0;
    for (CompletableFuture<Receipt> future : submitted) {
      try {
        future.get(10, TimeUnit.SECONDS);
        acknowledged++;
      } catch (ExecutionException e) {
        assertThat(e.getCause())
            .isInstanceOfSatisfying(
                CoreException.class,
                c -> assertThat(c.kind()).isEqualTo(CoreException.Kind.CLOSED));
      }
    }
    assertThat(submitted).hasSize(2_400);
    assertThat(acknowledged).isPositive();
    assertThat(store.view().documents()).isEqualTo(acknowledged);
  }

  @Test
  void events_resumedAnywhere_showEveryChangeInOrder() throws Exception {
    var seen = new ArrayList<CrdtStore.Event>();
    try (var executor = Executors.newSingleThreadExecutor()) {
      Future<?> writers =
          executor.submit(
              () -> {
                inThreads(
                    4,
                    thread -> {
                      for (int i = 0; i < 100; i++) {
                        store.submit(put("p:" + thread + ":" + i)).get();
                      }
                    });
                return null;
              });
      long next = 0;
      int limit = 1;
      while (seen.size() < 400) {
        CrdtStore.Events events = store.events("p:", next, limit);
        limit = limit % 7 + 1;
        seen.addAll(events.events());
        next = events.next();
      }
      writers.get(10, TimeUnit.SECONDS);
      assertThat(store.events("p:", next, 10).events()).isEmpty();
      assertThat(store.events("p:", next, 10).next()).isEqualTo(next);
    }
    assertThat(seen).extracting(CrdtStore.Event::arrival).isSorted().doesNotHaveDuplicates();
    assertThat(seen).extracting(CrdtStore.Event::id).doesNotHaveDuplicates().hasSize(400);
    assertThat(store.events("other", 0, 1_000).events()).isEmpty();
  }

  @Test
  void vectorSearch_isExact() {
    var random = new Random(4);
    var vectors = new ArrayList<float[]>();
    for (int i = 0; i < 300; i++) {
      float[] vector = new float[8];
      for (int j = 0; j < vector.length; j++) {
        vector[j] = random.nextFloat() - 0.5f;
      }
      vectors.add(vector);
      store.putWithEmbedding("v" + i, utf8("{}"), vector);
    }
    store.putWithEmbedding("short", utf8("{}"), new float[] {1, 1});
    store.put("none", utf8("{}"));
    float[] query = vectors.get(17);
    List<CrdtStore.Hit> hits = store.vectorSearch(query, 10, 0);
    List<Double> expected =
        vectors.stream()
            .map(vector -> Math.clamp(cosine(query, vector), 0.0, 1.0))
            .sorted(Comparator.reverseOrder())
            .limit(10)
            .toList();
    assertThat(hits).hasSize(10);
    assertThat(hits.getFirst().document().id()).isEqualTo("v17");
    for (int i = 0; i < 10; i++) {
      assertThat(hits.get(i).score()).isCloseTo(expected.get(i), within(1e-9));
    }
    assertThat(store.vectorSearch(query, 1_000, 0.999999)).hasSize(1);
    for (int limit : new int[] {0, 10_001}) {
      assertThatThrownBy(() -> store.vectorSearch(query, limit, 0))
          .isInstanceOf(CoreException.class);
    }
    assertThatThrownBy(() -> store.vectorSearch(new float[2], 1, 0))
        .isInstanceOf(CoreException.class);
    assertThatThrownBy(() -> store.vectorSearch(query, 1, Double.NaN))
        .isInstanceOf(CoreException.class);
  }

  private static double cosine(float[] a, float[] b) {
    double dot = 0;
    double lengthA = 0;
    double lengthB = 0;
    for (int i = 0; i < a.length; i++) {
      dot += (double) a[i] * b[i];
      lengthA += (double) a[i] * a[i];
      lengthB += (double) b[i] * b[i];
    }
    return dot / Math.sqrt(lengthA * lengthB);
  }

  @Test
  void fullDisk_failsTheWrite_losesNothing_andTheNextSucceeds() {
    store.put("before", utf8("{}"));
    storage.failNextCommit(MemoryStorage.Fault.FULL);
    assertThatThrownBy(() -> store.put("refused", utf8("{}")))
        .isInstanceOf(StorageException.Full.class);
    assertThat(store.get("refused")).isEmpty();
    assertThat(store.put("after", utf8("{}")).seq()).isEqualTo(2);
    assertThat(store.get("before")).isPresent();
    assertThat(store.status().documents()).isEqualTo(2);
    assertThat(failures).isEmpty();
  }

  @Test
  void fullDisk_failsApply_andApplyingAgainSucceeds() {
    var author = new Author(new Signer(new byte[32]), 1).add("foreign", 1_000);
    storage.failNextCommit(MemoryStorage.Fault.FULL);
    assertThatThrownBy(() -> CrdtStore.await(store.apply(author.run(1, 1))))
        .isInstanceOf(StorageException.Full.class);
    assertThat(store.get("foreign")).isEmpty();
    assertThat(CrdtStore.await(store.apply(author.run(1, 1))))
        .isEqualTo(new io.pluresdb.crdt.store.RunOutcome.Applied(1));
    assertThat(store.get("foreign")).isPresent();
  }

  @Test
  void failedDisk_failsEveryLaterWrite_andSaysSoOnce() {
    store.put("before", utf8("{}"));
    storage.failNextCommit(MemoryStorage.Fault.FAILED);
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() -> store.put("refused", utf8("{}")))
          .isInstanceOf(StorageException.Failed.class);
    }
    var author = new Author(new Signer(new byte[32]), 1).add("foreign", 1_000);
    assertThatThrownBy(() -> CrdtStore.await(store.apply(author.run(1, 1))))
        .isInstanceOf(StorageException.Failed.class);
    assertThat(store.get("before")).isPresent();
    assertThat(store.get("refused")).isEmpty();
    store.close();
    assertThat(failures).hasSize(1);
  }

  @Test
  void manyWriters_findEachOwnWrite_andItsEvent_onceItIsAcknowledged() throws Exception {
    var missed = new ConcurrentLinkedQueue<String>();
    var writers = new ArrayList<Thread>();
    for (int writer = 0; writer < 256; writer++) {
      String prefix = "w" + writer + "-";
      writers.add(
          Thread.ofVirtual()
              .start(
                  () -> {
                    for (int i = 0; i < 10; i++) {
                      long since = store.status().arrivals();
                      store.put(prefix + i, utf8("{}"));
                      boolean told =
                          store.events(prefix, since, 100_000).events().stream()
                              .anyMatch(event -> event.id().startsWith(prefix));
                      if (store.get(prefix + i).isEmpty() || !told) {
                        missed.add(prefix + i);
                      }
                    }
                  }));
    }
    for (Thread writer : writers) {
      writer.join();
    }
    assertThat(missed).isEmpty();
    assertThat(store.status().documents()).isEqualTo(2_560);
  }

  @Test
  void failedSync_isNeverAcknowledged() {
    storage.failNextSync(MemoryStorage.Fault.SYNC_FAILED);
    assertThatThrownBy(() -> store.put("d", utf8("{}")))
        .isInstanceOf(StorageException.Failed.class);
    assertThat(store.get("d")).isEmpty();
  }

  @Test
  void eventThatThrows_leavesNobodyWaiting_andTheStoreCloses() throws Exception {
    var entered = new CountDownLatch(1);
    var go = new CountDownLatch(1);
    store.execute(
        engine -> {
          entered.countDown();
          try {
            go.await();
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        });
    entered.await();
    store.execute(
        engine -> {
          throw new IllegalStateException("a defect");
        });
    CompletableFuture<Receipt> behind = store.submit(put("d"));
    go.countDown();
    assertThatThrownBy(() -> behind.get(10, TimeUnit.SECONDS))
        .isInstanceOf(ExecutionException.class)
        .hasRootCauseMessage("a defect");
    store.close();
    assertThat(failures).hasSize(1);
  }

  @Test
  void groupThatIsFullOnAFailedDisk_leavesNobodyWaiting() {
    var device = Device.founder(1);
    var answers = new ArrayList<RuntimeException>();
    device.storage.failNextCommit(MemoryStorage.Fault.FAILED);
    for (int i = 0; i <= Replica.MAX_GROUP_CHANGES; i++) {
      device.engine.submit(
          put("d" + i),
          (receipt, failure) -> {
            if (failure != null) {
              answers.add(failure);
            }
          });
    }
    device.engine.turn(true);
    assertThat(answers).hasSize(Replica.MAX_GROUP_CHANGES + 1);
  }

  @Test
  void writes_ofMoreBytesThanMayWait_areRefused_untilSomeAreAcknowledged() throws Exception {
    var blocked = new CountDownLatch(1);
    var release = new CountDownLatch(1);
    store.execute(
        engine -> {
          blocked.countDown();
          try {
            release.await();
          } catch (InterruptedException e) {
            throw new IllegalStateException(e);
          }
        });
    blocked.await();
    byte[] json = utf8("\"" + "x".repeat(1_000_000) + "\"");
    long each = Transaction.of(Edit.put("d00", json)).bytes();
    int most = (int) (CrdtStore.MAX_QUEUED_BYTES / each);
    var waiting = new ArrayList<CompletableFuture<CrdtStore.Receipt>>();
    for (int i = 0; i < most; i++) {
      waiting.add(store.submit(Transaction.of(Edit.put("d" + (10 + i), json))));
    }
    assertThat(store.queuedBytes()).isEqualTo(most * each);
    var beyond = Transaction.of(Edit.put("d99", json));
    for (var refused :
        List.of(
            store.submit(beyond),
            store.submitIf(List.of(new CrdtStore.Condition("d99", Optional::isEmpty)), beyond))) {
      assertThatThrownBy(() -> CrdtStore.await(refused))
          .isInstanceOfSatisfying(
              CoreException.class,
              e -> assertThat(e.kind()).isEqualTo(CoreException.Kind.OVERLOADED))
          .hasMessageContaining("more than 33554432 bytes of writes wait");
    }
    // What is small still fits in what is left.
    waiting.add(store.submit(put("small")));
    release.countDown();
    waiting.forEach(CrdtStore::await);
    CrdtStore.await(store.submit(beyond));
    assertThat(store.queuedBytes()).isZero();
    assertThat(store.queuedWrites()).isZero();
    assertThat(store.get("d99")).isPresent();
  }

  @Test
  void writeLargerThanMayWait_whenNothingElseWaits_isNotRefusedForThat() {
    byte[] json = utf8("\"" + "x".repeat(1_000_000) + "\"");
    var edits = new ArrayList<Edit>();
    for (int i = 0; i < 70; i++) {
      edits.add(Edit.put("d" + i, json));
    }
    assertThatThrownBy(() -> store.batch(edits))
        .isInstanceOfSatisfying(
            CoreException.class, e -> assertThat(e.kind()).isEqualTo(CoreException.Kind.TOO_LARGE));
    assertThat(store.queuedBytes()).isZero();
  }

  @Test
  void closedStore_refusesReadsAndWrites() {
    store.put("d", utf8("{}"));
    store.close();
    assertThatThrownBy(() -> store.get("d")).isInstanceOf(CoreException.class);
    assertThatThrownBy(() -> store.put("e", utf8("{}"))).isInstanceOf(CoreException.class);
  }

  @Test
  void list_byPrefixAndAfter_isInOrder() {
    for (String id : List.of("a", "b:1", "b:10", "b:2", "b\u00e9", "c")) {
      store.put(id, utf8("{}"));
    }
    store.delete("b:10");
    assertThat(ids("b", null)).containsExactly("b:1", "b:2", "b\u00e9");
    assertThat(ids("b", "b:1")).containsExactly("b:2", "b\u00e9");
    assertThat(ids("", "b:2")).containsExactly("b\u00e9", "c");
    assertThat(ids("\u00ff", null)).isEmpty();
  }

  private List<String> ids(String prefix, @org.jspecify.annotations.Nullable String after) {
    var ids = new ArrayList<String>();
    try (CrdtStore.Documents documents = store.list(prefix, after)) {
      documents.forEachRemaining(document -> ids.add(document.id()));
    }
    return ids;
  }
}
