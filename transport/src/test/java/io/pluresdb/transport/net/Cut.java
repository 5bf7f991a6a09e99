package io.pluresdb.transport.net;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import org.jspecify.annotations.Nullable;

/** A way over TCP that can be cut, or be still for a while, without a word. */
final class Cut implements AutoCloseable {
  private final ServerSocket listening = new ServerSocket();
  private final InetSocketAddress target;
  private boolean still; // Guarded by this.
  private @Nullable Side firstOnly; // Guarded by this.
  private boolean heldBack; // Guarded by this.
  private final Queue<Socket> sockets = new ConcurrentLinkedQueue<>();

  /** Who speaks. */
  enum Side {
    CONNECTING,
    LISTENING
  }

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
        Thread.ofVirtual().start(() -> forward(client, server, Side.CONNECTING));
        Thread.ofVirtual().start(() -> forward(server, client, Side.LISTENING));
      }
    } catch (IOException e) {
      // Cut.
    }
  }

  private void forward(Socket from, Socket to, Side side) {
    byte[] bytes = new byte[8192];
    boolean first = true;
    try {
      int read = from.getInputStream().read(bytes);
      while (read >= 0) {
        thawed(first ? null : side);
        first = false;
        to.getOutputStream().write(bytes, 0, read);
        read = from.getInputStream().read(bytes);
      }
    } catch (IOException e) {
      // Cut.
    }
  }

  /** Waits; {@code later} is who has spoken before. */
  private synchronized void thawed(@Nullable Side later) throws IOException {
    try {
      while (still || (later != null && later == firstOnly)) {
        heldBack = true;
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

  /** From now on only the first that {@code side} says arrives; connections stay open. */
  synchronized void freezeAfterFirst(Side side) {
    firstOnly = side;
  }

  /** Whether something was held back since. */
  synchronized boolean hasHeldBack() {
    return heldBack;
  }

  /** What was held back arrives, and what follows. */
  synchronized void thaw() {
    still = false;
    firstOnly = null;
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
