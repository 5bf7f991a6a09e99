package io.pluresdb.transport.relay;

import java.util.Locale;

/** What a relay has counted since it started. */
public enum RelayCounter {
  CONNECTIONS("connections accepted"),
  REQUESTS_REFUSED("requests answered with an error"),
  REFUSED_HALF_OPEN("connections closed unread: too many half-open of an address"),
  PUSHED_OUT_HALF_OPEN("half-open connections closed for newer ones: too many in all"),
  REFUSED_CONNECTIONS("connections closed unread: too many"),
  REFUSED_UNAUTHORIZED("requests without a token the relay knows, or with one that expired"),
  REFUSED_MALFORMED("requests that are no WebSocket request of this protocol"),
  REFUSED_CIRCUITS("circuits refused: too many in all"),
  REFUSED_CIRCUITS_PER_KEY("circuits refused: too many of a token"),
  REFUSED_CIRCUITS_PER_ADDRESS("circuits refused: too many of an address"),
  REFUSED_CONTROLS_PER_ADDRESS("control connections refused: too many of an address"),
  REFUSED_REGISTRATIONS("registrations refused: too many"),
  REFUSED_UNKNOWN_PEER("circuits refused: the peer is not here"),
  REQUEST_TIMEOUTS("connections closed: no whole request in time"),
  ACCEPT_TIMEOUTS("circuits that the peer did not accept in time"),
  IDLE_TIMEOUTS("circuits and connections closed: nothing arrived"),
  PROTOCOL_VIOLATIONS("connections closed: bytes against RFC 6455 or this protocol"),
  EXPIRED_TOKENS("circuits and connections closed: their token expired"),
  THROTTLED("times a sender was not read for a moment because of its rate"),
  CIRCUITS("circuits joined"),
  BYTES_FORWARDED("payload bytes forwarded through circuits"),
  ECHOES("devices told where their UDP port is seen"),
  ECHOES_LIMITED("questions for that not answered: too many");

  private final String meaning;

  RelayCounter(String meaning) {
    this.meaning = meaning;
  }

  /** For people. */
  public String meaning() {
    return meaning;
  }

  /** The name in Prometheus's text format. */
  public String metric() {
    return "pluresdb_relay_" + name().toLowerCase(Locale.ROOT) + "_total";
  }
}
