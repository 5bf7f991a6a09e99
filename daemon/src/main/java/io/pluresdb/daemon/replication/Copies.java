package io.pluresdb.daemon.replication;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.transport.identity.DeviceId;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;

/**
 * Tells when so many other devices have a write on their disks. Devices count that are connected
 * while it is waited, and that hold all documents of the database. Any thread.
 */
final class Copies {
  /** Most writes that are waited for; one more is refused with {@code CORE_OVERLOADED}. */
  static final int MAX_WAITING = 10_000;

  private final List<Waiting> waiting = new ArrayList<>(); // Guarded by this.
  private volatile boolean awaited;

  private record Waiting(
      long arrival, int copies, Set<DeviceId> devices, CompletableFuture<Integer> done) {
    boolean isOver() {
      if (devices.size() >= copies) {
        done.complete(devices.size());
      }
      return done.isDone();
    }
  }

  /** Whether anybody waits; looked at after {@link Replicator} noted how far a device is. */
  boolean isAwaited() {
    return awaited;
  }

  /**
   * Completes with the number of devices when at least {@code copies} have everything up to {@code
   * arrival}; who gives up cancels it, or completes it in another way.
   *
   * @throws CoreException {@code CORE_OVERLOADED}
   */
  CompletableFuture<Integer> await(long arrival, int copies) {
    var done = new CompletableFuture<Integer>();
    synchronized (this) {
      if (waiting.size() >= MAX_WAITING) {
        // Who gave up is only found here or when a device says how far it is.
        waiting.removeIf(Waiting::isOver);
      }
      if (waiting.size() >= MAX_WAITING) {
        throw new CoreException(
            CoreException.Kind.OVERLOADED,
            MAX_WAITING + " writes wait for other devices: try again when some of them have them");
      }
      waiting.add(new Waiting(arrival, copies, new HashSet<>(), done));
      awaited = true;
    }
    return done;
  }

  /** Notes how far devices have everything on their disks. */
  void reached(Map<DeviceId, Long> arrivals) {
    synchronized (this) {
      for (Iterator<Waiting> all = waiting.iterator(); all.hasNext(); ) {
        Waiting one = all.next();
        arrivals.forEach(
            (device, arrival) -> {
              if (arrival >= one.arrival) {
                one.devices.add(device);
              }
            });
        if (one.isOver()) {
          all.remove();
        }
      }
      awaited = !waiting.isEmpty();
    }
  }

  /** Nobody comes any more. */
  void close() {
    synchronized (this) {
      waiting.forEach(one -> one.done.cancel(false));
      waiting.clear();
      awaited = false;
    }
  }
}
