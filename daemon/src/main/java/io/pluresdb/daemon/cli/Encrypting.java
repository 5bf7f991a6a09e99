package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.node.DataDirectory;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.crypto.KeyVault;
import java.nio.file.Path;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Commands about the encryption of the data directory. */
final class Encrypting {
  private static final byte[] NO_BODY = {};
  private static final long POLL_NANOS = TimeUnit.MILLISECONDS.toNanos(200);

  private Encrypting() {}

  static Object command(Root root) {
    return new CommandLine(new Group())
        .addSubcommand(new Status(root))
        .addSubcommand(new Enable(root))
        .addSubcommand(new ChangePassword(root))
        .addSubcommand(new Reencrypt(root));
  }

  /** {@code key} with its subcommand. */
  static Object keys(Root root) {
    return new CommandLine(new Keys()).addSubcommand("rotate", new Rotate(root));
  }

  @Command(name = "key", description = "The data key of an encrypted data directory.")
  static final class Keys implements Runnable {
    @CommandLine.Spec private CommandLine.Model.@Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(spec.commandLine(), "say rotate");
      }
    }
  }

  @Command(
      name = "rotate",
      description = {
        "Make a new data key for what is written from now on.",
        "What was written before keeps the key it has until it changes, or until --reencrypt."
      })
  static final class Rotate implements Callable<Integer> {
    private final Root root;

    @Option(
        names = "--reencrypt",
        description = "Seal everything with it, as encryption reencrypt does.")
    private boolean reencrypt;

    @Option(names = "--background", description = "Do not wait until it is done.")
    private boolean background;

    Rotate(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      if (reencrypt) {
        return reencrypt(root, background);
      }
      if (background) {
        throw CliException.usage("--background goes with --reencrypt", "say both, or neither");
      }
      show(root, root.call(Request.post("/api/encryption/rotate", NO_BODY)));
      return Main.OK;
    }
  }

  @Command(
      name = "encryption",
      description = "How the data directory is encrypted, and by what it is unlocked.")
  static final class Group implements Runnable {
    @CommandLine.Spec private CommandLine.Model.@Nullable CommandSpec spec;

    @Override
    public void run() {
      if (spec != null) {
        throw new CommandLine.ParameterException(
            spec.commandLine(), "say status, enable, change-password or reencrypt");
      }
    }
  }

  private static void show(Root root, byte[] answer) {
    if (root.json()) {
      root.print(answer);
      return;
    }
    Map<String, Json> status = Json.parse(answer).members();
    var out = root.io().out();
    if (!Json.text(status, "encrypted").equals("true")) {
      out.println("not encrypted");
      return;
    }
    out.println("encrypted  " + Json.text(status, "cipher"));
    out.println(
        "unlocked   by a "
            + Json.text(status, "mode").replace('-', ' ')
            + " ("
            + Json.text(status, "kdf")
            + ")");
    for (Map<String, Json> key : status.getOrDefault("keys", Json.NONE).objects()) {
      out.println("data key   " + Json.text(key, "number") + " of " + Json.time(key, "created"));
    }
    List<String> revoked =
        status.getOrDefault("revokedDevices", Json.NONE).elements().stream()
            .map(Json::text)
            .toList();
    revoked.forEach(device -> out.println("removed    " + device + " since the newest key"));
    if (Json.text(status, "reencrypting").equals("true")) {
      out.println("reencrypt  under way, " + Json.text(status, "reencryptedRows") + " rows");
    }
    String failure = Json.text(status, "failure");
    if (!failure.isEmpty()) {
      out.println("reencrypt  stopped: " + failure + "; reencrypt goes on");
    }
  }

  @Command(name = "status", description = "Print how the data directory is encrypted.")
  static final class Status implements Callable<Integer> {
    private final Root root;

    Status(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      show(root, root.call(Request.get("/api/encryption")));
      return Main.OK;
    }
  }

  @Command(
      name = "enable",
      description = {
        "Encrypt a data directory that is not; no daemon may run on it, and it needs as much room"
            + " again.",
        "Killed in the middle, nothing has changed or all has; done again, it goes on."
      })
  static final class Enable implements Callable<Integer> {
    private final Root root;

    Enable(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() {
      Path directory = root.dataDir();
      long rows =
          Backend.whenFree(root, () -> DeviceNode.encrypt(directory, root.secrets()::fresh));
      if (root.json()) {
        root.print(
            new JsonWriter().beginObject().name("rows").number(rows).endObject().toByteArray());
      } else {
        root.io().out().println("encrypted " + directory + ", " + rows + " rows");
      }
      return Main.OK;
    }
  }

  @Command(
      name = "change-password",
      description = "Let another password or key file unlock the data; nothing is rewritten.")
  static final class ChangePassword implements Callable<Integer> {
    private final Root root;

    @Option(
        names = "--new-password-file",
        paramLabel = "FILE",
        description = "Its first line is the new password; asked for otherwise.")
    private @Nullable Path passwordFile;

    @Option(
        names = "--new-key-file",
        paramLabel = "FILE",
        description = "Unlock with this file from now on.")
    private @Nullable Path keyFile;

    ChangePassword(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      if (!DataDirectory.isEncrypted(root.dataDir())) {
        throw new EncryptionException(
            "ENCRYPTION_NOT_ENABLED",
            root.dataDir() + " is not encrypted",
            "encryption enable encrypts it");
      }
      Path file = root.dataDir().resolve("encryption.json");
      EncryptionConfig old = root.secrets().of(KeyVault.metadata(file));
      EncryptionConfig fresh = root.secrets().fresh(passwordFile, keyFile);
      byte[] body =
          new JsonWriter()
              .beginObject()
              .name("oldMode")
              .string(old.mode())
              .name("old")
              .string(HexFormat.of().formatHex(old.secret()))
              .name("newMode")
              .string(fresh.mode())
              .name("new")
              .string(HexFormat.of().formatHex(fresh.secret()))
              .endObject()
              .toByteArray();
      show(root, root.call(Request.post("/api/encryption/secret", body)));
      return Main.OK;
    }
  }

  @Command(
      name = "reencrypt",
      description = {
        "Make a new data key and seal everything with it; reading and writing go on.",
        "After an interruption the daemon goes on by itself."
      })
  static final class Reencrypt implements Callable<Integer> {
    private final Root root;

    @Option(names = "--background", description = "Do not wait until it is done.")
    private boolean background;

    Reencrypt(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      return reencrypt(root, background);
    }
  }

  private static int reencrypt(Root root, boolean background) throws InterruptedException {
    try (ApiClient client = root.client()) {
      byte[] answer = client.call(Request.post("/api/encryption/reencrypt", NO_BODY));
      while (!background && isRunning(answer)) {
        LockSupport.parkNanos(POLL_NANOS);
        answer = client.call(Request.get("/api/encryption"));
      }
      show(root, answer);
      return Json.text(Json.parse(answer).members(), "failure").isEmpty() ? Main.OK : Main.FAILURE;
    }
  }

  private static boolean isRunning(byte[] answer) {
    return Json.text(Json.parse(answer).members(), "reencrypting").equals("true");
  }
}
