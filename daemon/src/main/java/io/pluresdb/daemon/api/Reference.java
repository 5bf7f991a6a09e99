package io.pluresdb.daemon.api;

import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;

/** The table of routes as people read it: in docs/reference/http.md, and as a page at /docs. */
final class Reference {
  private Reference() {}

  /** Rows of a Markdown table: route, scope, what it does, what it takes, what it answers. */
  static String markdown(List<Route> routes) {
    var out = new StringBuilder();
    out.append("| Route | Scope | Does | Takes | Answers |\n|---|---|---|---|---|\n");
    for (Route route : routes) {
      out.append(
          "| `%s %s` | %s | %s | %s | %s |%n"
              .formatted(
                  route.method(),
                  route.path(),
                  route.level().text(),
                  route.says(),
                  cell(takes(route)),
                  cell(answers(route))));
    }
    out.append("\n| Shape | Is |\n|---|---|\n");
    Shapes.all()
        .forEach(
            (name, shape) -> out.append("| `%s` | %s |%n".formatted(name, cell(shape.text()))));
    return out.toString();
  }

  private static String cell(String text) {
    return text.isEmpty() ? "" : "`" + text.replace("|", "\\|") + "`";
  }

  private static String takes(Route route) {
    String query =
        route.parameters().stream()
            .filter(parameter -> !parameter.name().equals(Api.DATABASE))
            .map(p -> p.name() + (p.required() ? ": " : "?: ") + p.shape().text())
            .collect(Collectors.joining("&"));
    Route.Body body = route.body();
    String carried = body == null ? "" : body.shape().text() + (body.lines() ? " a line" : "");
    return (query.isEmpty() ? "" : "?" + query + (carried.isEmpty() ? "" : " ")) + carried;
  }

  private static String answers(Route route) {
    return switch (route.reply()) {
      case Route.Reply.Json(var shape) -> shape.text();
      case Route.Reply.Listed(var element) -> element.text() + "[], or a line each";
      case Route.Reply.Events(var data) -> "events of " + data.text();
      case Route.Reply.Plain(var type) -> type;
    };
  }

  /** A page that needs nothing but itself. */
  static byte[] html(List<Route> routes, String version) {
    var out = new StringBuilder();
    out.append(
        """
        <!doctype html><html lang="en"><head><meta charset="utf-8"><title>PluresDB API</title>
        <meta name="viewport" content="width=device-width">
        <style>body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
        h2{font:600 1rem ui-monospace,monospace;margin:1.6rem 0 .2rem}
        code,pre{font:13px/1.45 ui-monospace,monospace;white-space:pre-wrap}
        small{color:#666}td{vertical-align:top;padding:.1rem .8rem .1rem 0}p{margin:.2rem 0}</style>
        </head><body><h1>PluresDB API</h1>
        """);
    out.append("<p>Version ").append(escaped(version));
    out.append(". As OpenAPI 3.1: <a href=\"/docs/openapi.json\">/docs/openapi.json</a>.</p>");
    for (Route route : routes) {
      out.append("<h2>").append(route.method()).append(' ').append(escaped(route.path()));
      out.append(" <small>").append(route.level().text()).append("</small></h2><p>");
      out.append(escaped(route.says())).append("</p>");
      if (!route.parameters().isEmpty()) {
        out.append("<table>");
        for (Route.Parameter parameter : route.parameters()) {
          out.append("<tr><td><code>").append(parameter.name());
          out.append(parameter.required() ? "" : "?").append("</code></td><td><code>");
          out.append(escaped(parameter.shape().text())).append("</code></td><td>");
          out.append(escaped(parameter.says())).append("</td></tr>");
        }
        out.append("</table>");
      }
      Route.Body body = route.body();
      if (body != null) {
        out.append("<p>takes <code>").append(escaped(body.shape().text()));
        out.append(body.lines() ? "</code> a line</p>" : "</code></p>");
      }
      out.append("<p>answers <code>").append(escaped(answers(route))).append("</code></p>");
    }
    out.append("<h1>Shapes</h1>");
    Shapes.all()
        .forEach(
            (name, shape) ->
                out.append(
                    "<p><code><b>%s</b> %s</code></p>".formatted(name, escaped(shape.text()))));
    return out.append("</body></html>\n").toString().getBytes(StandardCharsets.UTF_8);
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
  }
}
