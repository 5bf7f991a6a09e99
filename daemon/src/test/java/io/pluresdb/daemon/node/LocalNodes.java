package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.store.CrdtStore;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.io.TempDir;

/** Whole devices of one test in this process, each in a directory of its own, on loopback ports. */
abstract class LocalNodes {
  static final String DB = Node.DEFAULT_DATABASE;

  @TempDir Path temporary;
  private final List<DeviceNode> nodes = new ArrayList<>();

  @AfterEach
  void closeNodes() {
    nodes.forEach(DeviceNode::close);
    nodes.clear();
  }

  /** Opens the device {@code name} with these options; it is closed with the test. */
  DeviceNode open(String name, NodeOptions options) {
    DeviceNode node = DeviceNode.open(temporary.resolve(name), options);
    nodes.add(node);
    return node;
  }

  DeviceNode open(String name, NodeOptions.Network network) {
    return open(name, new NodeOptions(name, network));
  }

  DeviceNode openOffline(String name) {
    return open(name, NodeOptions.offline(name));
  }

  /** Opens a device that listens on {@code port}, or on any where that is 0. */
  DeviceNode start(String name, int port) {
    return open(name, new NodeOptions.Network(loopback(port), false, List.of()));
  }

  DeviceNode start(String name) {
    return start(name, 0);
  }

  /** Closes a device before the test ends; returns the port it listened on, 0 for none. */
  int stop(DeviceNode node) {
    int port = port(node);
    nodes.remove(node);
    node.close();
    return port;
  }

  DeviceNode restart(DeviceNode node, String name) {
    return start(name, stop(node));
  }

  /** Closes all, the last first. */
  void stopAll() {
    nodes.reversed().forEach(DeviceNode::close);
    nodes.clear();
  }

  static InetSocketAddress loopback(int port) {
    return new InetSocketAddress(InetAddress.getLoopbackAddress(), port);
  }

  static int port(DeviceNode node) {
    InetSocketAddress address = node.listening();
    return address == null ? 0 : address.getPort();
  }

  static void put(DeviceNode node, String id, String json) {
    node.store(DB).put(id, json.getBytes(StandardCharsets.UTF_8));
  }

  static String get(DeviceNode node, String id) {
    return node.store(DB).get(id).map(record -> record.json()).orElse("none");
  }

  static boolean has(DeviceNode node, String id) {
    return node.store(DB).get(id).isPresent();
  }

  static String invite(DeviceNode node) {
    return node.invite(DB, Role.WRITE, Duration.ofMinutes(5)).url();
  }

  static void join(DeviceNode inviter, DeviceNode joiner) {
    join(inviter, joiner, Role.WRITE);
  }

  static void join(DeviceNode inviter, DeviceNode joiner, Role role) {
    CrdtStore.await(joiner.join(DB, inviter.invite(DB, role, Duration.ofMinutes(5)).url()));
  }

  /** Waits until all have the same operations and show the same documents. */
  static void awaitEqual(DeviceNode... all) {
    await(
        "equal replicas",
        () ->
            Arrays.stream(all)
                    .map(node -> node.store(DB).status())
                    .map(s -> s.frontier().hash() + " " + s.stateHash() + " " + s.documents())
                    .distinct()
                    .count()
                == 1);
  }
}
