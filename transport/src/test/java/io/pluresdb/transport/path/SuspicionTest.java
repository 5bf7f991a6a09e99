package io.pluresdb.transport.path;

import static io.pluresdb.transport.path.Suspicion.Verdict.ASK;
import static io.pluresdb.transport.path.Suspicion.Verdict.HEARD;
import static io.pluresdb.transport.path.Suspicion.Verdict.SUSPECT;
import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

/** When a path has been silent for too long. */
class SuspicionTest {
  @Test
  void silentPath_isAskedAgain_thenSuspect_untilSomethingArrives() {
    var suspicion = new Suspicion();
    assertThat(suspicion.begin(7)).isTrue();
    assertThat(suspicion.begin(7)).as("one looks already").isFalse();
    for (int step = 1; step < Suspicion.UNANSWERED; step++) {
      assertThat(suspicion.look(7)).isEqualTo(ASK);
    }
    assertThat(suspicion.look(7)).isEqualTo(SUSPECT);
    assertThat(suspicion.look(7)).isEqualTo(SUSPECT);
    assertThat(suspicion.look(8)).isEqualTo(HEARD);
    assertThat(suspicion.begin(8)).isTrue();
    assertThat(suspicion.look(8)).as("what was is forgotten").isEqualTo(ASK);
  }

  @Test
  void pathThatAnswersLate_isNeverSuspect() {
    var suspicion = new Suspicion();
    for (long heard = 0; heard < 20; heard++) {
      suspicion.begin(heard);
      for (int step = 1; step < Suspicion.UNANSWERED; step++) {
        assertThat(suspicion.look(heard)).isEqualTo(ASK);
      }
      assertThat(suspicion.look(heard + 1)).isEqualTo(HEARD);
    }
  }

  @Test
  void sideThatCannotJudge_beginsAnew() {
    var suspicion = new Suspicion();
    suspicion.begin(1);
    suspicion.look(1);
    suspicion.end();
    assertThat(suspicion.begin(1)).isTrue();
    assertThat(suspicion.look(1)).isEqualTo(ASK);
  }
}
