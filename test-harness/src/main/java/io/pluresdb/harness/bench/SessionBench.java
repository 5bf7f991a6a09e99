package io.pluresdb.harness.bench;

import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelOption;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.nio.NioServerSocketChannel;
import io.netty.channel.socket.nio.NioSocketChannel;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.net.TcpTransport;
import io.pluresdb.transport.net.UdpSocket;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.path.Reachability;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Decision;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionLimits;
import io.pluresdb.transport.session.SessionListener;
import io.pluresdb.transport.session.SessionPolicy;
import io.pluresdb.transport.session.Suite;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.Hint;
import io.pluresdb.transport.topic.SyncKey;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;

/**
 * Megabytes a second through an encrypted session, by TCP and by QUIC, and through plain Netty TCP,
 * in turns, over loopback in one process: blobs of 64 KiB, and messages of 200 bytes.
 *
 * <p>Plain small messages have a length in front, are written one by one, flushed as often as the
 * session's, and cut apart again by the receiver, who gets an array of each, as a session's
 * listener does.
 */
final class SessionBench {
  private static final int BLOB_BYTES = 64 << 10;
  private static final int OPERATION_BYTES = 200;
  private static final int OPERATIONS_PER_FLUSH = 64;

  /** QUIC gets so much less to carry, since it takes so much longer. */
  private static final int QUIC_PART = 8;

  private static final double TARGET_SHARE = 0.6;
  private static final double MEGA = 1e6;
  private static final long WAIT_NANOS = 20_000;
  private static final DatabaseKeys DATABASE = DatabaseKeys.of(new SyncKey(new byte[32]), 1);

  private SessionBench() {}

  static Report run(int megabytes, int rounds) throws Exception {
    if (megabytes < 10 || megabytes > 100_000 || rounds < 1 || rounds > 100) {
      throw new IllegalArgumentException(
          "--megabytes must be 10 to 100000 and --rounds 1 to 100, but are "
              + megabytes
              + " and "
              + rounds);
    }
    long blobBytes = megabytes * 1_000_000L;
    long operationBytes = blobBytes / 4;
    double[][] rates = new double[8][rounds];
    for (int round = -1; round < rounds; round++) {
      double[] rate = {
        plain(BLOB_BYTES, blobBytes),
        session(Suite.CHACHAPOLY, false, BLOB_BYTES, blobBytes),
        session(Suite.AESGCM, false, BLOB_BYTES, blobBytes),
        plain(OPERATION_BYTES, operationBytes),
        session(Suite.CHACHAPOLY, false, OPERATION_BYTES, operationBytes),
        session(Suite.AESGCM, false, OPERATION_BYTES, operationBytes),
        session(Suite.preferred(), true, BLOB_BYTES, blobBytes / QUIC_PART),
        session(Suite.preferred(), true, OPERATION_BYTES, operationBytes / QUIC_PART)
      };
      // The first loads and compiles what the others use.
      for (int i = 0; round >= 0 && i < rate.length; i++) {
        rates[i][round] = rate[i];
      }
    }
    boolean aes = Suite.preferred() == Suite.AESGCM;
    double blobs = median(rates[aes ? 2 : 1]);
    double operations = median(rates[aes ? 5 : 4]);
    return new Report("session")
        .add("megabytes", megabytes)
        .add("rounds", rounds)
        .add("suite", Suite.preferred().name())
        .add("blobsPlain", median(rates[0]))
        .add("blobsChaChaPoly", median(rates[1]))
        .add("blobsAesGcm", median(rates[2]))
        .add("blobsShare", blobs / median(rates[0]), ">=", TARGET_SHARE)
        .add("blobsQuic", median(rates[6]))
        .add("blobsQuicShareOfTcpSession", median(rates[6]) / blobs)
        .add("operationsPlain", median(rates[3]))
        .add("operationsChaChaPoly", median(rates[4]))
        .add("operationsAesGcm", median(rates[5]))
        .add("operationsQuic", median(rates[7]))
        .add("operationsQuicShareOfTcpSession", median(rates[7]) / operations)
        .add("operationsShare", operations / median(rates[3]), ">=", TARGET_SHARE)
        .add("operationsPerSecond", operations * MEGA / OPERATION_BYTES)
        .add("operationsShareOfPlainBlobs", operations / median(rates[0]));
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    Arrays.sort(sorted);
    return sorted[sorted.length / 2];
  }

  private static double rate(long bytes, long startNanos) {
    return bytes / MEGA / ((System.nanoTime() - startNanos) / 1e9);
  }

  private static void awaitCount(AtomicLong received, long count) {
    while (received.get() < count) {
      LockSupport.parkNanos(WAIT_NANOS);
    }
  }

  /** A device that counts the messages it gets. */
  private static final class Device implements SessionPolicy, SessionListener, AutoCloseable {
    private final AtomicLong received = new AtomicLong();
    private final TcpTransport transport;

    Device(Suite suite) {
      var random = new SecureRandom();
      transport =
          new TcpTransport(
              DeviceIdentity.create(random),
              this,
              SessionLimits.defaults(),
              new Environment(InstantSource.system(), random),
              suite);
    }

    void speakQuic(UdpSocket socket) {
      String why =
          transport.speakQuic(
              socket, () -> CompletableFuture.completedStage(Reachability.nowhere()));
      if (!why.isEmpty()) {
        throw new IllegalStateException("no QUIC here: " + why);
      }
    }

    @Override
    public @Nullable DatabaseKeys keysFor(Hint hint) {
      return hint.equals(DATABASE.hint()) ? DATABASE : null;
    }

    @Override
    public byte[] attachment(DatabaseKeys database) {
      return new byte[0];
    }

    @Override
    public Decision authorize(DatabaseKeys database, byte[] peerKey, byte[] attachment) {
      return new Decision.Accept();
    }

    @Override
    public SessionListener listener(DatabaseKeys database) {
      return this;
    }

    @Override
    public void established(Session session) {}

    @Override
    public void message(Session session, byte[] message) {
      received.lazySet(received.get() + 1);
    }

    @Override
    public void writabilityChanged(Session session) {}

    @Override
    public void closed(Session session, CloseReason reason) {}

    @Override
    public void close() {
      transport.close();
    }
  }

  private static InetSocketAddress anyPort() {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), 0);
  }

  private static double session(Suite suite, boolean quic, int messageBytes, long total)
      throws Exception {
    try (var to = new Device(suite);
        var from = new Device(suite);
        UdpSocket there = UdpSocket.bind(anyPort());
        UdpSocket here = UdpSocket.bind(anyPort())) {
      InetSocketAddress tcp = to.transport.listen(anyPort());
      if (quic) {
        to.speakQuic(there);
        from.speakQuic(here);
      }
      Session session =
          from.transport
              .dial(
                  quic ? new Candidate.Quic(there.address()) : new Candidate.Direct(tcp), DATABASE)
              .toCompletableFuture()
              .get(20, TimeUnit.SECONDS)
              .session();
      long count = total / messageBytes;
      byte[] message = new byte[messageBytes];
      long start = System.nanoTime();
      for (long i = 0; i < count; i++) {
        while (!session.isWritable()) {
          LockSupport.parkNanos(WAIT_NANOS);
        }
        session.send(message);
        if (messageBytes == BLOB_BYTES || i % OPERATIONS_PER_FLUSH == 0) {
          session.flush();
        }
      }
      session.flush();
      awaitCount(to.received, count);
      return rate(count * messageBytes, start);
    }
  }

  private static double plain(int messageBytes, long total) {
    var received = new AtomicLong();
    var loops = new MultiThreadIoEventLoopGroup(2, NioIoHandler.newFactory());
    SessionLimits limits = SessionLimits.defaults();
    try {
      Channel server =
          new ServerBootstrap()
              .group(loops)
              .channel(NioServerSocketChannel.class)
              .childHandler(new Receiver(received, messageBytes))
              .bind(anyPort())
              .syncUninterruptibly()
              .channel();
      Channel channel =
          new Bootstrap()
              .group(loops)
              .channel(NioSocketChannel.class)
              .option(ChannelOption.TCP_NODELAY, true)
              // The marks sessions have, so that both writers wait alike.
              .option(
                  ChannelOption.WRITE_BUFFER_WATER_MARK,
                  new WriteBufferWaterMark(limits.lowWaterBytes(), limits.highWaterBytes()))
              .handler(new ChannelInboundHandlerAdapter())
              .connect(server.localAddress())
              .syncUninterruptibly()
              .channel();
      long count = total / messageBytes;
      byte[] message = new byte[messageBytes];
      boolean blobs = messageBytes == BLOB_BYTES;
      long start = System.nanoTime();
      for (long i = 0; i < count; i++) {
        while (!channel.isWritable()) {
          LockSupport.parkNanos(WAIT_NANOS);
        }
        ByteBuf buffer = channel.alloc().directBuffer(Integer.BYTES + messageBytes);
        var _ = channel.write(buffer.writeInt(messageBytes).writeBytes(message));
        if (blobs || i % OPERATIONS_PER_FLUSH == 0) {
          channel.flush();
        }
      }
      channel.flush();
      awaitCount(received, count);
      return rate(count * messageBytes, start);
    } finally {
      loops.shutdownGracefully(0, 1, TimeUnit.SECONDS).syncUninterruptibly();
    }
  }

  /** Counts whole messages; of small ones it makes an array each. */
  private static final class Receiver extends ChannelInboundHandlerAdapter {
    private final AtomicLong received;
    private final int messageBytes;
    private long bytes;
    private byte[] message;
    private int filled;

    Receiver(AtomicLong received, int messageBytes) {
      this.received = received;
      this.messageBytes = messageBytes;
      this.message = new byte[Integer.BYTES + messageBytes];
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object read) {
      ByteBuf in = (ByteBuf) read;
      if (messageBytes == BLOB_BYTES) {
        bytes += in.readableBytes();
        received.lazySet(bytes / (Integer.BYTES + messageBytes));
      } else {
        while (in.isReadable()) {
          int count = Math.min(in.readableBytes(), message.length - filled);
          in.readBytes(message, filled, count);
          filled += count;
          if (filled == message.length) {
            message = new byte[message.length];
            filled = 0;
            received.lazySet(received.get() + 1);
          }
        }
      }
      in.release();
    }
  }
}
