/** A Noise Protocol Framework engine, revision 34, without any I/O. */
@NullMarked
package io.pluresdb.transport.noise;

import org.jspecify.annotations.NullMarked;
