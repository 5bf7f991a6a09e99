package io.pluresdb.crdt.doc;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.Assign;
import io.pluresdb.crdt.op.CrdtOperation.Increment;
import io.pluresdb.crdt.op.CrdtOperation.Remove;
import io.pluresdb.crdt.op.Register;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Which changes make a row ahead; that it is the right one is {@code ReadAheadTest}'s. */
class NewRowTest {
  private static final byte[] VALUE = {'1'};
  private static final CrdtOperation EXISTS = new Assign(Register.exists(), List.of(), new byte[0]);
  private static final CrdtOperation A = assign('a');
  private static final CrdtOperation B = assign('b');

  private static byte[] field(char name) {
    return Register.field(new byte[] {(byte) name});
  }

  private static CrdtOperation assign(char name) {
    return new Assign(field(name), List.of(), VALUE);
  }

  @Test
  void row_isMadeOf_ascendingAssignmentsThatObserveNothing_firstThatItExists() {
    assertThat(NewRow.of(List.of(EXISTS, A, B))).isNotNull();
    assertThat(NewRow.of(List.of(EXISTS))).isNotNull();
  }

  @Test
  void row_isNotMade_ofAnythingElse() {
    var seen = List.of(new Dot(new ActorId(1, 2), 3, 0));
    assertThat(NewRow.of(List.of())).isNull();
    assertThat(NewRow.of(List.of(A, B))).as("that it exists is missing").isNull();
    assertThat(NewRow.of(List.of(EXISTS, B, A))).as("descending").isNull();
    assertThat(NewRow.of(List.of(EXISTS, A, A))).as("twice").isNull();
    assertThat(NewRow.of(List.of(EXISTS, A, new Assign(field('b'), seen, VALUE))))
        .as("something was there")
        .isNull();
    assertThat(NewRow.of(List.of(EXISTS, new Increment(field('a'), 1)))).as("a counter").isNull();
    assertThat(NewRow.of(List.of(EXISTS, new Remove(field('a'), seen)))).as("removed").isNull();
  }
}
