@org.jspecify.annotations.NullMarked
package io.pluresdb.daemon.query;
