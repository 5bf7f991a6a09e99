package io.pluresdb.daemon.replication;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.transport.topic.Hint;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What two devices of a session say to each other about the secrets of epochs; beside the sync
 * messages and never compressed.
 *
 * <pre>
 * message := 2 u8 | 0 u8 | count varint | name 32 *       I lack these
 *          | 2 u8 | 1 u8 | count varint | secret 32 *     here they are
 *          | 2 u8 | 2 u8 | hint 16                        the epoch I am in
 * </pre>
 */
public sealed interface KeyMessage {
  /** Most secrets in one message. */
  int MAX_SECRETS = 64;

  /** Bytes of a secret. */
  int SECRET_BYTES = 32;

  /** What distinguishes it from an {@link Envelope}. */
  byte KIND = 2;

  /** Asks for the secrets with these names; only a member is answered. */
  record Want(List<Hash> names) implements KeyMessage {
    private static final int CODE = 0;
  }

  /** Secrets that were asked for; the names are their hashes. */
  record Have(List<byte[]> secrets) implements KeyMessage {
    private static final int CODE = 1;
  }

  /** Names the epoch of who says it; said in sessions of an earlier one. */
  record Here(Hint hint) implements KeyMessage {
    private static final int CODE = 2;
  }

  /** The message as it travels. */
  default byte[] toByteArray() {
    var out = new ByteWriter(64).u8(KIND);
    switch (this) {
      case Want(var names) -> {
        out.u8(Want.CODE).varint(names.size());
        names.forEach(name -> out.bytes(name.bytes()));
      }
      case Have(var secrets) -> {
        out.u8(Have.CODE).varint(secrets.size());
        secrets.forEach(out::bytes);
      }
      case Here(var hint) -> out.u8(Here.CODE).bytes(hint.bytes());
    }
    return out.toByteArray();
  }

  /**
   * Reads a message of a peer.
   *
   * @return null when it is an {@link Envelope}
   * @throws CodecException when it is neither
   */
  static @Nullable KeyMessage read(byte[] message) {
    if (message.length == 0 || message[0] != KIND) {
      return null;
    }
    var in = new ByteReader(message);
    in.u8();
    int code = in.u8();
    if (code == Here.CODE) {
      var hint = new Hint(in.bytes(Hint.HINT_BYTES));
      in.end();
      return new Here(hint);
    }
    int count = in.count("secrets", MAX_SECRETS);
    var all = new ArrayList<byte[]>(count);
    for (int i = 0; i < count; i++) {
      all.add(in.bytes(SECRET_BYTES));
    }
    in.end();
    return switch (code) {
      case Want.CODE -> new Want(all.stream().map(Hash::new).toList());
      case Have.CODE -> new Have(all);
      default -> throw new CodecException("kind of a key message must be 0 to 2, but is " + code);
    };
  }
}
