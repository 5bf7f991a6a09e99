package io.pluresdb.crdt.sequence;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.op.CrdtOperation.TextInsert;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.Place;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.sequence.SequenceHistory.Event;
import io.pluresdb.crdt.sequence.SequenceModel.Mutant;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Random concurrent histories: the product, in any causal order, says what the model says. */
class SequenceModelTest {
  private static final int HISTORIES = 1_500;
  private static final List<byte[]> REGISTERS = List.of(SequenceHistory.TEXT, SequenceHistory.LIST);

  /** What the model says after hearing everything in the order of one replica. */
  private static SequenceModel model(SequenceHistory history, long seed, @Nullable Mutant mutant) {
    var model = new SequenceModel(mutant);
    var random = new SplittableRandom(seed);
    int writers = history.events.size();
    int[] applied = new int[writers];
    while (true) {
      var ready = new ArrayList<Event>();
      for (int writer = 0; writer < writers; writer++) {
        if (applied[writer] < history.events.get(writer).size()) {
          Event event = history.events.get(writer).get(applied[writer]);
          boolean covered = true;
          for (int other = 0; other < writers; other++) {
            covered &= event.past()[other] <= applied[other];
          }
          if (covered) {
            ready.add(event);
          }
        }
      }
      if (ready.isEmpty()) {
        return model;
      }
      Event next = ready.get(random.nextInt(ready.size()));
      model.apply(next);
      applied[next.writer()]++;
    }
  }

  private static String says(SequenceHistory history, SequenceModel model) {
    return history.isText() ? '"' + model.text() + '"' : model.list();
  }

  @Test
  void replicas_inAnyCausalOrder_sayWhatTheModelSays() {
    for (byte[] register : REGISTERS) {
      Gen<Long> seeds = Gen.of(random -> random.nextLong());
      Property.forAll(
          HISTORIES,
          seeds,
          seed -> {
            var random = new SplittableRandom(seed);
            SequenceHistory history = SequenceHistory.random(register, random);
            String expected = says(history, model(history, seed, null));
            var rows = new ArrayList<Object>();
            for (int i = 0; i < history.replicas.size(); i++) {
              history.hearAll(i, random);
              Sequence sequence = history.replicas.get(i).sequence;
              assertThat(SequenceHistory.shown(sequence)).isEqualTo(expected);
              rows.add(SequenceHistory.rows(register, sequence));
              Sequence reread =
                  SequenceHistory.reread(register, SequenceHistory.rows(register, sequence));
              assertThat(SequenceHistory.shown(reread)).isEqualTo(expected);
              assertThat(SequenceHistory.rows(register, reread)).isEqualTo(rows.getFirst());
            }
            assertThat(rows).containsOnly(rows.getFirst());
          });
    }
  }

  @Test
  void positions_bothWays_agreeWithTheModel() {
    Gen<Long> seeds = Gen.of(random -> random.nextLong());
    Property.forAll(
        300,
        seeds,
        seed -> {
          var random = new SplittableRandom(seed);
          SequenceHistory history = SequenceHistory.random(SequenceHistory.TEXT, random);
          history.hearAll(0, random);
          Order order = history.replicas.getFirst().sequence.order;
          var ids = new ArrayList<ElementId>();
          order.forEach(
              span -> {
                for (int c = span.from; c < span.end(); c++) {
                  ids.add(order.id(span.key(c)));
                }
                return true;
              });
          assertThat(ids).isEqualTo(model(history, seed, null).ordered());
          for (int i = 0; i < order.length(); i++) {
            long key = order.keyAt(i);
            assertThat(order.isVisible(key)).isTrue();
            assertThat(order.positionOf(key)).isEqualTo(i);
          }
        });
  }

  /** The side rule as the paper has it, on the order of all elements. */
  @Test
  void place_ofALocalInsertion_isThePapersRule() {
    Gen<Long> seeds = Gen.of(random -> random.nextLong());
    Property.forAll(
        300,
        seeds,
        seed -> {
          var random = new SplittableRandom(seed);
          SequenceHistory history = SequenceHistory.random(SequenceHistory.TEXT, random);
          history.hearAll(0, random);
          Order order = history.replicas.getFirst().sequence.order;
          List<ElementId> all = model(history, seed, null).ordered();
          List<ElementId> parents = rightParents(history);
          for (int at = 0; at <= order.length(); at++) {
            ElementId left = at == 0 ? null : order.id(order.keyAt(at - 1));
            boolean hasRight = at == 0 ? !all.isEmpty() : parents.contains(left);
            Place expected;
            if (!hasRight) {
              expected = new Place(left, false);
            } else {
              expected = Place.leftOf(all.get(left == null ? 0 : all.indexOf(left) + 1));
            }
            assertThat(order.placeAt(at)).isEqualTo(expected);
          }
        });
  }

  /** Every element with a right child; inside a run each is the parent of the next. */
  private static List<ElementId> rightParents(SequenceHistory history) {
    var parents = new ArrayList<ElementId>();
    for (List<Event> events : history.events) {
      int counter = 0;
      for (Event event : events) {
        if (event.operation() instanceof TextInsert insert) {
          ElementId origin = insert.place().origin();
          if (!insert.place().isLeft() && origin != null) {
            parents.add(origin);
          }
          int length = insert.text().codePointCount(0, insert.text().length());
          for (int i = 0; i + 1 < length; i++) {
            parents.add(new ElementId(event.dot().actor(), counter + i));
          }
          counter += length;
        }
      }
    }
    return parents;
  }

  @ParameterizedTest
  @EnumSource
  void brokenRule_isNoticed(Mutant mutant) {
    int killed = 0;
    int seeds = 300;
    for (long seed = 1; seed <= seeds; seed++) {
      for (byte[] register : REGISTERS) {
        var random = new SplittableRandom(seed);
        SequenceHistory history = SequenceHistory.random(register, random);
        history.hearAll(0, random);
        String product = SequenceHistory.shown(history.replicas.getFirst().sequence);
        if (!product.equals(says(history, model(history, seed, mutant)))) {
          killed++;
        }
      }
    }
    System.out.println("MUTANT " + mutant + ": noticed by " + killed + " histories");
    assertThat(killed).isPositive();
  }

  @Test
  void moves_whateverHappensAtOnce_loseAndDuplicateNothing() {
    Gen<Long> seeds = Gen.of(random -> random.nextLong());
    Property.forAll(
        HISTORIES,
        seeds,
        seed -> {
          var random = new SplittableRandom(seed);
          SequenceHistory history = SequenceHistory.random(SequenceHistory.LIST, random);
          history.hearAll(0, random);
          Sequence list = history.replicas.getFirst().sequence;
          assertThat((long) list.length()).isEqualTo(model(history, seed, null).alive());
          var ids = new ArrayList<ElementId>();
          for (int i = 0; i < list.length(); i++) {
            ids.add(list.elementAt(i));
          }
          assertThat(ids).doesNotHaveDuplicates();
        });
  }
}
