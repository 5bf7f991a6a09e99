package io.pluresdb.crdt.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.store.MemoryStorage.Fault;
import io.pluresdb.crdt.store.Storage.Durability;
import io.pluresdb.crdt.store.Storage.Table;
import org.junit.jupiter.api.Test;

class MemoryStorageTest extends StorageContract {
  private static final byte[] KEY = {1};

  @Override
  protected Storage open() {
    return new MemoryStorage();
  }

  @Test
  void crash_afterBufferedCommits_losesThemAll() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.SYNCED);
    put(storage, 2, Durability.BUFFERED);
    delete(storage, Durability.BUFFERED);
    assertThat(storage.unsyncedCommits()).isEqualTo(2);
    MemoryStorage disk = storage.crash();
    assertThat(disk.get(Table.STATE, KEY)).containsExactly(1);
    assertThat(disk.unsyncedCommits()).isZero();
    assertThatThrownBy(() -> storage.get(Table.STATE, KEY))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void crash_withSurvivors_keepsThatPrefix() {
    for (int survivors = 0; survivors <= 3; survivors++) {
      MemoryStorage storage = new MemoryStorage();
      put(storage, 1, Durability.SYNCED);
      put(storage, 2, Durability.BUFFERED);
      delete(storage, Durability.BUFFERED);
      put(storage, 4, Durability.BUFFERED);
      byte[] value = storage.crash(survivors).get(Table.STATE, KEY);
      byte[][] expected = {{1}, {2}, null, {4}};
      assertThat(value).as("%d survivors", survivors).isEqualTo(expected[survivors]);
    }
  }

  @Test
  void crash_withMoreSurvivorsThanCommits_isRefused() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.BUFFERED);
    assertThatThrownBy(() -> storage.crash(2))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("survivors must be 0 to 1, but is 2");
  }

  @Test
  void syncedCommit_afterBuffered_makesBothDurable() {
    MemoryStorage storage = new MemoryStorage();
    try (var batch = storage.newBatch()) {
      batch.put(Table.LOG, KEY, KEY);
      storage.commit(batch, Durability.BUFFERED);
    }
    put(storage, 2, Durability.SYNCED);
    MemoryStorage disk = storage.crash();
    assertThat(disk.get(Table.LOG, KEY)).isEqualTo(KEY);
    assertThat(disk.get(Table.STATE, KEY)).containsExactly(2);
  }

  @Test
  void sync_afterBuffered_makesItDurable() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.BUFFERED);
    storage.sync();
    assertThat(storage.crash().get(Table.STATE, KEY)).containsExactly(1);
  }

  @Test
  void crash_afterClose_stillYieldsTheDisk() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.SYNCED);
    storage.close();
    assertThat(storage.crash().get(Table.STATE, KEY)).containsExactly(1);
  }

  @Test
  void copy_andOriginal_goTheirOwnWays() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.BUFFERED);
    MemoryStorage backup = storage.copy();
    put(storage, 2, Durability.BUFFERED);
    put(backup, 3, Durability.BUFFERED);
    assertThat(storage.get(Table.STATE, KEY)).containsExactly(2);
    assertThat(backup.get(Table.STATE, KEY)).containsExactly(3);
    assertThat(backup.crash().get(Table.STATE, KEY))
        .as("the backup was on disk")
        .containsExactly(1);
  }

  @Test
  void full_onCommit_writesNothingAndPasses() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.SYNCED);
    storage.failNextCommit(Fault.FULL);
    assertThatThrownBy(() -> put(storage, 2, Durability.SYNCED))
        .isInstanceOf(StorageException.Full.class);
    assertThat(storage.get(Table.STATE, KEY)).containsExactly(1);
    assertThat(storage.unsyncedCommits()).isZero();
    put(storage, 3, Durability.SYNCED);
    assertThat(storage.get(Table.STATE, KEY)).containsExactly(3);
  }

  @Test
  void failed_onCommit_isSticky() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.SYNCED);
    storage.failNextCommit(Fault.FAILED);
    for (int i = 0; i < 3; i++) {
      assertThatThrownBy(() -> put(storage, 2, Durability.SYNCED))
          .isInstanceOf(StorageException.Failed.class);
    }
    assertThatThrownBy(storage::sync).isInstanceOf(StorageException.Failed.class);
    assertThat(storage.get(Table.STATE, KEY)).as("reads go on").containsExactly(1);
    assertThat(storage.crash(storage.unsyncedCommits()).get(Table.STATE, KEY)).containsExactly(1);
  }

  @Test
  void failedSync_ofACommit_isUnseenButMaySurviveACrash() {
    for (int survivors = 0; survivors <= 1; survivors++) {
      MemoryStorage storage = new MemoryStorage();
      put(storage, 1, Durability.SYNCED);
      storage.failNextSync(Fault.SYNC_FAILED);
      assertThatThrownBy(() -> put(storage, 2, Durability.SYNCED))
          .isInstanceOf(StorageException.Failed.class);
      assertThat(storage.get(Table.STATE, KEY)).containsExactly(1);
      assertThat(storage.copy().get(Table.STATE, KEY)).containsExactly(1);
      assertThat(storage.crash(survivors).get(Table.STATE, KEY)).containsExactly(1 + survivors);
    }
  }

  @Test
  void failedSync_leavesBufferedCommitsUnsynced() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.BUFFERED);
    storage.failNextSync(Fault.FAILED);
    assertThatThrownBy(storage::sync).isInstanceOf(StorageException.Failed.class);
    assertThat(storage.crash().get(Table.STATE, KEY)).isNull();
  }

  @Test
  void versions_withoutSnapshots_stayOnePerKey() {
    MemoryStorage storage = new MemoryStorage();
    for (int i = 0; i < 100; i++) {
      put(storage, i, Durability.SYNCED);
    }
    assertThat(storage.versions()).isEqualTo(1);
    delete(storage, Durability.SYNCED);
    assertThat(storage.versions()).isZero();
  }

  @Test
  void versions_underASnapshot_areFreedByTheCommitAfterItsClose() {
    MemoryStorage storage = new MemoryStorage();
    put(storage, 1, Durability.SYNCED);
    try (var snapshot = storage.snapshot()) {
      for (int i = 2; i < 50; i++) {
        put(storage, i, Durability.SYNCED);
      }
      assertThat(snapshot.get(Table.STATE, KEY)).containsExactly(1);
      assertThat(storage.versions()).isGreaterThan(1);
    }
    storage.sync();
    assertThat(storage.versions()).isEqualTo(1);
  }

  private static void put(MemoryStorage storage, int value, Durability durability) {
    try (var batch = storage.newBatch()) {
      batch.put(Table.STATE, KEY, new byte[] {(byte) value});
      storage.commit(batch, durability);
    }
  }

  private static void delete(MemoryStorage storage, Durability durability) {
    try (var batch = storage.newBatch()) {
      batch.delete(Table.STATE, KEY);
      storage.commit(batch, durability);
    }
  }
}
