/** Multi-value registers of one document, their merge and the view a reader gets. */
@NullMarked
package io.pluresdb.crdt.doc;

import org.jspecify.annotations.NullMarked;
