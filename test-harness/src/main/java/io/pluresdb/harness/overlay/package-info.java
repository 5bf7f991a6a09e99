/** Hundreds to ten thousand peers in virtual time: what the overlay costs and what it survives. */
@NullMarked
package io.pluresdb.harness.overlay;

import org.jspecify.annotations.NullMarked;
