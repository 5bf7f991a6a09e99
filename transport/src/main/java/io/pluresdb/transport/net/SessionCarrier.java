package io.pluresdb.transport.net;

import io.netty.channel.Channel;
import io.netty.channel.socket.SocketChannel;
import io.netty.handler.codec.quic.QuicStreamChannel;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.session.SessionPath;
import java.net.InetSocketAddress;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What is below a session.
 *
 * @param remote where the peer is; null where the channel says so itself
 * @param finish tells the peer that nothing more is sent, while what it sends may still be read
 */
record SessionCarrier(
    SessionPath path, @Nullable InetSocketAddress remote, Consumer<Channel> finish) {
  static SessionCarrier direct() {
    return new SessionCarrier(
        new SessionPath.Direct(),
        null,
        channel -> {
          if (channel instanceof SocketChannel socket) {
            unawaited(socket.shutdownOutput());
          }
        });
  }

  static SessionCarrier quic(InetSocketAddress remote) {
    return new SessionCarrier(
        new SessionPath.Quic(),
        remote,
        channel -> {
          if (channel instanceof QuicStreamChannel stream) {
            unawaited(stream.shutdownOutput());
          }
        });
  }

  static SessionCarrier relayed(RelayUrl relay, WebSocketClientCodec codec) {
    return new SessionCarrier(
        new SessionPath.Relayed(relay), null, channel -> codec.close(WebSocket.NORMAL));
  }

  private static void unawaited(Future<?> ignored) {}
}
