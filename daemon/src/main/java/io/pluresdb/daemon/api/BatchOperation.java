package io.pluresdb.daemon.api;

import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.CrdtOperation;
import io.pluresdb.crdt.op.ElementId;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.daemon.api.JsonMembers.Slice;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;

/** One operation of {@code /api/batch}: what it is called, and the members it takes. */
enum BatchOperation {
  PUT("put", "data", "embedding"),
  PATCH("patch", "patch"),
  DELETE("delete"),
  INCREMENT("increment", "path", "amount"),
  TEXT_SPLICE("text.splice", "path", "at", "delete", "insert"),
  LIST_INSERT("list.insert", "path", "at", "values"),
  LIST_DELETE("list.delete", "path", "at", "count"),
  LIST_MOVE("list.move", "path", "from", "to"),
  LIST_SET("list.set", "path", "at", "value"),
  SET_ADD("set.add", "path", "values"),
  SET_REMOVE("set.remove", "path", "values");

  private static final int MAX_POSITION = ElementId.MAX_COUNTER + 1;
  private static final List<String> ALL = everyMember();

  private final String name;

  @SuppressWarnings("ImmutableEnumChecker") // List.copyOf is immutable.
  private final List<String> members;

  BatchOperation(String name, String... members) {
    this.name = name;
    var all = new ArrayList<>(List.of("op", "id"));
    all.addAll(List.of(members));
    this.members = List.copyOf(all);
  }

  private static List<String> everyMember() {
    var names = new TreeSet<String>();
    for (BatchOperation operation : values()) {
      names.addAll(operation.members);
    }
    return List.copyOf(names);
  }

  /**
   * Reads an operation.
   *
   * @param subject its place in the request, for messages
   */
  static Edit read(Slice slice, String subject) {
    var members = JsonMembers.read(slice, subject, ALL);
    BatchOperation operation = named(members.string("op"), subject);
    for (String member : ALL) {
      if (members.has(member) && !operation.members.contains(member)) {
        throw ApiException.invalid(
            subject
                + ": "
                + operation.name
                + " takes "
                + operation.members
                + ", but has \""
                + member
                + "\"");
      }
    }
    return operation.edit(members);
  }

  private static BatchOperation named(String name, String subject) {
    var names = new ArrayList<String>();
    for (BatchOperation operation : values()) {
      if (operation.name.equals(name)) {
        return operation;
      }
      names.add(operation.name);
    }
    throw ApiException.invalid(
        subject + ".op must be " + String.join(", ", names) + ", but is \"" + name + "\"");
  }

  private Edit edit(JsonMembers in) {
    return switch (this) {
      case PUT -> DocumentRoutes.put(in);
      case PATCH -> Edit.patch(in.string("id"), in.required("patch").bytes());
      case DELETE -> Edit.delete(in.string("id"));
      case INCREMENT -> {
        long most = CrdtOperation.Increment.MAX_AMOUNT;
        in.required("amount");
        yield Edit.increment(
            in.string("id"), in.string("path"), in.integer("amount", -most, most, 0));
      }
      case TEXT_SPLICE ->
          Edit.spliceText(
              in.string("id"),
              in.string("path"),
              position(in, "at", Edit.END),
              position(in, "delete", 0),
              in.has("insert") ? in.string("insert") : "");
      case LIST_INSERT ->
          Edit.insertIntoList(
              in.string("id"), in.string("path"), position(in, "at", Edit.END), values(in));
      case LIST_DELETE ->
          Edit.deleteFromList(
              in.string("id"), in.string("path"), required(in, "at"), position(in, "count", 1));
      case LIST_MOVE ->
          Edit.moveInList(
              in.string("id"), in.string("path"), required(in, "from"), required(in, "to"));
      case LIST_SET ->
          Edit.setInList(
              in.string("id"), in.string("path"), required(in, "at"), in.required("value").bytes());
      case SET_ADD -> Edit.addToSet(in.string("id"), in.string("path"), values(in));
      case SET_REMOVE -> Edit.removeFromSet(in.string("id"), in.string("path"), values(in));
    };
  }

  private static int position(JsonMembers in, String member, int otherwise) {
    return (int) in.integer(member, 0, MAX_POSITION, otherwise);
  }

  private static int required(JsonMembers in, String member) {
    in.required(member);
    return position(in, member, 0);
  }

  private static List<byte[]> values(JsonMembers in) {
    return in.elements("values", ChangeBody.MAX_OPERATIONS - 2).stream().map(Slice::bytes).toList();
  }
}
