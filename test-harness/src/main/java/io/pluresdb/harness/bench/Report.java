package io.pluresdb.harness.bench;

import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;

/** The figures of one scenario, in the order they were added. */
final class Report {
  private final Map<String, Object> figures = new LinkedHashMap<>();

  Report(String scenario) {
    figures.put("scenario", scenario);
  }

  Report add(String name, Object value) {
    figures.put(name, value instanceof Double d ? rounded(d) : value);
    return this;
  }

  /** Adds a figure with the target it is held against. */
  Report add(String name, double value, String relation, double target) {
    boolean met = relation.equals(">=") ? value >= target : value <= target;
    figures.put(name, rounded(value));
    figures.put(name + "Target", relation + " " + rounded(target) + (met ? " met" : " MISSED"));
    return this;
  }

  /** A figure that was added. */
  Object figure(String name) {
    return Objects.requireNonNull(figures.get(name), name);
  }

  private static Object rounded(double value) {
    double scale = Math.abs(value) >= 1_000 ? 1 : Math.abs(value) >= 10 ? 10 : 1_000;
    double rounded = Math.round(value * scale) / scale;
    return rounded == Math.rint(rounded) ? (Object) (long) rounded : (Object) rounded;
  }

  void print(boolean json) {
    if (json) {
      System.out.println(
          JsonMapper.builder()
              .enable(SerializationFeature.INDENT_OUTPUT)
              .build()
              .valueToTree(figures)
              .toPrettyString());
    } else {
      figures.forEach((name, value) -> System.out.printf("%-36s %s%n", name, value));
    }
  }

  /** The value below which {@code share} of the samples lie; sorts them. */
  static double percentile(long[] nanos, double share) {
    long[] sorted = nanos.clone();
    Arrays.sort(sorted);
    return sorted[(int) Math.min(sorted.length - 1, Math.round(share * sorted.length))] / 1e6;
  }
}
