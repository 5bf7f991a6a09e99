package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.daemon.access.AuditLog;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import java.io.IOException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/**
 * Many who watch at once, and some who never read. {@code -Dapi.watchers=10000} for as many as a
 * machine may have.
 */
@Timeout(300)
class ManyWatchersTest {
  private static final int WATCHERS = Integer.getInteger("api.watchers", 300);
  private static final int DOCUMENTS = 50;
  private static final byte[] DATA = "data: ".getBytes(StandardCharsets.US_ASCII);
  private static final Duration STALL = Duration.ofSeconds(2);

  @TempDir Path directory;

  /** A watcher and how many events it has seen. */
  private static final class Watcher {
    final SocketChannel channel;
    int matched;
    int events;

    Watcher(SocketChannel channel) {
      this.channel = channel;
    }

    void take(ByteBuffer bytes) {
      while (bytes.hasRemaining()) {
        byte b = bytes.get();
        matched = b == DATA[matched] ? matched + 1 : b == DATA[0] ? 1 : 0;
        if (matched == DATA.length) {
          matched = 0;
          events++;
        }
      }
    }
  }

  private HttpServer serve(DeviceNode node) {
    var options =
        new ApiOptions(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            null,
            65_536,
            65_536,
            0,
            Served.LONG,
            Served.LONG,
            STALL,
            Served.LONG,
            Duration.ofSeconds(1),
            false);
    InstantSource clock = InstantSource.system();
    Tokens tokens = Tokens.inMemory(Served.TOKEN, clock, new Random(1));
    var api = new Api(node, "0", clock, options.keepAlive(), tokens, AuditLog.none());
    return HttpServer.start(api, options, tokens);
  }

  private static SocketChannel watch(HttpServer server, int receiveBytes) throws IOException {
    SocketChannel channel = SocketChannel.open();
    if (receiveBytes > 0) {
      channel.setOption(StandardSocketOptions.SO_RCVBUF, receiveBytes);
    }
    channel.connect(server.address());
    channel.write(
        StandardCharsets.US_ASCII.encode(
            "GET /api/watch?since=0 HTTP/1.1\r\nHost: localhost:"
                + server.address().getPort()
                + "\r\nAuthorization: Bearer "
                + Served.TOKEN
                + "\r\n\r\n"));
    return channel;
  }

  private static long memory() {
    System.gc();
    long direct =
        ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
            .mapToLong(BufferPoolMXBean::getMemoryUsed)
            .sum();
    return direct + ManagementFactory.getMemoryMXBean().getHeapMemoryUsage().getUsed();
  }

  private static void put(Node node, int number, int bytes) {
    byte[] json = ("\"" + "x".repeat(bytes) + "\"").getBytes(StandardCharsets.US_ASCII);
    node.store(Node.DEFAULT_DATABASE).put("d" + number, json);
  }

  @Test
  void watchers_manyAtOnce_missNothingInBoundedMemory() throws IOException {
    try (DeviceNode node = DeviceNode.open(directory, NodeOptions.offline("laptop"));
        HttpServer server = serve(node);
        Selector selector = Selector.open()) {
      put(node, 0, 10);
      long before = memory();
      var watchers = new ArrayList<Watcher>();
      for (int i = 0; i < WATCHERS; i++) {
        var watcher = new Watcher(watch(server, 0));
        watcher.channel.configureBlocking(false);
        watcher.channel.register(selector, SelectionKey.OP_READ, watcher);
        watchers.add(watcher);
      }
      read(selector, watchers, 1);
      long idle = memory() - before;
      long begun = System.nanoTime();
      for (int i = 1; i < DOCUMENTS; i++) {
        put(node, i, 100);
      }
      long written = System.nanoTime() - begun;
      read(selector, watchers, DOCUMENTS);
      System.out.printf(
          "%d watchers: %.1f KiB each when idle; %d writes in %d ms, told to all after %d ms%n",
          WATCHERS,
          idle / 1024.0 / WATCHERS,
          DOCUMENTS - 1,
          written / 1_000_000,
          (System.nanoTime() - begun) / 1_000_000);
      assertThat(watchers).allMatch(watcher -> watcher.events == DOCUMENTS);
      assertThat(idle / WATCHERS).isLessThan(64 << 10);
      for (Watcher watcher : watchers) {
        watcher.channel.close();
      }
    }
  }

  private static void read(Selector selector, List<Watcher> watchers, int events)
      throws IOException {
    var buffer = ByteBuffer.allocateDirect(64 << 10);
    long deadline = System.nanoTime() + Duration.ofMinutes(4).toNanos();
    while (watchers.stream().anyMatch(watcher -> watcher.events < events)) {
      assertThat(System.nanoTime()).as("every watcher sees every event").isLessThan(deadline);
      selector.select(1_000);
      for (SelectionKey key : selector.selectedKeys()) {
        var watcher = (Watcher) key.attachment();
        buffer.clear();
        assertThat(watcher.channel.read(buffer)).isNotNegative();
        watcher.take(buffer.flip());
      }
      selector.selectedKeys().clear();
    }
  }

  @Test
  void watchers_whoNeverRead_areCutAndHoldNobodyUp() throws IOException {
    try (DeviceNode node = DeviceNode.open(directory, NodeOptions.offline("laptop"));
        HttpServer server = serve(node)) {
      var silent = new ArrayList<SocketChannel>();
      for (int i = 0; i < 20; i++) {
        silent.add(watch(server, 4 << 10));
      }
      long deadline = System.nanoTime() + Served.LONG.toNanos();
      for (int i = 0; server.openConnections() > 0 || i < 50; i++) {
        // Each is told of 100 kB a time, more than sockets and one buffer hold after some.
        put(node, i, 100_000);
        assertThat(System.nanoTime()).as("cut after " + STALL).isLessThan(deadline);
      }
      for (SocketChannel channel : silent) {
        channel.close();
      }
    }
  }
}
