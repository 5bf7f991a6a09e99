package io.pluresdb.crdt.doc;

import io.pluresdb.crdt.doc.DocumentState.RegisterState;
import io.pluresdb.crdt.doc.DocumentView.Conflict;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.TreeMap;

/**
 * A place in a document where concurrent values compete: what is shown there and what lost, each
 * whole, so that one of them can be chosen. Where all wrote the same there is nothing to choose.
 *
 * @param path where
 * @param winner what the document shows there: a value, or an object with all that is below
 * @param losers values other than the winner's, newest first, one or more
 */
public record Contest(byte[] path, Claim winner, List<Claim> losers) {

  /**
   * One of the values.
   *
   * @param json canonical JSON: what the document would show at the path. Increments that lost
   *     together are their sum; of a losing object whose own parts compete, what it would show.
   * @param newest the newest of what it is made of
   */
  public record Claim(byte[] json, Sibling newest) {}

  /**
   * The contests of a document, ascending by path; empty when there are no conflicts. Values of one
   * list element that compete are none: setting the element ends that.
   */
  public static List<Contest> of(DocumentState state, Content.Source sequences) {
    List<RegisterState> fields = DocumentView.fields(state, sequences);
    DocumentView view = DocumentView.of(fields, 0);
    if (view.conflicts().isEmpty()) {
      return List.of();
    }
    var lost = new TreeMap<byte[], List<Conflict>>(Arrays::compareUnsigned);
    Set<Sibling> losing = new HashSet<>();
    for (Conflict conflict : view.conflicts()) {
      lost.computeIfAbsent(place(view, conflict.path()), p -> new ArrayList<>()).add(conflict);
      losing.add(conflict.sibling());
    }
    var contests = new ArrayList<Contest>(lost.size());
    lost.forEach(
        (path, conflicts) -> {
          Claim winner = winner(fields, view, path, losing);
          List<Claim> losers = losers(fields, path, conflicts, winner);
          if (!losers.isEmpty()) {
            contests.add(new Contest(path, winner, losers));
          }
        });
    return contests;
  }

  /** Where a value lost: its own path, or the one above that is shown as a value. */
  private static byte[] place(DocumentView view, byte[] path) {
    if (!view.showsBelow(path)) {
      for (byte[] above : Path.ancestors(path)) {
        if (view.showsAt(above)) {
          return above;
        }
      }
    }
    return path;
  }

  private static Claim winner(
      List<RegisterState> fields, DocumentView view, byte[] path, Set<Sibling> losing) {
    List<Sibling> shown =
        within(fields, path).stream()
            .flatMap(register -> register.siblings().stream())
            .filter(sibling -> !losing.contains(sibling))
            .toList();
    return new Claim(json(view.leaves(), path), newest(shown));
  }

  private static List<Claim> losers(
      List<RegisterState> fields, byte[] path, List<Conflict> conflicts, Claim winner) {
    var claims = new ArrayList<Claim>();
    var increments = new ArrayList<Sibling>();
    var below = new ArrayList<Sibling>();
    for (Conflict conflict : conflicts) {
      Sibling sibling = conflict.sibling();
      if (!Arrays.equals(conflict.path(), path)) {
        below.add(sibling);
      } else if (sibling.isIncrement()) {
        increments.add(sibling);
      } else {
        claims.add(new Claim(sibling.value(), sibling));
      }
    }
    if (!increments.isEmpty()) {
      BigInteger sum =
          increments.stream().map(DocumentView::amount).reduce(BigInteger.ZERO, BigInteger::add);
      byte[] json = DocumentView.clamped(sum).getBytes(StandardCharsets.US_ASCII);
      claims.add(new Claim(json, newest(increments)));
    }
    if (!below.isEmpty()) {
      List<RegisterState> deeper =
          within(fields, path).stream().filter(r -> r.path().length > path.length).toList();
      List<Leaf> leaves = DocumentView.of(deeper, path.length).leaves();
      claims.add(new Claim(json(leaves, path), newest(below)));
    }
    claims.removeIf(claim -> Arrays.equals(claim.json(), winner.json()));
    claims.sort(Comparator.comparing(Claim::newest, Sibling.BY_TIME).reversed());
    return List.copyOf(claims);
  }

  private static List<RegisterState> within(List<RegisterState> fields, byte[] path) {
    return fields.stream().filter(register -> Path.isWithin(register.path(), path)).toList();
  }

  /** What the leaves at and below a path show there. */
  private static byte[] json(List<Leaf> leaves, byte[] path) {
    var below = new ArrayList<Leaf>();
    for (Leaf leaf : leaves) {
      if (Path.isWithin(leaf.path(), path)) {
        byte[] rest = Arrays.copyOfRange(leaf.path(), path.length, leaf.path().length);
        below.add(new Leaf(rest, leaf.value()));
      }
    }
    return CanonicalJson.join(below);
  }

  private static Sibling newest(Collection<Sibling> siblings) {
    return siblings.stream().max(Sibling.BY_TIME).orElseThrow();
  }
}
