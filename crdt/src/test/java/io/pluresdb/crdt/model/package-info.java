/**
 * A second, deliberately naive statement of what replicas do, and random histories that are played
 * to it and to the product.
 */
@NullMarked
package io.pluresdb.crdt.model;

import org.jspecify.annotations.NullMarked;
