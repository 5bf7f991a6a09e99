/** Tests of membership. */
@NullMarked
package io.pluresdb.crdt.auth;

import org.jspecify.annotations.NullMarked;
