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
  @ValueSource(booleans = {true, false})
  void run_needsRowsOneBehindTheOther_andEndsWithOneElsewhere(boolean askedBetween) {
    Bin bin = bin(1);
    bins.learn(bin, List.of(key(0), key(10_000)));
    for (int i = 1; i <= KnownBins.MIN_RUN; i++) {
      bins.written(bin, key(i), true);
      bins.written(bin, key(i % 3 == 0 ? 0 : i), true); // There already: neither here nor there.
      if (askedBetween) {
        assertThat(known(bin).isRun()).as("after %d", i).isFalse();
      }
    }
    assertThat(known(bin).isRun()).isFalse();
    bins.written(bin, key(50), true);
    assertThat(known(bin).isRun()).isTrue();
    bins.written(bin, key(40), true);
    assertThat(known(bin).isRun()).isFalse();
  }

  @Test
  void run_isNotOfRowsThatHaveOthersBetween() {
    Bin bin = bin(1);
    bins.learn(bin, List.of(key(0), key(35)));
    for (int i = 1; i < 40; i += 2) {
      bins.written(bin, key(i), true);
    }
    assertThat(known(bin).isRun()).isFalse();
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
