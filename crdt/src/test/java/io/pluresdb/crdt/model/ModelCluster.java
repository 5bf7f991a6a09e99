package io.pluresdb.crdt.model;

import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** The model's replicas, driven by the same steps, against what the product showed. */
final class ModelCluster {
  private final List<Model> replicas = new ArrayList<>();
  private final List<Model.Change> pool = new ArrayList<>();
  private final Set<String> actors = new HashSet<>();

  private ModelCluster(History history, @Nullable Mutant mutant) {
    history.wallMillis().forEach(millis -> replicas.add(new Model(millis, mutant)));
  }

  /** Where the model shows something else than the product, or null where it never does. */
  static @Nullable String difference(History history, Cluster product, @Nullable Mutant mutant) {
    var model = new ModelCluster(history, mutant);
    List<Cluster.Observation> expected = product.observations;
    int at = 0;
    for (History.Step step : history.steps()) {
      Cluster.Observation observation = expected.get(at++);
      String shown = model.play(step, observation.actor());
      if (!shown.equals(observation.seen())) {
        return difference("step " + at + ", " + step, observation.seen(), shown);
      }
    }
    long latest = model.replicas.stream().mapToLong(replica -> replica.wallMillis).max().orElse(0);
    for (int i = 0; i < model.replicas.size(); i++) {
      Model replica = model.replicas.get(i);
      replica.wallMillis = latest + 3_600_000;
      Cluster.rotated(model.pool, i).forEach(replica::deliver);
      replica.retry();
      String shown = replica.observe();
      if (!shown.equals(expected.get(at++).seen())) {
        return difference("the end of replica " + i, expected.get(at - 1).seen(), shown);
      }
    }
    return null;
  }

  /** Every change of a history, in the order of writing, as the model made it. */
  static List<Model.Change> changes(History history, Cluster product) {
    var model = new ModelCluster(history, null);
    for (int i = 0; i < history.steps().size(); i++) {
      model.play(history.steps().get(i), product.observations.get(i).actor());
    }
    return model.pool;
  }

  private static String difference(String where, String product, String model) {
    return "after " + where + "\nproduct shows\n" + product + "\nmodel shows\n" + model;
  }

  private String play(History.Step step, @Nullable String actor) {
    return switch (step) {
      case History.Step.Write(var replica, var elapsed, var edits) -> {
        Model model = replicas.get(replica);
        model.wallMillis += elapsed;
        Model.Change change = model.write(edits, actor == null ? "refused" : actor);
        if (change != null) {
          if (change.seq() == 1 && !actors.add(change.actor())) {
            yield "actor " + change.actor() + " begins twice";
          }
          pool.add(change);
          if (actor == null || !actor.equals(change.actor())) {
            yield "written by " + change.actor() + ", but by the product's " + actor;
          }
        } else if (actor != null) {
          yield "refused, but not by the product";
        }
        yield model.observe();
      }
      case History.Step.Deliver(var replica, var pick) -> {
        if (!pool.isEmpty()) {
          replicas.get(replica).deliver(pool.get(pick % pool.size()));
        }
        yield replicas.get(replica).observe();
      }
      case History.Step.Sync(var from, var to) -> {
        replicas.get(to).join(replicas.get(from));
        yield replicas.get(to).observe();
      }
      case History.Step.Clock(var replica, var delta) -> {
        replicas.get(replica).wallMillis += delta;
        replicas.get(replica).retry();
        yield replicas.get(replica).observe();
      }
      case History.Step.Crash(var replica) -> {
        replicas.get(replica).crash();
        yield replicas.get(replica).observe();
      }
      case History.Step.Backup(var replica) -> {
        replicas.get(replica).backUp();
        yield replicas.get(replica).observe();
      }
      case History.Step.Restore(var replica) -> {
        replicas.get(replica).restore();
        yield replicas.get(replica).observe();
      }
    };
  }
}
