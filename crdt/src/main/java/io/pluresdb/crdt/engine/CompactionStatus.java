package io.pluresdb.crdt.engine;

import io.pluresdb.crdt.compaction.CompactionSettings;
import io.pluresdb.crdt.compaction.StableCut;
import io.pluresdb.crdt.store.LogFloor;

/** Where the log of a replica begins, how far it could, and who holds that back. */
public record CompactionStatus(LogFloor floor, StableCut cut, CompactionSettings settings) {}
