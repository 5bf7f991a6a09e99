package io.pluresdb.daemon.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import picocli.CommandLine.IVersionProvider;

/** The version of this build, which Maven writes into a resource. */
final class Version implements IVersionProvider {
  static String text() {
    try (InputStream in = Version.class.getResourceAsStream("/pluresdb-version.txt")) {
      if (in == null) {
        throw new IllegalStateException("the build left out pluresdb-version.txt");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8).strip();
    } catch (IOException e) {
      throw new IllegalStateException("pluresdb-version.txt cannot be read", e);
    }
  }

  @Override
  public String[] getVersion() {
    return new String[] {"pluresdb " + text()};
  }
}
