package io.pluresdb.harness.bench;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.function.IntFunction;

/**
 * Clients over kept connections, each of which sends its next request when it has its answer: one
 * thread for all, and no more work than it takes to find where an answer ends.
 */
final class HttpLoad {
  private static final int BUFFER_BYTES = 256 << 10;
  private static final byte[] LENGTH = "content-length: ".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] HEAD_END = "\r\n\r\n".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] LAST_CHUNK = "\r\n0\r\n\r\n".getBytes(StandardCharsets.US_ASCII);

  private HttpLoad() {}

  record Result(double perSecond, double p99Millis) {}

  /** A connection and the answer it waits for. */
  private static final class Client {
    final SocketChannel channel;
    byte[] answer = new byte[1 << 10];
    int length;
    long sentAtNanos;

    /** Whether it had an answer already. */
    boolean greeted;

    Client(SocketChannel channel) {
      this.channel = channel;
    }

    void send(byte[] request) throws IOException {
      ByteBuffer bytes = ByteBuffer.wrap(request);
      while (bytes.hasRemaining()) {
        channel.write(bytes);
      }
      length = 0;
      sentAtNanos = System.nanoTime();
    }

    void take(ByteBuffer bytes) {
      int more = bytes.remaining();
      if (length + more > answer.length) {
        answer = Arrays.copyOf(answer, 2 * (length + more));
      }
      bytes.get(answer, length, more);
      length += more;
    }

    /** Where the body begins when all of it is there, otherwise -1. */
    int whole() {
      int head = find(answer, length, HEAD_END, 0);
      if (head < 0) {
        return -1;
      }
      int body = head + HEAD_END.length;
      int at = find(answer, head, LENGTH, 0);
      if (at < 0) {
        boolean ended =
            Arrays.equals(
                answer,
                Math.max(0, length - LAST_CHUNK.length),
                length,
                LAST_CHUNK,
                0,
                LAST_CHUNK.length);
        return ended ? body : -1;
      }
      int bytes = 0;
      for (int i = at + LENGTH.length; answer[i] >= '0'; i++) {
        bytes = 10 * bytes + answer[i] - '0';
      }
      return length >= body + bytes ? body : -1;
    }

    void requireOk() throws IOException {
      String status = new String(answer, 0, Math.min(length, 15), StandardCharsets.US_ASCII);
      if (!status.startsWith("HTTP/1.1 200")) {
        throw new IOException(new String(answer, 0, length, StandardCharsets.UTF_8));
      }
    }
  }

  private static int find(byte[] text, int length, byte[] wanted, int from) {
    for (int i = from; i <= length - wanted.length; i++) {
      if (text[i] == wanted[0]
          && Arrays.equals(text, i, i + wanted.length, wanted, 0, wanted.length)) {
        return i;
      }
    }
    return -1;
  }

  private static Client connect(int port) throws IOException {
    var channel = SocketChannel.open(new InetSocketAddress(InetAddress.getLoopbackAddress(), port));
    channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
    return new Client(channel);
  }

  /** How long the body of the answer to a request is. */
  static int bodyBytes(int port, byte[] request) throws IOException {
    Client client = connect(port);
    try (SocketChannel channel = client.channel) {
      client.send(request);
      var buffer = ByteBuffer.allocate(BUFFER_BYTES);
      int body = -1;
      while (body < 0) {
        read(channel, buffer);
        client.take(buffer);
        body = client.whole();
      }
      client.requireOk();
      return client.length - body;
    }
  }

  private static void read(SocketChannel channel, ByteBuffer into) throws IOException {
    into.clear();
    if (channel.read(into) < 0) {
      throw new EOFException("the server closed the connection");
    }
    into.flip();
  }

  /**
   * Asks for some time, which begins when every connection had an answer: it is kept connections
   * that are measured.
   *
   * @param request the n-th, from 0
   * @throws IOException when anything but 200 is answered
   */
  static Result run(int port, int connections, long nanos, IntFunction<byte[]> request)
      throws IOException {
    var clients = new ArrayList<Client>();
    var latencies = new long[1 << 16];
    int answered = 0;
    int sent = 0;
    try (Selector selector = Selector.open()) {
      for (int i = 0; i < connections; i++) {
        Client client = connect(port);
        clients.add(client);
        client.channel.configureBlocking(false);
        client.channel.register(selector, SelectionKey.OP_READ, client);
      }
      var buffer = ByteBuffer.allocateDirect(BUFFER_BYTES);
      for (Client client : clients) {
        client.send(request.apply(sent++));
      }
      long now = System.nanoTime();
      long begun = now;
      int greeted = 0;
      while (greeted < connections || now - begun < nanos) {
        selector.select();
        for (SelectionKey key : selector.selectedKeys()) {
          var client = (Client) key.attachment();
          read(client.channel, buffer);
          client.take(buffer);
          if (client.whole() >= 0) {
            client.requireOk();
            now = System.nanoTime();
            if (!client.greeted) {
              client.greeted = true;
              greeted++;
              answered = 0;
              begun = now;
            } else {
              if (answered == latencies.length) {
                latencies = Arrays.copyOf(latencies, 2 * answered);
              }
              latencies[answered++] = now - client.sentAtNanos;
            }
            client.send(request.apply(sent++));
          }
        }
        selector.selectedKeys().clear();
      }
      double seconds = (now - begun) / 1e9;
      double p99 = Report.percentile(Arrays.copyOf(latencies, answered), 0.99);
      return new Result(answered / seconds, p99);
    } finally {
      for (Client client : clients) {
        client.channel.close();
      }
    }
  }
}
