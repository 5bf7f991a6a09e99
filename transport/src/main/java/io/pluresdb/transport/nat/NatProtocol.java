package io.pluresdb.transport.nat;

/** How a gateway is asked for a port, in the order they are tried. */
public enum NatProtocol {
  /** Port Control Protocol, RFC 6887. */
  PCP("PCP"),
  /** NAT Port Mapping Protocol, RFC 6886. */
  NAT_PMP("NAT-PMP"),
  /** Internet Gateway Device, versions 1 and 2, of the UPnP Forum. */
  UPNP("UPnP IGD");

  private final String title;

  NatProtocol(String title) {
    this.title = title;
  }

  @Override
  public String toString() {
    return title;
  }
}
