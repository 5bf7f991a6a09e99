package io.pluresdb.transport.path;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.time.Duration;
import java.util.Random;
import org.junit.jupiter.api.Test;

class BackoffTest {
  @Test
  void next_manyAttempts_growsWithinHalfToAllOfTheCeiling() {
    for (int seed = 0; seed < 200; seed++) {
      Backoff backoff = new Backoff(Backoff.Limits.defaults(), new Random(seed));
      long ceiling = 50;
      for (int attempt = 0; attempt < 20; attempt++) {
        assertThat(backoff.next().toMillis())
            .as("seed %d attempt %d", seed, attempt)
            .isBetween(ceiling / 2, ceiling);
        ceiling = Math.min(ceiling * 2, 30_000);
      }
      backoff.reset();
      assertThat(backoff.next().toMillis()).as("seed %d", seed).isBetween(25L, 50L);
    }
  }

  @Test
  void next_sameSeed_isTheSame() {
    Backoff first = new Backoff(Backoff.Limits.defaults(), new Random(1));
    Backoff second = new Backoff(Backoff.Limits.defaults(), new Random(1));
    for (int i = 0; i < 10; i++) {
      assertThat(first.next()).isEqualTo(second.next());
    }
  }

  @Test
  void limits_impossible_areRefused() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Backoff.Limits(Duration.ZERO, Duration.ofSeconds(1)));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Backoff.Limits(Duration.ofSeconds(2), Duration.ofSeconds(1)));
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new Backoff.Limits(Duration.ofSeconds(2), Duration.ofDays(2)));
  }
}
