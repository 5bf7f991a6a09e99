package io.pluresdb.transport.session;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.frame.FrameCipher;
import io.pluresdb.transport.frame.FrameReader;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.noise.HandshakeKeys;
import io.pluresdb.transport.noise.HandshakeState;
import io.pluresdb.transport.noise.KeyPair;
import io.pluresdb.transport.noise.NoiseException;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One side of the session handshake, without I/O: frames in, {@link Step}s out.
 *
 * <pre>
 * initiator                                     responder
 *   preamble, psk e                 48 B  ->
 *                                         <-  e ee s es {credential}
 *   s se {credential}                     ->
 *   READY or GOODBYE                      ->
 *                                         <-  READY or GOODBYE
 * </pre>
 *
 * <p>An outsider fails at the first tag, before any Diffie-Hellman, and learns nothing but that the
 * connection closed. Calls are slow (Diffie-Hellman, Ed25519, the policy) and belong on a handshake
 * thread; one thread at a time.
 */
public final class Handshake {
  /** Size of the initiator's preamble, which has no length in front of it. */
  public static final int PREAMBLE_BYTES = Preamble.PREAMBLE_BYTES;

  /** Fewest bytes of a handshake message: key and tag. */
  public static final int MIN_MESSAGE_BYTES = KeyPair.KEY_BYTES + FrameCipher.TAG_BYTES;

  /** Most bytes of a handshake message: message 2 with the largest attachment. */
  public static final int MAX_MESSAGE_BYTES =
      2 * KeyPair.KEY_BYTES + 2 * FrameCipher.TAG_BYTES + Credential.MAX_BYTES;

  private static final byte[] PROLOGUE_LABEL =
      "pluresdb session 1".getBytes(StandardCharsets.US_ASCII);
  private static final byte[] NO_PAYLOAD = {};
  private static final byte[] UNBOUND = {};

  /**
   * What this device brings to each of its handshakes.
   *
   * @param noiseStatic the Noise static key; one per start of the program suffices
   */
  public record Local(
      DeviceIdentity identity,
      KeyPair noiseStatic,
      SessionPolicy policy,
      SessionLimits limits,
      Environment environment) {}

  /** The authenticated other side. */
  public record Peer(byte[] publicKey, byte[] noiseKey, byte[] attachment) {}

  /** What to do next. */
  public sealed interface Step {
    /** Send {@code wire}, empty for the responder's first step, and read the peer's next frame. */
    record Continue(byte[] wire) implements Step {}

    /**
     * The peer is authentic: send {@code wire}, then READY, or GOODBYE and close when the decision
     * is to reject.
     */
    record Done(
        byte[] wire,
        DatabaseKeys database,
        Peer peer,
        Decision decision,
        FrameCipher sending,
        FrameCipher receiving)
        implements Step {}

    /** Close without a word. */
    record Failed(CloseReason reason) implements Step {}
  }

  private enum Expected {
    START,
    PREAMBLE,
    MESSAGE_1,
    MESSAGE_2,
    MESSAGE_3,
    NOTHING
  }

  private final Local local;
  private final boolean initiator;
  private final Suite suite;
  private final byte[] binding;
  private Expected expected;
  private @Nullable DatabaseKeys database;
  private @Nullable HandshakeState noise;

  private Handshake(
      Local local,
      boolean initiator,
      Suite suite,
      @Nullable DatabaseKeys database,
      byte[] binding) {
    this.local = local;
    this.initiator = initiator;
    this.suite = suite;
    this.binding = binding.clone();
    this.database = database;
    this.expected = initiator ? Expected.START : Expected.PREAMBLE;
  }

  /** The side that connected. */
  public static Handshake initiator(Local local, Suite suite, DatabaseKeys database) {
    return initiator(local, suite, database, UNBOUND);
  }

  /**
   * As the other, over a channel that has an encryption of its own.
   *
   * @param binding what both ends of that channel know and nobody can choose; empty for none
   */
  public static Handshake initiator(
      Local local, Suite suite, DatabaseKeys database, byte[] binding) {
    return new Handshake(local, true, suite, database, binding);
  }

  /** The side that was connected to; it learns suite and database from the preamble. */
  public static Handshake responder(Local local) {
    return responder(local, UNBOUND);
  }

  /** As the other, over a channel that has an encryption of its own. */
  public static Handshake responder(Local local, byte[] binding) {
    return new Handshake(local, false, Suite.CHACHAPOLY, null, binding);
  }

  public boolean isInitiator() {
    return initiator;
  }

  /** The initiator's first bytes: preamble and message 1. */
  public Step start() {
    requireExpected(expected == Expected.START);
    DatabaseKeys keys = present(database);
    byte[] preamble = new Preamble(suite, keys.hint()).encode();
    HandshakeState state = noise(suite, keys, preamble);
    try {
      byte[] message = framed(state.write(NO_PAYLOAD));
      noise = state;
      expected = Expected.MESSAGE_2;
      return new Step.Continue(concat(preamble, message));
    } catch (NoiseException e) {
      return failed(CloseReason.HandshakeFailure.NOT_AUTHENTIC);
    }
  }

  /**
   * Takes the peer's next frame, without its length.
   *
   * @throws IllegalStateException after {@code Done} or {@code Failed}
   */
  public Step read(byte[] frame) {
    Expected now = expected;
    expected = Expected.NOTHING;
    try {
      return switch (now) {
        case PREAMBLE -> readPreamble(frame);
        case MESSAGE_1 -> readMessage1(frame);
        case MESSAGE_2 -> readCredential(frame, true);
        case MESSAGE_3 -> readCredential(frame, false);
        case START, NOTHING -> throw new IllegalStateException("no frame is expected");
      };
    } catch (NoiseException e) {
      return failed(CloseReason.HandshakeFailure.NOT_AUTHENTIC);
    }
  }

  private Step readPreamble(byte[] frame) {
    return switch (Preamble.decode(frame)) {
      case Preamble.Read.Bad(var reason) -> new Step.Failed(reason);
      case Preamble.Read.Good(var preamble) -> {
        DatabaseKeys keys = local.policy().keysFor(preamble.hint());
        if (keys == null) {
          yield failed(CloseReason.HandshakeFailure.UNKNOWN_DATABASE);
        }
        database = keys;
        noise = noise(preamble.suite(), keys, frame);
        expected = Expected.MESSAGE_1;
        yield new Step.Continue(NO_PAYLOAD);
      }
    };
  }

  private Step readMessage1(byte[] frame) throws NoiseException {
    HandshakeState state = present(noise);
    if (state.read(frame).length != 0) {
      return failed(CloseReason.HandshakeFailure.BAD_LENGTH);
    }
    byte[] reply = framed(state.write(credential().encode()));
    expected = Expected.MESSAGE_3;
    return new Step.Continue(reply);
  }

  private Step readCredential(byte[] frame, boolean replying) throws NoiseException {
    HandshakeState state = present(noise);
    DatabaseKeys keys = present(database);
    Credential credential = Credential.decode(state.read(frame));
    if (credential == null) {
      return failed(CloseReason.HandshakeFailure.MALFORMED_CREDENTIAL);
    }
    byte[] noiseKey = present(state.remoteStatic());
    if (!credential.signs(noiseKey, keys.databaseIdHash())) {
      return failed(CloseReason.HandshakeFailure.BAD_SIGNATURE);
    }
    if (Arrays.equals(credential.publicKey(), local.identity().publicKey())) {
      return new Step.Failed(new CloseReason.SelfConnection());
    }
    Decision decision = decide(keys, credential);
    byte[] wire = replying ? framed(state.write(credential().encode())) : NO_PAYLOAD;
    HandshakeState.Ciphers ciphers = state.split();
    return new Step.Done(
        wire,
        keys,
        new Peer(credential.publicKey(), noiseKey, credential.attachment()),
        decision,
        new FrameCipher(ciphers.sending()),
        new FrameCipher(ciphers.receiving()));
  }

  private Decision decide(DatabaseKeys keys, Credential credential) {
    Instant now = local.environment().wallClock().instant();
    if (credential.expiryMillis() < now.toEpochMilli()) {
      return new Decision.Reject(
          "CREDENTIAL_EXPIRED",
          "the session credential expired at "
              + credential.expiryMillis()
              + " ms, here it is "
              + now.toEpochMilli()
              + " ms: compare the devices' clocks");
    }
    return local
        .policy()
        .authorize(keys, credential.publicKey().clone(), credential.attachment().clone());
  }

  private Credential credential() {
    DatabaseKeys keys = present(database);
    Instant expiry =
        local.environment().wallClock().instant().plus(local.limits().credentialLifetime());
    return Credential.issue(
        local.identity(),
        local.noiseStatic().publicKey(),
        keys.databaseIdHash(),
        expiry.toEpochMilli(),
        local.policy().attachment(keys));
  }

  private HandshakeState noise(Suite chosen, DatabaseKeys keys, byte[] preamble) {
    byte[] prologue =
        concat(concat(PROLOGUE_LABEL, preamble), concat(keys.databaseIdHash(), binding));
    return new HandshakeState(
        chosen.protocol(),
        initiator,
        prologue,
        new HandshakeKeys(
            local.noiseStatic(), null, List.of(keys.psk()), local.environment().random()));
  }

  private static Step.Failed failed(CloseReason.HandshakeFailure failure) {
    return new Step.Failed(new CloseReason.HandshakeFailed(failure));
  }

  private static byte[] framed(byte[] message) {
    return ByteBuffer.allocate(FrameReader.LENGTH_BYTES + message.length)
        .putShort((short) message.length)
        .put(message)
        .array();
  }

  private static byte[] concat(byte[] first, byte[] second) {
    return ByteBuffer.allocate(first.length + second.length).put(first).put(second).array();
  }

  private static void requireExpected(boolean allowed) {
    if (!allowed) {
      throw new IllegalStateException("this handshake call is out of turn");
    }
  }

  private static <T> T present(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("the handshake uses a value before it is there");
    }
    return value;
  }
}
