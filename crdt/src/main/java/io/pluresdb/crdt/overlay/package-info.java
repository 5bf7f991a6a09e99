/**
 * Who is connected to whom and who pushes to whom when there are many devices: partial views and a
 * tree over them, as state machines.
 */
@NullMarked
package io.pluresdb.crdt.overlay;

import org.jspecify.annotations.NullMarked;
