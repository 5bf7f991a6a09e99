/** What must survive beside a database to notice that the database went back in time. */
@NullMarked
package io.pluresdb.storage.anchor;

import org.jspecify.annotations.NullMarked;
