package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import io.pluresdb.daemon.node.Node;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionMetadata;
import java.util.HexFormat;
import java.util.List;

/** Routes about the encryption of the data directory. */
final class EncryptionRoutes {
  private static final int BODY_BYTES = 64 << 10;

  private final Node node;

  EncryptionRoutes(Node node) {
    this.node = node;
  }

  List<Route> routes() {
    return List.of(
        Route.get("/api/encryption", Level.ADMIN, "how the data directory is encrypted")
            .answers("Encryption")
            .waiting(request -> status()),
        Route.post(
                "/api/encryption/secret",
                Level.ADMIN,
                "lets another password or key file unlock the data directory; secrets in hex")
            .body(
                "{oldMode: 'password' | 'key-file', old: string, newMode: 'password' | 'key-file',"
                    + " new: string}",
                BODY_BYTES)
            .answers("Encryption")
            .waiting(this::change),
        Route.post(
                "/api/encryption/rotate",
                Level.ADMIN,
                "seals with a new data key what is written from now on")
            .optionalBody("{}", BODY_BYTES)
            .answers("Encryption")
            .waiting(this::rotate),
        Route.post(
                "/api/encryption/reencrypt",
                Level.ADMIN,
                "seals everything with a new key, in the background")
            .optionalBody("{}", BODY_BYTES)
            .answers("Encryption")
            .waiting(this::reencrypt));
  }

  private Answer status() {
    return Answer.of(json(node.encryption()));
  }

  private Answer rotate(Request request) {
    requireNothing(request);
    return Answer.of(json(node.rotateKey()));
  }

  private static void requireNothing(Request request) {
    if (request.bytes().length > 0) {
      JsonMembers.read(request.bytes(), "the body", List.of());
    }
  }

  private Answer reencrypt(Request request) {
    requireNothing(request);
    return Answer.of(json(node.reencrypt()));
  }

  private Answer change(Request request) {
    var body =
        JsonMembers.read(request.bytes(), "the body", List.of("oldMode", "old", "newMode", "new"));
    node.changeSecret(secret(body, "old"), secret(body, "new"));
    return status();
  }

  /** A secret: how it is used, and its bytes in hex. */
  private static EncryptionConfig secret(JsonMembers body, String name) {
    String mode = body.string(name + "Mode");
    byte[] bytes;
    try {
      bytes = HexFormat.of().parseHex(body.string(name));
    } catch (IllegalArgumentException e) {
      throw ApiException.invalid(name + " must be hexadecimal");
    }
    return switch (mode) {
      case EncryptionMetadata.PASSWORD -> new EncryptionConfig.Password(bytes);
      case EncryptionMetadata.KEY_FILE -> new EncryptionConfig.KeyFile(bytes);
      default ->
          throw ApiException.invalid(
              name + "Mode must be password or key-file, but is \"" + mode + "\"");
    };
  }

  private static JsonWriter json(Node.EncryptionStatus status) {
    EncryptionMetadata metadata = status.metadata();
    var json = new JsonWriter().beginObject();
    json.name("encrypted").bool(metadata != null);
    if (metadata != null) {
      json.name("mode").string(metadata.mode());
      json.name("cipher").string(metadata.cipher());
      json.name("kdf").string(metadata.kdf().name());
      json.name("keys").beginArray();
      metadata
          .keys()
          .forEach(
              key -> {
                json.beginObject().name("number").number(key.number());
                json.name("created").number(key.createdMillis()).endObject();
              });
      json.endArray();
      json.name("revokedDevices").beginArray();
      metadata.revokedDevices().forEach(json::string);
      json.endArray();
      json.name("reencrypting").bool(status.running());
      json.name("reencryptedRows").number(status.rows());
      json.name("failure").string(status.failure());
    }
    return json.endObject();
  }
}
