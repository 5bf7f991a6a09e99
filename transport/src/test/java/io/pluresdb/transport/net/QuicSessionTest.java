package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelOutboundHandlerAdapter;
import io.netty.channel.ChannelPromise;
import io.netty.channel.unix.Errors;
import io.netty.channel.unix.SegmentedDatagramPacket;
import io.netty.util.ReferenceCountUtil;
import io.pluresdb.transport.Vectors;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionPath;
import java.io.IOException;
import java.net.DatagramPacket;
import java.net.DatagramSocket;
import java.net.InetAddress;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Sessions over QUIC, on the UDP port of a DHT node. */
class QuicSessionTest {
  private Node left;
  private Node right;
  private UdpSocket leftUdp;
  private UdpSocket rightUdp;

  @BeforeEach
  void start() {
    left = new Node();
    right = new Node();
    leftUdp = UdpSocket.bind(Node.anyPort());
    rightUdp = UdpSocket.bind(Node.anyPort());
    assertThat(left.transport.speakQuic(leftUdp, Node::nowhere)).isEmpty();
    assertThat(right.transport.speakQuic(rightUdp, Node::nowhere)).isEmpty();
  }

  @AfterEach
  void stop() {
    left.close();
    right.close();
    leftUdp.close();
    rightUdp.close();
  }

  private static Session dial(Node node, UdpSocket to)
      throws ExecutionException, InterruptedException, TimeoutException {
    return node.transport
        .dial(new Candidate.Quic(to.address()), Node.DATABASE)
        .toCompletableFuture()
        .get(20, TimeUnit.SECONDS)
        .session();
  }

  @Test
  void session_overQuic_carriesMessagesBothWaysAndAGoodbye() throws Exception {
    Session session = dial(left, rightUdp);
    assertThat(session.path()).isEqualTo(new SessionPath.Quic());
    assertThat(session.peer()).isEqualTo(right.identity.id());
    assertThat(session.remoteAddress()).isEqualTo(rightUdp.address());
    byte[] large = new byte[3 << 20];
    large[large.length - 1] = 7;
    session.send(large);
    session.flush();
    Session back = right.session();
    assertThat(back.remoteAddress()).isEqualTo(leftUdp.address());
    back.send("back".getBytes(StandardCharsets.UTF_8));
    back.flush();
    Waiting.until("both messages", () -> left.messages.size() + right.messages.size() == 2);
    assertThat(right.messages.element()).isEqualTo(large);
    session.close(new CloseReason.Ended("TEST", "enough"));
    Waiting.until("closed", () -> !right.closings.isEmpty());
    assertThat(right.closings.element()).isEqualTo(new CloseReason.EndedByPeer("TEST", "enough"));
    Waiting.until("nothing half open", () -> right.transport.halfOpenHandshakes() == 0);
  }

  @Test
  void garbage_onThePort_leavesSessionsAlone_andNothingBehind() throws Exception {
    Session session = dial(left, rightUdp);
    Session back = right.session();
    var random = new Random(6);
    try (var stranger = new DatagramSocket(0, InetAddress.getLoopbackAddress())) {
      for (int i = 0; i < 5_000; i++) {
        byte[] bytes = new byte[1 + random.nextInt(1_400)];
        random.nextBytes(bytes);
        // Long headers of QUIC version 1, short ones, hole punching, and anything.
        byte[] first = {(byte) 0xc3, 0x43, 0x10, bytes[0]};
        bytes[0] = first[i % first.length];
        if (bytes.length > 6 && i % 4 == 0) {
          System.arraycopy(new byte[] {0, 0, 0, 1, 8}, 0, bytes, 1, 5);
        }
        stranger.send(new DatagramPacket(bytes, bytes.length, rightUdp.address()));
      }
    }
    back.send("still".getBytes(StandardCharsets.UTF_8));
    back.flush();
    Waiting.until("a message", () -> left.messages.size() == 1);
    assertThat(session.hasPath()).isTrue();
    assertThat(right.transport.halfOpenHandshakes()).isZero();
    assertThat(dial(left, rightUdp)).isSameAs(session);
  }

  @Test
  void dialling_bothWaysAtOnce_withADhtNodeOnEachPort_givesTwoSessionsAndEntersTheDht()
      throws Exception {
    var random = new SecureRandom();
    try (DhtSocket one = DhtSocket.open(leftUdp, List.of(), false, random, null, (t, p) -> {});
        DhtSocket other =
            DhtSocket.open(
                rightUdp, List.of(leftUdp.address()), false, random, null, (t, p) -> {})) {
      var there = left.transport.dial(new Candidate.Quic(rightUdp.address()), Node.DATABASE);
      var back = right.transport.dial(new Candidate.Quic(leftUdp.address()), Node.DATABASE);
      there.toCompletableFuture().get(20, TimeUnit.SECONDS);
      back.toCompletableFuture().get(20, TimeUnit.SECONDS);
      Waiting.until(
          "the DHT nodes know each other",
          () ->
              other.status().join().tables().getFirst().rows().size() == 1
                  && one.status().join().tables().getFirst().rows().size() == 1);
    }
  }

  /** Counts what leaves in pieces, and may refuse them as a kernel does. */
  private static final class Pieces extends ChannelOutboundHandlerAdapter {
    final AtomicInteger pieces = new AtomicInteger();
    final AtomicInteger single = new AtomicInteger();
    private final @Nullable IOException refusal;

    Pieces(@Nullable IOException refusal) {
      this.refusal = refusal;
    }

    @Override
    public void write(ChannelHandlerContext ctx, Object sent, ChannelPromise promise) {
      boolean piece = sent instanceof SegmentedDatagramPacket;
      (piece ? pieces : single).incrementAndGet();
      if (piece && refusal != null) {
        ReferenceCountUtil.release(sent);
        promise.setFailure(refusal);
      } else {
        var _ = ctx.write(sent, promise);
      }
    }
  }

  private Pieces piecesOfFiveMegabytes(@Nullable IOException refusal) throws Exception {
    if (leftUdp.segments().maxNumSegments() == 0) {
      Vectors.skip("the kernel or this platform does not cut datagrams (UDP_SEGMENT)");
    }
    var leaving = new Pieces(refusal);
    leftUdp.channel().pipeline().addFirst(leaving);
    Session session = dial(left, rightUdp);
    byte[] message = new byte[1 << 20];
    new Random(5).nextBytes(message);
    for (int i = 0; i < 5; i++) {
      session.send(message);
    }
    session.flush();
    Waiting.until("all messages", () -> right.messages.size() == 5);
    assertThat(right.messages).allMatch(each -> Arrays.equals(each, message));
    return leaving;
  }

  @Test
  void datagrams_ofALongMessage_leaveInPieces() throws Exception {
    Pieces leaving = piecesOfFiveMegabytes(null);
    assertThat(leaving.pieces.get()).isPositive();
    assertThat(leftUdp.segments().maxNumSegments()).isPositive();
  }

  @Test
  void datagrams_thatTheKernelDoesNotCut_leaveOneByOne() throws Exception {
    Pieces leaving =
        piecesOfFiveMegabytes(new Errors.NativeIoException("sendmsg", -22 /* EINVAL */, false));
    // Those of one turn of the socket's thread, at most, and no more.
    assertThat(leaving.pieces.get()).isBetween(1, 20);
    assertThat(leaving.single.get()).isGreaterThan((5 << 20) / 1350);
    assertThat(leftUdp.segments().maxNumSegments()).isZero();
  }

  @Test
  void datagrams_thatFailForAnotherReason_stayInPieces() throws Exception {
    if (leftUdp.segments().maxNumSegments() == 0) {
      Vectors.skip("the kernel or this platform does not cut datagrams (UDP_SEGMENT)");
    }
    Session session = dial(left, rightUdp);
    var leaving =
        new Pieces(new Errors.NativeIoException("sendmsg", -101 /* ENETUNREACH */, false));
    leftUdp.channel().pipeline().addFirst(leaving);
    session.send(new byte[1 << 20]);
    session.flush();
    Waiting.until("a piece failed", () -> leaving.pieces.get() > 0);
    leftUdp.channel().pipeline().remove(leaving);
    Waiting.until("the message", () -> right.messages.size() == 1);
    assertThat(leftUdp.segments().maxNumSegments()).isPositive();
  }
}
