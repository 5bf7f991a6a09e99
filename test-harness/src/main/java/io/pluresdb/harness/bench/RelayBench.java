package io.pluresdb.harness.bench;

import io.pluresdb.transport.relay.RelayMessage;
import io.pluresdb.transport.relay.WebSocket;
import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.atomic.LongAdder;
import java.util.concurrent.locks.LockSupport;

/**
 * Bytes a second through a relay and through a plain TCP forwarder in the same process, one circuit
 * and many, in turns; and the memory of idle circuits. Both get the same bytes, masked frames of 64
 * KiB, so that whoever sends and receives them works the same.
 */
final class RelayBench {
  private static final int FRAME_BYTES = 1 << 16;
  private static final int MASK = 0x3d5a_91c7;
  private static final int MAX_CIRCUITS = 4000;
  private static final double TARGET_SHARE = 0.7;
  private static final double TARGET_CIRCUIT_BYTES = 10 * 1024;
  private static final int HEAP_MEBIBYTES = 384;
  private static final long MIB = 1 << 20;
  private static final Rendezvous RENDEZVOUS =
      new Rendezvous(new byte[Rendezvous.RENDEZVOUS_BYTES]);
  private static final PeerTag TAG = new PeerTag(new byte[PeerTag.TAG_BYTES]);

  private RelayBench() {}

  /** Who sends and who receives. */
  private record Pair(Socket from, Socket to) {}

  private record Memory(long heap, long resident) {}

  static Report run(int circuits, int seconds, int rounds) throws Exception {
    if (circuits < 1 || circuits > MAX_CIRCUITS || seconds < 1 || rounds < 1 || rounds > 100) {
      throw new IllegalArgumentException(
          "--circuits must be 1 to 4000, --seconds 1 or more and --rounds 1 to 100, but are "
              + circuits
              + ", "
              + seconds
              + " and "
              + rounds);
    }
    var report = new Report("relay").add("circuits", circuits).add("frameBytes", FRAME_BYTES);
    try (Child child = Child.of(BenchRelay.class)) {
      String[] ports = child.answer();
      int relay = Integer.parseInt(ports[0]);
      int forwarder = Integer.parseInt(ports[1]);
      try (Socket control = control(relay)) {
        // Loads what the first circuit loads.
        List<Pair> one = relayed(relay, control, 1);
        List<Pair> plain = forwarded(forwarder, 1);
        compare(report, "one", plain, one, seconds, rounds);
        close(one);
        close(plain);
        List<Pair> many = relayed(relay, control, circuits);
        plain = forwarded(forwarder, circuits);
        compare(report, "all", plain, many, seconds, rounds);
        close(many);
        close(plain);
      }
    }
    idle(report, circuits);
    return report;
  }

  private static void idle(Report report, int circuits) throws IOException {
    try (Child child = Child.withTouchedHeap(BenchRelay.class, HEAP_MEBIBYTES)) {
      int relay = Integer.parseInt(child.answer()[0]);
      try (Socket control = control(relay)) {
        // Once before: what upgrades load and compile is not what circuits take.
        close(relayed(relay, control, circuits));
        Memory before = memory(child);
        List<Pair> many = relayed(relay, control, circuits);
        Memory idle = memory(child);
        double heap = (double) (idle.heap - before.heap) / circuits;
        double outside = (double) (idle.resident - before.resident) / circuits;
        report
            .add("idleCircuitHeapBytes", heap)
            .add("idleCircuitResidentBytes", heap + outside, "<=", TARGET_CIRCUIT_BYTES);
        close(many);
      }
    }
  }

  private static Memory memory(Child child) {
    String[] words = child.ask("memory");
    return new Memory(Long.parseLong(words[0]), Long.parseLong(words[1]));
  }

  private static void compare(
      Report report, String name, List<Pair> plain, List<Pair> relayed, int seconds, int rounds)
      throws IOException {
    double[] plainRates = new double[rounds];
    double[] relayRates = new double[rounds];
    for (int round = 0; round < rounds; round++) {
      plainRates[round] = bytesPerSecond(plain, seconds) / MIB;
      relayRates[round] = bytesPerSecond(relayed, seconds) / MIB;
    }
    Arrays.sort(plainRates);
    Arrays.sort(relayRates);
    double plainRate = plainRates[rounds / 2];
    double relayRate = relayRates[rounds / 2];
    report
        .add(name + "ForwarderMiBPerSecond", plainRate)
        .add(name + "RelayMiBPerSecond", relayRate)
        .add(name + "RelayShare", relayRate / plainRate, ">=", TARGET_SHARE);
  }

  /** What arrives in that time; what is on its way at the end is read away. */
  private static double bytesPerSecond(List<Pair> pairs, int seconds) throws IOException {
    byte[] frame = frame();
    var received = new LongAdder();
    var sent = new LongAdder();
    var threads = new ArrayList<Thread>();
    long end = System.nanoTime() + seconds * 1_000_000_000L;
    var whole = new LongAdder();
    for (Pair pair : pairs) {
      threads.add(
          Thread.startVirtualThread(
              () -> {
                try {
                  OutputStream out = pair.from.getOutputStream();
                  while (System.nanoTime() < end) {
                    out.write(frame);
                    sent.increment();
                  }
                  whole.increment();
                } catch (IOException e) {
                  throw new java.io.UncheckedIOException(e);
                }
              }));
      Thread.startVirtualThread(
          () -> {
            byte[] buffer = new byte[FRAME_BYTES];
            try {
              for (int n = pair.to.getInputStream().read(buffer);
                  n >= 0;
                  n = pair.to.getInputStream().read(buffer)) {
                received.add(n);
                if (System.nanoTime() > end && pair.to.getInputStream().available() == 0) {
                  // Another read would wait for the next measurement's bytes.
                  if (whole.sum() == pairs.size()
                      && received.sum() >= sent.sum() * (long) FRAME_BYTES) {
                    return;
                  }
                }
              }
            } catch (IOException e) {
              // Closed, or timed out between measurements.
            }
          });
    }
    LockSupport.parkNanos(end - System.nanoTime());
    double rate = (double) received.sum() / seconds;
    for (Thread thread : threads) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("interrupted", e);
      }
    }
    return rate;
  }

  private static byte[] frame() {
    ByteBuffer bytes = ByteBuffer.allocate(WebSocket.MAX_HEADER_BYTES + FRAME_BYTES);
    WebSocket.putMaskedHeader(bytes, WebSocket.BINARY, true, FRAME_BYTES, MASK);
    return Arrays.copyOf(bytes.array(), bytes.position() + FRAME_BYTES);
  }

  private static void close(List<Pair> pairs) throws IOException {
    for (Pair pair : pairs) {
      pair.from.close();
      pair.to.close();
    }
  }

  private static Socket connect(int port) throws IOException {
    var socket = new Socket(InetAddress.getLoopbackAddress(), port);
    socket.setTcpNoDelay(true);
    return socket;
  }

  private static List<Pair> forwarded(int port, int count) throws IOException {
    var pairs = new ArrayList<Pair>();
    for (int i = 0; i < count; i++) {
      pairs.add(new Pair(connect(port), connect(port)));
    }
    return pairs;
  }

  private static void request(Socket socket, String path) throws IOException {
    String request =
        "GET "
            + path
            + " HTTP/1.1\r\nHost: relay\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
  }

  private static void awaitUpgrade(Socket socket) throws IOException {
    var head = new StringBuilder();
    while (!head.toString().endsWith("\r\n\r\n")) {
      int next = socket.getInputStream().read();
      if (next < 0) {
        throw new IOException("the relay refused: " + head);
      }
      head.append((char) next);
    }
    if (!head.toString().startsWith("HTTP/1.1 101")) {
      throw new IOException("the relay refused: " + head);
    }
  }

  private static RelayMessage message(Socket control) throws IOException {
    var in = new DataInputStream(control.getInputStream());
    in.readByte();
    byte[] payload = new byte[in.readUnsignedByte()];
    in.readFully(payload);
    RelayMessage message = RelayMessage.decode(payload);
    if (message == null) {
      throw new IOException("no message of a relay");
    }
    return message;
  }

  private static Socket control(int port) throws IOException {
    Socket control = connect(port);
    request(control, RelayMessage.CONTROL_PATH);
    awaitUpgrade(control);
    message(control);
    byte[] register = new RelayMessage.Register(RENDEZVOUS, TAG).encode();
    ByteBuffer frame = ByteBuffer.allocate(WebSocket.MAX_HEADER_BYTES + register.length);
    WebSocket.putMaskedHeader(frame, WebSocket.BINARY, true, register.length, 0);
    frame.put(register);
    control.getOutputStream().write(frame.array(), 0, frame.position());
    return control;
  }

  private static List<Pair> relayed(int port, Socket control, int count) throws IOException {
    var pairs = new ArrayList<Pair>();
    for (int i = 0; i < count; i++) {
      Socket from = connect(port);
      request(from, RelayMessage.dialPath(RENDEZVOUS, TAG));
      if (!(message(control) instanceof RelayMessage.Incoming(var rendezvous, var circuit))) {
        throw new IOException("nobody was asked to accept");
      }
      Socket to = connect(port);
      request(to, RelayMessage.acceptPath(circuit));
      awaitUpgrade(to);
      awaitUpgrade(from);
      pairs.add(new Pair(from, to));
    }
    return pairs;
  }
}
