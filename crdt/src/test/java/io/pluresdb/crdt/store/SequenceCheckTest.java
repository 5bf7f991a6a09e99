package io.pluresdb.crdt.store;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.CrdtOperation.TextInsert;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.op.Place;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.value.Path;
import java.util.List;
import org.junit.jupiter.api.Test;

class SequenceCheckTest {
  private static final byte[] TEXT = Register.at(Register.TEXT, Path.parse("t"));

  @Test
  void elementsOfOneActor_beyondTheLimit_areMalformed() {
    var storage = new MemoryStorage();
    var sequences = new OpenSequences(storage, Hash.ZERO);
    var check = new SequenceCheck(sequences, new ActorId(1, 1), past(storage, sequences));
    byte[] id = {'d'};
    int each = 1 << 20;
    var insert = new TextInsert(TEXT, List.of(), Place.START, "x".repeat(each));
    for (int i = 0; i < (ElementId.MAX_COUNTER + 1) / each; i++) {
      assertThat(check.check(id, insert, 1)).isNull();
    }
    var one = new TextInsert(TEXT, List.of(), Place.START, "x");
    assertThat(check.check(id, one, 1))
        .isEqualTo(new SequenceCheck.Problem.Malformed("puts too many elements into a sequence"));
    // Another document has its own count.
    assertThat(check.check(new byte[] {'e'}, one, 1)).isNull();
  }

  private static NamedPast past(Storage storage, OpenSequences sequences) {
    var signer = new Signer(new byte[32]);
    var identity = new ReplicaIdentity(Hash.ZERO, signer.publicKey(), signer);
    var log = new ChangeLog(storage, new LogFloor(0, Frontier.EMPTY));
    var members = Membership.of(Hash.ZERO, signer.publicKey(), List.of());
    var committed = new Committed(new BucketSums(storage, Hash.ZERO), members, 0);
    return new NamedPast(
        new Staging(storage, committed), new Limits(storage, identity, log, sequences));
  }
}
