package io.pluresdb.transport.net;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.handler.codec.quic.Quic;
import io.netty.handler.codec.quic.QuicChannel;
import io.netty.handler.codec.quic.QuicChannelOption;
import io.netty.handler.codec.quic.QuicClientCodecBuilder;
import io.netty.handler.codec.quic.QuicCodecBuilder;
import io.netty.handler.codec.quic.QuicConnectionAddress;
import io.netty.handler.codec.quic.QuicConnectionIdGenerator;
import io.netty.handler.codec.quic.QuicServerCodecBuilder;
import io.netty.handler.codec.quic.QuicSslContext;
import io.netty.handler.codec.quic.QuicSslContextBuilder;
import io.netty.handler.codec.quic.QuicStreamChannel;
import io.netty.handler.codec.quic.QuicStreamType;
import io.netty.handler.ssl.ClientAuth;
import io.netty.util.concurrent.Future;
import io.netty.util.concurrent.Ticker;
import io.pluresdb.transport.path.DatagramKind;
import io.pluresdb.transport.session.SessionLimits;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.security.GeneralSecurityException;
import java.security.cert.Certificate;
import java.security.cert.X509Certificate;
import java.util.Arrays;
import java.util.concurrent.TimeUnit;
import java.util.random.RandomGenerator;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.SSLPeerUnverifiedException;
import javax.net.ssl.SSLSession;
import javax.net.ssl.X509ExtendedTrustManager;
import org.jspecify.annotations.Nullable;

/**
 * QUIC on a device's UDP port: one bidirectional stream a connection, which carries the bytes of
 * one path of a session.
 *
 * <p>Both sides show certificates of their own making; who they are, the Noise handshake inside
 * says, whose prologue has both certificates.
 */
final class QuicEndpoint {
  private static final String PROTOCOL = "pluresdb/1";

  /** Bytes of a connection id of ours: mark, then random. */
  private static final int ID_BYTES = 16;

  /** With so many bytes of their own, dialled connections are told from others. */
  private static final int CLIENT_PREFIX_BYTES = 8;

  private static final int CONNECTION_WINDOW_BYTES = 8 << 20;
  private static final int STREAM_WINDOW_BYTES = 4 << 20;
  private static final int MAX_PAYLOAD_BYTES = 1_350;

  /** What an endpoint needs of its transport; called on the socket's thread. */
  interface Port {
    /**
     * The place of a connection from there, to be left when it has begun a session or ended without
     * one; null when it may not be taken.
     *
     * @param pushedOut ends the connection
     */
    HalfOpen.@Nullable Place enter(InetSocketAddress from, Runnable pushedOut);

    /**
     * Adds a session's handler to a stream that a peer opened.
     *
     * @param place of its connection
     */
    void accepted(
        QuicStreamChannel stream, InetSocketAddress from, byte[] binding, HalfOpen.Place place);
  }

  /** What became of an attempt; called once, on the socket's thread. */
  interface Outcome {
    /** Gives the handler of the stream to be opened. */
    ChannelHandler opened(QuicChannel connection, byte[] binding);

    void failed(String why);
  }

  /** Believes everybody: see the class comment. */
  private static final class Anybody extends X509ExtendedTrustManager {
    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}

    @Override
    public X509Certificate[] getAcceptedIssuers() {
      return new X509Certificate[0];
    }
  }

  /** Ids of accepted connections: the mark, then random bytes, never those of dialled ones. */
  private static final class Ids implements QuicConnectionIdGenerator {
    private final RandomGenerator random;
    private final byte[] clientPrefix;

    Ids(RandomGenerator random, byte[] clientPrefix) {
      this.random = random;
      this.clientPrefix = clientPrefix;
    }

    @Override
    public ByteBuffer newId(int length) {
      byte[] id = new byte[length];
      do {
        random.nextBytes(id);
        id[0] = DatagramKind.CONNECTION_ID_MARK;
      } while (Arrays.equals(clientPrefix, Arrays.copyOf(id, clientPrefix.length)));
      return ByteBuffer.wrap(id);
    }

    @Override
    public ByteBuffer newId(ByteBuffer input, int length) {
      return newId(length);
    }

    @Override
    public int maxConnectionIdLength() {
      return ID_BYTES;
    }

    @Override
    public boolean isIdempotent() {
      return false;
    }
  }

  private final UdpSocket socket;
  private final Port port;
  private final SessionLimits limits;
  private final WriteBufferWaterMark marks;
  private final RandomGenerator random;
  private final QuicCertificate own = QuicCertificate.generate();
  private final byte[] clientPrefix = new byte[CLIENT_PREFIX_BYTES];

  /** Why QUIC cannot be spoken here; empty when it can. */
  static String unavailable() {
    if (Quic.isAvailable()) {
      return "";
    }
    Throwable cause = Quic.unavailabilityCause();
    return "the native library does not load: " + (cause == null ? "" : cause.getMessage());
  }

  /**
   * Speaks QUIC on {@code socket} from now on; only where {@link #unavailable} is empty.
   *
   * @param random cryptographically secure in production
   */
  QuicEndpoint(
      UdpSocket socket,
      SessionLimits limits,
      WriteBufferWaterMark marks,
      RandomGenerator random,
      Port port) {
    this.socket = socket;
    this.port = port;
    this.limits = limits;
    this.marks = marks;
    this.random = random;
    random.nextBytes(clientPrefix);
    clientPrefix[0] = DatagramKind.CONNECTION_ID_MARK;
    QuicSslContext serving =
        QuicSslContextBuilder.forServer(own.key(), null, own.certificate())
            .trustManager(new Anybody())
            .clientAuth(ClientAuth.REQUIRE)
            .applicationProtocols(PROTOCOL)
            .build();
    QuicSslContext dialling =
        QuicSslContextBuilder.forClient()
            .trustManager(new Anybody())
            .endpointIdentificationAlgorithm("")
            .keyManager(own.key(), null, own.certificate())
            .applicationProtocols(PROTOCOL)
            .build();
    ChannelHandler server =
        settings(new QuicServerCodecBuilder())
            .sslContext(serving)
            .tokenHandler(new QuicTokens(random, Ticker.systemTicker()))
            .connectionIdAddressGenerator(new Ids(random, clientPrefix))
            .handler(
                new ChannelInitializer<QuicChannel>() {
                  @Override
                  protected void initChannel(QuicChannel connection) {
                    connection.pipeline().addLast(new Accepted());
                  }
                })
            .option(QuicChannelOption.SEGMENTED_DATAGRAM_PACKET_ALLOCATOR, socket.segments())
            .streamOption(ChannelOption.WRITE_BUFFER_WATER_MARK, marks)
            .streamHandler(
                new ChannelInitializer<QuicStreamChannel>() {
                  @Override
                  protected void initChannel(QuicStreamChannel stream) {
                    began(stream);
                  }
                })
            .build();
    ChannelHandler client = settings(new QuicClientCodecBuilder()).sslContext(dialling).build();
    socket.addQuic(server, client, clientPrefix);
  }

  private <B extends QuicCodecBuilder<B>> B settings(B builder) {
    return builder
        .localConnectionIdLength(ID_BYTES)
        .maxIdleTimeout(limits.silence().toMillis(), TimeUnit.MILLISECONDS)
        .maxRecvUdpPayloadSize(MAX_PAYLOAD_BYTES)
        .maxSendUdpPayloadSize(MAX_PAYLOAD_BYTES)
        .initialMaxData(CONNECTION_WINDOW_BYTES)
        .initialMaxStreamDataBidirectionalLocal(STREAM_WINDOW_BYTES)
        .initialMaxStreamDataBidirectionalRemote(STREAM_WINDOW_BYTES)
        .initialMaxStreamsBidirectional(1)
        .initialMaxStreamsUnidirectional(0)
        .activeMigration(false);
  }

  /** Dials; gives up after the time a handshake may take. */
  void dial(InetSocketAddress to, Outcome outcome) {
    boolean running =
        socket.execute(
            () -> {
              byte[] id = new byte[ID_BYTES];
              random.nextBytes(id);
              System.arraycopy(clientPrefix, 0, id, 0, clientPrefix.length);
              Future<QuicChannel> connecting =
                  QuicChannel.newBootstrap(socket.channel())
                      .handler(new Ignoring())
                      .streamHandler(new Unwanted())
                      .streamOption(ChannelOption.WRITE_BUFFER_WATER_MARK, marks)
                      .option(
                          QuicChannelOption.SEGMENTED_DATAGRAM_PACKET_ALLOCATOR, socket.segments())
                      .option(
                          ChannelOption.CONNECT_TIMEOUT_MILLIS,
                          Math.toIntExact(limits.handshakeTimeout().toMillis()))
                      .remoteAddress(to)
                      .localConnectionAddress(new QuicConnectionAddress(id))
                      .connect();
              connecting.addListener(done -> connected(connecting, outcome));
            });
    if (!running) {
      outcome.failed("the UDP port is closed");
    }
  }

  private void connected(Future<QuicChannel> connecting, Outcome outcome) {
    Throwable cause = connecting.cause();
    if (cause != null) {
      outcome.failed(String.valueOf(cause.getMessage()));
      return;
    }
    QuicChannel connection = connecting.getNow();
    byte[] binding;
    try {
      binding = QuicCertificate.binding(own.certificate(), peerCertificate(connection));
    } catch (SSLPeerUnverifiedException e) {
      unawaited(connection.close());
      outcome.failed("the peer shows no certificate");
      return;
    } catch (GeneralSecurityException e) {
      unawaited(connection.close());
      outcome.failed(String.valueOf(e.getMessage()));
      return;
    }
    connection
        .createStream(QuicStreamType.BIDIRECTIONAL, outcome.opened(connection, binding))
        .addListener(
            created -> {
              Throwable refused = created.cause();
              if (refused != null) {
                unawaited(connection.close());
                outcome.failed(String.valueOf(refused.getMessage()));
              } else if (created.getNow() instanceof QuicStreamChannel stream) {
                stream.closeFuture().addListener(ended -> unawaited(connection.close()));
              }
            });
  }

  private void began(QuicStreamChannel stream) {
    QuicChannel connection = stream.parent();
    Accepted accepted = connection.pipeline().get(Accepted.class);
    HalfOpen.Place place = accepted.place;
    if (!(connection.remoteSocketAddress() instanceof InetSocketAddress from)
        || place == null
        || accepted.begun) {
      unawaited(connection.close());
      return;
    }
    try {
      byte[] binding = QuicCertificate.binding(peerCertificate(connection), own.certificate());
      stream.closeFuture().addListener(ended -> unawaited(connection.close()));
      accepted.begun = true;
      port.accepted(stream, from, binding, place);
    } catch (SSLPeerUnverifiedException | GeneralSecurityException e) {
      unawaited(connection.close());
    }
  }

  private static Certificate peerCertificate(QuicChannel connection)
      throws SSLPeerUnverifiedException {
    SSLEngine engine = connection.sslEngine();
    SSLSession session = engine == null ? null : engine.getSession();
    if (session == null) {
      throw new SSLPeerUnverifiedException("no TLS session");
    }
    return session.getPeerCertificates()[0];
  }

  private static void unawaited(Future<?> ignored) {}

  /** Lets an accepted connection in, or not, and ends it when it begins no session in time. */
  private final class Accepted extends ChannelInboundHandlerAdapter {
    private HalfOpen.@Nullable Place place;
    private boolean begun;

    @Override
    public void channelActive(ChannelHandlerContext ctx) {
      QuicChannel connection = (QuicChannel) ctx.channel();
      HalfOpen.Place entered =
          connection.remoteSocketAddress() instanceof InetSocketAddress from
              ? port.enter(from, () -> unawaited(connection.close()))
              : null;
      if (entered == null) {
        unawaited(connection.close());
        return;
      }
      place = entered;
      connection.closeFuture().addListener(ended -> entered.leave());
      var deadline =
          connection
              .eventLoop()
              .schedule(
                  () -> {
                    if (!begun) {
                      unawaited(connection.close());
                    }
                  },
                  limits.handshakeTimeout().toMillis(),
                  TimeUnit.MILLISECONDS);
      connection.closeFuture().addListener(ended -> deadline.cancel(false));
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      unawaited(ctx.close());
    }
  }

  /** A dialled connection itself has nothing to say. */
  private static final class Ignoring extends ChannelInboundHandlerAdapter {
    @Override
    public void exceptionCaught(ChannelHandlerContext ctx, Throwable cause) {
      unawaited(ctx.close());
    }
  }

  /** The responder opens no streams. */
  private static final class Unwanted extends ChannelInboundHandlerAdapter {
    @Override
    public void handlerAdded(ChannelHandlerContext ctx) {
      Channel stream = ctx.channel();
      unawaited(stream.close());
    }
  }
}
