@org.jspecify.annotations.NullMarked
package io.pluresdb.storage.present;
