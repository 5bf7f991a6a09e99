package io.pluresdb.transport.dht;

import java.net.InetAddress;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A DHT node as seen from outside.
 *
 * @param stored topics that others announced here
 * @param followed topics this node looks for
 * @param traces the newest lookups, newest first
 */
public record DhtStatus(
    boolean readOnly,
    List<Table> tables,
    List<Stored> stored,
    List<Followed> followed,
    List<LookupTrace> traces,
    Map<DhtCounter, Long> counters) {

  /**
   * The routing table of a family.
   *
   * @param external where others see this node, null while unknown
   * @param externalPort 0 while unknown or when others see different ones
   * @param votes number of networks that said where they see this node
   */
  public record Table(
      AddressFamily family,
      DhtId self,
      @Nullable InetAddress external,
      int externalPort,
      int votes,
      List<Row> rows) {}

  /**
   * A node of a table.
   *
   * @param bucket bits in common with the own id
   * @param standing {@code good}, {@code questionable} or {@code bad}
   * @param proven whether its id is one its address may have
   * @param answeredMillisAgo since its last answer
   */
  public record Row(
      NodeContact contact, int bucket, String standing, boolean proven, long answeredMillisAgo) {}

  public record Stored(DhtId topic, int peers) {}

  /**
   * @param announcedPort 0 for a topic that is only looked for
   * @param announcedAt number of nodes the last lookup announced at
   * @param peers number of peers the last lookup found
   * @param nextMillis until the next lookup, negative while one runs
   */
  public record Followed(
      DhtId topic, int announcedPort, int announcedAt, int peers, long nextMillis) {}
}
