package io.pluresdb.transport.lan;

import java.io.IOException;
import java.net.Inet4Address;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.NetworkInterface;
import java.net.StandardProtocolFamily;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.DatagramChannel;
import java.util.ArrayList;
import java.util.List;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** A UDP socket in one multicast group, with a thread that reads it. */
final class BeaconSocket implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(BeaconSocket.class);

  /** Our beacons are for this network only. */
  private static final int TIME_TO_LIVE = 1;

  /** Hears of datagrams, on the socket's thread. */
  interface Receiver {
    /**
     * @param bytes valid during the call, up to {@code length}
     */
    void received(BeaconSocket socket, InetSocketAddress from, byte[] bytes, int length);
  }

  private final DatagramChannel channel;
  private final InetSocketAddress group;
  private final List<NetworkInterface> joined = new ArrayList<>();
  private final Receiver receiver;

  /**
   * Joins {@code group} on those of {@code interfaces} where that works.
   *
   * @throws IOException when there is no such socket, or no interface can join
   */
  BeaconSocket(InetAddress group, int port, List<NetworkInterface> interfaces, Receiver receiver)
      throws IOException {
    this.group = new InetSocketAddress(group, port);
    this.receiver = receiver;
    this.channel =
        DatagramChannel.open(
            group instanceof Inet4Address
                ? StandardProtocolFamily.INET
                : StandardProtocolFamily.INET6);
    try {
      channel.setOption(StandardSocketOptions.SO_REUSEADDR, true);
      channel.setOption(StandardSocketOptions.IP_MULTICAST_TTL, TIME_TO_LIVE);
      channel.setOption(StandardSocketOptions.IP_MULTICAST_LOOP, true);
      channel.bind(new InetSocketAddress(port));
      for (NetworkInterface candidate : interfaces) {
        join(group, candidate);
      }
      if (joined.isEmpty()) {
        throw new IOException("no network interface can join " + group);
      }
    } catch (IOException e) {
      channel.close();
      throw e;
    }
    Thread.ofPlatform().daemon().name("pluresdb-beacon").start(this::read);
  }

  /** Sends to the group on every joined interface; what fails is tried again next time. */
  synchronized void sendToGroup(byte[] beacon) {
    for (NetworkInterface out : joined) {
      try {
        channel.setOption(StandardSocketOptions.IP_MULTICAST_IF, out);
        channel.send(ByteBuffer.wrap(beacon), group);
      } catch (IOException e) {
        log.debug("beacon not sent group={} interface={}", group, out.getName(), e);
      }
    }
  }

  @Override
  public void close() {
    try {
      channel.close();
    } catch (IOException e) {
      log.debug("beacon socket not closed", e);
    }
  }

  private void join(InetAddress address, NetworkInterface candidate) {
    try {
      channel.join(address, candidate);
      joined.add(candidate);
    } catch (IOException | IllegalArgumentException e) {
      log.debug("interface cannot join group={} interface={}", address, candidate.getName(), e);
    }
  }

  private void read() {
    // One byte more than a beacon, so that a longer datagram is seen to be too long.
    ByteBuffer in = ByteBuffer.allocate(Beacon.MAX_BYTES + 1);
    while (channel.isOpen()) {
      try {
        in.clear();
        if (channel.receive(in) instanceof InetSocketAddress from) {
          receiver.received(this, from, in.array(), in.position());
        }
      } catch (ClosedChannelException e) {
        return;
      } catch (IOException e) {
        // An ICMP error of an earlier send; the socket stays good.
        log.debug("beacon not received", e);
      } catch (RuntimeException e) {
        log.error("contact listener failed", e);
      }
    }
  }
}
