package io.pluresdb.daemon.service;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** What a service manager hears, from a receiver that Python's standard library makes. */
class ServiceManagerTest {
  private static final String RECEIVER =
      """
      import socket, sys
      s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
      s.bind(sys.argv[1].replace('@', chr(0), 1))
      print('bound', flush=True)
      while True:
          print(s.recv(4096).decode().replace(chr(10), '|'), flush=True)
      """;

  @TempDir Path directory;
  private @Nullable Process receiver;

  private BufferedReader receive(String at) throws IOException {
    try {
      receiver = new ProcessBuilder("python3", "-c", RECEIVER, at).start();
    } catch (IOException noPython) {
      assumeTrue(false, "ServiceManagerTest needs python3 to receive Unix datagrams");
      throw noPython;
    }
    BufferedReader lines = receiver.inputReader();
    assertThat(lines.readLine()).isEqualTo("bound");
    return lines;
  }

  @AfterEach
  void stop() {
    if (receiver != null) {
      receiver.destroyForcibly();
    }
  }

  @Test
  void readyAndClose_areTold_atAPathAndAtAnAbstractName() throws Exception {
    String name = "@pluresdb-test-" + ProcessHandle.current().pid();
    for (String at : List.of(directory.resolve("notify").toString(), name)) {
      BufferedReader lines = receive(at);
      var manager =
          new ServiceManager(
              Map.of("NOTIFY_SOCKET", at), () -> CompletableFuture.completedFuture(null));
      manager.ready("2 databases");
      manager.close();
      assertThat(lines.readLine()).isEqualTo("READY=1|STATUS=2 databases");
      assertThat(lines.readLine()).isEqualTo("STOPPING=1");
      stop();
    }
  }

  @Test
  void watchdog_isToldOnlyWhileTheDaemonAnswers() throws Exception {
    String at = directory.resolve("notify").toString();
    BufferedReader lines = receive(at);
    var questions = new LinkedBlockingQueue<CompletableFuture<Void>>();
    var environment =
        Map.of(
            "NOTIFY_SOCKET",
            at,
            "WATCHDOG_USEC",
            "30000",
            "WATCHDOG_PID",
            Long.toString(ProcessHandle.current().pid()));
    try (var manager =
        new ServiceManager(
            environment,
            () -> {
              var question = new CompletableFuture<Void>();
              questions.add(question);
              return question;
            })) {
      manager.ready("well");
      assertThat(lines.readLine()).startsWith("READY=1");
      for (int i = 0; i < 3; i++) {
        CompletableFuture<Void> question = questions.poll(10, TimeUnit.SECONDS);
        assertThat(question).isNotNull();
        assertThat(lines.ready()).as("silent while it waits for an answer").isFalse();
        question.complete(null);
        assertThat(lines.readLine()).isEqualTo("WATCHDOG=1");
      }
    }
  }

  @Test
  void withoutAServiceManager_orOfAnotherProcess_nothingHappens() throws Exception {
    try (var none = new ServiceManager(Map.of(), ServiceManagerTest::notAsked)) {
      none.ready("well");
    }
    String at = directory.resolve("notify").toString();
    BufferedReader lines = receive(at);
    var ofAnother = Map.of("NOTIFY_SOCKET", at, "WATCHDOG_USEC", "3000", "WATCHDOG_PID", "1");
    try (var manager = new ServiceManager(ofAnother, ServiceManagerTest::notAsked)) {
      manager.ready("well");
    }
    assertThat(lines.readLine()).startsWith("READY=1");
    assertThat(lines.readLine()).isEqualTo("STOPPING=1");
  }

  private static CompletableFuture<?> notAsked() {
    throw new AssertionError("asked without a watchdog");
  }

  @Test
  void socketPath_beyondItsLimits_isRefusedWithThem() {
    String longest = "/" + "a".repeat(UnixDatagrams.MAX_PATH_BYTES - 1);
    for (String bad : List.of("relative", "/", "@", longest + "a")) {
      assertThatThrownBy(() -> new UnixDatagrams(bad))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("2 to 108 bytes");
    }
  }

  @Test
  void aManagerThatIsGone_doesNotStopTheDaemon() {
    var environment = Map.of("NOTIFY_SOCKET", directory.resolve("nobody").toString());
    try (var manager = new ServiceManager(environment, ServiceManagerTest::notAsked)) {
      manager.ready("well");
    }
    assertThatThrownBy(
            () -> new UnixDatagrams(directory.resolve("nobody").toString()).send(new byte[1]))
        .isInstanceOf(IOException.class);
  }
}
