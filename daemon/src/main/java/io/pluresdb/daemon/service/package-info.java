/** The daemon under a service manager. */
@org.jspecify.annotations.NullMarked
package io.pluresdb.daemon.service;
