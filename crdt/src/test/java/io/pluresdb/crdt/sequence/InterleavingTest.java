package io.pluresdb.crdt.sequence;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import java.util.ArrayList;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;

/** What several writers type at one place at the same time stays in one piece each. */
class InterleavingTest {
  private static final int HISTORIES = 2_000;

  /** Types a word character by character: forward, or backward as one who moves the cursor back. */
  private static String type(SequenceHistory history, int writer, int at, SplittableRandom random) {
    int length = random.nextInt(1, 12);
    boolean forward = random.nextBoolean();
    var word = new StringBuilder();
    for (int i = 0; i < length; i++) {
      char letter = (char) ('A' + writer);
      if (forward) {
        String typed = letter + "" + (char) ('0' + i % 10);
        history.type(writer, at + word.length(), typed);
        word.append(typed);
      } else {
        String typed = (char) ('0' + i % 10) + "" + letter;
        history.type(writer, at, typed);
        word.insert(0, typed);
      }
      if (forward && random.nextInt(8) == 0) {
        // A slip of the finger, taken back: the next character hangs elsewhere.
        history.type(writer, at + word.length(), "?");
        history.delete(writer, at + word.length(), 1);
      }
    }
    return word.toString();
  }

  @Test
  void wordsTypedAtOnceAtOnePlace_afterMerging_areWhole() {
    Property.forAll(
        HISTORIES,
        Gen.of(random -> random.nextLong()),
        seed -> {
          var random = new SplittableRandom(seed);
          int writers = random.nextInt(2, 6);
          var history = new SequenceHistory(SequenceHistory.TEXT, writers);
          history.type(0, 0, "before and after");
          if (random.nextBoolean()) {
            history.delete(0, random.nextInt(10), random.nextInt(1, 6));
          }
          int length = history.replicas.getFirst().sequence.length();
          int at = random.nextInt(length + 1);
          var words = new ArrayList<String>();
          for (int writer = 0; writer < writers; writer++) {
            history.hearAll(writer, random);
          }
          // All of what is typed from here on is concurrent.
          for (int writer = 0; writer < writers; writer++) {
            words.add(type(history, writer, at, random));
          }
          for (int writer = 0; writer < writers; writer++) {
            history.hearAll(writer, random);
          }
          String text = SequenceHistory.shown(history.replicas.getFirst().sequence);
          for (String word : words) {
            assertThat(text).contains(word);
          }
        });
  }

  /** The same twice over: what was merged once is no place for later words to break apart. */
  @Test
  void wordsTypedAgainAfterMerging_areWhole() {
    Property.forAll(
        HISTORIES,
        Gen.of(random -> random.nextLong()),
        seed -> {
          var random = new SplittableRandom(seed);
          int writers = random.nextInt(2, 5);
          var history = new SequenceHistory(SequenceHistory.TEXT, writers);
          for (int round = 0; round < 3; round++) {
            int length = history.replicas.getFirst().sequence.length();
            int at = random.nextInt(length + 1);
            var words = new ArrayList<String>();
            for (int writer = 0; writer < writers; writer++) {
              words.add(type(history, writer, at, random));
            }
            for (int writer = 0; writer < writers; writer++) {
              history.hearAll(writer, random);
            }
            String text = SequenceHistory.shown(history.replicas.getFirst().sequence);
            for (String word : words) {
              assertThat(text).contains(word);
            }
          }
        });
  }
}
