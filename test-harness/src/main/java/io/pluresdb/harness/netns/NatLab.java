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
 * An internet of one router, homes with a router each, and a device in each home; every one of them
 * a network namespace. Needs Linux, root, {@code ip} and {@code nft}.
 *
 * <pre>
 * home 0: device 192.168.10.2 -- 192.168.10.1 router 45.99.10.2 -- 45.99.10.1 +
 *                                                                    internet 45.99.0.1
 * home 1: device 192.168.11.2 -- 192.168.11.1 router 45.99.11.2 -- 45.99.11.1 +
 * </pre>
 *
 * <p>Routers drop what comes in unasked, as those of homes do. The one in the middle is where a
 * datagram with a short time to live ends.
 */
public final class NatLab implements AutoCloseable {
  /** The address of who is not behind a router. */
  public static final String PUBLIC_ADDRESS = "45.99.0.1";

  /** The device's UDP port that a cone shows as {@link #CONE_PORT}. */
  public static final int DEVICE_PORT = 34_570;

  private static final int CONE_PORT = 41_570;
  private static final int MAX_HOMES = 8;
  private static final int COMMAND_SECONDS = 20;
  private static final AtomicInteger COUNT = new AtomicInteger();

  /** What a router does. */
  public enum Router {
    /**
     * One port for whoever is spoken to, which is not the device's own, and open to those who were
     * spoken to (RFC 4787: endpoint-independent mapping, address and port-dependent filtering).
     */
    CONE,
    /** As a cone, and open to everybody (endpoint-independent filtering). */
    FULL_CONE,
    /** A random port for every one who is spoken to. */
    SYMMETRIC,
    /** As a cone, but no UDP. */
    NO_UDP,
    /** No NAT: devices behind it can be reached by TCP, but no UDP passes. */
    ROUTED_NO_UDP,
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
      in(internet, "ip addr add " + PUBLIC_ADDRESS + "/32 dev lo");
      in(internet, "sysctl -qw net.ipv4.ip_forward=1");
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
      return "45.99." + (10 + number) + ".2";
    }

    /** The internet's address on the way to the router. */
    private String provider() {
      return "45.99." + (10 + number) + ".1";
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
    address(internet, "h" + number, home.provider() + "/24");
    address(home.router(), "wan", home.external() + "/24");
    wire(home.router(), "lan", home.device(), "eth0");
    address(home.router(), "lan", home.gateway() + "/24");
    address(home.device(), "eth0", home.address() + "/24");
    in(home.device(), "ip route add default via " + home.gateway());
    in(home.router(), "ip route add default via " + home.provider());
    in(home.router(), "sysctl -qw net.ipv4.ip_forward=1");
    if (kind == Router.ROUTED_NO_UDP) {
      in(internet, "ip route add " + home.address() + " via " + home.external());
    }
    rules(home, kind);
    return home;
  }

  private void rules(Home home, Router kind) {
    String cone =
        "oifname \"wan\" udp sport %d snat to %s:%d; oifname \"wan\" masquerade;"
            .formatted(DEVICE_PORT, home.external(), CONE_PORT);
    String outgoing =
        switch (kind) {
          case CONE, FULL_CONE, NO_UDP, CLOSED -> cone;
          case SYMMETRIC -> "oifname \"wan\" masquerade fully-random;";
          case ROUTED_NO_UDP -> "";
        };
    String incoming =
        kind == Router.FULL_CONE
            ? "iifname \"wan\" udp dport %d dnat to %s:%d;"
                .formatted(CONE_PORT, home.address(), DEVICE_PORT)
            : "";
    String never =
        switch (kind) {
          case CONE, FULL_CONE, SYMMETRIC -> "";
          case NO_UDP, ROUTED_NO_UDP -> "meta l4proto udp drop;";
          case CLOSED -> "drop;";
        };
    String asked = kind == Router.ROUTED_NO_UDP ? "accept;" : "";
    nft(
        home.router(),
        """
        table ip home {
          chain post { type nat hook postrouting priority 100; %s }
          chain pre { type nat hook prerouting priority -100; %s }
          chain forward {
            type filter hook forward priority 0;
            %s ct state established,related accept; ct status dnat accept; %s
            iifname "wan" drop;
          }
          chain input {
            type filter hook input priority 0;
            ct state established,related accept; iifname "wan" drop;
          }
        }
        """
            .formatted(outgoing, incoming, never, asked));
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
