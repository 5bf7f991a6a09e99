package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.Api;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.storage.backup.BackupManifest;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** Commands that look after what is on disk. */
final class Keeping {
  private static final byte[] NO_BODY = {};

  private Keeping() {}

  @Command(
      name = "vacuum",
      description = {
        "Take old changes off the log, and give back the disk that is not needed.",
        "A change goes when all members have it and it is old enough."
      })
  static final class Vacuum implements Callable<Integer> {
    private final Root root;

    Vacuum(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.call(Request.post("/api/vacuum", NO_BODY));
      if (root.json()) {
        root.print(answer);
      } else {
        Sharing.log(root.io().out(), Json.parse(answer).members());
      }
      return Main.OK;
    }
  }

  @Command(
      name = "backup",
      description = "Copy the database as of one moment, while it is read and written.")
  static final class Backup implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "DIR", description = "A folder that does not exist yet.")
    private Path target = Path.of("");

    @Option(
        names = "--keys",
        description = {
          "Also copy the keys of the database and of this device.",
          "Who has such a backup can be this device: keep it safe."
        })
    private boolean keys;

    Backup(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] body =
          new JsonWriter()
              .beginObject()
              .name("path")
              .string(target.toAbsolutePath().normalize().toString())
              .name("keys")
              .bool(keys)
              .endObject()
              .toByteArray();
      byte[] answer = root.call(Request.post("/api/backup", body));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      Map<String, Json> made = Json.parse(answer).members();
      var out = root.io().out();
      out.println(
          "backed up %s documents of %s, %s bytes in %s files, to %s"
              .formatted(
                  Json.text(made, "documents"),
                  Json.text(made, "database"),
                  Json.text(made, "bytes"),
                  Json.text(made, "files"),
                  Json.text(made, "path")));
      if (!keys) {
        out.println("without keys: it can be restored where the database is known; see --keys");
      }
      return Main.OK;
    }
  }

  @Command(
      name = "migrate",
      description = "Bring what earlier versions wrote into the form of this one, by opening it.")
  static final class Migrate implements Callable<Integer> {
    private final Root root;

    Migrate(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = root.callDevice(Request.get("/api/databases"));
      if (root.json()) {
        root.print(answer);
        return Main.OK;
      }
      for (Map<String, Json> database : Json.parse(answer).objects()) {
        root.io().out().println(Json.text(database, "name") + " is in the form of this version");
      }
      return Main.OK;
    }
  }

  @Command(
      name = "restore",
      description = {
        "Verify a backup and put its database into the data directory; no daemon may run on it.",
        "Nothing is overwritten, and this device goes on under a new actor."
      })
  static final class Restore implements Callable<Integer> {
    private final Root root;

    @Parameters(paramLabel = "DIR", description = "The folder that backup made.")
    private Path backup = Path.of("");

    Restore(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      BackupManifest manifest =
          Backend.whenFree(
              root,
              () ->
                  DeviceNode.restore(
                      root.dataDir(),
                      backup.toAbsolutePath(),
                      root.databaseName(),
                      root.secrets()));
      if (root.json()) {
        root.print(Api.backup(manifest, backup.toAbsolutePath()).toByteArray());
      } else {
        root.io()
            .out()
            .println(
                "restored %d documents as of %s to database %s"
                    .formatted(
                        manifest.documents(),
                        Instant.ofEpochMilli(manifest.createdMillis()),
                        root.databaseName()));
      }
      return Main.OK;
    }
  }
}
