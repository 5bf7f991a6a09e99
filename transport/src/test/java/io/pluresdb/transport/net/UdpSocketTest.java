package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.pluresdb.transport.Waiting;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

class UdpSocketTest {
  private static final int WAITING = 200;

  private record Heard(int port, int length, int last) {}

  /** Counts how often what was read before was answered. */
  private static final class Reads extends ChannelInboundHandlerAdapter {
    final AtomicInteger completed = new AtomicInteger();

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
      completed.incrementAndGet();
      ctx.fireChannelReadComplete();
    }
  }

  private static Queue<Heard> listen(UdpSocket udp) {
    var heard = new ConcurrentLinkedQueue<Heard>();
    udp.onKrpc(
        (from, bytes, length) ->
            heard.add(new Heard(from.getPort(), length, length == 0 ? -1 : bytes[length - 1])));
    return heard;
  }

  /** A datagram of the DHT, or of nobody. */
  private static byte[] datagram(int length, int last) {
    byte[] bytes = new byte[length];
    if (length > 0) {
      bytes[0] = 'd';
      bytes[length - 1] = (byte) last;
    }
    return bytes;
  }

  @Test
  void datagrams_thatWait_areReadTogether() throws Exception {
    try (UdpSocket udp = UdpSocket.bind(Node.anyPort());
        var one = new DatagramSocket(0, InetAddress.getLoopbackAddress());
        var other = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      Queue<Heard> heard = listen(udp);
      var reads = new Reads();
      udp.channel().pipeline().addFirst(reads);
      var busy = new CountDownLatch(1);
      var sent = new CountDownLatch(1);
      udp.execute(
          () -> {
            busy.countDown();
            try {
              sent.await();
            } catch (InterruptedException e) {
              Thread.currentThread().interrupt();
            }
          });
      busy.await();
      var expected = new ArrayList<Heard>();
      for (int i = 0; i < WAITING; i++) {
        DatagramSocket from = i % 2 == 0 ? one : other;
        int length = 2 + i % 7;
        from.send(new DatagramPacket(datagram(length, i % 100), length, udp.address()));
        expected.add(new Heard(from.getLocalPort(), length, i % 100));
      }
      int before = reads.completed.get();
      sent.countDown();
      Waiting.until("all are heard", () -> heard.size() == WAITING);
      assertThat(heard).containsExactlyElementsOf(expected);
      assertThat(reads.completed.get() - before).isBetween(1, WAITING / 20);
    }
  }

  @Test
  void datagrams_ofEverySize_keepTheirEnds() throws Exception {
    try (UdpSocket udp = UdpSocket.bind(Node.anyPort());
        var from = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      Queue<Heard> heard = listen(udp);
      int most = UdpSocket.READ_BYTES;
      for (int length : List.of(1, 0, 2, 1350, most - 1, most, most + 1, 9000, 3)) {
        from.send(new DatagramPacket(datagram(length, 9), length, udp.address()));
      }
      // What is longer than anything read here is seen to be, and no more of it.
      int port = from.getLocalPort();
      Waiting.until("all are heard", () -> heard.contains(new Heard(port, 3, 9)));
      assertThat(heard.stream().filter(one -> one.length() > 0))
          .containsExactly(
              new Heard(port, 1, 9),
              new Heard(port, 2, 9),
              new Heard(port, 1350, 9),
              new Heard(port, most - 1, 9),
              new Heard(port, most, 9),
              new Heard(port, most, 0),
              new Heard(port, most, 0),
              new Heard(port, 3, 9));
    }
  }
}
