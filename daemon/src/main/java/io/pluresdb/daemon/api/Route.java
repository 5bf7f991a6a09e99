package io.pluresdb.daemon.api;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * A method and path, what it takes and who answers.
 *
 * @param bodyBytes largest body; 0 when the route takes none
 * @param parameters names of the query parameters it takes, {@code db} included
 */
record Route(String method, String path, int bodyBytes, List<String> parameters, Handler handler) {

  /** How a route answers, which decides where it runs and how its body arrives. */
  sealed interface Handler {
    /** Returns soon, without waiting for disk or network: may run on the event loop. */
    record Prompt(Promise promise) implements Handler {}

    /** May wait; has its body whole. */
    record Waiting(Work work) implements Handler {}

    /** May wait, and reads a body of any length as it comes. */
    record Reading(Work work) implements Handler {}
  }

  @FunctionalInterface
  interface Promise {
    CompletableFuture<Answer> answer(Request request);
  }

  @FunctionalInterface
  interface Work {
    /**
     * @throws IOException when the caller's connection broke
     */
    Answer answer(Request request) throws IOException, InterruptedException;
  }
}
