package io.pluresdb.daemon.node;

import io.pluresdb.crdt.auth.MembershipEntry;
import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.storage.crypto.EncryptionConfig;
import io.pluresdb.storage.crypto.EncryptionException;
import io.pluresdb.storage.crypto.EncryptionMetadata;
import io.pluresdb.transport.dht.DhtNode;
import io.pluresdb.transport.lan.LanSettings;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * How a node runs.
 *
 * @param deviceName what people call this device, 1 to {@link MembershipEntry#MAX_NAME_BYTES} bytes
 *     of UTF-8
 * @param network how to reach peers, or null for a node without a network
 * @param compaction how long changes stay in the log
 * @param secret asked once, and only where the data directory is encrypted
 */
public record NodeOptions(
    String deviceName, @Nullable Network network, CompactionSettings compaction, Secret secret) {
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
   * @param listen where to accept sessions; port 0 picks a free one
   * @param lan how to look for peers on the local network, or null not to
   * @param staticPeers addresses that are always kept connected, for every database
   * @param dht how to take part in the DHT, or null to stay out of it
   */
  public record Network(
      InetSocketAddress listen,
      @Nullable LanSettings lan,
      List<InetSocketAddress> staticPeers,
      @Nullable Dht dht) {
    public Network {
      staticPeers = List.copyOf(staticPeers);
    }

    /** Without the DHT, on the local network as usual or not at all. */
    public Network(InetSocketAddress listen, boolean lan, List<InetSocketAddress> staticPeers) {
      this(listen, lan ? LanSettings.defaults() : null, staticPeers, null);
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
    this(deviceName, network, CompactionSettings.DEFAULT, Secret.NONE);
  }

  /** A node that only serves its own documents. */
  public static NodeOptions offline(String deviceName) {
    return new NodeOptions(deviceName, null);
  }

  /** With another secret. */
  public NodeOptions with(Secret other) {
    return new NodeOptions(deviceName, network, compaction, other);
  }
}
