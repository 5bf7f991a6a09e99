package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.causal.Frontier.Head;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.SipHash;
import io.pluresdb.crdt.reconcile.CodedSymbols.Decoder;
import io.pluresdb.crdt.reconcile.CodedSymbols.Encoder;
import io.pluresdb.crdt.reconcile.FrontierMessage.Differing;
import io.pluresdb.crdt.reconcile.FrontierMessage.More;
import io.pluresdb.crdt.reconcile.FrontierMessage.Symbols;
import io.pluresdb.crdt.reconcile.FrontierMessage.Wanted;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.LongStream;
import org.jspecify.annotations.Nullable;

/**
 * One side of telling each other two frontiers of many actors by what differs: one side streams
 * coded symbols of its frontier until the other can tell the difference; then each sends its heads
 * of the differing actors. Both check what they put together against the hash of the other's
 * frontier; whenever something does not fit, the whole frontier is sent instead.
 *
 * <p>An item is a hash of (actor, seq, head hash) under a key that both sides' nonces make.
 */
public final class FrontierExchange {
  /** Frontiers of up to so many actors are sent whole. */
  public static final int WHOLE_ACTORS = 256;

  private static final int FIRST_SYMBOLS = 32;

  /** What to do with a message. */
  public sealed interface Outcome {}

  /** Send this; the peer's frontier is not known yet. */
  public record Reply(FrontierMessage message) implements Outcome {}

  /**
   * The peer stands at {@code frontier}.
   *
   * @param message send this first, if not null
   */
  public record Known(Frontier frontier, @Nullable FrontierMessage message) implements Outcome {}

  /** Send the whole frontier, and ask for the peer's. */
  public record SendWhole() implements Outcome {}

  /** The message belongs to an exchange that is over. */
  public record Nothing() implements Outcome {}

  private final SipHash items;
  private final SipHash checks;
  private final int maxSymbols;

  // As the one that codes.
  private @Nullable Frontier coded;
  private @Nullable Encoder encoder;

  // As the one that decodes.
  private @Nullable Frontier own;
  private @Nullable Decoder decoder;
  private Hash decoding = Hash.ZERO;

  /**
   * Between two sides that drew these nonces, in any order.
   *
   * @param actors number of actors of the greater frontier; it bounds the symbols
   */
  public FrontierExchange(byte[] nonce, byte[] otherNonce, int actors) {
    boolean inOrder = Arrays.compareUnsigned(nonce, otherNonce) < 0;
    byte[] key =
        Hash.of(
                "pluresdb-frontier-items-v1",
                inOrder ? nonce : otherNonce,
                inOrder ? otherNonce : nonce)
            .bytes();
    items = new SipHash(key);
    checks = new SipHash(Arrays.copyOfRange(key, 16, 32));
    // Beyond, whole frontiers would have taken fewer bytes.
    maxSymbols = 2 * Math.clamp(actors, WHOLE_ACTORS, Frontier.MAX_ACTORS);
  }

  /** Begins to code {@code frontier}. */
  public Symbols begin(Frontier frontier) {
    coded = frontier;
    encoder = new Encoder(LongStream.of(itemsOf(frontier)).toArray(), checks);
    return new Symbols(frontier.hash(), 0, encoder.next(FIRST_SYMBOLS));
  }

  private long item(ActorId actor, Head head) {
    var entry = new ByteWriter(56);
    actor.write(entry);
    entry.i64(head.seq()).bytes(head.hash().bytes());
    return items.of(entry.array(), entry.size());
  }

  private long[] itemsOf(Frontier frontier) {
    return frontier.heads().entrySet().stream()
        .mapToLong(entry -> item(entry.getKey(), entry.getValue()))
        .toArray();
  }

  /** Takes a message of the peer; {@code ours} is our frontier now. */
  public Outcome onMessage(FrontierMessage message, Frontier ours) {
    return switch (message) {
      case Symbols symbols -> onSymbols(symbols, ours);
      case More more -> onMore(more);
      case Differing differing -> onDiffering(differing);
      case Wanted wanted -> onWanted(wanted);
    };
  }

  private Outcome onSymbols(Symbols message, Frontier ours) {
    if (message.first() == 0) {
      own = ours;
      decoder = new Decoder(itemsOf(ours), checks);
      decoding = message.coded();
    }
    Decoder current = decoder;
    Frontier mine = own;
    if (current == null
        || mine == null
        || !message.coded().equals(decoding)
        || message.first() != current.received()) {
      return new Nothing();
    }
    if (message.symbols().isEmpty() || current.received() + message.symbols().size() > maxSymbols) {
      decoder = null;
      return new SendWhole();
    }
    return switch (current.add(message.symbols())) {
      case NEEDS_MORE -> {
        int room = maxSymbols - current.received();
        if (room == 0) {
          decoder = null;
          yield new SendWhole();
        }
        int count = Math.clamp(current.received() / 2, FIRST_SYMBOLS, FrontierMessage.MAX_SYMBOLS);
        yield new Reply(new More(decoding, current.received(), Math.min(count, room)));
      }
      case DECODED -> {
        Frontier heads = headsOf(current.onlyHere(), mine);
        List<Long> wanted = LongStream.of(current.onlyThere()).sorted().boxed().toList();
        yield new Reply(new Differing(decoding, mine.hash(), heads, wanted));
      }
      case IMPOSSIBLE -> {
        decoder = null;
        yield new SendWhole();
      }
    };
  }

  /** The heads of a frontier behind some of its items; fewer when an item is none of its. */
  private Frontier headsOf(long[] wanted, Frontier frontier) {
    Map<Long, ActorId> actors = new HashMap<>();
    frontier.heads().forEach((actor, head) -> actors.put(item(actor, head), actor));
    var heads = new TreeMap<ActorId, Head>();
    for (long item : wanted) {
      ActorId actor = actors.get(item);
      Head head = actor == null ? null : frontier.heads().get(actor);
      if (actor != null && head != null) {
        heads.put(actor, head);
      }
    }
    return Frontier.of(heads);
  }

  private Outcome onMore(More message) {
    Frontier mine = coded;
    Encoder current = encoder;
    if (mine == null
        || current == null
        || !message.coded().equals(mine.hash())
        || message.first() != current.produced()) {
      return new Nothing();
    }
    if (current.produced() + message.count() > maxSymbols || message.count() == 0) {
      return new SendWhole();
    }
    return new Reply(
        new Symbols(message.coded(), current.produced(), current.next(message.count())));
  }

  private Outcome onDiffering(Differing message) {
    Frontier mine = coded;
    if (mine == null || !message.coded().equals(mine.hash())) {
      return new Nothing();
    }
    coded = null;
    encoder = null;
    Frontier heads = headsOf(message.wanted().stream().mapToLong(Long::longValue).toArray(), mine);
    Frontier peer = exchanged(mine, heads, message.heads());
    return peer.hash().equals(message.own())
        ? new Known(peer, new Wanted(message.coded(), heads))
        : new SendWhole();
  }

  private Outcome onWanted(Wanted message) {
    Decoder current = decoder;
    Frontier mine = own;
    if (current == null || mine == null || !message.coded().equals(decoding)) {
      return new Nothing();
    }
    decoder = null;
    Frontier peer = exchanged(mine, headsOf(current.onlyHere(), mine), message.heads());
    return peer.hash().equals(decoding) ? new Known(peer, null) : new SendWhole();
  }

  /** {@code frontier} with some of its heads replaced by others. */
  private static Frontier exchanged(Frontier frontier, Frontier gone, Frontier come) {
    var heads = new TreeMap<ActorId, Head>(frontier.heads());
    gone.heads().keySet().forEach(heads::remove);
    heads.putAll(come.heads());
    return Frontier.of(heads);
  }
}
