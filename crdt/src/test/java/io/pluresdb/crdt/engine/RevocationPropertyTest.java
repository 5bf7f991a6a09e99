package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.Replica;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Removals, demotions and new admissions among concurrent writes, heard of in every order: all
 * replicas end with the same operations and the same documents, the removed devices' own too.
 */
class RevocationPropertyTest {
  private static final int DEVICES = 5;
  private static final int ADMINS = 2;

  private sealed interface Action {
    record Write(int device, int document, int kind, int value) implements Action {}

    record Sync(int one, int other) implements Action {}

    record Remove(int signer, int device, @Nullable Role keep) implements Action {}

    record Adopt(int device, int voided) implements Action {}

    record Admit(int signer, int device, Role role) implements Action {}

    record Cut(int device) implements Action {}

    /** The device believes that nobody else counts. */
    record CutFreely(int device) implements Action {}
  }

  private static Gen<List<Action>> schedule() {
    return Gen.list(5, 60, Gen.of(RevocationPropertyTest::action));
  }

  private static Gen<List<Action>> scheduleWithCuts() {
    return Gen.list(
        5,
        60,
        Gen.of(
            random ->
                random.nextInt(6) == 0 ? new Action.Cut(random.nextInt(DEVICES)) : action(random)));
  }

  /** The first three stay members and cut whatever they have; the others are removed. */
  private static Gen<List<Action>> scheduleWithFreeCuts() {
    return Gen.list(
        5,
        60,
        Gen.of(
            random -> {
              int roll = random.nextInt(12);
              if (roll == 0) {
                return new Action.CutFreely(random.nextInt(3));
              }
              if (roll < 3) {
                return new Action.Remove(random.nextInt(ADMINS), 3 + random.nextInt(2), null);
              }
              Action action = action(random);
              return action instanceof Action.Remove ? new Action.Sync(0, 2) : action;
            }));
  }

  private static Action action(RandomGenerator random) {
    int device = random.nextInt(DEVICES);
    int kind = random.nextInt(20);
    if (kind < 9) {
      return new Action.Write(device, random.nextInt(3), random.nextInt(12), random.nextInt(100));
    }
    if (kind == 9) {
      return new Action.Adopt(device, random.nextInt(DEVICES));
    }
    if (kind < 16) {
      return new Action.Sync(device, (device + 1 + random.nextInt(DEVICES - 1)) % DEVICES);
    }
    int signer = random.nextInt(ADMINS);
    int other = (signer + 1 + random.nextInt(DEVICES - 1)) % DEVICES;
    if (kind < 19) {
      List<Role> kept = List.of(Role.READ, Role.PULL, Role.WRITE);
      return new Action.Remove(signer, other, random.nextBoolean() ? null : Gen.pick(random, kept));
    }
    return new Action.Admit(signer, other, random.nextBoolean() ? Role.WRITE : Role.ADMIN);
  }

  private static List<Device> devices() {
    Device founder = Device.founder(1);
    var devices = new ArrayList<>(List.of(founder));
    for (int i = 1; i < DEVICES; i++) {
      devices.add(founder.join(i + 1, i < ADMINS ? Role.ADMIN : Role.WRITE));
    }
    for (Device device : devices) {
      founder.sync(device);
    }
    return devices;
  }

  private static void play(List<Device> devices, Action action) {
    switch (action) {
      case Action.Sync(var one, var other) -> devices.get(one).sync(devices.get(other));
      case Action.Remove(var signer, var device, var keep) ->
          devices.get(signer).revoke(devices.get(device), keep);
      case Action.Admit(var signer, var device, var role) ->
          devices.get(signer).admit(devices.get(device), role);
      case Action.Cut(var device) -> cut(devices, devices.get(device));
      case Action.CutFreely(var device) -> {
        Replica replica = devices.get(device).engine.replica();
        while (replica.truncate(actor -> Long.MAX_VALUE, Long.MAX_VALUE, 0)) {
          assertThat(replica.hasStaged()).isFalse();
        }
      }
      case Action.Write write -> {
        Device device = devices.get(write.device);
        refusable(() -> device.write(edit(device, write)));
      }
      case Action.Adopt(var device, var voided) ->
          refusable(() -> devices.get(device).adopt(devices.get(voided)));
    }
  }

  /** Takes off the log of a device what all have that it takes for members, or are admins. */
  private static void cut(List<Device> devices, Device cutting) {
    Membership members = cutting.view().membership();
    List<Device> counting =
        devices.stream()
            .filter(
                device ->
                    members.role(device.signer.publicKey()) != null
                        || device.view().membership().may(device.signer.publicKey(), Role.ADMIN))
            .toList();
    Replica replica = cutting.engine.replica();
    while (replica.truncate(
        actor ->
            counting.stream()
                .mapToLong(device -> device.view().frontier().seq(actor))
                .min()
                .orElse(0),
        Long.MAX_VALUE,
        0)) {
      assertThat(replica.hasStaged()).isFalse();
    }
  }

  private static void refusable(Runnable write) {
    try {
      write.run();
    } catch (CoreException e) {
      assertThat(e.kind())
          .isIn(
              CoreException.Kind.NOT_ALLOWED,
              CoreException.Kind.NOT_FOUND,
              CoreException.Kind.INVALID_INPUT);
    }
  }

  private static Edit edit(Device device, Action.Write write) {
    String id = "doc" + write.document;
    int length = Math.max(0, device.textLength(id));
    int at = length == 0 ? 0 : write.value % (length + 1);
    return switch (write.kind) {
      case 0 -> Edit.delete(id);
      case 1 -> Edit.increment(id, "n", write.value);
      case 2 -> Edit.patch(id, json("a", write.value));
      case 3, 4, 5 -> Edit.spliceText(id, "t", at, 0, "x" + write.value);
      case 6 -> Edit.spliceText(id, "t", at, Math.min(2, length - at), "y");
      case 7, 8 -> Edit.insertIntoList(id, "l", 0, List.of(json("v", write.value)));
      case 9 ->
          write.value % 2 == 0
              ? Edit.moveInList(id, "l", 0, 1)
              : Edit.setInList(id, "l", 0, json("s", write.value));
      case 10 -> Edit.deleteFromList(id, "l", 0, 1);
      default -> Edit.put(id, json("b", write.value));
    };
  }

  private static byte[] json(String key, int value) {
    return ("{\"" + key + "\":" + value + "}").getBytes(StandardCharsets.UTF_8);
  }

  private static void settle(List<Device> devices) {
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < devices.size(); i++) {
        for (int j = i + 1; j < devices.size(); j++) {
          devices.get(i).sync(devices.get(j));
        }
      }
    }
  }

  @Test
  void removals_amongConcurrentWrites_endEqualEverywhere() {
    Property.forAll(120, schedule(), RevocationPropertyTest::endEqual);
  }

  @Test
  void removals_whereLogsAreCut_endEqualEverywhere() {
    Property.forAll(240, scheduleWithCuts(), RevocationPropertyTest::endEqual);
  }

  @Test
  void removals_ofWhatLeftLogs_endEqualEverywhere() {
    Property.forAll(240, scheduleWithFreeCuts(), RevocationPropertyTest::endEqual);
  }

  private static void endEqual(List<Action> actions) {
    List<Device> devices = devices();
    actions.forEach(action -> play(devices, action));
    settle(devices);
    for (Device device : devices) {
      assertThat(device.view().membership().hash())
          .isEqualTo(devices.getFirst().view().membership().hash());
      device.assertEquals(devices.getFirst());
      assertThat(device.engine.pending()).isZero();
      assertThat(Inspection.of(device.engine.replica()))
          .noneMatch(finding -> finding.status() == Finding.Status.ERROR);
    }
    // Somebody who never saw what is void, and a restart.
    Device late = new Device(99, devices.getFirst().founder);
    late.sync(devices.getFirst());
    late.assertEquals(devices.getFirst());
    devices.getLast().restart();
    devices.getLast().assertEquals(devices.getFirst());
  }
}
