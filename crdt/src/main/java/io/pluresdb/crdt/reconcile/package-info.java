/**
 * Finding what differs between two replicas: by key range over fingerprints of documents, by coded
 * symbols over frontiers. State machines without sockets, clock or threads.
 */
@NullMarked
package io.pluresdb.crdt.reconcile;

import org.jspecify.annotations.NullMarked;
