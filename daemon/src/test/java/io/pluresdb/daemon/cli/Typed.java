package io.pluresdb.daemon.cli;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.CountDownLatch;

/** Commands as people type them, in this process. */
final class Typed {
  record Result(int code, String out, String err) {}

  private Typed() {}

  static Result run(Path dataDir, String stdin, String... arguments) {
    var out = new ByteArrayOutputStream();
    var err = new ByteArrayOutputStream();
    var all = new ArrayList<>(List.of("--data-dir", dataDir.toString()));
    all.addAll(List.of(arguments));
    int code = new Main(io(stdin, out, err)).run(all.toArray(String[]::new));
    return new Result(
        code, out.toString(StandardCharsets.UTF_8), err.toString(StandardCharsets.UTF_8));
  }

  static Io io(String stdin, ByteArrayOutputStream out, ByteArrayOutputStream err) {
    return io(stdin, out, err, false);
  }

  /** With a screen as standard output, or without. */
  static Io io(String stdin, ByteArrayOutputStream out, ByteArrayOutputStream err, boolean screen) {
    InstantSource clock = InstantSource.system();
    return new Io(
        new ByteArrayInputStream(stdin.getBytes(StandardCharsets.UTF_8)),
        new PrintStream(out, false, StandardCharsets.UTF_8),
        new PrintStream(err, true, StandardCharsets.UTF_8),
        Map.of("HOSTNAME", "test-device"),
        false,
        screen,
        Io.Prompt.NONE,
        clock,
        new Random(1),
        clock.instant(),
        new CountDownLatch(1));
  }
}
