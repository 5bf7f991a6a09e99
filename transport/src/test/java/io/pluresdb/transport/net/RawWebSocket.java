package io.pluresdb.transport.net;

import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import org.jspecify.annotations.Nullable;

/** A WebSocket on a plain socket, that sends what it is told, be it allowed or not. */
final class RawWebSocket implements AutoCloseable {
  static final int FINAL = 0x80;
  private static final int TIMEOUT_MILLIS = 20_000;
  private static final int MASK = 0x3d5a_91c7;

  final Socket socket;
  private final DataInputStream in;
  private final OutputStream out;

  /** A frame that arrived; {@code first} is its first byte. */
  record Frame(int first, byte[] payload) {
    int opcode() {
      return first & 0x0f;
    }

    int closeCode() {
      return payload.length == 0 ? 0 : ByteBuffer.wrap(payload).getShort() & 0xffff;
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Frame that
          && first == that.first
          && Arrays.equals(payload, that.payload);
    }

    @Override
    public int hashCode() {
      return Arrays.hashCode(payload);
    }

    @Override
    public String toString() {
      return Integer.toHexString(first)
          + ":"
          + payload.length
          + (opcode() == WebSocket.CLOSE ? " code " + closeCode() : "");
    }
  }

  /** The relay did not switch protocols. */
  static final class RefusedException extends RuntimeException {
    private static final long serialVersionUID = 1;

    RefusedException(String answer) {
      super(answer);
    }
  }

  private RawWebSocket(int port) throws IOException {
    socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setSoTimeout(TIMEOUT_MILLIS);
    socket.setTcpNoDelay(true);
    in = new DataInputStream(socket.getInputStream());
    out = socket.getOutputStream();
  }

  /** Sends any request and returns all of the answer. */
  static String ask(int port, String request) throws IOException {
    try (var plain = new RawWebSocket(port)) {
      plain.raw(request.getBytes(StandardCharsets.ISO_8859_1));
      return new String(plain.in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  /** The request for a WebSocket. */
  static String request(String path, String... headers) {
    return "GET "
        + path
        + " HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + String.join("", Arrays.stream(headers).map(header -> header + "\r\n").toList())
        + "\r\n";
  }

  /**
   * Opens a WebSocket.
   *
   * @throws RefusedException with the answer when the relay refuses
   */
  static RawWebSocket open(int port, String path, String... headers) throws IOException {
    var opened = new RawWebSocket(port);
    opened.raw(request(path, headers).getBytes(StandardCharsets.ISO_8859_1));
    var head = new StringBuilder();
    while (!head.toString().endsWith("\r\n\r\n")) {
      int next = opened.in.read();
      if (next < 0) {
        opened.close();
        throw new RefusedException("closed: " + head);
      }
      head.append((char) next);
    }
    if (!head.toString().startsWith("HTTP/1.1 101 ")) {
      String body = new String(opened.in.readAllBytes(), StandardCharsets.UTF_8);
      opened.close();
      throw new RefusedException(
          head.toString().lines().findFirst().orElse("") + " " + body.strip());
    }
    // The answer that RFC 6455 section 1.3 has for this key.
    if (!head.toString().contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) {
      throw new IOException("wrong accept in " + head);
    }
    return opened;
  }

  void raw(byte[] bytes) throws IOException {
    out.write(bytes);
    out.flush();
  }

  /** A masked frame. */
  static byte[] frame(int first, byte[] payload) {
    ByteBuffer bytes = ByteBuffer.allocate(WebSocket.MAX_HEADER_BYTES + payload.length);
    WebSocket.putMaskedHeader(bytes, first & 0x0f, true, payload.length, MASK);
    bytes.put(0, (byte) first);
    int at = bytes.position();
    bytes.put(payload);
    for (int i = 0; i < payload.length; i++) {
      bytes.put(at + i, (byte) (payload[i] ^ (MASK >>> (24 - 8 * (i % 4)))));
    }
    return Arrays.copyOf(bytes.array(), bytes.position());
  }

  void send(int first, byte[] payload) throws IOException {
    raw(frame(first, payload));
  }

  void send(RelayMessage message) throws IOException {
    send(FINAL | WebSocket.BINARY, message.encode());
  }

  /** The next frame, or null when the connection ended. */
  @Nullable Frame read() throws IOException {
    try {
      int first = in.readUnsignedByte();
      int length = in.readUnsignedByte();
      if (length == 126) {
        length = in.readUnsignedShort();
      } else if (length == 127) {
        length = Math.toIntExact(in.readLong());
      }
      byte[] payload = new byte[length];
      in.readFully(payload);
      return new Frame(first, payload);
    } catch (EOFException | SocketException e) {
      return null;
    }
  }

  /** The next frame, of which there must be one. */
  Frame next() throws IOException {
    Frame frame = read();
    if (frame == null) {
      throw new EOFException("the connection ended");
    }
    return frame;
  }

  /** Sends every frame back as it came, until a close or the end of the connection. */
  void echo() {
    try {
      for (Frame frame = read(); frame != null; frame = read()) {
        send(frame.first(), frame.payload());
        if (frame.opcode() == WebSocket.CLOSE) {
          return;
        }
      }
    } catch (IOException e) {
      // The circuit is over.
    }
  }

  RelayMessage readMessage() throws IOException {
    Frame frame = next();
    RelayMessage message = RelayMessage.decode(frame.payload());
    if (message == null) {
      throw new IOException("no message of a relay: " + frame);
    }
    return message;
  }

  /** A control connection past its welcome. */
  static RawWebSocket control(int port, String... headers) throws IOException {
    RawWebSocket control = open(port, RelayMessage.CONTROL_PATH, headers);
    if (!(control.readMessage() instanceof RelayMessage.Welcome)) {
      throw new IOException("no welcome");
    }
    return control;
  }

  /** Two ends of a circuit, and the control connection of who accepted it. */
  record Circuit(RawWebSocket dialler, RawWebSocket acceptor, RawWebSocket control)
      implements AutoCloseable {
    static Circuit open(int port, String... headers) throws IOException {
      RawWebSocket control = RawWebSocket.control(port, headers);
      byte[] name = new byte[Rendezvous.RENDEZVOUS_BYTES];
      new Random().nextBytes(name);
      var rendezvous = new Rendezvous(name);
      var tag = new PeerTag(new byte[PeerTag.TAG_BYTES]);
      control.send(new RelayMessage.Register(rendezvous, tag));
      return open(port, control, rendezvous, tag, headers);
    }

    static Circuit open(
        int port, RawWebSocket control, Rendezvous rendezvous, PeerTag tag, String... headers)
        throws IOException {
      // The relay answers in order: once this is answered, the registration is made.
      control.send(FINAL | WebSocket.PING, new byte[0]);
      Frame pong = control.next();
      if (pong.opcode() != WebSocket.PONG) {
        throw new IOException("no pong but " + pong);
      }
      var dialling =
          CompletableFuture.supplyAsync(
              () -> {
                try {
                  return RawWebSocket.open(port, RelayMessage.dialPath(rendezvous, tag), headers);
                } catch (IOException e) {
                  throw new CompletionException(e);
                }
              },
              Thread::startVirtualThread);
      RelayMessage.Incoming incoming;
      try {
        incoming = (RelayMessage.Incoming) control.readMessage();
      } catch (IOException e) {
        dialling.join();
        throw e;
      }
      RawWebSocket acceptor =
          RawWebSocket.open(port, RelayMessage.acceptPath(incoming.circuit()), headers);
      return new Circuit(dialling.join(), acceptor, control);
    }

    @Override
    public void close() throws IOException {
      dialler.close();
      acceptor.close();
      control.close();
    }
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
