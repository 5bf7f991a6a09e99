package io.pluresdb.crdt.reconcile;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.reconcile.Differences.Side;
import io.pluresdb.crdt.reconcile.RangeAsker.Done;
import io.pluresdb.crdt.reconcile.RangeAsker.Progress;
import io.pluresdb.crdt.reconcile.RangeAsker.Send;
import io.pluresdb.crdt.reconcile.RangeMessage.Ask;
import io.pluresdb.crdt.reconcile.RangeMessage.Close;
import io.pluresdb.crdt.reconcile.RangeMessage.Open;
import io.pluresdb.crdt.reconcile.RangeMessage.Opened;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.random.RandomGenerator;
import org.junit.jupiter.api.Test;

/** The two sides of a reconciliation against the difference of two maps. */
class RangeReconciliationTest {
  private static final int PLENTY = 100_000;

  private record Pair(Map<String, String> mine, Map<String, String> theirs, KeyRange range) {
    Map<String, Side> differences() {
      var differences = new TreeMap<String, Side>();
      mine.forEach(
          (id, content) -> {
            if (!content.equals(theirs.get(id))) {
              differences.put(id, theirs.containsKey(id) ? Side.BOTH : Side.HERE);
            }
          });
      theirs.keySet().stream()
          .filter(id -> !mine.containsKey(id))
          .forEach(id -> differences.put(id, Side.THERE));
      differences
          .keySet()
          .removeIf(id -> !range.contains(id.getBytes(StandardCharsets.ISO_8859_1)));
      return differences;
    }
  }

  /** Ids of few letters, so that many share prefixes and one is the prefix of another. */
  private static String id(RandomGenerator random) {
    var id = new StringBuilder();
    for (int i = random.nextInt(1, 7); i > 0; i--) {
      id.append((char) (random.nextInt(4) == 0 ? random.nextInt(256) : 'a' + random.nextInt(4)));
    }
    return id.toString();
  }

  private static Pair pair(RandomGenerator random) {
    var mine = new TreeMap<String, String>();
    var theirs = new TreeMap<String, String>();
    int common = 1 << random.nextInt(13);
    int one = random.nextBoolean() ? random.nextInt(4) : random.nextInt(2 * common);
    int other = random.nextBoolean() ? random.nextInt(4) : random.nextInt(2 * common);
    for (int i = 0; i < common; i++) {
      String id = id(random);
      mine.put(id, "same");
      theirs.put(id, "same");
    }
    for (int i = 0; i < one; i++) {
      mine.put(id(random), "mine");
    }
    for (int i = 0; i < other; i++) {
      theirs.put(id(random), "theirs");
    }
    if (random.nextInt(10) == 0) {
      (random.nextBoolean() ? mine : theirs).clear();
    }
    KeyRange range =
        random.nextInt(4) > 0
            ? KeyRange.ALL
            : KeyRange.ofPrefix(id(random).getBytes(StandardCharsets.ISO_8859_1));
    return new Pair(mine, theirs, range);
  }

  private record Run(Progress end, Differences told, long bytes, int messages) {}

  private static <T extends RangeMessage> T passed(T message, List<Integer> sizes) {
    var out = new ByteWriter();
    message.write(out);
    sizes.add(out.size());
    byte[] bytes = out.toByteArray();
    RangeMessage read = RangeMessage.read(bytes[0], new ByteReader(bytes, 1, bytes.length));
    @SuppressWarnings("unchecked")
    T same = (T) read;
    return same;
  }

  private static Run run(RangeSource mine, RangeSource theirs, KeyRange range, int max) {
    return run(mine, new RangeResponder(theirs, max), theirs, range, max);
  }

  private static Run run(
      RangeSource mine, RangeResponder responder, RangeSource theirs, KeyRange range, int max) {
    var sizes = new ArrayList<Integer>();
    var asker = new RangeAsker(7, mine, Hash.ZERO, false, range, max);
    Open open = passed(asker.open(), sizes);
    Digest digest = theirs.summary(open.range()).digest();
    Progress progress = asker.onOpened(passed(new Opened(7, Hash.ZERO, digest), sizes));
    while (progress instanceof Send(var message)) {
      Ask ask = passed((Ask) message, sizes);
      progress = asker.onAnswer(passed(Objects.requireNonNull(responder.answer(ask)), sizes));
    }
    passed(new Close(7, RangeMessage.Reason.DONE), sizes);
    assertThat(sizes).allMatch(size -> size < 4 << 20);
    return new Run(
        progress,
        responder.differences(),
        sizes.stream().mapToLong(size -> size).sum(),
        sizes.size());
  }

  private static Map<String, Side> named(Differences differences) {
    var named = new TreeMap<String, Side>();
    differences
        .documents()
        .forEach((id, side) -> named.put(new String(id, StandardCharsets.ISO_8859_1), side));
    return named;
  }

  private static Side mirrored(Side side) {
    return switch (side) {
      case HERE -> Side.THERE;
      case THERE -> Side.HERE;
      case BOTH -> Side.BOTH;
    };
  }

  @Test
  void anyTwoSets_bothSidesKnowExactlyWhatDiffers() {
    Property.forAll(
        400,
        Gen.of(RangeReconciliationTest::pair),
        pair -> {
          Run run =
              run(new ListedSource(pair.mine), new ListedSource(pair.theirs), pair.range, PLENTY);
          assertThat(run.end).isInstanceOf(Done.class);
          Map<String, Side> expected = pair.differences();
          assertThat(named(((Done) run.end).differences())).isEqualTo(expected);
          expected.replaceAll((id, side) -> mirrored(side));
          assertThat(named(run.told)).isEqualTo(expected);
        });
  }

  /** The responder may leave any number of questions for later. */
  @Test
  void answersInPortions_endInTheSame() {
    Property.forAll(
        100,
        Gen.of(RangeReconciliationTest::pair),
        pair -> {
          var theirs = new ListedSource(pair.theirs);
          int rows = 1 + pair.mine.size() % 3_000;
          Run run =
              run(
                  new ListedSource(pair.mine),
                  new RangeResponder(theirs, PLENTY, rows),
                  theirs,
                  pair.range,
                  PLENTY);
          assertThat(named(((Done) run.end).differences())).isEqualTo(pair.differences());
        });
  }

  private static Map<String, String> numbered(int count) {
    var documents = new TreeMap<String, String>();
    for (int i = 0; i < count; i++) {
      documents.put(String.format("doc:%08d", i), "content " + i);
    }
    return documents;
  }

  @Test
  void equalSets_costOneRoundTrip() {
    Map<String, String> documents = numbered(5_000);
    Run run = run(new ListedSource(documents), new ListedSource(documents), KeyRange.ALL, PLENTY);
    assertThat(((Done) run.end).differences().isEmpty()).isTrue();
    assertThat(run.messages).as("open, opened and close").isEqualTo(3);
    assertThat(run.bytes).isLessThan(150);
  }

  @Test
  void oneDocumentOf20000_costsAKilobyte() {
    Map<String, String> mine = numbered(20_000);
    var theirs = new TreeMap<>(mine);
    theirs.put("doc:00012345", "other");
    Run run = run(new ListedSource(mine), new ListedSource(theirs), KeyRange.ALL, PLENTY);
    assertThat(named(((Done) run.end).differences())).isEqualTo(Map.of("doc:00012345", Side.BOTH));
    assertThat(run.bytes).isLessThan(1_600);
  }

  @Test
  void moreDifferencesThanAllowed_endsEarly_andSaysSo() {
    Run run =
        run(new ListedSource(numbered(3_000)), new ListedSource(Map.of()), KeyRange.ALL, 1_000);
    Differences differences = ((Done) run.end).differences();
    assertThat(differences.complete()).isFalse();
    assertThat(differences.documents()).hasSize(1_000);
  }
}
