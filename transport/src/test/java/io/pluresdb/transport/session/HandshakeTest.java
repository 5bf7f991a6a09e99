package io.pluresdb.transport.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.frame.FrameReader;
import io.pluresdb.transport.identity.DeviceIdentity;
import io.pluresdb.transport.noise.HandshakeKeys;
import io.pluresdb.transport.noise.HandshakeState;
import io.pluresdb.transport.noise.KeyPair;
import io.pluresdb.transport.noise.NoiseException;
import io.pluresdb.transport.session.CloseReason.HandshakeFailure;
import io.pluresdb.transport.topic.DatabaseKeys;
import io.pluresdb.transport.topic.Hint;
import io.pluresdb.transport.topic.SyncKey;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/** The session handshake without a network: the good path and every failure. */
class HandshakeTest {
  private static final DatabaseKeys DATABASE = keys(0, 1);
  private static final Instant NOW = Instant.ofEpochSecond(1_800_000_000);
  private static final int MESSAGES = 3;

  private final Side alice = new Side(1);
  private final Side bob = new Side(2);

  @Test
  void handshake_bothAccept_connectsTheCiphersAndIdentities() throws NoiseException {
    Run run = new Run();
    Handshake.Step.Done dialled = run.initiatorDone();
    Handshake.Step.Done accepted = run.responderDone();
    assertThat(dialled.peer().publicKey()).isEqualTo(bob.identity.publicKey());
    assertThat(accepted.peer().publicKey()).isEqualTo(alice.identity.publicKey());
    assertThat(dialled.peer().attachment()).asString().isEqualTo("side 2");
    assertThat(accepted.peer().attachment()).asString().isEqualTo("side 1");
    assertThat(dialled.decision()).isEqualTo(new Decision.Accept());
    byte[] buffer = Arrays.copyOf("ping".getBytes(StandardCharsets.US_ASCII), 20);
    int sealed = dialled.sending().seal(buffer, 4);
    assertThat(accepted.receiving().open(buffer, sealed, buffer)).isEqualTo(4);
    assertThat(Arrays.copyOf(buffer, 4)).asString().isEqualTo("ping");
  }

  @Test
  void handshake_itsMessages_haveTheDocumentedSizes() {
    Run run = new Run();
    run.initiatorDone();
    run.responderDone();
    assertThat(run.wires.get(0)).hasSize(22 + 2 + 48);
    assertThat(run.wires.get(1)).hasSize(2 + 32 + 48 + Credential.FIXED_BYTES + 6 + 16);
    assertThat(run.wires.get(2)).hasSize(2 + 48 + Credential.FIXED_BYTES + 6 + 16);
    assertThat(Handshake.MAX_MESSAGE_BYTES).isEqualTo(32 + 48 + 106 + 1024 + 16);
  }

  @Test
  void preamble_golden_isTheDocumentedBytes() {
    Hint hint = Hint.parse("000102030405060708090a0b0c0d0e0f");
    assertThat(HexFormat.of().formatHex(new Preamble(Suite.CHACHAPOLY, hint).encode()))
        .isEqualTo("504c55520101000102030405060708090a0b0c0d0e0f");
    assertThat(HexFormat.of().formatHex(new Preamble(Suite.AESGCM, hint).encode()))
        .isEqualTo("504c55520102000102030405060708090a0b0c0d0e0f");
  }

  @Test
  void credential_golden_isTheDocumentedBytes() {
    byte[] bytes =
        Credential.issue(alice.identity, new byte[32], new byte[32], 258, new byte[] {7}).encode();
    HexFormat hex = HexFormat.of();
    assertThat(bytes).hasSize(107);
    assertThat(hex.formatHex(bytes, 0, 32)).isEqualTo(hex.formatHex(alice.identity.publicKey()));
    assertThat(hex.formatHex(bytes, 32, 40)).isEqualTo("0000000000000102");
    assertThat(hex.formatHex(bytes, 104, 107)).isEqualTo("000107");
    byte[] signed = new byte[27 + 32 + 32 + 8];
    System.arraycopy(
        "pluresdb noise credential 1".getBytes(StandardCharsets.US_ASCII), 0, signed, 0, 27);
    signed[signed.length - 2] = 1;
    signed[signed.length - 1] = 2;
    assertThat(
            DeviceIdentity.verify(
                alice.identity.publicKey(), signed, Arrays.copyOfRange(bytes, 40, 104)))
        .isTrue();
  }

  @Test
  void handshake_anyChangedByteOfAnyMessage_fails() {
    for (int message = 0; message < MESSAGES; message++) {
      Run honest = new Run();
      honest.initiatorDone();
      honest.responderDone();
      int start = message == 0 ? 0 : FrameReader.LENGTH_BYTES;
      for (int at = start; at < honest.wires.get(message).length; at++) {
        if (message == 0 && (at == 22 || at == 23)) {
          continue; // the frame's length, which the reader judges
        }
        Run run = new Run();
        run.tamperMessage = message;
        run.tamperAt = at;
        Handshake.Step last = run.runToTheEnd();
        assertThat(last)
            .as("message %d byte %d", message, at)
            .isInstanceOf(Handshake.Step.Failed.class);
      }
    }
  }

  @Test
  void handshake_otherPreambles_fail() {
    assertThat(preambleFailure(0, 'X')).isEqualTo(HandshakeFailure.NOT_OUR_PROTOCOL);
    assertThat(preambleFailure(4, 2)).isEqualTo(HandshakeFailure.UNSUPPORTED_VERSION);
    assertThat(preambleFailure(5, 9)).isEqualTo(HandshakeFailure.UNSUPPORTED_SUITE);
    assertThat(preambleFailure(6, 0x55)).isEqualTo(HandshakeFailure.UNKNOWN_DATABASE);
    // Another known suite than the initiator meant: the prologue differs.
    assertThat(preambleFailure(5, 2)).isEqualTo(HandshakeFailure.NOT_AUTHENTIC);
  }

  @Test
  void handshake_anotherSyncKeyUnderOurHint_failsAtTheFirstTag() {
    bob.known = keys(9, 1);
    Run run = new Run();
    assertThat(run.runToTheEnd()).isEqualTo(failed(HandshakeFailure.NOT_AUTHENTIC));
    assertThat(run.wires).as("the responder answers nothing").hasSize(1);
  }

  @Test
  void handshake_insideAnotherChannelThanThePeers_failsAtTheFirstTag() {
    byte[] channel = new byte[64];
    byte[] another = new byte[64];
    another[63] = 1;
    assertThat(new Run(alice, bob, channel, channel).runToTheEnd())
        .isInstanceOf(Handshake.Step.Done.class);
    for (byte[] other : new byte[][] {another, new byte[0]}) {
      Run run = new Run(alice, bob, channel, other);
      assertThat(run.runToTheEnd()).isEqualTo(failed(HandshakeFailure.NOT_AUTHENTIC));
      assertThat(run.wires).hasSize(1);
    }
  }

  @Test
  void handshake_anotherDatabaseOfTheSameSyncKey_fails() {
    bob.known = DatabaseKeys.of("other", new SyncKey(new byte[32]), 1);
    assertThat(new Run().runToTheEnd()).isEqualTo(failed(HandshakeFailure.NOT_AUTHENTIC));
  }

  @Test
  void handshake_replayedFirstMessage_getsNoFurtherThanAnAnswer() {
    Run recorded = new Run();
    recorded.initiatorDone();
    recorded.responderDone();
    Handshake second = Handshake.responder(bob.local());
    byte[] first = recorded.wires.get(0);
    second.read(Arrays.copyOf(first, 22));
    Handshake.Step answer = second.read(Arrays.copyOfRange(first, 24, first.length));
    assertThat(answer).isInstanceOf(Handshake.Step.Continue.class);
    byte[] third = recorded.wires.get(2);
    assertThat(second.read(Arrays.copyOfRange(third, 2, third.length)))
        .isEqualTo(failed(HandshakeFailure.NOT_AUTHENTIC));
  }

  @Test
  void handshake_expiredCredential_isRejectedWithTheClockInTheMessage() {
    alice.clock = InstantSource.fixed(NOW.minus(Duration.ofDays(2)));
    Run run = new Run();
    assertThat(run.initiatorDone().decision()).isEqualTo(new Decision.Accept());
    assertThat(run.responderDone().decision())
        .isInstanceOfSatisfying(
            Decision.Reject.class,
            reject -> {
              assertThat(reject.code()).isEqualTo("CREDENTIAL_EXPIRED");
              assertThat(reject.message()).contains("compare the devices' clocks");
            });
    assertThat(bob.asked).as("the policy is not asked about expired credentials").isZero();
  }

  @Test
  void handshake_policyThatRejects_isDoneWithThatDecision() {
    bob.decision = new Decision.Reject("NOT_A_MEMBER", "ask for an invite");
    assertThat(new Run().responderDone().decision()).isEqualTo(bob.decision);
  }

  @Test
  void handshake_withOurselves_isRecognised() {
    Run run = new Run(alice, alice);
    assertThat(run.runToTheEnd())
        .isEqualTo(new Handshake.Step.Failed(new CloseReason.SelfConnection()));
  }

  @Test
  void handshake_credentialOfAnotherStaticKey_isABadSignature() throws NoiseException {
    Side stolen = new Side(3);
    byte[] foreign =
        Credential.issue(
                stolen.identity,
                KeyPair.generate(new Random(77)).publicKey(),
                DATABASE.databaseIdHash(),
                NOW.plusSeconds(60).toEpochMilli(),
                new byte[0])
            .encode();
    assertThat(answerOf(foreign)).isEqualTo(failed(HandshakeFailure.BAD_SIGNATURE));
  }

  @Test
  void handshake_credentialOfAnotherDatabase_isABadSignature() throws NoiseException {
    byte[] foreign =
        Credential.issue(
                alice.identity,
                alice.noiseStatic.publicKey(),
                new byte[32],
                NOW.plusSeconds(60).toEpochMilli(),
                new byte[0])
            .encode();
    assertThat(answerOf(foreign)).isEqualTo(failed(HandshakeFailure.BAD_SIGNATURE));
  }

  @Test
  void handshake_malformedCredentials_areRefused() throws NoiseException {
    byte[] good =
        Credential.issue(
                alice.identity,
                alice.noiseStatic.publicKey(),
                DATABASE.databaseIdHash(),
                NOW.plusSeconds(60).toEpochMilli(),
                new byte[4])
            .encode();
    assertThat(answerOf(good)).isInstanceOf(Handshake.Step.Done.class);
    HandshakeFailure malformed = HandshakeFailure.MALFORMED_CREDENTIAL;
    assertThat(answerOf(new byte[0])).isEqualTo(failed(malformed));
    assertThat(answerOf(Arrays.copyOf(good, good.length - 1))).isEqualTo(failed(malformed));
    assertThat(answerOf(Arrays.copyOf(good, good.length + 1))).isEqualTo(failed(malformed));
    assertThat(answerOf(Arrays.copyOf(good, Credential.MAX_BYTES + 1)))
        .isEqualTo(failed(malformed));
  }

  @Test
  void handshake_attachmentAboveTheLimit_isOurBug() {
    alice.attachment = new byte[1025];
    assertThatThrownBy(() -> new Run().runToTheEnd())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("0 to 1024 bytes, but has 1025");
  }

  @Test
  void read_afterTheEnd_isABug() {
    Handshake handshake = Handshake.responder(bob.local());
    handshake.read(new byte[22]);
    assertThatThrownBy(() -> handshake.read(new byte[48]))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void read_randomFrames_neverDoMoreThanFail() {
    long seed = 20260;
    System.out.println("handshake garbage seed=" + seed);
    Random random = new Random(seed);
    for (int i = 0; i < 2000; i++) {
      Handshake responder = Handshake.responder(bob.local());
      byte[] preamble = new Preamble(Suite.CHACHAPOLY, DATABASE.hint()).encode();
      if (random.nextBoolean()) {
        preamble[random.nextInt(preamble.length)] = (byte) random.nextInt();
      }
      if (responder.read(preamble) instanceof Handshake.Step.Continue) {
        byte[] garbage = new byte[random.nextInt(Handshake.MAX_MESSAGE_BYTES)];
        random.nextBytes(garbage);
        assertThat(responder.read(garbage)).isInstanceOf(Handshake.Step.Failed.class);
      }
    }
  }

  private static Handshake.Step.Failed failed(HandshakeFailure failure) {
    return new Handshake.Step.Failed(new CloseReason.HandshakeFailed(failure));
  }

  private static DatabaseKeys keys(int keyByte, long epoch) {
    byte[] secret = new byte[32];
    secret[0] = (byte) keyByte;
    return DatabaseKeys.of(new SyncKey(secret), epoch);
  }

  private HandshakeFailure preambleFailure(int at, int value) {
    Run run = new Run();
    run.tamperMessage = 0;
    run.tamperAt = at;
    run.tamperValue = value;
    if (run.runToTheEnd() instanceof Handshake.Step.Failed(var reason)
        && reason instanceof CloseReason.HandshakeFailed(var failure)) {
      return failure;
    }
    throw new AssertionError("the handshake did not fail");
  }

  /** What bob makes of an initiator with alice's Noise key that sends this credential. */
  private Handshake.Step answerOf(byte[] credential) throws NoiseException {
    byte[] preamble = new Preamble(Suite.CHACHAPOLY, DATABASE.hint()).encode();
    byte[] label = "pluresdb session 1".getBytes(StandardCharsets.US_ASCII);
    byte[] prologue =
        ByteBuffer.allocate(label.length + preamble.length + 32)
            .put(label)
            .put(preamble)
            .put(DATABASE.databaseIdHash())
            .array();
    HandshakeState noise =
        new HandshakeState(
            Suite.CHACHAPOLY.protocol(),
            true,
            prologue,
            new HandshakeKeys(alice.noiseStatic, null, List.of(DATABASE.psk()), new Random(4)));
    Handshake responder = Handshake.responder(bob.local());
    responder.read(preamble);
    if (responder.read(noise.write(new byte[0])) instanceof Handshake.Step.Continue(var wire)) {
      noise.read(Arrays.copyOfRange(wire, 2, wire.length));
      return responder.read(noise.write(credential));
    }
    throw new AssertionError("message 1 was refused");
  }

  /** A device. */
  private static final class Side implements SessionPolicy {
    private final DeviceIdentity identity;
    private final KeyPair noiseStatic;
    private final Random random;
    private @Nullable DatabaseKeys known;
    private InstantSource clock = InstantSource.fixed(NOW);
    private Decision decision = new Decision.Accept();
    private byte[] attachment;
    private int asked;

    Side(int seed) {
      random = new Random(seed);
      identity = DeviceIdentity.create(random);
      noiseStatic = KeyPair.generate(random);
      attachment = ("side " + seed).getBytes(StandardCharsets.US_ASCII);
    }

    Handshake.Local local() {
      return new Handshake.Local(
          identity, noiseStatic, this, SessionLimits.defaults(), new Environment(clock, random));
    }

    @Override
    public @Nullable DatabaseKeys keysFor(Hint hint) {
      return hint.equals(DATABASE.hint()) ? (known == null ? DATABASE : known) : null;
    }

    @Override
    public byte[] attachment(DatabaseKeys database) {
      return attachment;
    }

    @Override
    public Decision authorize(DatabaseKeys database, byte[] peerPublicKey, byte[] attached) {
      asked++;
      return decision;
    }

    @Override
    public SessionListener listener(DatabaseKeys database) {
      throw new AssertionError("a handshake needs no listener");
    }
  }

  /** One handshake between two sides, with one byte changed on the way where told so. */
  private final class Run {
    private final Handshake initiator;
    private final Handshake responder;
    private final ArrayList<byte[]> wires = new ArrayList<>();
    private int tamperMessage = -1;
    private int tamperAt;
    private int tamperValue = -1;
    private Handshake.@Nullable Step initiatorLast;
    private Handshake.@Nullable Step responderLast;

    Run() {
      this(alice, bob);
    }

    Run(Side dialling, Side accepting) {
      this(dialling, accepting, new byte[0], new byte[0]);
    }

    Run(Side dialling, Side accepting, byte[] dialled, byte[] accepted) {
      initiator = Handshake.initiator(dialling.local(), Suite.CHACHAPOLY, DATABASE, dialled);
      responder = Handshake.responder(accepting.local(), accepted);
    }

    Handshake.Step.Done initiatorDone() {
      if (initiatorLast == null) {
        runToTheEnd();
      }
      return (Handshake.Step.Done) Objects.requireNonNull(initiatorLast);
    }

    Handshake.Step.Done responderDone() {
      if (responderLast == null) {
        runToTheEnd();
      }
      return (Handshake.Step.Done) Objects.requireNonNull(responderLast);
    }

    /** Returns the last step of whichever side ended it. */
    Handshake.Step runToTheEnd() {
      Handshake.Step step = initiator.start();
      byte[] first = carry(step, 0);
      step = responder.read(Arrays.copyOf(first, Handshake.PREAMBLE_BYTES));
      if (step instanceof Handshake.Step.Failed) {
        return step;
      }
      step = responder.read(Arrays.copyOfRange(first, Handshake.PREAMBLE_BYTES + 2, first.length));
      if (step instanceof Handshake.Step.Failed) {
        return step;
      }
      byte[] second = carry(step, 1);
      step = initiator.read(Arrays.copyOfRange(second, 2, second.length));
      initiatorLast = step;
      if (step instanceof Handshake.Step.Failed) {
        return step;
      }
      byte[] third = carry(step, 2);
      step = responder.read(Arrays.copyOfRange(third, 2, third.length));
      responderLast = step;
      return step;
    }

    private byte[] carry(Handshake.Step step, int message) {
      byte[] wire =
          switch (step) {
            case Handshake.Step.Continue(var bytes) -> bytes.clone();
            case Handshake.Step.Done done -> done.wire().clone();
            case Handshake.Step.Failed ignored -> throw new AssertionError("nothing to carry");
          };
      wires.add(wire.clone());
      if (message == tamperMessage) {
        wire[tamperAt] = (byte) (tamperValue < 0 ? wire[tamperAt] ^ 1 : tamperValue);
      }
      return wire;
    }
  }
}
