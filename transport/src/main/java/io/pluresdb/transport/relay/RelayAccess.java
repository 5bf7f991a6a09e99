package io.pluresdb.transport.relay;

import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How a client gets to one relay.
 *
 * @param proxy through which, or null
 * @param authorities PEM file of certificates that are trusted besides the platform's, or null
 */
public record RelayAccess(RelayUrl url, @Nullable HttpProxy proxy, @Nullable Path authorities) {}
