/** Who may take part in a database: the signed membership log. */
@NullMarked
package io.pluresdb.crdt.auth;

import org.jspecify.annotations.NullMarked;
