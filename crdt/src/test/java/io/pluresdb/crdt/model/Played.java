package io.pluresdb.crdt.model;

import java.util.HashMap;
import java.util.Map;

/** Histories the product has played: playing takes signatures, looking again takes nothing. */
final class Played {
  private static final int MAX_KEPT = 1_000;
  private static final Map<History, Cluster> CLUSTERS = new HashMap<>();

  private Played() {}

  static synchronized Cluster of(History history) {
    Cluster known = CLUSTERS.get(history);
    if (known != null) {
      return known;
    }
    var cluster = new Cluster(history.wallMillis());
    cluster.play(history);
    if (CLUSTERS.size() < MAX_KEPT) {
      CLUSTERS.put(history, cluster);
    }
    return cluster;
  }
}
