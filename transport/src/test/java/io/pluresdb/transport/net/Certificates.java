package io.pluresdb.transport.net;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.cert.Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** An authority and a relay's certificate for localhost, made by the JDK's keytool. */
record Certificates(Path authority, Path chain, Path key, String pin) {
  static final String ISSUER = "CN=Corporate Proxy CA";
  private static final String PASSWORD = "changeit";

  static Certificates make(Path directory)
      throws IOException, GeneralSecurityException, InterruptedException {
    Path store = directory.resolve("store.p12");
    keytool(store, "ca", ISSUER, "-ext", "bc:c");
    keytool(store, "relay", "CN=localhost", "-ext", "san=dns:localhost", "-signer", "ca");
    KeyStore keys = KeyStore.getInstance("PKCS12");
    try (InputStream in = Files.newInputStream(store)) {
      keys.load(in, PASSWORD.toCharArray());
    }
    Certificate own = keys.getCertificate("relay");
    return new Certificates(
        pem(directory.resolve("ca.pem"), "CERTIFICATE", keys.getCertificate("ca").getEncoded()),
        pem(directory.resolve("relay.pem"), "CERTIFICATE", own.getEncoded()),
        pem(
            directory.resolve("relay.key"),
            "PRIVATE KEY",
            keys.getKey("relay", PASSWORD.toCharArray()).getEncoded()),
        HexFormat.of()
            .formatHex(
                MessageDigest.getInstance("SHA-256").digest(own.getPublicKey().getEncoded())));
  }

  private static void keytool(Path store, String alias, String name, String... more)
      throws IOException, InterruptedException {
    var command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "keytool").toString(),
                "-genkeypair",
                "-keyalg",
                "EC",
                "-groupname",
                "secp256r1",
                "-alias",
                alias,
                "-dname",
                name,
                "-keystore",
                store.toString(),
                "-storetype",
                "PKCS12",
                "-storepass",
                PASSWORD));
    command.addAll(Arrays.asList(more));
    Process keytool = new ProcessBuilder(command).redirectErrorStream(true).start();
    String said = new String(keytool.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
    if (!keytool.waitFor(60, TimeUnit.SECONDS) || keytool.exitValue() != 0) {
      throw new IOException("keytool: " + said);
    }
  }

  private static Path pem(Path file, String what, byte[] der) throws IOException {
    String text = Base64.getMimeEncoder(64, new byte[] {'\n'}).encodeToString(der);
    return Files.writeString(
        file, "-----BEGIN " + what + "-----\n" + text + "\n-----END " + what + "-----\n");
  }
}
