package io.pluresdb.crdt.op;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.compaction.Stand;
import io.pluresdb.crdt.store.SnapshotEntry;
import io.pluresdb.crdt.sync.SnapshotMessage;
import io.pluresdb.crdt.sync.StandMessage;
import io.pluresdb.crdt.sync.SyncMessage;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** Stands and snapshots at their limits, and one beyond. */
class SnapshotLimitsTest {
  private static void refused(String what, ByteWriter bytes) {
    assertThatThrownBy(() -> SyncMessage.read(bytes.toByteArray()))
        .isInstanceOf(CodecException.class)
        .hasMessageContaining(what);
  }

  private static ByteWriter part(int total, int offset, byte[] piece) {
    var out = new ByteWriter().u8(SnapshotMessage.PART).bytes(new byte[32]);
    out.u8(2).block(new byte[] {'a'}).varint(0).u8(0).varint(1);
    return out.u8(2).block(new byte[] {'b'}).varint(total).varint(offset).block(piece);
  }

  @Test
  void rows_ofAPart_stayInTheirBounds() {
    int most = SnapshotEntry.MAX_ROW_BYTES;
    assertThat(SyncMessage.read(part(most, most - 1, new byte[1]).toByteArray())).isNotNull();
    refused("row bytes must be 0 to 67108864", part(most + 1, 0, new byte[1]));
    refused("offset must be 0 to 5", part(5, 6, new byte[0]));
    refused("piece bytes must be 0 to 2", part(5, 3, new byte[3]));
    var many = new ByteWriter().u8(SnapshotMessage.PART).bytes(new byte[32]);
    many.u8(2).block(new byte[0]).varint(0).u8(0).varint(SnapshotMessage.MAX_ENTRIES + 1);
    refused("rows of a part must be 0 to 65536", many);
  }

  @Test
  void places_haveASectionAndAKeyOfItsLength() {
    for (int section : new int[] {0, 4}) {
      refused(
          "section of a snapshot must be 1 to 3",
          new ByteWriter().u8(SnapshotMessage.SAME).bytes(new byte[32]).u8(section).varint(0));
    }
    int[] longest = {ActorId.BYTES, ChangeBody.MAX_ID_BYTES};
    for (int section = 1; section <= 2; section++) {
      // A place behind a row is its key and a zero byte.
      byte[] key = new byte[longest[section - 1] + 1];
      var same = new ByteWriter().u8(SnapshotMessage.SAME).bytes(new byte[32]).u8(section);
      assertThat(SyncMessage.read(same.block(key).toByteArray())).isNotNull();
      refused(
          "key bytes must be",
          new ByteWriter()
              .u8(SnapshotMessage.SAME)
              .bytes(new byte[32])
              .u8(section)
              .block(new byte[key.length + 1]));
    }
    refused(
        "flag must be 0 to 2",
        new ByteWriter()
            .u8(SnapshotMessage.REQUEST)
            .bytes(new byte[32])
            .u8(2)
            .varint(0)
            .varint(0)
            .u8(3));
  }

  @Test
  void stands_areFew_ofFewActors_thatAscend() {
    refused(
        "stands of a message must be 0 to 1024",
        new ByteWriter().u8(StandMessage.STANDS).varint(StandMessage.MAX_STANDS + 1));
    refused(
        "devices of a message must be 0 to " + Membership.MAX_ENTRIES,
        new ByteWriter().u8(StandMessage.HAVE).varint(Membership.MAX_ENTRIES + 1));
    refused(
        "devices of a message must ascend",
        new ByteWriter()
            .u8(StandMessage.HAVE)
            .varint(2)
            .bytes(new byte[32])
            .i64(1)
            .bytes(new byte[32])
            .i64(2));
    var head = new ByteWriter().u8(1).bytes(new byte[32]).bytes(new byte[32]).i64(1);
    head.varint(Frontier.MAX_ACTORS + 1);
    assertThatThrownBy(() -> Stand.read(new ByteReader(head.toByteArray())))
        .hasMessageContaining("actors of a stand must be 0 to 65536");
    var negative = new ByteWriter().u8(1).bytes(new byte[32]).bytes(new byte[32]).i64(-1);
    assertThatThrownBy(() -> Stand.read(new ByteReader(negative.toByteArray())))
        .hasMessage("at must be 0 or more");
  }

  @Test
  void stand_isAuthentic_onlyAsItWasSigned() {
    Stand stand = Golden.stand();
    assertThat(stand.isAuthentic()).isTrue();
    var more = new TreeMap<>(stand.seqs());
    more.merge(Golden.OTHER, 1L, Long::sum);
    assertThat(
            new Stand(stand.database(), stand.device(), stand.at(), more, stand.signature())
                .isAuthentic())
        .isFalse();
    assertThat(
            new Stand(
                    stand.database(),
                    stand.device(),
                    stand.at() + 1,
                    stand.seqs(),
                    stand.signature())
                .isAuthentic())
        .isFalse();
    assertThat(
            new Stand(Hash.ZERO, stand.device(), stand.at(), stand.seqs(), stand.signature())
                .isAuthentic())
        .isFalse();
  }

  @Test
  void signedHead_isAuthentic_onlyOfItsActorAndNumber() {
    SignedHead head = Golden.signedHead();
    assertThat(head.isAuthentic(Golden.DATABASE, Golden.ACTOR)).isTrue();
    assertThat(head.isAuthentic(Golden.DATABASE, Golden.OTHER)).isFalse();
    assertThat(head.isAuthentic(Hash.ZERO, Golden.ACTOR)).isFalse();
    var later = new SignedHead(2, head.previous(), head.link(), head.genesis(), head.signature());
    assertThat(later.isAuthentic(Golden.DATABASE, Golden.ACTOR)).isFalse();
  }
}
