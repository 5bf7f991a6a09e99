package io.pluresdb.harness.docs;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** The proxy of a company: an HTTP proxy on the loopback address that knows CONNECT only. */
final class ConnectProxy implements AutoCloseable {
  private static final int MAX_HEAD_BYTES = 8192;

  private final Queue<String> targets = new ConcurrentLinkedQueue<>();
  private final Queue<Socket> sockets = new ConcurrentLinkedQueue<>();
  private final ServerSocket listener;

  ConnectProxy() throws IOException {
    listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    Thread.startVirtualThread(this::accept);
  }

  String url() {
    return "http://127.0.0.1:" + listener.getLocalPort();
  }

  /** HOST:PORT of everything that was connected to through it. */
  Queue<String> targets() {
    return targets;
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket client = listener.accept();
        sockets.add(client);
        Thread.startVirtualThread(() -> serve(client));
      } catch (IOException e) {
        return; // Closed.
      }
    }
  }

  private void serve(Socket client) {
    try (client) {
      InputStream in = client.getInputStream();
      var head = new StringBuilder();
      while (head.indexOf("\r\n\r\n") < 0 && head.length() < MAX_HEAD_BYTES) {
        int next = in.read();
        if (next < 0) {
          return;
        }
        head.append((char) next);
      }
      String[] words = head.toString().split(" ");
      if (!words[0].equals("CONNECT")) {
        answer(client, "405 CONNECT only");
        return;
      }
      int colon = words[1].lastIndexOf(':');
      try (var server =
          new Socket(
              words[1].substring(0, colon), Integer.parseInt(words[1].substring(colon + 1)))) {
        sockets.add(server);
        targets.add(words[1]);
        answer(client, "200 connected");
        Thread back = Thread.startVirtualThread(() -> copy(server, client));
        copy(client, server);
        back.join();
      } catch (IOException e) {
        answer(client, "502 " + e.getMessage());
      }
    } catch (IOException e) {
      // The client went away.
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private static void answer(Socket client, String status) throws IOException {
    client
        .getOutputStream()
        .write(("HTTP/1.1 " + status + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
  }

  private static void copy(Socket from, Socket to) {
    try {
      OutputStream out = to.getOutputStream();
      from.getInputStream().transferTo(out);
      to.shutdownOutput();
    } catch (IOException e) {
      // One of the two went away; closing both ends the other direction.
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
