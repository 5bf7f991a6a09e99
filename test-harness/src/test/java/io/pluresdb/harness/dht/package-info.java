/** The dht at a few hundred devices, with controls that must fail. */
@NullMarked
package io.pluresdb.harness.dht;

import org.jspecify.annotations.NullMarked;
