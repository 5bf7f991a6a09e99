package io.pluresdb.crdt.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.property.Property;
import java.util.SplittableRandom;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The control of {@link ReferenceModelTest}: with any one rule of the model broken, the same
 * comparison on the same seeds must fail.
 */
class MutantsTest {
  @ParameterizedTest
  @EnumSource
  void brokenRule_onTheSeedsOfTheComparison_isNoticed(Mutant mutant) {
    int seeds = Math.min(500, Property.runs(ReferenceModelTest.HISTORIES));
    int killed = 0;
    for (long seed = 1; seed <= seeds; seed++) {
      History history = History.gen().generate(new SplittableRandom(seed));
      if (ModelCluster.difference(history, Played.of(history), mutant) != null) {
        killed++;
      }
    }
    System.out.println("MUTANT " + mutant + ": noticed by " + killed + " of " + seeds + " seeds");
    assertThat(killed).as("seeds that notice %s", mutant).isPositive();
  }
}
