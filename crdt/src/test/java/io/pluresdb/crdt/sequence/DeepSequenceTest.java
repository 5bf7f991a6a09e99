package io.pluresdb.crdt.sequence;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.op.CrdtOperation.TextInsert;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.Place;
import java.util.List;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Sequences as somebody would make them who wants to do harm. */
class DeepSequenceTest {
  private static final ActorId A = new ActorId(1, 1);
  private static final ActorId B = new ActorId(2, 2);

  /** Each element hangs below the one before, always of the other writer: nothing can be joined. */
  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void chain_of200000_isOrderedWithoutRecursion(boolean left) {
    int depth = 200_000;
    var text = new TextSequence();
    Place place = Place.START;
    for (int i = 0; i < depth; i++) {
      ActorId actor = i % 2 == 0 ? A : B;
      insert(text, actor, i, place, "x");
      var id = new ElementId(actor, i / 2);
      place = left ? Place.leftOf(id) : Place.rightOf(id);
    }
    // A sibling at the top: its place is found by walking down the whole chain, or beside it.
    insert(text, B, depth, Place.START, "!");
    assertThat(text.text()).isEqualTo("x".repeat(depth) + "!");
    assertThat(text.order.positionOf(text.order.keyAt(depth / 3))).isEqualTo(depth / 3);
    Sequence reread =
        SequenceHistory.reread(
            SequenceHistory.TEXT, SequenceHistory.rows(SequenceHistory.TEXT, text));
    assertThat(((TextSequence) reread).text()).isEqualTo(text.text());
  }

  @Test
  void siblings_20000AtOnePlace_areOrderedById() {
    var text = new TextSequence();
    for (int i = 0; i < 20_000; i++) {
      insert(text, i % 2 == 0 ? B : A, i, Place.START, i % 2 == 0 ? "b" : "a");
    }
    assertThat(text.text()).isEqualTo("a".repeat(10_000) + "b".repeat(10_000));
  }

  @Test
  void rows_thatHangInACircleOrMiss_areRefused() {
    var text = new TextSequence();
    insert(text, A, 1, Place.START, "ab");
    insert(text, B, 2, Place.rightOf(new ElementId(A, 1)), "c");
    var rows = new TreeMap<>(SequenceHistory.rows(SequenceHistory.TEXT, text));
    var withoutFirst = new TreeMap<>(rows);
    withoutFirst.pollFirstEntry();
    assertThatThrownBy(() -> SequenceHistory.reread(SequenceHistory.TEXT, withoutFirst))
        .isInstanceOf(CodecException.class);
    // The row of A says that it hangs right of B's element, which hangs right of A's.
    var circle = new TreeMap<>(rows);
    String b = rows.lastEntry().getValue();
    String a = b.replace("0000000000000001".repeat(2), "0000000000000002".repeat(2));
    circle.put(rows.firstKey(), a);
    assertThatThrownBy(() -> SequenceHistory.reread(SequenceHistory.TEXT, circle))
        .isInstanceOf(CodecException.class);
  }

  private static void insert(TextSequence text, ActorId actor, int seq, Place place, String typed) {
    text.apply(
        new TextInsert(SequenceHistory.TEXT, List.of(), place, typed),
        new Dot(actor, seq + 1L, 0),
        seq);
  }
}
