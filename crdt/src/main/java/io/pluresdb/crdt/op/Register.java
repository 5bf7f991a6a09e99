package io.pluresdb.crdt.op;

import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.value.Path;
import java.util.Arrays;

/**
 * The key of a register inside its document, as bytes: one byte for its space, then for {@link
 * #FIELD} a path.
 */
public final class Register {
  /** The register that says whether the document exists. */
  public static final byte EXISTS = 1;

  /** The register of an embedding the caller supplied. */
  public static final byte EMBEDDING = 2;

  /** The space of registers at paths. */
  public static final byte FIELD = 3;

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
    byte[] key = new byte[path.length + 1];
    key[0] = FIELD;
    System.arraycopy(path, 0, key, 1, path.length);
    return key;
  }

  /** The path of a register in the {@link #FIELD} space. */
  public static byte[] path(byte[] key) {
    return Arrays.copyOfRange(key, 1, key.length);
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
      default -> throw new CodecException("unknown register space");
    }
  }
}
