package io.pluresdb.harness.cluster;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.overlay.HyParView;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.daemon.node.NodeOptions;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import java.util.function.BooleanSupplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** More devices than a mesh has, in one process, over real sockets and disks. */
class ManyDevicesTest {
  private static final int DEVICES = HyParView.MESH_PEERS + 4;
  private static final String DB = Node.DEFAULT_DATABASE;
  private static final Duration PATIENCE = Duration.ofMinutes(2);

  @TempDir Path temporary;
  private final List<DeviceNode> nodes = new ArrayList<>();

  @AfterEach
  void close() {
    nodes.forEach(DeviceNode::close);
  }

  private DeviceNode start(int number) {
    var network =
        new NodeOptions.Network(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), false, List.of());
    String name = "d" + number;
    DeviceNode node = DeviceNode.open(temporary.resolve(name), new NodeOptions(name, network));
    nodes.add(node);
    return node;
  }

  private static void await(String what, BooleanSupplier condition) {
    long end = System.nanoTime() + PATIENCE.toNanos();
    while (!condition.getAsBoolean()) {
      assertThat(System.nanoTime()).as("in time: %s", what).isLessThan(end);
      LockSupport.parkNanos(TimeUnit.MILLISECONDS.toNanos(50));
    }
  }

  private long connected(DeviceNode node) {
    return node.peers(DB).stream().filter(peer -> peer.state().equals("connected")).count();
  }

  private boolean allHave(String id) {
    return nodes.stream().allMatch(node -> node.store(DB).get(id).isPresent());
  }

  @Test
  void sessions_becomeFew_andEveryWriteReachesEveryDevice() {
    DeviceNode founder = start(0);
    for (int i = 1; i < DEVICES; i++) {
      String url = founder.invite(DB, Role.WRITE, Duration.ofMinutes(5)).url();
      CrdtStore.await(start(i).join(DB, url));
    }
    await(
        "every device knows all",
        () -> nodes.stream().allMatch(n -> n.devices(DB).size() == DEVICES));
    // Neighbours, and a few guests that are on their way out.
    await(
        "few sessions",
        () -> nodes.stream().allMatch(node -> connected(node) <= HyParView.ACTIVE + 4));
    assertThat(nodes).allMatch(node -> connected(node) >= 1);
    for (int i = 0; i < DEVICES; i += 3) {
      nodes.get(i).store(DB).put("from-" + i, "{}".getBytes(StandardCharsets.UTF_8));
    }
    for (int i = 0; i < DEVICES; i += 3) {
      String id = "from-" + i;
      await(id, () -> allHave(id));
    }
    nodes.removeFirst().close();
    nodes.getLast().store(DB).put("after", "{}".getBytes(StandardCharsets.UTF_8));
    await("a write after the founder left", () -> allHave("after"));
  }
}
