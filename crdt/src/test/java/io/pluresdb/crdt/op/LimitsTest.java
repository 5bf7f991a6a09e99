package io.pluresdb.crdt.op;

import static io.pluresdb.crdt.op.Golden.ACTOR;
import static io.pluresdb.crdt.op.Golden.filled;
import static io.pluresdb.crdt.op.Golden.utf8;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.sync.SyncMessage;
import io.pluresdb.crdt.value.Path;
import java.util.Collections;
import java.util.HexFormat;
import java.util.List;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Every limit: what is exactly at it passes, one more is refused. */
class LimitsTest {
  private static final CrdtOperation EXISTS =
      new CrdtOperation.Assign(Register.exists(), List.of(), new byte[0]);

  private static void refused(ThrowingCallable call) {
    assertThatThrownBy(call).isInstanceOf(CodecException.class);
  }

  private static List<DocumentEdit> decoded(List<DocumentEdit> edits) {
    return ChangeBody.decode(ACTOR, ChangeBody.encode(ACTOR, edits));
  }

  @Test
  void edits_ofAChange() {
    var edit = new DocumentEdit(utf8("d"), List.of());
    assertThat(decoded(Collections.nCopies(ChangeBody.MAX_EDITS, edit))).hasSize(1_000);
    refused(() -> decoded(Collections.nCopies(ChangeBody.MAX_EDITS + 1, edit)));
  }

  @Test
  void id_ofADocument() {
    assertThat(decoded(List.of(new DocumentEdit(filled(1_024, 'x'), List.of())))).hasSize(1);
    refused(() -> decoded(List.of(new DocumentEdit(filled(1_025, 'x'), List.of()))));
    refused(() -> decoded(List.of(new DocumentEdit(new byte[0], List.of()))));
    refused(() -> decoded(List.of(new DocumentEdit(filled(2, 0xc0), List.of()))));
  }

  @Test
  void operations_onADocument() {
    var most = Collections.nCopies(ChangeBody.MAX_OPERATIONS, EXISTS);
    assertThat(decoded(List.of(new DocumentEdit(utf8("d"), most)))).hasSize(1);
    var more = Collections.nCopies(ChangeBody.MAX_OPERATIONS + 1, EXISTS);
    refused(() -> decoded(List.of(new DocumentEdit(utf8("d"), more))));
  }

  @Test
  void bytes_ofABody() {
    int overhead = ChangeBody.encode(ACTOR, large(1 << 19)).length - (1 << 19);
    byte[] most = ChangeBody.encode(ACTOR, large(ChangeBody.MAX_BYTES - overhead));
    assertThat(most).hasSize(ChangeBody.MAX_BYTES);
    assertThat(ChangeBody.decode(ACTOR, most)).hasSize(1);
    byte[] more = ChangeBody.encode(ACTOR, large(ChangeBody.MAX_BYTES - overhead + 1));
    refused(() -> ChangeBody.decode(ACTOR, more));
    var change = new Change(List.of(), 1, more);
    refused(() -> Change.read(new ByteReader(Golden.written(change::write))));
  }

  private static List<DocumentEdit> large(int payload) {
    return List.of(
        new DocumentEdit(
            utf8("d"),
            List.of(new CrdtOperation.Unknown(255, Register.exists(), new byte[payload]))));
  }

  @Test
  void increments_amount() {
    assertThat(decoded(increment(1L << 53))).hasSize(1);
    assertThat(decoded(increment(-(1L << 53)))).hasSize(1);
    refused(() -> decoded(increment((1L << 53) + 1)));
    refused(() -> decoded(increment(-(1L << 53) - 1)));
    for (long amount : new long[] {(1L << 53) + 1, Long.MIN_VALUE, Long.MAX_VALUE}) {
      assertThatThrownBy(() -> Edit.increment("d", "n", amount)).isInstanceOf(CoreException.class);
    }
  }

  private static List<DocumentEdit> increment(long amount) {
    return List.of(
        new DocumentEdit(
            utf8("d"), List.of(new CrdtOperation.Increment(Golden.field("n"), amount))));
  }

  @Test
  void counterPath_isAsDeepAsADocument() {
    Edit.Increment deepest = Edit.increment("d", String.join(".", Collections.nCopies(64, "a")), 1);
    assertThat(
            decoded(
                List.of(
                    new DocumentEdit(
                        utf8("d"),
                        List.of(new CrdtOperation.Increment(Register.field(deepest.path()), 1))))))
        .hasSize(1);
    assertThatThrownBy(() -> Edit.increment("d", String.join(".", Collections.nCopies(65, "a")), 1))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("64");
    assertThatThrownBy(() -> Edit.increment("d", "a.\ud800", 1)).isInstanceOf(CoreException.class);
  }

  @Test
  void values_thatDoNotFitTheirRegister_areRefused() {
    refused(() -> decoded(assign(Register.exists(), utf8("1"))));
    refused(() -> decoded(assign(Register.embedding(), new byte[3])));
    refused(() -> decoded(assign(Register.embedding(), new byte[0])));
    assertThat(decoded(assign(Register.embedding(), new byte[4 * 4_096]))).hasSize(1);
    refused(() -> decoded(assign(Register.embedding(), new byte[4 * 4_097])));
    refused(() -> decoded(assign(Golden.field("a"), utf8("1.0"))));
    refused(() -> decoded(assign(Golden.field("a"), utf8("{\"a\":1}"))));
    refused(() -> decoded(assign(new byte[] {4}, utf8("1"))));
    refused(() -> decoded(assign(new byte[] {3, 'a'}, utf8("1"))));
    refused(() -> decoded(assign(new byte[] {3, 1, 3, 0}, utf8("1"))));
    refused(() -> decoded(assign(new byte[] {3, (byte) 0xc0, (byte) 0xaf, 0}, utf8("1"))));
  }

  private static List<DocumentEdit> assign(byte[] register, byte[] value) {
    return List.of(
        new DocumentEdit(utf8("d"), List.of(new CrdtOperation.Assign(register, List.of(), value))));
  }

  /** Whatever a device may write about its own counter, its peers accept. */
  @Test
  void observedDots_areLimitedByTheBodyAlone() {
    int count = 70_000;
    var dots = new java.util.ArrayList<Dot>(count);
    for (int i = 0; i < count; i++) {
      dots.add(new Dot(ACTOR, 1 + i / 1_000, i % 1_000));
    }
    assertThat(
            decoded(
                List.of(
                    new DocumentEdit(
                        utf8("d"), List.of(new CrdtOperation.Remove(Golden.field("n"), dots))))))
        .hasSize(1);
  }

  @ParameterizedTest
  @ValueSource(strings = {"8000", "ff00", "808000", "80808080808080808000", "80808080808080808080"})
  void varint_notInItsShortestForm_isRefused(String hex) {
    refused(() -> new ByteReader(HexFormat.of().parseHex(hex)).varint());
  }

  @ParameterizedTest
  @ValueSource(
      longs = {0, 1, 127, 128, 16_383, 16_384, Integer.MAX_VALUE, 1L << 53, Long.MAX_VALUE})
  void varint_readsBack(long value) {
    byte[] bytes = new ByteWriter().varint(value).toByteArray();
    var in = new ByteReader(bytes);
    assertThat(in.varint()).isEqualTo(value);
    in.end();
  }

  @Test
  void frontier_outOfOrder_orWithZero_isRefused() {
    ActorId low = new ActorId(1, 1);
    ActorId high = new ActorId(-1, 1);
    refused(() -> Frontier.read(heads(high, 1, low, 1)));
    refused(() -> Frontier.read(heads(low, 1, low, 2)));
    refused(() -> Frontier.read(heads(low, 0, high, 1)));
    assertThat(Frontier.read(heads(low, 1, high, 1)).heads()).hasSize(2);
    refused(() -> Frontier.read(new ByteReader(new ByteWriter().varint(65_537).toByteArray())));
  }

  private static ByteReader heads(ActorId a, long seqA, ActorId b, long seqB) {
    var out = new ByteWriter().varint(2);
    a.write(out);
    out.varint(seqA).bytes(Hash.ZERO.bytes());
    b.write(out);
    out.varint(seqB).bytes(Hash.ZERO.bytes());
    return new ByteReader(out.toByteArray());
  }

  @Test
  void dependencies_outOfOrder_orWithZero_areRefused() {
    ActorId low = new ActorId(1, 1);
    ActorId high = new ActorId(-1, 1);
    for (List<Change.Dependency> deps :
        List.of(
            List.of(new Change.Dependency(high, 1), new Change.Dependency(low, 1)),
            List.of(new Change.Dependency(low, 1), new Change.Dependency(low, 1)),
            List.of(new Change.Dependency(low, 0)))) {
      var change = new Change(deps, 1, Golden.body());
      refused(() -> Change.read(new ByteReader(Golden.written(change::write))));
    }
  }

  @Test
  void message_overItsLimit_isRefused_andUnknownTagsToo() {
    refused(() -> SyncMessage.read(new byte[SyncMessage.MAX_BYTES + 1]));
    refused(() -> SyncMessage.read(new byte[] {0}));
    refused(() -> SyncMessage.read(new byte[] {7}));
    refused(() -> SyncMessage.read(new byte[0]));
  }

  @Test
  void run_fillsAMessage_whateverItsCursor() {
    // A peer must be able to pass on whatever run it took in.
    byte[] body = ChangeBody.encode(ACTOR, large(1_000_000));
    var changes = new java.util.ArrayList<>(Collections.nCopies(4, new Change(List.of(), 1, body)));
    int rest = SyncMessage.MAX_BYTES - 3 - written(changes).length;
    changes.add(new Change(List.of(), 1, new byte[rest - 13]));
    byte[] message = new SyncMessage.Changes(1, List.of(run(changes))).toByteArray();
    assertThat(message).hasSizeBetween(SyncMessage.MAX_BYTES - 8, SyncMessage.MAX_BYTES);
    refused(() -> SyncMessage.read(message));
    byte[] largest = new SyncMessage.Changes(1, List.of(run(changes.subList(0, 4)))).toByteArray();
    var read = (SyncMessage.Changes) SyncMessage.read(largest);
    assertThat(new SyncMessage.Changes(Long.MAX_VALUE, read.runs()).toByteArray().length)
        .isLessThanOrEqualTo(SyncMessage.MAX_BYTES);
  }

  private static ChangeRun run(List<Change> changes) {
    return new ChangeRun(ACTOR, 2, null, changes, new byte[64]);
  }

  private static byte[] written(List<Change> changes) {
    return Golden.written(run(changes)::write);
  }

  @Test
  void memberName_overItsLimit_isNeverSigned() {
    assertThat(member("x".repeat(128)).name()).hasSize(128);
    for (String name : List.of("x".repeat(129), "\u00e9".repeat(65), "\ud800")) {
      assertThatThrownBy(() -> member(name)).isInstanceOf(CoreException.class);
    }
  }

  private static MembershipEntry.Admit member(String name) {
    return MembershipEntry.Admit.sign(
        Golden.DATABASE,
        Golden.SIGNER.publicKey(),
        Role.READ,
        name,
        0,
        new byte[16],
        List.of(),
        Golden.SIGNER);
  }

  private static void decode(CrdtOperation operation) {
    decoded(List.of(new DocumentEdit(utf8("d"), List.of(operation))));
  }

  @Test
  void element_ofASet() {
    byte[] set = Register.at(Register.SET, Path.parse("s"));
    byte[] most = utf8('"' + "x".repeat(Register.MAX_ELEMENT_BYTES - 2) + '"');
    byte[] more = utf8('"' + "x".repeat(Register.MAX_ELEMENT_BYTES - 1) + '"');
    decode(new CrdtOperation.Assign(Register.element(set, most), List.of(), new byte[0]));
    refused(
        () ->
            decode(new CrdtOperation.Assign(Register.element(set, more), List.of(), new byte[0])));
    assertThat(Edit.addToSet("d", "s", List.of(most)).values()).hasSize(1);
    assertThatThrownBy(() -> Edit.addToSet("d", "s", List.of(more)))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("at most 4096 bytes");
  }

  @Test
  void elements_ofASequence() {
    byte[] text = Register.at(Register.TEXT, Path.parse("t"));
    int last = ElementId.MAX_COUNTER;
    decode(new CrdtOperation.TextDelete(text, List.of(new ElementRange(ACTOR, last, 1))));
    decode(new CrdtOperation.TextDelete(text, List.of(new ElementRange(ACTOR, 0, last + 1))));
    refused(
        () ->
            decode(new CrdtOperation.TextDelete(text, List.of(new ElementRange(ACTOR, last, 2)))));
    refused(
        () ->
            decode(
                new CrdtOperation.TextDelete(text, List.of(new ElementRange(ACTOR, last + 1, 1)))));
    refused(
        () ->
            decode(
                new CrdtOperation.TextInsert(
                    text, List.of(), Place.rightOf(new ElementId(ACTOR, last + 1)), "x")));
  }
}
