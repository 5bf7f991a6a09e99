package io.pluresdb.daemon.cli;

import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.api.ApiClient;
import io.pluresdb.daemon.api.ApiException;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.config.Config;
import io.pluresdb.transport.identity.IdentityException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.regex.Pattern;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code diagnose}: what somebody who helps wants to see, in one file. */
@Command(
    name = "diagnose",
    description = {
      "Write a zip file for somebody who helps: settings, status, peers, doctor, metrics.",
      "No documents, keys, tokens or passwords are in it."
    })
final class Diagnosis implements Callable<Integer> {
  /** Parts by the route that they come from. */
  private static final Map<String, String> ROUTES =
      Map.of(
          "status.json", "/api/status",
          "peers.json", "/api/peers",
          "devices.json", "/api/devices",
          "indexes.json", "/api/indexes",
          "doctor.json", "/api/doctor",
          "dht.json", "/api/dht",
          "metrics.txt", "/metrics");

  /** Keys, topics and hashes: enough of them is left to tell them apart, too little to use one. */
  private static final Pattern LONG_HEX = Pattern.compile("([0-9a-fA-F]{8})[0-9a-fA-F]{24,}");

  private final Root root;

  @Parameters(
      arity = "0..1",
      paramLabel = "FILE",
      description = "Where (default: pluresdb-diagnosis-TIME.zip in this directory).")
  private @Nullable Path path;

  Diagnosis(Root root) {
    this.root = root;
  }

  @Override
  public Integer call() throws IOException, InterruptedException {
    Instant now = root.io().clock().instant().truncatedTo(ChronoUnit.SECONDS);
    Path file =
        path == null
            ? Path.of("pluresdb-diagnosis-" + now.toString().replaceAll("[^0-9TZ]", "") + ".zip")
            : path;
    var mine = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));
    try (var channel =
            Files.newByteChannel(
                file, Set.of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE), mine);
        var zip = new ZipOutputStream(java.nio.channels.Channels.newOutputStream(channel))) {
      add(zip, "about.json", about(now));
      add(zip, "config.json", config());
      add(zip, "files.txt", files(root.dataDir()));
      ask(zip);
    } catch (FileAlreadyExistsException e) {
      throw CliException.file(file + " exists already", "name another file, or remove it");
    } catch (IOException | RuntimeException e) {
      Files.deleteIfExists(file);
      throw e;
    }
    if (root.json()) {
      root.print(
          new JsonWriter()
              .beginObject()
              .name("file")
              .string(file.toString())
              .endObject()
              .toByteArray());
    } else {
      root.io().out().println("Wrote " + file + ". Look through it before you hand it on.");
    }
    return Main.OK;
  }

  /** A store that cannot be opened is told of, too. */
  private void ask(ZipOutputStream zip) throws IOException, InterruptedException {
    try (ApiClient client = root.client()) {
      for (String name : ROUTES.keySet().stream().sorted().toList()) {
        add(zip, name, answer(client, name));
      }
    } catch (StorageException | IdentityException | CliException e) {
      add(zip, "error.txt", String.valueOf(e.getMessage()).getBytes(StandardCharsets.UTF_8));
    }
  }

  /** What a route answers, or why it does not. */
  private byte[] answer(ApiClient client, String name) throws InterruptedException {
    try {
      Request request = Request.get(ROUTES.getOrDefault(name, ""));
      return client.call(
          name.equals("devices.json") || name.equals("indexes.json") || name.equals("doctor.json")
              ? root.chosen(request)
              : request);
    } catch (ApiException e) {
      return (e.code() + ": " + e.message() + "\n").getBytes(StandardCharsets.UTF_8);
    }
  }

  private static void add(ZipOutputStream zip, String name, byte[] content) throws IOException {
    zip.putNextEntry(new ZipEntry(name));
    String text = new String(content, StandardCharsets.UTF_8);
    zip.write(LONG_HEX.matcher(text).replaceAll("$1...").getBytes(StandardCharsets.UTF_8));
    zip.closeEntry();
  }

  private byte[] about(Instant now) throws IOException {
    var json = new JsonWriter().beginObject();
    json.name("time").string(now.toString()).name("version").string(Version.text());
    for (String property : List.of("java.vm.version", "os.name", "os.version", "os.arch")) {
      json.name(property).string(System.getProperty(property, ""));
    }
    json.name("processors").number(Runtime.getRuntime().availableProcessors());
    Path dataDir = root.dataDir();
    if (Files.exists(dataDir)) {
      json.name("diskFree").number(Files.getFileStore(dataDir).getUsableSpace());
      json.name("diskTotal").number(Files.getFileStore(dataDir).getTotalSpace());
      json.name("fileSystem").string(Files.getFileStore(dataDir).type());
    }
    return json.endObject().toByteArray();
  }

  private byte[] config() {
    var json = new JsonWriter().beginArray();
    for (Config.Entry entry : root.config(Map.of()).entries()) {
      json.beginObject().name("key").string(entry.setting().key());
      json.name("value").string(entry.shown()).name("origin").string(entry.origin()).endObject();
    }
    return json.endArray().toByteArray();
  }

  /** Permissions, sizes and names of what is in the data directory. */
  private static byte[] files(Path dataDir) throws IOException {
    var lines = new TreeMap<Path, String>();
    if (Files.exists(dataDir)) {
      Files.walkFileTree(
          dataDir,
          new SimpleFileVisitor<>() {
            @Override
            public FileVisitResult preVisitDirectory(Path folder, BasicFileAttributes attributes)
                throws IOException {
              return visitFile(folder, attributes);
            }

            @Override
            public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
                throws IOException {
              try {
                lines.put(file, line(dataDir, file));
              } catch (NoSuchFileException e) {
                return visitFileFailed(file, e);
              }
              return FileVisitResult.CONTINUE;
            }

            @Override
            public FileVisitResult visitFileFailed(Path file, IOException e) throws IOException {
              // The daemon goes on meanwhile: what was there a moment ago may be gone.
              return e instanceof NoSuchFileException
                  ? FileVisitResult.CONTINUE
                  : super.visitFileFailed(file, e);
            }
          });
    }
    return String.join("", lines.values()).getBytes(StandardCharsets.UTF_8);
  }

  private static String line(Path dataDir, Path file) throws IOException {
    var attributes = Files.readAttributes(file, PosixFileAttributes.class);
    return String.format(
        "%s%12d  %s%n",
        PosixFilePermissions.toString(attributes.permissions()),
        attributes.isDirectory() ? 0 : attributes.size(),
        dataDir.relativize(file));
  }
}
