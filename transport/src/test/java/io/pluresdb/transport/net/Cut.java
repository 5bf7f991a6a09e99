package io.pluresdb.transport.net;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;

/** A way over TCP that can be cut, or be still for a while, without a word. */
final class Cut implements AutoCloseable {
  private final ServerSocket listening = new ServerSocket();
  private final InetSocketAddress target;
  private boolean still; // Guarded by this.
  private final Queue<Socket> sockets = new ConcurrentLinkedQueue<>();

  Cut(InetSocketAddress target) throws IOException {
    this.target = target;
    listening.bind(Node.anyPort());
    Thread.ofVirtual().start(this::accept);
  }

  InetSocketAddress address() {
    return (InetSocketAddress) listening.getLocalSocketAddress();
  }

  private void accept() {
    try {
      while (true) {
        Socket client = listening.accept();
        Socket server = new Socket(target.getAddress(), target.getPort());
        sockets.add(client);
        sockets.add(server);
        Thread.ofVirtual().start(() -> forward(client, server));
        Thread.ofVirtual().start(() -> forward(server, client));
      }
    } catch (IOException e) {
      // Cut.
    }
  }

  private void forward(Socket from, Socket to) {
    byte[] bytes = new byte[8192];
    try {
      int read = from.getInputStream().read(bytes);
      while (read >= 0) {
        thawed();
        to.getOutputStream().write(bytes, 0, read);
        read = from.getInputStream().read(bytes);
      }
    } catch (IOException e) {
      // Cut.
    }
  }

  private synchronized void thawed() throws IOException {
    try {
      while (still) {
        wait();
      }
    } catch (InterruptedException e) {
      throw new IOException(e);
    }
  }

  /** From now on nothing arrives; connections stay open. */
  synchronized void freeze() {
    still = true;
  }

  /** What was held back arrives, and what follows. */
  synchronized void thaw() {
    still = false;
    notifyAll();
  }

  /** Cuts it. */
  void now() throws IOException {
    close();
  }

  @Override
  public void close() throws IOException {
    thaw();
    listening.close();
    for (Socket socket : sockets) {
      socket.close();
    }
  }
}
