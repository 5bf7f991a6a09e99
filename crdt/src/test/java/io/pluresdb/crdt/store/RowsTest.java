package io.pluresdb.crdt.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Documented;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.op.Golden;
import io.pluresdb.crdt.store.Rows.ActorRow;
import io.pluresdb.crdt.store.Rows.ArrivalRow;
import io.pluresdb.crdt.store.Rows.SegmentRow;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;

/** Keys and values of the tables, byte for byte. */
class RowsTest {
  static final SegmentRow LOG =
      new SegmentRow(7, Hash.ZERO, List.of(Golden.change()), Golden.run().signature());
  static final ArrivalRow ARRIVAL = new ArrivalRow(Golden.ACTOR, 300, 2);
  static final TouchedIds TOUCHED = touched("d", "note:1", "d");
  static final ActorRow FRONTIER =
      new ActorRow(
          new Head(1, Golden.change().hash(Golden.DATABASE, Golden.ACTOR, 1, Hash.ZERO)),
          Golden.TIME,
          Golden.GENESIS);

  private static TouchedIds touched(String... ids) {
    var touched = new TouchedIds();
    for (String id : ids) {
      touched.add(id.getBytes(StandardCharsets.UTF_8));
    }
    return touched;
  }

  private static void assertDocumented(String name, byte[] bytes, UnaryOperator<byte[]> reencode) {
    assertThat(HexFormat.of().formatHex(bytes)).isEqualTo(Documented.example(name));
    assertThat(reencode.apply(bytes)).isEqualTo(bytes);
    for (int length = 0; length < bytes.length; length++) {
      byte[] part = Arrays.copyOf(bytes, length);
      assertThatThrownBy(() -> reencode.apply(part)).isInstanceOf(CodecException.class);
    }
  }

  @Test
  void rows_areAsDocumented_readBack_andTruncatedOnesAreRefused() {
    assertDocumented("segment row", LOG.toByteArray(), b -> SegmentRow.read(b).toByteArray());
    assertDocumented(
        "arrival row", ARRIVAL.toByteArray(TOUCHED), b -> ArrivalRow.read(b).toByteArray(TOUCHED));
    assertDocumented("frontier row", FRONTIER.toByteArray(), b -> ActorRow.read(b).toByteArray());
  }

  @Test
  void segmentRow_withoutSignature_readsBack() {
    var row = new SegmentRow(7, Hash.of("x"), List.of(Golden.change(), Golden.change()), null);
    SegmentRow read = SegmentRow.read(row.toByteArray());
    assertThat(read.signature()).isNull();
    assertThat(read.changes()).hasSize(2);
    assertThat(read.toByteArray()).isEqualTo(row.toByteArray());
  }

  @Test
  void segmentRow_arrivals_followTheFirst_andEndWithTheSegment() {
    byte[] row =
        new SegmentRow(7, Hash.ZERO, List.of(Golden.change(), Golden.change()), null).toByteArray();
    assertThat(SegmentRow.arrivalOf(row, 0)).isEqualTo(7);
    assertThat(SegmentRow.arrivalOf(row, 1)).isEqualTo(8);
    assertThat(SegmentRow.arrivalOf(row, 2)).isZero();
  }
}
