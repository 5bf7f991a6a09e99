package io.pluresdb.harness.sim;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.harness.fault.Fault;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.LongFunction;
import java.util.stream.Collectors;

/**
 * Runs many seeds: {@code --seeds N} of them from {@code --seed S} (default 1) on; {@code --json}
 * prints one object, {@code --controls} also switches each defence off, {@code --verbose} prints
 * every event. Exits with 2 when an invariant is violated or a control is not noticed.
 */
public final class SimMain {
  /** Seeds that each control runs with the defence off, and on. */
  private static final int MAX_CONTROL_SEEDS = 100;

  private SimMain() {}

  /**
   * What a number of seeds came to.
   *
   * @param trace a hash over the traces of all of them
   */
  record Summary(
      int seeds,
      List<Outcome> failures,
      long events,
      long messages,
      long acknowledged,
      long lost,
      long snapshots,
      double seconds,
      Map<Fault, Integer> fired,
      String trace) {
    /** Faults that had no effect in any run: what they were to test was not tested. */
    List<Fault> idle() {
      return fired.entrySet().stream()
          .filter(e -> e.getValue() == 0)
          .map(Map.Entry::getKey)
          .toList();
    }

    double seedsPerSecond() {
      return seeds / seconds;
    }

    @Override
    public String toString() {
      return String.format(
          java.util.Locale.ROOT,
          "seeds=%d failing=%s seconds=%.1f seedsPerSecond=%.2f events=%d messages=%d"
              + " acknowledged=%d allowedLosses=%d snapshots=%d fired=%s",
          seeds,
          failures.stream().map(Outcome::seed).toList(),
          seconds,
          seedsPerSecond(),
          events,
          messages,
          acknowledged,
          lost,
          snapshots,
          fired);
    }

    String json() {
      String faults =
          fired.entrySet().stream()
              .map(e -> "\"" + e.getKey() + "\":" + e.getValue())
              .collect(Collectors.joining(","));
      return String.format(
          java.util.Locale.ROOT,
          "{\"seeds\":%d,\"failing\":%s,\"seconds\":%.3f,\"seedsPerSecond\":%.3f,\"events\":%d,"
              + "\"messages\":%d,\"acknowledged\":%d,\"allowedLosses\":%d,\"snapshots\":%d,\"fired\":{%s},"
              + "\"trace\":\"%s\"}",
          seeds,
          failures.stream().map(Outcome::seed).toList(),
          seconds,
          seedsPerSecond(),
          events,
          messages,
          acknowledged,
          lost,
          snapshots,
          faults,
          trace);
    }
  }

  static Summary run(long firstSeed, int seeds) {
    return run(firstSeed, seeds, Scenario::of);
  }

  static Summary run(long firstSeed, int seeds, LongFunction<Scenario> scenarios) {
    var fired = new EnumMap<Fault, Integer>(Fault.class);
    for (Fault fault : Fault.values()) {
      fired.put(fault, 0);
    }
    var failures = new ArrayList<Outcome>();
    long events = 0;
    long messages = 0;
    long acknowledged = 0;
    long lost = 0;
    long snapshots = 0;
    String trace = "";
    long started = System.nanoTime();
    for (Outcome outcome : outcomes(firstSeed, seeds, scenarios)) {
      outcome.fired().forEach((fault, count) -> fired.merge(fault, count, Integer::sum));
      events += outcome.events();
      messages += outcome.messages();
      acknowledged += outcome.acknowledged();
      lost += outcome.lost();
      snapshots += outcome.snapshots();
      trace =
          Hash.of("traces", (trace + outcome.trace()).getBytes(StandardCharsets.US_ASCII)).hex();
      if (outcome.failed()) {
        failures.add(outcome);
      }
    }
    double seconds = (System.nanoTime() - started) / 1e9;
    return new Summary(
        seeds, failures, events, messages, acknowledged, lost, snapshots, seconds, fired, trace);
  }

  /** Runs seeds on all processors; each is alone with its thread, so the order changes nothing. */
  private static List<Outcome> outcomes(
      long firstSeed, int seeds, LongFunction<Scenario> scenarios) {
    var outcomes = new Outcome[seeds];
    var next = new AtomicInteger();
    Callable<Void> worker =
        () -> {
          int i;
          while ((i = next.getAndIncrement()) < seeds) {
            try {
              outcomes[i] = Simulator.run(scenarios.apply(firstSeed + i));
            } catch (RuntimeException e) {
              throw new IllegalStateException("seed " + (firstSeed + i) + ": " + e, e);
            }
          }
          return null;
        };
    int workers = Math.min(seeds, Runtime.getRuntime().availableProcessors());
    try (var threads = Executors.newFixedThreadPool(workers)) {
      for (Future<Void> done : threads.invokeAll(Collections.nCopies(workers, worker))) {
        done.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted between seeds", e);
    } catch (ExecutionException e) {
      throw new IllegalStateException("the simulator itself failed: " + e.getCause(), e);
    }
    return List.of(outcomes);
  }

  /** Entry point. */
  public static void main(String[] arguments) {
    long seed = 1;
    int seeds = 1;
    boolean json = false;
    boolean verbose = false;
    boolean controls = false;
    for (int i = 0; i < arguments.length; i++) {
      switch (arguments[i]) {
        case "--seed" -> seed = Long.parseLong(arguments[++i]);
        case "--seeds" -> seeds = Integer.parseInt(arguments[++i]);
        case "--json" -> json = true;
        case "--verbose" -> verbose = true;
        case "--controls" -> controls = true;
        default -> {
          System.err.println(
              "Usage: SimMain [--seeds N] [--seed S] [--json] [--controls] [--verbose]");
          System.exit(64);
        }
      }
    }
    if (verbose) {
      Scenario scenario = Scenario.of(seed);
      Outcome outcome = new SimCluster(scenario, System.out::println).run(scenario.schedule());
      System.out.println(outcome);
      System.exit(outcome.failed() ? 2 : 0);
    }
    Summary summary = run(seed, seeds);
    if (!json) {
      System.out.println(summary);
      summary.failures().stream()
          .limit(3)
          .forEach(o -> System.out.println(Simulator.report(Scenario.of(o.seed()), o)));
    }
    boolean good = summary.failures().isEmpty();
    if (controls) {
      if (!json) {
        System.out.println(Controls.HEADER);
      }
      boolean quiet = json;
      var results =
          Controls.run(
              Controls.all(),
              seed,
              Math.min(seeds, MAX_CONTROL_SEEDS),
              result -> {
                if (!quiet) {
                  System.out.println(result + (result.isAsMeant() ? "" : "  NOT AS MEANT"));
                }
              });
      good &= results.stream().allMatch(Controls.Result::isAsMeant);
      if (json) {
        System.out.println(
            "{\"simulation\":"
                + summary.json()
                + ",\"controls\":["
                + results.stream().map(Controls.Result::json).collect(Collectors.joining(","))
                + "]}");
      }
    } else if (json) {
      System.out.println(summary.json());
    }
    System.exit(good ? 0 : 2);
  }
}
