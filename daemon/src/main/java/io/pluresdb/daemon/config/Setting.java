package io.pluresdb.daemon.config;

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
 */
public record Setting<T>(
    String key,
    String unit,
    String range,
    String defaultText,
    String doc,
    Function<String, T> parser) {

  /** The environment variable that sets it, for example {@code PLURESDB_API_PORT}. */
  public String variable() {
    return ConfigLayer.VARIABLE_PREFIX
        + key.toUpperCase(java.util.Locale.ROOT).replace('.', '_').replace('-', '_');
  }

  /**
   * Reads a text form.
   *
   * @param origin where the text came from, for the message
   * @throws ConfigException naming the key, the range, the value and the origin
   */
  T parse(String text, String origin) {
    try {
      return parser.apply(text);
    } catch (IllegalArgumentException e) {
      throw new ConfigException(
          key + " must be " + range + ", but is \"" + text + "\" in " + origin,
          "correct it in " + origin);
    }
  }
}
