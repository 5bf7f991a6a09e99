/** The bytes inside an encrypted session: frames, control frames and the message stream. */
@NullMarked
package io.pluresdb.transport.frame;

import org.jspecify.annotations.NullMarked;
