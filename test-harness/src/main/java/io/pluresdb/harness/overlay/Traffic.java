package io.pluresdb.harness.overlay;

import java.util.EnumMap;
import java.util.Map;

/** Messages and bytes sent, by what they are for. */
public final class Traffic {
  private final Map<Kind, Long> messages = new EnumMap<>(Kind.class);
  private final Map<Kind, Long> bytes = new EnumMap<>(Kind.class);
  private long duplicates;

  void count(Kind kind, int size) {
    messages.merge(kind, 1L, Long::sum);
    bytes.merge(kind, (long) size, Long::sum);
  }

  void countDuplicate() {
    duplicates++;
  }

  public long messages(Kind kind) {
    return messages.getOrDefault(kind, 0L);
  }

  public long bytes(Kind kind) {
    return bytes.getOrDefault(kind, 0L);
  }

  /** Messages of every kind. */
  public long messages() {
    return messages.values().stream().mapToLong(Long::longValue).sum();
  }

  /** Bytes of every kind. */
  public long bytes() {
    return bytes.values().stream().mapToLong(Long::longValue).sum();
  }

  /** Messages with changes of which none was new where it arrived. */
  public long duplicates() {
    return duplicates;
  }

  Traffic copy() {
    return minus(new Traffic());
  }

  /** What was sent since {@code before}, an earlier copy of the same. */
  public Traffic minus(Traffic before) {
    var difference = new Traffic();
    for (Kind kind : Kind.values()) {
      difference.messages.put(kind, messages(kind) - before.messages(kind));
      difference.bytes.put(kind, bytes(kind) - before.bytes(kind));
    }
    difference.duplicates = duplicates - before.duplicates;
    return difference;
  }
}
