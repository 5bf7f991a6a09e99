package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Caller;
import java.io.InputStream;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A request, whichever way it came.
 *
 * @param method upper case
 * @param path decoded, for example {@code /api/get}
 * @param query parameters, decoded, each at most once
 * @param headers those that routes look at, names in lower case: {@code accept}, {@code
 *     content-encoding}, {@code if-match}, {@code if-none-match}, {@code last-event-id}
 * @param caller who asks; clients leave it as it is
 */
public record Request(
    String method,
    String path,
    Map<String, String> query,
    Map<String, String> headers,
    Body body,
    Caller caller) {
  /** Headers that routes look at. */
  static final List<String> HEADERS =
      List.of("accept", "content-encoding", "if-match", "if-none-match", "last-event-id");

  /** Who runs a command in the process that has the data directory open. */
  private static final Caller COMMAND_LINE = Caller.owner("command-line");

  /** What the request carries. */
  public sealed interface Body {
    /** All of it, in memory; the array is the request's. */
    record Bytes(byte[] bytes) implements Body {}

    /** A stream of any length, read once by the route. */
    record Stream(InputStream stream) implements Body {}
  }

  static final Body NO_BODY = new Body.Bytes(new byte[0]);

  public Request {
    query = Map.copyOf(query);
    headers = Map.copyOf(headers);
  }

  public static Request get(String path) {
    return new Request("GET", path, Map.of(), Map.of(), NO_BODY, COMMAND_LINE);
  }

  public static Request delete(String path) {
    return new Request("DELETE", path, Map.of(), Map.of(), NO_BODY, COMMAND_LINE);
  }

  /** A POST of JSON. */
  public static Request post(String path, byte[] json) {
    return new Request("POST", path, Map.of(), Map.of(), new Body.Bytes(json), COMMAND_LINE);
  }

  public static Request post(String path, InputStream body) {
    return new Request("POST", path, Map.of(), Map.of(), new Body.Stream(body), COMMAND_LINE);
  }

  /** This request with one more query parameter. */
  public Request with(String name, String value) {
    var more = new TreeMap<>(query);
    more.put(name, value);
    return new Request(method, path, more, headers, body, caller);
  }

  /** This request with one more header. */
  public Request withHeader(String name, String value) {
    var more = new TreeMap<>(headers);
    more.put(name, value);
    return new Request(method, path, query, more, body, caller);
  }

  /** The body of a route that takes it whole. */
  byte[] bytes() {
    return switch (body) {
      case Body.Bytes(byte[] bytes) -> bytes;
      case Body.Stream s -> throw new IllegalStateException("this route takes its body whole");
    };
  }

  /** The body of a route that reads it as a stream. */
  InputStream stream() {
    return switch (body) {
      case Body.Bytes(byte[] bytes) -> new java.io.ByteArrayInputStream(bytes);
      case Body.Stream(InputStream stream) -> stream;
    };
  }

  /** Whether the caller wants one JSON value a line. */
  boolean wantsLines() {
    return headers.getOrDefault("accept", "").contains(Answer.NDJSON);
  }
}
