/** Networks with routers that translate addresses, made of Linux's network namespaces. */
@NullMarked
package io.pluresdb.harness.netns;

import org.jspecify.annotations.NullMarked;
