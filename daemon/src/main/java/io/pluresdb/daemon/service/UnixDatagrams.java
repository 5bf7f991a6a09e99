package io.pluresdb.daemon.service;

import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.nio.charset.StandardCharsets;

/**
 * Datagrams to a Unix socket, as systemd's daemons take them, by calls of the C library: Java has
 * none. Linux only.
 */
final class UnixDatagrams {
  /** Size of {@code sun_path} in {@code sockaddr_un} (unix(7)). */
  static final int MAX_PATH_BYTES = 108;

  private static final short AF_UNIX = 1;
  private static final int SOCK_DGRAM_CLOEXEC = 2 | 0x80000;
  private static final int MSG_NOSIGNAL = 0x4000;
  private static final int FAMILY_BYTES = 2;

  private static final ValueLayout INT = ValueLayout.JAVA_INT;
  private static final ValueLayout LONG = ValueLayout.JAVA_LONG;
  private static final ValueLayout POINTER = ValueLayout.ADDRESS;

  private final byte[] path;

  /**
   * @param path a file's path, or {@code @} and an abstract name
   * @throws IOException when it cannot be a socket's
   */
  UnixDatagrams(String path) throws IOException {
    this.path = path.getBytes(StandardCharsets.UTF_8);
    boolean named = path.startsWith("/") || path.startsWith("@");
    if (!named || this.path.length < 2 || this.path.length > MAX_PATH_BYTES) {
      throw new IOException(
          "a Unix socket must be an absolute path or @name of 2 to "
              + MAX_PATH_BYTES
              + " bytes, but is "
              + path);
    }
    if (path.startsWith("@")) {
      this.path[0] = 0;
    }
  }

  /** Sends one datagram. */
  void send(byte[] text) throws IOException {
    Linker linker = Linker.nativeLinker();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment message = arena.allocateFrom(ValueLayout.JAVA_BYTE, text);
      // sockaddr_un: the family as the machine writes shorts, then the path.
      MemorySegment address = arena.allocate(FAMILY_BYTES + path.length, Short.BYTES);
      address.set(ValueLayout.JAVA_SHORT, 0, AF_UNIX);
      MemorySegment.copy(path, 0, address, ValueLayout.JAVA_BYTE, FAMILY_BYTES, path.length);
      int socket =
          (int)
              function(linker, "socket", ValueLayout.JAVA_INT, INT, INT, INT)
                  .invokeExact((int) AF_UNIX, SOCK_DGRAM_CLOEXEC, 0);
      if (socket < 0) {
        throw new IOException("no socket could be made");
      }
      try {
        long sent =
            (long)
                function(
                        linker,
                        "sendto",
                        ValueLayout.JAVA_LONG,
                        INT,
                        POINTER,
                        LONG,
                        INT,
                        POINTER,
                        INT)
                    .invokeExact(
                        socket,
                        message,
                        (long) text.length,
                        MSG_NOSIGNAL,
                        address,
                        (int) address.byteSize());
        if (sent != text.length) {
          throw new IOException("nobody took " + text.length + " bytes");
        }
      } finally {
        int closed = (int) function(linker, "close", ValueLayout.JAVA_INT, INT).invokeExact(socket);
        assert closed == 0;
      }
    } catch (IOException | RuntimeException | Error e) {
      throw e;
    } catch (Throwable e) {
      throw new IOException(e);
    }
  }

  @SuppressWarnings("restricted") // The signatures above are those of the C library on Linux.
  private static MethodHandle function(
      Linker linker, String name, ValueLayout result, ValueLayout... parameters) {
    return linker.downcallHandle(
        linker.defaultLookup().findOrThrow(name), FunctionDescriptor.of(result, parameters));
  }
}
