/** What a database is called on the network: sync key, database id, topic and hint. */
@NullMarked
package io.pluresdb.transport.topic;

import org.jspecify.annotations.NullMarked;
