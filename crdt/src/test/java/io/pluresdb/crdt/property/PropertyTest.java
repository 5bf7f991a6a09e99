package io.pluresdb.crdt.property;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

class PropertyTest {
  private static final Gen<List<Integer>> LISTS =
      Gen.list(0, 50, Gen.of(random -> random.nextInt(100)));

  @Test
  void forAll_onAFalseProperty_shrinksToTheSimplestCase() {
    assertThatThrownBy(
            () ->
                Property.forAll(
                    100,
                    LISTS,
                    list -> assertThat(list.stream().filter(i -> i > 90).count()).isLessThan(2)))
        .isInstanceOf(AssertionError.class)
        .hasMessageContaining("property.seed=")
        .hasMessageMatching("(?s).*tried: \\[9\\d, 9\\d\\].*");
  }

  @Test
  void forAll_onATrueProperty_triesEverySeed() {
    var seen = new ArrayList<List<Integer>>();
    Property.forAll(7, LISTS, seen::add);
    assertThat(seen.size()).isIn(1, Property.runs(7));
  }

  @Test
  void generate_withTheSameSeed_givesTheSameValue() {
    assertThat(LISTS.generate(new SplittableRandom(5)))
        .isEqualTo(LISTS.generate(new SplittableRandom(5)));
  }
}
