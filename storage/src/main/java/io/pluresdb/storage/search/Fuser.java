package io.pluresdb.storage.search;

import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.storage.search.Searches.Fusion;
import io.pluresdb.storage.search.Searches.Hit;
import io.pluresdb.storage.search.Searches.Leg;
import io.pluresdb.storage.text.Highlight;
import io.pluresdb.storage.text.TextIndex;
import io.pluresdb.storage.vector.VectorIndex;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Puts what words found and what a vector found into one order. */
final class Fuser {
  /** Softens the first places, as in the paper. */
  private static final int RANK_OFFSET = 60;

  private record Both(
      NodeRecord document, @Nullable Leg text, @Nullable Leg vector, List<Highlight> highlights) {}

  private Fuser() {}

  static List<Hit> ofText(List<TextIndex.Hit> found) {
    var hits = new ArrayList<Hit>();
    for (TextIndex.Hit hit : found) {
      var leg = new Leg(hits.size() + 1, hit.score());
      hits.add(new Hit(hit.document(), hit.score(), leg, null, hit.highlights()));
    }
    return hits;
  }

  static List<Hit> ofVector(List<VectorIndex.Hit> found) {
    var hits = new ArrayList<Hit>();
    for (VectorIndex.Hit hit : found) {
      var leg = new Leg(hits.size() + 1, hit.score());
      hits.add(new Hit(hit.document(), hit.score(), null, leg, List.of()));
    }
    return hits;
  }

  /** Both legs, best first; each is in its own order. */
  static List<Hit> fuse(List<Hit> text, List<Hit> vector, Fusion fusion, int limit) {
    var all = new LinkedHashMap<String, Both>();
    text.forEach(
        hit ->
            all.put(
                hit.document().id(), new Both(hit.document(), hit.text(), null, hit.highlights())));
    for (Hit hit : vector) {
      Both known = all.get(hit.document().id());
      all.put(
          hit.document().id(),
          known == null
              ? new Both(hit.document(), null, hit.vector(), List.of())
              : new Both(known.document, known.text, hit.vector(), known.highlights));
    }
    double greatest = text.isEmpty() ? 1 : text.getFirst().score();
    var hits = new ArrayList<Hit>();
    for (Map.Entry<String, Both> entry : all.entrySet()) {
      Both both = entry.getValue();
      double score =
          switch (fusion) {
            case Fusion.ReciprocalRank r -> share(both.text) + share(both.vector);
            case Fusion.Weighted(double alpha) ->
                alpha * score(both.vector) + (1 - alpha) * score(both.text) / greatest;
          };
      hits.add(new Hit(both.document, score, both.text, both.vector, both.highlights));
    }
    hits.sort(
        Comparator.comparingDouble(Hit::score)
            .reversed()
            .thenComparing(hit -> hit.document().id()));
    return hits.size() <= limit ? hits : List.copyOf(hits.subList(0, limit));
  }

  private static double share(@Nullable Leg leg) {
    return leg == null ? 0 : 1.0 / (RANK_OFFSET + leg.rank());
  }

  private static double score(@Nullable Leg leg) {
    return leg == null ? 0 : leg.score();
  }
}
