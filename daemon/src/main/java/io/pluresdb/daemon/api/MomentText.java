package io.pluresdb.daemon.api;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.store.Moment;
import java.time.DateTimeException;
import java.time.OffsetDateTime;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A moment as people write it: a time (milliseconds since 1970, or ISO 8601 with an offset), a
 * version (8 to 32 hex digits of its actor, a dot, its seq), or several versions joined by commas,
 * which is a frontier.
 */
final class MomentText {
  private static final Pattern MILLIS = Pattern.compile("[0-9]{1,15}");
  private static final Pattern VERSION = Pattern.compile("([0-9a-f]{8,32})\\.([1-9][0-9]{0,17})");

  private MomentText() {}

  /**
   * The moment of a text.
   *
   * @param known the frontier of the database, which tells actors apart
   */
  static Moment parse(String name, String text, Frontier known) {
    if (MILLIS.matcher(text).matches()) {
      return new Moment.Time(Long.parseLong(text));
    }
    if (text.indexOf('T') > 0) {
      try {
        return new Moment.Time(OffsetDateTime.parse(text).toInstant().toEpochMilli());
      } catch (DateTimeException | ArithmeticException e) {
        throw invalid(name, text);
      }
    }
    var versions = new TreeMap<ActorId, Long>();
    for (String part : text.toLowerCase(Locale.ROOT).split(",", -1)) {
      Matcher version = VERSION.matcher(part);
      if (!version.matches()) {
        throw invalid(name, text);
      }
      ActorId actor = actor(version.group(1), known);
      long seq = Long.parseLong(version.group(2));
      if (seq > known.seq(actor)) {
        throw unknown(
            "actor " + actor + " has written changes 1 to " + known.seq(actor) + ", not " + seq);
      }
      versions.merge(actor, seq, Math::max);
    }
    return versions.size() == 1
        ? new Moment.Version(versions.firstKey(), versions.firstEntry().getValue())
        : new Moment.Seen(versions);
  }

  private static ActorId actor(String prefix, Frontier known) {
    List<ActorId> matching =
        known.heads().keySet().stream().filter(a -> a.hex().startsWith(prefix)).toList();
    if (matching.isEmpty()) {
      throw unknown("no actor begins with " + prefix);
    }
    if (matching.size() > 1) {
      throw ApiException.invalid(
          "more than one actor begins with "
              + prefix
              + ": "
              + String.join(", ", matching.stream().map(ActorId::hex).toList()));
    }
    return matching.getFirst();
  }

  private static CoreException unknown(String message) {
    return new CoreException(CoreException.Kind.VERSION_NOT_FOUND, message);
  }

  private static ApiException invalid(String name, String text) {
    return ApiException.invalid(
        name
            + " must be milliseconds since 1970, a time such as 2026-01-31T12:00:00Z, a version such"
            + " as 1f2e3d4c.17, or versions joined by commas, but is \""
            + text
            + "\"");
  }
}
