package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.DocumentHistory;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/** Documents with texts, lists and sets as they were: as each author saw them when writing. */
class TypedHistoryTest {
  private static final int HISTORIES = 60;
  private static final String ID = "d";

  /**
   * What an author saw.
   *
   * @param all everything its author had then
   */
  private record Seen(Moment.Version version, Moment.Seen all, String shown) {}

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static Edit edit(Random random) {
    int at = random.nextInt(4);
    byte[] value = utf8(Integer.toString(random.nextInt(3)));
    return switch (random.nextInt(12)) {
      case 0, 1 -> Edit.spliceText(ID, "t", at, 0, "ab" + random.nextInt(10));
      case 2, 3 -> Edit.spliceText(ID, "t", at, 1, random.nextBoolean() ? "x" : "");
      case 4, 5 -> Edit.insertIntoList(ID, "l", at, List.of(value, value));
      case 6 -> Edit.deleteFromList(ID, "l", at, 1);
      case 7 -> Edit.moveInList(ID, "l", at, 0);
      case 8 -> Edit.addToSet(ID, "s", List.of(value));
      case 9 -> Edit.removeFromSet(ID, "s", List.of(value));
      case 10 -> Edit.patch(ID, utf8("{\"n\":" + at + ",\"t\":" + (at > 2 ? "null" : "1") + "}"));
      default ->
          random.nextInt(3) == 0
              ? Edit.delete(ID)
              : Edit.put(ID, utf8("{\"l\":[0,1],\"t\":\"new\",\"s\":[1]}"));
    };
  }

  private static String shown(NodeRecord record) {
    return record.json() + record.conflicts() + record.clock();
  }

  private static String now(Device device) {
    NodeRecord record = device.get(ID);
    return record == null ? "none" : shown(record);
  }

  private static void play(Random random, List<Device> devices, List<Seen> seen) {
    for (int step = random.nextInt(10, 60); step > 0; step--) {
      Device device = devices.get(random.nextInt(devices.size()));
      if (random.nextInt(5) == 0) {
        device.sync(devices.get((devices.indexOf(device) + 1) % devices.size()));
        continue;
      }
      try {
        Receipt receipt = device.write(edit(random));
        seen.add(
            new Seen(
                new Moment.Version(receipt.actor(), receipt.seq()),
                Moment.Seen.of(device.view().frontier()),
                now(device)));
      } catch (CoreException e) {
        // Not an edit of what is there; nothing was written.
      }
    }
  }

  private record Played(List<Device> devices, List<Seen> seen) {}

  /** Three devices that wrote and met at random and are equal now. */
  private static Played played(long seed) {
    Device first = Device.founder(1);
    List<Device> devices = List.of(first, first.join(2), first.join(3));
    first.put(ID, "{\"n\":0}");
    devices.forEach(device -> first.sync(device == first ? devices.get(1) : device));
    List<Seen> seen = new ArrayList<>();
    play(new Random(seed), devices, seen);
    for (int round = 0; round < 2; round++) {
      for (int i = 0; i < devices.size(); i++) {
        devices.get(i).sync(devices.get((i + 1) % devices.size()));
      }
    }
    assertThat(seen).isNotEmpty();
    return new Played(devices, seen);
  }

  private static String asOf(Device device, Moment moment) {
    return new DocumentHistory(device.storage)
        .asOf(utf8(ID), moment)
        .map(TypedHistoryTest::shown)
        .orElse("none");
  }

  @Test
  void asOf_everyVersion_onEveryDevice_isWhatItsAuthorSawRightAfterWriting() {
    Property.forAll(
        HISTORIES,
        Gen.of(random -> random.nextLong()),
        seed -> {
          Played played = played(seed);
          for (Device device : played.devices) {
            for (Seen one : played.seen) {
              assertThat(asOf(device, one.version)).isEqualTo(one.shown);
              assertThat(asOf(device, one.all)).isEqualTo(one.shown);
            }
          }
        });
  }

  @Test
  void asOf_aboveAFloor_isThatStill_orSaysThatItIsNoLongerKept() {
    int[] answered = new int[1];
    int[] refused = new int[1];
    Property.forAll(
        HISTORIES,
        Gen.of(random -> random.nextLong()),
        seed -> {
          Played played = played(seed);
          Device device = played.devices.getLast();
          Moment.Seen floor = played.seen.get(played.seen.size() / 3).all;
          device
              .engine
              .replica()
              .truncate(actor -> floor.seqs().getOrDefault(actor, 0L), Long.MAX_VALUE, 0);
          for (Seen one : played.seen) {
            boolean above =
                floor.seqs().entrySet().stream()
                    .allMatch(e -> one.all.seqs().getOrDefault(e.getKey(), 0L) >= e.getValue());
            // Everything below the floor counts for a version, whether its author saw it or not.
            for (Moment moment : above ? List.of(one.version, one.all) : List.of(one.all)) {
              try {
                assertThat(asOf(device, moment)).isEqualTo(one.shown);
                answered[0]++;
              } catch (CoreException e) {
                assertThat(e.kind()).isEqualTo(CoreException.Kind.HISTORY_TRUNCATED);
                refused[0]++;
              }
            }
          }
          assertThat(asOf(device, Moment.Seen.of(device.view().frontier()))).isEqualTo(now(device));
        });
    assertThat(answered[0]).isPositive();
    assertThat(refused[0]).isPositive();
  }
}
