package io.pluresdb.harness.check;

import io.pluresdb.crdt.store.Storage.Table;
import org.jspecify.annotations.Nullable;

/**
 * A row of a commit.
 *
 * @param value null when the row was deleted
 * @param before what a deleted row of the log was
 */
public record Written(Table table, byte[] key, byte @Nullable [] value, byte @Nullable [] before) {}
