/**
 * The local interface of the daemon: HTTP over loopback TCP and a Unix socket, and the client for
 * it. {@link Api} knows the routes and nothing of sockets; {@link HttpServer} knows sockets and
 * nothing of documents.
 */
@NullMarked
package io.pluresdb.daemon.api;

import org.jspecify.annotations.NullMarked;
