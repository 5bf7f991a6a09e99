package io.pluresdb.daemon.cli;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** System calls of a process that change files, in the order in which they ended. */
final class SystemCalls {
  /**
   * What {@code strace} has to write down for {@link #read}. Not what a process reads, many times
   * as much: nothing is read and then written at the place where the reading ended.
   */
  static final List<String> OPTIONS =
      List.of(
          "-f",
          "--seccomp-bpf",
          "-qq",
          "-y",
          "-xx",
          "-s",
          String.valueOf(1 << 26),
          "-e",
          "signal=none",
          "-e",
          "trace=clone,clone3,fork,vfork,open,openat,creat,dup,dup2,dup3,lseek,write,pwrite64,writev,pwritev,pwritev2,"
              + "ftruncate,truncate,fallocate,copy_file_range,sendfile,splice,rename,renameat,"
              + "renameat2,unlink,unlinkat,rmdir,mkdir,mkdirat,link,linkat,symlink,symlinkat,"
              + "chmod,fchmod,fchmodat,fsync,fdatasync");

  private static final Pattern LINE = Pattern.compile("(\\d+) +(.*)", Pattern.DOTALL);
  private static final Pattern RESUMED = Pattern.compile("<\\.\\.\\. \\w+ resumed>(.*)");
  private static final Pattern CALL = Pattern.compile("(\\w+)\\((.*)\\) += (-?\\d+)(.*)");
  private static final Pattern DESCRIPTOR = Pattern.compile("([\\w-]+)<(.*)>(?:\\(deleted\\))?");
  private static final String UNFINISHED = " <unfinished ...>";

  private SystemCalls() {}

  /**
   * A call that did not fail.
   *
   * @param arguments as strace writes them
   */
  record Call(String name, List<String> arguments, int result) {
    int number(int argument) {
      return Integer.parseInt(arguments.get(argument));
    }

    String text(int argument) {
      return arguments.get(argument);
    }

    /** The bytes of a string; of several ones one after another. */
    byte[] bytes(int argument) {
      return decode(arguments.get(argument));
    }

    int descriptor(int argument) {
      Matcher descriptor = DESCRIPTOR.matcher(arguments.get(argument));
      return Integer.parseInt(descriptor.matches() ? descriptor.group(1) : arguments.get(argument));
    }

    /** What a descriptor is open for, null when strace does not know. */
    @Nullable String opened(int argument) {
      Matcher descriptor = DESCRIPTOR.matcher(arguments.get(argument));
      return descriptor.matches() ? path(decode(descriptor.group(2))) : null;
    }

    /** A path that may begin at the folder that another argument is open for. */
    Path path(int folder, int argument) {
      String path = path(bytes(argument));
      String from = folder < 0 ? null : opened(folder);
      return (from == null ? Path.of(path) : Path.of(from).resolve(path)).normalize();
    }

    Path path(int argument) {
      return path(-1, argument);
    }

    private static String path(byte[] bytes) {
      return new String(bytes, StandardCharsets.UTF_8);
    }

    private static byte[] decode(String quoted) {
      return HexFormat.of().parseHex(quoted.replaceAll("\\\\x|\"", ""));
    }
  }

  /** Those that succeeded, of the process that was started and not of its children. */
  static List<Call> read(Path trace) throws IOException {
    var calls = new ArrayList<Call>();
    var threads = new ArrayList<Integer>();
    Map<Integer, String> begun = new HashMap<>();
    for (String line : Files.readAllLines(trace, StandardCharsets.ISO_8859_1)) {
      Matcher parts = LINE.matcher(line);
      if (!parts.matches()) {
        throw new IOException("not a line of strace: " + line);
      }
      int thread = Integer.parseInt(parts.group(1));
      String call = parts.group(2);
      if (call.endsWith(UNFINISHED)) {
        begun.put(thread, call.substring(0, call.length() - UNFINISHED.length()));
        continue;
      }
      Matcher resumed = RESUMED.matcher(call);
      if (resumed.matches()) {
        call = begun.remove(thread) + resumed.group(1);
      }
      Matcher whole = CALL.matcher(call);
      if (whole.matches() && !whole.group(3).startsWith("-")) {
        List<String> arguments = List.of(whole.group(2).split(", "));
        calls.add(new Call(whole.group(1), arguments, Integer.parseInt(whole.group(3))));
        threads.add(thread);
      }
    }
    Set<Integer> own = threadsOf(threads.getFirst(), calls, threads);
    return IntStream.range(0, calls.size())
        .filter(i -> own.contains(threads.get(i)) && !begins(calls.get(i)))
        .mapToObj(calls::get)
        .toList();
  }

  private static boolean begins(Call call) {
    return call.name().startsWith("clone") || call.name().endsWith("fork");
  }

  /** The threads that a thread began, and those that they began: a thread may be heard first. */
  private static Set<Integer> threadsOf(int first, List<Call> calls, List<Integer> threads) {
    Set<Integer> own = new HashSet<>(Set.of(first));
    boolean more = true;
    while (more) {
      more = false;
      for (int i = 0; i < calls.size(); i++) {
        Call call = calls.get(i);
        boolean thread = begins(call) && call.arguments().toString().contains("CLONE_THREAD");
        if (thread && own.contains(threads.get(i))) {
          more |= own.add(call.result());
        }
      }
    }
    return own;
  }
}
