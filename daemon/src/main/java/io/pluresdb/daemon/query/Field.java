package io.pluresdb.daemon.query;

import java.util.List;

/** What a query may name of a document. */
sealed interface Field {
  /** Its id. */
  record Id() implements Field {}

  /** What follows the table's prefix in its id. */
  record Key() implements Field {}

  /** When it was changed last, in milliseconds since 1970. */
  record Timestamp() implements Field {}

  /** All of it. */
  record Data() implements Field {}

  /**
   * A value in it.
   *
   * @param keys from the root down, one or more
   */
  record Path(List<String> keys) implements Field {
    public Path {
      keys = List.copyOf(keys);
    }
  }

  /**
   * The field that keys stand for: {@code id}, {@code timestamp} and {@code data} alone are the
   * document's own, {@code data.} in front of others may be left out.
   */
  static Field of(List<String> keys) {
    String first = keys.getFirst();
    if (keys.size() == 1) {
      return switch (first) {
        case "id" -> new Id();
        case "timestamp" -> new Timestamp();
        case "data" -> new Data();
        default -> new Path(keys);
      };
    }
    return new Path(first.equals("data") ? keys.subList(1, keys.size()) : keys);
  }

  /** The field as it is written. */
  default String text() {
    return switch (this) {
      case Id id -> "id";
      case Key key -> "key";
      case Timestamp timestamp -> "timestamp";
      case Data data -> "data";
      case Path(var keys) ->
          of(keys).equals(this) ? String.join(".", keys) : "data." + String.join(".", keys);
    };
  }
}
