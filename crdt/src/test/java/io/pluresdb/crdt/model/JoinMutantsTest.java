package io.pluresdb.crdt.model;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.doc.DocumentJoin;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.Storage.Table;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/**
 * The join of any two replicas of a history is what a replica has that got the changes of both; and
 * with one rule of it broken, or of when a log may be cut, that is noticed on the same histories.
 */
class JoinMutantsTest {
  private static final int HISTORIES = 150;

  enum Rule {
    /** Every dot of both stays. */
    UNION,
    /** The version vector of the other is not looked at: what it does not hold, it removed. */
    WITHOUT_THEIR_VERSION_VECTOR,
    /** Our own version vector is not looked at: what we do not hold, we have not seen. */
    WITHOUT_OUR_VERSION_VECTOR,
    /** What the other does not hold stays. */
    NOTHING_IS_REMOVED,
    /** The log is cut where one replica is, and another gets what is left of it. */
    CUT_ABOVE_WHAT_ALL_HAVE
  }

  @Test
  void join_ofAnyTwo_isWhatTheChangesOfBothMake() {
    Property.forAll(
        HISTORIES,
        History.gen(),
        history -> assertThat(wrong(history, null)).as("joins that are wrong").isZero());
  }

  @ParameterizedTest
  @EnumSource
  void brokenRule_isNoticed(Rule rule) {
    int noticed = 0;
    for (long seed = 1; seed <= HISTORIES; seed++) {
      History history = History.gen().generate(new SplittableRandom(seed));
      noticed += wrong(history, rule) > 0 ? 1 : 0;
    }
    System.out.println("MUTANT " + rule + ": noticed by " + noticed + " of " + HISTORIES);
    assertThat(noticed).as("histories that notice %s", rule).isPositive();
  }

  /** In how many pairs of replicas, before all got everything, the join is not the replay. */
  private static int wrong(History history, @Nullable Rule rule) {
    var cluster = new Cluster(history.wallMillis());
    for (History.Step step : history.steps()) {
      cluster.play(step);
    }
    int wrong = 0;
    for (Cluster.Node a : cluster.nodes) {
      for (Cluster.Node b : cluster.nodes) {
        if (a != b) {
          Cluster.Node both = cluster.fresh();
          both.wallMillis += 3_600_000;
          for (ChangeRun run : a.runsFor(both)) {
            both.engine.apply(run);
          }
          both.engine.turn(true);
          List<ChangeRun> missing = b.runsFor(both);
          missing.forEach(both.engine::apply);
          both.engine.turn(true);
          Map<String, String> joined =
              rule == Rule.CUT_ABOVE_WHAT_ALL_HAVE ? cutAndReplayed(a, b) : joined(a, b, rule);
          wrong += joined.equals(both.rows(Table.STATE)) ? 0 : 1;
        }
      }
    }
    return wrong;
  }

  private static Map<String, String> joined(Cluster.Node a, Cluster.Node b, @Nullable Rule rule) {
    Map<String, String> mine = a.rows(Table.STATE);
    Map<String, String> theirs = b.rows(Table.STATE);
    Predicate<Dot> seenHere = a.replica().view().frontier()::covers;
    Predicate<Dot> seenThere = b.replica().view().frontier()::covers;
    if (rule == Rule.UNION || rule == Rule.WITHOUT_OUR_VERSION_VECTOR) {
      seenHere = dot -> false;
    }
    if (rule == Rule.UNION || rule == Rule.NOTHING_IS_REMOVED) {
      seenThere = dot -> false;
    }
    if (rule == Rule.WITHOUT_THEIR_VERSION_VECTOR) {
      seenThere = dot -> true;
    }
    var joined = new TreeMap<String, String>();
    var ids = new TreeSet<>(mine.keySet());
    ids.addAll(theirs.keySet());
    for (String id : ids) {
      DocumentState state =
          DocumentJoin.join(read(mine.get(id)), seenHere, read(theirs.get(id)), seenThere);
      if (!state.isEmpty()) {
        joined.put(id, HexFormat.of().formatHex(state.toByteArray()));
      }
    }
    return joined;
  }

  private static DocumentState read(@Nullable String row) {
    return row == null ? new DocumentState() : DocumentState.read(HexFormat.of().parseHex(row));
  }

  /** a gets what is left of b's log when b cut all of it but the last change. */
  private static Map<String, String> cutAndReplayed(Cluster.Node a, Cluster.Node b) {
    var copy = new ArrayList<ChangeRun>(b.runsFor(a));
    var fresh = a.copy();
    if (!copy.isEmpty()) {
      fresh.engine.apply(copy.getLast());
      fresh.engine.turn(true);
    }
    return fresh.rows(Table.STATE);
  }
}
