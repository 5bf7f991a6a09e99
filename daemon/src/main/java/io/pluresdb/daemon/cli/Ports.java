package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.api.JsonMembers;
import io.pluresdb.daemon.api.JsonWriter;
import io.pluresdb.daemon.config.Settings.HostPort;
import io.pluresdb.daemon.node.DataDirectory;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * The addresses of a running daemon, as {@code DATA_DIR/ports.json} has them.
 *
 * @param http of the API
 * @param socket path of the Unix socket, or empty
 * @param peers where peers reach it
 */
record Ports(String http, String socket, String peers) {
  static final String FILE = "ports.json";
  static final String TOKEN_FILE = "api-token";
  static final String SOCKET_FILE = "pluresdb.sock";

  private static final List<String> MEMBERS = List.of("http", "socket", "peers");

  static Ports read(Path dataDir) throws IOException {
    var members = JsonMembers.read(Files.readAllBytes(dataDir.resolve(FILE)), FILE, MEMBERS);
    return new Ports(members.string("http"), members.string("socket"), members.string("peers"));
  }

  void write(Path dataDir) {
    byte[] json =
        new JsonWriter()
            .beginObject()
            .name("http")
            .string(http)
            .name("socket")
            .string(socket)
            .name("peers")
            .string(peers)
            .endObject()
            .newline()
            .toByteArray();
    DataDirectory.writeAtomically(dataDir.resolve(FILE), json);
  }

  HostPort httpAddress() {
    return HostPort.parse(http, 1);
  }
}
