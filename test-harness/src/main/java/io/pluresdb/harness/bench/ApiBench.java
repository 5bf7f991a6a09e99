package io.pluresdb.harness.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.pluresdb.daemon.api.LocalClient;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.harness.cluster.DaemonProcess;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a daemon holds while very many watch, some never read, and a large import comes in; and that
 * no event is lost. The daemon is a process of its own.
 */
final class ApiBench {
  private static final int WRITES = 50;
  private static final int SILENT = 20;

  /** Watchers that read all along the import. */
  private static final int READING = 2;

  private static final int DOCUMENT_BYTES = 1_024;
  private static final byte[] EVENT = "data: ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] HEAD_END = "\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
  private static final Duration DEADLINE = Duration.ofMinutes(10);

  /** Descriptors that a process needs besides those of its watchers. */
  private static final int SPARE_FILES = 500;

  private final DaemonProcess daemon;
  private final InetSocketAddress tcp;
  private final String token;

  /** A connection that watches from the start, and how many events came. */
  private static final class Watcher {
    final SocketChannel channel;
    boolean inBody;
    int headEnd;
    int size;
    int left;
    int matched;
    long events;

    Watcher(SocketChannel channel) {
      this.channel = channel;
    }

    /** Takes what came off the wire, and looks at what is within the chunks (RFC 9112, 7.1). */
    void take(ByteBuffer bytes) {
      while (bytes.hasRemaining()) {
        byte b = bytes.get();
        if (!inBody) {
          headEnd = b == HEAD_END[headEnd] ? headEnd + 1 : b == HEAD_END[0] ? 1 : 0;
          inBody = headEnd == HEAD_END.length;
        } else if (left > 0) {
          left--;
          look(b);
        } else if (b == '\n') {
          // The end of the line before the size, or of the size.
          left = size;
          size = 0;
        } else if (b != '\r') {
          size = 16 * size + Character.digit(b, 16);
        }
      }
    }

    private void look(byte b) {
      matched = b == EVENT[matched] ? matched + 1 : b == EVENT[0] ? 1 : 0;
      if (matched == EVENT.length) {
        matched = 0;
        events++;
      }
    }
  }

  private ApiBench(DaemonProcess daemon) throws IOException {
    this.daemon = daemon;
    Matcher http = Pattern.compile("http://127\\.0\\.0\\.1:(\\d+)").matcher(daemon.readyLine());
    if (!http.find()) {
      throw new IllegalStateException("no port in " + daemon.readyLine());
    }
    tcp = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(http.group(1)));
    token = Files.readString(daemon.directory().resolve("api-token")).strip();
  }

  /**
   * @param watchers how many at once, as far as the limit of descriptors allows
   * @param importMebibytes size of the import
   * @throws IllegalStateException when an event is lost
   */
  static Report run(Path directory, int watchers, int importMebibytes)
      throws IOException, InterruptedException {
    Path data = directory.resolve("api");
    DeviceNode.init(data, false);
    Files.writeString(
        data.resolve("config.toml"), "api.max-connections = 65536\napi.max-concurrent = 65536\n");
    long limit = Probe.fileLimit();
    int possible = (int) Math.min(watchers, limit - SPARE_FILES);
    var report = new Report("api");
    if (possible < watchers) {
      report.add(
          "note", "only " + possible + " watchers: a process may open " + limit + " files here");
    }
    try (var daemon = DaemonProcess.start(data)) {
      var bench = new ApiBench(daemon);
      bench.watch(possible, report);
      bench.bulk(importMebibytes, report);
    }
    return report;
  }

  private Watcher watcher(long since, int receiveBytes) throws IOException {
    SocketChannel channel = SocketChannel.open();
    if (receiveBytes > 0) {
      channel.setOption(StandardSocketOptions.SO_RCVBUF, receiveBytes);
    }
    channel.connect(tcp);
    channel.write(
        StandardCharsets.US_ASCII.encode(
            "GET /api/watch?since="
                + since
                + " HTTP/1.1\r\nHost: localhost:"
                + tcp.getPort()
                + "\r\nAuthorization: Bearer "
                + token
                + "\r\n\r\n"));
    return new Watcher(channel);
  }

  private List<Watcher> watchers(int count, long since, Selector selector) throws IOException {
    var watchers = new ArrayList<Watcher>();
    for (int i = 0; i < count; i++) {
      Watcher watcher = watcher(since, 0);
      watcher.channel.configureBlocking(false);
      watcher.channel.register(selector, SelectionKey.OP_READ, watcher);
      watchers.add(watcher);
    }
    return watchers;
  }

  /** Reads until every watcher has seen so many events. */
  private static void read(Selector selector, List<Watcher> watchers, long events)
      throws IOException {
    var buffer = ByteBuffer.allocateDirect(256 << 10);
    long end = System.nanoTime() + DEADLINE.toNanos();
    while (watchers.stream().anyMatch(watcher -> watcher.events < events)) {
      if (System.nanoTime() > end) {
        long least = watchers.stream().mapToLong(watcher -> watcher.events).min().orElse(0);
        throw new IllegalStateException(
            "a watcher saw " + least + " events of " + events + " within " + DEADLINE);
      }
      selector.select(1_000);
      for (SelectionKey key : selector.selectedKeys()) {
        var watcher = (Watcher) key.attachment();
        buffer.clear();
        if (watcher.channel.read(buffer) < 0) {
          throw new IllegalStateException("a watcher was cut after " + watcher.events + " events");
        }
        watcher.take(buffer.flip());
      }
      selector.selectedKeys().clear();
    }
  }

  private void watch(int count, Report report) throws IOException, InterruptedException {
    daemon.put("w0", "1");
    Probe before = Probe.of(daemon);
    try (Selector selector = Selector.open()) {
      long begun = System.nanoTime();
      List<Watcher> watchers = watchers(count, 0, selector);
      read(selector, watchers, 1);
      double connected = (System.nanoTime() - begun) / 1e9;
      Probe idle = Probe.of(daemon);
      begun = System.nanoTime();
      for (int i = 1; i < WRITES; i++) {
        daemon.put("w" + i, "{\"n\":" + i + "}");
      }
      double written = (System.nanoTime() - begun) / 1e6;
      read(selector, watchers, WRITES);
      double told = (System.nanoTime() - begun) / 1e6;
      for (Watcher watcher : watchers) {
        if (watcher.events != WRITES) {
          throw new IllegalStateException("a watcher saw " + watcher.events + " events");
        }
        watcher.channel.close();
      }
      report
          .add("watchers", count)
          .add("connectedSeconds", connected)
          .add("heapKibibytesEach", (idle.heap() - before.heap()) * 1024 / count, "<=", 32)
          .add("residentKibibytesEach", (idle.resident() - before.resident()) * 1024 / count)
          .add("threadsBefore", before.threads())
          .add("threadsWithWatchers", idle.threads())
          .add("writesMillis", written)
          .add("eventsToldToAll", (long) count * WRITES)
          .add("toldToAllMillis", told);
    }
  }

  private void bulk(int mebibytes, Report report) throws IOException, InterruptedException {
    Probe before = Probe.of(daemon);
    long documents = (long) mebibytes * (1 << 20) / DOCUMENT_BYTES;
    long arrivals = arrivals();
    var silent = new ArrayList<Watcher>();
    for (int i = 0; i < SILENT; i++) {
      silent.add(watcher(0, 4 << 10));
    }
    var running = new AtomicBoolean(true);
    var greatest = new double[1];
    Thread sampler =
        Thread.ofPlatform()
            .start(
                () -> {
                  while (running.get()) {
                    greatest[0] = Math.max(greatest[0], resident());
                    LockSupport.parkNanos(Duration.ofMillis(200).toNanos());
                  }
                });
    try (Selector selector = Selector.open();
        LocalClient client = daemon.client()) {
      List<Watcher> reading = watchers(READING, arrivals, selector);
      var failure = new Throwable[1];
      Thread reader =
          Thread.ofPlatform()
              .start(
                  () -> {
                    try {
                      read(selector, reading, documents);
                    } catch (IOException | RuntimeException e) {
                      failure[0] = e;
                    }
                  });
      long begun = System.nanoTime();
      JsonNode answer =
          JsonMapper.builder()
              .build()
              .readTree(client.call(Request.post("/api/import", new Lines(documents))));
      double seconds = (System.nanoTime() - begun) / 1e9;
      reader.join();
      if (failure[0] != null) {
        throw new IllegalStateException(failure[0]);
      }
      if (answer.get("imported").asLong() != documents) {
        throw new IllegalStateException("imported " + answer);
      }
      running.set(false);
      sampler.join();
      Probe after = Probe.of(daemon);
      report
          .add("importMebibytes", mebibytes)
          .add("importDocuments", documents)
          .add("importMebibytesPerSecond", mebibytes / seconds)
          .add("clientsThatNeverRead", SILENT)
          .add("eventsDuringImport", READING * documents)
          .add("heapMebibytesBefore", before.heap())
          .add("heapMebibytesAfter", after.heap(), "<=", before.heap() + 32)
          .add("residentMebibytesBefore", before.resident())
          .add("residentMebibytesGreatest", greatest[0], "<=", 640)
          .add("residentMebibytesAfter", after.resident());
    } finally {
      running.set(false);
      for (Watcher watcher : silent) {
        watcher.channel.close();
      }
    }
  }

  private double resident() {
    try {
      return Probe.residentMebibytes(daemon.pid());
    } catch (IOException e) {
      return 0;
    }
  }

  private long arrivals() {
    return daemon.status().get("log").get("arrivals").asLong();
  }

  /** Documents, one a line, made as they are read. */
  private static final class Lines extends InputStream {
    private final SplittableRandom random = new SplittableRandom(1);
    private final long documents;
    private byte[] line = {};
    private int at;
    private long made;

    Lines(long documents) {
      this.documents = documents;
    }

    private boolean fill() {
      if (at == line.length && made < documents) {
        var text = new StringBuilder(DOCUMENT_BYTES);
        text.append("{\"id\":\"bulk:").append(made++).append("\",\"data\":{\"text\":\"");
        while (text.length() < DOCUMENT_BYTES - 4) {
          text.append(Long.toString(random.nextLong() >>> 1, 36));
        }
        text.setLength(DOCUMENT_BYTES - 4);
        line = text.append("\"}}\n").toString().getBytes(StandardCharsets.US_ASCII);
        at = 0;
      }
      return at < line.length;
    }

    @Override
    public int read() {
      return fill() ? line[at++] : -1;
    }

    @Override
    public int read(byte[] into, int offset, int length) {
      if (!fill()) {
        return -1;
      }
      int count = Math.min(length, line.length - at);
      System.arraycopy(line, at, into, offset, count);
      at += count;
      return count;
    }
  }
}
