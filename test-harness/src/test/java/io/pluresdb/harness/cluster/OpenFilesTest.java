package io.pluresdb.harness.cluster;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A daemon whose connections take all the files it may open. */
class OpenFilesTest {
  private static final Duration DEADLINE = Duration.ofSeconds(60);
  private static final int MAX_FILES = 300;

  @TempDir Path temporary;
  private final List<SocketChannel> strangers = new ArrayList<>();
  private final List<DaemonProcess> daemons = new ArrayList<>();

  @BeforeEach
  void needsProc() {
    if (!Files.isDirectory(Path.of("/proc/self/fd"))) {
      System.err.println("SKIPPED OpenFilesTest: open files are counted in /proc");
      Assumptions.abort("open files are counted in /proc");
    }
  }

  @AfterEach
  void close() throws IOException {
    for (SocketChannel stranger : strangers) {
      stranger.close();
    }
    daemons.forEach(DaemonProcess::close);
  }

  private DaemonProcess daemon(String name) {
    DaemonProcess daemon = DaemonProcess.start(temporary.resolve(name));
    daemons.add(daemon);
    return daemon;
  }

  private static long openFiles(long pid) {
    try (Stream<Path> files = Files.list(Path.of("/proc/" + pid + "/fd"))) {
      return files.count();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void stranger(int number, int port) {
    try {
      SocketChannel channel = SocketChannel.open();
      strangers.add(channel);
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      InetAddress own = InetAddress.ofLiteral("127.9." + number / 250 + "." + (1 + number % 250));
      channel.bind(new InetSocketAddress(own, 0));
      channel.configureBlocking(false);
      channel.connect(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Test
  void connectionsThatTakeAllFiles_doNotEndSessions_andPeersComeBackAfterwards()
      throws IOException {
    int port = DaemonProcess.freePort();
    DaemonProcess scarce =
        DaemonProcess.start(
            temporary.resolve("scarce"),
            List.of("sh", "-c", "ulimit -n " + MAX_FILES + "; exec \"$@\"", "sh"),
            "127.0.0.1:" + port,
            List.of());
    daemons.add(scarce);
    DaemonProcess friend = daemon("friend");
    DaemonProcess other = daemon("other");
    scarce.put("first", "{}");
    scarce.admit(friend);
    scarce.admit(other);
    await("both", DEADLINE, () -> friend.equalTo(scarce) && other.equalTo(scarce));
    other.stop();

    // A session and a daemon that other connections leave no file to open.
    try (var api = scarce.client()) {
      int number = 0;
      while (openFiles(scarce.pid()) < MAX_FILES || !scarce.log().contains("cannot be accepted")) {
        assertThat(number).as("connections").isLessThan(20 * MAX_FILES);
        stranger(number++, port);
      }
      byte[] put = "{\"id\":\"meanwhile\",\"data\":{}}".getBytes(StandardCharsets.UTF_8);
      assertThat(api.call(Request.post("/api/put", put))).isNotEmpty();
      await("by the session", DEADLINE, () -> friend.get("meanwhile").equals("{}"));
      friend.put("there", "{}");
    } catch (InterruptedException e) {
      throw new AssertionError(e);
    }
    for (SocketChannel stranger : strangers) {
      stranger.close();
    }
    other.start();
    other.put("afterwards", "{}");
    await(
        "all three",
        DEADLINE,
        () -> other.equalTo(scarce) && friend.equalTo(scarce) && scarce.get("there").equals("{}"));
    assertThat(scarce.get("afterwards")).isEqualTo("{}");
    assertThat(scarce.log().lines().filter(line -> line.contains("cannot be accepted")))
        .as("said once a minute, not once a connection")
        .hasSizeLessThanOrEqualTo(3);
  }
}
