package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.causal.ActorId;
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
import java.util.List;

/** Writes changes without a replica, so that it can lie. */
final class Author {
  final Signer signer;
  final ChangeRun.Genesis genesis;
  final ActorId actor;
  final List<Change> changes = new ArrayList<>();
  final List<Hash> hashes = new ArrayList<>(List.of(Hash.ZERO));

  Author(Signer signer, int nonce) {
    this.signer = signer;
    byte[] bytes = new byte[16];
    bytes[0] = (byte) nonce;
    bytes[1] = (byte) (nonce >>> 8);
    genesis = new ChangeRun.Genesis(signer.publicKey(), bytes);
    actor = genesis.actor(Device.DATABASE);
  }

  /** A change that puts a document which exists and is empty. */
  static Change put(ActorId actor, String id, long timestamp, Change.Dependency... deps) {
    byte[] body =
        ChangeBody.encode(
            actor,
            List.of(
                new DocumentEdit(
                    id.getBytes(StandardCharsets.UTF_8),
                    List.of(new CrdtOperation.Assign(Register.exists(), List.of(), new byte[0])))));
    return new Change(List.of(deps), timestamp, body);
  }

  Author add(Change change) {
    changes.add(change);
    long seq = changes.size();
    hashes.add(change.hash(Device.DATABASE, actor, seq, hashes.getLast()));
    return this;
  }

  /** Puts {@code id} at the wall clock's {@code millis}. */
  Author add(String id, long millis, Change.Dependency... deps) {
    return add(put(actor, id, millis << 16, deps));
  }

  byte[] signature(int seq) {
    return signer.sign(hashes.get(seq).bytes());
  }

  /** The changes {@code [from, to]}. */
  ChangeRun run(int from, int to) {
    return new ChangeRun(
        actor,
        from,
        from == 1 ? genesis : null,
        List.copyOf(changes.subList(from - 1, to)),
        signature(to));
  }
}
