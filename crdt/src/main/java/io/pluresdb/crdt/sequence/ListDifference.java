package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.CrdtOperation.ListDelete;
import io.pluresdb.crdt.op.CrdtOperation.ListInsert;
import io.pluresdb.crdt.op.CrdtOperation.ListMove;
import io.pluresdb.crdt.op.ElementRange;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.List;
import java.util.TreeMap;

/**
 * Turns a list into a wanted one: elements of a common subsequence stay, one that is wanted
 * elsewhere moves, the rest is deleted and inserted.
 *
 * <p>All places are taken from the list as it is. What is made for one gap hangs at one place,
 * where siblings of one author stand in the order in which they are made.
 */
final class ListDifference {
  /**
   * Elements times elements up to which the longest common subsequence is looked for; beyond, a
   * common one is taken greedily.
   */
  static final int MAX_COMPARED = 1 << 20;

  private final ListSequence list;
  private final byte[] register;
  private final List<Dot> observed;
  private final List<CrdtOperation> operations = new ArrayList<>();
  private final List<byte[]> fresh = new ArrayList<>();

  ListDifference(ListSequence list, byte[] register, List<Dot> observed) {
    this.list = list;
    this.register = register;
    this.observed = observed;
  }

  List<CrdtOperation> become(List<byte[]> wanted) {
    List<byte[]> now = list.values();
    boolean[] stays = new boolean[now.size()];
    boolean[] kept = new boolean[wanted.size()];
    match(now, wanted, stays, kept);
    // Positions of the elements that do not stay, by value, for those that are wanted elsewhere.
    var leaving = new TreeMap<byte[], Deque<Integer>>(Arrays::compareUnsigned);
    for (int i = 0; i < stays.length; i++) {
      if (!stays[i]) {
        leaving.computeIfAbsent(now.get(i), v -> new ArrayDeque<>()).add(i);
      }
    }
    int gap = 0;
    for (int i = 0; i < kept.length; i++) {
      Deque<Integer> same = leaving.get(wanted.get(i));
      if (kept[i]) {
        insertFresh(gap);
        while (!stays[gap]) {
          gap++;
        }
        gap++;
      } else if (same != null && !same.isEmpty()) {
        insertFresh(gap);
        operations.add(
            new ListMove(register, observed, list.elementAt(same.remove()), list.placeAt(gap)));
      } else {
        fresh.add(wanted.get(i));
      }
    }
    insertFresh(gap);
    var gone = new ArrayList<ElementRange>();
    leaving.values().forEach(rest -> rest.forEach(i -> gone.addAll(list.rangesAt(i, 1))));
    if (!gone.isEmpty()) {
      List<ElementRange> ranges = Sequence.joined(gone);
      operations.add(new ListDelete(register, list.seen(ranges), ranges));
    }
    return operations;
  }

  private void insertFresh(int gap) {
    if (!fresh.isEmpty()) {
      operations.add(new ListInsert(register, observed, list.placeAt(gap), List.copyOf(fresh)));
      fresh.clear();
    }
  }

  /** Marks a common subsequence: the ends that are alike, and what is found between. */
  private static void match(
      List<byte[]> now, List<byte[]> wanted, boolean[] stays, boolean[] kept) {
    int from = 0;
    int nowEnd = stays.length;
    int wantedEnd = kept.length;
    while (from < nowEnd && from < wantedEnd && Arrays.equals(now.get(from), wanted.get(from))) {
      stays[from] = true;
      kept[from++] = true;
    }
    while (nowEnd > from
        && wantedEnd > from
        && Arrays.equals(now.get(nowEnd - 1), wanted.get(wantedEnd - 1))) {
      stays[--nowEnd] = true;
      kept[--wantedEnd] = true;
    }
    int rows = nowEnd - from;
    int columns = wantedEnd - from;
    if ((long) rows * columns > MAX_COMPARED) {
      matchGreedily(now, wanted, stays, kept, from, nowEnd, wantedEnd);
      return;
    }
    // Lengths of the longest common subsequences of what follows.
    int[][] longest = new int[rows + 1][columns + 1];
    for (int i = rows - 1; i >= 0; i--) {
      for (int j = columns - 1; j >= 0; j--) {
        longest[i][j] =
            Arrays.equals(now.get(from + i), wanted.get(from + j))
                ? longest[i + 1][j + 1] + 1
                : Math.max(longest[i + 1][j], longest[i][j + 1]);
      }
    }
    for (int i = 0, j = 0; i < rows && j < columns; ) {
      if (Arrays.equals(now.get(from + i), wanted.get(from + j))) {
        stays[from + i++] = true;
        kept[from + j++] = true;
      } else if (longest[i + 1][j] >= longest[i][j + 1]) {
        i++;
      } else {
        j++;
      }
    }
  }

  private static void matchGreedily(
      List<byte[]> now,
      List<byte[]> wanted,
      boolean[] stays,
      boolean[] kept,
      int from,
      int nowEnd,
      int wantedEnd) {
    var positions = new TreeMap<byte[], Deque<Integer>>(Arrays::compareUnsigned);
    for (int i = from; i < nowEnd; i++) {
      positions.computeIfAbsent(now.get(i), v -> new ArrayDeque<>()).add(i);
    }
    int next = from;
    for (int j = from; j < wantedEnd; j++) {
      Deque<Integer> same = positions.get(wanted.get(j));
      while (same != null && !same.isEmpty() && same.peek() < next) {
        same.remove();
      }
      if (same != null && !same.isEmpty()) {
        next = same.remove() + 1;
        stays[next - 1] = true;
        kept[j] = true;
      }
    }
  }
}
