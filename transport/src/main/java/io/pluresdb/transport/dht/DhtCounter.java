package io.pluresdb.transport.dht;

import java.util.Locale;

/** What a {@link DhtNode} counts since its start. */
public enum DhtCounter {
  DATAGRAMS_RECEIVED,
  BYTES_RECEIVED,
  DATAGRAMS_SENT,
  BYTES_SENT,
  /** Queries of ours. */
  QUERIES,
  /** Queries of ours that were not answered. */
  TIMEOUTS,
  /** Queries that were answered. */
  ANSWERED,
  /** Queries beyond what a source may ask, not answered. */
  QUERIES_LIMITED,
  /** Datagrams that are no message, or a query without sense. */
  MALFORMED,
  /** Datagrams from an address nobody can have. */
  UNUSABLE_SOURCE,
  /** Answers to nothing we asked, from another address, or of another id than expected. */
  UNMATCHED,
  /** Failures as answers to our queries. */
  FAILURES,
  ANNOUNCES_STORED,
  /** Announcements with a token that we did not give to that address lately. */
  ANNOUNCES_BAD_TOKEN,
  /** Announcements from a network that has all the places it may. */
  ANNOUNCES_LIMITED,
  LOOKUPS;

  /** {@code queries-limited} for {@link #QUERIES_LIMITED}. */
  public String key() {
    return name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
