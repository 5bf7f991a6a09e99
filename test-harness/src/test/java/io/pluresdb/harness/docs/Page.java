package io.pluresdb.harness.docs;

import io.pluresdb.harness.docs.Step.Printed;
import io.pluresdb.harness.docs.Step.Run;
import io.pluresdb.harness.docs.Step.Shown;
import io.pluresdb.harness.docs.Step.Start;
import io.pluresdb.harness.docs.Step.Stop;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A page of the documentation as what it tells the reader to do. */
record Page(String name, List<Step> steps) {
  private static final Pattern STOP = Pattern.compile("<!-- stop ([a-z]+) -->");
  private static final String FENCE = "```";

  /**
   * Reads a page.
   *
   * @throws IllegalArgumentException when a block has no end, or a kind that means nothing here
   */
  static Page of(String name, List<String> lines) {
    var steps = new ArrayList<Step>();
    for (int i = 0; i < lines.size(); i++) {
      int line = i + 1;
      String text = lines.get(i).strip();
      Matcher stop = STOP.matcher(text);
      while (stop.find()) {
        steps.add(new Stop(line, stop.group(1)));
      }
      if (!text.startsWith(FENCE)) {
        continue;
      }
      var content = new ArrayList<String>();
      for (i++; i < lines.size() && !lines.get(i).strip().equals(FENCE); i++) {
        content.add(lines.get(i));
      }
      if (i == lines.size()) {
        throw new IllegalArgumentException(name + ":" + line + ": the block has no end");
      }
      add(steps, name, line, text.substring(FENCE.length()).strip(), content);
    }
    return new Page(name, List.copyOf(steps));
  }

  private static void add(
      List<Step> steps, String name, int line, String kind, List<String> content) {
    String script = String.join("\n", content) + "\n";
    String[] words = kind.split(" ");
    switch (words[0]) {
      case "sh" -> {
        switch (kind.split(" ").length == 1 ? "" : words[1]) {
          case "" -> steps.add(new Run(line, script, false, List.of()));
          case "eventually" -> steps.add(new Run(line, script, true, List.of()));
          case "daemon" -> steps.add(new Start(line, words[2], script, true));
          case "background" -> steps.add(new Start(line, words[2], script, false));
          default -> throw new IllegalArgumentException(name + ":" + line + ": sh " + words[1]);
        }
      }
      case "text" -> {
        if (words.length == 2) {
          steps.add(new Printed(line, words[1], List.copyOf(content)));
        } else if (!steps.isEmpty() && steps.getLast() instanceof Run run) {
          steps.set(
              steps.size() - 1,
              new Run(run.line(), run.script(), run.eventually(), List.copyOf(content)));
        } else if (!steps.isEmpty() && steps.getLast() instanceof Start start) {
          steps.add(new Printed(line, start.name(), List.copyOf(content)));
        } else {
          throw new IllegalArgumentException(
              name + ":" + line + ": text that follows no command; name whose it is");
        }
      }
      default -> steps.add(new Shown(line, kind, List.copyOf(content)));
    }
  }

  /** Every command of the page. */
  String scripts() {
    var all = new StringBuilder();
    for (Step step : steps) {
      switch (step) {
        case Run run -> all.append(run.script());
        case Start start -> all.append(start.script());
        case Printed printed -> {}
        case Stop stop -> {}
        case Shown shown -> {}
      }
    }
    return all.toString();
  }
}
