package io.pluresdb.transport.relay;

import io.pluresdb.transport.topic.PeerTag;
import io.pluresdb.transport.topic.Rendezvous;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import org.jspecify.annotations.Nullable;

/**
 * What a relay and a client say to each other besides circuits: one binary WebSocket message each.
 *
 * <pre>
 * message := kind u8 | content
 * </pre>
 */
public sealed interface RelayMessage {
  /** Longest message. */
  int MAX_MESSAGE_BYTES = 256;

  /** The version of this protocol. */
  int VERSION = 1;

  /** Length of the name of a circuit. */
  int CIRCUIT_BYTES = 16;

  /** Client: from now on others may reach this connection by the tag. */
  record Register(Rendezvous rendezvous, PeerTag tag) implements RelayMessage {}

  /** Client: no longer. */
  record Unregister(Rendezvous rendezvous, PeerTag tag) implements RelayMessage {}

  /**
   * Relay, first of all.
   *
   * @param idleSeconds a connection that says nothing for so long is closed
   * @param registrations most at a time
   * @param address the client's IP address as the relay sees it, 4 or 16 bytes
   * @param echoPort the relay's UDP port that answers a {@link
   *     io.pluresdb.transport.path.PortEcho.Question}, 0 when there is none
   */
  record Welcome(int version, int idleSeconds, int registrations, byte[] address, int echoPort)
      implements RelayMessage {}

  /** Relay: somebody who was there before this client registered; the client may dial. */
  record Present(Rendezvous rendezvous, PeerTag tag) implements RelayMessage {}

  /** Relay: somebody cannot be dialled any more. */
  record Gone(Rendezvous rendezvous, PeerTag tag) implements RelayMessage {}

  /** Relay: somebody dialled this client, which may accept the circuit. */
  record Incoming(Rendezvous rendezvous, byte[] circuit) implements RelayMessage {}

  /** Relay: a registration was not taken. */
  record Refused(Rendezvous rendezvous, String limit) implements RelayMessage {}

  /** Relay: it is stopping; go elsewhere and do not come back for so long. */
  record Leave(int retrySeconds) implements RelayMessage {}

  byte REGISTER = 1;
  byte UNREGISTER = 2;
  byte WELCOME = 16;
  byte PRESENT = 17;
  byte GONE = 18;
  byte INCOMING = 19;
  byte REFUSED = 20;
  byte LEAVE = 21;

  /** Most characters of the name of a limit. */
  int MAX_LIMIT_CHARACTERS = 64;

  /** The message as it travels. */
  default byte[] encode() {
    ByteBuffer out = ByteBuffer.allocate(MAX_MESSAGE_BYTES);
    switch (this) {
      case Register(var rendezvous, var tag) -> named(out, REGISTER, rendezvous, tag);
      case Unregister(var rendezvous, var tag) -> named(out, UNREGISTER, rendezvous, tag);
      case Welcome(var version, var idle, var registrations, var address, var echoPort) ->
          out.put(WELCOME)
              .put((byte) version)
              .putShort((short) idle)
              .putShort((short) registrations)
              .put((byte) address.length)
              .put(address)
              .putShort((short) echoPort);
      case Present(var rendezvous, var tag) -> named(out, PRESENT, rendezvous, tag);
      case Gone(var rendezvous, var tag) -> named(out, GONE, rendezvous, tag);
      case Incoming(var rendezvous, var circuit) ->
          out.put(INCOMING).put(rendezvous.bytes()).put(circuit);
      case Refused(var rendezvous, var limit) -> {
        byte[] text = limit.getBytes(StandardCharsets.US_ASCII);
        out.put(REFUSED).put(rendezvous.bytes()).put((byte) text.length).put(text);
      }
      case Leave(var retrySeconds) -> out.put(LEAVE).putShort((short) retrySeconds);
    }
    byte[] bytes = new byte[out.position()];
    out.flip().get(bytes);
    return bytes;
  }

  private static void named(ByteBuffer out, byte kind, Rendezvous rendezvous, PeerTag tag) {
    out.put(kind).put(rendezvous.bytes()).put(tag.bytes());
  }

  /** Reads what {@link #encode} wrote; null for anything else. */
  static @Nullable RelayMessage decode(byte[] bytes) {
    ByteBuffer in = ByteBuffer.wrap(bytes);
    try {
      RelayMessage message = read(in);
      return in.hasRemaining() ? null : message;
    } catch (BufferUnderflowException e) {
      return null;
    }
  }

  private static @Nullable RelayMessage read(ByteBuffer in) {
    return switch (in.get()) {
      case REGISTER -> new Register(rendezvous(in), tag(in));
      case UNREGISTER -> new Unregister(rendezvous(in), tag(in));
      case WELCOME -> {
        int version = in.get();
        int idle = in.getShort() & 0xffff;
        int registrations = in.getShort() & 0xffff;
        int length = in.get();
        if (length != 4 && length != 16) {
          yield null;
        }
        byte[] address = bytes(in, length);
        yield new Welcome(version, idle, registrations, address, in.getShort() & 0xffff);
      }
      case PRESENT -> new Present(rendezvous(in), tag(in));
      case GONE -> new Gone(rendezvous(in), tag(in));
      case INCOMING -> new Incoming(rendezvous(in), bytes(in, CIRCUIT_BYTES));
      case REFUSED -> {
        Rendezvous rendezvous = rendezvous(in);
        int length = in.get();
        if (length < 1 || length > MAX_LIMIT_CHARACTERS) {
          yield null;
        }
        String limit = new String(bytes(in, length), StandardCharsets.ISO_8859_1);
        if (!limit.chars().allMatch(c -> c > ' ' && c < 0x7f)) {
          yield null;
        }
        yield new Refused(rendezvous, limit);
      }
      case LEAVE -> new Leave(in.getShort() & 0xffff);
      default -> null;
    };
  }

  private static Rendezvous rendezvous(ByteBuffer in) {
    return new Rendezvous(bytes(in, Rendezvous.RENDEZVOUS_BYTES));
  }

  private static PeerTag tag(ByteBuffer in) {
    return new PeerTag(bytes(in, PeerTag.TAG_BYTES));
  }

  private static byte[] bytes(ByteBuffer in, int length) {
    byte[] bytes = new byte[length];
    in.get(bytes);
    return bytes;
  }

  /** The path of control connections. */
  String CONTROL_PATH = "/v1/control";

  /** In front of RENDEZVOUS/TAG in hexadecimal: the path that dials. */
  String DIAL_PATH = "/v1/dial/";

  /** In front of a circuit in hexadecimal: the path that accepts. */
  String ACCEPT_PATH = "/v1/accept/";

  /** The path that accepts {@code circuit}. */
  static String acceptPath(byte[] circuit) {
    return ACCEPT_PATH + HexFormat.of().formatHex(circuit);
  }

  /** The path that dials the peer. */
  static String dialPath(Rendezvous rendezvous, PeerTag tag) {
    return DIAL_PATH + rendezvous + "/" + tag;
  }
}
