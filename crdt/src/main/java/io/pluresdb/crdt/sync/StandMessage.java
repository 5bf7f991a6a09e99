package io.pluresdb.crdt.sync;

import io.pluresdb.crdt.auth.Membership;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.compaction.Stand;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;

/**
 * How replicas tell each other where all members stand.
 *
 * <pre>
 * 40 Known  := hash 32
 * 41 Have   := count varint | (device 32 | at u64) *          ascending by device
 * 42 Stands := count varint | stand *
 * </pre>
 */
public sealed interface StandMessage {
  int KNOWN = 40;
  int HAVE = 41;
  int STANDS = 42;

  /** Most stands in one message; as many as fit travel in one. */
  int MAX_STANDS = 1_024;

  /** Everything the sender has adds up to that; whoever has something else answers with it. */
  record Known(Hash hash) implements StandMessage {}

  /** Which stands the sender has; whoever has newer ones sends them. */
  record Have(NavigableMap<byte[], Long> at) implements StandMessage {}

  /** Stands, each of a device of its own. */
  record Stands(List<Stand> stands) implements StandMessage {}

  default void write(ByteWriter out) {
    switch (this) {
      case Known(var hash) -> out.u8(KNOWN).bytes(hash.bytes());
      case Have(var at) -> {
        out.u8(HAVE).varint(at.size());
        for (Map.Entry<byte[], Long> entry : at.entrySet()) {
          out.bytes(entry.getKey()).i64(entry.getValue());
        }
      }
      case Stands(var stands) -> {
        out.u8(STANDS).varint(stands.size());
        stands.forEach(stand -> stand.write(out));
      }
    }
  }

  /** Reads what follows {@code tag}. */
  static StandMessage read(int tag, ByteReader in) {
    return switch (tag) {
      case KNOWN -> new Known(new Hash(in.bytes(Hash.BYTES)));
      case HAVE -> have(in);
      case STANDS -> {
        int count = in.count("stands of a message", MAX_STANDS);
        var stands = new ArrayList<Stand>(Math.min(count, 64));
        for (int i = 0; i < count; i++) {
          stands.add(Stand.read(in));
        }
        yield new Stands(stands);
      }
      default -> throw new CodecException("unknown message " + tag);
    };
  }

  private static Have have(ByteReader in) {
    int count = in.count("devices of a message", Membership.MAX_ENTRIES);
    var at = new TreeMap<byte[], Long>(Arrays::compareUnsigned);
    for (int i = 0; i < count; i++) {
      byte[] device = in.bytes(Signer.KEY_BYTES);
      if (!at.isEmpty() && Arrays.compareUnsigned(at.lastKey(), device) >= 0) {
        throw new CodecException("devices of a message must ascend");
      }
      at.put(device, in.i64());
    }
    return new Have(at);
  }
}
