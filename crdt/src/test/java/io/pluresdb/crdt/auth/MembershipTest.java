package io.pluresdb.crdt.auth;

import static io.pluresdb.crdt.auth.EntryGraph.DATABASE;
import static io.pluresdb.crdt.auth.EntryGraph.SIGNERS;
import static io.pluresdb.crdt.auth.EntryGraph.actor;
import static io.pluresdb.crdt.auth.EntryGraph.key;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.auth.MembershipEntry.Admit;
import io.pluresdb.crdt.auth.MembershipEntry.Fork;
import io.pluresdb.crdt.auth.MembershipEntry.Fork.Branch;
import io.pluresdb.crdt.auth.MembershipEntry.Keep;
import io.pluresdb.crdt.auth.MembershipEntry.Revoke;
import io.pluresdb.crdt.auth.NaiveMembership.Mutant;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.Change;
import io.pluresdb.crdt.op.ChangeRun.Genesis;
import io.pluresdb.crdt.op.SignedHead;
import io.pluresdb.crdt.property.Property;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class MembershipTest {
  private static final Hash SECRET = Revoke.nameOf(new byte[32]);
  private static final int HISTORIES = 400;
  private static final byte[] NO_INVITE = new byte[16];

  private static Membership of(List<? extends MembershipEntry> entries) {
    return Membership.of(DATABASE, key(0), entries);
  }

  /** What a membership says of everybody. */
  private static List<Object> facts(Membership membership) {
    var facts = new ArrayList<Object>();
    for (int device = 0; device < EntryGraph.DEVICES; device++) {
      Role role = membership.role(key(device));
      facts.add(role == null ? -1 : role.code());
      for (int number = 0; number < 3; number++) {
        Head limit = membership.limit(actor(device, number), key(device));
        facts.add(limit == null ? Long.MAX_VALUE : limit.seq());
      }
    }
    return facts;
  }

  private static List<Object> facts(NaiveMembership model) {
    var facts = new ArrayList<Object>();
    for (int device = 0; device < EntryGraph.DEVICES; device++) {
      facts.add(model.role(key(device)));
      for (int number = 0; number < 3; number++) {
        facts.add(model.limit(actor(device, number), key(device)));
      }
    }
    return facts;
  }

  @Test
  void entries_inAnyOrderAndBatches_giveTheSameMembership() {
    Property.forAll(
        HISTORIES / 5,
        EntryGraph.gen(),
        graph -> {
          List<MembershipEntry> entries = graph.entries();
          Membership all = of(entries);
          var random = new Random(graph.steps().size());
          for (int i = 0; i < 3; i++) {
            var shuffled = new ArrayList<>(entries);
            Collections.shuffle(shuffled, random);
            Membership grown = of(List.of());
            while (!shuffled.isEmpty()) {
              int take = 1 + random.nextInt(shuffled.size());
              grown = grown.with(shuffled.subList(0, take));
              shuffled.subList(0, random.nextInt(take + 1)).clear();
            }
            assertThat(grown.hash()).isEqualTo(all.hash());
            assertThat(facts(grown)).isEqualTo(facts(all));
          }
        });
  }

  @Test
  void membership_ofRandomHistories_isWhatTheRulesSay() {
    Property.forAll(
        HISTORIES,
        EntryGraph.gen(),
        graph ->
            assertThat(facts(of(withoutOne(graph))))
                .isEqualTo(facts(new NaiveMembership(key(0), withoutOne(graph), Mutant.NONE))));
  }

  /** In some histories an entry others have seen is missing. */
  private static List<MembershipEntry> withoutOne(EntryGraph graph) {
    List<MembershipEntry> entries = graph.entries();
    int drop = entries.size() % 5 == 0 ? entries.size() / 2 : -1;
    if (drop >= 0) {
      entries.remove(drop);
    }
    return entries;
  }

  @ParameterizedTest
  @EnumSource(mode = EnumSource.Mode.EXCLUDE, names = "NONE")
  void brokenRule_onTheSeedsOfTheComparison_isNoticed(Mutant mutant) {
    int killed = 0;
    for (long seed = 1; seed <= HISTORIES && killed < 3; seed++) {
      EntryGraph graph = EntryGraph.gen().generate(new SplittableRandom(seed));
      List<MembershipEntry> entries = withoutOne(graph);
      if (!facts(of(entries)).equals(facts(new NaiveMembership(key(0), entries, mutant)))) {
        killed++;
      }
    }
    assertThat(killed).as("seeds that notice %s", mutant).isPositive();
  }

  private static Admit admit(int signer, int device, Role role, MembershipEntry... seen) {
    return Admit.sign(
        DATABASE, key(device), role, "d" + device, 7, NO_INVITE, hashes(seen), SIGNERS.get(signer));
  }

  private static Revoke revoke(
      int signer,
      int device,
      @Nullable Role keep,
      Map<ActorId, Head> heads,
      MembershipEntry... seen) {
    return Revoke.sign(
        DATABASE, key(device), keep, 8, heads, SECRET, hashes(seen), SIGNERS.get(signer));
  }

  private static List<Hash> hashes(MembershipEntry... entries) {
    return Arrays.stream(entries).map(MembershipEntry::hash).toList();
  }

  private static Head head(long seq) {
    return new Head(seq, Hash.of("h" + seq));
  }

  @Test
  void removedAdmin_withConcurrentAdmission_hasAdmittedNobody() {
    Admit admin = admit(0, 1, Role.ADMIN);
    Admit before = admit(1, 2, Role.WRITE, admin);
    Revoke removal = revoke(0, 1, null, Map.of(), before);
    Admit concurrent = admit(1, 3, Role.WRITE, before);
    Admit later = admit(1, 4, Role.WRITE, removal);
    Membership membership = of(List.of(admin, before, removal, concurrent, later));
    assertThat(membership.role(key(1))).isNull();
    assertThat(membership.role(key(2))).isEqualTo(Role.WRITE);
    assertThat(membership.role(key(3))).isNull();
    assertThat(membership.role(key(4))).isNull();
    assertThat(membership.isRemoved(key(1))).isTrue();
    assertThat(membership.isRemoved(key(3))).isFalse();
  }

  @Test
  void admins_whoRemoveEachOther_leaveTheSeniorOne() {
    Admit first = admit(0, 1, Role.ADMIN);
    Admit second = admit(1, 2, Role.ADMIN, first);
    Revoke down = revoke(1, 2, null, Map.of(), second);
    Revoke up = revoke(2, 1, null, Map.of(), second);
    Membership membership = of(List.of(first, second, down, up));
    assertThat(membership.role(key(1))).isEqualTo(Role.ADMIN);
    assertThat(membership.role(key(2))).isNull();
    assertThat(membership.counts(up)).isFalse();
    // Alone, the junior's removal counts, of the founder too.
    assertThat(of(List.of(first, second, up)).role(key(1))).isNull();
    Revoke founderOut = revoke(1, 0, null, Map.of(), first);
    assertThat(of(List.of(first, founderOut)).role(key(0))).isNull();
    Revoke founderStays = revoke(0, 1, null, Map.of(), first);
    Membership both = of(List.of(first, founderOut, founderStays));
    assertThat(both.role(key(0))).isEqualTo(Role.ADMIN);
    assertThat(both.role(key(1))).isNull();
  }

  @Test
  void concurrentCuts_ofSeveralAdmins_takeTheMinimum() {
    Admit one = admit(0, 1, Role.ADMIN);
    Admit writer = admit(0, 2, Role.WRITE);
    ActorId actor = actor(2, 0);
    Revoke five = revoke(0, 2, null, Map.of(actor, head(5)), one, writer);
    Revoke three = revoke(1, 2, Role.READ, Map.of(actor, head(3)), one, writer);
    Membership membership = of(List.of(one, writer, five, three));
    assertThat(membership.limit(actor, key(2))).isEqualTo(head(3));
    assertThat(membership.limit(actor(2, 1), key(2))).isEqualTo(new Head(0, Hash.ZERO));
    assertThat(membership.limit(actor(0, 0), key(0))).isNull();
    assertThat(membership.role(key(2))).isNull();
    // Let in again by somebody who knew: a new actor counts, the old ones end where they ended.
    Admit again = admit(0, 2, Role.WRITE, five, three);
    Membership back = membership.with(List.of(again));
    assertThat(back.role(key(2))).isEqualTo(Role.WRITE);
    assertThat(back.limit(actor, key(2))).isEqualTo(head(3));
    assertThat(back.limit(actor(2, 1), key(2))).isNull();
  }

  @Test
  void demotedAdmin_goesOnWritingWithoutAnEnd() {
    Admit admin = admit(0, 1, Role.ADMIN);
    Revoke demotion = revoke(0, 1, Role.WRITE, Map.of(), admin);
    Membership membership = of(List.of(admin, demotion));
    assertThat(membership.role(key(1))).isEqualTo(Role.WRITE);
    assertThat(membership.limit(actor(1, 0), key(1))).isNull();
    assertThat(membership.rotations()).isEmpty();
    assertThat(membership.with(List.of(revoke(0, 1, null, Map.of(), demotion))).rotations())
        .hasSize(1);
  }

  @Test
  void invite_usedTwice_admitsTheFirst() {
    byte[] invite = new byte[16];
    invite[3] = 1;
    Admit first =
        Admit.sign(DATABASE, key(1), Role.WRITE, "", 0, invite, List.of(), SIGNERS.get(0));
    Admit then =
        Admit.sign(DATABASE, key(2), Role.WRITE, "", 0, invite, hashes(first), SIGNERS.get(0));
    Admit clone =
        Admit.sign(DATABASE, key(3), Role.WRITE, "", 0, invite, List.of(), SIGNERS.get(0));
    Membership membership = of(List.of(first, then, clone));
    assertThat(membership.role(key(2))).isNull();
    boolean firstIsLess = MembershipEntry.HASHES.compare(first.hash(), clone.hash()) < 0;
    assertThat(membership.role(key(firstIsLess ? 3 : 1))).isNull();
    assertThat(membership.role(key(firstIsLess ? 1 : 3))).isEqualTo(Role.WRITE);
  }

  @Test
  void floodOfAnAdmin_overTheLimits_doesNotKeepTheFounderOut() {
    Admit admin = admit(0, 1, Role.ADMIN);
    var flood = new ArrayList<MembershipEntry>(List.of(admin));
    Signer flooder = SIGNERS.get(1);
    for (int i = 0; i < Membership.MAX_BY_SIGNER + 10; i++) {
      flood.add(Admit.sign(DATABASE, key(2), Role.READ, "f" + i, 0, NO_INVITE, List.of(), flooder));
    }
    for (int i = 0; i < Membership.MAX_STRAY + 10; i++) {
      flood.add(
          Admit.sign(
              DATABASE, key(3), Role.READ, "s" + i, 0, NO_INVITE, List.of(), SIGNERS.get(4)));
    }
    Membership flooded = of(flood);
    assertThat(flooded.entries()).hasSize(1 + Membership.MAX_BY_SIGNER + Membership.MAX_STRAY);
    Membership removed = flooded.with(List.of(revoke(0, 1, null, Map.of(), admin)));
    assertThat(removed.role(key(1))).isNull();
    assertThat(removed.role(key(2))).isNull();
  }

  private static Change.Link link(int salt) {
    return new Change.Link(List.of(), 100 + salt, Hash.of("body" + salt), salt);
  }

  private static Branch branch(Signer signer, Genesis genesis, Head common, Change.Link... links) {
    Hash hash = common.hash();
    long seq = common.seq();
    for (Change.Link link : links) {
      hash = link.hash(DATABASE, genesis.actor(DATABASE), ++seq, hash);
    }
    return new Branch(List.of(links), signer.sign(hash.bytes()));
  }

  @Test
  void fork_provedByBothSignatures_endsTheActorAtTheLastCommonChange() {
    var genesis = new Genesis(key(2), new byte[16]);
    ActorId actor = genesis.actor(DATABASE);
    Signer signer = SIGNERS.get(2);
    Branch one = branch(signer, genesis, head(4), link(1), link(2));
    Branch other = branch(signer, genesis, head(4), link(3));
    Fork fork = Fork.of(DATABASE, genesis, head(4), one, other);
    Fork earlier =
        Fork.of(
            DATABASE,
            genesis,
            head(2),
            branch(signer, genesis, head(2), link(4)),
            branch(signer, genesis, head(2), link(5)));
    assertThat(fork).isEqualTo(Fork.of(DATABASE, genesis, head(4), other, one));
    assertThat(MembershipEntry.read(new ByteReader(fork.toByteArray()))).isEqualTo(fork);
    Admit writer = admit(0, 2, Role.WRITE);
    Membership membership = of(List.of(writer, fork));
    assertThat(membership.limit(actor, key(2))).isEqualTo(head(4));
    assertThat(membership.with(List.of(earlier)).limit(actor, key(2))).isEqualTo(head(2));
    assertThat(membership.with(List.of(earlier)).forks()).containsExactly(earlier);
    assertThat(membership.with(List.of(earlier)).hash())
        .isEqualTo(of(List.of(earlier, writer, fork)).hash());
    // Nobody else can make one, and a continuation is no fork.
    Signer stranger = SIGNERS.get(3);
    assertThat(
            Fork.of(DATABASE, genesis, head(4), one, branch(stranger, genesis, head(4), link(3)))
                .isAuthentic())
        .isFalse();
    assertThat(Fork.of(DATABASE, genesis, head(4), one, one).isAuthentic()).isFalse();
    assertThat(Fork.of(DATABASE, genesis, head(3), one, other).isAuthentic()).isFalse();
  }

  /** Change {@code seq} of an actor of a device, signed by it. */
  private static SignedHead signed(int device, int nonce, long seq) {
    byte[] nonces = new byte[16];
    nonces[0] = (byte) nonce;
    nonces[1] = (byte) (nonce >>> 8);
    var genesis = new Genesis(key(device), nonces);
    Change.Link link = link((int) seq);
    Hash hash = link.hash(DATABASE, genesis.actor(DATABASE), seq, Hash.ZERO);
    byte[] signature = SIGNERS.get(device).sign(hash.bytes());
    return new SignedHead(seq, Hash.ZERO, link, genesis, signature);
  }

  private static Keep keep(int signer, SignedHead head) {
    return Keep.sign(DATABASE, head, SIGNERS.get(signer));
  }

  @Test
  void removal_ofWhatAWriterCannotTakeBack_endsTheActorLater() {
    Admit admin = admit(0, 1, Role.ADMIN);
    Admit writer = admit(0, 2, Role.WRITE);
    Admit reader = admit(0, 3, Role.READ);
    ActorId actor = signed(2, 0, 1).genesis().actor(DATABASE);
    Revoke removal = revoke(0, 2, null, Map.of(actor, head(5)), admin, writer, reader);
    Membership removed = of(List.of(admin, writer, reader, removal));
    assertThat(removed.limit(actor, key(2))).isEqualTo(head(5));

    Head furthest = signed(2, 0, 9).head(DATABASE, actor);
    Membership kept = removed.with(List.of(keep(1, signed(2, 0, 9)), keep(0, signed(2, 0, 8))));
    assertThat(kept.limit(actor, key(2))).isEqualTo(furthest);
    // Of one signer only the furthest is kept, and one that does not reach so far ends nothing.
    assertThat(kept.with(List.of(keep(1, signed(2, 0, 7)))).hash()).isEqualTo(kept.hash());
    assertThat(removed.with(List.of(keep(1, signed(2, 0, 3)))).limit(actor, key(2)))
        .isEqualTo(head(5));
    // Only who may write now can say so, and a new entry need not have seen it.
    assertThat(removed.with(List.of(keep(3, signed(2, 0, 9)))).limit(actor, key(2)))
        .isEqualTo(head(5));
    assertThat(removed.with(List.of(keep(2, signed(2, 0, 9)))).limit(actor, key(2)))
        .isEqualTo(head(5));
    Revoke demotion = revoke(0, 1, Role.READ, Map.of(), admin);
    assertThat(removed.with(List.of(keep(1, signed(2, 0, 9)), demotion)).limit(actor, key(2)))
        .isEqualTo(head(5));
    assertThat(kept.newest()).isEqualTo(removed.newest());
  }

  @Test
  void keptChanges_notSignedByTheirAuthor_areNoEntry() {
    SignedHead real = signed(2, 0, 9);
    var forged =
        new SignedHead(9, Hash.ZERO, link(10), real.genesis(), SIGNERS.get(1).sign(new byte[32]));
    assertThat(keep(1, real).isAuthentic()).isTrue();
    assertThat(keep(1, forged).isAuthentic()).isFalse();
  }

  @Test
  void keptChanges_overTheLimit_areThoseOfTheLeastActors() {
    Admit writer = admit(0, 1, Role.WRITE);
    var keeps = new ArrayList<Keep>();
    for (int i = 0; i < Membership.MAX_KEPT + 3; i++) {
      keeps.add(keep(1, signed(2, i, 2)));
      keeps.add(keep(1, signed(2, i, 3)));
    }
    var all = new ArrayList<MembershipEntry>(keeps);
    all.add(writer);
    Membership membership = of(all);
    List<ActorId> least =
        keeps.stream().map(Keep::actor).distinct().sorted().limit(Membership.MAX_KEPT).toList();
    assertThat(membership.keeps())
        .allMatch(keep -> keep.head().seq() == 3)
        .extracting(Keep::actor)
        .containsExactlyInAnyOrderElementsOf(least);
    Collections.reverse(all);
    Membership oneByOne = of(List.of());
    for (MembershipEntry entry : all) {
      oneByOne = oneByOne.with(List.of(entry));
    }
    // Those that came before the signer was admitted come again.
    assertThat(oneByOne.with(all).hash()).isEqualTo(membership.hash());
    // Strangers fill nothing.
    assertThat(membership.with(List.of(keep(4, signed(2, 0, 5)))).hash())
        .isEqualTo(membership.hash());
  }

  @Test
  void entry_withOneBitChanged_isNotAuthentic() {
    Admit admin = admit(0, 1, Role.ADMIN);
    Revoke removal = revoke(0, 1, Role.READ, Map.of(actor(1, 0), head(5)), admin);
    for (MembershipEntry entry : List.of(admin, removal, keep(1, signed(2, 0, 9)))) {
      byte[] bytes = entry.toByteArray();
      assertThat(MembershipEntry.read(new ByteReader(bytes))).isEqualTo(entry);
      for (int i = 1; i < bytes.length; i += 7) {
        byte[] changed = bytes.clone();
        changed[i] ^= 1;
        boolean authentic;
        try {
          authentic = MembershipEntry.read(new ByteReader(changed)).isAuthentic();
        } catch (RuntimeException e) {
          authentic = false;
        }
        assertThat(authentic).as("byte %d", i).isFalse();
      }
    }
  }
}
