package io.pluresdb.storage.crypto;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.storage.crypto.Bins.Bin;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BinsTest {
  private static final byte[] NOTHING = {};
  private static final int ROUNDS = 400;

  private final SplittableRandom random = new SplittableRandom(1);
  private long newest;

  private Bin bin(byte[] start) {
    return new Bin(start, newest++, 1);
  }

  /** Few letters, zeros among them, and any length: most begin alike and many end in zeros. */
  private byte[] key(byte[] prefix, int most) {
    byte[] key = Arrays.copyOf(prefix, prefix.length + random.nextInt(most + 1));
    for (int i = prefix.length; i < key.length; i++) {
      key[i] =
          (byte)
              switch (random.nextInt(4)) {
                case 0 -> 0;
                case 1 -> 0xff;
                default -> 'a';
              };
    }
    return key;
  }

  private static byte[] prefix(int length) {
    byte[] prefix = new byte[length];
    Arrays.fill(prefix, (byte) 'p');
    return prefix;
  }

  /** What {@link Bins#find} must find, by looking at all of them. */
  private static int slowly(Bins bins, byte[] key) {
    int last = 0;
    for (int i = 0; i < bins.size(); i++) {
      if (Arrays.compareUnsigned(bins.bin(i).start(), key) <= 0) {
        last = i;
      }
    }
    return last;
  }

  private void check(Bins bins, byte[] prefix, int most) {
    for (int i = 0; i < bins.size(); i++) {
      assertThat(bins.find(bins.bin(i).start())).isEqualTo(i);
    }
    for (int i = 0; i < 60; i++) {
      byte[] key = key(Arrays.copyOf(prefix, random.nextInt(prefix.length + 1)), most);
      int found = bins.find(key);
      assertThat(found).isEqualTo(slowly(bins, key));
      for (int other = 0; other < bins.size(); other++) {
        // Of those at or before the right one, only that one holds the key.
        if (other <= found) {
          assertThat(bins.bin(other).holds(key)).isEqualTo(other == found);
        }
      }
    }
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 1, 7, 8, 15, 16, 17, 40})
  void everyKey_isFoundInTheBinThatStartsLastBeforeIt_whateverIsCut(int length) {
    byte[] prefix = prefix(length);
    for (int round = 0; round < ROUNDS / 8; round++) {
      int most = 1 + random.nextInt(24);
      var bins = new Bins(1, List.of(bin(NOTHING)));
      for (int cuts = 0; cuts < 12; cuts++) {
        bins = cutSome(bins, round % 2 == 0 || cuts < 6 ? prefix : NOTHING, most);
        check(bins, prefix, most);
      }
      check(new Bins(1, bins.all()), prefix, most);
    }
  }

  private Bins cutSome(Bins bins, byte[] prefix, int most) {
    var starts = new ArrayList<byte[]>();
    for (int i = random.nextInt(5); i >= 0; i--) {
      starts.add(key(prefix, most));
    }
    return cutAt(bins, starts);
  }

  private Bins cutAt(Bins bins, List<byte[]> at) {
    var starts = new TreeMap<Integer, TreeSet<byte[]>>();
    for (byte[] start : at) {
      int index = bins.find(start);
      if (!Arrays.equals(bins.bin(index).start(), start)) {
        starts.computeIfAbsent(index, any -> new TreeSet<>(Arrays::compareUnsigned)).add(start);
      }
    }
    var cut = new TreeMap<Integer, List<Bin>>();
    starts.forEach(
        (index, of) -> {
          var parts = new ArrayList<>(List.of(bins.bin(index)));
          of.forEach(start -> parts.add(bin(start)));
          cut.put(index, parts);
        });
    return bins.replace(cut);
  }

  @ParameterizedTest
  @ValueSource(strings = {"anywhere", "ascending", "descending"})
  void thousandsOfBins_cutInAnyOrder_areOneList(String order) {
    var starts = new TreeSet<byte[]>(Arrays::compareUnsigned);
    starts.add(NOTHING);
    var bins = new Bins(1, List.of(bin(NOTHING)));
    for (int round = 0; round < 60; round++) {
      var at = new ArrayList<byte[]>();
      for (int i = 0; i < 80; i++) {
        int number = 80 * round + i;
        int shown =
            switch (order) {
              case "anywhere" -> random.nextInt(1_000_000);
              case "ascending" -> number;
              default -> 1_000_000 - number;
            };
        at.add("set-%08d".formatted(shown).getBytes(StandardCharsets.US_ASCII));
      }
      bins = cutAt(bins, at);
      starts.addAll(at);
      assertThat(bins.all().stream().map(Bin::start)).containsExactlyElementsOf(starts);
    }
    assertThat(bins.size()).isEqualTo(starts.size());
    for (Bins each : List.of(bins, new Bins(1, bins.all()))) {
      for (int i = 0; i < each.size(); i++) {
        byte[] start = each.bin(i).start();
        assertThat(each.find(start)).isEqualTo(i);
        assertThat(each.find(Arrays.copyOf(start, start.length + 1))).isEqualTo(i);
        assertThat(each.end(i)).isEqualTo(starts.higher(start));
        assertThat(each.bin(i).holds(start)).isTrue();
        assertThat(i > 0 && each.bin(i - 1).holds(start)).isFalse();
      }
    }
  }

  @Test
  void binThatIsReplaced_holdsNothingMore_andTheNewOneAllOfIt() {
    var bins = new Bins(1, List.of(bin(NOTHING), bin(new byte[] {5}), bin(new byte[] {9})));
    for (int index = 0; index < bins.size(); index++) {
      Bin old = bins.bin(index);
      Bin moved = bin(old.start());
      var replaced = new TreeMap<Integer, List<Bin>>();
      replaced.put(index, List.of(moved));
      bins = bins.replace(replaced);
      byte[] key = Arrays.copyOf(old.start(), old.start().length + 1);
      assertThat(old.holds(old.start())).isFalse();
      assertThat(old.holds(key)).isFalse();
      assertThat(bins.of(key)).isSameAs(moved);
      assertThat(moved.holds(key)).isTrue();
      assertThat(moved.holds(new byte[] {(byte) 0xff})).isEqualTo(index == 2);
    }
    assertThat(bins.version()).isEqualTo(4);
  }

  @Test
  void binOfAnotherKey_isFoundInAnyRun() {
    var all = new ArrayList<Bin>();
    for (int i = 0; i < 1_000; i++) {
      all.add(
          bin("%04d".formatted(i).substring(i == 0 ? 4 : 0).getBytes(StandardCharsets.US_ASCII)));
    }
    assertThat(new Bins(1, all).findOtherThan(1)).isEqualTo(-1);
    assertThat(new Bins(1, all).findOtherThan(2)).isZero();
    for (int index : List.of(999, 600, 128, 127, 0)) {
      all.set(index, new Bin(all.get(index).start(), newest++, 2));
      assertThat(new Bins(1, all).findOtherThan(1)).isEqualTo(index);
    }
  }

  @Test
  void firstBin_mustStartAtTheEmptyKey() {
    assertThatThrownBy(() -> new Bins(1, List.of(bin(new byte[] {1}))))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Bins(1, List.of())).isInstanceOf(IllegalArgumentException.class);
  }
}
