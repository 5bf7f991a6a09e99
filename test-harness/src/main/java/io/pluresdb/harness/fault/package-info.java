/** What can go wrong with a device, and defences that can be switched off. */
@NullMarked
package io.pluresdb.harness.fault;

import org.jspecify.annotations.NullMarked;
