package io.pluresdb.storage.search;

import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.store.Transaction.Acknowledgement;
import io.pluresdb.storage.index.Filter;
import io.pluresdb.storage.index.IndexDefinition;
import io.pluresdb.storage.rocks.RocksOptions;
import io.pluresdb.storage.rocks.RocksStorage;
import io.pluresdb.storage.text.TextQuery;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * The program {@link KilledWriterTest} kills: writes, replaces and deletes documents without end,
 * with every kind of index following, and searches now and then.
 */
final class WritingChild {
  private WritingChild() {}

  static RocksStorage storage(Path database) {
    return RocksStorage.open(
        database.resolve("store"),
        RocksOptions.defaults(Path.of("target", "native").toAbsolutePath()).withWriteBuffer(1));
  }

  static Searches.Request request(Random random) {
    float[] vector = {(float) random.nextGaussian(), (float) random.nextGaussian(), 1};
    return new Searches.Request(
        TextQuery.parse("word" + random.nextInt(50), null),
        vector,
        Filter.ALL,
        5,
        0,
        new Searches.Fusion.ReciprocalRank(),
        60_000);
  }

  /** Takes the directory and a seed. */
  public static void main(String[] arguments) {
    Path database = Path.of(arguments[0]);
    var random = new Random(Long.parseLong(arguments[1]));
    try (var open = new OpenSearches(storage(database), database)) {
      open.searches.declare(IndexDefinition.parse("n"));
      open.searches.declare(IndexDefinition.parse("tags[],n"));
      for (int i = 0; ; i++) {
        var edits = new ArrayList<Edit>();
        for (int j = random.nextInt(20); j >= 0; j--) {
          edits.add(edit(random));
        }
        String gone = "d" + random.nextInt(300);
        boolean deletes = random.nextInt(4) == 0 && open.store.get(gone).isPresent();
        List<Edit> all = deletes ? List.of(Edit.delete(gone)) : edits;
        Acknowledgement ack =
            random.nextBoolean() ? Acknowledgement.LOCAL : Acknowledgement.RELAXED;
        open.store.submit(new Transaction(all, ack)).join();
        if (i % 10 == 0) {
          open.searches.search(request(random));
          System.out.println(i);
          System.out.flush();
        }
        if (i % 25 == 24) {
          open.searches.saveAll();
        }
      }
    }
  }

  private static Edit edit(Random random) {
    int number = random.nextInt(40);
    String json =
        "{\"n\":"
            + number
            + ",\"tags\":["
            + random.nextInt(3)
            + "],\"t\":\"word"
            + random.nextInt(50)
            + " and word"
            + random.nextInt(50)
            + "\"}";
    byte[] bytes = json.getBytes(StandardCharsets.UTF_8);
    String id = "d" + random.nextInt(300);
    if (random.nextInt(3) == 0) {
      return Edit.put(id, bytes);
    }
    float[] vector = {
      (float) random.nextGaussian(), (float) random.nextGaussian(), (float) random.nextGaussian()
    };
    return Edit.put(id, bytes, vector);
  }
}
