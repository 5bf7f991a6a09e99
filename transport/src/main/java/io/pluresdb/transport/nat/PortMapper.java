package io.pluresdb.transport.nat;

import io.pluresdb.transport.dht.AddressScope;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Has ports mapped at a gateway, keeps them mapped, and gives them back.
 *
 * <p>Tries PCP, then NAT-PMP, then UPnP IGD; the first that maps a port stays. Leases are finite
 * ({@link #LEASE_SECONDS} are asked for) and renewed at half their life. A gateway that forgot
 * everything, which its epoch shows, is asked anew at once. While none gives a port all are tried
 * again every {@link #AGAIN_MILLIS}.
 *
 * <p>A state machine: datagrams, answers of HTTP and the time go in, {@link NatEffect}s come out,
 * and it wants to be {@linkplain #tick called} at {@link #wakeAt}. Only the gateway's own answers
 * to what was asked count. Not thread-safe. Times are milliseconds of one clock that never goes
 * back.
 */
public final class PortMapper {
  /** Of PCP and NAT-PMP at the gateway. */
  public static final int PORT = 5351;

  public static final int LEASE_SECONDS = 3_600;

  /** Where UPnP searches, in production. */
  public static final InetSocketAddress GROUP = Igd.GROUP;

  /** However long a gateway says: half of that is when it is asked again. */
  public static final int MAX_LEASE_SECONDS = 86_400;

  static final long AGAIN_MILLIS = 10 * 60_000;

  /** Waits for answers to datagrams; then the next protocol is tried. */
  static final long[] TRIES_MILLIS = {250, 500, 1_000, 2_000};

  static final int MAX_PORTS = 8;
  static final int MAX_CONFLICTS = 4;
  private static final int LEAST_FREE_PORT = 49_152;
  private static final int PORTS_END = 65_536;
  private static final long EPOCH_SLACK_SECONDS = 2;

  private enum Stage {
    PCP,
    NAT_PMP,
    SEARCHING,
    DESCRIBING,
    UPNP,
    RESTING,
    RELEASED
  }

  private static final class Wanted {
    private final PortKind kind;
    private final int port;
    private final byte[] nonce = new byte[GatewayAnswer.NONCE_BYTES];
    private int suggested;
    private int conflicts;
    private int tries;
    private long nextAt;
    private @Nullable PortMapping mapping;
    private long expiresAt;

    Wanted(PortKind kind, int port, RandomGenerator random) {
      this.kind = kind;
      this.port = port;
      this.suggested = port;
      random.nextBytes(nonce);
    }
  }

  private final InetSocketAddress gateway;
  private final InetSocketAddress group;
  private final InetAddress client;
  private final RandomGenerator random;
  private final List<Wanted> wanted = new ArrayList<>();
  private final Map<NatProtocol, String> failures = new EnumMap<>(NatProtocol.class);
  private final Deque<NatEffect.Fetch> queue = new ArrayDeque<>();
  private List<NatEffect> effects = new ArrayList<>();
  private List<PortMapping> told = List.of();
  private Stage stage = Stage.PCP;
  private long stageAt;
  private int searches;
  private NatEffect.@Nullable Fetch fetching;
  private @Nullable URI description;
  private Igd.@Nullable Service service;
  private @Nullable InetAddress external;
  private long epoch = -1;
  private long epochAt;

  /**
   * @param gateway where PCP and NAT-PMP are spoken, port {@link #PORT} in production
   * @param group where UPnP searches, {@link #GROUP} in production
   * @param client this device's address towards the gateway
   */
  public PortMapper(
      InetSocketAddress gateway,
      InetSocketAddress group,
      InetAddress client,
      Map<PortKind, Integer> ports,
      RandomGenerator random,
      long now) {
    if (ports.isEmpty() || ports.size() > MAX_PORTS) {
      throw new IllegalArgumentException("1 to 8 ports are mapped, but named are " + ports.size());
    }
    this.gateway = gateway;
    this.group = group;
    this.client = client;
    this.random = random;
    ports.forEach((kind, port) -> wanted.add(new Wanted(kind, port, random)));
    begin(Stage.PCP, now);
  }

  /** When to call {@link #tick} next; never, once {@linkplain #release released}. */
  public long wakeAt() {
    return switch (stage) {
      case RESTING, SEARCHING -> stageAt;
      case PCP, NAT_PMP, UPNP -> wanted.stream().mapToLong(one -> one.nextAt).min().orElseThrow();
      case DESCRIBING, RELEASED -> Long.MAX_VALUE;
    };
  }

  /** Time passed. */
  public List<NatEffect> tick(long now) {
    switch (stage) {
      case PCP, NAT_PMP -> ask(now);
      case SEARCHING -> search(now);
      case UPNP -> renew(now);
      case RESTING -> {
        if (now >= stageAt) {
          begin(Stage.PCP, now);
          ask(now);
        }
      }
      case DESCRIBING, RELEASED -> {}
    }
    return drained();
  }

  private void begin(Stage next, long now) {
    stage = next;
    stageAt = now;
    searches = 0;
    epoch = -1;
    external = null;
    for (Wanted one : wanted) {
      one.mapping = null;
      one.tries = 0;
      one.conflicts = 0;
      one.nextAt = now;
    }
    tellChange();
  }

  private NatProtocol protocol() {
    return switch (stage) {
      case PCP -> NatProtocol.PCP;
      case NAT_PMP -> NatProtocol.NAT_PMP;
      case SEARCHING, DESCRIBING, UPNP, RESTING, RELEASED -> NatProtocol.UPNP;
    };
  }

  /** This protocol maps nothing here: the next one. */
  private void giveUp(String why, long now) {
    failures.put(protocol(), why);
    switch (stage) {
      case PCP -> {
        begin(Stage.NAT_PMP, now);
        ask(now);
      }
      case NAT_PMP -> {
        begin(Stage.SEARCHING, now);
        search(now);
      }
      case SEARCHING, DESCRIBING, UPNP -> {
        begin(Stage.RESTING, now);
        queue.clear();
        fetching = null;
        stageAt = now + AGAIN_MILLIS;
      }
      case RESTING, RELEASED -> {}
    }
  }

  // PCP and NAT-PMP.

  private void ask(long now) {
    for (Wanted one : wanted) {
      if (now < one.nextAt || (stage != Stage.PCP && stage != Stage.NAT_PMP)) {
        continue;
      }
      if (one.tries >= TRIES_MILLIS.length) {
        lost(one, now);
        continue;
      }
      boolean pcp = stage == Stage.PCP;
      if (!pcp && external == null) {
        send(GatewayAnswer.natPmpAddress());
      }
      send(
          pcp
              ? GatewayAnswer.pcpMap(
                  client, one.nonce, one.kind, one.port, one.suggested, LEASE_SECONDS)
              : GatewayAnswer.natPmpMap(one.kind, one.port, one.suggested, LEASE_SECONDS));
      one.nextAt = now + TRIES_MILLIS[one.tries++];
    }
  }

  private void lost(Wanted one, long now) {
    PortMapping mapping = one.mapping;
    if (mapping == null) {
      giveUp("no answer", now);
    } else if (now >= one.expiresAt) {
      begin(Stage.PCP, now);
      ask(now);
    } else {
      // The lease still runs: again after half of what is left of it.
      one.tries = 0;
      one.nextAt = now + Math.max(TRIES_MILLIS[0], (one.expiresAt - now) / 2);
    }
  }

  private void send(byte[] datagram) {
    effects.add(new NatEffect.Send(gateway, datagram));
  }

  /** A datagram came; what is not an answer of the gateway to what was asked is ignored. */
  public List<NatEffect> receive(InetSocketAddress from, byte[] datagram, long now) {
    if (stage == Stage.SEARCHING) {
      found(from, datagram, now);
    } else if (from.equals(gateway) && (stage == Stage.PCP || stage == Stage.NAT_PMP)) {
      answered(GatewayAnswer.decode(datagram), now);
    }
    return drained();
  }

  private void answered(GatewayAnswer answer, long now) {
    boolean pcp = stage == Stage.PCP;
    switch (answer) {
      case GatewayAnswer.Pcp map -> {
        Wanted one = pcp ? asked(map) : null;
        if (one != null) {
          if (map.result() != 0) {
            refused(one, map.result(), now);
          } else if (isEpochGood(map.epoch(), now)) {
            mapped(one, map.external(), map.externalPort(), map.lifetime(), now);
          }
        }
      }
      case GatewayAnswer.PcpFailure(int result) -> {
        if (pcp) {
          giveUp("result " + result, now);
        }
      }
      case GatewayAnswer.Address(int result, long at, InetAddress address) -> {
        if (pcp) {
          // A gateway of NAT-PMP answers so to a version it does not know.
          giveUp("the gateway speaks NAT-PMP", now);
        } else if (address == null) {
          giveUp("result " + result, now);
        } else if (isEpochGood(at, now)) {
          external = address;
        }
      }
      case GatewayAnswer.Mapped map -> {
        Wanted one = pcp ? null : asked(map);
        if (one != null) {
          if (map.result() != 0) {
            refused(one, map.result(), now);
          } else if (isEpochGood(map.epoch(), now) && external != null) {
            mapped(one, external, map.externalPort(), map.lifetime(), now);
          }
        }
      }
      case GatewayAnswer.Malformed ignored -> {}
    }
  }

  private @Nullable Wanted asked(GatewayAnswer.Pcp answer) {
    return wanted.stream()
        .filter(one -> Arrays.equals(one.nonce, answer.nonce()))
        .filter(one -> one.kind.protocol() == answer.protocol() && one.tries > 0)
        .filter(one -> one.port == answer.internalPort())
        .findFirst()
        .orElse(null);
  }

  private @Nullable Wanted asked(GatewayAnswer.Mapped answer) {
    return wanted.stream()
        .filter(one -> one.kind == answer.kind() && one.tries > 0)
        .filter(one -> one.port == answer.internalPort() || answer.result() != 0)
        .findFirst()
        .orElse(null);
  }

  private void refused(Wanted one, int result, long now) {
    if (one.mapping == null) {
      giveUp("result " + result, now);
    } else {
      begin(Stage.PCP, now);
      ask(now);
    }
  }

  /**
   * Whether the gateway's clock went on as ours did (RFC 6887 section 8.5). Where it did not, the
   * gateway has started anew and knows no mapping: all are asked for again.
   */
  private boolean isEpochGood(long now32, long now) {
    long before = epoch;
    long client = (now - epochAt) / 1_000;
    long server = now32 - before;
    epoch = now32;
    epochAt = now;
    boolean good =
        before < 0
            || (now32 >= before
                && client + EPOCH_SLACK_SECONDS >= server - server / 16
                && server + EPOCH_SLACK_SECONDS >= client - client / 16);
    if (!good) {
      for (Wanted one : wanted) {
        one.mapping = null;
        one.tries = 0;
        one.nextAt = now;
      }
      tellChange();
      ask(now);
    }
    return good;
  }

  private void mapped(Wanted one, InetAddress address, int port, long lifetime, long now) {
    if (port == 0 || lifetime <= 0 || AddressScope.of(address) == AddressScope.NONE) {
      giveUp("a mapping without an address, a port or a lifetime", now);
      return;
    }
    int lease = (int) Math.min(lifetime, MAX_LEASE_SECONDS);
    one.mapping = new PortMapping(one.kind, one.port, new InetSocketAddress(address, port), lease);
    one.suggested = port;
    one.tries = 0;
    one.expiresAt = now + lease * 1_000L;
    one.nextAt = now + lease * 500L;
    failures.remove(protocol());
    tellChange();
  }

  // UPnP.

  private void search(long now) {
    if (now < stageAt) {
      return;
    }
    if (searches >= TRIES_MILLIS.length) {
      giveUp("no answer", now);
      return;
    }
    Igd.searches().forEach(search -> effects.add(new NatEffect.Send(group, search)));
    stageAt = now + 2 * TRIES_MILLIS[searches++];
  }

  private void found(InetSocketAddress from, byte[] datagram, long now) {
    // Anybody on the network may answer; whoever is not the gateway cannot be one.
    URI at =
        from.getAddress().equals(gateway.getAddress())
            ? Igd.location(datagram, from.getAddress())
            : null;
    if (at != null) {
      description = at;
      stage = Stage.DESCRIBING;
      stageAt = now;
      fetch(new NatEffect.Fetch(at, "", ""));
    }
  }

  private void fetch(NatEffect.Fetch next) {
    if (fetching == null) {
      fetching = next;
      effects.add(next);
    } else {
      queue.addLast(next);
    }
  }

  /**
   * What came of {@link NatEffect.Fetch}.
   *
   * @param status of HTTP; 0 when there was no answer
   * @param body up to {@link Igd#MAX_BODY_CHARACTERS}
   */
  public List<NatEffect> fetched(int status, String body, long now) {
    NatEffect.Fetch done = fetching;
    fetching = null;
    if (done != null) {
      switch (stage) {
        case DESCRIBING -> described(status, body, now);
        case UPNP -> called(done, status, body, now);
        case PCP, NAT_PMP, SEARCHING, RESTING, RELEASED -> {}
      }
    }
    NatEffect.Fetch next = fetching == null ? queue.pollFirst() : null;
    if (next != null) {
      fetching = next;
      effects.add(next);
    }
    return drained();
  }

  private void described(int status, String body, long now) {
    URI at = description;
    Igd.Service found = status == 200 && at != null ? Igd.service(at, body) : null;
    if (found == null) {
      giveUp("the gateway's description, status " + status + ", has no service for it", now);
      return;
    }
    service = found;
    stage = Stage.UPNP;
    fetch(Igd.externalAddress(found));
    renew(now);
  }

  private void renew(long now) {
    Igd.Service to = service;
    for (Wanted one : wanted) {
      if (to != null && now >= one.nextAt) {
        fetch(Igd.add(to, one.kind, one.suggested, one.port, client, LEASE_SECONDS));
        // Until there is an answer.
        one.nextAt = Long.MAX_VALUE;
      }
    }
  }

  private void called(NatEffect.Fetch call, int status, String body, long now) {
    Igd.Service at = service;
    if (at == null) {
      return;
    }
    if (call.soapAction().endsWith("#GetExternalIPAddress\"")) {
      String text = Igd.element(body, "NewExternalIPAddress");
      try {
        external = status == 200 && text != null ? InetAddress.ofLiteral(text) : null;
      } catch (IllegalArgumentException e) {
        external = null;
      }
      if (external == null) {
        giveUp("the gateway has no external address", now);
      }
      return;
    }
    String kind = Igd.element(call.body(), "NewProtocol");
    Wanted one = wanted.stream().filter(w -> w.kind.name().equals(kind)).findFirst().orElseThrow();
    InetAddress address = external;
    int fault = Igd.fault(body);
    if (status == 200 && address != null) {
      mapped(one, address, one.suggested, LEASE_SECONDS, now);
    } else if (fault == Igd.CONFLICT && one.conflicts++ < MAX_CONFLICTS) {
      one.suggested = random.nextInt(LEAST_FREE_PORT, PORTS_END);
      one.nextAt = now;
      renew(now);
    } else {
      giveUp(
          fault == Igd.ONLY_PERMANENT
              ? "the gateway maps for ever only"
              : "status " + status + ", fault " + fault,
          now);
    }
  }

  // The end, and looking in.

  /** Gives every port back; afterwards this maps nothing. */
  public List<NatEffect> release() {
    Igd.Service at = service;
    for (Wanted one : wanted) {
      PortMapping mapping = one.mapping;
      if (mapping != null) {
        switch (stage) {
          case PCP -> send(GatewayAnswer.pcpMap(client, one.nonce, one.kind, one.port, 0, 0));
          case NAT_PMP -> send(GatewayAnswer.natPmpMap(one.kind, one.port, 0, 0));
          case UPNP -> {
            if (at != null) {
              effects.add(Igd.delete(at, one.kind, mapping.external().getPort()));
            }
          }
          case SEARCHING, DESCRIBING, RESTING, RELEASED -> {}
        }
      }
      one.mapping = null;
    }
    stage = Stage.RELEASED;
    queue.clear();
    fetching = null;
    return drained();
  }

  public NatStatus status() {
    List<PortMapping> mappings = mappings();
    return new NatStatus(mappings.isEmpty() ? null : protocol(), mappings, new EnumMap<>(failures));
  }

  private List<PortMapping> mappings() {
    var mappings = new ArrayList<PortMapping>();
    for (Wanted one : wanted) {
      if (one.mapping != null) {
        mappings.add(one.mapping);
      }
    }
    return List.copyOf(mappings);
  }

  private void tellChange() {
    List<PortMapping> now = mappings();
    if (!now.equals(told)) {
      told = now;
      effects.add(new NatEffect.Changed(now));
    }
  }

  private List<NatEffect> drained() {
    List<NatEffect> out = effects;
    effects = new ArrayList<>();
    return out;
  }
}
