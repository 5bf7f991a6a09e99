@NullMarked
package io.pluresdb.daemon.access;

import org.jspecify.annotations.NullMarked;
