package io.pluresdb.crdt.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.codec.SipHash;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.reconcile.CodedSymbols.Decoder;
import io.pluresdb.crdt.reconcile.CodedSymbols.Encoder;
import io.pluresdb.crdt.reconcile.CodedSymbols.State;
import io.pluresdb.crdt.reconcile.CodedSymbols.Symbol;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;

class CodedSymbolsTest {
  private static final SipHash CHECKS = new SipHash(new byte[16]);

  private record Sets(long[] mine, long[] theirs, int portion) {}

  private static long[] items(RandomGenerator random, int count) {
    return random.longs(count).toArray();
  }

  private static long[] joined(long[] one, long[] other) {
    return LongStream.concat(LongStream.of(one), LongStream.of(other)).toArray();
  }

  private static Sets sets(RandomGenerator random) {
    long[] common = items(random, 1 << random.nextInt(12));
    return new Sets(
        joined(common, items(random, random.nextInt(1 << random.nextInt(9)))),
        joined(common, items(random, random.nextInt(1 << random.nextInt(9)))),
        random.nextInt(1, 50));
  }

  private static long[] without(long[] items, long[] others) {
    var gone = LongStream.of(others).boxed().collect(java.util.stream.Collectors.toSet());
    return LongStream.of(items).filter(item -> !gone.contains(item)).sorted().toArray();
  }

  /** Hands symbols over in portions until the decoder is done; returns how many it took. */
  private static int decode(Encoder encoder, Decoder decoder, int portion, int most) {
    State state = State.NEEDS_MORE;
    while (state == State.NEEDS_MORE) {
      assertThat(decoder.received()).isLessThan(most);
      state = decoder.add(encoder.next(portion));
    }
    assertThat(state).isEqualTo(State.DECODED);
    return decoder.received();
  }

  @Test
  void anyDifference_isDecoded() {
    Property.forAll(
        300,
        Gen.of(CodedSymbolsTest::sets),
        sets -> {
          var decoder = new Decoder(sets.mine, CHECKS);
          int differences =
              without(sets.mine, sets.theirs).length + without(sets.theirs, sets.mine).length;
          decode(new Encoder(sets.theirs, CHECKS), decoder, sets.portion, 100 + 4 * differences);
          assertThat(LongStream.of(decoder.onlyHere()).sorted().toArray())
              .isEqualTo(without(sets.mine, sets.theirs));
          assertThat(LongStream.of(decoder.onlyThere()).sorted().toArray())
              .isEqualTo(without(sets.theirs, sets.mine));
        });
  }

  /** The paper's figures: 1.35 to 1.72 symbols a difference; 1.4 from a hundred on. */
  @Test
  void symbolsNeeded_areAboutOneAndAHalfForEachDifference() {
    for (int differences : new int[] {100, 1_000}) {
      long needed = 0;
      for (long seed = 0; seed < 50; seed++) {
        var random = new SplittableRandom(seed);
        long[] mine = items(random, 2_000);
        long[] theirs = joined(mine, items(random, differences));
        needed +=
            decode(new Encoder(theirs, CHECKS), new Decoder(mine, CHECKS), 1, 4 * differences);
      }
      assertThat(needed / 50.0 / differences).isBetween(1.2, 1.6);
    }
  }

  @Test
  void equalSets_needOneSymbol() {
    long[] items = items(new SplittableRandom(1), 1_000);
    assertThat(new Decoder(items, CHECKS).add(new Encoder(items, CHECKS).next(1)))
        .isEqualTo(State.DECODED);
  }

  /** Whatever symbols come, every item is found at most once, so each call ends. */
  @Test
  void inventedSymbols_neverKeepTheDecoderBusy() {
    Property.forAll(
        300,
        Gen.of(random -> random.nextLong()),
        seed -> {
          var random = new SplittableRandom(seed);
          long[] mine = items(random, 50);
          long[] few = items(random, 4);
          var decoder = new Decoder(mine, CHECKS);
          State state = State.NEEDS_MORE;
          for (int i = 0; i < 40 && state == State.NEEDS_MORE; i++) {
            var symbols = new ArrayList<Symbol>();
            for (int j = 0; j < 20; j++) {
              long item = random.nextInt(3) == 0 ? mine[random.nextInt(50)] : few[j % 4];
              Symbol one = new Encoder(new long[] {item}, CHECKS).next(1).getFirst();
              symbols.add(
                  random.nextBoolean()
                      ? one
                      : new Symbol(one.items(), one.check(), random.nextInt(-2, 60)));
            }
            state = decoder.add(symbols);
            assertThat(decoder.onlyHere().length).isLessThanOrEqualTo(mine.length);
            assertThat(decoder.onlyThere().length).isLessThanOrEqualTo(decoder.received());
          }
        });
  }

  @Test
  void itemOfOurs_thatIsSaidToBeTheirsAlone_isImpossible() {
    long[] mine = {5, 6};
    var decoder = new Decoder(mine, CHECKS);
    Symbol one = new Encoder(new long[] {5}, CHECKS).next(1).getFirst();
    Symbol all = new Encoder(mine, CHECKS).next(1).getFirst();
    // Theirs less ours is then 5, counted once as theirs.
    var forged = new Symbol(all.items() ^ one.items(), all.check() ^ one.check(), all.count() + 1);
    assertThat(decoder.add(List.of(forged))).isEqualTo(State.IMPOSSIBLE);
  }
}
