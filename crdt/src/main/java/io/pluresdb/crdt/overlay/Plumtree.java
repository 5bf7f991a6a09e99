package io.pluresdb.crdt.overlay;

import io.pluresdb.crdt.causal.ActorId;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.function.ToLongFunction;
import org.jspecify.annotations.Nullable;

/**
 * Over which links changes are pushed and over which they are only announced: Plumtree (Leitão,
 * Pereira, Rodrigues, SRDS 2007) without its messages, which {@code SyncMessage} has.
 *
 * <p>A link starts eager. One that brings what is here already becomes lazy (prune); one that
 * announced what then does not come becomes eager (graft). So the eager links wear down to a tree
 * and grow back where it breaks. Differences from the paper: what is missing is known by actor and
 * greatest number, since an actor's changes come in order; the last eager link is never pruned,
 * because writers that start at the same time would otherwise cut each other off; and a branch is
 * replaced when an announcement beats it by time, since changes carry no hop counts.
 *
 * <p>Only latency depends on it: whatever it gets wrong, comparing frontiers finds.
 *
 * @param <P> a link; must have the equality of an object
 */
public final class Plumtree<P> {
  /** How long a change that was announced may take to come by itself. */
  public static final long GRAFT_MILLIS = 500;

  /** How long it may take once it was asked for, before the next announcer is asked. */
  public static final long REGRAFT_MILLIS = 500;

  /** A branch that is slower than an announcement by this much is replaced. */
  public static final long OPTIMISE_MILLIS = 300;

  /** A link is announced to at most this often. */
  public static final long ANNOUNCE_MILLIS = 1_000;

  /** Most announcements a second to all links together, the one announced to longest ago first. */
  public static final int ANNOUNCEMENTS_PER_SECOND = 4;

  /** Most actors one link may have announced changes of that are missing here. */
  public static final int MAX_MISSING_PER_LINK = 1_024;

  private static final class Link {
    boolean eager = true;
    long prunedAt = Long.MIN_VALUE / 2;
    long announcedAt = Long.MIN_VALUE / 2;
    int missing;
  }

  private static final class Missing<P> {
    final Map<P, Long> announcers = new LinkedHashMap<>();
    long since;

    Missing(long since) {
      this.since = since;
    }
  }

  /**
   * What a delivery changes: {@code graft} becomes eager in the place of {@code prune}.
   *
   * @param graft has nothing to send now
   */
  public record Swap<P>(P graft, P prune) {}

  private final Map<P, Link> links = new LinkedHashMap<>();
  private final Map<ActorId, Missing<P>> missing = new TreeMap<>();
  private boolean flooding;
  private long creditMillis = 1_000;
  private long creditedAt;

  /** Whether every link stays eager, whatever comes twice by it. */
  public void flood(boolean all) {
    flooding = all;
    if (all) {
      links.values().forEach(link -> link.eager = true);
    }
  }

  public void up(P peer) {
    links.put(peer, new Link());
  }

  public void down(P peer) {
    links.remove(peer);
    Iterator<Missing<P>> all = missing.values().iterator();
    while (all.hasNext()) {
      Missing<P> entry = all.next();
      entry.announcers.remove(peer);
      if (entry.announcers.isEmpty()) {
        all.remove();
      }
    }
  }

  /** Whether {@code peer} is a link at all. */
  public boolean isLink(P peer) {
    return links.containsKey(peer);
  }

  /** Whether changes are pushed to {@code peer}. */
  public boolean isEager(P peer) {
    Link link = links.get(peer);
    return link != null && link.eager;
  }

  /**
   * Changes of {@code actor} up to {@code have} are here, the last of them from {@code from}.
   *
   * @return the better branch, or null
   */
  public @Nullable Swap<P> onFresh(P from, ActorId actor, long have, long nowMillis) {
    Link link = links.get(from);
    Missing<P> entry = missing.get(actor);
    Swap<P> swap = null;
    if (link != null) {
      if (entry != null && link.eager && nowMillis - entry.since >= OPTIMISE_MILLIS && !flooding) {
        swap = faster(from, entry, have);
      }
      link.eager = true;
    }
    if (swap != null) {
      mark(swap.graft(), true);
      mark(swap.prune(), false);
    }
    if (entry != null) {
      settle(entry, have);
      entry.since = nowMillis;
      if (entry.announcers.isEmpty()) {
        missing.remove(actor);
      }
    }
    return swap;
  }

  private @Nullable Swap<P> faster(P from, Missing<P> entry, long have) {
    for (Map.Entry<P, Long> announced : entry.announcers.entrySet()) {
      P peer = announced.getKey();
      if (announced.getValue() >= have && !peer.equals(from) && !isEager(peer)) {
        return new Swap<>(peer, from);
      }
    }
    return null;
  }

  private void mark(P peer, boolean eager) {
    Link link = links.get(peer);
    if (link != null) {
      link.eager = eager;
    }
  }

  /** Forgets announcements that were fulfilled. */
  private void settle(Missing<P> entry, long have) {
    Iterator<Map.Entry<P, Long>> announcers = entry.announcers.entrySet().iterator();
    while (announcers.hasNext()) {
      Map.Entry<P, Long> announced = announcers.next();
      if (announced.getValue() <= have) {
        announcers.remove();
        uncount(announced.getKey());
      }
    }
  }

  private void uncount(P peer) {
    Link link = links.get(peer);
    if (link != null) {
      link.missing--;
    }
  }

  /**
   * Everything {@code from} sent was here already.
   *
   * @return whether to tell it to stop
   */
  public boolean onDuplicate(P from, long nowMillis) {
    Link link = links.get(from);
    if (flooding || link == null) {
      return false;
    }
    if (link.eager) {
      boolean last = true;
      for (Link other : links.values()) {
        last &= other == link || !other.eager;
      }
      if (last) {
        return false;
      }
    } else if (nowMillis - link.prunedAt < GRAFT_MILLIS) {
      return false;
    }
    link.eager = false;
    link.prunedAt = nowMillis;
    return true;
  }

  /** {@code from} wants announcements only. */
  public void onPrune(P from) {
    if (!flooding) {
      mark(from, false);
    }
  }

  /**
   * {@code from} wants changes.
   *
   * @return whether it did not get them before: then it lacks what was announced to it
   */
  public boolean onGraft(P from) {
    Link link = links.get(from);
    boolean leftOut = link != null && !link.eager;
    mark(from, true);
    return leftOut;
  }

  /**
   * {@code from} has changes of {@code actor} up to {@code seq}.
   *
   * @param have how far they are here
   * @return false when this link announced too much that is missing: compare frontiers with it
   */
  public boolean onAnnounce(P from, ActorId actor, long seq, long have, long nowMillis) {
    Link link = links.get(from);
    if (link == null || seq <= have) {
      return true;
    }
    Missing<P> entry = missing.get(actor);
    if (entry == null || !entry.announcers.containsKey(from)) {
      if (link.missing >= MAX_MISSING_PER_LINK) {
        return false;
      }
      link.missing++;
    }
    if (entry == null) {
      entry = new Missing<>(nowMillis);
      missing.put(actor, entry);
    }
    entry.announcers.merge(from, seq, Math::max);
    return true;
  }

  /**
   * Whom to announce to now. With many links each gets its turn later; most of them have announced
   * the same by then, which needs no answer.
   *
   * @param hasNews whether there is anything to announce to a link
   */
  public List<P> announceTo(long nowMillis, Predicate<P> hasNews) {
    long cost = 1_000 / ANNOUNCEMENTS_PER_SECOND;
    creditMillis = Math.min(1_000, creditMillis + Math.max(0, nowMillis - creditedAt));
    creditedAt = nowMillis;
    if (creditMillis < cost) {
      return List.of();
    }
    var waiting = new ArrayList<Map.Entry<P, Link>>();
    for (Map.Entry<P, Link> entry : links.entrySet()) {
      Link link = entry.getValue();
      if (!link.eager
          && nowMillis - link.announcedAt >= ANNOUNCE_MILLIS
          && hasNews.test(entry.getKey())) {
        waiting.add(entry);
      }
    }
    waiting.sort(Comparator.comparingLong(entry -> entry.getValue().announcedAt));
    var chosen = new ArrayList<P>();
    for (Map.Entry<P, Link> entry : waiting) {
      if (creditMillis < cost) {
        break;
      }
      creditMillis -= cost;
      entry.getValue().announcedAt = nowMillis;
      chosen.add(entry.getKey());
    }
    return chosen;
  }

  /**
   * Whom to ask for what did not come in time; they are eager from now on. Call it about once a
   * second.
   *
   * @param have how far an actor's changes are here
   */
  public Map<P, List<ActorId>> onTick(long nowMillis, ToLongFunction<ActorId> have) {
    Map<P, List<ActorId>> grafts = new LinkedHashMap<>();
    Iterator<Map.Entry<ActorId, Missing<P>>> all = missing.entrySet().iterator();
    while (all.hasNext()) {
      Map.Entry<ActorId, Missing<P>> next = all.next();
      Missing<P> entry = next.getValue();
      settle(entry, have.applyAsLong(next.getKey()));
      if (!entry.announcers.isEmpty() && nowMillis - entry.since >= GRAFT_MILLIS) {
        P first = entry.announcers.keySet().iterator().next();
        entry.announcers.remove(first);
        uncount(first);
        mark(first, true);
        grafts.computeIfAbsent(first, peer -> new ArrayList<>()).add(next.getKey());
        entry.since = nowMillis - GRAFT_MILLIS + REGRAFT_MILLIS;
      }
      if (entry.announcers.isEmpty()) {
        all.remove();
      }
    }
    return grafts;
  }

  /** Actors of which changes were announced that are not here. */
  public int missing() {
    return missing.size();
  }
}
