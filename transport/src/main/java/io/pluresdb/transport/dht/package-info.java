/**
 * A node of the mainline DHT (BEP 5, 32, 42, 43) as state machines: no sockets, no clock, no
 * entropy of its own. Times are milliseconds of any clock that never goes back.
 */
@NullMarked
package io.pluresdb.transport.dht;

import org.jspecify.annotations.NullMarked;
