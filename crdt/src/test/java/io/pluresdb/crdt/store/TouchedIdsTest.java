package io.pluresdb.crdt.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.property.Gen;
import io.pluresdb.crdt.property.Property;
import io.pluresdb.crdt.store.TouchedIds.Wanted;
import java.nio.charset.StandardCharsets;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;

class TouchedIdsTest {
  private static final Gen<String> IDS =
      Gen.of(random -> Long.toString(random.nextLong(), 2 + random.nextInt(35)));

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] written(List<String> ids) {
    var touched = new TouchedIds();
    ids.forEach(id -> touched.add(utf8(id)));
    var out = new ByteWriter();
    touched.write(out);
    return out.toByteArray();
  }

  private static boolean mayContain(byte[] written, String id) {
    return TouchedIds.mayContain(new ByteReader(written), Wanted.of(utf8(id)));
  }

  @Test
  void everyIdThatWasAdded_isFound() {
    Property.forAll(
        500,
        Gen.list(0, 300, IDS),
        ids -> {
          byte[] written = written(ids);
          for (String id : ids) {
            assertThat(mayContain(written, id)).isTrue();
          }
          var in = new ByteReader(written);
          TouchedIds.skip(in);
          in.end();
        });
  }

  @Test
  void idsThatWereNotAdded_areFoundAboutOncein65536TimesForEachThatWas() {
    byte[] written =
        written(java.util.stream.IntStream.range(0, 300).mapToObj(i -> "d" + i).toList());
    int found = 0;
    for (int i = 1_000; i < 101_000; i++) {
      found += mayContain(written, "d" + i) ? 1 : 0;
    }
    assertThat(found).as("of 100,000, where 458 are expected").isBetween(250, 700);
  }

  @Test
  void idsAddedAgain_takeNoRoom() {
    assertThat(written(List.of("a", "b", "a"))).hasSize(5).isEqualTo(written(List.of("b", "a")));
    assertThat(written(List.of())).hasSize(1);
  }

  @Test
  void skip_overWhatDoesNotAscend_isRefused() {
    for (String bad : List.of("0200020001", "0200020002", "818004")) {
      var in = new ByteReader(HexFormat.of().parseHex(bad));
      assertThatThrownBy(() -> TouchedIds.skip(in)).isInstanceOf(CodecException.class);
    }
  }
}
