package io.pluresdb.storage.crypto;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.storage.crypto.Bins.Bin;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is remembered of bins. */
class KnownBinsTest {
  private final AtomicInteger remembering = new AtomicInteger();
  private final KnownBins bins = new KnownBins(remembering);

  private static byte[] key(int number) {
    return "k%05d".formatted(number).getBytes(StandardCharsets.UTF_8);
  }

  private static Bin bin(int id) {
    return new Bin(key(id), id, 0);
  }

  private KnownBins.Known known(Bin bin) {
    return Objects.requireNonNull(bins.of(bin));
  }

  @Test
  void bin_thatWasLearned_followsWhatIsWritten_andOthersStayUnknown() {
    Bin one = bin(1);
    Bin other = bin(2);
    bins.learn(one, List.of(key(1), key(2)));
    for (int i : new int[] {5, 3, 5, 2, 4, 3}) {
      bins.written(one, key(i), true);
    }
    bins.written(one, key(1), false);
    bins.written(one, key(7), false);
    bins.written(other, key(4), true);
    assertThat(known(one).keys()).containsExactly(key(2), key(3), key(4), key(5));
    assertThat(known(one).contains(key(4))).isTrue();
    assertThat(known(one).contains(key(1))).isFalse();
    assertThat(bins.of(other)).isNull();
    bins.forget(one);
    assertThat(bins.of(one)).isNull();
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 3})
  void run_needsEachRowDirectlyBehindTheOnePutBefore(int places) {
    Bin bin = bin(1);
    bins.learn(bin, List.of(key(0), key(1_000), key(2_000), key(3_000)));
    for (int i = 1; i < KnownBins.MIN_RUN; i++) {
      putAt(bin, places, i);
      bins.written(bin, key(0), true); // There already: neither here nor there.
      putAt(bin, places, i);
    }
    assertThat(runEnds(bin)).isEmpty();
    Bin other = bin(2);
    bins.learn(other, List.of(key(0), key(1_000), key(2_000), key(3_000)));
    for (int i = 1; i <= KnownBins.MIN_RUN; i++) {
      putAt(other, places, i);
      putAt(other, places, i); // The second time it is nothing new.
    }
    var expected = new ArrayList<byte[]>();
    for (int place = 0; place < places; place++) {
      expected.add(key(place * 1_000 + KnownBins.MIN_RUN));
    }
    assertThat(runEnds(other)).containsExactlyElementsOf(expected);
    bins.written(other, key(5_000), true);
    assertThat(runEnds(other)).isEmpty();
  }

  private void putAt(Bin bin, int places, int number) {
    for (int place = places - 1; place >= 0; place--) {
      bins.written(bin, key(place * 1_000 + number), true);
    }
  }

  private List<byte[]> runEnds(Bin bin) {
    KnownBins.Known known = known(bin);
    return known.runEnds().stream().map(known.keys()::get).toList();
  }

  @Test
  void run_endsWithARowPutBeforeIt_orWithOneThatWasThere() {
    Bin bin = bin(1);
    bins.learn(bin, List.of(key(0), key(40), key(60)));
    for (int i = 41; i < 60; i++) {
      bins.written(bin, key(i), true);
    }
    for (int i : new int[] {80, 70}) {
      bins.written(bin, key(i), true);
    }
    for (int i = 81; i < 81 + KnownBins.MIN_RUN - 1; i++) {
      bins.written(bin, key(i), true);
    }
    // 70 came after 80, so it begins nothing; 80 and those behind it are just enough.
    assertThat(runEnds(bin)).containsExactly(key(59), key(80 + KnownBins.MIN_RUN - 1));
    bins.written(bin, key(45), false);
    assertThat(runEnds(bin)).isEmpty();
  }

  @Test
  void run_isNotOfRowsThatHaveOthersBetween() {
    Bin bin = bin(1);
    bins.learn(bin, List.of(key(2), key(4), key(6), key(8), key(10), key(12), key(14), key(16)));
    for (int i = 1; i < 18; i += 2) {
      bins.written(bin, key(i), true);
    }
    assertThat(runEnds(bin)).isEmpty();
  }

  @Test
  void run_isNotOfRowsThatCameInDescendingOrder() {
    Bin bin = bin(1);
    bins.learn(bin, List.of(key(0)));
    for (int i = 40; i > 0; i--) {
      bins.written(bin, key(i), true);
    }
    assertThat(runEnds(bin)).isEmpty();
  }

  @Test
  void bins_beyondTheirMemory_areForgotten_theOnesNotUsedFirst() {
    var large = new byte[1 << 20];
    Bin[] all = {bin(0), bin(1), bin(2), bin(3), bin(4)};
    for (int i = 0; i < 3; i++) {
      bins.learn(all[i], List.of(large));
    }
    assertThat(bins.of(all[0])).isNotNull();
    bins.learn(all[3], List.of(large));
    assertThat(bins.of(all[1])).isNull();
    assertThat(bins.of(all[0])).isNotNull();
    assertThat(bins.of(all[3])).isNotNull();
    bins.learn(all[4], List.of(new byte[2 * (int) KnownBins.MAX_BYTES]));
    assertThat(bins.of(all[4])).isNotNull();
    assertThat(bins.of(all[3])).isNull();
  }

  @Test
  void keys_putSince_takeTheirMemoryOnce_soonerOrLaterSorted() {
    Bin[] all = {bin(0), bin(1), bin(2)};
    bins.learn(all[0], List.of(new byte[1 << 20]));
    bins.learn(all[1], List.of(key(1)));
    bins.written(all[1], new byte[1 << 20], true);
    bins.written(all[1], new byte[1 << 20], true);
    assertThat(known(all[1]).keys()).hasSize(2);
    bins.learn(all[2], List.of(new byte[(2 << 20) - (1 << 10)]));
    for (Bin bin : all) {
      assertThat(bins.of(bin)).isNotNull();
    }
  }

  @Test
  void tables_shareTheirMemory_andLeaveTheirPartWhenTheyForget() {
    var others = new ArrayList<KnownBins>();
    for (int i = 0; i < 63; i++) {
      var other = new KnownBins(remembering);
      other.learn(bin(1), List.of(key(1)));
      others.add(other);
    }
    int share = (int) (KnownBins.MAX_SHARED_BYTES / 64);
    Bin first = bin(1);
    Bin second = bin(2);
    Bin third = bin(3);
    bins.learn(first, List.of(new byte[share / 2]));
    bins.learn(second, List.of(new byte[share / 2]));
    assertThat(bins.of(first)).isNull();
    assertThat(bins.of(second)).isNotNull();
    others.forEach(KnownBins::clear);
    assertThat(remembering).hasValue(1);
    bins.learn(third, List.of(new byte[share / 2]));
    assertThat(bins.of(second)).isNotNull();
    bins.forget(second);
    bins.forget(third);
    assertThat(remembering).hasValue(0);
  }
}
