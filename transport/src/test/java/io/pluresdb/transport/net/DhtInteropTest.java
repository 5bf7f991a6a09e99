package io.pluresdb.transport.net;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.transport.NpmPackage;
import io.pluresdb.transport.Waiting;
import io.pluresdb.transport.dht.DhtId;
import io.pluresdb.transport.dht.LookupTrace;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** Twenty nodes on the loopback address, half of them npm's bittorrent-dht. */
@Timeout(240)
class DhtInteropTest {
  private static final int OF_EACH = 10;

  private final List<DhtSocket> ours = new ArrayList<>();
  private Process theirs;
  private BufferedReader in;
  private BufferedWriter out;

  @BeforeEach
  void start() throws IOException {
    NpmPackage npm =
        NpmPackage.install(
            "bittorrent-dht",
            Map.of("dht-package.json", "package.json", "dht-nodes.js", "dht-nodes.js"));
    for (int i = 0; i < OF_EACH; i++) {
      ours.add(
          DhtSocket.open(
              new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
              i == 0 ? List.of() : List.of(ours.getFirst().address()),
              false,
              new Random(),
              null,
              (topic, peer) -> {}));
    }
    String entry = Integer.toString(ours.getFirst().address().getPort());
    theirs = npm.node("dht-nodes.js", Integer.toString(OF_EACH), entry);
    in = theirs.inputReader();
    out = theirs.outputWriter();
    assertThat(answer()).startsWith("ready ");
  }

  @AfterEach
  void stop() {
    ours.forEach(DhtSocket::close);
    if (theirs != null) {
      theirs.destroy();
    }
  }

  private String ask(String line) throws IOException {
    out.write(line + "\n");
    out.flush();
    return answer();
  }

  private String answer() throws IOException {
    String line = in.readLine();
    if (line == null) {
      throw new AssertionError("the other side ended; see its error above");
    }
    return line;
  }

  private void announce(int node, DhtId topic, int port) throws IOException {
    if (node < OF_EACH) {
      assertThat(ours.get(node).search(topic, port).join().announced()).isPositive();
    } else {
      assertThat(ask("announce " + (node - OF_EACH) + " " + topic.hex() + " " + port))
          .isEqualTo("announced");
    }
  }

  private Set<Integer> lookup(int node, DhtId topic) throws IOException {
    if (node < OF_EACH) {
      LookupTrace trace = ours.get(node).search(topic, 0).join();
      return trace.peers().stream().map(InetSocketAddress::getPort).collect(Collectors.toSet());
    }
    String[] found = ask("lookup " + (node - OF_EACH) + " " + topic.hex()).split(" ", -1);
    return Arrays.stream(found[1].split(","))
        .filter(port -> !port.isEmpty())
        .map(Integer::valueOf)
        .collect(Collectors.toSet());
  }

  /** Known of both kinds in the tables of ours: neither kind is left out by the other. */
  @Test
  void everyNode_findsWhatEveryOtherAnnounced() throws IOException {
    var random = new Random(20);
    Waiting.until(
        "tables of more than our own kind",
        () -> ours.stream().allMatch(node -> knowsOthers(node, random)));
    int pairs = 0;
    for (int announcer = 0; announcer < 2 * OF_EACH; announcer++) {
      DhtId topic = DhtId.random(random);
      int port = 10_000 + announcer;
      announce(announcer, topic, port);
      // Announcements are sent when a lookup has ended; a loopback datagram takes no time.
      int waitedFor = announcer == 0 ? 1 : 0;
      Waiting.until(
          "the announcement",
          () -> {
            try {
              return lookup(waitedFor, topic).contains(port);
            } catch (IOException e) {
              throw new AssertionError(e);
            }
          });
      for (int seeker = 0; seeker < 2 * OF_EACH; seeker++) {
        if (seeker != announcer) {
          assertThat(lookup(seeker, topic))
              .as("%s announced, %s looks", name(announcer), name(seeker))
              .contains(port);
          pairs++;
        }
      }
    }
    System.out.println("bittorrent-dht: " + pairs + " pairs found each other");
  }

  /** A node to which nobody has come yet learns of others by what it looks for. */
  private static boolean knowsOthers(DhtSocket node, Random random) {
    if (node.status().join().tables().getFirst().rows().size() > OF_EACH) {
      return true;
    }
    node.search(DhtId.random(random), 0).join();
    return false;
  }

  private static String name(int node) {
    return node < OF_EACH ? "ours " + node : "npm's " + (node - OF_EACH);
  }
}
