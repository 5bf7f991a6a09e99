/** Hashes and key derivation shared by topics, identities and the Noise engine. */
@NullMarked
package io.pluresdb.transport.hash;

import org.jspecify.annotations.NullMarked;
