package io.pluresdb.harness.sim;

import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.harness.check.Ledger.Standing;
import io.pluresdb.harness.fault.Defect;
import io.pluresdb.harness.fault.Fault;
import io.pluresdb.harness.sim.Action.Inject;
import io.pluresdb.harness.sim.Action.Kind;
import io.pluresdb.harness.sim.Action.Write;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import org.jspecify.annotations.Nullable;

/**
 * What a simulation is made of; a seed and a scenario determine every event.
 *
 * @param seed decides the schedule and all chances of the network
 * @param replicas 2 to 16
 * @param writes how many the schedule holds
 * @param faultMillis virtual length of the phase in which things go wrong
 * @param faultCount how many faults the schedule holds
 * @param faults kinds that may occur; each seed draws some of them
 * @param defect the defence that is switched off
 * @param windowBytes credit that peers give each other, 0 for the protocol's own
 * @param liars devices besides the replicas that do not run the product
 * @param clones copies that may be made of data directories, each a further device
 * @param memory how long devices remember; null where nothing leaves a log
 */
public record Scenario(
    long seed,
    int replicas,
    int writes,
    long faultMillis,
    int faultCount,
    Set<Fault> faults,
    Defect defect,
    int windowBytes,
    List<Standing> liars,
    int clones,
    @Nullable CompactionSettings memory) {
  private static final int HOT_DOCUMENTS = 5;
  private static final int PAIRS = 3;
  private static final int MAX_REPLICAS = 16;
  private static final long FAULT_MILLIS = 40_000;

  /** Where devices say what they have: they do so when it has been quiet for ten seconds. */
  private static final long LONG_FAULT_MILLIS = 100_000;

  public Scenario {
    if (replicas < 2 || replicas > MAX_REPLICAS) {
      throw new IllegalArgumentException(
          "replicas must be 2 to " + MAX_REPLICAS + ", but is " + replicas);
    }
    faults = Set.copyOf(faults);
    liars = List.copyOf(liars);
  }

  /** The standard scenario of a seed: size and kinds of faults are drawn from it. */
  public static Scenario of(long seed) {
    var random = new SplittableRandom(seed ^ 0x5eed_0001L);
    var fresh = new SplittableRandom(seed ^ 0x5eed_0002L);
    var faults = EnumSet.noneOf(Fault.class);
    boolean faithful = random.nextBoolean();
    boolean members = random.nextInt(3) == 0;
    boolean copies = random.nextInt(6) == 0;
    // What is cut above the cut cannot be taken back; see Limits.
    boolean ends = members || copies;
    boolean forgets = ends ? fresh.nextInt(2) == 0 : random.nextInt(5) < 2;
    List<Standing> liars =
        switch (random.nextInt(5)) {
          case 0 -> List.of(Standing.MEMBER);
          case 1 -> List.of(Standing.OUTSIDER);
          case 2 -> List.of(Standing.MEMBER, Standing.OUTSIDER);
          default -> List.of();
        };
    for (Fault fault : Fault.values()) {
      boolean possible =
          switch (fault) {
            case LOSS, REPEAT, REORDER, CORRUPT -> !faithful;
            case NEVER_READS -> random.nextInt(5) == 0;
            case EQUIVOCATE ->
                liars.contains(Standing.MEMBER)
                    && (forgets || members ? fresh : random).nextInt(5) == 0;
            case WITHHOLD -> !liars.isEmpty();
            case REVOKE, DEMOTE, RIVALS, READMIT, ADOPT -> members;
            case CLONE, ROLLBACK -> copies;
            case COMPACT, FALSE_SNAPSHOT -> forgets;
            case CUT -> forgets && !ends;
            default -> !fault.isLie() || !liars.isEmpty();
          };
      if (random.nextInt(100) < 55 && possible) {
        faults.add(fault);
      }
    }
    if (forgets && faults.contains(Fault.EQUIVOCATE)) {
      faults.remove(Fault.CUT);
      ends = true;
    }
    int replicas = 3 + random.nextInt(3);
    int window = random.nextInt(3) == 0 ? 2_048 : 0;
    return new Scenario(
        seed,
        replicas,
        120,
        forgets ? LONG_FAULT_MILLIS : FAULT_MILLIS,
        14,
        faults,
        Defect.NONE,
        window,
        liars,
        faults.contains(Fault.CLONE) ? 1 + random.nextInt(2) : 0,
        forgets ? memory(random.nextBoolean() && !ends) : null);
  }

  /** Whether a device may be left behind because its lease ended. */
  boolean cutsFreely() {
    return memory != null && memory.leaseMillis() < CompactionSettings.DEFAULT.leaseMillis();
  }

  /** Nothing stays in a log that all members have; some leases end while the schedule runs. */
  private static CompactionSettings memory(boolean expires) {
    long lease =
        expires ? CompactionSettings.MIN_LEASE_MILLIS : CompactionSettings.DEFAULT.leaseMillis();
    return new CompactionSettings(lease, 0);
  }

  /** Whether devices lose what they may. */
  boolean removes() {
    return faults.contains(Fault.REVOKE)
        || faults.contains(Fault.DEMOTE)
        || faults.contains(Fault.RIVALS);
  }

  /** Whether others than the founder may admit and remove. */
  boolean hasAdmins() {
    return faults.contains(Fault.RIVALS);
  }

  /** Devices that run the product, clones included. */
  public int devices() {
    return replicas + clones;
  }

  /** With other faults; a member and an outsider lie where the faults are lies. */
  public Scenario with(Defect off, Set<Fault> only) {
    boolean lies = only.stream().anyMatch(Fault::isLie);
    boolean forgets = only.contains(Fault.COMPACT) || only.contains(Fault.CUT);
    return new Scenario(
        seed,
        replicas,
        writes,
        forgets ? LONG_FAULT_MILLIS : FAULT_MILLIS,
        faultCount,
        only,
        off,
        windowBytes,
        lies ? List.of(Standing.MEMBER, Standing.OUTSIDER) : List.of(),
        only.contains(Fault.CLONE) ? 1 : 0,
        forgets ? memory(false) : null);
  }

  public Scenario withWindow(int bytes) {
    return new Scenario(
        seed,
        replicas,
        writes,
        faultMillis,
        faultCount,
        faults,
        defect,
        bytes,
        liars,
        clones,
        memory);
  }

  public Scenario withReplicas(int count) {
    return new Scenario(
        seed,
        count,
        writes,
        faultMillis,
        faultCount,
        faults,
        defect,
        windowBytes,
        liars,
        clones,
        memory);
  }

  /** The writes and faults, by time. */
  public List<Action> schedule() {
    var random = new SplittableRandom(seed);
    var actions = new ArrayList<Action>();
    int id = 0;
    while (id < writes) {
      long at = 200 + random.nextLong(faultMillis - 200);
      int node = random.nextInt(devices());
      int burst = random.nextInt(4) == 0 ? 2 + random.nextInt(6) : 1;
      for (int i = 0; i < burst && id < writes; i++) {
        actions.add(write(random, at, node, id++));
      }
    }
    // In a fixed order: a set's order may differ between virtual machines.
    var kinds = faults.stream().filter(fault -> !fault.isLie()).sorted().toList();
    var lies = faults.stream().filter(Fault::isLie).sorted().toList();
    if (kinds.contains(Fault.LATE_ADMISSION)) {
      long at = 2_000 + random.nextLong(faultMillis / 2);
      actions.add(new Inject(at, Fault.LATE_ADMISSION, replicas - 1, 0, 0, 0));
    }
    if (kinds.contains(Fault.NEVER_READS)) {
      long at = 1_000 + random.nextLong(faultMillis / 2);
      actions.add(new Inject(at, Fault.NEVER_READS, replicas - 1, 0, 0, 0));
    }
    for (int i = 0; i < clones; i++) {
      long at = 2_000 + random.nextLong(faultMillis / 2);
      // How long the copy is on its own at first.
      long alone = random.nextLong(8_000);
      int node = random.nextInt(replicas);
      actions.add(new Inject(at, Fault.CLONE, node, replicas + i, alone, 0));
    }
    for (int i = 0; i < faultCount && !kinds.isEmpty(); i++) {
      fault(random, kinds.get(random.nextInt(kinds.size())), actions);
    }
    for (Fault lie : liars.isEmpty() ? List.<Fault>of() : lies) {
      for (int i = 0; i <= random.nextInt(2); i++) {
        long at = 500 + random.nextLong(faultMillis - 2_000);
        int liar = devices() + random.nextInt(liars.size());
        long millis = 1_000 + random.nextLong(15_000);
        actions.add(
            new Inject(at, lie, liar, random.nextInt(replicas), millis, random.nextInt(1_001)));
      }
    }
    actions.sort(Comparator.comparingLong(Action::atMillis));
    return actions;
  }

  private static Write write(SplittableRandom random, long at, int node, int id) {
    int roll = random.nextInt(100);
    Kind kind =
        roll < 30
            ? Kind.PUT
            : roll < 50
                ? Kind.PATCH
                : roll < 62
                    ? Kind.DELETE
                    : roll < 74
                        ? Kind.INCREMENT
                        : roll < 86 ? Kind.PAIR_PUT : roll < 91 ? Kind.PAIR_DELETE : Kind.BATCH;
    String document =
        switch (kind) {
          case PAIR_PUT, PAIR_DELETE -> "pair:" + random.nextInt(PAIRS);
          case PUT ->
              random.nextInt(3) == 0 ? "cold:" + id : "hot:" + random.nextInt(HOT_DOCUMENTS);
          case PATCH, DELETE, INCREMENT, BATCH ->
              random.nextInt(6) == 0
                  ? "cold:" + random.nextInt(id + 1)
                  : "hot:" + random.nextInt(HOT_DOCUMENTS);
        };
    return new Write(at, node, id, kind, document, random.nextInt(4) == 0);
  }

  private void fault(SplittableRandom random, Fault fault, List<Action> actions) {
    long at = 500 + random.nextLong(faultMillis - 2_000);
    long rest = faultMillis - at;
    int node = random.nextInt(replicas);
    int other = (node + 1 + random.nextInt(replicas - 1)) % replicas;
    long millis = Math.min(rest, 500 + random.nextLong(12_000));
    int amount =
        switch (fault) {
          case PARTITION -> 1 + random.nextInt((1 << replicas) - 2);
          case CLOCK_STEP -> random.nextInt(1_140_000) - 570_000;
          case CLOCK_JUMP ->
              (random.nextInt(3) == 0 ? -1 : 1) * (660_000 + random.nextInt(600_000));
          case LOSS, REPEAT, REORDER -> 5 + random.nextInt(50);
          case CORRUPT -> 5 + random.nextInt(15);
          default -> random.nextInt(1_001);
        };
    switch (fault) {
      case LATE_ADMISSION, NEVER_READS, CLONE -> {} // Once per schedule, or per clone.
      case RESTORE, RESTORE_WITHOUT_ANCHOR, BIT_FLIP, ROLLBACK -> {
        // The amount is when the copy is taken: what was written between is rolled back.
        long taken = at - random.nextLong(at);
        actions.add(new Inject(at, fault, node, other, Math.min(rest, 3_000), (int) taken));
      }
      default -> actions.add(new Inject(at, fault, node, other, millis, amount));
    }
  }
}
