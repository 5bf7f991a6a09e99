package io.pluresdb.harness.sim;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.MembershipEntry.Keep;
import io.pluresdb.crdt.auth.MembershipEntry.Revoke;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.engine.ReplicaEngine;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.harness.check.Chains;
import io.pluresdb.harness.check.Checks;
import io.pluresdb.harness.check.Invariant;
import io.pluresdb.harness.check.Ledger;
import io.pluresdb.harness.check.Violation;
import io.pluresdb.harness.fault.Fault;
import io.pluresdb.harness.sim.SimNetwork.Connection;
import io.pluresdb.harness.sim.SimNetwork.End;
import io.pluresdb.harness.sim.SimNetwork.Pair;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * Whether the devices of a cluster have settled once nothing goes wrong any more, and what must
 * hold over all of them then.
 */
final class Settlement {
  private final Scenario scenario;
  private final List<SimNode> nodes;
  private final List<Pair> pairs;
  private final Ledger ledger;
  private final List<Acknowledged> acknowledged;
  private final Map<Fault, Integer> fired;

  /** Looks at lists that grow and change while the cluster runs. */
  Settlement(
      Scenario scenario,
      List<SimNode> nodes,
      List<Pair> pairs,
      Ledger ledger,
      List<Acknowledged> acknowledged,
      Map<Fault, Integer> fired) {
    this.scenario = scenario;
    this.nodes = nodes;
    this.pairs = pairs;
    this.ledger = ledger;
    this.acknowledged = acknowledged;
    this.fired = fired;
  }

  /** Whether every message arrived once, in order and as it was sent. */
  boolean isFaithful() {
    return !fired.containsKey(Fault.LOSS)
        && !fired.containsKey(Fault.REPEAT)
        && !fired.containsKey(Fault.REORDER)
        && !fired.containsKey(Fault.CORRUPT);
  }

  /** Whether an earlier copy took a database's place. */
  private boolean isRestored() {
    return fired.containsKey(Fault.RESTORE)
        || fired.containsKey(Fault.RESTORE_WITHOUT_ANCHOR)
        || fired.containsKey(Fault.ROLLBACK)
        || fired.containsKey(Fault.BIT_FLIP);
  }

  /** Equal replicas know of each other that they are. */
  void checkConfirmed() {
    for (Pair pair : pairs) {
      Connection connection = pair.connection;
      if (connection == null || connection.dead || !isFaithful() || pair.b >= nodes.size()) {
        continue;
      }
      if (!isMember(nodes.get(pair.a)) || !isMember(nodes.get(pair.b))) {
        continue;
      }
      for (End end : List.of(connection.atA, connection.atB)) {
        ReplicaEngine engine = end.owner.engine;
        ReplicaEngine.Peer peer = end.peer;
        SimNode other = connection.other(end).owner;
        if (engine != null
            && peer != null
            && !other.neverReads
            && !end.owner.neverReads
            && engine.replica().view().arrivals() != end.reached) {
          throw new Violation(
              Invariant.I2,
              "node "
                  + end.owner.index
                  + " waits for node "
                  + other.index
                  + " to confirm "
                  + (engine.replica().view().arrivals() - end.reached)
                  + " changes");
        }
      }
    }
  }

  /** Devices that hear the others and are to become equal. */
  List<SimNode> hearing() {
    List<SimNode> all = nodes.stream().filter(n -> !n.neverReads && isMember(n)).toList();
    // Copies of one device meet by way of others only.
    boolean meet = all.stream().anyMatch(n -> n.author != all.getFirst().author);
    return meet ? all : all.subList(0, Math.min(1, all.size()));
  }

  /** Whether the device is a member, as the first one says that does not know it was removed. */
  private boolean isMember(SimNode node) {
    return !node.dormant && reference().membership().role(node.signer.publicKey()) != null;
  }

  private Chains reference() {
    for (SimNode node : nodes) {
      Chains chains = node.storage.chains();
      if (!node.neverReads && !chains.isRemoved(node.signer.publicKey())) {
        return chains;
      }
    }
    return nodes.getFirst().storage.chains();
  }

  /** Whether all are equal, up and know what they have to. */
  boolean isReached() {
    Replica.View first = null;
    for (SimNode node : hearing()) {
      ReplicaEngine engine = node.engine;
      if (engine == null) {
        return false;
      }
      Replica.View view = engine.replica().view();
      if (engine.replica().hasStaged()
          || engine.replica().isJoining()
          || owesItsBranch(engine.replica())
          || (isFaithful() && !hasVoids() && engine.pending() > 0)) {
        return false;
      }
      if (first == null) {
        first = view;
      } else if (!view.frontier().equals(first.frontier())
          || !view.membership().hash().equals(first.membership().hash())) {
        return false;
      }
    }
    return nodes.stream().allMatch(node -> node.neverReads || knowsItWasRemoved(node));
  }

  /** One of two copies of a device writes its branch again, as soon as it may write. */
  private static boolean owesItsBranch(Replica replica) {
    return replica.mayWrite() && !replica.ownVoidChanges().isEmpty();
  }

  /** Whether changes may wait in vain: what they follow never counts. */
  private boolean hasVoids() {
    return !scenario.liars().isEmpty()
        || reference().membership().entries().stream().anyMatch(e -> !(e instanceof Admit));
  }

  /** A device that was removed is up and has heard of it; true for any other. */
  private boolean knowsItWasRemoved(SimNode node) {
    byte[] key = node.signer.publicKey();
    return node.dormant
        || !reference().isRemoved(key)
        || (node.engine != null && node.storage.chains().isRemoved(key));
  }

  /** Where every device stands, for a person. */
  String where() {
    var out = new StringBuilder("they stand at");
    for (SimNode node : nodes) {
      ReplicaEngine engine = node.engine;
      out.append(' ').append(node.index).append(": ");
      if (engine == null) {
        out.append("down");
        continue;
      }
      engine
          .replica()
          .view()
          .frontier()
          .heads()
          .forEach((a, h) -> out.append(a + "/" + h.seq() + " "));
      out.append("members ").append(engine.replica().view().membership().hash());
      out.append(" pending ").append(engine.pending()).append(';');
    }
    return out.toString();
  }

  /**
   * Checks what must hold over all devices once they are equal.
   *
   * @return the hash of the frontier they ended at; zero when there is none to become equal
   */
  Hash check() {
    List<SimNode> hearing = hearing();
    if (hearing.isEmpty()) {
      return Hash.ZERO; // Whoever reads was removed by one that does not.
    }
    SimNode first = hearing.getFirst();
    ReplicaEngine engine = first.engine;
    if (engine == null) {
      throw new IllegalStateException("a settled node is up");
    }
    for (SimNode node : hearing) {
      ReplicaEngine other = node.engine;
      if (other == null) {
        continue;
      }
      Checks.rescan(other.replica(), node.storage.chains());
      if (!other.replica().view().stateHash().equals(engine.replica().view().stateHash())) {
        throw new Violation(Invariant.I1, "equal frontiers, different fingerprints");
      }
      Checks.sameRows(
          first.storage, node.storage, Invariant.I1, "nodes " + first.index + " and " + node.index);
    }
    Frontier frontier = engine.replica().view().frontier();
    frontier
        .heads()
        .forEach(
            (actor, head) -> {
              if (!ledger.isLiar(actor)) {
                ledger.chain(actor, head);
              }
            });
    checkRemovals(engine.replica());
    checkAcknowledged(engine.replica());
    for (SimNode node : nodes) {
      ReplicaEngine removed = node.engine;
      if (removed != null && node.storage.chains().isRemoved(node.signer.publicKey())) {
        Checks.rescan(removed.replica(), node.storage.chains());
        checkRefused(node, removed);
      }
    }
    if (engine.replica().log().floor().frontier().heads().isEmpty()) {
      Checks.replay(engine.replica(), ledger.greatestTimestamp());
    }
    Checks.archive(engine.replica(), ledger);
    return frontier.hash();
  }

  /** A device that was removed reads what it has, and writes nothing. */
  private static void checkRefused(SimNode node, ReplicaEngine engine) {
    var refusals = new ArrayList<RuntimeException>();
    engine.submit(
        new Transaction(
            List.of(Edit.put("late", "{}".getBytes(StandardCharsets.UTF_8))),
            Acknowledgement.LOCAL),
        (receipt, failure) -> {
          if (failure != null) {
            refusals.add(failure);
          }
        });
    if (refusals.stream()
        .noneMatch(
            e -> e instanceof CoreException c && c.kind() == CoreException.Kind.NOT_ALLOWED)) {
      throw new Violation(
          Invariant.I9, "node " + node.index + " was removed and is not refused: " + refusals);
    }
  }

  /** Whether nobody tried to take away what this device may. */
  private static boolean isUncontested(Membership members, byte[] device) {
    return members.entries().stream()
        .noneMatch(e -> e instanceof Revoke revoke && Arrays.equals(revoke.device(), device));
  }

  /** Whether a device was admitted again, even where power was lost right after that. */
  private static boolean wasReadmitted(Membership members, byte[] device) {
    // The founder may never have named itself.
    long first = Arrays.equals(device, members.founder()) ? 0 : 1;
    return members.entries().stream()
            .filter(
                e ->
                    e instanceof Admit admit
                        && !admit.isFounding()
                        && Arrays.equals(admit.device(), device))
            .count()
        > first;
  }

  /** Nothing of a removed device counts beyond what a removal accepts that certainly counts. */
  private void checkRemovals(Replica replica) {
    Membership members = replica.view().membership();
    for (MembershipEntry entry : members.entries()) {
      if (!(entry instanceof Revoke revoke) || !isUncontested(members, revoke.signer())) {
        continue;
      }
      for (SimNode node : nodes) {
        if (node.author != node.index || !Arrays.equals(node.signer.publicKey(), revoke.device())) {
          continue;
        }
        for (ActorId actor : ledger.actors(node.index)) {
          Frontier.Head accepted = revoke.heads().get(actor);
          long bound =
              accepted != null
                  ? accepted.seq()
                  : wasReadmitted(members, revoke.device()) ? Long.MAX_VALUE : 0;
          for (Keep keep : members.keeps()) {
            bound = keep.actor().equals(actor) ? Math.max(bound, keep.head().seq()) : bound;
          }
          long counts = replica.view().frontier().seq(actor);
          if (counts > bound) {
            throw new Violation(
                Invariant.I9,
                "change " + counts + " of " + actor + " counts, though " + bound + " was accepted");
          }
        }
      }
    }
  }

  /**
   * What was acknowledged is there: as it was written, or, where two copies of a device wrote under
   * one actor, written again.
   */
  private void checkAcknowledged(Replica replica) {
    Frontier frontier = replica.view().frontier();
    Membership members = replica.view().membership();
    var counting = new HashMap<ActorId, List<Ledger.Entry>>();
    frontier.heads().forEach((actor, head) -> counting.put(actor, ledger.chain(actor, head)));
    var owed = new TreeMap<String, Integer>();
    for (Acknowledged write : acknowledged) {
      SimNode author = nodes.get(write.node);
      byte[] device = author.signer.publicKey();
      List<Ledger.Entry> chain = counting.getOrDefault(write.actor, List.of());
      if (chain.size() >= write.seq && chain.get((int) write.seq - 1).hash().equals(write.hash)) {
        continue;
      }
      // A device that never reads learns of no session, and so sends nothing either; nobody takes
      // anything of one that was removed. What only they hold stays with them.
      boolean unheard =
          author.neverReads
              || (isMember(author) && !hearing().contains(author))
              || (write.rolledBack && hearing().size() < nodes.size())
              || (!isMember(author) && (isRestored() || !cameToAMember(write)));
      if (write.mayBeLost || unheard || mayBeVoid(members, device, write)) {
        continue;
      }
      boolean forked =
          members.forks().stream()
              .anyMatch(f -> f.actor().equals(write.actor) && f.common().seq() < write.seq);
      if (!forked) {
        throw new Violation(
            Invariant.I3,
            "change " + write.seq + " of " + write.actor + " was acknowledged and is gone");
      }
      // What a copy lost from its disk it does not write again; others keep it, void.
      if (!write.rolledBack && isUncontested(members, device)) {
        owed.merge(deed(write), 1, Integer::sum);
      }
    }
    for (var deed : owed.entrySet()) {
      long done =
          counting.entrySet().stream()
              .flatMap(
                  chain ->
                      chain.getValue().stream()
                          .filter(
                              e -> Checks.deed(chain.getKey(), e.change()).equals(deed.getKey())))
              .count();
      if (!deed.getKey().isEmpty() && done < deed.getValue()) {
        throw new Violation(
            Invariant.I3,
            "what a copy of a device wrote does not come back: " + deed.getKey().strip());
      }
    }
  }

  /** Whether a write ever was on the disk of a member that is heard. */
  private boolean cameToAMember(Acknowledged write) {
    return hearing().stream()
        .anyMatch(node -> ledger.everDurable(node.signer.publicKey(), write.actor) >= write.seq);
  }

  private String deed(Acknowledged write) {
    return ledger.chain(write.actor, new Frontier.Head(write.seq, write.hash)).stream()
        .skip(write.seq - 1)
        .map(entry -> Checks.deed(write.actor, entry.change()))
        .findFirst()
        .orElseThrow();
  }

  /** Whether some removal does not accept a write. */
  private static boolean mayBeVoid(Membership members, byte[] device, Acknowledged write) {
    for (MembershipEntry entry : members.entries()) {
      if (entry instanceof Revoke revoke && Arrays.equals(revoke.device(), device)) {
        Frontier.Head accepted = revoke.heads().get(write.actor);
        if (accepted == null || accepted.seq() < write.seq) {
          return true;
        }
      }
    }
    return members.role(device) == null && members.removals(device).isEmpty();
  }
}
