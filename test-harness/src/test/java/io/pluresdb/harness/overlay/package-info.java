/** The overlay at a few hundred devices, with controls that must fail. */
@NullMarked
package io.pluresdb.harness.overlay;

import org.jspecify.annotations.NullMarked;
