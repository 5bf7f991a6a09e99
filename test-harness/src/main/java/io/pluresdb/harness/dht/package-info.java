/** A DHT of many nodes in virtual time: the product's own state machines, no sockets. */
@NullMarked
package io.pluresdb.harness.dht;

import org.jspecify.annotations.NullMarked;
