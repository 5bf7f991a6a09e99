/** The daemon as a process of its machine: service manager, signals, journal, an idle heap. */
@org.jspecify.annotations.NullMarked
package io.pluresdb.daemon.service;
