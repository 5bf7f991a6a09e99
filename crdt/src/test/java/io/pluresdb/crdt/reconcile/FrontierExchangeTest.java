package io.pluresdb.crdt.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.reconcile.CodedSymbols.Symbol;
import io.pluresdb.crdt.reconcile.FrontierExchange.Known;
import io.pluresdb.crdt.reconcile.FrontierExchange.Nothing;
import io.pluresdb.crdt.reconcile.FrontierExchange.Outcome;
import io.pluresdb.crdt.reconcile.FrontierExchange.Reply;
import io.pluresdb.crdt.reconcile.FrontierExchange.SendWhole;
import io.pluresdb.crdt.reconcile.FrontierMessage.Symbols;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;

class FrontierExchangeTest {
  private static final byte[] ONE = new byte[16];
  private static final byte[] OTHER = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

  private record Pair(Frontier mine, Frontier theirs) {
    int actors() {
      return Math.max(mine.heads().size(), theirs.heads().size());
    }
  }

  private static Head head(RandomGenerator random) {
    byte[] hash = new byte[Hash.BYTES];
    random.nextBytes(hash);
    return new Head(random.nextLong(1, 1_000_000), new Hash(hash));
  }

  /** Two frontiers of {@code actors} and a few, with other heads in {@code changed} of them. */
  private static Pair pair(RandomGenerator random, int actors, int changed, int added) {
    var mine = new TreeMap<ActorId, Head>();
    for (int i = 0; i < actors; i++) {
      mine.put(new ActorId(random.nextLong(), random.nextLong()), head(random));
    }
    var theirs = new TreeMap<>(mine);
    List<ActorId> all = new ArrayList<>(mine.keySet());
    for (int i = 0; i < changed; i++) {
      ActorId actor = all.get(random.nextInt(all.size()));
      (random.nextBoolean() ? mine : theirs).put(actor, head(random));
    }
    for (int i = 0; i < added; i++) {
      (random.nextBoolean() ? mine : theirs)
          .put(new ActorId(random.nextLong(), random.nextLong()), head(random));
    }
    return new Pair(Frontier.of(mine), Frontier.of(theirs));
  }

  private static Pair pair(RandomGenerator random) {
    return pair(
        random,
        300 + random.nextInt(1_000),
        random.nextInt(1 << random.nextInt(9)),
        random.nextInt(1 << random.nextInt(8)));
  }

  /** What came of it; a frontier that stayed unknown is null. */
  private static final class Result {
    @Nullable Frontier mine;
    @Nullable Frontier theirs;
    boolean whole;
    long bytes;
    int messages;
  }

  private static FrontierMessage passed(FrontierMessage message, Result result) {
    var out = new ByteWriter();
    message.write(out);
    byte[] bytes = out.toByteArray();
    result.bytes += bytes.length;
    result.messages++;
    return FrontierMessage.read(bytes[0], new ByteReader(bytes, 1, bytes.length));
  }

  /** We code, they decode. */
  private static Result run(Pair pair) {
    var mine = new FrontierExchange(ONE, OTHER, pair.actors());
    var theirs = new FrontierExchange(OTHER, ONE, pair.actors());
    var result = new Result();
    FrontierMessage next = mine.begin(pair.mine);
    boolean toThem = true;
    while (next != null) {
      assertThat(result.messages).isLessThan(100);
      FrontierMessage message = passed(next, result);
      Outcome outcome =
          toThem ? theirs.onMessage(message, pair.theirs) : mine.onMessage(message, pair.mine);
      next = null;
      switch (outcome) {
        case Reply(var reply) -> next = reply;
        case Known(var frontier, var reply) -> {
          if (toThem) {
            result.theirs = frontier;
          } else {
            result.mine = frontier;
          }
          next = reply;
        }
        case SendWhole whole -> result.whole = true;
        case Nothing nothing -> {}
      }
      toThem = !toThem;
    }
    return result;
  }

  @Test
  void anyTwoFrontiers_bothSidesKnowTheOthers_orSendThemWhole() {
    Property.forAll(
        200,
        Gen.of(FrontierExchangeTest::pair),
        pair -> {
          Result result = run(pair);
          if (!result.whole) {
            assertThat(result.mine).isEqualTo(pair.theirs);
            assertThat(result.theirs).isEqualTo(pair.mine);
          }
        });
  }

  @Test
  void fewDifferences_areNeverSentWhole() {
    Property.forAll(
        100,
        Gen.of(random -> pair(random, 1_000, 20, 20)),
        pair -> assertThat(run(pair).whole).isFalse());
  }

  @Test
  void hundredOfTenThousandActors_costAFortiethOfTheWholeFrontier() {
    Result result = run(pair(new SplittableRandom(1), 10_000, 100, 0));
    assertThat(result.mine).isNotNull();
    assertThat(result.bytes).as("symbols 5 KB, 100 heads each way").isLessThan(19_000);
  }

  @Test
  void nothingInCommon_isSentWhole() {
    var random = new SplittableRandom(3);
    Pair one = pair(random, 1_000, 0, 0);
    Pair other = pair(random, 1_000, 0, 0);
    Result result = run(new Pair(one.mine, other.theirs));
    assertThat(result.whole).isTrue();
    assertThat(result.bytes).isLessThan(1_000 * 57);
  }

  @Test
  void messagesOfAnotherExchange_areIgnored() {
    Pair pair = pair(new SplittableRandom(4), 500, 10, 0);
    var exchange = new FrontierExchange(ONE, OTHER, 500);
    Symbols first = exchange.begin(pair.mine);
    Hash other = Hash.of("other");
    for (FrontierMessage message :
        List.of(
            new FrontierMessage.More(other, 32, 16),
            new FrontierMessage.More(first.coded(), 31, 16),
            new FrontierMessage.Differing(other, other, Frontier.EMPTY, List.of()),
            new FrontierMessage.Wanted(first.coded(), Frontier.EMPTY),
            new Symbols(other, 32, first.symbols()))) {
      assertThat(exchange.onMessage(message, pair.mine)).isInstanceOf(Nothing.class);
    }
  }

  @Test
  void frontierThatIsNotWhatWasHashed_isAskedForWhole() {
    Pair pair = pair(new SplittableRandom(5), 500, 10, 0);
    var exchange = new FrontierExchange(ONE, OTHER, 500);
    Hash coded = exchange.begin(pair.mine).coded();
    var lie = new FrontierMessage.Differing(coded, Hash.ZERO, Frontier.EMPTY, List.of(1L));
    assertThat(exchange.onMessage(lie, pair.mine)).isInstanceOf(SendWhole.class);
  }

  @Test
  void symbolsWithoutEnd_areStopped() {
    Frontier ours = pair(new SplittableRandom(6), 400, 0, 0).mine;
    var exchange = new FrontierExchange(ONE, OTHER, 400);
    var random = new SplittableRandom(7);
    int taken = 0;
    Outcome outcome = new Nothing();
    for (int i = 0; !(outcome instanceof SendWhole); i++) {
      var symbols = new ArrayList<Symbol>();
      for (int j = 0; j < 32; j++) {
        symbols.add(new Symbol(random.nextLong(), random.nextInt(), 7));
      }
      outcome = exchange.onMessage(new Symbols(Hash.ZERO, taken, symbols), ours);
      taken += 32;
      assertThat(i).isLessThan(2 * 400 / 32 + 1);
    }
  }
}
