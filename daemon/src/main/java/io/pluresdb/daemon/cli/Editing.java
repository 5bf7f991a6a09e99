package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** The command that edits a text, list or set inside a document. */
@Command(
    name = "edit",
    description = {
      "Edit a text, list or set in a document.",
      "OP ARG... is one of:",
      "  text.splice AT DELETE [TEXT]",
      "  list.insert AT JSON...   list.delete AT [COUNT]",
      "  list.move FROM TO        list.set AT JSON",
      "  set.add JSON...          set.remove JSON...",
      "AT may be \"end\"."
    })
final class Editing implements Callable<Integer> {
  private final Root root;

  @Parameters(index = "0", paramLabel = "ID", description = "The document.")
  private String id = "";

  @Parameters(index = "1", paramLabel = "PATH", description = "Keys joined by dots.")
  private String path = "";

  @Parameters(index = "2", paramLabel = "OP", description = "The operation.")
  private String op = "";

  @Parameters(index = "3..*", paramLabel = "ARG", description = "What it needs.")
  private List<String> arguments = new ArrayList<>();

  Editing(Root root) {
    this.root = root;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    var body = new JsonWriter().beginObject().name("operations").beginArray().beginObject();
    body.name("op").string(op).name("id").string(id).name("path").string(path);
    switch (op) {
      case "text.splice" -> {
        require(2, 3, "AT DELETE [TEXT]");
        position(body, "at", 0);
        position(body, "delete", 1);
        if (arguments.size() == 3) {
          body.name("insert").string(arguments.get(2));
        }
      }
      case "list.insert" -> {
        require(1, Integer.MAX_VALUE, "AT JSON...");
        position(body, "at", 0);
        values(body, arguments.subList(1, arguments.size()));
      }
      case "list.delete" -> {
        require(1, 2, "AT [COUNT]");
        position(body, "at", 0);
        if (arguments.size() == 2) {
          position(body, "count", 1);
        }
      }
      case "list.move" -> {
        require(2, 2, "FROM TO");
        position(body, "from", 0);
        position(body, "to", 1);
      }
      case "list.set" -> {
        require(2, 2, "AT JSON");
        position(body, "at", 0);
        body.name("value").raw(Documents.json(root, arguments.get(1)));
      }
      case "set.add", "set.remove" -> values(body, arguments);
      default ->
          throw CliException.usage(
              "there is no operation \""
                  + op
                  + "\"; it must be text.splice, list.insert, list.delete, list.move, list.set,"
                  + " set.add or set.remove",
              "pluresdb edit --help says what each takes");
    }
    byte[] request = body.endObject().endArray().endObject().toByteArray();
    Documents.done(root, root.call(Request.post("/api/batch", request)), "edited", id);
    return Main.OK;
  }

  private void require(int least, int most, String usage) {
    if (arguments.size() < least || arguments.size() > most) {
      throw CliException.usage(
          op + " does not take " + arguments.size() + " arguments", op + " takes " + usage);
    }
  }

  private void position(JsonWriter body, String member, int index) {
    String argument = arguments.get(index);
    if (member.equals("at") && argument.equals("end")) {
      return;
    }
    try {
      body.name(member).number(Long.parseLong(argument));
    } catch (NumberFormatException e) {
      throw CliException.usage(
          member + " must be a whole number, but is \"" + argument + "\"",
          "positions count from 0");
    }
  }

  private void values(JsonWriter body, List<String> values) throws IOException {
    body.name("values").beginArray();
    for (String value : values) {
      body.raw(Documents.json(root, value));
    }
    body.endArray();
  }
}
