package io.pluresdb.harness.cluster;

import static io.pluresdb.harness.cluster.DaemonProcess.await;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.daemon.node.DeviceNode;
import io.pluresdb.storage.crypto.EncryptionConfig;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A daemon that is killed while it seals everything with a new key. */
class ReencryptionTest {
  private static final Duration DEADLINE = Duration.ofMinutes(2);
  private static final int DOCUMENTS = 20_000;

  @TempDir Path temporary;

  @Test
  void reencryption_thatIsKilled_goesOnAtTheNextStart_andLosesNothing() throws Exception {
    Path data = temporary.resolve("data");
    EncryptionConfig password = EncryptionConfig.password("correct horse");
    DeviceNode.init(data, false, password);
    Path secret = temporary.resolve("password");
    Files.writeString(secret, "correct horse\n", StandardCharsets.UTF_8);
    Files.setPosixFilePermissions(secret, PosixFilePermissions.fromString("rw-------"));
    Files.writeString(
        data.resolve("config.toml"),
        "[encryption]\npassword-file = \"" + secret + "\"\n",
        StandardCharsets.UTF_8);
    Path lines = temporary.resolve("in.jsonl");
    var text = new StringBuilder();
    for (int i = 0; i < DOCUMENTS; i++) {
      text.append("{\"id\":\"d").append(i).append("\",\"data\":{\"n\":").append(i).append("}}\n");
    }
    Files.writeString(lines, text, StandardCharsets.UTF_8);
    try (DaemonProcess daemon = DaemonProcess.start(data)) {
      daemon.importLines(lines, false);
      String before = daemon.status().get("stateHash").asText();
      daemon.post("/api/encryption/reencrypt", "");
      await(
          "some rows are sealed anew",
          DEADLINE,
          () -> encryption(daemon).get("reencryptedRows").asLong() > 0);
      daemon.kill();
      assertThat(Files.readString(data.resolve("encryption.json")))
          .as("killed before it was done")
          .contains("\"number\" : 1", "\"number\" : 2");
      daemon.start();
      await("the rest is sealed anew", DEADLINE, () -> encryption(daemon).get("keys").size() == 1);
      assertThat(encryption(daemon).get("keys").get(0).get("number").asInt()).isEqualTo(2);
      assertThat(daemon.status().get("stateHash").asText()).isEqualTo(before);
      assertThat(daemon.get("d19999")).isEqualTo("{\"n\":19999}");
      assertThat(daemon.call(Request.get("/api/doctor")).get("ok").asBoolean()).isTrue();
      daemon.kill();
      daemon.start();
      assertThat(daemon.status().get("stateHash").asText()).isEqualTo(before);
    }
  }

  private static JsonNode encryption(DaemonProcess daemon) {
    return daemon.call(Request.get("/api/encryption"));
  }
}
