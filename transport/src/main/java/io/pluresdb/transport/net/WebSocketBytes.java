package io.pluresdb.transport.net;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.pluresdb.transport.relay.WebSocket;
import java.nio.ByteBuffer;

/** Frames of a WebSocket in Netty's buffers. */
final class WebSocketBytes {
  private WebSocketBytes() {}

  /** The header of an unmasked frame. */
  static ByteBuf header(ByteBufAllocator alloc, int opcode, boolean last, long length) {
    ByteBuf out = alloc.directBuffer(WebSocket.MAX_HEADER_BYTES);
    ByteBuffer space = out.nioBuffer(0, WebSocket.MAX_HEADER_BYTES);
    WebSocket.putHeader(space, opcode, last, length);
    return out.writerIndex(space.position());
  }

  /** The header of a masked frame. */
  static ByteBuf maskedHeader(ByteBufAllocator alloc, int opcode, long length, int mask) {
    ByteBuf out = alloc.directBuffer(WebSocket.MAX_HEADER_BYTES);
    ByteBuffer space = out.nioBuffer(0, WebSocket.MAX_HEADER_BYTES);
    WebSocket.putMaskedHeader(space, opcode, true, length, mask);
    return out.writerIndex(space.position());
  }

  /** A whole unmasked frame. */
  static ByteBuf frame(ByteBufAllocator alloc, int opcode, byte[] payload) {
    ByteBuffer header = ByteBuffer.allocate(WebSocket.MAX_HEADER_BYTES);
    WebSocket.putHeader(header, opcode, true, payload.length);
    return alloc
        .directBuffer(WebSocket.MAX_HEADER_BYTES + payload.length)
        .writeBytes(header.flip())
        .writeBytes(payload);
  }

  /** A whole masked frame. */
  static ByteBuf maskedFrame(ByteBufAllocator alloc, int opcode, byte[] payload, int mask) {
    ByteBuffer masked = ByteBuffer.wrap(payload.clone());
    WebSocket.mask(masked, 0, payload.length, mask, 0);
    ByteBuffer header = ByteBuffer.allocate(WebSocket.MAX_HEADER_BYTES);
    WebSocket.putMaskedHeader(header, opcode, true, payload.length, mask);
    return alloc
        .directBuffer(WebSocket.MAX_HEADER_BYTES + payload.length)
        .writeBytes(header.flip())
        .writeBytes(masked);
  }
}
