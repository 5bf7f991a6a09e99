package io.pluresdb.transport.lan;

import io.pluresdb.transport.topic.Hint;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import javax.jmdns.JmDNS;
import javax.jmdns.ServiceEvent;
import javax.jmdns.ServiceInfo;
import javax.jmdns.ServiceListener;
import org.jspecify.annotations.Nullable;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Announces and browses {@code _pluresdb._tcp.local.} (RFC 6763) through JmDNS.
 *
 * <p>TXT: {@code v=1}, {@code port}, {@code device} (the short form: eight hexadecimal digits, so a
 * device is recognised without its whole id being shouted), {@code h0}, {@code h1}, ... (hints in
 * hexadecimal, at most 32). Starting probes the network for seconds, so it has a thread of its own.
 */
final class DnsSd implements AutoCloseable {
  static final String SERVICE_TYPE = "_pluresdb._tcp.local.";

  private static final Logger log = LoggerFactory.getLogger(DnsSd.class);

  private final ContactFilter contacts;
  private final String device;
  private final @Nullable InetAddress address;
  private @Nullable JmDNS responder;
  private boolean closed;

  /**
   * @param address where to announce; null lets JmDNS choose
   */
  DnsSd(ContactFilter contacts, String device, @Nullable InetAddress address) {
    this.contacts = contacts;
    this.device = device;
    this.address = address;
  }

  /** Returns at once; announcing takes 3 to 4 seconds. */
  void start(int port, List<Hint> hints) {
    Thread.ofPlatform().daemon().name("pluresdb-dns-sd").start(() -> run(port, hints));
  }

  @Override
  public void close() {
    JmDNS running;
    synchronized (this) {
      closed = true;
      running = responder;
      responder = null;
    }
    if (running != null) {
      // Saying goodbye takes seconds.
      Thread.ofPlatform().daemon().name("pluresdb-dns-sd-close").start(() -> stop(running));
    }
  }

  static Map<String, String> text(String device, int port, List<Hint> hints) {
    Map<String, String> text = new TreeMap<>();
    text.put("v", "1");
    text.put("port", Integer.toString(port));
    text.put("device", device);
    for (int i = 0; i < Math.min(hints.size(), Beacon.MAX_HINTS); i++) {
      text.put("h" + i, hints.get(i).toString());
    }
    return text;
  }

  /** The hints of a TXT record; what is no hint is left out. */
  static List<Hint> hints(ServiceInfo found) {
    List<Hint> hints = new ArrayList<>();
    for (int i = 0; i < Beacon.MAX_HINTS; i++) {
      String hex = found.getPropertyString("h" + i);
      if (hex == null) {
        break;
      }
      try {
        hints.add(Hint.parse(hex));
      } catch (IllegalArgumentException e) {
        log.debug("DNS-SD hint ignored", e);
      }
    }
    return hints;
  }

  private void run(int port, List<Hint> hints) {
    try {
      JmDNS started = address == null ? JmDNS.create() : JmDNS.create(address);
      boolean late;
      synchronized (this) {
        late = closed;
        if (!late) {
          responder = started;
        }
      }
      if (late) {
        stop(started);
        return;
      }
      started.addServiceListener(SERVICE_TYPE, new Browser());
      started.registerService(
          ServiceInfo.create(
              SERVICE_TYPE, "pluresdb-" + device, port, 0, 0, text(device, port, hints)));
      log.info("announced by DNS-SD port={} databases={}", port, hints.size());
    } catch (IOException e) {
      log.warn("DNS-SD does not work here; the beacon goes on cause={}", e.toString());
    }
  }

  private static void stop(JmDNS running) {
    try {
      running.unregisterAllServices();
      running.close();
    } catch (IOException e) {
      log.debug("DNS-SD not closed", e);
    }
  }

  private final class Browser implements ServiceListener {
    @Override
    public void serviceAdded(ServiceEvent event) {
      event.getDNS().requestServiceInfo(event.getType(), event.getName());
    }

    @Override
    public void serviceRemoved(ServiceEvent event) {
      log.debug("DNS-SD service gone name={}", event.getName());
    }

    @Override
    public void serviceResolved(ServiceEvent event) {
      ServiceInfo found = event.getInfo();
      int port = found.getPort();
      if (device.equals(found.getPropertyString("device")) || port < 1 || port > 65535) {
        return;
      }
      List<Hint> hints = hints(found);
      for (InetAddress host : found.getInetAddresses()) {
        contacts.offer(new InetSocketAddress(host, port), hints);
      }
    }
  }
}
