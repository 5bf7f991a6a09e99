/**
 * The command line. Client commands load neither Netty nor logging; only {@code serve} and commands
 * without a running daemon open the node.
 */
@NullMarked
package io.pluresdb.daemon.cli;

import org.jspecify.annotations.NullMarked;
