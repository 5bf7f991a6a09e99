package io.pluresdb.daemon.node;

import static io.pluresdb.daemon.Eventually.await;
import static org.assertj.core.api.Assertions.assertThat;

import io.pluresdb.daemon.access.AuditLog;
import io.pluresdb.daemon.access.Tokens;
import io.pluresdb.daemon.api.Api;
import io.pluresdb.daemon.api.ApiOptions;
import io.pluresdb.daemon.api.HttpServer;
import io.pluresdb.daemon.api.LocalClient;
import io.pluresdb.daemon.api.Request;
import io.pluresdb.storage.embedding.EmbedText;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.InstantSource;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** That the list of metrics and the dashboard name what a connected device exports. */
class MetricsReferenceTest extends LocalNodes {
  private static final Pattern TYPE = Pattern.compile("(?m)^# TYPE (\\S+) (\\w+)$");
  private static final Pattern ROW =
      Pattern.compile("(?m)^\\| `(pluresdb_\\w+)` \\| (\\w+) \\|.*\\| .+ \\|$");
  private static final Pattern NAME = Pattern.compile("pluresdb_\\w+");

  private static String file(String name) throws IOException {
    return Files.readString(Path.of(System.getProperty("pluresdb.root"), name));
  }

  private static String page(DeviceNode node) throws Exception {
    Tokens tokens = Tokens.inMemory("main", InstantSource.system(), new Random(1));
    var api =
        new Api(node, "1", InstantSource.system(), Duration.ofSeconds(15), tokens, AuditLog.none());
    ApiOptions options = ApiOptions.at(loopback(0), null);
    try (var server = HttpServer.start(api, options, tokens);
        var client = LocalClient.tcp(server.address(), "main")) {
      return new String(client.call(Request.get("/metrics")), StandardCharsets.UTF_8);
    }
  }

  private static Map<String, String> kinds(Pattern pattern, String text) {
    var kinds = new TreeMap<String, String>();
    Matcher found = pattern.matcher(text);
    while (found.find()) {
      kinds.put(found.group(1), found.group(2));
    }
    return kinds;
  }

  @Test
  void referenceAndDashboard_nameTheMetricsThereAre() throws Exception {
    var network = new NodeOptions.Network(loopback(0), false, List.of());
    var embeddings = new NodeOptions.Embeddings(NoModel::new, List.of());
    DeviceNode a = open("a", new NodeOptions("a", network).with(embeddings));
    DeviceNode b = start("b");
    join(a, b);
    await("a session", () -> a.status(DB).peers() == 1);
    var exported = kinds(TYPE, page(a));
    assertThat(kinds(ROW, file("docs/reference/metrics.md"))).isEqualTo(exported);
    Matcher used = NAME.matcher(file("packaging/grafana/pluresdb.json"));
    assertThat(used.results().map(name -> name.group()).distinct())
        .isNotEmpty()
        .allMatch(exported::containsKey);
  }

  /** A model that is never asked: no document has a text. */
  private record NoModel() implements EmbedText {
    @Override
    public String name() {
      return "none";
    }

    @Override
    public int batch() {
      return 1;
    }

    @Override
    public List<float[]> embed(List<String> texts) {
      throw new AssertionError("asked");
    }
  }
}
