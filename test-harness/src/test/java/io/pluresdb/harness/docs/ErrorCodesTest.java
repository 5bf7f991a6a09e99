package io.pluresdb.harness.docs;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The reference of error codes and the sources name the same ones. */
class ErrorCodesTest {
  private static final Path ROOT = Path.of(System.getProperty("pluresdb.root"));

  /** A string of the sources that looks like a code. */
  private static final Pattern LITERAL = Pattern.compile("\"([A-Z]+(?:_[A-Z]+)+)\"");

  /** Codes in messages that are put together. */
  private static final Pattern PRINTED = Pattern.compile("Error \\[([A-Z]+(?:_[A-Z]+)+)\\]");

  /** Why an invite is refused: who comes with it shows that with {@code NODE_} in front. */
  private static final Pattern REFUSAL = Pattern.compile("Reject\\(\\s*\"(INVITE_[A-Z]+)\"");

  /** A code of the reference. */
  private static final Pattern DOCUMENTED = Pattern.compile("`([A-Z]+(?:_[A-Z]+)+)`");

  /** Strings that look like codes and are names of other things: variables, ends of sessions. */
  private static final Set<String> NO_CODES =
      Set.of(
          "BAD_INTRODUCTION",
          "CREDENTIALS_DIRECTORY",
          "CREDENTIAL_EXPIRED",
          "DATABASE_CLOSED",
          "DUPLICATE_SESSION",
          "ENOUGH_NEIGHBOURS",
          "HTTPS_PROXY",
          "INVITE_EXPIRED",
          "INVITE_PENDING",
          "INVITE_USED",
          "IP_TTL",
          "JOURNAL_STREAM",
          "MALFORMED_MESSAGE",
          "NEW_EPOCH",
          "NOTIFY_SOCKET",
          "NOT_A_MEMBER",
          "NOT_READY",
          "NO_PROXY",
          "PLURESDB_DATA_DIR",
          "PLURESDB_JAVA_HOME",
          "PLURESDB_JAVA_OPTS",
          "REPLICATION_ENDED",
          "SYSLOG_IDENTIFIER",
          "THREAD_NAME",
          "TOO_SLOW",
          "WATCHDOG_PID",
          "WATCHDOG_USEC",
          "XDG_DATA_HOME");

  private static Set<String> found(Pattern pattern, String text) {
    var found = new TreeSet<String>();
    pattern.matcher(text).results().forEach(match -> found.add(match.group(1)));
    return found;
  }

  @Test
  void errorCode_ofTheSources_isInTheReference_andTheOtherWayRound() throws IOException {
    var inSources = new TreeSet<String>();
    for (String module : new String[] {"crdt", "storage", "transport", "client", "daemon"}) {
      try (Stream<Path> files = Files.walk(ROOT.resolve(module).resolve("src/main/java"))) {
        for (Path file : files.filter(one -> one.toString().endsWith(".java")).toList()) {
          String text = Files.readString(file);
          inSources.addAll(found(LITERAL, text));
          inSources.addAll(found(PRINTED, text));
          found(REFUSAL, text).forEach(code -> inSources.add("NODE_" + code));
        }
      }
    }
    for (String script : new String[] {"pluresdb", "verify", "bin/find-jdk25"}) {
      inSources.addAll(found(PRINTED, Files.readString(ROOT.resolve(script))));
    }
    assertThat(inSources).as("names that are no codes").containsAll(NO_CODES);
    inSources.removeAll(NO_CODES);
    String reference = Files.readString(ROOT.resolve("docs/reference/errors.md"));
    assertThat(found(DOCUMENTED, reference)).containsExactlyInAnyOrderElementsOf(inSources);
  }
}
