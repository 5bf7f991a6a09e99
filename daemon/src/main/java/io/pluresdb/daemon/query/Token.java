package io.pluresdb.daemon.query;

import io.pluresdb.crdt.value.Utf8;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * A word, number, string or sign of a query.
 *
 * @param text of a string or quoted name what it stands for, else as it is written
 * @param position of its first character, from 1
 */
record Token(Kind kind, String text, int position) {
  enum Kind {
    /** Letters, digits and underscores, not beginning with a digit. */
    WORD,
    /** A name in double quotes, in SQL. */
    NAME,
    /** Digits with fraction and exponent, without a minus. */
    NUMBER,
    /** A string: in single quotes in SQL, JSON in pipelines. */
    STRING,
    SIGN,
    END
  }

  /** What is read. */
  enum Language {
    SQL,
    PIPELINE
  }

  /** How a token is named in messages. */
  String shown() {
    return switch (kind) {
      case END -> "the end";
      case STRING -> "the string \"" + text + "\"";
      case NAME -> "the name \"" + text + "\"";
      case WORD, NUMBER, SIGN -> "\"" + text + "\"";
    };
  }

  /** Whether it is that keyword of SQL, in any case, or that sign. */
  boolean is(String expected) {
    return switch (kind) {
      case WORD -> text.equalsIgnoreCase(expected);
      case SIGN -> text.equals(expected);
      case NAME, NUMBER, STRING, END -> false;
    };
  }

  /** In upper case. */
  String keyword() {
    return text.toUpperCase(Locale.ROOT);
  }

  /** Refuses, at a position, what is written there. */
  static QueryException wrong(Language language, int position, String message) {
    return language == Language.SQL
        ? QueryException.sql(position, message)
        : QueryException.pipeline(position, message);
  }

  /**
   * Cuts a query into tokens; the last is {@link Kind#END}.
   *
   * @throws QueryException when a character begins none, or a string does not end
   */
  static List<Token> of(String text, Language language) {
    if (text.length() > QueryLimits.MAX_CHARACTERS) {
      throw wrong(
          language,
          QueryLimits.MAX_CHARACTERS + 1,
          "a query must be at most "
              + QueryLimits.MAX_CHARACTERS
              + " characters, but is "
              + text.length());
    }
    return new Reader(text, language).all();
  }

  /** Reads one query. */
  static final class Reader {
    private static final List<String> LONG_SIGNS = List.of("|>", "==", "!=", "<>", "<=", ">=");
    private static final String SIGNS = "()[]{},.*=<>?;+-:";

    private final String query;
    private final Language language;
    private int at;

    private Reader(String query, Language language) {
      this.query = query;
      this.language = language;
    }

    private List<Token> all() {
      var tokens = new ArrayList<Token>();
      for (skipSpace(); at < query.length(); skipSpace()) {
        Token token = next();
        if (!Utf8.isEncodable(token.text())) {
          throw wrong(
              language, token.position(), "a string must not hold half of a surrogate pair");
        }
        tokens.add(token);
      }
      tokens.add(new Token(Kind.END, "", query.length() + 1));
      return tokens;
    }

    private void skipSpace() {
      while (at < query.length() && Character.isWhitespace(query.charAt(at))) {
        at++;
      }
    }

    private Token next() {
      int from = at;
      char c = query.charAt(at);
      if (Character.isLetter(c) || c == '_') {
        while (at < query.length() && isPartOfWord(query.charAt(at))) {
          at++;
        }
        return new Token(Kind.WORD, query.substring(from, at), from + 1);
      }
      if (c >= '0' && c <= '9') {
        return number();
      }
      if (c == '"') {
        return language == Language.SQL
            ? new Token(Kind.NAME, doubled('"'), from + 1)
            : new Token(Kind.STRING, escaped(), from + 1);
      }
      if (c == '\'' && language == Language.SQL) {
        return new Token(Kind.STRING, doubled('\''), from + 1);
      }
      for (String sign : LONG_SIGNS) {
        if (query.startsWith(sign, at)) {
          at += sign.length();
          return new Token(Kind.SIGN, sign, from + 1);
        }
      }
      if (SIGNS.indexOf(c) >= 0) {
        at++;
        return new Token(Kind.SIGN, String.valueOf(c), from + 1);
      }
      throw wrong(
          language,
          from + 1,
          "the character \""
              + new String(Character.toChars(query.codePointAt(at)))
              + "\" begins nothing"
              + (c == '\'' ? "; strings are in double quotes here" : ""));
    }

    private static boolean isPartOfWord(char c) {
      return Character.isLetterOrDigit(c) || c == '_';
    }

    private Token number() {
      int from = at;
      digits();
      if (at + 1 < query.length() && query.charAt(at) == '.' && isDigit(at + 1)) {
        at++;
        digits();
      }
      if (at < query.length() && (query.charAt(at) == 'e' || query.charAt(at) == 'E')) {
        int sign = at + 1 < query.length() && "+-".indexOf(query.charAt(at + 1)) >= 0 ? 1 : 0;
        if (isDigit(at + 1 + sign)) {
          at += 1 + sign;
          digits();
        }
      }
      if (at < query.length() && isPartOfWord(query.charAt(at))) {
        throw wrong(language, at + 1, "a number must not go on with a letter");
      }
      return new Token(Kind.NUMBER, query.substring(from, at), from + 1);
    }

    private void digits() {
      while (isDigit(at)) {
        at++;
      }
    }

    private boolean isDigit(int index) {
      return index < query.length() && query.charAt(index) >= '0' && query.charAt(index) <= '9';
    }

    /** A string that ends with the quote it began with; a doubled one stands for itself. */
    private String doubled(char quote) {
      int from = at++;
      var text = new StringBuilder();
      while (at < query.length()) {
        char c = query.charAt(at++);
        if (c != quote) {
          text.append(c);
        } else if (at < query.length() && query.charAt(at) == quote) {
          text.append(c);
          at++;
        } else {
          return text.toString();
        }
      }
      throw wrong(language, from + 1, "the " + quote + " has no end");
    }

    /** A JSON string. */
    private String escaped() {
      int from = at++;
      var text = new StringBuilder();
      while (at < query.length()) {
        char c = query.charAt(at++);
        if (c == '"') {
          return text.toString();
        }
        text.append(c == '\\' ? escape() : c);
      }
      throw wrong(language, from + 1, "the \" has no end");
    }

    private char escape() {
      int from = at;
      char c = at < query.length() ? query.charAt(at++) : ' ';
      int code = -1;
      if (c == 'u' && at + 4 <= query.length()) {
        try {
          code = Integer.parseUnsignedInt(query.substring(at, at + 4), 16);
          at += 4;
        } catch (NumberFormatException e) {
          code = -1;
        }
      } else {
        code =
            switch (c) {
              case '"', '\\', '/' -> c;
              case 'b' -> '\b';
              case 'f' -> '\f';
              case 'n' -> '\n';
              case 'r' -> '\r';
              case 't' -> '\t';
              default -> -1;
            };
      }
      if (code < 0) {
        throw wrong(
            language, from, "an escape must be one of \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX");
      }
      return (char) code;
    }
  }
}
