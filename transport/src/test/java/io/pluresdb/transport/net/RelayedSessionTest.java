package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.Environment;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.path.Candidate;
import io.pluresdb.transport.relay.RelayAccess;
import io.pluresdb.transport.relay.RelayCounter;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.session.CloseReason;
import io.pluresdb.transport.session.Session;
import io.pluresdb.transport.session.SessionFailedException;
import io.pluresdb.transport.session.SessionPath;
import io.pluresdb.transport.topic.DatabaseKeys;
import java.nio.charset.StandardCharsets;
import java.security.SecureRandom;
import java.time.InstantSource;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Sessions through a relay, without daemons. */
class RelayedSessionTest {
  private RelayServer relay;
  private Node early;
  private Node late;

  @BeforeEach
  void start() {
    relay = relay(Map.of("drain-millis", 0L));
    early = new Node();
    late = new Node();
  }

  @AfterEach
  void stop() {
    early.close();
    late.close();
    relay.close();
  }

  private static RelayServer relay(Map<String, Long> limits) {
    return RelayServer.start(
        new RelayOptions(Node.anyPort(), null, Map.of(), false, RelayLimits.of(limits)),
        new Environment(InstantSource.system(), new SecureRandom()));
  }

  private RelayUrl url() {
    return RelayUrl.parse("ws://127.0.0.1:" + relay.address().getPort());
  }

  /** A client that follows the database, with what it found. */
  private record Client(RelayClient client, Queue<Candidate.Relayed> found) {}

  private Client client(Node node) {
    var found = new ConcurrentLinkedQueue<Candidate.Relayed>();
    RelayClient client =
        node.transport.relay(
            new RelayAccess(url(), null, null),
            new RelayClient.Listener() {
              @Override
              public void found(DatabaseKeys database, Candidate.Relayed peer) {
                found.add(peer);
              }

              @Override
              public void gone(DatabaseKeys database, Candidate.Relayed peer) {
                found.remove(peer);
              }
            });
    client.follow(Node.DATABASE);
    Waiting.until("registered", () -> client.status().topics() > 0);
    return new Client(client, found);
  }

  private static Session dial(Node node, Candidate candidate)
      throws ExecutionException, InterruptedException, TimeoutException {
    return node.transport
        .dial(candidate, Node.DATABASE)
        .toCompletableFuture()
        .get(20, TimeUnit.SECONDS)
        .session();
  }

  @Test
  void newcomer_hearsOfWhoIsThere_andASessionRunsBothWays() throws Exception {
    Client first = client(early);
    Client second = client(late);
    Waiting.until("found", () -> second.found.size() == 1);
    assertThat(first.found).isEmpty();
    Session session = dial(late, second.found.element());
    assertThat(session.path()).isEqualTo(new SessionPath.Relayed(url()));
    assertThat(session.peer()).isEqualTo(early.identity.id());
    byte[] large = new byte[3 << 20];
    large[large.length - 1] = 7;
    session.send(large);
    session.flush();
    Session back = early.session();
    assertThat(back.path()).isEqualTo(session.path());
    back.send("back".getBytes(StandardCharsets.UTF_8));
    back.flush();
    Waiting.until("both messages", () -> early.messages.size() + late.messages.size() == 2);
    assertThat(early.messages.element()).isEqualTo(large);
    assertThat(late.transport.isServed(second.found.element(), Node.DATABASE, null)).isTrue();
    session.close(new CloseReason.Ended("TEST", "enough"));
    Waiting.until("closed", () -> !early.closings.isEmpty());
    assertThat(early.closings.element()).isEqualTo(new CloseReason.EndedByPeer("TEST", "enough"));
    Waiting.until("no connections but two controls", () -> relay.connections() == 2);
    assertThat(relay.counted(RelayCounter.CIRCUITS)).isEqualTo(1);
    first.client.close();
    Waiting.until("gone", () -> second.found.isEmpty());
  }

  @Test
  void peerThatIsNotThere_isNamedAsSuch() throws Exception {
    client(early);
    Client second = client(late);
    Waiting.until("found", () -> second.found.size() == 1);
    Candidate.Relayed peer = second.found.element();
    early.close();
    Waiting.until("gone", () -> second.found.isEmpty());
    var failure =
        org.assertj.core.api.Assertions.catchThrowableOfType(
            ExecutionException.class, () -> dial(late, peer));
    assertThat(failure.getCause())
        .isInstanceOfSatisfying(
            SessionFailedException.class,
            e ->
                assertThat(e.reason())
                    .isEqualTo(
                        new CloseReason.ConnectFailed(
                            "the relay refuses: 404 Not Found: the peer is not at this relay")));
  }
}
