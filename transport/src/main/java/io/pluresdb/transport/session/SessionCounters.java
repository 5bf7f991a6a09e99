package io.pluresdb.transport.session;

import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.atomic.LongAdder;

/**
 * What a transport has counted since it started; every name is there from the start, at zero.
 *
 * <p>{@code accepted}: connections taken. {@code dialled}: connections attempted. {@code
 * established}: sessions both sides accepted. {@code continued}: further paths of these. {@code
 * closed.COUNTER}: ends of connections by {@link CloseReason#counter}, failed attempts included.
 * {@code refused.LIMIT}: those closed as refused, by the limit that was met ({@link
 * CloseReason#LIMITS}). {@code bytes.sent}, {@code bytes.received}: as on the socket.
 */
public final class SessionCounters {
  private final LongAdder accepted = new LongAdder();
  private final LongAdder dialled = new LongAdder();
  private final LongAdder established = new LongAdder();
  private final LongAdder continued = new LongAdder();
  private final LongAdder bytesSent = new LongAdder();
  private final LongAdder bytesReceived = new LongAdder();
  private final Map<String, LongAdder> closed = new LinkedHashMap<>();
  private final Map<String, LongAdder> refused = new LinkedHashMap<>();

  public SessionCounters() {
    CloseReason.COUNTERS.forEach(code -> closed.put(code, new LongAdder()));
    CloseReason.LIMITS.forEach(limit -> refused.put(limit, new LongAdder()));
  }

  public void countAccepted() {
    accepted.increment();
  }

  public void countDialled() {
    dialled.increment();
  }

  public void countEstablished() {
    established.increment();
  }

  public void countContinued() {
    continued.increment();
  }

  public void countSent(long bytes) {
    bytesSent.add(bytes);
  }

  public void countReceived(long bytes) {
    bytesReceived.add(bytes);
  }

  public void countClosed(CloseReason reason) {
    LongAdder adder = closed.get(reason.counter());
    if (adder == null) {
      throw new IllegalStateException("CloseReason.COUNTERS lacks " + reason.counter());
    }
    adder.increment();
    if (reason instanceof CloseReason.Refused(String limit)) {
      LongAdder ofLimit = refused.get(limit);
      if (ofLimit == null) {
        throw new IllegalStateException("CloseReason.LIMITS lacks " + limit);
      }
      ofLimit.increment();
    }
  }

  /** Names and values, in a fixed order. */
  public Map<String, Long> snapshot() {
    Map<String, Long> values = new LinkedHashMap<>();
    values.put("accepted", accepted.sum());
    values.put("dialled", dialled.sum());
    values.put("established", established.sum());
    values.put("continued", continued.sum());
    closed.forEach((code, adder) -> values.put("closed." + code, adder.sum()));
    refused.forEach((limit, adder) -> values.put("refused." + limit, adder.sum()));
    values.put("bytes.sent", bytesSent.sum());
    values.put("bytes.received", bytesReceived.sum());
    return values;
  }
}
