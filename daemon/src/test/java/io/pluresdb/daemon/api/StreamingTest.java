package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.daemon.Eventually;
import io.pluresdb.daemon.api.Served.Raw;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Answers of any length: complete, in constant memory, and ended when nobody reads. */
@Timeout(120)
class StreamingTest {
  private static final int DOCUMENTS = 50_000;

  private Served served;

  StreamingTest() throws IOException {
    served = Served.withDefaults();
  }

  @AfterEach
  void stop() throws IOException {
    served.close();
  }

  private void fill(int count, String value) {
    for (int i = 0; i < count; ) {
      var edits = new ArrayList<Edit>();
      for (int n = 0; n < 1_000 && i < count; n++, i++) {
        edits.add(
            Edit.put(
                String.format("d%06d", i),
                ("{\"v\":\"" + value + "\"}").getBytes(StandardCharsets.UTF_8)));
      }
      served.node.store().batch(edits);
    }
  }

  @Test
  void list_toASlowReader_isWholeAndOrdered() throws Exception {
    fill(DOCUMENTS, "x".repeat(100));
    var lines = new AtomicLong();
    var bytes = new AtomicLong();
    var pause = new CountDownLatch(1);
    try (LocalClient client = served.unix()) {
      client.exchange(
          Request.get("/api/list").withHeader("accept", Answer.NDJSON),
          new Sink() {
            private int writes;

            @Override
            public void write(byte[] part, int from, int to) {
              for (int i = from; i < to; i++) {
                if (part[i] == '\n') {
                  lines.incrementAndGet();
                }
              }
              bytes.addAndGet(to - from);
              if (++writes % 100 == 0) {
                try {
                  // Nobody counts it down: the wait is the slowness.
                  assertThat(pause.await(20, TimeUnit.MILLISECONDS)).isFalse();
                } catch (InterruptedException e) {
                  throw new AssertionError(e);
                }
              }
            }

            @Override
            public void flush() {}

            @Override
            public void onClose(Runnable action) {}
          });
      assertThat(lines).hasValue(DOCUMENTS);
      assertThat(bytes.get()).isGreaterThan(DOCUMENTS * 140L);
      assertThat(client.call(Request.get("/healthz"))).isNotEmpty();
    }
  }

  @Test
  void list_toAReaderThatNeverReads_isCutInBoundedMemory() throws Exception {
    served.close();
    served = Served.with(256, Served.LONG, Served.LONG, Duration.ofMillis(500), Served.LONG);
    fill(DOCUMENTS, "x".repeat(1_000));
    try (Raw raw = served.raw()) {
      raw.send(served.head("GET /api/list", ""));
      assertThat(raw.in.read()).isEqualTo('H');
      Eventually.await("it is cut", () -> served.server.openConnections() == 0);
      long got = raw.in.transferTo(java.io.OutputStream.nullOutputStream());
      assertThat(got).isLessThan(DOCUMENTS * 1_000L);
    } catch (java.net.SocketException e) {
      // The cut may arrive as a reset.
    }
  }

  private Raw watch(String query, String headers) throws IOException {
    Raw raw = served.raw();
    raw.send(served.head("GET /api/watch" + query, headers));
    assertThat(raw.reply().head().toLowerCase(java.util.Locale.ROOT))
        .contains("content-type: text/event-stream");
    return raw;
  }

  /** The lines of events until one contains {@code end}, without chunk sizes and comments. */
  private static List<String> until(Raw raw, String end) throws IOException {
    var lines = new ArrayList<String>();
    while (lines.isEmpty() || !lines.getLast().contains(end)) {
      String line = raw.line();
      if (line.startsWith("id: ") || line.startsWith("data: ")) {
        lines.add(line);
      }
    }
    return lines;
  }

  private void put(String id, int value) {
    served.node.store().put(id, Integer.toString(value).getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void watch_fromNow_seesWhatComes() throws IOException {
    put("old", 1);
    try (Raw raw = watch("?prefix=n", "")) {
      assertThat(until(raw, "id: ")).containsExactly("id: 1");
      put("other", 2);
      put("new", 3);
      assertThat(until(raw, "data: "))
          .contains(
              "id: 3",
              "data: {\"type\":\"upsert\",\"id\":\"new\",\"data\":3,\"timestamp\":1700000000003}");
      served.node.store().delete("new");
      assertThat(until(raw, "data: "))
          .containsExactly("id: 4", "data: {\"type\":\"delete\",\"id\":\"new\"}");
    }
  }

  @Test
  void watch_resumed_missesNothingAndRepeatsNothing() throws IOException {
    for (int i = 1; i <= 700; i++) {
      put("n" + i, i);
    }
    try (Raw raw = watch("?since=0", "")) {
      assertThat(until(raw, "\"n700\"")).filteredOn(l -> l.startsWith("data")).hasSize(700);
    }
    try (Raw raw = watch("?since=0", "Last-Event-ID: 690\r\n")) {
      assertThat(until(raw, "\"n700\""))
          .filteredOn(l -> l.startsWith("data"))
          .hasSize(10)
          .first()
          .asString()
          .contains("\"n691\"");
    }
    try (Raw raw = served.raw()) {
      assertThat(raw.send(served.head("GET /api/watch?since=x", "")).reply().status())
          .isEqualTo(400);
    }
  }

  @Test
  void watch_fromBelowWhatIsKept_isToldSo_once() throws IOException {
    for (int i = 1; i <= 5; i++) {
      put("n" + i, i);
    }
    served.node.store().truncate(3);
    try (Raw raw = watch("?since=1", "")) {
      assertThat(until(raw, "\"n5\""))
          .filteredOn(l -> l.startsWith("data"))
          .hasSize(3)
          .first()
          .isEqualTo("data: {\"type\":\"truncated\"}");
    }
    try (Raw raw = watch("?since=3", "")) {
      assertThat(until(raw, "\"n5\"")).noneMatch(l -> l.contains("truncated"));
    }
  }

  @Test
  void watch_ofOneChangeWithManyDocuments_saysItsPlaceOnlyAtTheEnd() throws IOException {
    served
        .node
        .store()
        .submit(
            Transaction.of(
                Edit.put("a", new byte[] {'1'}),
                Edit.put("b", new byte[] {'2'}),
                Edit.put("c", new byte[] {'3'})))
        .join();
    try (Raw raw = watch("?since=0", "")) {
      List<String> lines = until(raw, "\"c\"");
      assertThat(lines).hasSize(5);
      assertThat(lines.get(0)).isEqualTo("id: 0");
      assertThat(lines.get(1)).contains("\"a\"");
      assertThat(lines.get(2)).contains("\"b\"");
      assertThat(lines.get(3)).isEqualTo("id: 1");
    }
  }

  @Test
  void watch_idle_provesThatItLives() throws IOException {
    served.close();
    served = Served.with(256, Served.LONG, Served.LONG, Served.LONG, Duration.ofMillis(50));
    try (Raw raw = watch("", "")) {
      for (String line = raw.line(); !line.equals(": keep-alive"); line = raw.line()) {
        assertThat(line).doesNotContain("data");
      }
      assertThat(raw.line()).isEqualTo("id: 0");
    }
  }

  @Test
  void watch_byAReaderThatNeverReads_holdsOnePlaceAndIsCut() throws IOException {
    served.close();
    served = Served.with(256, Served.LONG, Served.LONG, Duration.ofMillis(500), Served.LONG);
    try (Raw raw = served.raw()) {
      raw.send(served.head("GET /api/watch?since=0", ""));
      assertThat(raw.in.read()).isEqualTo('H');
      fill(20_000, "x".repeat(1_000));
      Eventually.await(
          "it is cut",
          () -> served.node.store().listeners() + served.server.openConnections() == 0);
    }
  }

  @Test
  void watch_whoseReaderLeft_endsItsSubscription() throws IOException {
    try (Raw raw = watch("", "")) {
      until(raw, "id: 0");
      // The thread that wakes watchers subscribes on its own.
      awaitListeners(1);
    }
    awaitListeners(0);
  }

  private void awaitListeners(int wanted) {
    Eventually.await(wanted + " listeners", () -> served.node.store().listeners() == wanted);
  }

  @Test
  void close_withWatchersAndIdleConnections_isQuick() throws IOException {
    Raw idle = served.raw();
    idle.send(served.head("GET /healthz", "")).reply();
    Raw watching = watch("", "");
    until(watching, "id: 0");
    long start = System.nanoTime();
    served.server.close();
    assertThat(Duration.ofNanos(System.nanoTime() - start)).isLessThan(Duration.ofSeconds(5));
    assertThat(idle.isClosed()).isTrue();
  }
}
