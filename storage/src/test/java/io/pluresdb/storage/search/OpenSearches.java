package io.pluresdb.storage.search;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.engine.ReplicaStore;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage;
import java.nio.file.Path;
import java.security.SecureRandom;
import java.time.InstantSource;
import org.jspecify.annotations.Nullable;

/** A replica in a storage, with its searches. */
final class OpenSearches implements AutoCloseable {
  private static final Signer SIGNER = new Signer(new byte[32]);

  final Storage storage;
  final ReplicaStore store;
  final SearchIndexes searches;

  OpenSearches(Storage storage, Path folder) {
    this(storage, folder, null);
  }

  OpenSearches(Storage storage, Path folder, SearchIndexes.@Nullable Embedding embedding) {
    this.storage = storage;
    var identity =
        new ReplicaIdentity(ReplicaIdentity.databaseHash("searches"), SIGNER.publicKey(), SIGNER);
    var environment = new Environment(InstantSource.system(), new SecureRandom());
    Replica replica = Replica.open(storage, identity, new MemoryAnchor(), environment);
    store =
        ReplicaStore.start(
            replica,
            environment,
            event -> {},
            failure -> {
              throw failure;
            });
    searches = SearchIndexes.open(storage, store, folder, embedding);
  }

  @Override
  public void close() {
    searches.close();
    store.close();
  }
}
