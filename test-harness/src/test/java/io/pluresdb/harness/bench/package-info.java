@org.jspecify.annotations.NullMarked
package io.pluresdb.harness.bench;
