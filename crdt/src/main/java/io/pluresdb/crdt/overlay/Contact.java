package io.pluresdb.crdt.overlay;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import java.nio.charset.StandardCharsets;

/**
 * A device and where it may be reached: a hint, since only a handshake proves who answers.
 *
 * @param address what whoever dials understands, printable ASCII; empty when it cannot be dialled
 */
public record Contact(PeerId peer, String address) {
  /** Longest address, in bytes. */
  public static final int MAX_ADDRESS_BYTES = 128;

  public Contact {
    if (address.length() > MAX_ADDRESS_BYTES) {
      throw new CodecException(
          "address must be at most "
              + MAX_ADDRESS_BYTES
              + " bytes, but has "
              + address.length()
              + " characters");
    }
    for (int i = 0; i < address.length(); i++) {
      if (address.charAt(i) <= ' ' || address.charAt(i) > '~') {
        throw new CodecException("address must be printable ASCII");
      }
    }
  }

  public boolean isDialable() {
    return !address.isEmpty();
  }

  void write(ByteWriter out) {
    peer.write(out);
    out.block(address.getBytes(StandardCharsets.US_ASCII));
  }

  static Contact read(ByteReader in) {
    PeerId peer = PeerId.read(in);
    byte[] address = in.block("address", MAX_ADDRESS_BYTES);
    return new Contact(peer, new String(address, StandardCharsets.ISO_8859_1));
  }
}
