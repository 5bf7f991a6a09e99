package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.Role;
import io.pluresdb.transport.Environment;
import io.pluresdb.transport.net.RelayServer;
import io.pluresdb.transport.relay.RelayLimits;
import io.pluresdb.transport.relay.RelayOptions;
import io.pluresdb.transport.relay.RelayUrl;
import io.pluresdb.transport.topic.Rendezvous;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Map;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** What becomes of the keys of a database when a device is removed; whole nodes, real sessions. */
class EpochsTest extends LocalNodes {
  private static void put(DeviceNode node, String id) {
    node.store(DB).put(id, "{}".getBytes(StandardCharsets.UTF_8));
  }

  private static Epochs epochs(DeviceNode node) {
    return node.database(DB).epochs();
  }

  private static boolean isNew(DeviceNode one, DeviceNode other, Object first) {
    return epochs(one).current().equals(epochs(other).current())
        && !epochs(one).current().equals(first);
  }

  /** Whether two nodes have a session with the keys that both have now. */
  private static boolean isUnderCurrentKeys(DeviceNode node) {
    return node.database(DB).replicator().connections().stream()
        .anyMatch(c -> c.session().keys().equals(epochs(node).current()));
  }

  @Test
  void keys_whenADeviceIsRemoved_areOthersThanItHas_andAllOthersComeToThem() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    DeviceNode removed = start("removed", 0);
    DeviceNode away = start("away", 0);
    join(a, b);
    join(a, removed);
    join(a, away);
    put(removed, "before");
    await("all have it", () -> has(a, "before") && has(b, "before") && has(away, "before"));
    var first = epochs(a).current();
    assertThat(epochs(removed).current()).isEqualTo(first);
    String topic = a.status(DB).topic();
    int portOfAway = stop(away);
    int portOfRemoved = stop(removed);

    a.revoke(DB, "removed", null);
    await("both have new keys", () -> isNew(a, b, first));
    await("their session has them, too", () -> isUnderCurrentKeys(a) && isUnderCurrentKeys(b));
    put(a, "later");
    await("they go on", () -> has(b, "later"));
    assertThat(a.status(DB).topic()).isEqualTo(b.status(DB).topic()).isNotEqualTo(topic);
    // Somebody was not met yet: earlier keys are answered, and looked for.
    assertThat(epochs(a).answered()).hasSize(2).contains(first);
    assertThat(epochs(a).sought()).contains(first);

    // It was away when the keys changed and has the first ones only.
    DeviceNode back = start("away", portOfAway);
    assertThat(epochs(back).current()).isEqualTo(first);
    await("it has the new keys", () -> isNew(a, back, first));
    await("it catches up", () -> has(back, "later") && isUnderCurrentKeys(back));
    await("nobody is missing", () -> epochs(a).sought().size() == 1);

    // The removed one is told once, and then nobody answers to what it has.
    DeviceNode told = start("removed", portOfRemoved);
    await("it is told", () -> told.status(DB).role().equals("removed"));
    await("a does not answer to the first keys", () -> epochs(a).answered().size() == 1);
    assertThat(epochs(a).byHint(first.hint())).isNull();
    assertThat(epochs(told).current()).isEqualTo(first);
    assertThat(told.database(DB).file().keys().secrets()).isEmpty();
    await("no session", () -> told.status(DB).peers() == 0);
    assertThat(has(told, "later")).isFalse();

    // All of it survives a restart, and a guest comes with the new keys.
    int portOfA = stop(a);
    DeviceNode again = start("a", portOfA);
    assertThat(isNew(again, b, first)).isTrue();
    put(b, "afterwards");
    await("a goes on", () -> has(again, "afterwards"));
    DeviceNode guest = start("guest", 0);
    join(again, guest);
    await("the guest reads", () -> has(guest, "afterwards"));
    assertThat(isNew(again, guest, first)).isTrue();
    await("the guest has the secret", () -> !guest.database(DB).file().keys().secrets().isEmpty());
  }

  @Test
  void keys_whenOnlyARelayIsInCommon_changeForAll_andWhoWasAwayComesToThem() {
    var options =
        new RelayOptions(
            loopback(0), null, Map.of(), false, RelayLimits.of(Map.of("drain-millis", 0L)));
    try (RelayServer relay =
        RelayServer.start(
            options, new Environment(InstantSource.system(), new SplittableRandom(1)))) {
      var url = RelayUrl.parse("ws://127.0.0.1:" + relay.address().getPort());
      DeviceNode a = startRelayed("a", url);
      DeviceNode b = startRelayed("b", url);
      DeviceNode removed = startRelayed("removed", url);
      DeviceNode away = startRelayed("away", url);
      join(a, b);
      join(a, removed);
      join(a, away);
      put(removed, "before");
      await("all have it", () -> has(a, "before") && has(b, "before") && has(away, "before"));
      var first = epochs(a).current();
      stop(away);
      a.revoke(DB, "removed", null);
      await("both have new keys", () -> isNew(a, b, first));
      await("their session has them, too", () -> isUnderCurrentKeys(a) && isUnderCurrentKeys(b));
      put(a, "later");
      await("they go on", () -> has(b, "later"));
      assertThat(has(removed, "later")).isFalse();

      // It is registered under the first keys only.
      DeviceNode back = startRelayed("away", url);
      assertThat(epochs(back).current()).isEqualTo(first);
      await("it has the new keys", () -> isNew(a, back, first));
      await("it catches up", () -> has(back, "later") && isUnderCurrentKeys(back));

      // With nobody missing the first rendezvous is left.
      await("nobody is missing", () -> epochs(a).sought().size() == 1);
      int names = Rendezvous.of(epochs(a).current(), Instant.now()).size();
      await("no other", () -> a.relays().getFirst().topics() == names);
      stop(b);
      DeviceNode again = startRelayed("b", url);
      put(again, "afterwards");
      await("the new keys alone do", () -> has(a, "afterwards") && has(back, "afterwards"));
      assertThat(has(removed, "afterwards")).isFalse();
      stopAll();
    }
  }

  private DeviceNode startRelayed(String name, RelayUrl url) {
    return open(name, new NodeOptions.Network(NodeOptions.Relays.of(url)));
  }

  @Test
  void keys_whenTwoAreRemovedAtOnce_dependOnBothSecrets() {
    DeviceNode a = start("a", 0);
    DeviceNode b = start("b", 0);
    DeviceNode c = start("c", 0);
    DeviceNode d = start("d", 0);
    join(a, b, Role.ADMIN);
    join(a, c);
    join(a, d);
    await("all know all", () -> b.devices(DB).size() == 4 && d.devices(DB).size() == 4);
    stop(c);
    stop(d);
    var first = epochs(a).current();
    int portOfB = stop(b);
    a.revoke(DB, "c", null);
    DeviceNode alone = openOffline("b");
    alone.revoke(DB, "d", null);
    alone.close();
    DeviceNode back = start("b", portOfB);
    await("one key of two secrets", () -> isNew(a, back, first));
    await(
        "both secrets",
        () ->
            a.database(DB).file().keys().secrets().size() == 2
                && back.database(DB).file().keys().secrets().size() == 2);
    await("the same key", () -> isNew(a, back, first) && isUnderCurrentKeys(a));
    put(back, "on");
    await("they go on", () -> has(a, "on"));
  }
}
