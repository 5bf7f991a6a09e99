package io.pluresdb.storage.text;

import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Leaf;
import io.pluresdb.crdt.value.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.BiConsumer;

/** The strings of a document, each with the dotted name of the field it is in. */
public final class TextFields {
  private TextFields() {}

  /** Hands over every string of a document, also inside arrays, in the order of the fields. */
  public static void of(byte[] json, BiConsumer<String, String> consumer) {
    for (Leaf leaf : CanonicalJson.leaves(json)) {
      byte first = leaf.value()[0];
      if (first == '"') {
        consumer.accept(Path.text(leaf.path()), CanonicalJson.text(leaf.value()));
      } else if (first == '[') {
        String name = Path.text(leaf.path());
        strings(leaf.value()).forEach(text -> consumer.accept(name, text));
      }
    }
  }

  /** The strings in canonical JSON that are no names of members. */
  private static List<String> strings(byte[] json) {
    var strings = new ArrayList<String>();
    for (int i = 0; i < json.length; i++) {
      if (json[i] == '"') {
        int from = i++;
        while (json[i] != '"') {
          i += json[i] == '\\' ? 2 : 1;
        }
        if (i + 1 == json.length || json[i + 1] != ':') {
          strings.add(CanonicalJson.text(Arrays.copyOfRange(json, from, i + 1)));
        }
      }
    }
    return strings;
  }
}
