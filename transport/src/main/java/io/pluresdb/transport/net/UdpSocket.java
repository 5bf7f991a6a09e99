package io.pluresdb.transport.net;

import io.netty.bootstrap.Bootstrap;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoop;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.FixedRecvByteBufAllocator;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollChannelOption;
import io.netty.channel.epoll.EpollDatagramChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.nio.NioIoHandler;
import io.netty.channel.socket.DatagramPacket;
import io.netty.channel.socket.SocketProtocolFamily;
import io.netty.channel.socket.nio.NioDatagramChannel;
import io.netty.channel.unix.IntegerUnixChannelOption;
import io.netty.handler.codec.quic.SegmentedDatagramPacketAllocator;
import io.netty.util.ReferenceCountUtil;
import io.netty.util.concurrent.DefaultThreadFactory;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.path.DatagramKind;
import java.net.Inet4Address;
import java.net.InetSocketAddress;
import java.util.concurrent.RejectedExecutionException;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The UDP port of a device, which DHT, QUIC and hole punching share: what others see of one of them
 * holds for all. A thread of its own reads it; {@link DatagramKind} says whose a datagram is.
 *
 * <p>Where the epoll transport loads, openers leave with a short time to live; elsewhere they are
 * ordinary datagrams. Thread-safe.
 */
public final class UdpSocket implements AutoCloseable {
  private static final Logger log = LoggerFactory.getLogger(UdpSocket.class);

  /**
   * One byte more than any protocol here reads, so that a longer datagram is seen to be too long.
   */
  static final int READ_BYTES = 2049;

  /**
   * Datagrams read before what they bring about is sent. One, as an allocator has it unless told,
   * gives every datagram of QUIC an acknowledgement of its own, and lets the peer send as much as
   * that one had: small datagrams, for ever.
   */
  private static final int MAX_DATAGRAMS_PER_READ = 64;

  /** Datagrams of one system call, where epoll is. */
  private static final int DATAGRAMS_PER_CALL = 16;

  private static final int RECEIVE_BUFFER_BYTES = 1 << 20;
  private static final int SEND_BUFFER_BYTES = 1 << 20;
  private static final long CLOSE_MILLIS = 1_000;

  // Of ip(7) and ipv6(7).
  private static final int IPPROTO_IP = 0;
  private static final int IP_TTL = 2;
  private static final int IPPROTO_IPV6 = 41;
  private static final int IPV6_UNICAST_HOPS = 16;
  private static final int USUAL_TTL = 64;
  private static final IntegerUnixChannelOption TTL =
      new IntegerUnixChannelOption("IP_TTL", IPPROTO_IP, IP_TTL);
  private static final IntegerUnixChannelOption HOPS =
      new IntegerUnixChannelOption("IPV6_UNICAST_HOPS", IPPROTO_IPV6, IPV6_UNICAST_HOPS);

  /** Hears of datagrams, on the socket's thread. */
  interface Receiver {
    /**
     * @param bytes valid during the call, up to {@code length}
     */
    void received(InetSocketAddress from, byte[] bytes, int length);
  }

  private final EventLoopGroup group;
  private final Channel channel;
  private final InetSocketAddress address;
  private final Demultiplexer demultiplexer;
  private final SegmentedDatagramPacketAllocator segments;

  private UdpSocket(
      EventLoopGroup group,
      Channel channel,
      Demultiplexer demultiplexer,
      SegmentedDatagramPacketAllocator segments) {
    this.group = group;
    this.channel = channel;
    this.segments = segments;
    this.address = (InetSocketAddress) channel.localAddress();
    this.demultiplexer = demultiplexer;
  }

  /**
   * Binds a socket.
   *
   * @param listen port 0 picks a free one
   * @throws ListenFailedException when the address cannot be bound
   */
  public static UdpSocket bind(InetSocketAddress listen) {
    SocketProtocolFamily family =
        listen.getAddress() instanceof Inet4Address
            ? SocketProtocolFamily.INET
            : SocketProtocolFamily.INET6;
    boolean epoll = Epoll.isAvailable();
    EventLoopGroup group =
        new MultiThreadIoEventLoopGroup(
            1,
            new DefaultThreadFactory("pluresdb-udp", true),
            epoll ? EpollIoHandler.newFactory() : NioIoHandler.newFactory());
    var demultiplexer = new Demultiplexer();
    DatagramSegments segments = epoll ? DatagramSegments.ofEpoll() : null;
    var bootstrap = new Bootstrap();
    int bufferBytes = READ_BYTES;
    if (epoll) {
      bufferBytes = READ_BYTES * DATAGRAMS_PER_CALL;
      bootstrap.option(EpollChannelOption.MAX_DATAGRAM_PAYLOAD_SIZE, READ_BYTES);
    }
    ChannelFuture bound =
        bootstrap
            .group(group)
            .channelFactory(
                () -> epoll ? new EpollDatagramChannel(family) : new NioDatagramChannel(family))
            .option(ChannelOption.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            .option(ChannelOption.SO_SNDBUF, SEND_BUFFER_BYTES)
            .option(
                ChannelOption.RECVBUF_ALLOCATOR,
                new FixedRecvByteBufAllocator(bufferBytes)
                    .maxMessagesPerRead(MAX_DATAGRAMS_PER_READ))
            .handler(
                new ChannelInitializer<Channel>() {
                  @Override
                  protected void initChannel(Channel channel) {
                    if (segments != null) {
                      channel.pipeline().addLast(segments);
                    }
                    channel.pipeline().addLast(demultiplexer);
                  }
                })
            .bind(listen)
            .awaitUninterruptibly();
    Throwable cause = bound.cause();
    if (cause != null) {
      var _ = group.shutdownGracefully(0, CLOSE_MILLIS, TimeUnit.MILLISECONDS);
      throw new ListenFailedException(listen, cause);
    }
    return new UdpSocket(
        group,
        bound.channel(),
        demultiplexer,
        segments == null ? SegmentedDatagramPacketAllocator.NONE : segments);
  }

  /** Where it is bound. */
  public InetSocketAddress address() {
    return address;
  }

  /** Its only thread. */
  EventLoop loop() {
    return channel.eventLoop();
  }

  Channel channel() {
    return channel;
  }

  /** How connections of QUIC send several datagrams at once. */
  SegmentedDatagramPacketAllocator segments() {
    return segments;
  }

  /** Names who gets the datagrams of the DHT. */
  void onKrpc(Receiver receiver) {
    settle(() -> demultiplexer.krpc = receiver);
  }

  /** Names who gets the datagrams of hole punching. */
  void onPunch(Receiver receiver) {
    settle(() -> demultiplexer.punch = receiver);
  }

  /** Names who gets what relays say of this port. */
  void onEcho(Receiver receiver) {
    settle(() -> demultiplexer.echo = receiver);
  }

  /**
   * Adds the codecs of QUIC, once.
   *
   * @param clientPrefix with what the connection ids of dialled connections begin, and no others
   */
  void addQuic(ChannelHandler server, ChannelHandler client, byte[] clientPrefix) {
    settle(
        () -> {
          channel.pipeline().addLast(server, client);
          demultiplexer.server = channel.pipeline().context(server);
          demultiplexer.clientPrefix = clientPrefix.clone();
        });
  }

  /** Runs something on the socket's thread before anything that arrives from now on is read. */
  private void settle(Runnable task) {
    if (loop().inEventLoop()) {
      task.run();
    } else if (!loop().isShuttingDown()) {
      loop().submit(task).awaitUninterruptibly();
    }
  }

  /** Runs something on the socket's thread; returns false when the socket is closed. */
  boolean execute(Runnable task) {
    try {
      loop().execute(task);
      return true;
    } catch (RejectedExecutionException e) {
      return false;
    }
  }

  /** Queues a datagram, on the socket's thread; {@link #flush} sends it. */
  void write(InetSocketAddress to, byte[] datagram) {
    ChannelHandlerContext context = demultiplexer.context;
    if (context != null) {
      unawaited(context.write(new DatagramPacket(Unpooled.wrappedBuffer(datagram), to)));
    }
  }

  /** Sends what is queued, on the socket's thread. */
  void flush() {
    ChannelHandlerContext context = demultiplexer.context;
    if (context != null) {
      context.flush();
    }
  }

  /**
   * Sends a datagram that few routers pass on, where that is possible; on the socket's thread.
   *
   * @param timeToLive 1 to 255
   */
  void sendShortLived(InetSocketAddress to, byte[] datagram, int timeToLive) {
    flush();
    boolean set = setTimeToLive(timeToLive);
    write(to, datagram);
    flush();
    if (set) {
      setTimeToLive(USUAL_TTL);
    }
  }

  private boolean setTimeToLive(int hops) {
    if (!(channel instanceof EpollDatagramChannel)) {
      return false;
    }
    boolean set = channel.config().setOption(TTL, hops);
    return address.getAddress() instanceof Inet4Address
        ? set
        : channel.config().setOption(HOPS, hops) || set;
  }

  /** Closes the socket and ends its thread; not to be called from there. */
  @Override
  public void close() {
    channel.close().awaitUninterruptibly();
    group.shutdownGracefully(0, CLOSE_MILLIS, TimeUnit.MILLISECONDS).awaitUninterruptibly();
  }

  private static void unawaited(Future<?> ignored) {}

  /** In front of the codecs of QUIC, which would drop each other's packets. */
  private static final class Demultiplexer extends ChannelInboundHandlerAdapter {
    /** Where the destination id of a packet with a long header is, behind type, version, length. */
    private static final int LONG_ID_AT = 6;

    private static final int SHORT_ID_AT = 1;

    private final byte[] bytes = new byte[READ_BYTES];
    private @Nullable ChannelHandlerContext context;
    private @Nullable Receiver krpc;
    private @Nullable Receiver punch;
    private @Nullable Receiver echo;
    private @Nullable ChannelHandlerContext server;
    private byte[] clientPrefix = {};

    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
      context = ctx;
    }

    @Override
    public void channelRead(ChannelHandlerContext ctx, Object received) {
      DatagramPacket packet = (DatagramPacket) received;
      ByteBuf content = packet.content();
      int length = content.readableBytes();
      int at = content.readerIndex();
      DatagramKind kind =
          DatagramKind.of(
              length > 0 ? content.getByte(at) : 0, length > 1 ? content.getByte(at + 1) : 0);
      switch (kind) {
        case KRPC -> give(krpc, packet);
        case PUNCH -> give(punch == null ? krpc : punch, packet);
        case ECHO -> give(echo == null ? krpc : echo, packet);
        case QUIC -> {
          ChannelHandlerContext codec = server;
          if (codec == null) {
            give(krpc, packet);
          } else if (isOfClient(content)) {
            codec.fireChannelRead(packet);
          } else {
            ctx.fireChannelRead(packet);
          }
        }
      }
    }

    private boolean isOfClient(ByteBuf packet) {
      int at = packet.readerIndex();
      int idAt = at + (packet.getByte(at) < 0 ? LONG_ID_AT : SHORT_ID_AT);
      return packet.writerIndex() - idAt >= clientPrefix.length
          && ByteBufUtil.equals(
              packet, idAt, Unpooled.wrappedBuffer(clientPrefix), 0, clientPrefix.length);
    }

    private void give(@Nullable Receiver receiver, DatagramPacket packet) {
      try {
        if (receiver != null) {
          ByteBuf content = packet.content();
          int length = Math.min(content.readableBytes(), bytes.length);
          content.readBytes(bytes, 0, length);
          receiver.received(packet.sender(), bytes, length);
        }
      } finally {
        ReferenceCountUtil.release(packet);
      }
    }

    @Override
    public void channelReadComplete(ChannelHandlerContext ctx) {
      ChannelHandlerContext codec = server;
      if (codec != null) {
        ctx.fireChannelReadComplete();
        codec.fireChannelReadComplete();
      }
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      // An ICMP error of an earlier send; the socket stays good.
      log.debug("datagram failed", cause);
    }
  }
}
