/** What must hold whatever goes wrong. */
@NullMarked
package io.pluresdb.harness.check;

import org.jspecify.annotations.NullMarked;
