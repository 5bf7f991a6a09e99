package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;

/** The OpenAPI 3.1 document of a table of routes. */
final class OpenApi {
  /** Paths that are listed, added to and removed from. */
  private static final Set<String> COLLECTIONS = Set.of("tokens", "databases", "indexes", "edges");

  private static final String SCHEMAS = "#/components/schemas/";

  private final JsonWriter json = new JsonWriter();

  private OpenApi() {}

  /**
   * The document, JSON.
   *
   * @param version of this program
   */
  static byte[] document(List<Route> routes, String version) {
    var api = new OpenApi();
    api.write(sorted(routes), version);
    return api.json.toByteArray();
  }

  /** Routes of one path next to each other, paths in the order in which they come first. */
  private static List<Route> sorted(List<Route> routes) {
    var paths = new ArrayList<String>();
    routes.forEach(route -> paths.add(route.path()));
    return routes.stream().sorted(Comparator.comparingInt(r -> paths.indexOf(r.path()))).toList();
  }

  private void write(List<Route> routes, String version) {
    json.beginObject().name("openapi").string("3.1.0");
    json.name("info").beginObject().name("title").string("PluresDB");
    json.name("summary").string("The local interface of a PluresDB daemon.");
    json.name("version").string(version).endObject();
    json.name("security").beginArray().beginObject();
    json.name("token").beginArray().endArray().endObject().endArray();
    json.name("paths").beginObject();
    String open = "";
    for (Route route : routes) {
      if (!route.path().equals(open)) {
        if (!open.isEmpty()) {
          json.endObject();
        }
        open = route.path();
        json.name(open).beginObject();
      }
      json.name(route.method().toLowerCase(java.util.Locale.ROOT));
      operation(route);
    }
    json.endObject().endObject();
    json.name("components").beginObject().name("schemas").beginObject();
    Shapes.all().forEach((name, shape) -> schema(json.name(name), shape));
    json.endObject().name("securitySchemes").beginObject();
    json.name("token").beginObject().name("type").string("http");
    json.name("scheme").string("bearer").endObject().endObject();
    json.endObject().endObject();
  }

  private void operation(Route route) {
    json.beginObject().name("operationId").string(operationId(route));
    json.name("summary").string(route.says());
    json.name("x-scope").string(route.level().text());
    if (route.level() == Level.PUBLIC) {
      json.name("security").beginArray().endArray();
    }
    json.name("parameters").beginArray();
    for (Route.Parameter parameter : route.parameters()) {
      json.beginObject().name("name").string(parameter.name()).name("in").string("query");
      json.name("required").bool(parameter.required());
      json.name("description").string(parameter.says());
      schema(json.name("schema"), parameter.shape());
      json.endObject();
    }
    if (route.conditional()) {
      header("If-Match", "write only if the document's entity tag is one of these");
      header("If-None-Match", "write only if it is none of these; * if there is no document");
    }
    json.endArray();
    Route.Body body = route.body();
    if (body != null) {
      json.name("requestBody").beginObject().name("required").bool(body.required());
      json.name("content").beginObject();
      content(body.lines() ? Answer.NDJSON : Answer.JSON, body.shape());
      json.endObject().endObject();
    }
    json.name("responses").beginObject().name("200").beginObject();
    json.name("description").string(route.says()).name("content").beginObject();
    switch (route.reply()) {
      case Route.Reply.Json(var shape) -> content(Answer.JSON, shape);
      case Route.Reply.Listed(var element) -> {
        content(Answer.JSON, new Shape.Items(element, Integer.MAX_VALUE));
        content(Answer.NDJSON, element);
      }
      case Route.Reply.Events(var data) -> content(Answer.EVENTS, data);
      case Route.Reply.Plain(var type) -> content(type, new Shape.Text(0, Long.MAX_VALUE));
    }
    json.endObject().endObject().name("default").beginObject();
    json.name("description").string("an error").name("content").beginObject();
    content(Answer.JSON, new Shape.Named("Error"));
    json.endObject().endObject().endObject().endObject();
  }

  private void header(String name, String about) {
    json.beginObject().name("name").string(name).name("in").string("header");
    json.name("required").bool(false).name("description").string(about);
    json.name("schema").beginObject().name("type").string("string").endObject().endObject();
  }

  private void content(String type, Shape shape) {
    json.name(type).beginObject();
    schema(json.name("schema"), shape);
    json.endObject();
  }

  /** What a client calls the operation: {@code /api/conflicts/resolve} is conflictsResolve. */
  static String operationId(Route route) {
    String path = route.path().replaceFirst("^/(api/)?", "");
    var id = new StringBuilder();
    boolean single = !COLLECTIONS.contains(path);
    for (String part : path.split("[/.-]")) {
      id.append(id.isEmpty() ? part : capital(part));
    }
    return single || route.method().equals("GET")
        ? id.toString()
        : (route.method().equals("POST") ? "create" : "drop") + capital(id.toString());
  }

  private static String capital(String word) {
    return word.isEmpty() ? "" : Character.toUpperCase(word.charAt(0)) + word.substring(1);
  }

  /** A JSON Schema (2020-12), as OpenAPI 3.1 takes it. */
  private static void schema(JsonWriter json, Shape shape) {
    json.beginObject();
    switch (shape) {
      case Shape.Any any -> {}
      case Shape.Null none -> json.name("type").string("null");
      case Shape.Truth truth -> json.name("type").string("boolean");
      case Shape.Text(long least, long most) -> {
        json.name("type").string("string");
        bound(json, "minLength", least, 0);
        bound(json, "maxLength", most, Long.MAX_VALUE);
      }
      case Shape.Whole(long least, long most) -> {
        json.name("type").string("integer");
        bound(json, "minimum", least, Long.MIN_VALUE);
        bound(json, "maximum", most, Long.MAX_VALUE);
      }
      case Shape.Real(double least, double most) -> {
        json.name("type").string("number");
        if (least != -Double.MAX_VALUE) {
          json.name("minimum").number(least).name("maximum").number(most);
        }
      }
      case Shape.Literal(String text) -> json.name("const").string(text);
      case Shape.Items(Shape element, int most) -> {
        json.name("type").string("array");
        bound(json, "maxItems", most, Integer.MAX_VALUE);
        schema(json.name("items"), element);
      }
      case Shape.Entries(Shape value) -> {
        json.name("type").string("object");
        schema(json.name("additionalProperties"), value);
      }
      case Shape.Named(String name) -> json.name("$ref").string(SCHEMAS + name);
      case Shape.Members(var members) -> {
        json.name("type").string("object").name("properties").beginObject();
        members.forEach((name, member) -> schema(json.name(name), member.shape()));
        json.endObject().name("required").beginArray();
        members.forEach(
            (name, member) -> {
              if (member.required()) {
                json.string(name);
              }
            });
        json.endArray().name("additionalProperties").bool(false);
      }
      case Shape.OneOf(var shapes) -> {
        json.name("anyOf").beginArray();
        shapes.forEach(each -> schema(json, each));
        json.endArray();
      }
    }
    json.endObject();
  }

  private static void bound(JsonWriter json, String name, long value, long none) {
    if (value != none) {
      json.name(name).number(value);
    }
  }
}
