package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.MemoryStorage;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

/**
 * Devices that cut their logs whenever they may, and now and then when they may not, that are away
 * for longer than their lease, lose power in the middle of a transfer and come back from backups.
 * An archive gets every change when it is written, and never cuts anything: in the end all devices
 * hold what it holds.
 */
class CompactionSimulationTest {
  private static final int SEEDS = 80;
  private static final long LEASE = 3_600_000;

  /** What happened in all seeds: an event that never happens tests nothing. */
  private static final class Tally {
    long writes;
    long cuts;
    long crashes;
    long restores;
    long absences;
    long brokenMeetings;
    long snapshots;
  }

  private static final class World {
    final SplittableRandom random;
    final Tally tally;
    final List<Device> devices = new ArrayList<>();
    final List<@Nullable MemoryStorage> backups = new ArrayList<>();
    final Device archive;
    long now = 10_000_000;

    World(long seed, Tally tally) {
      this.random = new SplittableRandom(seed);
      this.tally = tally;
      Device founder = Device.founder(100 * seed);
      devices.add(founder);
      for (int i = 1; i < 4; i++) {
        devices.add(founder.join(100 * seed + i));
      }
      archive = founder.join(100 * seed + 99);
      for (Device device : devices) {
        founder.sync(device);
        configure(device);
        backups.add(null);
      }
      founder.sync(archive);
    }

    private static void configure(Device device) {
      device.engine.remember(new CompactionSettings(LEASE, 0));
    }

    private void clocks() {
      now++;
      devices.forEach(device -> device.wallMillis = Math.max(device.wallMillis, now));
      archive.wallMillis = now + 3_600_000;
    }

    void step() {
      clocks();
      int index = random.nextInt(devices.size());
      Device device = devices.get(index);
      int kind = random.nextInt(100);
      if (kind < 45) {
        write(device);
      } else if (kind < 70) {
        meet(device, other(device), Integer.MAX_VALUE);
      } else if (kind < 80) {
        meet(device, other(device), random.nextInt(1, 15));
        tally.brokenMeetings++;
      } else if (kind < 88) {
        compact(device, random.nextInt(4) == 0);
      } else if (kind < 93) {
        device.crash();
        configure(device);
        tally.crashes++;
      } else if (kind < 96) {
        backups.set(index, device.storage.copy());
      } else if (kind < 98) {
        restore(index);
      } else {
        // The others meet for a while; this one is not seen for longer than its lease.
        now += LEASE + 60_000;
        clocks();
        for (int i = 0; i < 4; i++) {
          Device one = other(device);
          meet(one, other(device, one), Integer.MAX_VALUE);
          compact(one, false);
        }
        tally.absences++;
      }
    }

    private Device other(Device... not) {
      while (true) {
        Device device = devices.get(random.nextInt(devices.size()));
        if (!List.of(not).contains(device)) {
          return device;
        }
      }
    }

    private void write(Device device) {
      String id = "d" + random.nextInt(6);
      byte[] json =
          ("{\"k" + random.nextInt(3) + "\":" + random.nextInt(100) + "}")
              .getBytes(StandardCharsets.UTF_8);
      Edit edit =
          switch (random.nextInt(8)) {
            case 0, 1, 2 -> Edit.put(id, json);
            case 3, 4 -> Edit.patch(id, json);
            case 5 -> Edit.delete(id);
            case 6 -> Edit.increment(id, "n", random.nextInt(5));
            default -> Edit.spliceText(id, "t", 0, 0, "ab");
          };
      try {
        archive(device, device.write(edit));
        tally.writes++;
      } catch (CoreException e) {
        assertThat(e.kind()).isEqualTo(CoreException.Kind.NOT_FOUND);
      }
    }

    /** The archive takes the change out of the writer's log, before anybody can cut it. */
    private void archive(Device device, Receipt receipt) {
      var batch =
          device
              .engine
              .replica()
              .log()
              .read(
                  receipt.arrival() - 1,
                  receipt.arrival(),
                  actor -> actor.equals(receipt.actor()) ? receipt.seq() - 1 : 0,
                  1 << 20);
      for (ChangeRun run : batch.runs()) {
        archive.engine.apply(run);
      }
      archive.turns();
    }

    private void meet(Device one, Device two, int steps) {
      Device.Wire wire = one.connect(two);
      if (steps == Integer.MAX_VALUE) {
        for (int i = 0; i < 3; i++) {
          wire.settle();
          now += 20_000;
          clocks();
          one.pass(0);
          two.pass(0);
        }
        wire.settle();
      } else {
        for (int i = 0; i < steps; i++) {
          wire.step();
        }
      }
      assertThat(wire.closed()).as("%s %s", one.events, two.events).isFalse();
      wire.cut();
    }

    private void compact(Device device, boolean everything) {
      long before = device.engine.replica().log().floor().arrivals();
      if (everything) {
        while (device.engine.replica().truncate(actor -> Long.MAX_VALUE, Long.MAX_VALUE, 0)) {
          device.turns();
        }
      } else {
        device.engine.compactNow(() -> {});
        device.turns();
      }
      if (device.engine.replica().log().floor().arrivals() > before) {
        tally.cuts++;
      }
    }

    private void restore(int index) {
      MemoryStorage backup = backups.get(index);
      Device device = devices.get(index);
      if (backup == null) {
        return;
      }
      // What nobody else has is lost with the disk; here nothing is to be lost.
      meet(device, other(device), Integer.MAX_VALUE);
      device.storage = backup.copy();
      device.crash();
      configure(device);
      tally.restores++;
    }

    void settle() {
      for (int round = 0; round < 4; round++) {
        for (int i = 0; i < devices.size(); i++) {
          meet(devices.get(i), devices.get((i + 1) % devices.size()), Integer.MAX_VALUE);
        }
      }
    }
  }

  @Test
  void devicesThatCutTheirLogs_loseNothing_andAgreeWithTheArchive() {
    var tally = new Tally();
    Long only = Long.getLong("property.seed");
    long first = only == null ? 1 : only;
    long last = only == null ? Property.runs(SEEDS) : only;
    for (long seed = first; seed <= last; seed++) {
      var world = new World(seed, tally);
      for (int i = 0; i < 120; i++) {
        world.step();
      }
      world.settle();
      for (Device device : world.devices) {
        assertThat(device.view().frontier())
            .as("seed %d", seed)
            .isEqualTo(world.archive.view().frontier());
        assertThat(device.view().stateHash())
            .as("seed %d", seed)
            .isEqualTo(world.archive.view().stateHash());
        assertThat(Inspection.of(device.engine.replica()))
            .as("seed %d", seed)
            .noneMatch(finding -> finding.status() == Finding.Status.ERROR);
        tally.snapshots += device.engine.snapshots().joined();
      }
    }
    System.out.println(
        "COMPACTION SIMULATION writes="
            + tally.writes
            + " cuts="
            + tally.cuts
            + " snapshots="
            + tally.snapshots
            + " crashes="
            + tally.crashes
            + " restores="
            + tally.restores
            + " absences="
            + tally.absences
            + " brokenMeetings="
            + tally.brokenMeetings);
    assertThat(
            List.of(
                tally.cuts,
                tally.snapshots,
                tally.crashes,
                tally.restores,
                tally.absences,
                tally.brokenMeetings))
        .allMatch(count -> count > (last - first) / 3);
  }
}
