package io.pluresdb.harness.docs;

import java.util.List;

/** One thing that a page says, in the order of the page. */
sealed interface Step {
  /** Line of the page on which it begins, from 1. */
  int line();

  /**
   * {@code ```sh}: commands that must succeed.
   *
   * @param eventually {@code ```sh eventually}: commands that only look, repeated until they
   *     succeed and print what is expected
   * @param expected lines of the {@code ```text} block that follows; {@code …} stands for anything,
   *     alone on a line for any lines. Empty where none follows: anything may be printed
   */
  record Run(int line, String script, boolean eventually, List<String> expected) implements Step {}

  /**
   * {@code ```sh daemon NAME} or {@code ```sh background NAME}: a command that goes on.
   *
   * @param daemon whether a line that says "ready" is waited for
   */
  record Start(int line, String name, String script, boolean daemon) implements Step {}

  /** {@code ```text NAME}: what a command that goes on has printed by then, as in {@link Run}. */
  record Printed(int line, String name, List<String> expected) implements Step {}

  /** {@code <!-- stop NAME -->} beside the words that say so. */
  record Stop(int line, String name) implements Step {}

  /** A block of another kind: nothing is done with it. */
  record Shown(int line, String kind, List<String> lines) implements Step {}
}
