package io.pluresdb.daemon.api;

import io.pluresdb.crdt.op.FieldType;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.NodeRecord;
import io.pluresdb.crdt.value.Path;
import io.pluresdb.storage.index.IndexDefinition;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.TreeMap;

/**
 * A line of an export, as import reads it: a document, or a header that says what belongs to none.
 *
 * <p>What is said of a document stands beside its {@code data}, so no document can be taken for a
 * header or for something that was said of it.
 */
sealed interface ExportLine {
  /** The format of headers, from 1; a header of another is refused. */
  int FORMAT = 1;

  /** What {@code list} and {@code export} write may be read; the timestamp is not taken over. */
  List<String> MEMBERS = List.of("id", "data", "embedding", "types", "timestamp");

  /** A document with its embedding and the types of its fields. */
  record Document(Edit.Put put) implements ExportLine {}

  /** The indexes that are declared. */
  record Header(List<IndexDefinition> indexes) implements ExportLine {}

  /**
   * Reads a line.
   *
   * @throws ApiException when it is neither
   */
  static ExportLine read(JsonMembers.Slice line) {
    if (JsonMembers.beginsWith(line, "pluresdb")) {
      return header(
          JsonMembers.read(
              JsonMembers.read(line, "the header", List.of("pluresdb")).required("pluresdb"),
              "pluresdb",
              List.of("format", "indexes")));
    }
    var members = JsonMembers.read(line, "the document", MEMBERS);
    Edit.Put put = DocumentRoutes.put(members);
    if (!members.has("types")) {
      return new Document(put);
    }
    var types = new TreeMap<String, FieldType>();
    members
        .entries("types")
        .forEach((path, type) -> types.put(path, type(path, JsonMembers.text(type, "types"))));
    return new Document(Edit.typed(put, types));
  }

  private static Header header(JsonMembers members) {
    members.required("format");
    members.integer("format", FORMAT, FORMAT, FORMAT);
    var indexes = new ArrayList<IndexDefinition>();
    if (members.has("indexes")) {
      for (JsonMembers.Slice index : members.elements("indexes", IndexDefinition.MAX_INDEXES)) {
        indexes.add(
            new IndexDefinition(
                JsonMembers.elements(index, "indexes", IndexDefinition.MAX_FIELDS).stream()
                    .map(field -> JsonMembers.text(field, "indexes"))
                    .toList()));
      }
    }
    return new Header(indexes);
  }

  private static FieldType type(String path, String label) {
    return Arrays.stream(FieldType.values())
        .filter(type -> type.label().equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                ApiException.invalid(
                    "types: field \""
                        + path
                        + "\" must be \"text\", \"list\" or \"set\", but is \""
                        + label
                        + "\""));
  }

  /** Writes the members of a header. */
  static void writeHeader(JsonWriter json, List<List<String>> indexes) {
    json.name("pluresdb").beginObject().name("format").number(FORMAT);
    json.name("indexes").beginArray();
    for (List<String> fields : indexes) {
      json.beginArray();
      fields.forEach(json::string);
      json.endArray();
    }
    json.endArray().endObject();
  }

  /** Writes the members of a document. */
  static void write(JsonWriter json, NodeRecord document) {
    DocumentRoutes.document(json, document);
    BulkRoutes.embedding(json, document);
    if (document.typed().isEmpty()) {
      return;
    }
    json.name("types").beginObject();
    for (byte[] register : document.typed()) {
      byte[] path = Register.path(register);
      String text = Path.text(path);
      // No interface makes a typed field below a key with a dot: only another program may.
      if (Arrays.equals(path, Path.parse(text))) {
        json.name(text).string(FieldType.of(register).label());
      }
    }
    json.endObject();
  }
}
