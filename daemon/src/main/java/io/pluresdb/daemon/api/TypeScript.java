package io.pluresdb.daemon.api;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;

/** The TypeScript client of a table of routes: types of every shape, a method for every route. */
final class TypeScript {
  private static final String RUNTIME = "client-runtime.ts";

  private TypeScript() {}

  /** One file without dependencies but Node's own modules. */
  static String client(List<Route> routes, String version) {
    var out = new StringBuilder();
    out.append("// The client of PluresDB ").append(version);
    out.append(", made by `pluresdb typescript`. Do not edit it.\n\n");
    Shapes.all()
        .forEach(
            (name, shape) -> out.append("export type %s = %s;%n".formatted(name, type(shape))));
    out.append('\n').append(runtime());
    out.append("\n/** Every route of the daemon as a method. */\n");
    out.append("export class PluresDb extends Connection {\n");
    for (Route route : routes) {
      method(out, route);
    }
    return out.append("}\n").toString();
  }

  private static void method(StringBuilder out, Route route) {
    Route.Body body = route.body();
    String query =
        route.parameters().stream()
            .map(p -> p.name() + (p.required() ? ": " : "?: ") + type(p.shape()))
            .collect(Collectors.joining(", "));
    boolean needed = route.parameters().stream().anyMatch(Route.Parameter::required);
    var taken = new java.util.ArrayList<String>();
    if (body != null) {
      String shape = type(body.shape());
      taken.add(
          body.lines()
              ? "body: Iterable<" + shape + "> | AsyncIterable<" + shape + ">"
              : "body" + (body.required() ? ": " + shape : ": " + shape + " = {}"));
    }
    taken.add("query: {" + query + "}" + (needed ? "" : " = {}"));
    taken.add("options: Options = {}");
    String call =
        "\"%s\", \"%s\", query, %s, options"
            .formatted(
                route.method(),
                route.path(),
                body == null ? "undefined" : body.lines() ? "lines(body)" : "JSON.stringify(body)");
    String name = OpenApi.operationId(route);
    out.append("\n  /** ").append(route.says()).append(" */\n  ");
    out.append(name).append('(').append(String.join(", ", taken)).append("): ");
    switch (route.reply()) {
      case Route.Reply.Json(var shape) ->
          out.append("Promise<%s> {%n    return this.json(%s);".formatted(type(shape), call));
      case Route.Reply.Listed(var element) ->
          out.append(
              "AsyncGenerator<%s> {%n    return this.items(%s);".formatted(type(element), call));
      case Route.Reply.Events(var data) ->
          out.append(
              "AsyncGenerator<{id?: string, data: %s}> {%n    return this.events(%s);"
                  .formatted(type(data), call));
      case Route.Reply.Plain(var ignored) ->
          out.append("Promise<string> {%n    return this.text(%s);".formatted(call));
    }
    out.append("\n  }\n");
  }

  private static String type(Shape shape) {
    return switch (shape) {
      case Shape.Any any -> "unknown";
      case Shape.Null none -> "null";
      case Shape.Truth truth -> "boolean";
      case Shape.Text text -> "string";
      case Shape.Whole whole -> "number";
      case Shape.Real number -> "number";
      case Shape.Literal(String text) -> "'" + text + "'";
      case Shape.Items(Shape element, int most) ->
          element instanceof Shape.OneOf ? "(" + type(element) + ")[]" : type(element) + "[]";
      case Shape.Entries(Shape value) -> "Record<string, " + type(value) + ">";
      case Shape.Named(String name) -> name;
      case Shape.Members(var members) ->
          members.entrySet().stream()
              .map(
                  m ->
                      m.getKey()
                          + (m.getValue().required() ? ": " : "?: ")
                          + type(m.getValue().shape()))
              .collect(Collectors.joining(", ", "{", "}"));
      case Shape.OneOf(var shapes) ->
          shapes.stream().map(TypeScript::type).collect(Collectors.joining(" | "));
    };
  }

  private static String runtime() {
    try (InputStream in = TypeScript.class.getResourceAsStream(RUNTIME)) {
      if (in == null) {
        throw new IllegalStateException(RUNTIME + " is missing in this build");
      }
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
