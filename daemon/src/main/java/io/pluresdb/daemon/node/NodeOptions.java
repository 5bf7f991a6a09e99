package io.pluresdb.daemon.node;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.crypto.EncryptionMetadata;
import io.pluresdb.storage.embedding.EmbedText;
import io.pluresdb.transport.dht.DhtNode;
import io.pluresdb.transport.lan.LanSettings;
import io.pluresdb.transport.relay.HttpProxy;
import io.pluresdb.transport.relay.RelayAccess;
import io.pluresdb.transport.relay.RelayUrl;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * How a node runs.
 *
 * @param deviceName what people call this device, 1 to {@link MembershipEntry#MAX_NAME_BYTES} bytes
 *     of UTF-8
 * @param network how to reach peers, or null for a node without a network
 * @param compaction how long changes stay in the log
 * @param secret asked once, and only where the data directory is encrypted
 * @param embeddings how embeddings of texts are made, or null not to make any
 */
public record NodeOptions(
    String deviceName,
    @Nullable Network network,
    CompactionSettings compaction,
    Secret secret,
    @Nullable Embeddings embeddings) {
  /**
   * How embeddings of texts are made.
   *
   * @param load loads what makes them, when it is first needed
   * @param fields dotted names of the fields whose text is embedded; empty for all
   */
  public record Embeddings(Supplier<EmbedText> load, List<String> fields) {}

  /** Who knows the password or key file of a data directory. */
  public interface Secret {
    /** Nobody does. */
    Secret NONE =
        metadata -> {
          throw new EncryptionException(
              "ENCRYPTION_SECRET_NEEDED",
              "the data directory is encrypted and no " + metadata.mode() + " was given",
              "say --password-file FILE or --key-file FILE");
        };

    /** The secret for what is said to be needed; may ask a person. */
    EncryptionConfig of(EncryptionMetadata metadata);
  }

  /**
   * How to reach peers.
   *
   * @param listen where to accept sessions, port 0 picks a free one; null to neither accept nor
   *     dial sessions but through relays, and then there is neither LAN nor DHT
   * @param lan how to look for peers on the local network, or null not to
   * @param staticPeers addresses that are always kept connected, for every database
   * @param dht how to take part in the DHT, or null to stay out of it
   * @param relays which relays to use
   * @param portMapping whether to have the router forward the ports of sessions and of the DHT;
   *     never on a loopback address
   * @param quic whether to speak QUIC on the UDP port, and so to get through NATs
   */
  public record Network(
      @Nullable InetSocketAddress listen,
      @Nullable LanSettings lan,
      List<InetSocketAddress> staticPeers,
      @Nullable Dht dht,
      Relays relays,
      boolean portMapping,
      boolean quic) {
    public Network {
      staticPeers = List.copyOf(staticPeers);
      if (listen == null && (lan != null || dht != null || !staticPeers.isEmpty())) {
        throw new IllegalArgumentException(
            "a node that uses relays only has no LAN, DHT or static peers");
      }
    }

    /** Without port mapping. */
    public Network(
        @Nullable InetSocketAddress listen,
        @Nullable LanSettings lan,
        List<InetSocketAddress> staticPeers,
        @Nullable Dht dht,
        Relays relays) {
      this(listen, lan, staticPeers, dht, relays, false, listen != null);
    }

    /** Without relays. */
    public Network(
        InetSocketAddress listen,
        @Nullable LanSettings lan,
        List<InetSocketAddress> staticPeers,
        @Nullable Dht dht) {
      this(listen, lan, staticPeers, dht, Relays.none());
    }

    /** Through relays only. */
    public Network(Relays relays) {
      this(null, null, List.of(), null, relays);
    }

    /** Without the DHT, on the local network as usual or not at all. */
    public Network(InetSocketAddress listen, boolean lan, List<InetSocketAddress> staticPeers) {
      this(listen, lan ? LanSettings.defaults() : null, staticPeers, null);
    }
  }

  /**
   * Which relays to use, and how to get there.
   *
   * @param urls at most {@link #MAX_RELAYS}; databases may name more
   * @param proxy through which, or null for what the environment says
   * @param environment variables of this process, for HTTPS_PROXY and NO_PROXY
   * @param authorities PEM file of certificates that are trusted besides the platform's, or null
   */
  public record Relays(
      List<RelayUrl> urls,
      @Nullable HttpProxy proxy,
      Map<String, String> environment,
      @Nullable Path authorities) {
    /** Most relays that can be configured. */
    public static final int MAX_RELAYS = 8;

    public Relays {
      urls = List.copyOf(urls);
      environment = Map.copyOf(environment);
      if (urls.size() > MAX_RELAYS) {
        throw new IllegalArgumentException(
            "peers.relays must have at most " + MAX_RELAYS + " relays, but has " + urls.size());
      }
    }

    /** No relay but those that databases name. */
    public static Relays none() {
      return new Relays(List.of(), null, Map.of(), null);
    }

    /** These, without a proxy. */
    public static Relays of(RelayUrl... urls) {
      return new Relays(List.of(urls), null, Map.of(), null);
    }

    RelayAccess access(RelayUrl url) {
      return new RelayAccess(
          url, proxy == null ? HttpProxy.ofEnvironment(environment, url) : proxy, authorities);
    }
  }

  /**
   * How to take part in the DHT.
   *
   * @param entryPoints nodes to enter at, at most 32; those not resolved are looked up by name. A
   *     node that listens on the loopback address uses loopback addresses only
   * @param announce whether to say where this device is, not only to look for others
   * @param readOnly whether to ask without answering others
   */
  public record Dht(List<InetSocketAddress> entryPoints, boolean announce, boolean readOnly) {
    public Dht {
      entryPoints = List.copyOf(entryPoints);
      if (entryPoints.size() > DhtNode.MAX_ENTRY_POINTS) {
        throw new IllegalArgumentException(
            "peers.dht-bootstrap must have at most "
                + DhtNode.MAX_ENTRY_POINTS
                + " addresses, but has "
                + entryPoints.size());
      }
    }
  }

  public NodeOptions {
    int bytes = deviceName.getBytes(StandardCharsets.UTF_8).length;
    if (bytes < 1 || bytes > MembershipEntry.MAX_NAME_BYTES) {
      throw new IllegalArgumentException(
          "device.name must be 1 to " + MembershipEntry.MAX_NAME_BYTES + " bytes, but is " + bytes);
    }
  }

  /** With {@link CompactionSettings#DEFAULT}, for a data directory that is not encrypted. */
  public NodeOptions(String deviceName, @Nullable Network network) {
    this(deviceName, network, CompactionSettings.DEFAULT, Secret.NONE, null);
  }

  /** A node that only serves its own documents. */
  public static NodeOptions offline(String deviceName) {
    return new NodeOptions(deviceName, null);
  }

  /** With something that makes embeddings. */
  public NodeOptions with(@Nullable Embeddings other) {
    return new NodeOptions(deviceName, network, compaction, secret, other);
  }

  /** With another secret. */
  public NodeOptions with(Secret other) {
    return new NodeOptions(deviceName, network, compaction, other, embeddings);
  }
}
