package io.pluresdb.harness.netns;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.jspecify.annotations.Nullable;

/**
 * An internet of one network, homes with a router each, and a device in each home; every one of
 * them a network namespace. Needs Linux, root, {@code ip} and {@code nft}.
 *
 * <pre>
 * home 0: device 192.168.10.2 -- 192.168.10.1 router 45.99.0.10 --+
 *                                                                 +-- 45.99.0.1 internet
 * home 1: device 192.168.11.2 -- 192.168.11.1 router 45.99.0.11 --+
 * </pre>
 */
public final class NatLab implements AutoCloseable {
  /** The address of who is not behind a router. */
  public static final String PUBLIC_ADDRESS = "45.99.0.1";

  private static final int MAX_HOMES = 8;
  private static final int COMMAND_SECONDS = 20;
  private static final AtomicInteger COUNT = new AtomicInteger();

  /** What a router does. */
  public enum Router {
    /** Ports stay the same, whoever is spoken to: a cone, open to those who were spoken to. */
    CONE,
    /** A random port for every one who is spoken to. */
    SYMMETRIC,
    /** As a cone, but no UDP. */
    NO_UDP,
    /** Forwards nothing: only what runs on the router itself reaches the internet. */
    CLOSED
  }

  private final String prefix;
  private final List<String> namespaces = new ArrayList<>();
  private final List<Process> processes = new ArrayList<>();
  private final String internet;
  private int homes;

  /** Makes the internet. */
  public NatLab() {
    prefix = "pl" + ProcessHandle.current().pid() % 100_000 + "x" + COUNT.incrementAndGet();
    internet = prefix + "i";
    try {
      namespace(internet);
      in(internet, "ip link add br0 type bridge");
      in(internet, "ip addr add " + PUBLIC_ADDRESS + "/24 dev br0");
      in(internet, "ip link set br0 up");
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  /** Why there can be no lab here; empty where there can. */
  public static String obstacle() {
    if (!System.getProperty("os.name").toLowerCase(Locale.ROOT).startsWith("linux")) {
      return "network namespaces are Linux's";
    }
    if (!Files.isWritable(Path.of("/proc/sys/net/ipv4/ip_forward"))) {
      return "network namespaces want root";
    }
    for (String tool : List.of("ip", "nft")) {
      if (tool(tool) == null) {
        return tool + " is not installed";
      }
    }
    try (NatLab lab = new NatLab()) {
      lab.home(Router.SYMMETRIC);
      return "";
    } catch (RuntimeException e) {
      return "this kernel refuses: " + e.getMessage();
    }
  }

  /** Where a program is; null where it is not. */
  public static @Nullable Path tool(String name) {
    for (String folder : List.of("/usr/sbin", "/usr/bin", "/sbin", "/bin")) {
      Path path = Path.of(folder, name);
      if (Files.isExecutable(path)) {
        return path;
      }
    }
    return null;
  }

  /** A home in the lab, by its number. */
  public record Home(int number, String router, String device) {
    /** The router's address on the internet. */
    public String external() {
      return "45.99.0." + (10 + number);
    }

    /** The router's address at home. */
    public String gateway() {
      return network() + ".1";
    }

    public String address() {
      return network() + ".2";
    }

    private String network() {
      return "192.168." + (10 + number);
    }
  }

  /** Builds a home behind a router of a kind. */
  public Home home(Router kind) {
    if (homes == MAX_HOMES) {
      throw new IllegalStateException("a lab has 8 homes at most");
    }
    int number = homes++;
    var home = new Home(number, prefix + "r" + number, prefix + "d" + number);
    namespace(home.router());
    namespace(home.device());
    wire(internet, "h" + number, home.router(), "wan");
    in(internet, "ip link set h" + number + " master br0");
    address(home.router(), "wan", home.external() + "/24");
    wire(home.router(), "lan", home.device(), "eth0");
    address(home.router(), "lan", home.gateway() + "/24");
    address(home.device(), "eth0", home.address() + "/24");
    in(home.device(), "ip route add default via " + home.gateway());
    in(home.router(), "ip route add default via " + PUBLIC_ADDRESS);
    in(home.router(), "sysctl -qw net.ipv4.ip_forward=1");
    rules(home.router(), kind);
    return home;
  }

  private void rules(String router, Router kind) {
    String forward =
        switch (kind) {
          case CONE, SYMMETRIC -> "";
          case NO_UDP -> "meta l4proto udp drop;";
          case CLOSED -> "drop;";
        };
    String masquerade = kind == Router.SYMMETRIC ? "masquerade fully-random" : "masquerade";
    nft(
        router,
        "table ip home {\n"
            + "chain post { type nat hook postrouting priority 100; oifname \"wan\" "
            + masquerade
            + ";}\n"
            + "chain forward { type filter hook forward priority 0; "
            // What comes in unasked is for nobody, unless a port was mapped.
            + "ct state established,related accept; ct status dnat accept; iifname \"wan\" drop; "
            + forward
            + "}\n}\n");
  }

  /** Gives rules of nftables to a namespace. */
  public void nft(String namespace, String rules) {
    try {
      Path file = Files.createTempFile("pluresdb-nft", null);
      try {
        Files.writeString(file, rules, StandardCharsets.US_ASCII);
        in(namespace, "nft -f " + file);
      } finally {
        Files.delete(file);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private void namespace(String name) {
    command(List.of("ip", "netns", "add", name));
    namespaces.add(name);
    in(name, "ip link set lo up");
  }

  private void wire(String a, String deviceA, String b, String deviceB) {
    command(
        List.of(
            ("ip link add "
                    + deviceA
                    + " netns "
                    + a
                    + " type veth peer name "
                    + deviceB
                    + " netns "
                    + b)
                .split(" ")));
    in(a, "ip link set " + deviceA + " up");
    in(b, "ip link set " + deviceB + " up");
  }

  private void address(String namespace, String device, String address) {
    in(namespace, "ip addr add " + address + " dev " + device);
  }

  /** What to put in front of a command that shall run on the internet. */
  public List<String> onTheInternet() {
    return inside(internet);
  }

  /** What to put in front of a command that shall run in a namespace. */
  public static List<String> inside(String namespace) {
    return List.of("ip", "netns", "exec", namespace);
  }

  /** Runs a program in a namespace until this is closed. */
  public Process run(String namespace, Path log, String... words) {
    var command = new ArrayList<>(inside(namespace));
    command.addAll(List.of(words));
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(log.toFile())
              .start();
      processes.add(process);
      return process;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void in(String namespace, String words) {
    var command = new ArrayList<>(inside(namespace));
    command.addAll(List.of(words.split(" ")));
    command(command);
  }

  private static void command(List<String> words) {
    try {
      Process process = new ProcessBuilder(words).redirectErrorStream(true).start();
      String said = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8);
      if (!process.waitFor(COMMAND_SECONDS, TimeUnit.SECONDS) || process.exitValue() != 0) {
        throw new IllegalStateException(String.join(" ", words) + ": " + said.strip());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IllegalStateException(e);
    }
  }

  @Override
  public void close() {
    for (Process process : processes) {
      process.destroy();
      try {
        if (!process.waitFor(COMMAND_SECONDS, TimeUnit.SECONDS)) {
          process.destroyForcibly();
        }
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
    for (String name : namespaces.reversed()) {
      command(List.of("ip", "netns", "del", name));
    }
    namespaces.clear();
  }
}
