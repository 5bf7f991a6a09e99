/** Seeded generators, shrinking and the loop that looks for a counterexample. */
@NullMarked
package io.pluresdb.crdt.property;

import org.jspecify.annotations.NullMarked;
