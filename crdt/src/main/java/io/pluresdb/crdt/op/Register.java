package io.pluresdb.crdt.op;

import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.value.CanonicalJson;
import io.pluresdb.crdt.value.Path;
import java.util.Arrays;
import org.jspecify.annotations.Nullable;

/**
 * The key of a register inside its document, as bytes: one byte for its space, then a path. The
 * space is the type, so replicas never disagree about one; two types at one path are two registers.
 *
 * <pre>
 * key := 1 existence | 2 embedding | 3 path field | 4 path text | 5 path list
 *      | 6 path set  | 6 path 0x01 canonical-JSON an element of the set
 * </pre>
 *
 * In a path 0x01 is followed by 0x01 or 0x02, and no JSON begins with either.
 */
public final class Register {
  /** The register that says whether the document exists. */
  public static final byte EXISTS = 1;

  /** The register of an embedding the caller supplied. */
  public static final byte EMBEDDING = 2;

  /** The space of registers at paths. */
  public static final byte FIELD = 3;

  /** The space of texts. */
  public static final byte TEXT = 4;

  /** The space of lists. */
  public static final byte LIST = 5;

  /** The space of sets and of their elements. */
  public static final byte SET = 6;

  /** Longest element of a set, in bytes of canonical JSON. */
  public static final int MAX_ELEMENT_BYTES = 4_096;

  /** Longest key. */
  public static final int MAX_BYTES = 2 + Path.MAX_BYTES + MAX_ELEMENT_BYTES;

  private static final byte ELEMENT = 1;
  private static final byte[] EXISTS_KEY = {EXISTS};
  private static final byte[] EMBEDDING_KEY = {EMBEDDING};

  private Register() {}

  public static byte[] exists() {
    return EXISTS_KEY;
  }

  public static byte[] embedding() {
    return EMBEDDING_KEY;
  }

  /** The register at {@code path}. */
  public static byte[] field(byte[] path) {
    return at(FIELD, path);
  }

  /** The register of a space at {@code path}. */
  public static byte[] at(byte space, byte[] path) {
    byte[] key = new byte[path.length + 1];
    key[0] = space;
    System.arraycopy(path, 0, key, 1, path.length);
    return key;
  }

  /** The register of one element of the set whose register is {@code set}. */
  public static byte[] element(byte[] set, byte[] json) {
    byte[] key = Arrays.copyOf(set, set.length + 1 + json.length);
    key[set.length] = ELEMENT;
    System.arraycopy(json, 0, key, set.length + 1, json.length);
    return key;
  }

  /** Where the path of {@code key} ends. */
  private static int pathEnd(byte[] key) {
    if (key[0] == SET) {
      for (int i = 1; i + 1 < key.length; i++) {
        if (key[i] == ELEMENT && key[i + 1] > 2) {
          return i;
        }
      }
    }
    return key.length;
  }

  /** The path of a register. */
  public static byte[] path(byte[] key) {
    return Arrays.copyOfRange(key, 1, pathEnd(key));
  }

  /** The JSON of a set's element, or null when {@code key} is no element of a set. */
  public static byte @Nullable [] elementJson(byte[] key) {
    int end = pathEnd(key);
    return end == key.length ? null : Arrays.copyOfRange(key, end + 1, key.length);
  }

  /** Whether {@code key} is in a space of typed values: texts, lists, sets. */
  public static boolean isTyped(byte[] key) {
    return key[0] >= TEXT && key[0] <= SET;
  }

  /** Whether {@code key} is of a sequence, whose content has rows of its own. */
  public static boolean isSequence(byte[] key) {
    return key[0] == TEXT || key[0] == LIST;
  }

  private static void checkTyped(byte[] key) {
    byte[] path = path(key);
    if (path.length == 0) {
      throw new CodecException("a typed register needs a path");
    }
    Path.check(path);
  }

  /**
   * Checks a key that came from a peer.
   *
   * @throws CodecException unless it is one this version writes
   */
  public static void check(byte[] key) {
    switch (key.length == 0 ? 0 : key[0]) {
      case EXISTS, EMBEDDING -> {
        if (key.length != 1) {
          throw new CodecException("register " + key[0] + " takes no path");
        }
      }
      case FIELD -> Path.check(path(key));
      case TEXT, LIST -> checkTyped(key);
      case SET -> {
        checkTyped(key);
        byte[] json = elementJson(key);
        if (json != null && (json.length > MAX_ELEMENT_BYTES || !CanonicalJson.isValue(json))) {
          throw new CodecException("element of a set is too long or not canonical");
        }
      }
      default -> throw new CodecException("unknown register space");
    }
  }
}
