package io.pluresdb.harness.sim;

import io.pluresdb.harness.check.Invariant;
import io.pluresdb.harness.check.Violation;
import io.pluresdb.harness.fault.Defect;
import io.pluresdb.harness.fault.Fault;
import io.pluresdb.harness.fault.Mutant;
import io.pluresdb.harness.fault.MutantLoader;
import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.function.Consumer;
import java.util.stream.Collectors;

/**
 * The simulator's own controls: with a defence switched off its checks must object, with the
 * invariant that is meant; with it on, the same runs must hold.
 */
public final class Controls {
  /**
   * A defence that is switched off.
   *
   * @param name of a {@link Defect} around the product or a {@link Mutant} of it
   * @param faults what the defence is against
   * @param objections invariants that may be violated without it
   */
  public record Control(String name, Set<Fault> faults, Set<Invariant> objections) {
    static Control of(Defect defect, Set<Fault> faults, Invariant first, Invariant... others) {
      return new Control(defect.name(), faults, EnumSet.of(first, others));
    }

    static Control of(Mutant mutant, Set<Fault> faults, Invariant first, Invariant... others) {
      return new Control(mutant.name(), faults, EnumSet.of(first, others));
    }

    Scenario scenario(long seed, Defect defect) {
      return Scenario.of(seed).with(defect, faults);
    }
  }

  /**
   * What a control came to.
   *
   * @param objections how many seeds each invariant stopped with the defence off
   * @param failingWithDefence seeds that fail with the defence on; none should
   */
  public record Result(
      Control control, int seeds, Map<String, Integer> objections, int failingWithDefence) {
    /** Seeds that fail with the defence off. */
    public int failing() {
      return objections.values().stream().mapToInt(count -> count).sum();
    }

    /** Whether the checks objected, as they should, and only without the defence. */
    public boolean isAsMeant() {
      return failing() > 0
          && failingWithDefence == 0
          && control.objections.stream()
              .map(Invariant::name)
              .collect(Collectors.toSet())
              .containsAll(objections.keySet());
    }

    @Override
    public String toString() {
      return String.format(
          Locale.ROOT,
          "%-24s %6d %8d %8d  %s under %s",
          control.name,
          seeds,
          failing(),
          failingWithDefence,
          objections,
          control.faults);
    }

    String json() {
      String counts =
          objections.entrySet().stream()
              .map(e -> "\"" + e.getKey() + "\":" + e.getValue())
              .collect(Collectors.joining(","));
      return String.format(
          Locale.ROOT,
          "{\"defenceOff\":\"%s\",\"seeds\":%d,\"failing\":%d,\"failingWithDefence\":%d,"
              + "\"invariants\":{%s}}",
          control.name,
          seeds,
          failing(),
          failingWithDefence,
          counts);
    }
  }

  static final String HEADER =
      String.format(Locale.ROOT, "%-24s %6s %8s %8s", "defence off", "seeds", "failing", "with it");

  private Controls() {}

  /** All controls. */
  public static List<Control> all() {
    return CONTROLS;
  }

  private static Set<Fault> under(Fault... faults) {
    var set = EnumSet.noneOf(Fault.class);
    set.addAll(List.of(faults));
    return set;
  }

  private static final List<Control> CONTROLS =
      List.of(
          Control.of(Defect.SYNC_IS_A_LIE, under(Fault.POWER_LOSS), Invariant.I3, Invariant.I14),
          Control.of(Defect.ANCHOR_INSIDE_DATABASE, under(Fault.RESTORE), Invariant.I15),
          Control.of(Defect.NO_RELAXED_MARK, under(Fault.POWER_LOSS), Invariant.I15, Invariant.I4),
          Control.of(Defect.NO_PROBE, under(Fault.LOSS), Invariant.I2),
          Control.of(
              Defect.TORN_BATCH,
              under(Fault.POWER_LOSS, Fault.POWER_LOSS_IN_COMMIT),
              Invariant.I1,
              Invariant.I12,
              Invariant.I7,
              Invariant.I4),
          Control.of(Defect.SILENT_FULL_DISK, under(Fault.DISK_FULL), Invariant.I3, Invariant.I6),
          Control.of(Defect.FORGETFUL_CLOCK, under(Fault.CLOCK_STEP, Fault.RESTART), Invariant.I10),
          Control.of(
              Defect.NO_CHECKSUMS,
              under(Fault.BIT_FLIP),
              Invariant.I1,
              Invariant.I2,
              Invariant.I6,
              Invariant.I7,
              Invariant.I12,
              Invariant.I16),
          Control.of(Defect.UNBOUNDED_LINK, under(Fault.NEVER_READS), Invariant.I11),
          Control.of(
              Mutant.NO_SIGNATURES, under(Fault.FORGE), Invariant.I13, Invariant.I4, Invariant.I11),
          Control.of(Mutant.NO_MEMBERSHIP, under(Fault.FORGE), Invariant.I13),
          Control.of(Mutant.NO_DEPENDENCIES, under(), Invariant.I8, Invariant.I12),
          Control.of(Mutant.DEAF_CLOCK, under(Fault.CLOCK_STEP), Invariant.I10),
          Control.of(Mutant.BLIND_ANCHOR, under(Fault.RESTORE), Invariant.I15),
          Control.of(Mutant.EARLY_ACKNOWLEDGEMENT, under(Fault.CLOCK_JUMP), Invariant.I3),
          Control.of(Mutant.STALE_FINGERPRINT, under(), Invariant.I12),
          Control.of(Mutant.STALE_EDGES, under(), Invariant.I12),
          Control.of(Mutant.LOG_ONLY, under(), Invariant.I6, Invariant.I12),
          Control.of(Mutant.NO_MERGE, under(), Invariant.I6, Invariant.I12, Invariant.I8),
          Control.of(Mutant.FULL_DISK_FORGETS, under(Fault.DISK_FULL), Invariant.I3),
          Control.of(Mutant.IMPATIENT, under(), Invariant.I16),
          Control.of(Mutant.NO_FRONTIERS, under(Fault.LOSS), Invariant.I2),
          Control.of(Mutant.NO_RETRY, under(Fault.CLOCK_JUMP), Invariant.I2),
          Control.of(Mutant.CREDULOUS, under(Fault.FALSE_HEADS), Invariant.I11),
          Control.of(Mutant.FORGETS_ACTORS, under(), Invariant.I4),
          Control.of(Mutant.NO_WAITING, under(Fault.PARTITION), Invariant.I5),
          Control.of(
              Mutant.UNCHECKED_OBSERVATIONS,
              under(Fault.WITHHOLD, Fault.PARTITION),
              Invariant.I1,
              Invariant.I12),
          Control.of(Mutant.NO_ANCHOR, under(), Invariant.I14),
          Control.of(Mutant.REMOVAL_IGNORED, under(Fault.REVOKE), Invariant.I9),
          Control.of(Mutant.REMOVED_IS_SERVED, under(Fault.REVOKE), Invariant.I9),
          Control.of(Mutant.NO_FORK_PROOF, under(Fault.CLONE), Invariant.I2),
          Control.of(Mutant.NO_COMEBACK, under(Fault.CLONE), Invariant.I2, Invariant.I3),
          Control.of(Mutant.CUTS_TOO_MUCH, under(Fault.COMPACT), Invariant.I3),
          Control.of(
              Mutant.NO_KEEPS,
              under(Fault.REVOKE, Fault.PARTITION, Fault.CUT),
              Invariant.I2,
              Invariant.I9),
          Control.of(
              Mutant.HASTY_REMOVAL,
              under(Fault.BIT_FLIP, Fault.DEMOTE, Fault.COMPACT),
              Invariant.I2),
          Control.of(
              Mutant.UNCHECKED_HEADS, under(Fault.FALSE_SNAPSHOT), Invariant.I4, Invariant.I12));

  /**
   * Runs controls over seeds from {@code firstSeed} on, with the defence off and on.
   *
   * @param told each result as soon as it is there
   */
  public static List<Result> run(
      List<Control> controls, long firstSeed, int seeds, Consumer<Result> told) {
    var withDefence = new HashMap<Set<Fault>, Integer>();
    var results = new ArrayList<Result>();
    for (Control control : controls) {
      boolean mutant = Arrays.stream(Mutant.values()).anyMatch(m -> m.name().equals(control.name));
      Map<String, Integer> off =
          mutant
              ? mutated(control, firstSeed, seeds)
              : objections(control, Defect.valueOf(control.name), firstSeed, seeds);
      int on =
          withDefence.computeIfAbsent(
              control.faults,
              faults ->
                  objections(control, Defect.NONE, firstSeed, seeds).values().stream()
                      .mapToInt(count -> count)
                      .sum());
      var result = new Result(control, seeds, off, on);
      told.accept(result);
      results.add(result);
    }
    return results;
  }

  /** As {@link #objectionsHere}, in a world of its own where the product is mutated. */
  private static Map<String, Integer> mutated(Control control, long firstSeed, int seeds) {
    try {
      Method here =
          new MutantLoader(Mutant.valueOf(control.name))
              .loadClass(Controls.class.getName())
              .getMethod("objectionsHere", String.class, long.class, int.class);
      var objections = new TreeMap<String, Integer>();
      for (Map.Entry<?, ?> entry :
          ((Map<?, ?>) here.invoke(null, control.name, firstSeed, seeds)).entrySet()) {
        objections.put((String) entry.getKey(), (Integer) entry.getValue());
      }
      return objections;
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException("mutant " + control.name + " does not run: " + e, e);
    }
  }

  /** Which invariants the product as it is loaded here violates, under a control's faults. */
  public static Map<String, Integer> objectionsHere(String control, long firstSeed, int seeds) {
    Control named = CONTROLS.stream().filter(c -> c.name.equals(control)).findFirst().orElseThrow();
    return objections(named, Defect.NONE, firstSeed, seeds);
  }

  private static Map<String, Integer> objections(
      Control control, Defect defect, long firstSeed, int seeds) {
    var objections = new TreeMap<String, Integer>();
    SimMain.Summary summary = SimMain.run(firstSeed, seeds, seed -> control.scenario(seed, defect));
    for (Outcome outcome : summary.failures()) {
      Violation violation = outcome.violation();
      if (violation != null) {
        objections.merge(violation.invariant().name(), 1, Integer::sum);
      }
    }
    return objections;
  }
}
