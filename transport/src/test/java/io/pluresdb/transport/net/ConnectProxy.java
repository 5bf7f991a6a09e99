package io.pluresdb.transport.net;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/** A small HTTP proxy that knows CONNECT only, with or without a login. */
final class ConnectProxy implements AutoCloseable {
  final Queue<String> requests = new ConcurrentLinkedQueue<>();
  private final ServerSocket listener;
  private final Queue<Socket> sockets = new ConcurrentLinkedQueue<>();
  private final @Nullable String login;

  ConnectProxy(@Nullable String login) throws IOException {
    this.login = login;
    listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.startVirtualThread(this::accept);
  }

  int port() {
    return listener.getLocalPort();
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket client = listener.accept();
        sockets.add(client);
        Thread.startVirtualThread(() -> serve(client));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(Socket client) {
    try {
      var head = new StringBuilder();
      InputStream in = client.getInputStream();
      while (!head.toString().endsWith("\r\n\r\n")) {
        int next = in.read();
        if (next < 0) {
          return;
        }
        head.append((char) next);
      }
      requests.add(head.toString());
      OutputStream out = client.getOutputStream();
      String wanted =
          login == null
              ? ""
              : "Proxy-Authorization: Basic "
                  + Base64.getEncoder().encodeToString(login.getBytes(StandardCharsets.UTF_8));
      if (!head.toString().contains(wanted)) {
        out.write(ascii("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"));
        client.close();
        return;
      }
      String target = head.toString().split(" ")[1];
      int colon = target.lastIndexOf(':');
      if (target.startsWith("forbidden.")) {
        out.write(ascii("HTTP/1.1 403 Forbidden by policy\r\n\r\n"));
        client.close();
        return;
      }
      var server =
          new Socket(
              InetAddress.getByName(target.substring(0, colon)),
              Integer.parseInt(target.substring(colon + 1)));
      sockets.add(server);
      out.write(ascii("HTTP/1.1 200 Connection established\r\nProxy-Agent: test\r\n\r\n"));
      Thread.startVirtualThread(() -> pump(server, client));
      pump(client, server);
    } catch (IOException e) {
      // One tunnel less.
    }
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }

  private static void pump(Socket from, Socket to) {
    try (from;
        to) {
      from.getInputStream().transferTo(to.getOutputStream());
    } catch (IOException e) {
      // The tunnel is over.
    }
  }

  @Override
  public void close() throws IOException {
    listener.close();
    for (Socket socket : sockets) {
      socket.close();
    }
  }
}
