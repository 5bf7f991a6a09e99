package io.pluresdb.harness.docs;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.harness.fault.Defect;
import io.pluresdb.harness.fault.Fault;
import io.pluresdb.harness.fault.Mutant;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The tests, faults and controls that a page names as evidence are there. */
class NamedTestsTest {
  private static final Path ROOT = Path.of(System.getProperty("pluresdb.root"));
  private static final Pattern TEST = Pattern.compile("`([A-Z]\\w*Test)(?:\\.(\\w+))?`");
  private static final Pattern SWITCH = Pattern.compile("`([A-Z]+(?:_[A-Z]+)+)`");

  @Test
  void durability_namesTestsAndControlsThatAreThere() throws IOException {
    String page = Files.readString(ROOT.resolve("docs/design/durability.md"));
    Map<String, String> sources = sources();
    var missing = new TreeSet<String>();
    var named = TEST.matcher(page);
    int tests = 0;
    while (named.find()) {
      tests++;
      String source = sources.getOrDefault(named.group(1), "");
      String method = named.group(2);
      if (source.isEmpty() || (method != null && !source.contains("void " + method + "("))) {
        missing.add(named.group());
      }
    }
    var switches = new HashSet<String>();
    Stream.of(Defect.values(), Fault.values(), Mutant.values())
        .flatMap(Arrays::stream)
        .forEach(one -> switches.add(one.name()));
    var control = SWITCH.matcher(page);
    while (control.find()) {
      if (!switches.contains(control.group(1))) {
        missing.add(control.group());
      }
    }
    assertThat(missing).isEmpty();
    assertThat(tests).isGreaterThan(40);
  }

  private static Map<String, String> sources() throws IOException {
    var sources = new HashMap<String, String>();
    try (Stream<Path> modules = Files.list(ROOT)) {
      for (Path module : modules.filter(m -> Files.exists(m.resolve("src/test"))).toList()) {
        try (Stream<Path> files = Files.walk(module.resolve("src/test"))) {
          for (Path file : files.filter(f -> f.toString().endsWith("Test.java")).toList()) {
            String name = String.valueOf(file.getFileName());
            sources.put(
                name.substring(0, name.length() - ".java".length()), Files.readString(file));
          }
        }
      }
    }
    return sources;
  }
}
