package io.pluresdb.daemon.cli;

import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.api.ApiException;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.transport.identity.IdentityException;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** Commands that look for what is wrong. */
final class Diagnosing {
  private Diagnosing() {}

  @Command(
      name = "doctor",
      description = "Look whether this device and a database are in order; exit code 2 when not.")
  static final class Doctor implements Callable<Integer> {
    private final Root root;

    @Option(
        names = "--against",
        paramLabel = "PEER",
        description =
            "Compare all documents with a connected peer instead: its device id or the first 8"
                + " letters, its name, or its address.")
    private @Nullable String against;

    Doctor(Root root) {
      this.root = root;
    }

    @Override
    public Integer call() throws InterruptedException {
      byte[] answer = answer();
      Map<String, Json> outcome = Json.parse(answer).members();
      if (root.json()) {
        root.print(answer);
      } else {
        print(outcome);
      }
      return Json.text(outcome, "ok").equals("true") ? Main.OK : Main.USAGE;
    }

    /** What the checks say; a store that cannot be opened is a finding too. */
    private byte[] answer() throws InterruptedException {
      try {
        Request request = Request.get("/api/doctor");
        return against == null ? root.call(request) : root.call(request.with("against", against));
      } catch (StorageException e) {
        return failed("storage", ApiException.of(e));
      } catch (IdentityException e) {
        return failed("keys", ApiException.of(e));
      } catch (EncryptionException e) {
        return failed("encryption", ApiException.of(e));
      }
    }

    /** What can be said when the database does not open. */
    private byte[] failed(String check, ApiException failure) {
      var json = new JsonWriter().beginObject().name("ok").bool(false);
      json.name("checks").beginArray();
      for (Finding finding :
          DeviceNode.doctorOfClosed(
              root.dataDir(),
              root.databaseName(),
              Finding.error(check, failure.code() + ": " + failure.message(), failure.hint()))) {
        json.beginObject().name("name").string(finding.name());
        json.name("status").string(finding.status().toString());
        json.name("message").string(finding.message());
        json.name("remediation").string(finding.remediation()).endObject();
      }
      return json.endArray().endObject().toByteArray();
    }

    private void print(Map<String, Json> outcome) {
      var out = root.io().out();
      for (Map<String, Json> check : outcome.getOrDefault("checks", Json.NONE).objects()) {
        String status = Json.text(check, "status").replace('_', ' ');
        out.println(
            String.format(
                "%-15s%-14s%s", status, Json.text(check, "name"), Json.text(check, "message")));
        String remediation = Json.text(check, "remediation");
        if (!remediation.isEmpty()) {
          out.println(" ".repeat(15) + "-> " + remediation);
        }
      }
    }
  }
}
