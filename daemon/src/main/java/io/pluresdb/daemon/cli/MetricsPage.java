package io.pluresdb.daemon.cli;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A page of metrics in Prometheus' text format, as the daemon writes it.
 *
 * @param samples in the order of the page
 */
record MetricsPage(List<Sample> samples) {
  private static final Pattern LINE =
      Pattern.compile("([a-z_]+)(?:\\{(.*)\\})? ([-+0-9.eE]+|NaN|[+-]Inf)");
  private static final Pattern LABEL = Pattern.compile("([a-z_]+)=\"((?:[^\"\\\\]|\\\\.)*)\",?");

  /**
   * One value.
   *
   * @param labels by name
   */
  record Sample(String name, Map<String, String> labels, double value) {
    String label(String name) {
      return labels.getOrDefault(name, "");
    }
  }

  static MetricsPage parse(byte[] page) {
    var samples = new ArrayList<Sample>();
    for (String line : new String(page, StandardCharsets.UTF_8).split("\n", -1)) {
      Matcher sample = LINE.matcher(line);
      if (sample.matches()) {
        samples.add(
            new Sample(
                sample.group(1), labels(sample.group(2)), Double.parseDouble(sample.group(3))));
      }
    }
    return new MetricsPage(List.copyOf(samples));
  }

  private static Map<String, String> labels(String text) {
    var labels = new LinkedHashMap<String, String>();
    Matcher label = LABEL.matcher(text == null ? "" : text);
    while (label.find()) {
      labels.put(
          label.group(1),
          label.group(2).replace("\\\"", "\"").replace("\\n", "\n").replace("\\\\", "\\"));
    }
    return labels;
  }

  /** All samples of a metric. */
  List<Sample> of(String name) {
    return samples.stream().filter(sample -> sample.name.equals(name)).toList();
  }

  /** The value with exactly these labels, 0 where there is none. */
  double value(String name, Map<String, String> labels) {
    return samples.stream()
        .filter(sample -> sample.name.equals(name) && sample.labels.equals(labels))
        .mapToDouble(Sample::value)
        .findFirst()
        .orElse(0);
  }

  double value(String name) {
    return value(name, Map.of());
  }
}
