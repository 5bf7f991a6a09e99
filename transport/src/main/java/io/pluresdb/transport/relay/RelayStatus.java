package io.pluresdb.transport.relay;

/**
 * A relay as one of its clients sees it.
 *
 * @param connected whether the control connection is up
 * @param topics rendezvous this device is registered at
 * @param peers devices it may dial there
 * @param proxy through which, or empty
 * @param intercepted who issued the certificate that is trusted but not the pinned one: somebody
 *     reads along between here and the relay, though not what sessions carry. Empty when nobody
 *     does, or nothing is pinned
 * @param lastError why the newest attempt or connection ended, empty when it did not
 */
public record RelayStatus(
    RelayUrl url,
    boolean connected,
    int topics,
    int peers,
    String proxy,
    String intercepted,
    String lastError) {}
