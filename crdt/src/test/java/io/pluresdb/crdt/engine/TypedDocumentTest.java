package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.FieldType;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.store.DocumentHistory;
import io.pluresdb.crdt.store.DocumentReader;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.History;
import io.pluresdb.crdt.store.Moment;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Texts, lists and sets in documents, on two devices. */
class TypedDocumentTest {
  private final Device a = Device.founder(1);
  private final Device b = a.join(2);

  @BeforeEach
  void document_onBoth() {
    a.put("d", "{\"n\":1}");
    a.sync(b);
  }

  private static List<byte[]> json(String... values) {
    return Arrays.stream(values).map(v -> v.getBytes(StandardCharsets.UTF_8)).toList();
  }

  private static Edit splice(int at, int delete, String insert) {
    return Edit.spliceText("d", "t", at, delete, insert);
  }

  private static Edit insert(int at, String... values) {
    return Edit.insertIntoList("d", "l", at, json(values));
  }

  private static Edit move(int from, int to) {
    return Edit.moveInList("d", "l", from, to);
  }

  private static Edit add(String... values) {
    return Edit.addToSet("d", "s", json(values));
  }

  private void same(String json) {
    a.sync(b);
    a.assertEquals(b);
    assertThat(a.json("d")).isEqualTo(json);
    assertThat(b.json("d")).isEqualTo(json);
    a.restart();
    assertThat(a.json("d")).isEqualTo(json);
  }

  @Test
  void text_editedOnBothAtOnce_keepsBothEdits() {
    a.write(splice(0, 0, "Hello wrld"));
    a.sync(b);
    a.write(splice(7, 0, "o"));
    b.write(splice(10, 0, "!"));
    b.write(splice(0, 1, "J"));
    same("{\"n\":1,\"t\":\"Jello world!\"}");
  }

  @Test
  void text_ofAstralCharacters_countsCodePoints() {
    a.write(splice(0, 0, "\uD83D\uDE00\uD83D\uDE01"), splice(1, 1, "x"), splice(Edit.END, 0, "y"));
    same("{\"n\":1,\"t\":\"\uD83D\uDE00xy\"}");
    assertThatThrownBy(() -> splice(0, 0, "\uD83D")).hasMessageContaining("lone surrogate");
  }

  @Test
  void positions_outOfRange_areRefusedWithTheRange() {
    a.write(splice(0, 0, "abc"), insert(0, "1", "2"));
    assertThatThrownBy(() -> a.write(splice(4, 0, "x")))
        .hasMessage("at must be 0 to 3 in a text of 3 code points, but is 4");
    assertThatThrownBy(() -> a.write(splice(2, 2, "")))
        .hasMessageContaining("delete must be 0 to 1");
    assertThatThrownBy(() -> a.write(insert(3, "x".repeat(0) + "0")))
        .hasMessage("at must be 0 to 2 in a list of 2, but is 3");
    assertThatThrownBy(() -> a.write(move(2, 0))).hasMessageContaining("from must be 0 to 1");
    assertThatThrownBy(() -> a.write(move(0, 2))).hasMessageContaining("to must be 0 to 1");
    assertThatThrownBy(() -> a.write(Edit.setInList("d", "l", -2, json("1").getFirst())))
        .hasMessageContaining("at must be 0 to 1");
    assertThatThrownBy(() -> a.write(Edit.deleteFromList("d", "l", 1, 2)))
        .hasMessageContaining("count must be 0 to 1");
    assertThatThrownBy(() -> a.write(Edit.moveInList("d", "empty", 0, 0)))
        .hasMessageContaining("the list is empty");
  }

  @Test
  void refusedEdit_inABatch_leavesNothingOfTheOthers() {
    a.write(splice(0, 0, "abc"), insert(0, "1", "2", "3"));
    String before = String.valueOf(a.json("d"));
    var hash = a.view().stateHash();
    assertThatThrownBy(
            () ->
                a.write(
                    splice(1, 1, "xyz"),
                    insert(1, "9"),
                    move(0, 2),
                    Edit.setInList("d", "l", 0, json("8").getFirst()),
                    Edit.deleteFromList("d", "l", 1, 1),
                    splice(99, 0, "no")))
        .isInstanceOf(CoreException.class);
    a.write(splice(3, 0, "d"));
    assertThat(a.json("d")).isEqualTo(before.replace("abc", "abcd"));
    a.write(splice(3, 1, ""));
    assertThat(a.view().stateHash()).isNotEqualTo(hash);
    same(before);
  }

  @Test
  void refusedEdit_thenAnotherDocument_isCommitted() {
    a.write(splice(0, 0, "abc"));
    assertThatThrownBy(() -> a.write(splice(3, 0, "d"), splice(99, 0, "no")))
        .isInstanceOf(CoreException.class);
    a.put("e", "{}");
    same("{\"n\":1,\"t\":\"abc\"}");
  }

  @Test
  void list_movedOnBothAtOnce_holdsEachElementOnce() {
    a.write(insert(0, "1", "2", "3", "4"));
    a.sync(b);
    a.write(move(0, 3));
    b.wallMillis += 10;
    b.write(move(0, 1));
    b.write(Edit.setInList("d", "l", 3, json("44").getFirst()));
    same("{\"l\":[2,1,3,44],\"n\":1}");
  }

  @Test
  void list_elementDeletedAndMovedAtOnce_isGone_setAtOnce_stays() {
    a.write(insert(0, "1", "2", "3"));
    a.sync(b);
    a.write(Edit.deleteFromList("d", "l", 0, 2));
    b.write(move(0, 2));
    b.write(Edit.setInList("d", "l", 0, json("\"two\"").getFirst()));
    same("{\"l\":[\"two\",3],\"n\":1}");
  }

  @Test
  void list_elementSetOnBothAtOnce_reportsTheLoser() {
    a.write(insert(0, "1"));
    a.sync(b);
    a.write(Edit.setInList("d", "l", 0, json("2").getFirst()));
    b.wallMillis += 10;
    b.write(Edit.setInList("d", "l", 0, json("3").getFirst()));
    same("{\"l\":[3],\"n\":1}");
    assertThat(a.conflicts("d")).extracting(NodeRecord.Conflict::value).containsExactly("2");
    assertThat(a.conflicts("d")).extracting(NodeRecord.Conflict::path).containsExactly("l");
  }

  @Test
  void set_addedAndRemovedAtOnce_keepsWhatTheRemovalDidNotSee() {
    a.write(add("\"x\"", "2", "{\"b\":1,\"a\":2}"));
    a.sync(b);
    a.write(Edit.removeFromSet("d", "s", json("\"x\"", "2")));
    b.write(add("\"x\"", "\"y\""));
    same("{\"n\":1,\"s\":[\"x\",\"y\",{\"a\":2,\"b\":1}]}");
    a.write(Edit.removeFromSet("d", "s", json("\"x\"", "\"y\"", "{\"a\":2,\"b\":1}")));
    same("{\"n\":1,\"s\":[]}");
  }

  @Test
  void put_ofTheSameShape_keepsTypesAndChangesWhatDiffers() {
    a.write(splice(0, 0, "one two"), insert(0, "1", "2", "3"), add("1", "2"));
    a.sync(b);
    a.put("d", "{\"l\":[3,1,4],\"s\":[2,3],\"t\":\"one and two\"}");
    b.write(splice(7, 0, " three"), move(1, 2), add("9"));
    a.sync(b);
    same("{\"l\":[3,1,4],\"s\":[2,3,9],\"t\":\"one and two three\"}");
    assertThat(a.conflicts("d")).isEmpty();
  }

  @Test
  void put_ofTheSameDocument_writesNothingTyped() {
    a.write(splice(0, 0, "text"), insert(0, "1"), add("1"));
    int before = a.engine.replica().log().arrived(0, 100).getLast().change().body().length;
    a.put("d", "{\"l\":[1],\"n\":1,\"s\":[1],\"t\":\"text\"}");
    int body = a.engine.replica().log().arrived(0, 100).getLast().change().body().length;
    assertThat(body).isLessThan(20).isLessThan(before);
  }

  @Test
  void put_withoutTheField_removesIt_butNotWhatWasTypedAtOnce() {
    a.write(splice(0, 0, "old"), insert(0, "1"), add("1"));
    a.sync(b);
    a.put("d", "{}");
    b.write(splice(3, 0, "new"), insert(1, "2"), add("2"));
    same("{\"l\":[2],\"s\":[2],\"t\":\"new\"}");
    b.put("d", "{}");
    same("{}");
    a.write(splice(0, 0, "again"));
    same("{\"t\":\"again\"}");
  }

  @Test
  void put_ofAnotherType_makesTheFieldPlain() {
    a.write(splice(0, 0, "x"), insert(0, "1"), add("1"));
    a.put("d", "{\"l\":\"plain\",\"s\":[1,1],\"t\":7}");
    same("{\"l\":\"plain\",\"s\":[1,1],\"t\":7}");
    assertThat(a.conflicts("d")).isEmpty();
    assertThatThrownBy(() -> a.write(splice(0, 0, "y")))
        .hasMessage("field \"t\" holds a plain value, not a text: remove it first");
  }

  @Test
  void patch_ofATypedField_keepsTheType_andNullRemovesIt() {
    a.write(splice(0, 0, "one"), insert(0, "1"), add("1"));
    a.patch("d", "{\"t\":\"one two\",\"l\":[1,2],\"s\":[2],\"n\":null}");
    a.write(splice(3, 0, ","), insert(2, "3"), add("3"));
    same("{\"l\":[1,2,3],\"s\":[2,3],\"t\":\"one, two\"}");
    a.patch("d", "{\"t\":null,\"l\":null,\"s\":null}");
    same("{}");
  }

  @Test
  void types_atOnePathAtOnce_theNewestIsShown_theOtherIsAConflict() {
    a.write(Edit.spliceText("d", "x", 0, 0, "words"));
    b.wallMillis += 10;
    b.write(Edit.insertIntoList("d", "x", 0, json("1")));
    same("{\"n\":1,\"x\":[1]}");
    assertThat(a.conflicts("d"))
        .extracting(NodeRecord.Conflict::value)
        .containsExactly("\"words\"");
    assertThatThrownBy(() -> a.write(Edit.spliceText("d", "x", 0, 0, "y")))
        .hasMessage("field \"x\" holds a list, not a text: remove it first");
    a.put("d", "{\"x\":\"plain\"}");
    same("{\"x\":\"plain\"}");
    assertThat(a.conflicts("d")).isEmpty();
  }

  @Test
  void contest_ofTypes_endsByChoosing_andTheWinnerKeepsItsType() {
    byte[] path = Path.parse("x");
    a.write(Edit.spliceText("d", "x", 0, 0, "words"));
    b.wallMillis += 10;
    b.write(Edit.insertIntoList("d", "x", 0, json("1")));
    a.sync(b);
    assertThat(contests("[1]", "\"words\"")).isTrue();
    a.write(Edit.resolve("d", path, json("[1]").getFirst()));
    a.write(Edit.insertIntoList("d", "x", 1, json("2")));
    same("{\"n\":1,\"x\":[1,2]}");
    assertThat(a.conflicts("d")).isEmpty();
    a.write(Edit.resolve("d", path, json("\"words\"").getFirst()));
    same("{\"n\":1,\"x\":\"words\"}");
  }

  private boolean contests(String winner, String loser) {
    try (var snapshot = a.storage.snapshot()) {
      var contest =
          DocumentReader.contests(snapshot, "d".getBytes(StandardCharsets.UTF_8), "d").getFirst();
      return new String(contest.winner().json(), StandardCharsets.UTF_8).equals(winner)
          && new String(contest.losers().getFirst().json(), StandardCharsets.UTF_8).equals(loser);
    }
  }

  @Test
  void document_asItWas_hasItsTextsAndListsAsTheyWere() {
    a.write(splice(0, 0, "first"), insert(0, "1", "2"), add("1"));
    String json = String.valueOf(a.json("d"));
    Moment moment = Moment.Seen.of(a.view().frontier());
    b.write(Edit.spliceText("d", "t", 0, 0, "apart"));
    a.write(splice(0, 5, "second"), move(0, 1), Edit.removeFromSet("d", "s", json("1")));
    a.sync(b);
    byte[] id = "d".getBytes(StandardCharsets.UTF_8);
    var history = new DocumentHistory(a.storage);
    assertThat(history.asOf(id, moment).orElseThrow().json()).isEqualTo(json);
    assertThat(history.page(id, 10, Long.MAX_VALUE).versions())
        .flatExtracting(version -> version.steps())
        .contains(
            new History.Step.Edited("t", "text.delete", 5),
            new History.Step.Edited("t", "text.insert", 6),
            new History.Step.Edited("l", "list.move", 1),
            new History.Step.Edited("s", "set.remove", 1));
  }

  @Test
  void mismatches_nameWhatIsThere() {
    a.put("d", "{\"o\":{\"p\":1},\"e\":{},\"v\":3}");
    assertThatThrownBy(() -> a.write(Edit.spliceText("d", "o", 0, 0, "x")))
        .hasMessageContaining("holds an object, not a text");
    assertThatThrownBy(() -> a.write(Edit.spliceText("d", "e", 0, 0, "x")))
        .hasMessageContaining("holds an object, not a text");
    assertThatThrownBy(() -> a.write(Edit.addToSet("d", "v.w", json("1"))))
        .hasMessageContaining("field \"v\" is no object");
    assertThatThrownBy(() -> a.write(Edit.spliceText("no", "t", 0, 0, "x")))
        .hasMessageContaining("does not exist");
    assertThatThrownBy(() -> Edit.spliceText("d", "", 0, 0, "x"))
        .hasMessageContaining("path must name a field");
    a.write(Edit.spliceText("d", "e.t", 0, 0, "below"));
    same("{\"e\":{\"t\":\"below\"},\"o\":{\"p\":1},\"v\":3}");
  }

  @Test
  void document_deletedAndTypedInAtOnce_returnsWhole() {
    a.write(splice(0, 0, "kept"), insert(0, "1"));
    a.sync(b);
    a.write(Edit.delete("d"));
    b.write(splice(4, 0, "!"));
    same("{\"l\":[1],\"n\":1,\"t\":\"kept!\"}");
    a.write(Edit.delete("d"));
    a.sync(b);
    assertThat(b.get("d")).isNull();
    b.put("d", "{\"t\":\"fresh\"}");
    same("{\"t\":\"fresh\"}");
  }

  @Test
  void emptyTypes_areDeclared() {
    a.write(splice(0, 0, ""), insert(0), add());
    same("{\"l\":[],\"n\":1,\"s\":[],\"t\":\"\"}");
    b.write(splice(0, 0, "x"), insert(0, "1"), add("1"));
    same("{\"l\":[1],\"n\":1,\"s\":[1],\"t\":\"x\"}");
  }

  private static Edit declared(String id, String json, Map<String, FieldType> types) {
    return Edit.typed(Edit.put(id, json.getBytes(StandardCharsets.UTF_8)), types);
  }

  private static final Map<String, FieldType> TYPES =
      Map.of("t", FieldType.TEXT, "l", FieldType.LIST, "s", FieldType.SET, "o.t", FieldType.TEXT);

  private static List<String> types(NodeRecord document) {
    return document.typed().stream()
        .map(key -> Path.text(Register.path(key)) + "=" + FieldType.of(key).label())
        .toList();
  }

  @Test
  void put_thatDeclaresTypes_makesThemWhateverWasThere() {
    String json = "{\"l\":[2,1],\"n\":1,\"o\":{\"t\":\"\"},\"s\":[1,2],\"t\":\"abc\"}";
    List<String> wanted = List.of("l=list", "o.t=text", "s=set", "t=text");
    a.write(declared("fresh", json, TYPES));
    a.put("plain", json);
    a.write(declared("plain", json, TYPES));
    a.put("other", "{\"o\":3,\"x\":1}");
    a.write(
        Edit.spliceText("other", "l", 0, 0, "a text"),
        Edit.insertIntoList("other", "s", 0, json("1", "1")));
    a.write(declared("other", json, TYPES));
    a.put("gone", json);
    a.write(Edit.spliceText("gone", "u", 0, 0, "x"));
    a.write(Edit.delete("gone"));
    a.write(declared("gone", json, TYPES));
    a.sync(b);
    a.assertEquals(b);
    for (String id : List.of("fresh", "plain", "other", "gone")) {
      NodeRecord there = Objects.requireNonNull(b.get(id));
      assertThat(there.json()).as(id).isEqualTo(json);
      assertThat(types(there)).as(id).isEqualTo(wanted);
      assertThat(there.conflicts()).as(id).isEmpty();
      b.write(
          Edit.spliceText(id, "t", 1, 1, "B"),
          Edit.spliceText(id, "o.t", 0, 0, "x"),
          Edit.moveInList(id, "l", 0, 1),
          Edit.addToSet(id, "s", json("3")));
      assertThat(b.json(id))
          .isEqualTo("{\"l\":[1,2],\"n\":1,\"o\":{\"t\":\"x\"},\"s\":[1,2,3],\"t\":\"aBc\"}");
    }
  }

  @Test
  void put_thatDeclaresEmptyTypes_makesThem() {
    String json = "{\"l\":[],\"o\":{\"t\":\"\"},\"s\":[],\"t\":\"\"}";
    a.write(declared("e", json, TYPES));
    assertThat(types(Objects.requireNonNull(a.get("e")))).hasSize(4);
    assertThat(a.json("e")).isEqualTo(json);
  }

  @Test
  void put_thatDeclaresWhatIsThere_writesNothingTyped() {
    String json = "{\"l\":[2,1],\"o\":{\"t\":\"\"},\"s\":[1,2],\"t\":\"abc\"}";
    a.write(declared("e", json, TYPES));
    a.write(declared("e", json, TYPES));
    var last = a.engine.replica().log().arrived(0, 100).getLast();
    assertThat(ChangeBody.decode(last.actor(), last.change().body()).getFirst().operations())
        .as("only that it exists")
        .hasSize(1);
  }

  @Test
  void put_thatDeclaresWhatItDoesNotHold_isRefused() {
    assertThatThrownBy(() -> declared("e", "{\"t\":1}", Map.of("t", FieldType.TEXT)))
        .hasMessage("field \"t\" is to be a text, but holds no string");
    assertThatThrownBy(() -> declared("e", "{\"t\":1}", Map.of("x.y", FieldType.LIST)))
        .hasMessage("field \"x.y\" is to be a list, but holds no array");
    assertThatThrownBy(() -> declared("e", "{\"t\":[1,1]}", Map.of("t", FieldType.SET)))
        .hasMessageContaining("holds no array without duplicates");
    assertThatThrownBy(() -> declared("e", "[]", Map.of("", FieldType.LIST)))
        .hasMessage("path must name a field");
  }

  @Test
  void crash_afterTyping_losesOnlyWhatWasNotSynced() {
    for (int i = 0; i < 300; i++) {
      a.write(splice(i, 0, "" + i % 10));
    }
    String before = String.valueOf(a.json("d"));
    a.crash();
    assertThat(a.json("d")).isEqualTo(before);
    a.write(splice(0, 150, ""));
    same("{\"n\":1,\"t\":\"" + "0123456789".repeat(15) + "\"}");
  }

  /** More texts than stay open: those that were closed are read from their rows again. */
  @Test
  void texts_editedInTurn_moreThanStayOpen_keepTheirContent() {
    int texts = 150;
    for (int round = 0; round < 3; round++) {
      for (int i = 0; i < texts; i++) {
        if (round == 0) {
          a.put("d" + i, "{}");
        }
        a.write(Edit.spliceText("d" + i, "t", round, 0, "" + (i + round) % 10));
      }
    }
    a.sync(b);
    a.assertEquals(b);
    for (int i = 0; i < texts; i++) {
      String expected = "" + i % 10 + (i + 1) % 10 + (i + 2) % 10;
      assertThat(b.json("d" + i)).isEqualTo("{\"t\":\"" + expected + "\"}");
    }
  }

  /** Too long for the longest common subsequence: a common one is good enough, the result exact. */
  @Test
  void put_ofALongListInAnotherOrder_keepsTheElements() {
    var values = new ArrayList<String>();
    for (int i = 0; i < 1_100; i++) {
      values.add("" + i);
    }
    a.write(insert(0, values.toArray(String[]::new)));
    var reversed = values.reversed();
    a.put("d", "{\"l\":[" + String.join(",", reversed) + ",7]}");
    same("{\"l\":[" + String.join(",", reversed) + ",7]}");
    var last = a.engine.replica().log().arrived(0, 100).getLast();
    assertThat(ChangeBody.decode(last.actor(), last.change().body()).getFirst().operations())
        .filteredOn(operation -> operation instanceof CrdtOperation.ListInsert)
        .hasSize(1);
  }
}
