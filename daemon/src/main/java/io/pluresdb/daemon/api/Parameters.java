package io.pluresdb.daemon.api;

import io.pluresdb.daemon.node.Node;
import org.jspecify.annotations.Nullable;

/** Query parameters, checked. */
final class Parameters {
  private Parameters() {}

  static String database(Request request) {
    return request.query().getOrDefault(Api.DATABASE, Node.DEFAULT_DATABASE);
  }

  static @Nullable String optional(Request request, String name) {
    return request.query().get(name);
  }

  static String required(Request request, String name) {
    String value = request.query().get(name);
    if (value == null) {
      throw ApiException.invalid(request.path() + " must have the parameter \"" + name + "\"");
    }
    return value;
  }

  static boolean bool(Request request, String name, boolean otherwise) {
    String value = request.query().get(name);
    if (value == null) {
      return otherwise;
    }
    return switch (value) {
      case "true" -> true;
      case "false" -> false;
      default ->
          throw ApiException.invalid(name + " must be true or false, but is \"" + value + "\"");
    };
  }

  /** An integer of at least {@code least}, or {@code otherwise} when the parameter is absent. */
  static long integer(Request request, String name, long least, long otherwise) {
    String value = request.query().get(name);
    return value == null ? otherwise : integer(name, value, least);
  }

  /** As {@link #integer(Request, String, long, long)}, and at most {@code most}. */
  static long integer(Request request, String name, long least, long most, long otherwise) {
    long number = integer(request, name, least, otherwise);
    if (number > most) {
      throw ApiException.invalid(name + " must be at most " + most + ", but is " + number);
    }
    return number;
  }

  static long integer(String name, String value, long least) {
    try {
      long number = Long.parseLong(value);
      if (number >= least) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Falls through: not a number and too small get the same message.
    }
    throw ApiException.invalid(
        name + " must be an integer of at least " + least + ", but is \"" + value + "\"");
  }
}
