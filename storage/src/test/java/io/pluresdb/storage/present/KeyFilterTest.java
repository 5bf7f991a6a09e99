package io.pluresdb.storage.present;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.codec.SipHash;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class KeyFilterTest {
  private static final int CAPACITY = 50_000;

  private static final SipHash HASH = new SipHash(new byte[16]);

  private final KeyFilter filter = new KeyFilter(CAPACITY);

  private static long key(long number) {
    // From no bytes at all to more than a word of the hash.
    byte[] key = ByteBuffer.allocate(20).putLong(0).putLong(number).array();
    return HASH.of(number < 8 ? Arrays.copyOf(key, (int) number) : key);
  }

  @Test
  void whatWasAdded_passes_fromAnyThread() throws InterruptedException {
    var threads = new Thread[4];
    for (int t = 0; t < threads.length; t++) {
      int first = t;
      threads[t] =
          Thread.ofPlatform()
              .start(
                  () -> {
                    for (int i = first; i < CAPACITY; i += threads.length) {
                      filter.add(key(i));
                    }
                  });
    }
    for (Thread thread : threads) {
      thread.join();
    }
    for (int i = 0; i < CAPACITY; i++) {
      assertThat(filter.mayContain(key(i))).isTrue();
    }
  }

  @Test
  void others_hardlyPass() {
    for (int i = 0; i < CAPACITY; i++) {
      filter.add(key(i));
    }
    int passed = 0;
    for (int i = CAPACITY; i < 3 * CAPACITY; i++) {
      passed += filter.mayContain(key(i)) ? 1 : 0;
    }
    assertThat(passed / (2.0 * CAPACITY)).isLessThan(0.03);
  }

  @Test
  void empty_letsNothingPass_andAddSaysWhatIsNew() {
    var random = new SplittableRandom(1);
    for (int i = 0; i < 1_000; i++) {
      byte[] key = new byte[random.nextInt(40)];
      random.nextBytes(key);
      assertThat(new KeyFilter(1).mayContain(HASH.of(key))).isFalse();
    }
    assertThat(filter.add(key(1))).isTrue();
    assertThat(filter.add(key(1))).isFalse();
  }
}
