/** Rules about packages that the compiler does not enforce. */
@NullMarked
package io.pluresdb.harness.rules;

import org.jspecify.annotations.NullMarked;
