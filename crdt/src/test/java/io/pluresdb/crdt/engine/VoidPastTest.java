package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.Role;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.Assign;
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
import io.pluresdb.crdt.store.RunOutcome;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/**
 * A member names what another wrote without saying that it depends on it, while that does not
 * count, and then it counts again: whoever let the change through before what it names has to end
 * with the same documents as whoever had both.
 */
class VoidPastTest {
  private static final byte[] PLAIN = Register.at(Register.FIELD, Path.parse("v"));
  private static final byte[] TEXT = Register.at(Register.TEXT, Path.parse("t"));
  private static final byte[] LIST = Register.at(Register.LIST, Path.parse("l"));
  private static final byte[] ONE = {'1'};
  private static final byte[] TWO = {'2'};

  private final Device founder = Device.founder(1);
  private final Signer admin = signer(6);
  private final Author removed = new Author(signer(7), 7);
  private final Author namer = new Author(signer(8), 8);

  private static Signer signer(int secret) {
    byte[] key = new byte[32];
    key[0] = (byte) secret;
    return new Signer(key);
  }

  private void admit(Signer signer, Role role) {
    founder.engine.admit(
        MembershipEntry.Admit.sign(
            Device.DATABASE,
            signer.publicKey(),
            role,
            "x",
            0,
            new byte[16],
            founder.view().membership().newest(),
            founder.signer));
  }

  private static MembershipEntry removal(
      Signer by, Signer of, Map<ActorId, Head> heads, List<Hash> seen) {
    return MembershipEntry.Revoke.sign(
        Device.DATABASE, of.publicKey(), null, 0, heads, Hash.ZERO, seen, by);
  }

  private static void write(Author from, long millis, CrdtOperation... operations) {
    var all = new ArrayList<CrdtOperation>();
    all.add(new Assign(Register.exists(), List.of(), new byte[0]));
    all.addAll(List.of(operations));
    byte[] id = "d".getBytes(StandardCharsets.UTF_8);
    byte[] body = ChangeBody.encode(from.actor, List.of(new DocumentEdit(id, all)));
    from.add(new Change(List.of(), millis << 16, body));
  }

  private static RunOutcome take(Device device, Author from, int first, int last) {
    RunOutcome outcome = device.engine.apply(from.run(first, last));
    device.engine.turn(true);
    return outcome;
  }

  /** What the removed one wrote second, and how the other names it; dots have index 1 there. */
  static List<List<CrdtOperation>> pairs() {
    var author = new Author(signer(7), 7);
    var dot = new Dot(author.actor, 2, 1);
    var element = new ElementId(author.actor, 0);
    var range = List.of(new ElementRange(author.actor, 0, 1));
    var text = new TextInsert(TEXT, List.of(), Place.START, "a");
    var list = new ListInsert(LIST, List.of(), Place.START, List.of(ONE));
    return List.of(
        List.of(new Assign(PLAIN, List.of(), ONE), new Assign(PLAIN, List.of(dot), TWO)),
        List.of(new Assign(PLAIN, List.of(), ONE), new CrdtOperation.Remove(PLAIN, List.of(dot))),
        List.of(text, new TextInsert(TEXT, List.of(), Place.leftOf(element), "b")),
        List.of(text, new TextDelete(TEXT, range)),
        List.of(list, new ListInsert(LIST, List.of(), Place.leftOf(element), List.of(TWO))),
        List.of(list, new ListSet(LIST, List.of(), element, List.of(dot), TWO)),
        List.of(list, new ListMove(LIST, List.of(), element, Place.START)),
        List.of(
            list, new ListDelete(LIST, List.of(new Change.Dependency(author.actor, 2)), range)));
  }

  @ParameterizedTest
  @MethodSource("pairs")
  void changes_namingWhatWasVoid_haveSeenItWhenItCountsAgain(List<CrdtOperation> pair) {
    admit(admin, Role.ADMIN);
    admit(removed.signer, Role.WRITE);
    admit(namer.signer, Role.WRITE);
    Device other = founder.join(2);
    founder.sync(other);
    write(removed, 1_000, new Assign(PLAIN, List.of(), new byte[] {'0'}));
    write(removed, 9_000, pair.getFirst());
    // Earlier by its own clock: the times do not say which came first.
    write(namer, 5_000, pair.getLast());
    List<Hash> seen = founder.view().membership().newest();

    take(other, removed, 1, 2);
    assertThat(take(other, namer, 1, 1)).isEqualTo(new RunOutcome.Applied(1));
    take(founder, removed, 1, 1);
    assertThat(take(founder, namer, 1, 1)).isInstanceOf(RunOutcome.Waiting.class);
    Map<ActorId, Head> first = Map.of(removed.actor, new Head(1, removed.hashes.get(1)));
    MembershipEntry removal = removal(admin, removed.signer, first, seen);
    founder.engine.admit(removal);
    founder.engine.turn(true);
    take(founder, namer, 1, 1);
    assertThat(founder.view().frontier().seq(namer.actor)).isEqualTo(1);

    // The admin was removed without having seen it: its removal does not count.
    founder.engine.admit(removal(founder.signer, admin, Map.of(), seen));
    founder.engine.turn(true);
    take(founder, removed, 1, 2);
    assertThat(founder.view().frontier().seq(removed.actor)).isEqualTo(2);
    founder.sync(other);
    founder.assertEquals(other);
  }

  @Test
  void replacedListValues_thatAreNotHere_areWaitedFor() {
    admit(removed.signer, Role.WRITE);
    admit(namer.signer, Role.WRITE);
    write(namer, 1_000, new ListInsert(LIST, List.of(), Place.START, List.of(ONE)));
    var element = new ElementId(namer.actor, 0);
    write(removed, 2_000, new ListSet(LIST, List.of(), element, List.of(), TWO));
    var unseen = new Dot(removed.actor, 1, 1);
    write(namer, 3_000, new ListSet(LIST, List.of(), element, List.of(unseen), ONE));
    take(founder, namer, 1, 1);
    assertThat(take(founder, namer, 2, 2)).isEqualTo(new RunOutcome.Waiting(removed.actor, 1));
    take(founder, removed, 1, 1);
    assertThat(founder.view().frontier().seq(namer.actor)).isEqualTo(2);
    assertThat(founder.json("d")).isEqualTo("{\"l\":[1]}");
  }
}
