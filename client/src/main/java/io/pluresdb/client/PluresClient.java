package io.pluresdb.client;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.NoSuchElementException;
import java.util.Optional;
import java.util.Spliterator;
import java.util.Spliterators;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.jspecify.annotations.Nullable;

/**
 * A client of one database of a daemon; waits for each answer. Safe from any thread: each request
 * has a connection of its own, and up to {@value #MAX_IDLE} are kept for the next.
 *
 * <p>Documents are JSON text, so any JSON library can be used with it. What a daemon refuses is a
 * {@link PluresException}.
 */
public final class PluresClient implements AutoCloseable {
  /** Connections that are kept between requests. */
  public static final int MAX_IDLE = 16;

  private final DaemonConnection.Target target;
  private final @Nullable String database;
  private final Map<String, String> copies;
  private final Deque<DaemonConnection> idle; // Guarded by itself; shared by in() and copies().

  private PluresClient(DaemonConnection.Target target) {
    this(target, null, Map.of(), new ArrayDeque<>());
  }

  private PluresClient(
      DaemonConnection.Target target,
      @Nullable String database,
      Map<String, String> copies,
      Deque<DaemonConnection> idle) {
    this.target = target;
    this.database = database;
    this.copies = copies;
    this.idle = idle;
  }

  /** A daemon's Unix socket, {@code DATA_DIR/pluresdb.sock}; its user needs no token. */
  public static PluresClient unix(Path socket) {
    return new PluresClient(DaemonConnection.Target.unix(socket));
  }

  /** A daemon's port on the loopback address. */
  public static PluresClient tcp(int port, String token) {
    var address = new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
    return new PluresClient(DaemonConnection.Target.tcp(address, token));
  }

  /**
   * The daemon that serves a data directory of this user: by its socket, or where there is none, by
   * its port and main token.
   *
   * @throws IOException when no daemon says there where it is
   */
  public static PluresClient of(Path dataDirectory) throws IOException {
    Json ports = Json.parse(Files.readString(dataDirectory.resolve("ports.json")));
    String socket = ports.get("socket").string();
    if (!socket.isEmpty()) {
      return unix(Path.of(socket));
    }
    String http = ports.get("http").string();
    return tcp(
        Integer.parseInt(http.substring(http.lastIndexOf(':') + 1)),
        Files.readString(dataDirectory.resolve("api-token")).strip());
  }

  /** A client of another database of the same daemon; it shares connections with this one. */
  public PluresClient in(String name) {
    return new PluresClient(target, name, copies, idle);
  }

  /**
   * A client whose {@code put}, {@code putIf}, {@code patch} and {@code delete} end when so many
   * other devices have the write on their disks too. They throw {@code NODE_NOT_REPLICATED} when
   * that takes too long: the write is made all the same.
   *
   * @param number 1 to 63; 0 for no others
   * @param wait for so long, to 10 minutes
   */
  public PluresClient copies(int number, Duration wait) {
    var members =
        Map.of("copies", String.valueOf(number), "waitMillis", String.valueOf(wait.toMillis()));
    return new PluresClient(target, database, members, idle);
  }

  /** The same without waiting. */
  public AsyncPluresClient async() {
    return new AsyncPluresClient(this);
  }

  /**
   * A document.
   *
   * @param data JSON
   * @param timestamp milliseconds since 1970
   * @param etag stands for this state of it; empty where it came in a list or as an event
   */
  public record Document(String id, String data, long timestamp, String etag) {}

  /**
   * A change.
   *
   * @param position goes into {@link #watch} to go on behind it; empty within a change that has
   *     several
   * @param id of the document; empty for a gap, where changes are no longer told one by one
   * @param document as it is now; null when it was deleted
   */
  public record Change(String position, String id, @Nullable Document document) {}

  /**
   * What an SQL statement gave.
   *
   * @param columns their names, in order
   * @param rows a value for each column
   * @param changes number of documents that were written
   * @param lastInsertRowid key of the last row inserted, where that is a whole number; else null
   */
  public record Rows(
      List<String> columns, List<List<Json>> rows, long changes, @Nullable Long lastInsertRowid) {}

  /** Writes a document, whatever it was before. */
  public void put(String id, String json) {
    write("/api/put", "data", Map.of(), id, json);
  }

  /**
   * Writes a document if it is as it was when it had that tag.
   *
   * @throws PluresException 412 {@code CORE_PRECONDITION_FAILED} when it is not
   */
  public void putIf(String etag, String id, String json) {
    write("/api/put", "data", Map.of("If-Match", etag), id, json);
  }

  /** Merges a patch (RFC 7396) into a document that exists. */
  public void patch(String id, String json) {
    write("/api/patch", "patch", Map.of(), id, json);
  }

  private void write(
      String path, String member, Map<String, String> headers, String id, String json) {
    var body = new StringBuilder("{\"id\":").append(Json.quoted(id));
    body.append(",\"").append(member).append("\":").append(json);
    copies.forEach((name, number) -> body.append(",\"").append(name).append("\":").append(number));
    call("POST", path, Map.of(), headers, body.append('}').toString());
  }

  /** Deletes a document that exists. */
  public void delete(String id) {
    var query = new HashMap<>(copies);
    query.put("id", id);
    call("DELETE", "/api/delete", query, Map.of(), null);
  }

  /** The document, or empty when it does not exist. */
  public Optional<Document> get(String id) {
    try {
      Exchange exchange = open("GET", "/api/get", Map.of("id", id), Map.of(), null);
      String text = exchange.text();
      return Optional.of(
          document(Json.parse(text), exchange.reply.headers().getOrDefault("etag", "")));
    } catch (PluresException e) {
      if (e.code().equals("CORE_NODE_NOT_FOUND")) {
        return Optional.empty();
      }
      throw e;
    }
  }

  private static Document document(Json json, String etag) {
    return new Document(
        json.get("id").string(), json.get("data").write(), json.get("timestamp").integer(), etag);
  }

  /** The documents whose ids begin with a prefix, as they come; close the stream. */
  public Stream<Document> list(String prefix) {
    return lines("/api/list", Map.of("prefix", prefix), "application/x-ndjson")
        .map(line -> document(Json.parse(line), ""));
  }

  /**
   * Carries an SQL statement out.
   *
   * @param parameters for the question marks, in order; what {@link Json#of} takes
   * @throws PluresException {@code CORE_SQLITE_ERROR} for what is no statement
   */
  public Rows query(String sql, @Nullable Object... parameters) {
    String body =
        "{\"sql\":%s,\"params\":%s}"
            .formatted(Json.quoted(sql), Json.of(Arrays.asList(parameters)).write());
    Json answer = call("POST", "/api/query", Map.of(), Map.of(), body);
    Json last = answer.get("lastInsertRowid");
    return new Rows(
        answer.get("columns").elements().stream().map(Json::string).toList(),
        answer.get("rows").elements().stream().map(Json::elements).toList(),
        answer.get("changes").integer(),
        last instanceof Json.Null ? null : last.integer());
  }

  /**
   * Changes as they come; close the stream, from another thread if need be.
   *
   * @param since a {@link Change#position}, {@code "0"} for all there is, or null for from now on
   */
  public Stream<Change> watch(String prefix, @Nullable String since) {
    Map<String, String> query =
        since == null ? Map.of("prefix", prefix) : Map.of("prefix", prefix, "since", since);
    var position = new StringBuilder();
    return lines("/api/watch", query, "text/event-stream")
        .mapMulti(
            (line, changes) -> {
              if (line.startsWith("id: ")) {
                position.setLength(0);
                position.append(line, 4, line.length());
              } else if (line.startsWith("data: ")) {
                Json event = Json.parse(line.substring(6));
                changes.accept(
                    new Change(
                        position.toString(),
                        event.has("id") ? event.get("id").string() : "",
                        event.has("data") ? document(event, "") : null));
                position.setLength(0);
              }
            });
  }

  /**
   * Writes documents of any number; NDJSON of {@code {"id", "data"}}.
   *
   * @return how many
   */
  public long importLines(InputStream lines) {
    Exchange exchange =
        open("POST", "/api/import", Map.of(), Map.of(), new DaemonConnection.Body.Stream(lines));
    return Json.parse(exchange.text()).get("imported").integer();
  }

  /**
   * Any route.
   *
   * @param body JSON, or null for none
   * @return the whole answer
   */
  public Json call(
      String method,
      String path,
      Map<String, String> query,
      Map<String, String> headers,
      @Nullable String body) {
    DaemonConnection.Body carried =
        body == null
            ? new DaemonConnection.Body.None()
            : new DaemonConnection.Body.Bytes(body.getBytes(StandardCharsets.UTF_8));
    String text = open(method, path, query, headers, carried).text();
    return text.isEmpty() ? new Json.Null() : Json.parse(text);
  }

  private Stream<String> lines(String path, Map<String, String> query, String accept) {
    Exchange exchange = open("GET", path, query, Map.of("Accept", accept), null);
    var reader =
        new BufferedReader(new InputStreamReader(exchange.reply.body(), StandardCharsets.UTF_8));
    var lines =
        new Spliterators.AbstractSpliterator<String>(Long.MAX_VALUE, Spliterator.ORDERED) {
          @Override
          public boolean tryAdvance(java.util.function.Consumer<? super String> action) {
            try {
              String line = reader.readLine();
              if (line == null) {
                return false;
              }
              action.accept(line);
              return true;
            } catch (IOException e) {
              throw new PluresException(e);
            }
          }
        };
    return StreamSupport.stream(lines, false).onClose(exchange::end);
  }

  /** A request that was answered. */
  private final class Exchange {
    private final DaemonConnection connection;
    private final DaemonConnection.Reply reply;

    Exchange(DaemonConnection connection, DaemonConnection.Reply reply) {
      this.connection = connection;
      this.reply = reply;
    }

    /** The whole body; the connection is free afterwards. */
    String text() {
      try {
        return new String(reply.body().readAllBytes(), StandardCharsets.UTF_8);
      } catch (IOException e) {
        throw new PluresException(e);
      } finally {
        end();
      }
    }

    void end() {
      synchronized (idle) {
        if (connection.isReusable() && idle.size() < MAX_IDLE) {
          idle.push(connection);
          return;
        }
      }
      connection.close();
    }
  }

  private Exchange open(
      String method,
      String path,
      Map<String, String> query,
      Map<String, String> headers,
      DaemonConnection.@Nullable Body given) {
    var all = new HashMap<>(query);
    if (database != null) {
      all.put("db", database);
    }
    String at = DaemonConnection.target(path, all);
    DaemonConnection.Body body = given == null ? new DaemonConnection.Body.None() : given;
    DaemonConnection kept = pooled();
    Exchange exchange = null;
    if (kept != null) {
      try {
        exchange = new Exchange(kept, kept.send(method, at, headers, body));
      } catch (IOException e) {
        kept.close();
        // It may have timed out; what can be asked twice is asked on a fresh one.
        if (!method.equals("GET")) {
          throw new PluresException(e);
        }
      }
    }
    if (exchange == null) {
      try {
        DaemonConnection fresh = DaemonConnection.open(target);
        exchange = new Exchange(fresh, fresh.send(method, at, headers, body));
      } catch (IOException e) {
        throw new PluresException(e);
      }
    }
    if (exchange.reply.status() >= 300 && exchange.reply.status() != 304) {
      throw refused(exchange.reply.status(), exchange.text());
    }
    return exchange;
  }

  private @Nullable DaemonConnection pooled() {
    synchronized (idle) {
      return idle.poll();
    }
  }

  private static PluresException refused(int status, String text) {
    try {
      Json error = Json.parse(text).get("error");
      return new PluresException(
          status,
          error.get("code").string(),
          error.get("message").string(),
          error.get("hint").string());
    } catch (IllegalArgumentException | NoSuchElementException e) {
      return new PluresException(
          status, "API_UNREACHABLE", "this is no PluresDB daemon: " + e.getMessage(), "");
    }
  }

  /** Closes the connections that are kept, those of {@link #in} too. */
  @Override
  public void close() {
    synchronized (idle) {
      idle.forEach(DaemonConnection::close);
      idle.clear();
    }
  }
}
