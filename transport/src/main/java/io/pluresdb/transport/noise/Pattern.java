package io.pluresdb.transport.noise;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;

/**
 * A handshake pattern: who knows which static key beforehand, and the tokens of each message.
 *
 * <p>The tables are those of the Noise specification, revision 34: section 7.4 (one-way), 7.5
 * (interactive) and 18.1 (deferred). Messages alternate, the initiator's first.
 *
 * @param initiatorKnown whether the responder knows the initiator's static key beforehand
 * @param responderKnown whether the initiator knows the responder's static key beforehand
 */
record Pattern(
    String name, boolean initiatorKnown, boolean responderKnown, List<List<Token>> messages) {

  // "<- s" before the dots is written "s<" and "-> s" is written "s>".
  private static final Map<String, String> TABLE =
      Map.ofEntries(
          Map.entry("N", "s< | e es"),
          Map.entry("K", "s> s< | e es ss"),
          Map.entry("X", "s< | e es s ss"),
          Map.entry("NN", "| e | e ee"),
          Map.entry("NK", "s< | e es | e ee"),
          Map.entry("NX", "| e | e ee s es"),
          Map.entry("KN", "s> | e | e ee se"),
          Map.entry("KK", "s> s< | e es ss | e ee se"),
          Map.entry("KX", "s> | e | e ee se s es"),
          Map.entry("XN", "| e | e ee | s se"),
          Map.entry("XK", "s< | e es | e ee | s se"),
          Map.entry("XX", "| e | e ee s es | s se"),
          Map.entry("IN", "| e s | e ee se"),
          Map.entry("IK", "s< | e es s ss | e ee se"),
          Map.entry("IX", "| e s | e ee se s es"),
          Map.entry("NK1", "s< | e | e ee es"),
          Map.entry("NX1", "| e | e ee s | es"),
          Map.entry("X1N", "| e | e ee | s | se"),
          Map.entry("X1K", "s< | e es | e ee | s | se"),
          Map.entry("XK1", "s< | e | e ee es | s se"),
          Map.entry("X1K1", "s< | e | e ee es | s | se"),
          Map.entry("X1X", "| e | e ee s es | s | se"),
          Map.entry("XX1", "| e | e ee s | es s se"),
          Map.entry("X1X1", "| e | e ee s | es s | se"),
          Map.entry("K1N", "s> | e | e ee | se"),
          Map.entry("K1K", "s> s< | e es | e ee | se"),
          Map.entry("KK1", "s> s< | e | e ee se es"),
          Map.entry("K1K1", "s> s< | e | e ee es | se"),
          Map.entry("K1X", "s> | e | e ee s es | se"),
          Map.entry("KX1", "s> | e | e ee se s | es"),
          Map.entry("K1X1", "s> | e | e ee s | se es"),
          Map.entry("I1N", "| e s | e ee | se"),
          Map.entry("I1K", "s< | e es s | e ee | se"),
          Map.entry("IK1", "s< | e s | e ee se es"),
          Map.entry("I1K1", "s< | e s | e ee es | se"),
          Map.entry("I1X", "| e s | e ee s es | se"),
          Map.entry("IX1", "| e s | e ee se s | es"),
          Map.entry("I1X1", "| e s | e ee s | se es"));

  private static final String PSK_MODIFIER = "psk";

  Pattern {
    messages = messages.stream().map(List::copyOf).toList();
  }

  /**
   * Reads a pattern name with any {@code pskN} modifiers, such as {@code XXpsk0+psk3}.
   *
   * @throws IllegalArgumentException when the pattern or a modifier is unknown
   */
  static Pattern parse(String name) {
    int modifiers = 0;
    while (modifiers < name.length() && !Character.isLowerCase(name.charAt(modifiers))) {
      modifiers++;
    }
    String row = TABLE.get(name.substring(0, modifiers));
    if (row == null) {
      throw new IllegalArgumentException("unknown Noise pattern " + name);
    }
    String[] cells = row.split("\\|", -1);
    List<List<Token>> messages = new ArrayList<>();
    for (int i = 1; i < cells.length; i++) {
      List<Token> tokens = new ArrayList<>();
      for (String word : cells[i].strip().split(" ", -1)) {
        tokens.add(Token.valueOf(word.toUpperCase(Locale.ROOT)));
      }
      messages.add(tokens);
    }
    if (modifiers < name.length()) {
      addPsks(name, name.substring(modifiers), messages);
    }
    List<String> known = Arrays.asList(cells[0].strip().split(" ", -1));
    return new Pattern(name, known.contains("s>"), known.contains("s<"), messages);
  }

  /** Whether only the initiator ever sends (N, K and X). */
  boolean oneWay() {
    return messages.size() == 1;
  }

  /** Number of psk tokens, each of which takes one pre-shared key. */
  int pskCount() {
    return (int) messages.stream().flatMap(List::stream).filter(t -> t == Token.PSK).count();
  }

  // psk0 goes before the first message's tokens, pskN after the Nth message's (section 9.4).
  private static void addPsks(String name, String modifiers, List<List<Token>> messages) {
    Set<Integer> seen = new HashSet<>();
    for (String modifier : modifiers.split("\\+", -1)) {
      if (modifier.length() != PSK_MODIFIER.length() + 1 || !modifier.startsWith(PSK_MODIFIER)) {
        throw new IllegalArgumentException("unknown modifier in the Noise pattern " + name);
      }
      int position = modifier.charAt(PSK_MODIFIER.length()) - '0';
      if (position < 0 || position > messages.size() || !seen.add(position)) {
        throw new IllegalArgumentException("impossible psk position in the Noise pattern " + name);
      }
      if (position == 0) {
        messages.getFirst().addFirst(Token.PSK);
      } else {
        messages.get(position - 1).addLast(Token.PSK);
      }
    }
  }
}
