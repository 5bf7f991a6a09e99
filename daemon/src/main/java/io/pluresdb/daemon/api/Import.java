package io.pluresdb.daemon.api;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.daemon.access.Level;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.search.Searches;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.stream.Collectors;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * One import: NDJSON in, transactions out, a few of them in flight. Memory is bounded by the
 * transactions in flight and one line.
 */
final class Import {
  /** Bytes after which a transaction is full: half of what a change may hold. */
  private static final int FULL_BYTES = ChangeBody.MAX_BYTES / 2;

  /** Bytes it holds at most, unless it is one document. */
  private static final int MOST_BYTES = ChangeBody.MAX_BYTES / 4 * 3;

  /** Transactions that may wait for their commit at once. */
  private static final int IN_FLIGHT = 4;

  /** How often, and how long, a transaction waits for room in the queue of the database. */
  private static final int MAX_WAITS = 3_000;

  private static final long WAIT_NANOS = TimeUnit.MILLISECONDS.toNanos(20);

  private record Flight(long firstLine, long lastLine, int count, CompletableFuture<?> done) {}

  private final CrdtStore store;
  private final Searches searches;
  private final Request request;
  private final Deque<Flight> flights = new ArrayDeque<>();
  private final List<Edit> gathered = new ArrayList<>();
  private long gatheredBytes;
  private long firstLine = 1;
  private long imported;

  Import(CrdtStore store, Searches searches, Request request) {
    this.store = store;
    this.searches = searches;
    this.request = request;
  }

  Answer answer() throws IOException {
    long line = 0;
    try (InputStream body = decoded()) {
      var lines = new Lines(body, DocumentRoutes.DOCUMENT_BODY_BYTES);
      for (JsonMembers.Slice text = next(lines); text != null; text = next(lines)) {
        line = lines.number();
        if (text.from() < text.to()) {
          take(text, line);
        }
      }
      submit(line);
      settle(0);
      return Answer.of(
          new JsonWriter().beginObject().name("imported").number(imported).endObject());
    } catch (FlightFailed e) {
      throw failure(e.place, e.failure);
    } catch (Lines.TooLong e) {
      throw stopped(line, "line " + (line + 1), e.asApiException());
    } catch (ZipException | EOFException e) {
      // What breaks in the connection instead is another IOException, and answers nobody.
      throw stopped(
          line,
          "after line " + line,
          ApiException.malformed("the body is no gzip, or not all of it: " + e.getMessage()));
    }
  }

  /** The next line; a body that stands still ends the import like a bad line. */
  private JsonMembers.@Nullable Slice next(Lines lines) throws IOException {
    try {
      return lines.next();
    } catch (ApiException e) {
      throw stopped(lines.number(), "after line " + lines.number(), e);
    }
  }

  private void take(JsonMembers.Slice text, long line) {
    try {
      switch (ExportLine.read(text)) {
        case ExportLine.Document(var put) -> add(put, line);
        case ExportLine.Header(var indexes) -> declare(indexes);
      }
    } catch (FlightFailed e) {
      throw e;
    } catch (RuntimeException e) {
      throw stopped(line, "line " + line, ApiException.of(e));
    }
  }

  /** Makes the indexes that are not there; only that needs an administrator. */
  private void declare(List<IndexDefinition> indexes) {
    Set<List<String>> there =
        searches.status().stream()
            .filter(index -> index.kind().equals("fields"))
            .map(Searches.IndexStatus::fields)
            .collect(Collectors.toSet());
    for (IndexDefinition index : indexes) {
      if (!there.contains(index.fields())) {
        request.caller().require(Level.ADMIN);
        searches.declare(index);
      }
    }
  }

  private InputStream decoded() throws IOException {
    String encoding = request.headers().getOrDefault("content-encoding", "identity");
    return switch (encoding) {
      case "identity" -> request.stream();
      case "gzip" -> new GZIPInputStream(request.stream(), 64 << 10);
      default ->
          throw new ApiException(
              415,
              "API_UNSUPPORTED_ENCODING",
              "Content-Encoding must be gzip or identity, but is " + encoding,
              "send the lines as they are");
    };
  }

  private void add(Edit.Put put, long line) {
    long bytes = put.bytes();
    if (gatheredBytes + bytes > MOST_BYTES) {
      submit(line - 1);
    }
    if (gathered.isEmpty()) {
      firstLine = line;
    }
    gathered.add(put);
    gatheredBytes += bytes;
    if (gathered.size() == ChangeBody.MAX_EDITS || gatheredBytes >= FULL_BYTES) {
      submit(line);
    }
  }

  private void submit(long line) {
    if (gathered.isEmpty()) {
      return;
    }
    settle(IN_FLIGHT - 1);
    var transaction = new Transaction(gathered, Transaction.Acknowledgement.LOCAL);
    CompletableFuture<?> done = submit(transaction);
    for (int i = 0; i < MAX_WAITS && isOverloaded(done); i++) {
      // Others fill the queue; nobody wants to begin a whole file again because of that.
      settle(0);
      LockSupport.parkNanos(WAIT_NANOS);
      done = submit(transaction);
    }
    flights.add(new Flight(firstLine, line, gathered.size(), done));
    gathered.clear();
    gatheredBytes = 0;
  }

  private CompletableFuture<?> submit(Transaction transaction) {
    try {
      return store.submit(transaction);
    } catch (RuntimeException e) {
      return CompletableFuture.failedFuture(e);
    }
  }

  private static boolean isOverloaded(CompletableFuture<?> done) {
    return done.isCompletedExceptionally()
        && done.exceptionNow() instanceof CoreException refused
        && refused.kind() == CoreException.Kind.OVERLOADED;
  }

  /** Waits until at most {@code left} transactions are in flight. */
  private void settle(int left) {
    FlightFailed failed = null;
    while (flights.size() > left || (failed != null && !flights.isEmpty())) {
      Flight flight = flights.remove();
      try {
        flight.done.join();
        imported += flight.count;
      } catch (RuntimeException e) {
        if (failed == null) {
          failed =
              new FlightFailed(
                  "lines " + flight.firstLine + " to " + flight.lastLine, ApiException.of(e));
        }
      }
    }
    if (failed != null) {
      throw failed;
    }
  }

  /** Commits what came before a bad line, so that the count in the answer is the truth. */
  private ApiException stopped(long line, String place, ApiException failure) {
    try {
      submit(line);
      settle(0);
      return failure(place, failure);
    } catch (FlightFailed e) {
      return failure(e.place, e.failure);
    }
  }

  private ApiException failure(String place, ApiException failure) {
    return new ApiException(
        failure.status(),
        failure.code(),
        place + ": " + failure.message() + "; " + imported + " documents are in",
        "correct it and import the whole file again: documents that are in already stay as they"
            + " are");
  }

  private static final class FlightFailed extends RuntimeException {
    private static final long serialVersionUID = 1;
    private final String place;
    private final ApiException failure;

    FlightFailed(String place, ApiException failure) {
      super(failure);
      this.place = place;
      this.failure = failure;
    }
  }
}
