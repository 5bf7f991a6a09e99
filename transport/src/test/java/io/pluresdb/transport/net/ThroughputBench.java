package io.pluresdb.transport.net;

import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.Suite;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;

/** Prints MB/s of sessions beside plain Netty TCP, over loopback; run {@code main}. */
public final class ThroughputBench {
  private static final int LARGE = 64 * 1024;
  private static final int SMALL = 200;
  private static final long TOTAL = 2_000_000_000L;
  private static final int ROUNDS = 3;
  private static final double MEGA = 1e6;

  private ThroughputBench() {}

  public static void main(String[] arguments) {
    long total = arguments.length > 0 ? Long.parseLong(arguments[0]) : TOTAL;
    for (int round = 0; round < ROUNDS; round++) {
      double plain = plain(total);
      double chacha = session(Suite.CHACHAPOLY, LARGE, total);
      double aes = session(Suite.AESGCM, LARGE, total);
      double small = session(Suite.CHACHAPOLY, SMALL, total / 10);
      System.out.printf(
          "round %d: plain Netty %.0f MB/s; ChaChaPoly 64 KiB %.0f MB/s (%.0f %%); "
              + "AESGCM 64 KiB %.0f MB/s (%.0f %%); ChaChaPoly 200 B %.0f MB/s = %.2f M messages/s%n",
          round, plain, chacha, 100 * chacha / plain, aes, 100 * aes / plain, small, small / SMALL);
    }
  }

  private static double session(Suite suite, int messageBytes, long total) {
    try (Node server = node(suite);
        Node client = node(suite)) {
      server.keepMessages = false;
      Session session = client.dial(server.listen());
      long count = total / messageBytes;
      byte[] message = new byte[messageBytes];
      long start = System.nanoTime();
      for (long i = 0; i < count; i++) {
        while (!session.isWritable()) {
          LockSupport.parkNanos(20_000);
        }
        session.send(message);
        if (messageBytes == LARGE || i % 64 == 0) {
          session.flush();
        }
      }
      session.flush();
      Waiting.until("all messages", () -> server.messageCount.get() == count);
      return count * messageBytes / MEGA / ((System.nanoTime() - start) / 1e9);
    }
  }

  private static Node node(Suite suite) {
    return new Node(
        DeviceIdentity.create(new SecureRandom()),
        SessionLimits.defaults(),
        InstantSource.fixed(Node.NOW),
        suite);
  }

  private static double plain(long total) {
    AtomicLong received = new AtomicLong();
    MultiThreadIoEventLoopGroup loops =
        new MultiThreadIoEventLoopGroup(2, NioIoHandler.newFactory());
    try {
      Channel server =
          new ServerBootstrap()
              .group(loops)
              .channel(NioServerSocketChannel.class)
              .childHandler(new Counting(received))
              .bind(Node.anyPort())
              .syncUninterruptibly()
              .channel();
      ChannelFuture connected =
          new Bootstrap()
              .group(loops)
              .channel(NioSocketChannel.class)
              .handler(new ChannelInboundHandlerAdapter())
              .connect(server.localAddress())
              .syncUninterruptibly();
      Channel channel = connected.channel();
      long count = total / LARGE;
      byte[] message = new byte[LARGE];
      long start = System.nanoTime();
      for (long i = 0; i < count; i++) {
        while (!channel.isWritable()) {
          LockSupport.parkNanos(20_000);
        }
        ByteBuf buffer = channel.alloc().directBuffer(LARGE).writeBytes(message);
        var _ = channel.writeAndFlush(buffer);
      }
      Waiting.until("all bytes", () -> received.get() == count * LARGE);
      return count * LARGE / MEGA / ((System.nanoTime() - start) / 1e9);
    } finally {
      loops.shutdownGracefully().syncUninterruptibly();
    }
  }

  private static final class Counting extends ChannelInboundHandlerAdapter {
    private final AtomicLong received;

    Counting(AtomicLong received) {
      this.received = received;
    }

    @Override
    public boolean isSharable() {
      return true;
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      ByteBuf bytes = (ByteBuf) message;
      received.addAndGet(bytes.readableBytes());
      bytes.release();
    }
  }
}
