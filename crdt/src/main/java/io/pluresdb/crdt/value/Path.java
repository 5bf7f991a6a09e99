package io.pluresdb.crdt.value;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * The way from a document's root to a value: object keys, as bytes that sort with their subtree.
 *
 * <p>Each key is its UTF-8 bytes with 0x00 written as 0x01 0x01 and 0x01 as 0x01 0x02, ended by
 * 0x00. The root is the empty path. A path is a prefix of exactly the paths at and below it.
 */
public final class Path {
  /** Deepest nesting of a document: objects and arrays together. */
  public static final int MAX_DEPTH = 64;

  /** Longest path in bytes. */
  public static final int MAX_BYTES = 4_096;

  static final int END = 0x00;
  private static final int ESCAPE = 0x01;

  private Path() {}

  /**
   * Encodes the keys of a dotted text such as {@code stats.views}; the empty text is the root.
   *
   * @throws CoreException when the path is longer than {@link #MAX_BYTES}
   */
  public static byte[] parse(String dotted) {
    return of(dotted.isEmpty() ? List.of() : List.of(dotted.split("\\.", -1)));
  }

  /**
   * Encodes keys from the root down.
   *
   * @throws CoreException when the path is longer than {@link #MAX_BYTES} or a key holds a lone
   *     surrogate
   */
  public static byte[] of(List<String> keys) {
    var out = new ByteWriter();
    for (String key : keys) {
      if (!Utf8.isEncodable(key)) {
        throw CoreException.invalid("path holds a lone surrogate, which has no UTF-8 form");
      }
      append(out, key);
    }
    return out.toByteArray();
  }

  /** Appends one key. */
  static void append(ByteWriter out, String key) {
    for (byte b : key.getBytes(StandardCharsets.UTF_8)) {
      if (b == END || b == ESCAPE) {
        out.u8(ESCAPE).u8(b + 1);
      } else {
        out.u8(b);
      }
    }
    out.u8(END);
    if (out.size() > MAX_BYTES) {
      throw CoreException.tooLarge(
          "path of a field must be at most " + MAX_BYTES + " bytes, but is " + out.size());
    }
  }

  /** Where the key that starts at {@code from} ends: the index after its terminator. */
  static int keyEnd(byte[] path, int from) {
    int i = from;
    while (path[i] != END) {
      i++;
    }
    return i + 1;
  }

  /** The key in {@code [from, end)}, {@code end} being after the terminator. */
  static String key(byte[] path, int from, int end) {
    boolean escaped = false;
    for (int i = from; i < end - 1; i++) {
      escaped |= path[i] == ESCAPE;
    }
    if (!escaped) {
      return new String(path, from, end - 1 - from, StandardCharsets.UTF_8);
    }
    var out = new ByteWriter(end - from);
    for (int i = from; i < end - 1; i++) {
      if (path[i] == ESCAPE) {
        i++;
        out.u8(path[i] - 1);
      } else {
        out.u8(path[i]);
      }
    }
    return new String(out.array(), 0, out.size(), StandardCharsets.UTF_8);
  }

  /** The keys from the root down. */
  public static List<String> keys(byte[] path) {
    var keys = new ArrayList<String>();
    for (int from = 0; from < path.length; ) {
      int end = keyEnd(path, from);
      keys.add(key(path, from, end));
      from = end;
    }
    return keys;
  }

  /** The keys joined by dots, for people. */
  public static String text(byte[] path) {
    return String.join(".", keys(path));
  }

  /** Whether {@code path} lies at or below {@code ancestor}. */
  public static boolean isWithin(byte[] path, byte[] ancestor) {
    return path.length >= ancestor.length
        && Arrays.mismatch(ancestor, 0, ancestor.length, path, 0, ancestor.length) < 0;
  }

  /**
   * The first path after the subtree of {@code path}, in the order of unsigned bytes: with {@code
   * path} inclusive it bounds exactly the paths at and below. Null for the root, which has no end.
   */
  public static byte @Nullable [] subtreeEnd(byte[] path) {
    if (path.length == 0) {
      return null;
    }
    byte[] end = path.clone();
    end[end.length - 1] = END + 1;
    return end;
  }

  /** The paths of the objects around {@code path}, from the root, without {@code path} itself. */
  public static List<byte[]> ancestors(byte[] path) {
    var ancestors = new ArrayList<byte[]>();
    for (int end = 0; end < path.length; end = keyEnd(path, end)) {
      ancestors.add(Arrays.copyOf(path, end));
    }
    return ancestors;
  }

  /**
   * Checks bytes that came from a peer.
   *
   * @throws CodecException unless they are the encoding of some keys, in valid UTF-8
   */
  public static void check(byte[] path) {
    if (path.length > MAX_BYTES || (path.length > 0 && path[path.length - 1] != END)) {
      throw new CodecException("path is too long or its last key does not end");
    }
    boolean ascii = true;
    int depth = 0;
    for (int i = 0; i < path.length; i++) {
      if (path[i] == ESCAPE) {
        i++;
        if (i >= path.length || (path[i] != 1 && path[i] != 2)) {
          throw new CodecException("path holds an unknown escape");
        }
      } else if (path[i] == END) {
        depth++;
      } else if (path[i] < 0) {
        ascii = false;
      }
    }
    if (depth > MAX_DEPTH) {
      throw new CodecException("path is deeper than " + MAX_DEPTH);
    }
    if (!ascii && !Utf8.isValid(path, 0, path.length)) {
      throw new CodecException("path is not valid UTF-8");
    }
  }
}
