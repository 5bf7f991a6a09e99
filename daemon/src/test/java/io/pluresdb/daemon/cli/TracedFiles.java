package io.pluresdb.daemon.cli;

import io.pluresdb.daemon.cli.SystemCalls.Call;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The files below a folder while the {@link SystemCalls} of a process change them, and what would
 * be left of them if the process were killed or the power failed.
 *
 * <p>After a power failure a file has the bytes of its last sync, and a folder has the names of its
 * own last sync, whatever was synced elsewhere since: that is all POSIX promises, and less than
 * ext4 or XFS keep. A rename is one change: what was moved is in one of both folders.
 */
final class TracedFiles {
  /** What ended the process. */
  enum Crash {
    /** It was killed: everything that it did stays. */
    KILLED,

    /** Power failed: bytes that were not synced are gone, names are there. */
    BYTES_LOST,

    /** Power failed: bytes and names that were not synced are gone. */
    BYTES_AND_NAMES_LOST
  }

  private static final Set<PosixFilePermission> UMASK =
      PosixFilePermissions.fromString("----w--w-");

  private sealed interface Entry {}

  /** Bytes that stay as they are, and are hashed once. */
  private static final class Bytes {
    private static final Bytes NONE = new Bytes(new byte[0]);

    private final byte[] array;
    private byte @Nullable [] hash;

    Bytes(byte[] array) {
      this.array = array;
    }

    byte[] hash() {
      if (hash == null) {
        hash = sha256().digest(array);
      }
      return hash;
    }
  }

  /** A file's bytes, under any number of names. */
  private static final class Content implements Entry {
    private Bytes bytes;
    private Bytes synced;
    private Set<PosixFilePermission> permissions;

    Content(Bytes bytes, Set<PosixFilePermission> permissions) {
      this.bytes = bytes;
      this.synced = bytes;
      this.permissions = permissions;
    }

    void write(byte[] from, int count, long position) {
      int start = Math.toIntExact(position);
      byte[] written = Arrays.copyOf(bytes.array, Math.max(bytes.array.length, start + count));
      System.arraycopy(from, 0, written, start, count);
      bytes = new Bytes(written);
    }
  }

  private static final class Folder implements Entry {
    private final Map<String, Entry> names = new TreeMap<>();
    private Map<String, Entry> synced = new TreeMap<>();
    private Set<PosixFilePermission> permissions;

    Folder(Set<PosixFilePermission> permissions) {
      this.permissions = permissions;
    }
  }

  /** An entry that went from one folder to another, neither of which was synced since. */
  private record Moved(Entry entry, Folder from, String name, Folder to, String newName) {}

  /** What a descriptor stands for. */
  private static final class Opened {
    private final Entry entry;
    private final boolean appends;
    private final boolean syncs;
    private long position;

    Opened(Entry entry, boolean appends, boolean syncs) {
      this.entry = entry;
      this.appends = appends;
      this.syncs = syncs;
    }

    Content content() {
      return (Content) entry;
    }
  }

  private final Path root;
  private final Folder top;
  private final boolean syncsCount;
  private final Map<Integer, Opened> opened = new HashMap<>();
  private final List<Moved> moves = new ArrayList<>();

  /**
   * Begins with a copy of a folder, all of it synced.
   *
   * @param root where the process finds the copy
   * @param syncsCount false for a disk that says to have synced and has not
   */
  TracedFiles(Path copied, Path root, boolean syncsCount) throws IOException {
    this.root = root;
    this.syncsCount = syncsCount;
    this.top = (Folder) load(copied);
  }

  private static Entry load(Path path) throws IOException {
    Set<PosixFilePermission> permissions = Files.getPosixFilePermissions(path);
    if (!Files.isDirectory(path)) {
      return new Content(new Bytes(Files.readAllBytes(path)), permissions);
    }
    var folder = new Folder(permissions);
    try (Stream<Path> files = Files.list(path)) {
      for (Path file : files.toList()) {
        folder.names.put(file.getFileName().toString(), load(file));
      }
    }
    folder.synced = new TreeMap<>(folder.names);
    return folder;
  }

  /** Whether a call may have changed a file here. */
  boolean apply(Call call) {
    return switch (call.name()) {
      case "open" -> open(call, call.path(0), call.text(1), 2);
      case "openat" -> open(call, call.path(0, 1), call.text(2), 3);
      case "dup", "dup2", "dup3" -> duplicate(call);
      case "lseek" -> seek(call);
      case "write" -> write(call, -1);
      case "pwrite64" -> write(call, 3);
      case "ftruncate" -> truncate(call);
      case "fallocate" -> allocate(call);
      case "copy_file_range" -> copy(call);
      case "rename" -> rename(call.path(0), call.path(1));
      case "renameat", "renameat2" -> rename(call.path(0, 1), call.path(2, 3));
      case "unlink", "rmdir" -> remove(call.path(0));
      case "unlinkat" -> remove(call.path(0, 1));
      case "mkdir" -> makeFolder(call.path(0), call.text(1));
      case "mkdirat" -> makeFolder(call.path(0, 1), call.text(2));
      case "link" -> link(call.path(0), call.path(1));
      case "chmod" -> allow(find(call.path(0)), call.text(1));
      case "fchmod" -> allow(entry(call, 0), call.text(1));
      case "fsync", "fdatasync" -> sync(call);
      default -> unknown(call);
    };
  }

  /** Sockets are written to in ways that files are not. */
  private boolean unknown(Call call) {
    if (call.opened(0) == null || of(call, 0) != null) {
      throw new IllegalArgumentException("not a call that is known here: " + call);
    }
    return false;
  }

  private boolean open(Call call, Path path, String flags, int mode) {
    // The number stood for something else before.
    opened.remove(call.result());
    Folder folder = folderOf(path);
    if (path.equals(root)) {
      opened.put(call.result(), new Opened(top, false, false));
    }
    if (folder == null) {
      return false;
    }
    String name = path.getFileName().toString();
    boolean makes = !folder.names.containsKey(name);
    if (makes && !flags.contains("O_CREAT")) {
      throw new IllegalStateException("opened, but not made here: " + call);
    }
    Entry there =
        folder.names.computeIfAbsent(
            name, made -> new Content(Bytes.NONE, permissions(call.text(mode))));
    boolean cuts = flags.contains("O_TRUNC");
    if (cuts) {
      ((Content) there).bytes = Bytes.NONE;
    }
    boolean syncs = flags.contains("O_DSYNC") || flags.contains("O_SYNC");
    opened.put(call.result(), new Opened(there, flags.contains("O_APPEND"), syncs));
    return makes || cuts;
  }

  private boolean duplicate(Call call) {
    Opened same = of(call, 0);
    if (same == null) {
      opened.remove(call.result());
    } else {
      opened.put(call.result(), same);
    }
    return false;
  }

  /** What a descriptor stands for here, or null. */
  private @Nullable Opened of(Call call, int argument) {
    String path = call.opened(argument);
    return path == null || !Path.of(path).startsWith(root)
        ? null
        : opened.get(call.descriptor(argument));
  }

  private @Nullable Entry entry(Call call, int argument) {
    Opened to = of(call, argument);
    return to == null ? null : to.entry;
  }

  private boolean seek(Call call) {
    Opened at = of(call, 0);
    if (at != null) {
      at.position = call.result();
    }
    return false;
  }

  private boolean write(Call call, int position) {
    Opened to = of(call, 0);
    if (to == null) {
      return false;
    }
    put(to, call.bytes(1), call.result(), position < 0 ? -1 : call.number(position));
    return true;
  }

  private void put(Opened to, byte[] bytes, int count, long position) {
    Content content = to.content();
    long at = position;
    if (at < 0) {
      at = to.appends ? content.bytes.array.length : to.position;
      to.position = at + count;
    }
    content.write(bytes, count, at);
    if (to.syncs) {
      sync(content);
    }
  }

  private boolean truncate(Call call) {
    Opened to = of(call, 0);
    if (to != null) {
      to.content().bytes = new Bytes(Arrays.copyOf(to.content().bytes.array, call.number(1)));
    }
    return to != null;
  }

  private boolean allocate(Call call) {
    if (of(call, 0) != null && !call.text(1).equals("FALLOC_FL_KEEP_SIZE")) {
      throw new IllegalArgumentException("not known here: " + call);
    }
    return false;
  }

  private boolean copy(Call call) {
    Opened from = of(call, 0);
    Opened to = of(call, 2);
    if (to == null) {
      return false;
    }
    if (from == null || !call.text(1).equals("NULL") || !call.text(3).equals("NULL")) {
      throw new IllegalArgumentException("not known here: " + call);
    }
    int start = Math.toIntExact(from.position);
    byte[] bytes = Arrays.copyOfRange(from.content().bytes.array, start, start + call.result());
    from.position += call.result();
    put(to, bytes, call.result(), -1);
    return true;
  }

  private boolean rename(Path from, Path to) {
    Folder source = folderOf(from);
    Folder target = folderOf(to);
    if (source == null && target == null) {
      return false;
    }
    if (source == null || target == null) {
      throw new IllegalArgumentException("moved in or out: " + from + " to " + to);
    }
    String name = from.getFileName().toString();
    String newName = to.getFileName().toString();
    Entry moved = source.names.remove(name);
    if (moved == null) {
      throw new IllegalStateException("not made here: " + from);
    }
    target.names.put(newName, moved);
    if (source != target) {
      moves.add(new Moved(moved, source, name, target, newName));
    }
    return true;
  }

  private boolean remove(Path path) {
    Folder folder = folderOf(path);
    return folder != null && folder.names.remove(path.getFileName().toString()) != null;
  }

  private boolean makeFolder(Path path, String mode) {
    Folder folder = folderOf(path);
    if (folder != null) {
      folder.names.put(path.getFileName().toString(), new Folder(permissions(mode)));
    }
    return folder != null;
  }

  private boolean link(Path from, Path to) {
    Folder folder = folderOf(to);
    if (folder != null) {
      folder.names.put(to.getFileName().toString(), find(from));
    }
    return folder != null;
  }

  private boolean allow(@Nullable Entry entry, String mode) {
    Set<PosixFilePermission> permissions = bits(mode);
    switch (entry) {
      case null -> {
        return false;
      }
      case Content content -> content.permissions = permissions;
      case Folder folder -> folder.permissions = permissions;
    }
    return true;
  }

  private boolean sync(Call call) {
    Entry entry = entry(call, 0);
    if (entry != null) {
      sync(entry);
    }
    return entry != null;
  }

  private void sync(Entry entry) {
    if (syncsCount) {
      switch (entry) {
        case Content content -> content.synced = content.bytes;
        case Folder folder -> {
          folder.synced = new TreeMap<>(folder.names);
          moves.removeIf(move -> isSyncedWith(move, folder));
        }
      }
    }
  }

  /** Whether a move is on the disk with one of its folders; it is in the other one then too. */
  private static boolean isSyncedWith(Moved move, Folder folder) {
    if (folder == move.to) {
      move.from.synced.remove(move.name, move.entry);
    } else if (folder == move.from && move.to.names.get(move.newName) == move.entry) {
      move.to.synced.put(move.newName, move.entry);
    }
    return folder == move.from || folder == move.to;
  }

  private @Nullable Entry find(Path path) {
    Folder folder = folderOf(path);
    return folder == null ? null : folder.names.get(path.getFileName().toString());
  }

  /** The folder that has a path's last name; null for what is not below the root. */
  private @Nullable Folder folderOf(Path path) {
    if (!path.startsWith(root) || path.equals(root)) {
      return null;
    }
    Entry folder = top;
    Path below = root.relativize(path);
    for (int i = 0; i < below.getNameCount() - 1; i++) {
      folder = ((Folder) folder).names.get(below.getName(i).toString());
      if (folder == null) {
        throw new IllegalStateException("not made here: " + path);
      }
    }
    return (Folder) folder;
  }

  private static Set<PosixFilePermission> permissions(String mode) {
    Set<PosixFilePermission> permissions = bits(mode);
    permissions.removeAll(UMASK);
    return permissions;
  }

  private static Set<PosixFilePermission> bits(String mode) {
    int bits = Integer.parseInt(mode, 8);
    Set<PosixFilePermission> permissions = EnumSet.noneOf(PosixFilePermission.class);
    PosixFilePermission[] all = PosixFilePermission.values();
    for (int i = 0; i < all.length; i++) {
      if ((bits & 0400 >> i) != 0) {
        permissions.add(all[i]);
      }
    }
    return permissions;
  }

  /** Makes the files as they would be found after a crash now. */
  void write(Crash crash, Path to) throws IOException {
    write(top, crash, to);
  }

  private static void write(Entry entry, Crash crash, Path to) throws IOException {
    switch (entry) {
      case Content content -> {
        Files.write(to, left(content, crash).array);
        Files.setPosixFilePermissions(to, content.permissions);
      }
      case Folder folder -> {
        Files.createDirectory(to);
        for (Map.Entry<String, Entry> named : left(folder, crash).entrySet()) {
          write(named.getValue(), crash, to.resolve(named.getKey()));
        }
        Files.setPosixFilePermissions(to, folder.permissions);
      }
    }
  }

  private static Map<String, Entry> left(Folder folder, Crash crash) {
    return crash == Crash.BYTES_AND_NAMES_LOST ? folder.synced : folder.names;
  }

  private static Bytes left(Content content, Crash crash) {
    return crash == Crash.KILLED ? content.bytes : content.synced;
  }

  /** The same for the same files after a crash now, not counting what RocksDB notes for people. */
  String digest(Crash crash) {
    MessageDigest digest = sha256();
    digest(top, crash, digest);
    return HexFormat.of().formatHex(digest.digest());
  }

  private static void digest(Entry entry, Crash crash, MessageDigest digest) {
    switch (entry) {
      case Content content -> {
        digest.update(content.permissions.toString().getBytes(StandardCharsets.UTF_8));
        digest.update(left(content, crash).hash());
      }
      case Folder folder -> {
        digest.update((folder.permissions + "{").getBytes(StandardCharsets.UTF_8));
        for (Map.Entry<String, Entry> named : left(folder, crash).entrySet()) {
          String name = named.getKey();
          if (!name.equals("LOG") && !name.startsWith("LOG.old.")) {
            digest.update((name + "=").getBytes(StandardCharsets.UTF_8));
            digest(named.getValue(), crash, digest);
          }
        }
        digest.update((byte) '}');
      }
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
