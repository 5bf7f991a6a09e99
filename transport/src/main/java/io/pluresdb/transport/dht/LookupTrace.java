package io.pluresdb.transport.dht;

import java.net.InetSocketAddress;
import java.util.List;

/**
 * A finished lookup.
 *
 * @param forPeers whether it was for the peers of a topic, not for nodes
 * @param startedAt in milliseconds of the node's clock
 * @param durationMillis until nobody was waited for any more
 * @param queries number of nodes asked, at most {@code Lookup.MAX_QUERIES}
 * @param hops length of the longest path to one of the nearest nodes, 1 for a node known before
 * @param answers number of nodes that answered
 * @param peers what was found
 * @param firstPeerMillis when the first was, -1 for none
 * @param firstPeerHops hops to it, 0 for none
 * @param announced number of nodes that were sent an announcement afterwards
 * @param steps every node asked: those whose ids were never learned, then nearest first
 */
public record LookupTrace(
    DhtId target,
    AddressFamily family,
    boolean forPeers,
    long startedAt,
    long durationMillis,
    int queries,
    int hops,
    int answers,
    List<InetSocketAddress> peers,
    long firstPeerMillis,
    int firstPeerHops,
    int announced,
    List<Step> steps) {

  /**
   * A node that was asked.
   *
   * @param id 40 hexadecimal digits, empty when it was never learned
   * @param commonBits with the target; 0 when the id is not known
   * @param hop 1 for a node known before
   * @param askedMillis since the start
   * @param answerMillis from question to answer, -1 for no answer
   * @param peers number of peers it named
   */
  public record Step(
      InetSocketAddress address,
      String id,
      int commonBits,
      int hop,
      long askedMillis,
      long answerMillis,
      int peers) {}
}
