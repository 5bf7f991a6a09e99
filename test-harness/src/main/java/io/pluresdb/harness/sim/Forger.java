package io.pluresdb.harness.sim;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.DocumentEdit;
import io.pluresdb.crdt.op.Register;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/** A chain of changes written without a replica, so that it can lie. */
final class Forger {
  final ActorId actor;
  private final Hash database;
  private final Signer signer;
  private final ChangeRun.Genesis genesis;
  private final List<Change> changes = new ArrayList<>();
  private final Map<Integer, byte[]> signatures = new HashMap<>();
  private final List<Hash> hashes = new ArrayList<>(List.of(Hash.ZERO));

  /**
   * A chain of {@code signer}'s.
   *
   * @param nonce 16 bytes
   */
  Forger(Hash database, Signer signer, byte[] nonce) {
    this.database = database;
    this.signer = signer;
    genesis = new ChangeRun.Genesis(signer.publicKey(), nonce);
    actor = genesis.actor(database);
  }

  /** The same chain so far; from here on the two differ. */
  Forger branch() {
    var branch = new Forger(database, signer, genesis.nonce());
    changes.forEach(branch::add);
    return branch;
  }

  int length() {
    return changes.size();
  }

  /** What the next change's timestamp must exceed. */
  long lastTimestamp() {
    return changes.isEmpty() ? 0 : changes.getLast().timestamp();
  }

  Forger add(Change change) {
    changes.add(change);
    hashes.add(change.hash(database, actor, changes.size(), hashes.getLast()));
    return this;
  }

  /** A change that puts a document and a field in it, and replaces what was observed in both. */
  Forger put(
      String id, String value, long timestamp, List<Change.Dependency> deps, List<Dot> observed) {
    var field = Register.field(io.pluresdb.crdt.value.Path.parse("w"));
    var operations =
        List.<CrdtOperation>of(
            new CrdtOperation.Assign(Register.exists(), observed, new byte[0]),
            new CrdtOperation.Assign(field, observed, value.getBytes(StandardCharsets.UTF_8)));
    var edit = new DocumentEdit(id.getBytes(StandardCharsets.UTF_8), operations);
    return add(new Change(deps, timestamp, ChangeBody.encode(actor, List.of(edit))));
  }

  /** A change that takes away a value that somebody else put there. */
  Forger replace(byte[] id, byte[] register, Dot observed, long timestamp) {
    var operation = new CrdtOperation.Remove(register, List.of(observed));
    var edit = new DocumentEdit(id, List.of(operation));
    return add(new Change(List.of(), timestamp, ChangeBody.encode(actor, List.of(edit))));
  }

  /** The changes {@code [from, to]}, honestly signed. */
  ChangeRun run(int from, int to) {
    return new ChangeRun(
        actor,
        from,
        from == 1 ? genesis : null,
        List.copyOf(changes.subList(from - 1, to)),
        signatures.computeIfAbsent(to, seq -> signer.sign(hashes.get(seq).bytes())));
  }
}
