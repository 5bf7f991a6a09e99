package io.pluresdb.daemon.api;

import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.value.Leaf;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.zip.GZIPInputStream;
import java.util.zip.ZipException;
import org.jspecify.annotations.Nullable;

/**
 * One import: NDJSON in, transactions out, a few of them in flight. Memory is bounded by the
 * transactions in flight and one line.
 */
final class Import {
  /** Documents and bytes of leaves a transaction gathers: half of what a change may hold. */
  private static final int TRANSACTION_BYTES = ChangeBody.MAX_BYTES / 2;

  /** Transactions that may wait for their commit at once. */
  private static final int IN_FLIGHT = 4;

  /** What a leaf or id costs in a change besides its own bytes: tags and lengths. */
  private static final int OVERHEAD_BYTES = 8;

  /** What {@code list} and {@code export} write may be read; the timestamp is not taken over. */
  private static final List<String> LINE = List.of("id", "data", "embedding", "timestamp");

  private record Flight(long firstLine, long lastLine, int count, CompletableFuture<?> done) {}

  private final CrdtStore store;
  private final Request request;
  private final Deque<Flight> flights = new ArrayDeque<>();
  private final List<Edit> gathered = new ArrayList<>();
  private long gatheredBytes;
  private long firstLine = 1;
  private long imported;

  Import(CrdtStore store, Request request) {
    this.store = store;
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
      add(DocumentRoutes.put(JsonMembers.read(text, "the document", LINE)), line);
    } catch (FlightFailed e) {
      throw e;
    } catch (RuntimeException e) {
      throw stopped(line, "line " + line, ApiException.of(e));
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

  private void add(Edit edit, long line) {
    if (gathered.isEmpty()) {
      firstLine = line;
    }
    gathered.add(edit);
    gatheredBytes += weight(edit);
    if (gathered.size() == ChangeBody.MAX_EDITS || gatheredBytes >= TRANSACTION_BYTES) {
      submit(line);
    }
  }

  private static long weight(Edit edit) {
    if (!(edit instanceof Edit.Put put)) {
      throw new IllegalStateException("an import only puts");
    }
    long bytes = OVERHEAD_BYTES;
    bytes += put.id().length;
    for (Leaf leaf : put.leaves()) {
      bytes += leaf.path().length + leaf.value().length + OVERHEAD_BYTES;
    }
    byte[] embedding = put.embedding();
    return bytes + (embedding == null ? 0 : embedding.length);
  }

  private void submit(long line) {
    if (gathered.isEmpty()) {
      return;
    }
    settle(IN_FLIGHT - 1);
    var transaction = new Transaction(gathered, Transaction.Acknowledgement.LOCAL);
    CompletableFuture<?> done;
    try {
      done = store.submit(transaction);
    } catch (RuntimeException e) {
      done = CompletableFuture.failedFuture(e);
    }
    flights.add(new Flight(firstLine, line, gathered.size(), done));
    gathered.clear();
    gatheredBytes = 0;
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
