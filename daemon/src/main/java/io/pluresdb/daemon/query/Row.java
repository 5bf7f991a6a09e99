package io.pluresdb.daemon.query;

import io.pluresdb.crdt.store.NodeRecord;
import java.util.List;

/** What a query reads: the fields of a document, or the columns of a group. */
interface Row {
  Value get(Field field);

  /** A document. */
  static Row of(NodeRecord document, String prefix) {
    return new Document(
        document.id(), document.timestamp(), Value.ofCanonical(document.data()), prefix);
  }

  /**
   * A document, or a part of one.
   *
   * @param prefix of its table
   */
  record Document(String id, long timestamp, Value data, String prefix) implements Row {
    @Override
    public Value get(Field field) {
      return switch (field) {
        case Field.Id name -> new Value.Text(id);
        case Field.Key key -> new Value.Text(id.substring(prefix.length()));
        case Field.Timestamp time -> Value.of(timestamp);
        case Field.Data all -> data;
        case Field.Path(List<String> keys) -> {
          Value value = data;
          for (String key : keys) {
            value = value.member(key);
          }
          yield value;
        }
      };
    }
  }
}
