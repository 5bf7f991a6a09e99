package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.daemon.node.Salvage;
import io.pluresdb.storage.rocks.WriteAheadLog;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** Commands about the write-ahead log of a database. */
final class Logs {
  private Logs() {}

  static Object command(Root root) {
    return new CommandLine(new Group())
        .addSubcommand(new Validate(root))
        .addSubcommand(new Recover(root));
  }

  @Command(name = "wal", description = "The write-ahead log of a database, and what damaged it.")
  static final class Group implements Runnable {
    @CommandLine.Spec private CommandLine.Model.@Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(spec.commandLine(), "say validate or recover");
      }
    }
  }

  private static JsonWriter json(WriteAheadLog.Report report) {
    WriteAheadLog.Damage damage = report.damage();
    var json = new JsonWriter().beginObject();
    json.name("ok").bool(damage == null || !damage.isHarmful());
    json.name("files").number(report.files()).name("commits").number(report.commits());
    if (damage != null) {
      json.name("damage").beginObject().name("code").string(damage.kind().code());
      json.name("file").string(damage.file().toString()).name("offset").number(damage.offset());
      json.name("message").string(damage.detail()).endObject();
      json.name("commitsBehind").number(report.behind());
    }
    return json;
  }

  private static void print(Io io, WriteAheadLog.Report report) {
    io.out().println(report.commits() + " commits in " + report.files() + " files can be read");
    WriteAheadLog.Damage damage = report.damage();
    if (damage != null) {
      io.out().println(damage);
      if (damage.isHarmful()) {
        io.out().println(report.behind() + " commits behind it can be read, and are not used");
      }
    }
  }

  @Command(
      name = "validate",
      description = "Read the whole log and change nothing; exit code 2 when it is damaged.")
  static final class Validate implements Callable<Integer> {
    private final Root root;

    Validate(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      WriteAheadLog.Report report = DeviceNode.inspectLog(root.dataDir(), root.databaseName());
      WriteAheadLog.Damage damage = report.damage();
      boolean harmful = damage != null && damage.isHarmful();
      if (root.json()) {
        root.print(json(report).endObject().toByteArray());
      } else {
        print(root.io(), report);
        if (harmful) {
          root.io()
              .out()
              .println("-> restore a backup, or keep what precedes it: pluresdb wal recover");
        }
      }
      return harmful ? Main.USAGE : Main.OK;
    }
  }

  @Command(
      name = "recover",
      description = {
        "Keep what precedes the damage in the log; no daemon may run on the data directory.",
        "The damaged store is put aside, and this device goes on under a new actor."
      })
  static final class Recover implements Callable<Integer> {
    private final Root root;

    Recover(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      Salvage.Outcome outcome =
          Backend.whenFree(
              root,
              () -> DeviceNode.recoverLog(root.dataDir(), root.databaseName(), root.secrets()));
      Path aside = outcome.aside();
      if (root.json()) {
        JsonWriter json = json(outcome.report()).name("recovered").bool(aside != null);
        if (aside != null) {
          json.name("kept").number(outcome.kept()).name("lost").number(outcome.lost());
          json.name("ownLost").number(outcome.ownLost()).name("aside").string(aside.toString());
        }
        root.print(json.endObject().toByteArray());
        return Main.OK;
      }
      print(root.io(), outcome.report());
      var out = root.io().out();
      if (aside == null) {
        out.println("nothing needs to be recovered");
        return Main.OK;
      }
      out.println(
          "kept %d changes, lost %d or more, %d of them made here"
              .formatted(outcome.kept(), outcome.lost(), outcome.ownLost()));
      out.println("other devices send back what they have of them");
      out.println("the damaged store is kept: " + aside);
      return Main.OK;
    }
  }
}
