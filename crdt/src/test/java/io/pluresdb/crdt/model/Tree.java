package io.pluresdb.crdt.model;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** A JSON document as people draw it: an object, or anything else as canonical text. */
sealed interface Tree {
  record Leaf(String text) implements Tree {
    @Override
    public String toString() {
      return text;
    }
  }

  record Node(TreeMap<String, Tree> fields) implements Tree {
    @Override
    public String toString() {
      var out = new StringBuilder("{");
      fields.forEach(
          (name, tree) -> {
            out.append(out.length() > 1 ? "," : "").append(quoted(name)).append(':').append(tree);
          });
      return out.append('}').toString();
    }
  }

  static Node node() {
    return new Node(new TreeMap<>());
  }

  static String quoted(String text) {
    var out = new StringBuilder("\"");
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c < 0x20) {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    return out.append('"').toString();
  }

  /** What is at each path that holds no object with fields; the empty object is such a thing. */
  static Map<List<String>, String> flat(Tree tree) {
    var flat = new TreeMap<List<String>, String>(Tree::compare);
    flatten(tree, List.of(), flat);
    return flat;
  }

  private static void flatten(Tree tree, List<String> path, Map<List<String>, String> flat) {
    switch (tree) {
      case Leaf(var text) -> flat.put(path, text);
      case Node(var fields) -> {
        if (fields.isEmpty()) {
          flat.put(path, "{}");
        }
        fields.forEach((name, below) -> flatten(below, below(path, name), flat));
      }
    }
  }

  static List<String> below(List<String> path, String name) {
    var longer = new ArrayList<>(path);
    longer.add(name);
    return List.copyOf(longer);
  }

  /** Key by key; what lies above comes first. */
  static int compare(List<String> a, List<String> b) {
    for (int i = 0; i < Math.min(a.size(), b.size()); i++) {
      int order = a.get(i).compareTo(b.get(i));
      if (order != 0) {
        return order;
      }
    }
    return Integer.compare(a.size(), b.size());
  }

  /** RFC 7396, section 2, as written there. */
  static Tree mergePatch(Tree target, Tree patch) {
    if (!(patch instanceof Node(var changes))) {
      return patch;
    }
    var fields = new TreeMap<String, Tree>();
    if (target instanceof Node(var old)) {
      fields.putAll(old);
    }
    changes.forEach(
        (name, value) -> {
          if (value.equals(new Leaf("null"))) {
            fields.remove(name);
          } else {
            fields.put(name, mergePatch(fields.getOrDefault(name, node()), value));
          }
        });
    return new Node(fields);
  }
}
