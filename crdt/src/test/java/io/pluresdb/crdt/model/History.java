package io.pluresdb.crdt.model;

import io.pluresdb.crdt.property.Gen;
import java.util.ArrayList;
import java.util.List;
import java.util.random.RandomGenerator;
import java.util.stream.Collectors;

/**
 * What happens to some replicas, step by step. Every step makes sense whatever came before it, so
 * any part of a history is a history.
 *
 * @param wallMillis each replica's clock at the start
 */
record History(List<Long> wallMillis, List<Step> steps) {
  /** Documents that histories write. */
  static final List<String> IDS = List.of("d", "e", "f");

  private static final List<String> KEYS = List.of("a", "b", "c", "", "a\u0001", "\u0000");
  private static final List<String> VALUES =
      List.of("1", "2", "-7", "\"x\"", "null", "true", "[]", "[1,2]", "[3,2]", "[1,4]", "1.5");

  sealed interface Step {
    /** A transaction; then the change lies in the pool for {@link Deliver}. */
    record Write(int replica, int elapsedMillis, List<EditSpec> edits) implements Step {}

    /** Some change of the pool reaches a replica, perhaps early, perhaps again. */
    record Deliver(int replica, int pick) implements Step {}

    /** Everything one replica has and the other lacks. */
    record Sync(int from, int to) implements Step {}

    record Clock(int replica, int deltaMillis) implements Step {}

    /** Power is lost and comes back. */
    record Crash(int replica) implements Step {}

    record Backup(int replica) implements Step {}

    /** The last backup is put in place. */
    record Restore(int replica) implements Step {}
  }

  @Override
  public String toString() {
    return wallMillis.size()
        + " replicas, clocks "
        + wallMillis
        + steps.stream().map(step -> "\n  " + step).collect(Collectors.joining());
  }

  /** Histories of 2 to 5 replicas. */
  static Gen<History> gen() {
    return new Gen<>() {
      @Override
      public History generate(RandomGenerator random) {
        int replicas = random.nextInt(2, 6);
        var clocks = new ArrayList<Long>();
        for (int i = 0; i < replicas; i++) {
          clocks.add(10_000_000 + (random.nextInt(3) == 0 ? random.nextLong(180_000) : 0L));
        }
        var steps = new ArrayList<Step>();
        int size = random.nextInt(4, 40);
        for (int i = 0; i < size; i++) {
          steps.add(step(random, replicas));
        }
        return new History(clocks, steps);
      }

      @Override
      public Iterable<History> shrink(History history) {
        var candidates = new ArrayList<History>();
        for (List<Step> fewer : Gen.shorter(history.steps)) {
          candidates.add(new History(history.wallMillis, fewer));
        }
        for (int i = 0; i < history.steps.size(); i++) {
          if (history.steps.get(i) instanceof Step.Write(var replica, var elapsed, var edits)) {
            for (List<EditSpec> fewer : Gen.shorter(edits)) {
              if (!fewer.isEmpty()) {
                var steps = new ArrayList<>(history.steps);
                steps.set(i, new Step.Write(replica, elapsed, fewer));
                candidates.add(new History(history.wallMillis, steps));
              }
            }
          }
        }
        return candidates;
      }
    };
  }

  private static Step step(RandomGenerator random, int replicas) {
    int replica = random.nextInt(3) == 0 ? 0 : random.nextInt(replicas);
    int kind = random.nextInt(100);
    if (kind < 50) {
      var edits = new ArrayList<EditSpec>();
      int size = random.nextInt(3) > 0 ? 1 : random.nextInt(1, 5);
      for (int i = 0; i < size; i++) {
        edits.add(edit(random));
      }
      return new Step.Write(replica, random.nextInt(3), edits);
    }
    if (kind < 75) {
      return new Step.Deliver(replica, random.nextInt(1 << 16));
    }
    if (kind < 86) {
      return new Step.Sync(replica, (replica + random.nextInt(1, replicas)) % replicas);
    }
    if (kind < 93) {
      int delta = random.nextInt(6) == 0 ? 900_000 : random.nextInt(-60_000, 120_000);
      return new Step.Clock(replica, delta);
    }
    if (kind < 94) {
      return new Step.Crash(replica);
    }
    // On one replica only, or a restore would hardly ever meet a backup and later writes.
    return random.nextBoolean() ? new Step.Backup(0) : new Step.Restore(0);
  }

  private static EditSpec edit(RandomGenerator random) {
    String id = random.nextInt(4) > 0 ? IDS.getFirst() : Gen.pick(random, IDS);
    int kind = random.nextInt(100);
    if (kind < 50) {
      int embedding = random.nextInt(6) == 0 ? random.nextInt(1, 4) : 0;
      return new EditSpec.Put(id, tree(random, 0), embedding);
    }
    if (kind < 72) {
      return new EditSpec.Patch(id, tree(random, 0));
    }
    if (kind < 84) {
      return new EditSpec.Delete(id);
    }
    // Increments name their path by a dotted text, which the key "" alone cannot begin.
    var path = new ArrayList<String>();
    path.add(Gen.pick(random, KEYS.subList(0, 3)));
    if (random.nextInt(4) == 0) {
      path.add(Gen.pick(random, KEYS));
    }
    return new EditSpec.Increment(id, path, random.nextInt(-2, 6));
  }

  private static Tree tree(RandomGenerator random, int depth) {
    if (random.nextInt(20) < (depth == 0 ? 1 : 11)) {
      return new Tree.Leaf(Gen.pick(random, VALUES));
    }
    Tree.Node node = Tree.node();
    int fields = depth >= 3 ? 0 : random.nextInt(4);
    for (int i = 0; i < fields; i++) {
      String key =
          random.nextInt(8) > 0 ? Gen.pick(random, KEYS.subList(0, 3)) : Gen.pick(random, KEYS);
      node.fields().put(key, tree(random, depth + 1));
    }
    return node;
  }
}
