package io.pluresdb.crdt.reconcile;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/** Documents in memory, added up one by one. */
final class ListedSource implements RangeSource {
  private final TreeMap<byte[], Fingerprint> documents = new TreeMap<>(Arrays::compareUnsigned);
  private final DocumentHasher hasher = new DocumentHasher(io.pluresdb.crdt.codec.Hash.ZERO);
  private long rowsRead;

  ListedSource(Map<String, String> documents) {
    documents.forEach(
        (id, content) -> {
          byte[] key = id.getBytes(StandardCharsets.ISO_8859_1);
          this.documents.put(key, hasher.of(key, content.getBytes(StandardCharsets.ISO_8859_1)));
        });
  }

  private NavigableMap<byte[], Fingerprint> within(KeyRange range) {
    byte[] to = range.to();
    return to == null
        ? documents.tailMap(range.from(), true)
        : documents.subMap(range.from(), true, to, false);
  }

  @Override
  public Summary summary(KeyRange range) {
    Summary sum = Summary.EMPTY;
    for (Fingerprint document : within(range).values()) {
      sum = sum.plus(document);
      rowsRead++;
    }
    return sum;
  }

  @Override
  public List<Part> cut(KeyRange range, int pieces) {
    var ids = new ArrayList<>(within(range).keySet());
    var parts = new ArrayList<Part>();
    byte[] from = range.from();
    for (int i = 1; i < pieces; i++) {
      int at = ids.size() * i / pieces;
      if (at < ids.size() && Arrays.compareUnsigned(from, ids.get(at)) < 0) {
        add(new KeyRange(from, ids.get(at)), parts);
        from = ids.get(at);
      }
    }
    add(new KeyRange(from, range.to()), parts);
    return parts;
  }

  private void add(KeyRange range, List<Part> parts) {
    parts.add(new Part(range, summary(range)));
  }

  @Override
  public List<Item> items(KeyRange range, int atMost) {
    return within(range).entrySet().stream()
        .limit(atMost)
        .map(e -> new Item(e.getKey(), new Digest(e.getValue().limb0(), e.getValue().limb1())))
        .toList();
  }

  @Override
  public long rowsRead() {
    return rowsRead;
  }
}
