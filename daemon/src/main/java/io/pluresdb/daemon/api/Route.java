package io.pluresdb.daemon.api;

import io.pluresdb.daemon.access.Level;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import org.jspecify.annotations.Nullable;

/**
 * A method and path, what it is for, who may use it, what it takes and answers, and who carries it
 * out. Routing, the OpenAPI document, the reference and the generated client all read this.
 *
 * @param says what it does, in a phrase
 * @param level what a caller's token must allow
 * @param reach what a token for some databases must be for
 * @param subject the parameter or member of the body that the audit log names; null for none
 * @param parameters those of the query
 * @param body null when it takes none
 */
record Route(
    String method,
    String path,
    String says,
    Level level,
    Reach reach,
    @Nullable String subject,
    List<Parameter> parameters,
    @Nullable Body body,
    Reply reply,
    Handler handler) {

  /** Routes of one document, whose entity tag a caller may know. */
  private static final Set<String> CONDITIONAL =
      Set.of("/api/get", "/api/put", "/api/patch", "/api/delete");

  /** What a route is about. */
  enum Reach {
    /** The whole device. */
    DEVICE,
    /** The database that {@code db} names, or the default one. */
    DATABASE,
    /** The one that {@code db} names, or all that the caller may know of. */
    VISIBLE
  }

  /** A parameter of the query. */
  record Parameter(String name, boolean required, Shape shape, String says) {}

  /**
   * What a request carries.
   *
   * @param shape of the whole, or of each line
   * @param bytes largest
   * @param required whether it may be left out
   * @param lines whether it is one JSON value a line
   */
  record Body(Shape shape, int bytes, boolean required, boolean lines) {}

  /** What is answered when it did not fail. */
  sealed interface Reply {
    /** One JSON value. */
    record Json(Shape shape) implements Reply {}

    /** A JSON array, or its elements one a line when {@code Accept} asks for NDJSON. */
    record Listed(Shape element) implements Reply {}

    /** Server-sent events until the caller goes away. */
    record Events(Shape data) implements Reply {}

    /** Text of another kind. */
    record Plain(String contentType) implements Reply {}
  }

  /** How a route answers, which decides where it runs and how its body arrives. */
  sealed interface Handler {
    /** Returns soon, without waiting for disk or network: may run on the event loop. */
    record Prompt(Promise promise) implements Handler {}

    /** May wait; has its body whole. */
    record Waiting(Work work) implements Handler {}

    /** May wait, and reads a body of any length as it comes. */
    record Reading(Work work) implements Handler {}
  }

  @FunctionalInterface
  interface Promise {
    CompletableFuture<Answer> answer(Request request);
  }

  @FunctionalInterface
  interface Work {
    /**
     * @throws IOException when the caller's connection broke
     */
    Answer answer(Request request) throws IOException, InterruptedException;
  }

  Route {
    parameters = List.copyOf(parameters);
  }

  /** Largest body in bytes; 0 when it takes none. */
  int bodyBytes() {
    return body == null ? 0 : body.bytes();
  }

  /** Whether it takes a parameter of this name. */
  boolean takes(String name) {
    for (Parameter parameter : parameters) {
      if (parameter.name().equals(name)) {
        return true;
      }
    }
    return false;
  }

  /** Names of the parameters it takes. */
  List<String> parameterNames() {
    return parameters.stream().map(Parameter::name).toList();
  }

  /** Whether it heeds {@code If-Match} and {@code If-None-Match}. */
  boolean conditional() {
    return CONDITIONAL.contains(path);
  }

  /** Whether the audit log tells of it. */
  boolean isAudited() {
    return level == Level.ADMIN && !method.equals("GET");
  }

  Route with(Handler other) {
    return new Route(method, path, says, level, reach, subject, parameters, body, reply, other);
  }

  /** Whether the answer has no end of its own. */
  boolean endless() {
    return reply instanceof Reply.Events;
  }

  static Draft get(String path, Level level, String says) {
    return new Draft("GET", path, level, says);
  }

  static Draft post(String path, Level level, String says) {
    return new Draft("POST", path, level, says);
  }

  static Draft delete(String path, Level level, String says) {
    return new Draft("DELETE", path, level, says);
  }

  /** A route that is being declared; ends with its handler. */
  static final class Draft {
    private final String method;
    private final String path;
    private final Level level;
    private final String says;
    private final List<Parameter> parameters = new ArrayList<>();
    private Reach reach = Reach.DEVICE;
    private @Nullable String subject;
    private @Nullable Body body;
    private Reply reply = new Reply.Json(new Shape.Any());

    private Draft(String method, String path, Level level, String says) {
      this.method = method;
      this.path = path;
      this.level = level;
      this.says = says;
    }

    /** Takes {@code db}. */
    Draft inDatabase() {
      reach = Reach.DATABASE;
      return may(Api.DATABASE, "string(1..63)", "the database; default is \"default\"");
    }

    /** Shows of all databases only those that the caller may know of. */
    Draft ofVisible() {
      reach = Reach.VISIBLE;
      return this;
    }

    /** What the audit log names. */
    Draft about(String name) {
      subject = name;
      return this;
    }

    Draft must(String name, String shape, String about) {
      parameters.add(new Parameter(name, true, Shape.parse(shape), about));
      return this;
    }

    Draft may(String name, String shape, String about) {
      parameters.add(new Parameter(name, false, Shape.parse(shape), about));
      return this;
    }

    Draft body(String shape, int bytes) {
      body = new Body(Shape.parse(shape), bytes, true, false);
      return this;
    }

    Draft optionalBody(String shape, int bytes) {
      body = new Body(Shape.parse(shape), bytes, false, false);
      return this;
    }

    /** A body of any length, one value a line. */
    Draft lines(String shape) {
      body = new Body(Shape.parse(shape), Integer.MAX_VALUE, true, true);
      return this;
    }

    Draft answers(String shape) {
      reply = new Reply.Json(Shape.parse(shape));
      return this;
    }

    Draft lists(String element) {
      reply = new Reply.Listed(Shape.parse(element));
      return this;
    }

    Draft sends(String event) {
      reply = new Reply.Events(Shape.parse(event));
      return this;
    }

    Draft writes(String contentType) {
      reply = new Reply.Plain(contentType);
      return this;
    }

    Route prompt(Promise promise) {
      return with(new Handler.Prompt(promise));
    }

    Route waiting(Work work) {
      return with(new Handler.Waiting(work));
    }

    Route reading(Work work) {
      return with(new Handler.Reading(work));
    }

    private Route with(Handler handler) {
      return new Route(method, path, says, level, reach, subject, parameters, body, reply, handler);
    }
  }
}
