package io.pluresdb.daemon.config;

import java.util.ArrayList;
import java.util.function.Function;

/**
 * One setting: its name everywhere and what it may be.
 *
 * @param key dotted, as in the TOML files
 * @param unit what a number counts, or the form of a text
 * @param range what is allowed, for people
 * @param defaultText the default as it would be written on the command line
 * @param doc what it is for, one sentence
 * @param parser reads the text form; throws {@link IllegalArgumentException} outside the range
 * @param secret whether URLs in it may hold a password or token
 */
public record Setting<T>(
    String key,
    String unit,
    String range,
    String defaultText,
    String doc,
    Function<String, T> parser,
    boolean secret) {
  private static final String SCHEME_END = "://";
  private static final String MASK = "***@";

  /** One without a secret. */
  public Setting(
      String key,
      String unit,
      String range,
      String defaultText,
      String doc,
      Function<String, T> parser) {
    this(key, unit, range, defaultText, doc, parser, false);
  }

  /** A text form in its range as it may be shown: {@code ***@} for what stands before a host. */
  public String shown(String text) {
    if (!secret) {
      return text;
    }
    var shown = new ArrayList<String>();
    for (String part : text.split(SCHEME_END, -1)) {
      int host = part.lastIndexOf('@') + 1;
      shown.add(host == 0 ? part : MASK + part.substring(host));
    }
    return String.join(SCHEME_END, shown);
  }

  /** The environment variable that sets it, for example {@code PLURESDB_API_PORT}. */
  public String variable() {
    return ConfigLayer.VARIABLE_PREFIX
        + key.toUpperCase(java.util.Locale.ROOT).replace('.', '_').replace('-', '_');
  }

  /**
   * Reads a text form. A wrong one that may hold a secret is not repeated: nothing tells where in
   * it the secret is.
   *
   * @param origin of its {@link ConfigLayer}
   * @throws ConfigException naming the key, the range, the value and the place
   */
  T parse(String text, String origin) {
    try {
      return parser.apply(text);
    } catch (IllegalArgumentException e) {
      String place =
          switch (origin) {
            case ConfigLayer.ENVIRONMENT -> "the environment variable " + variable();
            case ConfigLayer.FLAG -> "the command line";
            default -> origin;
          };
      throw new ConfigException(
          key
              + " must be "
              + range
              + (secret ? ", but is not" : ", but is \"" + text + "\"")
              + " in "
              + place,
          "correct it in " + place);
    }
  }
}
