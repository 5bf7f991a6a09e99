package io.pluresdb.storage.crypto;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;

/** What is remembered of bins. */
class KnownBinsTest {
  private final AtomicInteger remembering = new AtomicInteger();
  private final KnownBins bins = new KnownBins(remembering);

  private static byte[] key(int number) {
    return "k%05d".formatted(number).getBytes(StandardCharsets.UTF_8);
  }

  private KnownBins.Known known(long bin) {
    return Objects.requireNonNull(bins.of(bin));
  }

  @Test
  void bin_thatWasLearned_followsWhatIsWritten_andOthersStayUnknown() {
    bins.learn(1, List.of(key(1), key(2)));
    bins.written(1, key(3), true);
    bins.written(1, key(1), false);
    bins.written(2, key(4), true);
    assertThat(known(1).keys).containsExactly(key(2), key(3));
    assertThat(bins.of(2)).isNull();
    bins.forget(1);
    assertThat(bins.of(1)).isNull();
  }

  @Test
  void run_needsRowsOneBehindTheOther_andEndsWithOneElsewhere() {
    bins.learn(1, List.of(key(0), key(10_000)));
    for (int i = 1; i <= KnownBins.MIN_RUN; i++) {
      bins.written(1, key(i), true);
      assertThat(known(1).isRun()).as("after %d", i).isFalse();
    }
    bins.written(1, key(50), true);
    assertThat(known(1).isRun()).isTrue();
    bins.written(1, key(40), true);
    assertThat(known(1).isRun()).isFalse();
  }

  @Test
  void bins_beyondTheirMemory_areForgotten_theOnesNotUsedFirst() {
    var large = new byte[1 << 20];
    for (int i = 0; i < 3; i++) {
      bins.learn(i, List.of(large));
    }
    assertThat(bins.of(0)).isNotNull();
    bins.learn(3, List.of(large));
    assertThat(bins.of(1)).isNull();
    assertThat(bins.of(0)).isNotNull();
    assertThat(bins.of(3)).isNotNull();
    bins.learn(4, List.of(new byte[2 * (int) KnownBins.MAX_BYTES]));
    assertThat(bins.of(4)).isNotNull();
    assertThat(bins.of(3)).isNull();
  }

  @Test
  void tables_shareTheirMemory_andLeaveTheirPartWhenTheyForget() {
    var others = new ArrayList<KnownBins>();
    for (int i = 0; i < 63; i++) {
      var other = new KnownBins(remembering);
      other.learn(1, List.of(key(1)));
      others.add(other);
    }
    int share = (int) (KnownBins.MAX_SHARED_BYTES / 64);
    bins.learn(1, List.of(new byte[share / 2]));
    bins.learn(2, List.of(new byte[share / 2]));
    assertThat(bins.of(1)).isNull();
    assertThat(bins.of(2)).isNotNull();
    others.forEach(KnownBins::clear);
    assertThat(remembering).hasValue(1);
    bins.learn(3, List.of(new byte[share / 2]));
    assertThat(bins.of(2)).isNotNull();
    bins.forget(2);
    bins.forget(3);
    assertThat(remembering).hasValue(0);
  }
}
