package io.pluresdb.crdt.auth;

import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.MembershipEntry.Revoke;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.property.Gen;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * A random history of a membership: what each signer had seen is drawn, so most of it is
 * concurrent.
 */
record EntryGraph(List<Step> steps) {
  static final Hash DATABASE = new Hash(new byte[32]);
  static final int DEVICES = 6;
  static final List<Signer> SIGNERS = signers();

  private static List<Signer> signers() {
    var signers = new ArrayList<Signer>();
    for (int i = 0; i < DEVICES; i++) {
      byte[] secret = new byte[32];
      Arrays.fill(secret, (byte) (i + 1));
      signers.add(new Signer(secret));
    }
    return signers;
  }

  static byte[] key(int device) {
    return SIGNERS.get(device).publicKey();
  }

  static ActorId actor(int device, int number) {
    return new ActorId(device, number);
  }

  /**
   * One entry to make.
   *
   * @param role what is given, or what is left by a removal; null for nothing
   * @param seen for each earlier step whether the signer had seen it
   */
  record Step(
      boolean removal,
      int signer,
      int device,
      @Nullable Role role,
      int invite,
      List<Integer> heads,
      List<Boolean> seen) {}

  static Gen<EntryGraph> gen() {
    return new Gen<>() {
      @Override
      public EntryGraph generate(RandomGenerator random) {
        int count = random.nextInt(2, 12);
        boolean knowing = random.nextBoolean();
        var steps = new ArrayList<Step>();
        // So that several admins exist in most histories.
        int admins = random.nextInt(1, 4);
        for (int i = 1; i <= admins; i++) {
          steps.add(
              new Step(false, random.nextInt(i), i, Role.ADMIN, 0, List.of(), past(random, i, 9)));
        }
        for (int i = 0; i < count; i++) {
          steps.add(step(random, steps.size(), knowing));
        }
        return new EntryGraph(steps);
      }

      @Override
      public Iterable<EntryGraph> shrink(EntryGraph value) {
        return Gen.shorter(value.steps).stream().map(EntryGraph::new).toList();
      }
    };
  }

  private static Step step(RandomGenerator random, int before, boolean knowing) {
    boolean removal = random.nextInt(2) == 0;
    int signer = random.nextInt(random.nextInt(1, DEVICES + 1));
    int device = random.nextInt(DEVICES);
    List<Role> roles = List.of(Role.ADMIN, Role.WRITE, Role.READ, Role.ADMIN);
    Role role = removal && random.nextInt(2) == 0 ? null : Gen.pick(random, roles);
    var heads = new ArrayList<Integer>();
    for (int i = 0; i < 2; i++) {
      heads.add(random.nextInt(3) == 0 ? 0 : random.nextInt(1, 5));
    }
    int invite = random.nextInt(4) == 0 ? random.nextInt(1, 3) : 0;
    return new Step(
        removal,
        signer,
        device,
        role,
        invite,
        heads,
        past(random, before, knowing ? 8 : random.nextInt(1, 6)));
  }

  private static List<Boolean> past(RandomGenerator random, int before, int ofTen) {
    var seen = new ArrayList<Boolean>();
    for (int i = 0; i < before; i++) {
      seen.add(random.nextInt(10) < ofTen);
    }
    return seen;
  }

  List<MembershipEntry> entries() {
    var entries = new ArrayList<MembershipEntry>();
    for (Step step : steps) {
      var seen = new ArrayList<Hash>();
      for (int i = 0; i < entries.size() && i < step.seen.size(); i++) {
        if (step.seen.get(i)) {
          seen.add(entries.get(i).hash());
        }
      }
      entries.add(entry(step, entries.size(), seen));
    }
    return entries;
  }

  private static MembershipEntry entry(Step step, int at, List<Hash> seen) {
    Signer signer = SIGNERS.get(step.signer);
    if (!step.removal) {
      byte[] invite = new byte[16];
      invite[0] = (byte) step.invite;
      return Admit.sign(
          DATABASE,
          key(step.device),
          step.role == null ? Role.READ : step.role,
          "d",
          at,
          invite,
          seen,
          signer);
    }
    var heads = new TreeMap<ActorId, Head>();
    for (int i = 0; i < step.heads.size(); i++) {
      int seq = step.heads.get(i);
      if (seq > 0) {
        heads.put(actor(step.device, i), new Head(seq, Hash.of("head", new byte[] {(byte) seq})));
      }
    }
    return Revoke.sign(DATABASE, key(step.device), step.role, at, heads, seen, signer);
  }
}
