package io.pluresdb.crdt.doc;

import java.util.List;

/**
 * What a reader sees of a typed value.
 *
 * @param json canonical JSON: a string for a text, an array for a list
 * @param conflicts values inside that lost against concurrent ones
 */
public record Content(byte[] json, List<Sibling> conflicts) {
  /** Where the content of a document's sequences comes from. */
  public interface Source {
    /** Of documents that have none. */
    Source NONE =
        register -> {
          throw new IllegalStateException("a document without sequences has none to read");
        };

    Content of(byte[] register);
  }
}
