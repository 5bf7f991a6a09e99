package io.pluresdb.harness.bench;

import io.pluresdb.daemon.api.Request;
import io.pluresdb.harness.cluster.DaemonProcess;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * What a daemon holds at a moment, after a garbage collection; sizes in MiB.
 *
 * @param threads of the platform
 * @param files descriptors, those of the store aside, whose tables come and go with its size
 */
record Probe(double threads, double files, double heap, double resident, double store) {
  private static final double MEBI = 1 << 20;

  /** Collects the daemon's garbage and looks. */
  static Probe of(DaemonProcess daemon) throws IOException, InterruptedException {
    long pid = daemon.pid();
    Path jcmd = Path.of(System.getProperty("java.home"), "bin", "jcmd");
    int code =
        new ProcessBuilder(jcmd.toString(), Long.toString(pid), "GC.run")
            .redirectErrorStream(true)
            .redirectOutput(ProcessBuilder.Redirect.DISCARD)
            .start()
            .waitFor();
    if (code != 0) {
      throw new IOException("jcmd failed with exit code " + code);
    }
    String metrics;
    try (var client = daemon.client()) {
      metrics = new String(client.call(Request.get("/metrics")), StandardCharsets.UTF_8);
    }
    return new Probe(
        metric(metrics, "pluresdb_threads"),
        descriptors(pid, daemon.directory().resolve("databases")),
        metric(metrics, "pluresdb_heap_used_bytes") / MEBI,
        residentMebibytes(pid),
        metric(metrics, "pluresdb_store_bytes\\{database=\"default\"}") / MEBI);
  }

  private static double metric(String text, String name) {
    Matcher value = Pattern.compile("(?m)^" + name + " (\\S+)$").matcher(text);
    if (!value.find()) {
      throw new IllegalStateException("no metric " + name);
    }
    return Double.parseDouble(value.group(1));
  }

  private static long descriptors(long pid, Path without) throws IOException {
    long count = 0;
    try (var links = Files.newDirectoryStream(Path.of("/proc/" + pid + "/fd"))) {
      for (Path link : links) {
        try {
          count += Files.readSymbolicLink(link).startsWith(without) ? 0 : 1;
        } catch (java.nio.file.NoSuchFileException e) {
          // Closed meanwhile.
        }
      }
    }
    return count;
  }

  /** Most descriptors of a process that is started here. */
  static long fileLimit() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/limits"))) {
      if (line.startsWith("Max open files")) {
        String soft = line.substring("Max open files".length()).strip().split("\\s+", 2)[0];
        return soft.equals("unlimited") ? Long.MAX_VALUE : Long.parseLong(soft);
      }
    }
    throw new IllegalStateException("no limit of open files");
  }

  static double residentMebibytes(long pid) throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/" + pid + "/status"))) {
      if (line.startsWith("VmRSS:")) {
        return Double.parseDouble(line.replaceAll("[^0-9]", "")) / 1024;
      }
    }
    throw new IllegalStateException("no VmRSS");
  }
}
