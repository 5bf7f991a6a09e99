package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.ListDelete;
import io.pluresdb.crdt.op.CrdtOperation.ListInsert;
import io.pluresdb.crdt.op.CrdtOperation.ListMove;
import io.pluresdb.crdt.op.CrdtOperation.ListSet;
import io.pluresdb.crdt.op.CrdtOperation.TextDelete;
import io.pluresdb.crdt.op.CrdtOperation.TextInsert;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.ElementRange;
import io.pluresdb.crdt.op.Place;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Members that send edits of texts and lists which no honest device makes. */
class SequenceAttackTest {
  private static final byte[] TEXT = Register.at(Register.TEXT, Path.parse("t"));
  private static final byte[] LIST = Register.at(Register.LIST, Path.parse("l"));
  private static final byte[] ONE = {'1'};

  private final Device device = Device.founder(1);
  private final Author author = author(7);
  private final Author other = author(8);

  private Author author(int secret) {
    byte[] key = new byte[32];
    key[0] = (byte) secret;
    var signer = new Signer(key);
    device.engine.admit(
        MembershipEntry.Admit.sign(
            Device.DATABASE,
            signer.publicKey(),
            Role.WRITE,
            "x",
            0,
            new byte[16],
            List.of(),
            device.signer));
    return new Author(signer, secret);
  }

  private RunOutcome send(Author from, CrdtOperation... operations) {
    var all = new ArrayList<CrdtOperation>();
    all.add(new CrdtOperation.Assign(Register.exists(), List.of(), new byte[0]));
    all.addAll(List.of(operations));
    byte[] id = "d".getBytes(StandardCharsets.UTF_8);
    byte[] body = ChangeBody.encode(from.actor, List.of(new DocumentEdit(id, all)));
    from.add(new Change(List.of(), (1_000_000L + from.changes.size()) << 16, body));
    RunOutcome outcome = device.engine.apply(from.run(from.changes.size(), from.changes.size()));
    device.engine.turn(true);
    return outcome;
  }

  private void malformed(CrdtOperation... operations) {
    long before = author.changes.size();
    assertThat(send(author, operations)).isInstanceOf(RunOutcome.Rejected.class);
    assertThat(device.view().frontier().seq(author.actor)).isEqualTo(before);
    author.changes.removeLast();
    author.hashes.removeLast();
  }

  @Test
  void elementsOfTheAuthorsFuture_areRefused() {
    assertThat(send(author, new TextInsert(TEXT, List.of(), Place.START, "ab")))
        .isInstanceOf(RunOutcome.Applied.class);
    var unmade = new ElementId(author.actor, 2);
    malformed(new TextInsert(TEXT, List.of(), Place.rightOf(unmade), "x"));
    malformed(new TextInsert(TEXT, List.of(), Place.leftOf(unmade), "x"));
    malformed(new TextDelete(TEXT, List.of(new ElementRange(author.actor, 1, 2))));
    malformed(new ListMove(LIST, List.of(), new ElementId(author.actor, 0), Place.START));
    malformed(new ListSet(LIST, List.of(), new ElementId(author.actor, 0), List.of(), ONE));
    malformed(new ListDelete(LIST, List.of(new Change.Dependency(author.actor, 3)), List.of()));
    assertThat(device.json("d")).isEqualTo("{\"t\":\"ab\"}");
    // What the same change makes before is its past.
    assertThat(
            send(
                author,
                new TextInsert(TEXT, List.of(), Place.rightOf(new ElementId(author.actor, 1)), "c"),
                new TextDelete(TEXT, List.of(new ElementRange(author.actor, 2, 1)))))
        .isInstanceOf(RunOutcome.Applied.class);
    assertThat(device.json("d")).isEqualTo("{\"t\":\"ab\"}");
  }

  @Test
  void elementsNobodyHas_areWaitedFor() {
    var missing = new ElementId(other.actor, 0);
    assertThat(send(author, new TextInsert(TEXT, List.of(), Place.rightOf(missing), "x")))
        .isEqualTo(new RunOutcome.Waiting(other.actor, 1));
    assertThat(device.get("d")).isNull();
    assertThat(send(other, new TextInsert(TEXT, List.of(), Place.START, "y")))
        .isInstanceOf(RunOutcome.Applied.class);
    device.engine.apply(author.run(1, 1));
    device.engine.turn(true);
    assertThat(device.json("d")).isEqualTo("{\"t\":\"yx\"}");
  }

  @Test
  void operations_onTheWrongRegister_areRefused() {
    byte[] field = Register.field(Path.parse("t"));
    malformed(new TextInsert(LIST, List.of(), Place.START, "x"));
    malformed(new TextInsert(field, List.of(), Place.START, "x"));
    malformed(new ListInsert(TEXT, List.of(), Place.START, List.of(ONE)));
    malformed(new CrdtOperation.Assign(TEXT, List.of(), ONE));
    malformed(new CrdtOperation.Increment(TEXT, 1));
    malformed(new TextInsert(new byte[] {Register.TEXT}, List.of(), Place.START, "x"));
    malformed(new ListInsert(LIST, List.of(), Place.START, List.of(new byte[] {'{'})));
  }

  @Test
  void ranges_thatDoNotAscendOrTouch_areRefused() {
    assertThat(send(author, new TextInsert(TEXT, List.of(), Place.START, "abcdef")))
        .isInstanceOf(RunOutcome.Applied.class);
    var first = new ElementRange(author.actor, 0, 2);
    malformed(new TextDelete(TEXT, List.of(first, first)));
    malformed(new TextDelete(TEXT, List.of(first, new ElementRange(author.actor, 2, 1))));
    malformed(new TextDelete(TEXT, List.of(new ElementRange(author.actor, 3, 1), first)));
    malformed(new TextDelete(TEXT, List.of(new ElementRange(author.actor, 0, 0))));
  }

  /** A slot a move made is no element: whatever is done to it, every replica does nothing. */
  @Test
  void slotsOfMoves_takenForElements_changeNothing() {
    var element = new ElementId(author.actor, 0);
    var slot = new ElementId(author.actor, 1);
    assertThat(
            send(
                author,
                new ListInsert(LIST, List.of(), Place.START, List.of(ONE)),
                new ListMove(LIST, List.of(), element, Place.START),
                new ListSet(LIST, List.of(), slot, List.of(), ONE),
                new ListMove(LIST, List.of(), slot, Place.START),
                new ListDelete(
                    LIST,
                    List.of(new Change.Dependency(author.actor, 1)),
                    List.of(new ElementRange(author.actor, 1, 2)))))
        .isInstanceOf(RunOutcome.Applied.class);
    assertThat(device.json("d")).isEqualTo("{\"l\":[1]}");
    device.restart();
    assertThat(device.json("d")).isEqualTo("{\"l\":[1]}");
  }

  /** Wherever elements of the same origin hang, they have one order, the same after a restart. */
  @Test
  void siblingsOfOneAuthor_atOnePlace_haveOneOrder() {
    for (int i = 0; i < 20; i++) {
      Place place = i < 3 ? Place.START : Place.leftOf(new ElementId(author.actor, i % 3));
      assertThat(send(author, new TextInsert(TEXT, List.of(), place, "" + i % 10)))
          .isInstanceOf(RunOutcome.Applied.class);
    }
    String json = String.valueOf(device.json("d"));
    device.restart();
    device.write(Edit.spliceText("d", "t", 0, 0, "<"));
    assertThat(device.json("d")).isEqualTo(json.replace(":\"", ":\"<"));
  }
}
