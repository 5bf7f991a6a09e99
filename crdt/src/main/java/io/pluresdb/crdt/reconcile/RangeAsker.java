package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.reconcile.RangeMessage.Answer;
import io.pluresdb.crdt.reconcile.RangeMessage.Ask;
import io.pluresdb.crdt.reconcile.RangeMessage.Exchange;
import io.pluresdb.crdt.reconcile.RangeMessage.Listing;
import io.pluresdb.crdt.reconcile.RangeMessage.Open;
import io.pluresdb.crdt.reconcile.RangeMessage.Opened;
import io.pluresdb.crdt.reconcile.RangeMessage.Pieces;
import io.pluresdb.crdt.reconcile.RangeMessage.Question;
import io.pluresdb.crdt.reconcile.RangeMessage.Reply;
import io.pluresdb.crdt.reconcile.RangeMessage.Same;
import io.pluresdb.crdt.reconcile.RangeSource.Item;
import io.pluresdb.crdt.reconcile.RangeSource.Part;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/**
 * The side of a range reconciliation that asks (Meyer, 2022): ranges that add up to the same are
 * left alone, others are cut finer by each side in turn, small ones listed. In the end both sides
 * know the ids of the documents in which they differ.
 *
 * <p>One message is under way at a time. Ranges are worked off in order, so what waits is at most
 * one message and a few ranges for each depth. A peer that invents differences without end is
 * stopped by the depth of a range, the number of rounds and the number of differences.
 */
public final class RangeAsker {
  /** Cuts from the whole range to a list; honest peers need the logarithm of the documents. */
  static final int MAX_DEPTH = 48;

  /** Messages of one conversation. */
  static final long MAX_ROUNDS = 65_536;

  /** Bytes of document ids in one message, unless one exchange alone has more. */
  static final int IDS_BYTES = 512 << 10;

  /** What to do next. */
  public sealed interface Progress {}

  /** Send this and wait for the answer. */
  public record Send(RangeMessage message) implements Progress {}

  /**
   * Over; send {@link RangeMessage.Close}.
   *
   * @param frontier of the peer, of the moment that was compared
   */
  public record Done(Differences differences, Hash frontier) implements Progress {}

  /** The peer broke a rule or gave up; nothing is known of what was not compared yet. */
  public record Failed(String why) implements Progress {}

  private record Task(KeyRange range, int depth, @Nullable Digest digest) {}

  private final long id;
  private final RangeSource source;
  private final KeyRange range;
  private final Differences differences;

  /** Not asked yet, by where they begin: the lowest goes first, so what waits stays little. */
  private final TreeMap<byte[], Task> waiting = new TreeMap<>(Arrays::compareUnsigned);

  private final ArrayDeque<Exchange> exchanges = new ArrayDeque<>();
  private final Open open;
  private final ArrayDeque<Task> asked = new ArrayDeque<>();
  private List<Exchange> exchanged = List.of();
  private @Nullable Hash peerFrontier;
  private long round;

  /**
   * Compares the documents of {@code range}; begin with {@link #open}.
   *
   * @param id random, so that answers to an earlier conversation are told apart
   * @param source must not change meanwhile
   * @param frontier what {@code source} holds
   * @param exact whether the peer is to add its documents up once more
   * @param maxDifferences no more are looked for than this
   */
  public RangeAsker(
      long id,
      RangeSource source,
      Hash frontier,
      boolean exact,
      KeyRange range,
      int maxDifferences) {
    this.id = id;
    this.source = source;
    this.range = range;
    this.differences = new Differences(maxDifferences);
    this.open = new Open(id, frontier, exact, range);
  }

  /** The first message. */
  public Open open() {
    return open;
  }

  public long id() {
    return id;
  }

  public Progress onOpened(Opened opened) {
    if (peerFrontier != null) {
      return new Failed("opened twice");
    }
    peerFrontier = opened.frontier();
    Summary ours = source.summary(range);
    if (!ours.digest().equals(opened.digest())) {
      refine(range, ours, 0);
    }
    return next();
  }

  public Progress onAnswer(Answer answer) {
    if (peerFrontier == null || answer.round() != round) {
      return new Failed("an answer that was not asked for");
    }
    List<Reply> replies = answer.replies();
    if (replies.size() > asked.size()
        || (replies.isEmpty() && !asked.isEmpty())
        || answer.ids().size() != exchanged.size()) {
      return new Failed("an answer to something else");
    }
    for (int i = 0; i < exchanged.size(); i++) {
      Exchange exchange = exchanged.get(i);
      for (byte[] document : answer.ids().get(i)) {
        if (!exchange.range().contains(document)) {
          return new Failed("a document outside of its range");
        }
        differences.onlyThere(document);
      }
    }
    for (Reply reply : replies) {
      String wrong = reply(asked.remove(), reply);
      if (wrong != null) {
        return new Failed(wrong);
      }
    }
    return next();
  }

  /** Follows up one answer; returns what is wrong with it, or null. */
  private @Nullable String reply(Task task, Reply reply) {
    switch (reply) {
      case Same() -> {}
      case Pieces(var bounds, var digests) -> {
        if (task.depth >= MAX_DEPTH) {
          return "ranges without end";
        }
        byte[] from = task.range.from();
        for (int i = 0; i < digests.size(); i++) {
          byte[] to = i < bounds.size() ? bounds.get(i) : task.range.to();
          if (i < bounds.size() && !task.range.divides(bounds.get(i))) {
            return "a bound outside of its range";
          }
          var piece = new KeyRange(from, to);
          Summary ours = source.summary(piece);
          if (!ours.digest().equals(digests.get(i))) {
            refine(piece, ours, task.depth + 1);
          }
          if (to != null) {
            from = to;
          }
        }
      }
      case Listing(var documents) -> compare(task.range, documents);
    }
    return null;
  }

  /** Queues the questions about a range that is known to differ. */
  private void refine(KeyRange differing, Summary ours, int depth) {
    if (ours.count() <= RangeResponder.LIST_AT_MOST) {
      waiting.put(differing.from(), new Task(differing, depth, null));
      return;
    }
    for (Part part : source.cut(differing, RangeResponder.pieces(ours.count()))) {
      waiting.put(part.range().from(), new Task(part.range(), depth + 1, part.summary().digest()));
    }
  }

  private void compare(KeyRange listed, List<Digest> theirs) {
    Set<Digest> there = new HashSet<>(theirs);
    Set<Digest> here = new HashSet<>();
    var mine = new ArrayList<byte[]>();
    for (Item item : source.items(listed, differences.max() + RangeMessage.MAX_LIST + 1)) {
      here.add(item.digest());
      if (!there.contains(item.digest())) {
        mine.add(item.id());
        differences.onlyHere(item.id());
      }
      if (!differences.complete()) {
        return;
      }
    }
    List<Integer> wanted =
        IntStream.range(0, theirs.size())
            .filter(i -> !here.contains(theirs.get(i)))
            .boxed()
            .toList();
    for (int told = 0; told < mine.size() || !wanted.isEmpty(); told += RangeMessage.MAX_IDS) {
      int end = Math.min(mine.size(), told + RangeMessage.MAX_IDS);
      exchanges.add(new Exchange(listed, List.copyOf(mine.subList(told, end)), wanted));
      wanted = List.of();
    }
  }

  private Progress next() {
    Hash frontier = peerFrontier;
    if (frontier == null) {
      return new Failed("not opened");
    }
    if (!differences.complete() || (waiting.isEmpty() && exchanges.isEmpty() && asked.isEmpty())) {
      return new Done(differences, frontier);
    }
    if (round >= MAX_ROUNDS) {
      return new Failed("more than " + MAX_ROUNDS + " rounds");
    }
    round++;
    var questions = new ArrayList<Question>();
    while (!waiting.isEmpty() && asked.size() < RangeMessage.MAX_RANGES) {
      Task task = waiting.pollFirstEntry().getValue();
      asked.add(task);
      questions.add(new Question(task.range, task.digest));
    }
    takeExchanges();
    return new Send(new Ask(id, round, questions, exchanged));
  }

  /** As many as fit: ids of others and of ours can be a kilobyte each. */
  private void takeExchanges() {
    exchanged = new ArrayList<>();
    int wanted = 0;
    int bytes = 0;
    while (!exchanges.isEmpty() && exchanged.size() < RangeMessage.MAX_RANGES) {
      Exchange next = exchanges.element();
      wanted += next.wanted().size();
      for (byte[] mine : next.mine()) {
        bytes += mine.length;
      }
      if (wanted > RangeMessage.MAX_WANTED || (bytes > IDS_BYTES && !exchanged.isEmpty())) {
        return;
      }
      exchanged.add(exchanges.remove());
    }
  }
}
