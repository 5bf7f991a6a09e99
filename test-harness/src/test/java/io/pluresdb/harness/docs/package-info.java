/** The documentation, executed and compared with the code. */
@NullMarked
package io.pluresdb.harness.docs;

import org.jspecify.annotations.NullMarked;
