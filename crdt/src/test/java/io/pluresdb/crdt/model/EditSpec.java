package io.pluresdb.crdt.model;

import io.pluresdb.crdt.store.Edit;
import java.nio.charset.StandardCharsets;
import java.util.List;

/** An edit before anybody has worked out what it means. */
sealed interface EditSpec {
  String id();

  record Put(String id, Tree document, int embedding) implements EditSpec {}

  record Patch(String id, Tree patch) implements EditSpec {}

  record Delete(String id) implements EditSpec {}

  record Increment(String id, List<String> path, long amount) implements EditSpec {}

  /** For the product. */
  default Edit toEdit() {
    return switch (this) {
      case Put(var id, var document, var embedding) when embedding > 0 ->
          Edit.put(id, utf8(document), new float[] {embedding, 1});
      case Put(var id, var document, var embedding) -> Edit.put(id, utf8(document));
      case Patch(var id, var patch) -> Edit.patch(id, utf8(patch));
      case Delete(var id) -> Edit.delete(id);
      case Increment(var id, var path, var amount) ->
          Edit.increment(id, String.join(".", path), amount);
    };
  }

  private static byte[] utf8(Tree tree) {
    return tree.toString().getBytes(StandardCharsets.UTF_8);
  }
}
