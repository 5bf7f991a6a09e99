/** The product's own benchmarks: whole processes, printed beside what the machine can do. */
@NullMarked
package io.pluresdb.harness.bench;

import org.jspecify.annotations.NullMarked;
