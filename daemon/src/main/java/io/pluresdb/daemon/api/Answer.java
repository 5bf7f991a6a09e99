package io.pluresdb.daemon.api;

import java.io.IOException;

/** What a route answers when it did not fail. */
public sealed interface Answer {
  String JSON = "application/json";
  String NDJSON = "application/x-ndjson";
  String EVENTS = "text/event-stream";

  /**
   * A small answer, JSON in UTF-8.
   *
   * @param etag in quotes, as the header has it; empty for none
   */
  record Whole(byte[] json, String etag) implements Answer {}

  /** What the caller has is what it would get. */
  record Unchanged(String etag) implements Answer {}

  /** An answer of any length. */
  record Streamed(String contentType, Producer producer) implements Answer {}

  /** Writes an answer. Runs on a thread that may wait, not the event loop. */
  @FunctionalInterface
  interface Producer {
    /**
     * @throws IOException when the reader went away; a route passes it on
     * @throws InterruptedException when the process stops
     */
    void writeTo(Sink sink) throws IOException, InterruptedException;
  }

  static Whole of(JsonWriter json) {
    return new Whole(json.toByteArray(), "");
  }
}
