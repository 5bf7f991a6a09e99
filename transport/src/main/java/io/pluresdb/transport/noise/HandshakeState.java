package io.pluresdb.transport.noise;

import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One side of a Noise handshake (section 5.3 of the specification).
 *
 * <p>{@link #write} and {@link #read} alternate as the pattern says until {@link #isComplete}, then
 * {@link #split} gives the transport ciphers. A thrown {@link NoiseException} ends the handshake:
 * later calls throw {@link IllegalStateException}, as does a call out of turn. Not thread-safe.
 */
public final class HandshakeState {
  private final NoiseProtocol protocol;
  private final boolean initiator;
  private final HandshakeKeys keys;
  private final SymmetricState symmetric;
  private final boolean pskMode;
  private @Nullable KeyPair ephemeral;
  private byte @Nullable [] remoteEphemeral;
  private byte @Nullable [] remoteStatic;
  private int message;
  private int psk;
  private boolean failed;

  /**
   * @param prologue any bytes both sides must agree on
   * @throws IllegalArgumentException when {@code keys} do not fit the pattern
   */
  public HandshakeState(
      NoiseProtocol protocol, boolean initiator, byte[] prologue, HandshakeKeys keys) {
    this.protocol = protocol;
    this.initiator = initiator;
    this.keys = keys;
    this.remoteStatic = keys.remote();
    Pattern pattern = protocol.pattern();
    if (keys.psks().size() != pattern.pskCount()) {
      throw new IllegalArgumentException(
          protocol
              + " needs "
              + pattern.pskCount()
              + " pre-shared keys, but has "
              + keys.psks().size());
    }
    this.pskMode = pattern.pskCount() > 0;
    this.symmetric = new SymmetricState(protocol.name(), protocol.hash(), protocol.cipher());
    symmetric.mixHash(prologue);
    if (pattern.initiatorKnown()) {
      symmetric.mixHash(initiator ? ownStatic().publicKey() : knownRemoteStatic());
    }
    if (pattern.responderKnown()) {
      symmetric.mixHash(initiator ? knownRemoteStatic() : ownStatic().publicKey());
    }
  }

  /** Whether the last message was written or read. */
  public boolean isComplete() {
    return message == protocol.pattern().messages().size();
  }

  /** Whether the next message is ours to {@link #write}. */
  public boolean isWriting() {
    return !isComplete() && (message % 2 == 0) == initiator;
  }

  /**
   * Returns the next handshake message, carrying {@code payload}.
   *
   * @throws NoiseException {@code TOO_LONG}, or {@code LOW_ORDER_KEY} when the peer's key read
   *     earlier turns out to be one
   */
  public byte[] write(byte[] payload) throws NoiseException {
    requireTurn(isWriting());
    failed = true;
    byte[] out = new byte[maxOverhead() + payload.length];
    int length = 0;
    for (Token token : tokens()) {
      switch (token) {
        case E -> {
          KeyPair pair = KeyPair.generate(keys.ephemeral());
          ephemeral = pair;
          byte[] key = pair.publicKey();
          System.arraycopy(key, 0, out, length, key.length);
          length += key.length;
          mixEphemeral(key);
        }
        case S -> {
          byte[] key = ownStatic().publicKey();
          System.arraycopy(key, 0, out, length, key.length);
          length += symmetric.encryptAndHash(out, length, key.length);
        }
        case EE, ES, SE, SS, PSK -> mix(token);
      }
    }
    System.arraycopy(payload, 0, out, length, payload.length);
    length += symmetric.encryptAndHash(out, length, payload.length);
    if (length > CipherState.MAX_MESSAGE_BYTES) {
      throw new NoiseException(NoiseException.Kind.TOO_LONG);
    }
    message++;
    failed = false;
    return Arrays.copyOf(out, length);
  }

  /**
   * Reads the peer's next handshake message and returns its payload.
   *
   * @param received left as it was
   * @throws NoiseException of any kind; the handshake is over
   */
  public byte[] read(byte[] received) throws NoiseException {
    requireTurn(!isComplete() && !isWriting());
    failed = true;
    if (received.length > CipherState.MAX_MESSAGE_BYTES) {
      throw new NoiseException(NoiseException.Kind.TOO_LONG);
    }
    byte[] in = received.clone();
    int at = 0;
    for (Token token : tokens()) {
      switch (token) {
        case E -> {
          byte[] key = take(in, at, KeyPair.KEY_BYTES);
          remoteEphemeral = key;
          at += key.length;
          mixEphemeral(key);
        }
        case S -> {
          int sealed = KeyPair.KEY_BYTES + (symmetric.hasKey() ? CipherState.TAG_BYTES : 0);
          take(in, at, sealed);
          symmetric.decryptAndHash(in, at, sealed);
          remoteStatic = take(in, at, KeyPair.KEY_BYTES);
          at += sealed;
        }
        case EE, ES, SE, SS, PSK -> mix(token);
      }
    }
    int payload = symmetric.decryptAndHash(in, at, in.length - at);
    message++;
    failed = false;
    return Arrays.copyOfRange(in, at, at + payload);
  }

  /** The hash of the whole handshake: equal on both sides, unique to this session. */
  public byte[] handshakeHash() {
    requireTurn(isComplete());
    return symmetric.hash();
  }

  /** The peer's static key: known beforehand or read; null where the pattern has none. */
  public byte @Nullable [] remoteStatic() {
    byte[] key = remoteStatic;
    return key == null ? null : key.clone();
  }

  /** Returns the transport ciphers; call once, after the last message. */
  public Ciphers split() {
    requireTurn(isComplete());
    failed = true;
    CipherState[] both = symmetric.split();
    return initiator ? new Ciphers(both[0], both[1]) : new Ciphers(both[1], both[0]);
  }

  /**
   * The two directions after a handshake. In a one-way pattern the responder's must not be used.
   *
   * @param sending encrypts what we send
   * @param receiving decrypts what the peer sends
   */
  public record Ciphers(CipherState sending, CipherState receiving) {}

  private List<Token> tokens() {
    return protocol.pattern().messages().get(message);
  }

  // At most one e, one sealed s and the payload's tag.
  private static int maxOverhead() {
    return 2 * KeyPair.KEY_BYTES + 2 * CipherState.TAG_BYTES;
  }

  // With a psk, every e is also mixed into the key (section 9.2): otherwise a psk0 message would
  // encrypt under a key that nothing random went into.
  private void mixEphemeral(byte[] key) {
    symmetric.mixHash(key);
    if (pskMode) {
      symmetric.mixKey(key);
    }
  }

  private void mix(Token token) throws NoiseException {
    switch (token) {
      case EE -> symmetric.mixKey(present(ephemeral).agree(present(remoteEphemeral)));
      case SS -> symmetric.mixKey(ownStatic().agree(present(remoteStatic)));
      case ES -> mixPair(!initiator);
      case SE -> mixPair(initiator);
      case PSK -> symmetric.mixKeyAndHash(keys.psks().get(psk++));
      case E, S -> throw new IllegalStateException("not a mixing token: " + token);
    }
  }

  private void mixPair(boolean ownIsStatic) throws NoiseException {
    symmetric.mixKey(
        ownIsStatic
            ? ownStatic().agree(present(remoteEphemeral))
            : present(ephemeral).agree(present(remoteStatic)));
  }

  private KeyPair ownStatic() {
    KeyPair own = keys.own();
    if (own == null) {
      throw new IllegalArgumentException(protocol + " needs an own static key");
    }
    return own;
  }

  private byte[] knownRemoteStatic() {
    byte[] key = remoteStatic;
    if (key == null) {
      throw new IllegalArgumentException(protocol + " needs the peer's static key");
    }
    return key;
  }

  private static <T> T present(@Nullable T value) {
    if (value == null) {
      throw new IllegalStateException("the pattern uses a key before it is there");
    }
    return value;
  }

  private static byte[] take(byte[] in, int at, int length) throws NoiseException {
    if (in.length - at < length) {
      throw new NoiseException(NoiseException.Kind.TOO_SHORT);
    }
    return Arrays.copyOfRange(in, at, at + length);
  }

  private void requireTurn(boolean allowed) {
    if (failed || !allowed) {
      throw new IllegalStateException(
          failed ? "this handshake is over" : "this handshake call is out of turn");
    }
  }
}
