package io.pluresdb.transport.dht;

import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.zip.CRC32C;
import org.jspecify.annotations.Nullable;

/**
 * What of a node outlives a restart: its ids and the nodes it knew.
 *
 * <pre>
 * "PLDT" | version 0x01 | families u8 | per family: family u8 (4 or 6), own id 20 B, n u16,
 * n contacts of 26 or 38 B | CRC-32C of all before, u32
 * </pre>
 *
 * @param contacts at most {@link #MAX_CONTACTS} of each family
 */
public record DhtSnapshot(Map<AddressFamily, DhtId> ids, List<NodeContact> contacts) {
  public static final int MAX_CONTACTS = 400;

  private static final byte[] MAGIC = "PLDT".getBytes(StandardCharsets.US_ASCII);
  private static final byte VERSION = 1;
  private static final int CHECKSUM_BYTES = 4;
  private static final int MAX_BYTES = 64 << 10;

  public DhtSnapshot {
    ids = Map.copyOf(ids);
    contacts = List.copyOf(contacts);
  }

  public byte[] encode() {
    ByteBuffer out = ByteBuffer.allocate(MAX_BYTES);
    out.put(MAGIC).put(VERSION).put((byte) ids.size());
    for (AddressFamily family : AddressFamily.values()) {
      DhtId id = ids.get(family);
      if (id == null) {
        continue;
      }
      List<NodeContact> some =
          contacts.stream().filter(c -> c.family() == family).limit(MAX_CONTACTS).toList();
      out.put(code(family)).put(id.toByteArray()).putShort((short) some.size());
      some.forEach(contact -> AddressFamily.write(out, contact));
    }
    out.putInt(checksum(out.array(), out.position()));
    return Arrays.copyOf(out.array(), out.position());
  }

  /** Null for anything {@link #encode} does not write. */
  public static @Nullable DhtSnapshot decode(byte[] bytes) {
    int end = bytes.length - CHECKSUM_BYTES;
    if (end < MAGIC.length + 2
        || bytes.length > MAX_BYTES
        || !Arrays.equals(bytes, 0, MAGIC.length, MAGIC, 0, MAGIC.length)
        || ByteBuffer.wrap(bytes).getInt(end) != checksum(bytes, end)) {
      return null;
    }
    ByteBuffer in = ByteBuffer.wrap(bytes, MAGIC.length, end - MAGIC.length);
    try {
      if (in.get() != VERSION) {
        return null;
      }
      var ids = new EnumMap<AddressFamily, DhtId>(AddressFamily.class);
      var contacts = new ArrayList<NodeContact>();
      for (int families = in.get(); families > 0; families--) {
        byte code = in.get();
        AddressFamily family =
            code == code(AddressFamily.IPV4)
                ? AddressFamily.IPV4
                : code == code(AddressFamily.IPV6) ? AddressFamily.IPV6 : null;
        byte[] id = new byte[DhtId.BYTES];
        in.get(id);
        int count = in.getShort();
        if (family == null
            || count < 0
            || count > MAX_CONTACTS
            || ids.put(family, DhtId.read(id, 0)) != null) {
          return null;
        }
        byte[] compact = new byte[count * family.contactBytes()];
        in.get(compact);
        family.readContacts(compact, contacts);
      }
      return in.hasRemaining() ? null : new DhtSnapshot(ids, contacts);
    } catch (BufferUnderflowException e) {
      return null;
    }
  }

  private static byte code(AddressFamily family) {
    return switch (family) {
      case IPV4 -> 4;
      case IPV6 -> 6;
    };
  }

  private static int checksum(byte[] bytes, int length) {
    var crc = new CRC32C();
    crc.update(bytes, 0, length);
    return (int) crc.getValue();
  }
}
