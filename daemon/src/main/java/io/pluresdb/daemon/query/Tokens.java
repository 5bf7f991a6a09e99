package io.pluresdb.daemon.query;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.daemon.query.Token.Kind;
import io.pluresdb.daemon.query.Token.Language;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/** The tokens of a query, read from the left, and what both languages have in common. */
final class Tokens {
  private final Language language;
  private final List<Token> tokens;
  private int at;
  private int depth;
  private int comparisons;

  Tokens(String text, Language language) {
    this.language = language;
    this.tokens = Token.of(text, language);
  }

  Token peek() {
    return tokens.get(at);
  }

  /** The token after the next. */
  Token second() {
    return tokens.get(Math.min(at + 1, tokens.size() - 1));
  }

  Token take() {
    Token token = tokens.get(at);
    if (token.kind() != Kind.END) {
      at++;
    }
    return token;
  }

  /** Takes the next token when it is that keyword or sign. */
  boolean taken(String expected) {
    boolean fits = peek().is(expected);
    if (fits) {
      at++;
    }
    return fits;
  }

  void expect(String expected) {
    if (!taken(expected)) {
      throw expected("\"" + expected + "\"");
    }
  }

  /** That the next token is not what must be there. */
  QueryException expected(String what) {
    return wrong(peek(), "expected " + what + ", but found " + peek().shown());
  }

  QueryException wrong(Token where, String message) {
    return Token.wrong(language, where.position(), message);
  }

  void end() {
    if (peek().kind() != Kind.END) {
      throw expected("the end");
    }
  }

  /** Goes into something that may hold itself; {@link #leave} goes out. */
  void enter() {
    if (++depth > QueryLimits.MAX_DEPTH) {
      throw wrong(
          peek(), "a query must not be nested deeper than " + QueryLimits.MAX_DEPTH + " levels");
    }
  }

  void leave() {
    depth--;
  }

  /** One more comparison. */
  void compares() {
    if (++comparisons > QueryLimits.MAX_COMPARISONS) {
      throw wrong(
          peek(), "a query must have at most " + QueryLimits.MAX_COMPARISONS + " comparisons");
    }
  }

  /** Refuses one more of something than allowed. */
  void atMost(int most, int count, String what) {
    if (count > most) {
      throw wrong(peek(), "must have at most " + most + " " + what);
    }
  }

  /** A whole number from {@code least} to {@code most}. */
  int whole(String what, int least, int most) {
    Token token = peek();
    if (token.kind() == Kind.NUMBER && token.text().chars().allMatch(Character::isDigit)) {
      long number = token.text().length() > 9 ? Long.MAX_VALUE : Long.parseLong(token.text());
      if (number >= least && number <= most) {
        take();
        return (int) number;
      }
    }
    throw expected(what + ", a whole number from " + least + " to " + most);
  }

  /** A number with its sign, if one is next. */
  boolean isNumber() {
    return peek().kind() == Kind.NUMBER || (peek().is("-") && second().kind() == Kind.NUMBER);
  }

  Value number() {
    Token first = peek();
    String sign = taken("-") ? "-" : "";
    String text = sign + take().text();
    try {
      return Value.parse(text.getBytes(StandardCharsets.US_ASCII));
    } catch (CoreException e) {
      throw wrong(first, "the number " + text + " is not allowed: " + e.getMessage());
    }
  }

  /** A string, as the text it stands for. */
  String string(String what) {
    if (peek().kind() != Kind.STRING) {
      throw expected(what + (language == Language.SQL ? " in single quotes" : " in double quotes"));
    }
    return take().text();
  }

  /** A dotted name. */
  List<String> keys(String what) {
    var keys = new ArrayList<String>();
    do {
      Token token = peek();
      if (token.kind() != Kind.WORD && token.kind() != Kind.NAME) {
        throw expected(keys.isEmpty() ? what : "a name after the dot");
      }
      if (token.text().isEmpty()) {
        throw wrong(token, "a name must not be empty");
      }
      keys.add(take().text());
      atMost(QueryLimits.MAX_DEPTH, keys.size(), "names joined by dots");
    } while (taken("."));
    return keys;
  }
}
