package io.pluresdb.transport.nat;

/** Of which kind a mapped port is. */
public enum PortKind {
  TCP(6),
  UDP(17);

  private final int protocol;

  PortKind(int protocol) {
    this.protocol = protocol;
  }

  /** The number of IANA. */
  int protocol() {
    return protocol;
  }
}
