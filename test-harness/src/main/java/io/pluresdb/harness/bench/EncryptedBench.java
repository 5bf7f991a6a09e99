package io.pluresdb.harness.bench;

import java.nio.file.Path;
import java.util.function.IntFunction;

/** What encryption at rest costs: the same device without and with it, in turn. */
final class EncryptedBench {
  private static final int[] CLIENTS = {1, 16, 256};
  private static final int[] PUTS = {2_000, 20_000, 120_000};
  private static final int ROUNDS = 5;
  private static final int GETS = 100_000;
  private static final double TARGET = 0.7;

  private EncryptedBench() {}

  /**
   * Durable puts of new 200-byte documents by 1, 16 and 256 clients, gets at random by one of what
   * the 256 put, and a scan of all. Each device is a process, as it is anywhere else: a data
   * directory is encrypted as a whole or not at all. Each begins a round when the other has nothing
   * left to do. Shares are medians of the rounds' own shares, so that a busy moment of the machine
   * falls on both.
   */
  static Report run(Path directory) {
    var report = new Report("encrypted").add("documentBytes", Documents.BYTES);
    try (Child plain = BenchStore.child(directory.resolve("plain"), false);
        Child sealed = BenchStore.child(directory.resolve("encrypted"), true)) {
      Child[] devices = {plain, sealed};
      plain.ask("warm");
      sealed.ask("warm");
      for (int i = 0; i < CLIENTS.length; i++) {
        String work = " " + CLIENTS[i] + " " + PUTS[i];
        String set = set(CLIENTS[i]);
        String suffix = "PerSecond" + CLIENTS[i];
        String share = "shareOfPuts" + CLIENTS[i];
        double[] shares =
            compare(report, "puts", suffix, n -> "puts " + set + "-" + n + work, devices);
        report.add(share, PutBench.median(shares), ">=", TARGET);
      }
      String among = "gets " + set(256) + " " + ROUNDS + " " + PUTS[2] / 256 + " " + GETS + " ";
      double[] gets = compare(report, "gets", "PerSecond", n -> among + n, devices);
      report.add("shareOfGets", PutBench.median(gets), ">=", TARGET);
      double[] scans = compare(report, "scanned", "PerSecond", n -> "scan", devices);
      report
          .add("shareOfScanned", PutBench.median(scans))
          .add("bytesOnDisk", number(plain, "bytes"))
          .add("encryptedBytesOnDisk", number(sealed, "bytes"));
    }
    return report;
  }

  private static String set(int clients) {
    return "c" + clients;
  }

  private static double number(Child device, String line) {
    return Double.parseDouble(device.ask(line)[0]);
  }

  /** The shares of the rounds; {@code line} is what the n-th asks of both. */
  private static double[] compare(
      Report report, String what, String suffix, IntFunction<String> line, Child[] devices) {
    double[] plain = new double[ROUNDS];
    double[] sealed = new double[ROUNDS];
    double[] share = new double[ROUNDS];
    for (int round = 0; round < ROUNDS; round++) {
      boolean first = round % 2 == 0;
      if (first) {
        plain[round] = number(devices[0], line.apply(round));
      }
      sealed[round] = number(devices[1], line.apply(round));
      if (!first) {
        plain[round] = number(devices[0], line.apply(round));
      }
      share[round] = sealed[round] / plain[round];
    }
    report
        .add(what + suffix, PutBench.median(plain))
        .add("encrypted" + capital(what) + suffix, PutBench.median(sealed));
    return share;
  }

  private static String capital(String word) {
    return Character.toUpperCase(word.charAt(0)) + word.substring(1);
  }
}
