package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.HybridClock;
import io.pluresdb.crdt.doc.Content;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.doc.DocumentState;
import io.pluresdb.crdt.store.CrdtStore.Receipt;
import io.pluresdb.crdt.store.DocumentHistory;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.History;
import io.pluresdb.crdt.store.History.Effect;
import io.pluresdb.crdt.store.History.Step;
import io.pluresdb.crdt.store.History.Version;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.Test;

/** Versions of documents, and documents as they were. */
class DocumentHistoryTest {
  private final Device device = Device.founder(1);

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static DocumentHistory past(Device of) {
    return new DocumentHistory(of.storage);
  }

  private History page(String id, int limit, long before) {
    return past(device).page(utf8(id), limit, before);
  }

  private List<Version> versions(String id) {
    return page(id, History.MAX_VERSIONS, Long.MAX_VALUE).versions();
  }

  private static String at(Device of, Moment moment) {
    return past(of).asOf(utf8("d"), moment).map(NodeRecord::json).orElse("none");
  }

  private static Moment version(Receipt receipt) {
    return new Moment.Version(receipt.actor(), receipt.seq());
  }

  @Test
  void versions_sayWhatEachChangeDid() {
    device.put("d", "{\"a\":1,\"b\":{\"c\":true}}");
    device.patch("d", "{\"a\":null,\"b\":{\"c\":false}}");
    device.write(Edit.increment("d", "n", 5));
    device.write(Edit.put("d", utf8("[1]"), new float[] {1, 2, 3}));
    device.write(Edit.put("d", utf8("[2]")));
    device.write(Edit.delete("d"));
    device.write(Edit.put("other", utf8("1")), Edit.put("d", utf8("7")));
    List<Version> versions = versions("d").reversed();
    assertThat(versions)
        .extracting(Version::effect)
        .containsExactly(
            Effect.CREATED,
            Effect.UPDATED,
            Effect.UPDATED,
            Effect.UPDATED,
            Effect.UPDATED,
            Effect.DELETED,
            Effect.CREATED);
    assertThat(versions.get(0).steps())
        .containsExactly(new Step.Set("a", 1, "1", 1), new Step.Set("b.c", 2, "true", 4));
    assertThat(versions.get(1).steps())
        .containsExactly(new Step.Set("b.c", 1, "false", 5), new Step.Removed("a"));
    assertThat(versions.get(2).steps()).containsExactly(new Step.Incremented("n", 1, 5));
    assertThat(versions.get(3).steps())
        .containsExactly(
            new Step.Embedded(1, 3),
            new Step.Set("", 2, "[1]", 3),
            new Step.Removed("b.c"),
            new Step.Removed("n"));
    assertThat(versions.get(4).steps())
        .containsExactly(new Step.EmbeddingRemoved(), new Step.Set("", 1, "[2]", 3));
    assertThat(versions.get(5).steps()).isEmpty();
    assertThat(versions.get(6).steps())
        .as("dots are counted through the whole change")
        .containsExactly(new Step.Set("", 3, "7", 1));
    assertThat(versions.get(6).name()).isEqualTo(device.engine.replica().ownActor() + ".7");
    assertThat(versions.get(6).wallMillis()).isEqualTo(device.wallMillis);
    assertThat(versions.get(6).arrival()).isEqualTo(7);
    assertThat(past(device).deviceKey(versions.getFirst().actor()))
        .isEqualTo(device.signer.publicKey());
    assertThat(past(device).deviceKey(new ActorId(1, 1))).isNull();
  }

  @Test
  void longValues_andManySteps_areCounted_notListed() {
    var fields = new StringBuilder("{\"long\":\"" + "x".repeat(255) + "\"");
    for (int i = 0; i < 70; i++) {
      fields.append(",\"f").append(i).append("\":").append(i);
    }
    device.put("d", fields.append('}').toString());
    Version version = versions("d").getFirst();
    assertThat(version.steps()).hasSize(Version.MAX_STEPS);
    assertThat(version.omitted()).isEqualTo(71 - Version.MAX_STEPS);
    device.put("d", "\"" + "x".repeat(254) + "\"");
    device.put("d", "\"" + "x".repeat(255) + "\"");
    assertThat(versions("d").get(1).steps())
        .contains(new Step.Set("", 1, "\"" + "x".repeat(254) + "\"", 256));
    assertThat(versions("d").getFirst().steps()).contains(new Step.Set("", 1, null, 257));
  }

  @Test
  void pages_haveALimit_ofVersionsAndOfBytes() {
    for (int i = 0; i < 25; i++) {
      device.put("d", Integer.toString(i));
      device.put("e", Integer.toString(i));
    }
    History first = page("d", 10, Long.MAX_VALUE);
    assertThat(first.versions()).hasSize(10);
    History second = page("d", 10, first.next());
    History third = page("d", 10, second.next());
    assertThat(third.versions()).hasSize(5);
    assertThat(third.next()).isZero();
    assertThat(page("d", 25, Long.MAX_VALUE).next()).as("exactly all").isZero();
    assertThat(second.versions().getFirst().seq()).isEqualTo(29);
    for (int limit : new int[] {0, History.MAX_VERSIONS + 1}) {
      assertThatThrownBy(() -> page("d", limit, Long.MAX_VALUE))
          .hasMessage("limit must be 1 to 1000, but is " + limit);
    }
    assertThatThrownBy(() -> page("d", 1, 0)).hasMessage("before must be 1 or more, but is 0");
    assertThat(page("none", 1, Long.MAX_VALUE).versions()).isEmpty();

    for (int version = 0; version < 80; version++) {
      var fields = new StringBuilder("{\"n\":" + version);
      for (int i = 0; i < 60; i++) {
        fields.append(",\"k" + i + "\":\"" + version + "v".repeat(250) + "\"");
      }
      device.put("big", fields.append('}').toString());
    }
    History full = page("big", 1_000, Long.MAX_VALUE);
    assertThat(full.versions().size()).isBetween(20, 79);
    assertThat(page("big", 1_000, full.next()).versions()).isNotEmpty();
  }

  @Test
  void asOf_aVersion_leavesOutWhatItsAuthorHadNotSeen() {
    Device other = device.join(2);
    Receipt first = device.put("d", "{\"a\":1}");
    device.sync(other);
    Receipt here = device.patch("d", "{\"a\":2}");
    Receipt there = other.patch("d", "{\"b\":3}");
    device.sync(other);
    Receipt both = other.patch("d", "{\"c\":4}");
    device.sync(other);
    for (Device each : List.of(device, other)) {
      assertThat(at(each, version(first))).isEqualTo("{\"a\":1}");
      assertThat(at(each, version(here))).isEqualTo("{\"a\":2}");
      assertThat(at(each, version(there))).isEqualTo("{\"a\":1,\"b\":3}");
      assertThat(at(each, version(both))).isEqualTo("{\"a\":2,\"b\":3,\"c\":4}");
      assertThat(at(each, new Moment.Seen(Map.of(first.actor(), 2L, there.actor(), 1L))))
          .isEqualTo("{\"a\":2,\"b\":3}");
      assertThat(at(each, new Moment.Seen(Map.of()))).isEqualTo("none");
    }
    var unknown = new Moment.Version(first.actor(), 99);
    assertThat(catchThrowableOfType(CoreException.class, () -> at(device, unknown)).kind())
        .isEqualTo(CoreException.Kind.VERSION_NOT_FOUND);
    var nobody = new Moment.Version(new ActorId(7, 7), 1);
    assertThat(catchThrowableOfType(CoreException.class, () -> at(device, nobody)).kind())
        .isEqualTo(CoreException.Kind.VERSION_NOT_FOUND);
  }

  @Test
  void asOf_aTime_countsChangesThatArriveLaterToo() {
    Device other = device.join(2);
    device.put("d", "{\"a\":1}");
    device.sync(other);
    other.wallMillis = device.wallMillis + 1_000;
    other.patch("d", "{\"late\":true}");
    device.wallMillis += 5_000;
    device.patch("d", "{\"b\":2}");
    var moment = new Moment.Time(other.wallMillis);
    assertThat(at(device, moment)).isEqualTo("{\"a\":1}");
    device.sync(other);
    assertThat(at(device, moment)).isEqualTo("{\"a\":1,\"late\":true}");
    assertThat(at(device, new Moment.Time(0))).isEqualTo("none");
    assertThat(at(device, new Moment.Time(-1))).isEqualTo("none");
    assertThat(at(device, new Moment.Time(Long.MAX_VALUE))).isEqualTo(device.json("d"));
    assertThat(at(device, new Moment.Time(Long.MIN_VALUE))).isEqualTo("none");
    assertThat(HybridClock.endOf(1)).isEqualTo((2L << 16) - 1);
  }

  /** Takes the oldest changes of the device's one actor out of the log. */
  private void truncate(long throughSeq) {
    assertThat(device.engine.replica().truncate(actor -> throughSeq, Long.MAX_VALUE, 0)).isFalse();
    assertThat(device.engine.replica().log().floor().arrivals()).isEqualTo(throughSeq);
  }

  @Test
  void truncatedLog_answersWhereItCan_andOtherwiseNamesTheEarliestMoment() {
    device.put("d", "{\"kept\":1,\"changed\":1}");
    device.put("e", "1");
    Receipt below = device.patch("e", "2");
    long floorMillis = device.wallMillis;
    device.wallMillis += 10_000;
    Receipt above = device.put("f", "{}");
    device.wallMillis += 10_000;
    Receipt changed = device.patch("d", "{\"changed\":2}");
    Receipt later = device.patch("d", "{\"new\":3}");
    truncate(3);

    History page = page("d", 10, Long.MAX_VALUE);
    assertThat(page.versions()).hasSize(2);
    assertThat(page.truncated()).isTrue();
    assertThat(page("d", 1, Long.MAX_VALUE).truncated()).as("only on the last page").isFalse();

    assertThat(at(device, version(changed))).isEqualTo("{\"changed\":2,\"kept\":1}");
    assertThat(at(device, version(later))).isEqualTo("{\"changed\":2,\"kept\":1,\"new\":3}");
    assertThat(past(device).asOf(utf8("e"), version(above)).orElseThrow().json())
        .as("untouched since")
        .isEqualTo("2");
    for (Moment tooOld :
        List.of(
            version(below),
            version(above),
            new Moment.Seen(Map.of(below.actor(), 2L)),
            new Moment.Time(floorMillis - 1),
            new Moment.Time(floorMillis + 10_000))) {
      CoreException refused = catchThrowableOfType(CoreException.class, () -> at(device, tooOld));
      assertThat(refused.kind()).isEqualTo(CoreException.Kind.HISTORY_TRUNCATED);
      assertThat(refused)
          .hasMessageContaining("the earliest moment that can be asked for is 1970-");
    }
    CoreException lost =
        catchThrowableOfType(CoreException.class, () -> at(device, version(above)));
    String named = String.valueOf(lost.getMessage()).replaceAll(".*\\((\\d+)\\)", "$1");
    assertThat(at(device, new Moment.Time(Long.parseLong(named)))).contains("\"changed\":2");
  }

  private static List<Contest> contests(Device of) {
    byte[] row = Objects.requireNonNull(of.storage.get(Table.STATE, utf8("d")));
    return Contest.of(DocumentState.read(row), Content.Source.NONE);
  }

  private static String text(Contest.Claim claim) {
    return new String(claim.json(), StandardCharsets.UTF_8);
  }

  @Test
  void contest_ofAValueAndAnObject_hasBothWhole_whicheverWins() {
    Device other = device.join(2);
    device.put("d", "{\"p\":0}");
    device.sync(other);
    for (boolean valueWins : new boolean[] {true, false}) {
      device.put("d", "{\"p\":0}");
      device.sync(other);
      Device first = valueWins ? other : device;
      Device second = valueWins ? device : other;
      long now = Math.max(device.wallMillis, other.wallMillis);
      first.wallMillis = now + 10;
      second.wallMillis = now + 20;
      other.patch("d", "{\"p\":{\"x\":1,\"y\":{\"z\":2}}}");
      device.patch("d", "{\"p\":\"text\"}");
      device.sync(other);
      String object = "{\"x\":1,\"y\":{\"z\":2}}";
      List<Contest> contests = contests(device);
      assertThat(contests).hasSize(1);
      Contest contest = contests.getFirst();
      assertThat(Path.text(contest.path())).isEqualTo("p");
      assertThat(text(contest.winner())).isEqualTo(valueWins ? "\"text\"" : object);
      assertThat(contest.losers()).hasSize(1);
      assertThat(text(contest.losers().getFirst())).isEqualTo(valueWins ? object : "\"text\"");
      other.write(Edit.resolve("d", contest.path(), contest.losers().getFirst().json()));
      device.sync(other);
      device.assertEquals(other);
      assertThat(device.json("d")).isEqualTo("{\"p\":" + (valueWins ? object : "\"text\"") + "}");
      assertThat(device.conflicts("d")).isEmpty();
    }
  }

  @Test
  void contest_ofACounterThatLost_showsTheSumOfItsSteps() {
    Device other = device.join(2);
    device.put("d", "{}");
    device.sync(other);
    other.write(Edit.increment("d", "n", 5));
    other.write(Edit.increment("d", "n", -2));
    device.wallMillis = other.wallMillis + 10;
    device.patch("d", "{\"n\":\"text\"}");
    device.sync(other);
    Contest contest = contests(other).getFirst();
    assertThat(text(contest.winner())).isEqualTo("\"text\"");
    assertThat(contest.losers()).extracting(DocumentHistoryTest::text).containsExactly("3");
    device.write(Edit.resolve("d", contest.path(), utf8("3")));
    other.wallMillis = device.wallMillis + 10;
    other.write(Edit.increment("d", "n", 1));
    device.sync(other);
    assertThat(device.json("d")).as("a step made meanwhile is added").isEqualTo("{\"n\":4}");
    assertThat(contests(device)).isEmpty();
  }

  @Test
  void contest_whereAllWroteTheSame_isNone() {
    Device other = device.join(2);
    device.put("d", "{\"a\":0,\"b\":0}");
    device.sync(other);
    device.put("d", "{\"a\":1,\"b\":1}");
    other.put("d", "{\"a\":1,\"b\":2}");
    device.sync(other);
    assertThat(device.conflicts("d")).hasSize(2);
    assertThat(contests(device)).extracting(c -> Path.text(c.path())).containsExactly("b");
  }

  @Test
  void resolve_beyondTheLimitsOfADocument_isRefused() {
    var keys = new ArrayList<String>();
    for (int i = 0; i < Path.MAX_DEPTH - 1; i++) {
      keys.add("k");
    }
    byte[] deep = Path.of(keys);
    assertThat(Edit.resolve("d", deep, utf8("[1]")).leaves()).hasSize(1);
    assertThatThrownBy(() -> Edit.resolve("d", deep, utf8("[[1]]")))
        .isInstanceOf(CoreException.class);
    assertThatThrownBy(() -> Edit.resolve("d", deep, utf8("{\"a\":{\"b\":1}}")))
        .isInstanceOf(CoreException.class);
    assertThatThrownBy(() -> Path.of(List.of("k".repeat(Path.MAX_BYTES))))
        .isInstanceOf(CoreException.class);
    assertThatThrownBy(() -> Path.of(List.of("\ud800"))).hasMessageContaining("lone surrogate");
    assertThatThrownBy(() -> device.write(Edit.resolve("none", deep, utf8("1"))))
        .hasMessageContaining("does not exist");
  }
}
