package io.pluresdb.crdt.model;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/**
 * A replica as the set of its surviving dots. Slow and simple on purpose, and shares no code with
 * the product: where the two disagree, one of them is wrong.
 */
final class Model {
  private static final long MAX_AHEAD_MILLIS = 600_000;

  record Dot(String actor, long seq, int index) implements Comparable<Dot> {
    @Override
    public int compareTo(Dot other) {
      return Comparator.comparing(Dot::actor)
          .thenComparingLong(Dot::seq)
          .thenComparingInt(Dot::index)
          .compare(this, other);
    }
  }

  enum Space {
    EXISTS,
    EMBEDDING,
    FIELD
  }

  record Register(String document, Space space, List<String> path) {}

  record Survivor(Register register, Dot dot, long time, String value) {
    boolean isIncrement() {
      return value.startsWith("+");
    }

    boolean isObject() {
      return value.equals("{}");
    }
  }

  /** Takes away the observed dots of a register and leaves something there, or nothing. */
  record Step(Register register, Set<Dot> observed, @Nullable Survivor left) {}

  record Change(
      String actor,
      long seq,
      Map<String, Long> seen,
      long time,
      List<Step> steps,
      List<EditSpec> edits) {}

  /** Of two survivors of one register the greater is shown. */
  private static final Comparator<Survivor> STAMP =
      Comparator.comparingLong(Survivor::time).thenComparing(Survivor::dot);

  private final @Nullable Mutant mutant;
  private final Comparator<Survivor> stamp;

  Set<Survivor> survivors = new HashSet<>();
  Map<String, Long> seen = new TreeMap<>();
  long wallMillis;
  private Map<String, Map<Long, Change>> log = new HashMap<>();
  private long time;
  private long storedTime;
  private @Nullable String actor;
  private List<Change> waiting = new ArrayList<>();

  // Not part of what a backup holds.
  private @Nullable String anchorActor;
  private long anchorSeq;
  private @Nullable Model backup;

  Model(long wallMillis, @Nullable Mutant mutant) {
    this.wallMillis = wallMillis;
    this.mutant = mutant;
    stamp = is(Mutant.TIES_BY_ACTOR) ? Comparator.comparing(Survivor::dot) : STAMP;
  }

  private boolean is(Mutant broken) {
    return mutant == broken;
  }

  // ---- Local writes

  private static final class NotFound extends Exception {
    private static final long serialVersionUID = 1;
  }

  /**
   * A transaction.
   *
   * @param fresh the name of the actor if this is its first write
   * @return null when it was refused
   */
  @Nullable Change write(List<EditSpec> edits, String fresh) {
    time = is(Mutant.WALL_CLOCK_ONLY) ? wallMillis << 16 : Math.max(time + 1, wallMillis << 16);
    String author = actor == null ? fresh : actor;
    long seq = seen.getOrDefault(author, 0L) + 1;
    var before = new HashSet<>(survivors);
    var steps = new ArrayList<Step>();
    try {
      var dots = new Dots(author, seq, time, is(Mutant.DOTS_WITHOUT_INDEX));
      for (EditSpec edit : edits) {
        for (Step step : plan(edit, dots)) {
          play(step);
          steps.add(step);
        }
      }
    } catch (NotFound e) {
      if (!is(Mutant.BATCH_IN_PARTS)) {
        survivors = before;
      }
      return null;
    }
    actor = author;
    var change = new Change(author, seq, new TreeMap<>(seen), time, steps, edits);
    integrated(change);
    anchorActor = author;
    anchorSeq = seq;
    return change;
  }

  /** Hands out the dots of one change. */
  private static final class Dots {
    final String actor;
    final long seq;
    final long time;
    private final boolean same;
    private int next;

    Dots(String actor, long seq, long time, boolean same) {
      this.actor = actor;
      this.seq = seq;
      this.time = time;
      this.same = same;
    }

    Survivor left(Register register, String value) {
      return new Survivor(register, new Dot(actor, seq, same ? 0 : next++), time, value);
    }
  }

  private List<Step> plan(EditSpec edit, Dots dots) throws NotFound {
    String id = edit.id();
    if (!(edit instanceof EditSpec.Put) && !exists(id)) {
      throw new NotFound();
    }
    return switch (edit) {
      case EditSpec.Put put -> put(put, dots);
      case EditSpec.Patch(var document, var patch) -> patch(id, patch, dots);
      case EditSpec.Delete delete -> {
        var steps = new ArrayList<Step>();
        steps.add(remove(new Register(id, Space.EXISTS, List.of())));
        if (is(Mutant.DELETE_REMOVES_FIELDS)) {
          fields(id).forEach(register -> steps.add(remove(register)));
        }
        yield steps;
      }
      case EditSpec.Increment(var document, var path, var amount) -> {
        var counter = new Register(id, Space.FIELD, path);
        var steps = new ArrayList<Step>(assertExists(id, dots));
        Set<Dot> observed = is(Mutant.COUNTER_IS_A_VALUE) ? dots(counter) : Set.of();
        steps.add(new Step(counter, observed, dots.left(counter, "+" + amount)));
        yield steps;
      }
    };
  }

  private List<Step> assertExists(String id, Dots dots) {
    var register = new Register(id, Space.EXISTS, List.of());
    return is(Mutant.EXISTENCE_NOT_REASSERTED) && exists(id)
        ? List.of()
        : List.of(assign(register, "", dots));
  }

  private List<Step> put(EditSpec.Put put, Dots dots) {
    String id = put.id();
    var steps = new ArrayList<Step>(assertExists(id, dots));
    var embedding = new Register(id, Space.EMBEDDING, List.of());
    if (put.embedding() > 0) {
      steps.add(assign(embedding, Integer.toString(put.embedding()), dots));
    }
    Map<List<String>, String> shown = exists(id) ? flat(view(id).tree) : Map.of();
    Map<List<String>, String> wanted = flat(put.document());
    var fields = new ArrayList<Step>();
    var paths = new TreeSet<List<String>>(Tree::compare);
    paths.addAll(wanted.keySet());
    fields(id).forEach(register -> paths.add(register.path()));
    for (List<String> path : paths) {
      var register = new Register(id, Space.FIELD, path);
      String value = wanted.get(path);
      if (value == null) {
        fields.add(remove(register));
      } else if (!value.equals(shown.get(path)) || is(Mutant.PUT_REWRITES_UNCHANGED)) {
        fields.add(assign(register, value, dots));
      }
    }
    boolean changed = !fields.isEmpty() || !exists(id);
    if (put.embedding() == 0 && !dots(embedding).isEmpty() && changed) {
      steps.add(remove(embedding));
    }
    steps.addAll(fields);
    return steps;
  }

  private List<Step> patch(String id, Tree patch, Dots dots) {
    var steps = new ArrayList<Step>(assertExists(id, dots));
    Tree before = view(id).tree;
    Map<List<String>, String> shown = flat(before);
    Map<List<String>, String> wanted = flat(Tree.mergePatch(before, patch));
    var touched = new HashSet<List<String>>();
    wanted.forEach(
        (path, value) -> {
          if (!value.equals(shown.get(path))) {
            touched.add(path);
            steps.add(assign(new Register(id, Space.FIELD, path), value, dots));
          }
        });
    shown.keySet().stream().filter(path -> !wanted.containsKey(path)).forEach(touched::add);
    for (Register register : fields(id)) {
      List<String> path = register.path();
      boolean related = touched.stream().anyMatch(t -> isWithin(t, path) || isWithin(path, t));
      boolean marker =
          at(register).stream().allMatch(Survivor::isObject)
              && wanted.keySet().stream().anyMatch(w -> isWithin(w, path));
      boolean loser = is(Mutant.PATCH_KEEPS_LOSERS) && !shown.containsKey(path);
      if (!wanted.containsKey(path) && related && !marker && !loser) {
        steps.add(remove(register));
      }
    }
    return steps;
  }

  private static boolean isWithin(List<String> path, List<String> ancestor) {
    return path.size() >= ancestor.size() && path.subList(0, ancestor.size()).equals(ancestor);
  }

  private Step assign(Register register, String value, Dots dots) {
    return new Step(register, dots(register), dots.left(register, value));
  }

  private Step remove(Register register) {
    return new Step(register, dots(register), null);
  }

  // ---- What survives

  private List<Survivor> at(Register register) {
    return survivors.stream().filter(s -> s.register.equals(register)).toList();
  }

  private Set<Dot> dots(Register register) {
    return at(register).stream().map(Survivor::dot).collect(Collectors.toSet());
  }

  private Set<Register> fields(String id) {
    return survivors.stream()
        .map(Survivor::register)
        .filter(r -> r.document.equals(id) && r.space == Space.FIELD)
        .collect(Collectors.toSet());
  }

  private boolean exists(String id) {
    return !dots(new Register(id, Space.EXISTS, List.of())).isEmpty();
  }

  private void play(Step step) {
    survivors.removeIf(s -> s.register.equals(step.register) && step.observed.contains(s.dot));
    if (step.left != null) {
      survivors.add(step.left);
    }
  }

  private void playForeign(Change change) {
    if (is(Mutant.RECEIVER_SIDE_DIFFERENCE)) {
      try {
        var dots = new Dots(change.actor, change.seq, change.time, false);
        for (EditSpec edit : change.edits) {
          plan(edit, dots).forEach(this::play);
        }
      } catch (NotFound e) {
        return;
      }
      return;
    }
    for (Step step : change.steps) {
      Set<Dot> observed = step.observed;
      Survivor left = step.left;
      List<Survivor> here = at(step.register);
      if (is(Mutant.OBSERVED_AT_RECEIVER)
          || (is(Mutant.DELETE_WITHOUT_OBSERVED) && left == null)
          || (is(Mutant.REMOTE_THROUGH_LOCAL_PUT) && (left == null || !left.isIncrement()))) {
        observed = dots(step.register);
      }
      if (is(Mutant.REMOTE_THROUGH_LOCAL_PUT) && left != null) {
        time = Math.max(time + 1, wallMillis << 16);
        left = new Survivor(left.register, left.dot, time, left.value);
      }
      if (is(Mutant.DELETE_WINS) && left == null && step.register.space == Space.EXISTS) {
        observed = dots(step.register);
      }
      if (is(Mutant.VECTOR_CLOCK_THEN_WALL_CLOCK) && left != null) {
        Survivor incoming = left;
        Set<Dot> replaced = observed;
        if (here.stream().anyMatch(s -> !replaced.contains(s.dot) && s.time > incoming.time)) {
          continue;
        }
        observed = dots(step.register);
      }
      play(new Step(step.register, observed, left));
    }
  }

  private void truncate() {
    if (is(Mutant.SIBLINGS_TRUNCATED)) {
      var greatest = new HashMap<Register, Survivor>();
      survivors.forEach(
          s -> greatest.merge(s.register, s, (a, b) -> stamp.compare(a, b) > 0 ? a : b));
      survivors = new HashSet<>(greatest.values());
    }
  }

  // ---- Replication

  private void integrated(Change change) {
    seen.merge(change.actor, change.seq, Math::max);
    log.computeIfAbsent(change.actor, a -> new TreeMap<>()).put(change.seq, change);
    truncate();
    storedTime = time;
  }

  private boolean isAhead(Change change) {
    return (change.time >>> 16) > wallMillis + MAX_AHEAD_MILLIS;
  }

  /** A change arrives. */
  void deliver(Change change) {
    if (accept(change)) {
      retry();
    } else if (isMissing(change)) {
      waiting.add(change);
      if (is(Mutant.FUTURE_ADVANCES_CLOCK)) {
        time = Math.max(time, change.time);
      }
    }
  }

  private boolean isMissing(Change change) {
    return seen.getOrDefault(change.actor, 0L) < change.seq;
  }

  private boolean accept(Change change) {
    boolean ready =
        seen.getOrDefault(change.actor, 0L) == change.seq - 1
            && change.seen.entrySet().stream()
                .allMatch(e -> seen.getOrDefault(e.getKey(), 0L) >= e.getValue());
    if (is(Mutant.CAUSAL_ORDER_IGNORED)) {
      ready = !log.getOrDefault(change.actor, Map.of()).containsKey(change.seq);
    }
    if (is(Mutant.DUPLICATES_APPLIED) && !isMissing(change)) {
      playForeign(change);
      return false;
    }
    if (!ready || (isAhead(change) && !is(Mutant.FUTURE_NOT_HELD))) {
      return false;
    }
    playForeign(change);
    if (!is(Mutant.FOREIGN_TIME_NOT_OBSERVED)) {
      time = Math.max(time, change.time);
    }
    integrated(change);
    return true;
  }

  /** What waits is looked at again. */
  void retry() {
    boolean progress = true;
    while (progress) {
      progress = waiting.removeIf(change -> !isMissing(change) || accept(change));
    }
  }

  /** Takes over what another replica has: a join of states, no replay. */
  void join(Model other) {
    var missing = new ArrayList<Change>();
    other
        .log
        .values()
        .forEach(
            changes -> changes.values().stream().filter(this::isMissing).forEach(missing::add));
    if (missing.isEmpty() || missing.stream().anyMatch(this::isAhead)) {
      return;
    }
    survivors = joined(survivors, seen, other.survivors, other.seen);
    for (Change change : missing) {
      time = Math.max(time, change.time);
      integrated(change);
    }
    retry();
  }

  private Set<Survivor> joined(
      Set<Survivor> mine,
      Map<String, Long> mySeen,
      Set<Survivor> theirs,
      Map<String, Long> seenThere) {
    var joined = new HashSet<Survivor>();
    boolean union = is(Mutant.SNAPSHOT_BY_UNION);
    mine.stream()
        .filter(s -> union || theirs.contains(s) || !covers(seenThere, s))
        .forEach(joined::add);
    theirs.stream()
        .filter(s -> union || mine.contains(s) || !covers(mySeen, s))
        .forEach(joined::add);
    return joined;
  }

  private static boolean covers(Map<String, Long> seen, Survivor survivor) {
    return seen.getOrDefault(survivor.dot.actor, 0L) >= survivor.dot.seq;
  }

  // ---- Life and death

  void crash() {
    time = storedTime;
    waiting = new ArrayList<>();
  }

  void backUp() {
    backup = copy();
  }

  private Model copy() {
    var copy = new Model(wallMillis, mutant);
    copy.survivors = new HashSet<>(survivors);
    copy.seen = new TreeMap<>(seen);
    log.forEach((author, changes) -> copy.log.put(author, new TreeMap<>(changes)));
    copy.time = storedTime;
    copy.storedTime = storedTime;
    copy.actor = actor;
    return copy;
  }

  void restore() {
    if (backup == null) {
      return;
    }
    Model old = backup.copy();
    survivors = old.survivors;
    seen = old.seen;
    log = old.log;
    time = old.time;
    storedTime = old.storedTime;
    waiting = new ArrayList<>();
    actor = old.actor;
    boolean behind =
        actor != null && (!actor.equals(anchorActor) || seen.getOrDefault(actor, 0L) < anchorSeq);
    if (behind && !is(Mutant.ACTOR_REUSED_AFTER_RESTORE)) {
      actor = null;
    }
  }

  // ---- What a reader sees

  private static final class View {
    Tree tree = Tree.node();
    final List<Survivor> conflicts = new ArrayList<>();
  }

  /** A place in the document, with all that survives at it and below. */
  private static final class Place {
    final List<Survivor> here = new ArrayList<>();
    final TreeMap<String, Place> below = new TreeMap<>();

    List<Survivor> allBelow() {
      var all = new ArrayList<Survivor>();
      below
          .values()
          .forEach(
              place -> {
                all.addAll(place.here);
                all.addAll(place.allBelow());
              });
      return all;
    }
  }

  private View view(String id) {
    var root = new Place();
    for (Survivor survivor : survivors) {
      if (survivor.register.document.equals(id) && survivor.register.space == Space.FIELD) {
        Place place = root;
        for (String key : survivor.register.path) {
          place = place.below.computeIfAbsent(key, k -> new Place());
        }
        place.here.add(survivor);
      }
    }
    var view = new View();
    if (!root.here.isEmpty() || !root.below.isEmpty()) {
      view.tree = show(root, view.conflicts);
    }
    return view;
  }

  private Tree show(Place place, List<Survivor> conflicts) {
    if (place.below.isEmpty()) {
      return showValue(place.here, conflicts);
    }
    List<Survivor> below = place.allBelow();
    Survivor value = greatest(place.here, s -> !s.isObject());
    Survivor object = greatest(place.here, Survivor::isObject);
    var subtree = new ArrayList<>(below);
    if (object != null) {
      subtree.add(object);
    }
    Survivor top = greatest(subtree, s -> true);
    boolean valueWins =
        value != null
            && (is(Mutant.VALUE_ALWAYS_WINS) || top == null || stamp.compare(value, top) > 0);
    if (valueWins) {
      conflicts.addAll(below);
      return showValue(place.here, conflicts);
    }
    place.here.stream().filter(s -> !s.isObject()).forEach(conflicts::add);
    Tree.Node node = Tree.node();
    place.below.forEach((key, child) -> node.fields().put(key, show(child, conflicts)));
    return is(Mutant.ARRAYS_BY_INDEX) ? asArray(node) : node;
  }

  private Tree showValue(List<Survivor> here, List<Survivor> conflicts) {
    Survivor value = greatest(here, s -> !s.isIncrement());
    Survivor increment = greatest(here, Survivor::isIncrement);
    boolean number = value != null && value.value.matches("-?[0-9]+");
    boolean counts =
        increment != null && (value == null || number || stamp.compare(increment, value) > 0);
    if (counts) {
      long sum = number && value != null ? Long.parseLong(value.value) : 0;
      for (Survivor survivor : here) {
        if (survivor.isIncrement()) {
          sum += Long.parseLong(survivor.value.substring(1));
        } else if (!survivor.equals(value) || !number) {
          conflicts.add(survivor);
        }
      }
      return new Tree.Leaf(Long.toString(sum));
    }
    here.stream().filter(s -> !s.equals(value)).forEach(conflicts::add);
    String text = value == null ? "null" : value.value;
    return text.equals("{}") ? Tree.node() : new Tree.Leaf(text);
  }

  private @Nullable Survivor greatest(List<Survivor> among, Predicate<Survivor> which) {
    return among.stream().filter(which).max(stamp).orElse(null);
  }

  // Only for the mutant that merges arrays by index.
  private Map<List<String>, String> flat(Tree tree) {
    Map<List<String>, String> flat = Tree.flat(tree);
    if (is(Mutant.ARRAYS_BY_INDEX)) {
      var split = new TreeMap<List<String>, String>(Tree::compare);
      flat.forEach(
          (path, value) -> {
            if (value.startsWith("[") && value.length() > 2) {
              String[] elements = value.substring(1, value.length() - 1).split(",", -1);
              for (int i = 0; i < elements.length; i++) {
                split.put(Tree.below(path, "#" + i), elements[i]);
              }
            } else {
              split.put(path, value);
            }
          });
      return split;
    }
    return flat;
  }

  private static Tree asArray(Tree.Node node) {
    if (node.fields().isEmpty()
        || !node.fields().keySet().stream().allMatch(k -> k.startsWith("#"))) {
      return node;
    }
    return new Tree.Leaf(
        node.fields().values().stream()
            .map(Tree::toString)
            .collect(Collectors.joining(",", "[", "]")));
  }

  /** Everything a reader can see, as {@link Cluster.Node#observe} writes it. */
  String observe() {
    var out = new StringBuilder();
    int documents = 0;
    for (String id : History.IDS) {
      if (!exists(id)) {
        continue;
      }
      documents++;
      View view = view(id);
      var clock = new TreeMap<String, Long>();
      long newest = 0;
      for (Survivor survivor : survivors) {
        if (survivor.register.document.equals(id)) {
          clock.merge(survivor.dot.actor, survivor.dot.seq, Math::max);
          newest = Math.max(newest, survivor.time);
        }
      }
      Survivor embedding = greatest(at(new Register(id, Space.EMBEDDING, List.of())), s -> true);
      out.append(id).append('=').append(view.tree);
      out.append(" conflicts=")
          .append(
              view.conflicts.stream()
                  .map(
                      s ->
                          String.join(".", s.register.path)
                              + "|"
                              + s.value
                              + "|"
                              + s.dot.actor
                              + ":"
                              + s.dot.seq
                              + "."
                              + s.dot.index
                              + "|"
                              + (s.time >>> 16))
                  .sorted()
                  .toList());
      out.append(" clock=").append(clock).append(" time=").append(newest >>> 16);
      out.append(" embedding=").append(embedding == null ? "none" : embedding.value).append('\n');
    }
    return out.append("documents=")
        .append(documents)
        .append(" seen=")
        .append(new LinkedHashMap<>(seen))
        .toString();
  }
}
