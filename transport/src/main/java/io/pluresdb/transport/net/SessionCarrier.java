package io.pluresdb.transport.net;

import io.netty.channel.Channel;
import io.netty.channel.socket.SocketChannel;
import io.netty.util.concurrent.Future;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.session.SessionPath;
import java.util.function.Consumer;

/**
 * What is below a session.
 *
 * @param finish tells the peer that nothing more is sent, while what it sends may still be read
 */
record SessionCarrier(SessionPath path, Consumer<Channel> finish) {
  static SessionCarrier direct() {
    return new SessionCarrier(
        new SessionPath.Direct(),
        channel -> {
          if (channel instanceof SocketChannel socket) {
            unawaited(socket.shutdownOutput());
          }
        });
  }

  static SessionCarrier relayed(RelayUrl relay, WebSocketClientCodec codec) {
    return new SessionCarrier(
        new SessionPath.Relayed(relay), channel -> codec.close(WebSocket.NORMAL));
  }

  private static void unawaited(Future<?> ignored) {}
}
