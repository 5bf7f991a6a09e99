package io.pluresdb.crdt.engine;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.crdt.value.CanonicalJson;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Real editing, replayed through a replica, ends in the text it ended in then. */
class TraceTest {
  @ParameterizedTest
  @ValueSource(strings = {"automerge-paper", "rustcode", "sveltecomponent"})
  void trace_replayed_endsInTheExpectedText(String name) throws IOException {
    JsonNode trace = read(name);
    Device device = Device.founder(1);
    device.put("d", "{}");
    Replica replica = device.engine.replica();
    String start = trace.path("startContent").asText();
    if (!start.isEmpty()) {
      replica.stage(Transaction.of(Edit.spliceText("d", "t", 0, 0, start)));
    }
    for (JsonNode transaction : trace.path("txns")) {
      var edits = new ArrayList<Edit>();
      for (JsonNode patch : transaction.path("patches")) {
        edits.add(
            Edit.spliceText(
                "d", "t", patch.path(0).asInt(), patch.path(1).asInt(), patch.path(2).asText()));
      }
      replica.stage(new Transaction(edits, Transaction.Acknowledgement.LOCAL));
      if (replica.isGroupFull()) {
        replica.commit();
      }
    }
    replica.commit();
    assertThat(text(device)).isEqualTo(trace.path("endContent").asText());
    var hash = device.view().stateHash();
    device.restart();
    assertThat(text(device)).isEqualTo(trace.path("endContent").asText());
    assertThat(device.view().stateHash()).isEqualTo(hash);
  }

  private static String text(Device device) throws IOException {
    byte[] json = String.valueOf(device.json("d")).getBytes(StandardCharsets.UTF_8);
    assertThat(CanonicalJson.canonical(json)).isEqualTo(json);
    return new ObjectMapper().readTree(json).path("t").asText();
  }

  private static JsonNode read(String name) throws IOException {
    Path start = Path.of(System.getProperty("pluresdb.root", ".")).toAbsolutePath().normalize();
    for (Path folder = start; folder != null; folder = folder.getParent()) {
      Path file = folder.resolve("shared/vectors/traces/" + name + ".json.gz");
      if (Files.isRegularFile(file)) {
        try (InputStream raw = Files.newInputStream(file);
            InputStream in = new GZIPInputStream(raw)) {
          return new ObjectMapper().readTree(in);
        }
      }
    }
    String why = "the traces shared/vectors/traces are not above " + start;
    System.err.println("SKIPPED: TraceTest: " + why);
    Assumptions.abort(why);
    throw new AssertionError("unreachable");
  }
}
