package io.pluresdb.transport.net;

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;

/** A man in the middle of one connection, who harms the initiator's next frame once armed. */
final class Relay implements AutoCloseable {
  enum Harm {
    /** One bit of the ciphertext differs. */
    CHANGE,
    /** The frame arrives twice. */
    REPLAY,
    /** A made-up frame comes first. */
    INJECT,
    /** The frame ends early, by its length. */
    SHORTEN
  }

  private static final int PREAMBLE_BYTES = 22;

  private final ServerSocket listening = new ServerSocket();
  private final InetSocketAddress target;
  private final Harm harm;
  private volatile boolean armed;

  Relay(InetSocketAddress target, Harm harm) throws IOException {
    this.target = target;
    this.harm = harm;
    listening.bind(Node.anyPort());
    Thread.ofVirtual().start(this::run);
  }

  InetSocketAddress address() {
    return (InetSocketAddress) listening.getLocalSocketAddress();
  }

  void arm() {
    armed = true;
  }

  @Override
  public void close() throws IOException {
    listening.close();
  }

  private void run() {
    try (Socket client = listening.accept();
        Socket server = new Socket(target.getAddress(), target.getPort())) {
      Thread back =
          Thread.ofVirtual()
              .start(
                  () -> {
                    try {
                      server.getInputStream().transferTo(client.getOutputStream());
                    } catch (IOException e) {
                      // The connection ended; the other direction notices too.
                    }
                    close(client);
                  });
      DataInputStream in = new DataInputStream(client.getInputStream());
      DataOutputStream out = new DataOutputStream(server.getOutputStream());
      out.write(in.readNBytes(PREAMBLE_BYTES));
      while (true) {
        byte[] frame = in.readNBytes(in.readUnsignedShort());
        forward(out, frame);
        if (!back.isAlive()) {
          return;
        }
      }
    } catch (IOException e) {
      // One side closed: the relay's work is done.
    }
  }

  private void forward(DataOutputStream out, byte[] frame) throws IOException {
    boolean now = armed;
    armed = false;
    if (now && harm == Harm.CHANGE) {
      frame[frame.length / 2] ^= 1;
    }
    if (now && harm == Harm.INJECT) {
      write(out, new byte[40], 40);
    }
    write(out, frame, now && harm == Harm.SHORTEN ? frame.length - 1 : frame.length);
    if (now && harm == Harm.REPLAY) {
      write(out, frame, frame.length);
    }
  }

  private static void write(DataOutputStream out, byte[] frame, int length) throws IOException {
    out.writeShort(length);
    out.write(frame, 0, length);
    out.flush();
  }

  private static void close(Socket socket) {
    try {
      socket.close();
    } catch (IOException e) {
      // Closed is what it should be.
    }
  }
}
