package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.crdt.store.Edit;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Void changes of one actor that are written again follow each other as they did. */
class AdoptionTest {
  private Device founder;
  private Device removed;
  private Device third;

  @BeforeEach
  void devices() {
    founder = Device.founder(1);
    removed = founder.join(2);
    third = founder.join(3);
    founder.sync(removed);
    founder.sync(third);
  }

  /** The founder never met what the removed device wrote; the third device has it. */
  private void removeAndAdopt() {
    removed.sync(third);
    founder.revoke(removed, null);
    founder.sync(third);
    assertThat(third.adopt(removed)).isPositive();
    founder.sync(third);
    founder.assertEquals(third);
  }

  private static Edit patch(String id, String json) {
    return Edit.patch(id, json.getBytes(StandardCharsets.UTF_8));
  }

  @Test
  void deleteThatIsAdopted_afterAnotherHadWrittenBetween_deletesWhatWasAdopted() {
    removed.put("d", "{\"v\":1}");
    removed.sync(third);
    third.wallMillis = removed.wallMillis;
    third.patch("d", "{\"w\":1}");
    removed.sync(third);
    removed.wallMillis = third.wallMillis;
    removed.write(Edit.delete("d"));
    removeAndAdopt();
    assertThat(third.get("d")).isNull();
  }

  @Test
  void fieldThatWasOverwrittenTwice_hasTheLastValueAndNoConflict() {
    removed.put("d", "{\"v\":1}");
    removed.sync(third);
    third.wallMillis = removed.wallMillis;
    third.patch("d", "{\"v\":2}");
    removed.sync(third);
    removed.wallMillis = third.wallMillis;
    removed.patch("d", "{\"v\":3}");
    removeAndAdopt();
    assertThat(third.json("d")).isEqualTo("{\"v\":3}");
    assertThat(third.conflicts("d")).isEmpty();
  }

  @Test
  void batchThatIsAdopted_replacesWhatItWroteItself() {
    removed.write(
        Edit.put("d", "{\"v\":1}".getBytes(StandardCharsets.UTF_8)), patch("d", "{\"v\":2}"));
    removed.write(Edit.delete("d"), Edit.put("e", "{}".getBytes(StandardCharsets.UTF_8)));
    removeAndAdopt();
    assertThat(third.get("d")).isNull();
    assertThat(third.json("e")).isEqualTo("{}");
  }

  @Test
  void counterThatIsAdopted_keepsEveryIncrement() {
    removed.put("c", "{}");
    removed.write(Edit.increment("c", "n", 2));
    removed.write(Edit.increment("c", "n", 3));
    removeAndAdopt();
    assertThat(third.json("c")).isEqualTo("{\"n\":5}");
  }
}
