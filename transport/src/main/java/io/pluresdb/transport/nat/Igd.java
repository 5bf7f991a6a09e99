package io.pluresdb.transport.nat;

import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * What UPnP's Internet Gateway Device hears and says: SSDP, a description and SOAP. Only what is
 * needed is read, by patterns: a gateway's XML is neither expanded nor resolved.
 */
final class Igd {
  /** Where devices are searched. */
  static final InetSocketAddress GROUP =
      new InetSocketAddress(InetAddress.ofLiteral("239.255.255.250"), 1900);

  /** Longest description or answer that is read. */
  static final int MAX_BODY_CHARACTERS = 64 << 10;

  /** The lease has to be permanent: we take none that outlives us. */
  static final int ONLY_PERMANENT = 725;

  /** The external port belongs to somebody else. */
  static final int CONFLICT = 718;

  private static final List<String> SEARCHED =
      List.of(
          "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
          "urn:schemas-upnp-org:device:InternetGatewayDevice:2");
  private static final Pattern SERVICE =
      Pattern.compile("<service>(.*?)</service>", Pattern.DOTALL | Pattern.CASE_INSENSITIVE);
  private static final Pattern CONNECTION =
      Pattern.compile("urn:schemas-upnp-org:service:WAN(IP|PPP)Connection:[12]");

  private Igd() {}

  /** A service that maps ports. */
  record Service(URI control, String type) {}

  /** What to send to {@link #GROUP}. */
  static List<byte[]> searches() {
    return SEARCHED.stream()
        .map(
            target ->
                ("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\n"
                        + "MX: 1\r\nST: "
                        + target
                        + "\r\n\r\n")
                    .getBytes(StandardCharsets.US_ASCII))
        .toList();
  }

  /**
   * Where an answer to a search says the description is; null where that is not plain HTTP at the
   * host that answered.
   */
  static @Nullable URI location(byte[] datagram, InetAddress from) {
    String text = new String(datagram, StandardCharsets.ISO_8859_1);
    if (!text.startsWith("HTTP/1.1 200")) {
      return null;
    }
    for (String line : text.split("\r\n", -1)) {
      if (line.toLowerCase(Locale.ROOT).startsWith("location:")) {
        return url(line.substring("location:".length()).strip(), from);
      }
    }
    return null;
  }

  private static @Nullable URI url(String text, InetAddress host) {
    try {
      URI url = URI.create(text);
      boolean there =
          "http".equals(url.getScheme())
              && url.getHost() != null
              && InetAddress.ofLiteral(url.getHost().replaceAll("[\\[\\]]", "")).equals(host);
      return there ? url : null;
    } catch (IllegalArgumentException e) {
      return null;
    }
  }

  /** The service of a description that maps ports; null where there is none at that host. */
  static @Nullable Service service(URI description, String body) {
    Matcher services = SERVICE.matcher(body);
    while (services.find()) {
      String type = element(services.group(1), "serviceType");
      String control = element(services.group(1), "controlURL");
      if (type != null && control != null && CONNECTION.matcher(type).matches()) {
        String base = element(body, "URLBase");
        try {
          URI resolved =
              (base == null || base.isBlank() ? description : URI.create(base)).resolve(control);
          URI checked =
              url(
                  resolved.toString(),
                  InetAddress.ofLiteral(description.getHost().replaceAll("[\\[\\]]", "")));
          if (checked != null) {
            return new Service(checked, type);
          }
        } catch (IllegalArgumentException e) {
          // Not a service that can be used; perhaps another one is.
        }
      }
    }
    return null;
  }

  /** The text of the first element of that name. */
  static @Nullable String element(String xml, String name) {
    Matcher found =
        Pattern.compile("<(?:\\w+:)?" + name + "(?:\\s[^>]*)?>([^<]*)</", Pattern.CASE_INSENSITIVE)
            .matcher(xml);
    return found.find() ? found.group(1).strip() : null;
  }

  /** The number of a fault, 0 where there is none. */
  static int fault(String body) {
    String code = element(body, "errorCode");
    try {
      return code == null ? 0 : Integer.parseInt(code);
    } catch (NumberFormatException e) {
      return -1;
    }
  }

  static NatEffect.Fetch externalAddress(Service service) {
    return call(service, "GetExternalIPAddress", "");
  }

  static NatEffect.Fetch add(
      Service service, PortKind kind, int external, int port, InetAddress client, int seconds) {
    return call(
        service,
        "AddPortMapping",
        target(kind, external)
            + argument("NewInternalPort", Integer.toString(port))
            + argument("NewInternalClient", client.getHostAddress())
            + argument("NewEnabled", "1")
            + argument("NewPortMappingDescription", "PluresDB")
            + argument("NewLeaseDuration", Integer.toString(seconds)));
  }

  static NatEffect.Fetch delete(Service service, PortKind kind, int external) {
    return call(service, "DeletePortMapping", target(kind, external));
  }

  private static String target(PortKind kind, int external) {
    return argument("NewRemoteHost", "")
        + argument("NewExternalPort", Integer.toString(external))
        + argument("NewProtocol", kind.name());
  }

  private static String argument(String name, String value) {
    return "<" + name + ">" + value + "</" + name + ">";
  }

  private static NatEffect.Fetch call(Service service, String action, String arguments) {
    String body =
        "<?xml version=\"1.0\"?>\r\n<s:Envelope"
            + " xmlns:s=\"http://schemas.xmlsoap.org/soap/envelope/\""
            + " s:encodingStyle=\"http://schemas.xmlsoap.org/soap/encoding/\"><s:Body><u:"
            + action
            + " xmlns:u=\""
            + service.type()
            + "\">"
            + arguments
            + "</u:"
            + action
            + "></s:Body></s:Envelope>\r\n";
    return new NatEffect.Fetch(
        service.control(), "\"" + service.type() + "#" + action + "\"", body);
  }
}
