package io.pluresdb.daemon.node;

import io.pluresdb.storage.crypto.EncryptedStorage.Reencryption;
import io.pluresdb.storage.crypto.KeyVault;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.Map;
import java.util.concurrent.Executor;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.BooleanSupplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Seals every database of a data directory with a new data key, while they are read and written.
 * The old key is kept until nothing needs it, so an end at any moment loses nothing, and the next
 * start goes on.
 */
final class ReencryptionJob {
  private static final Logger log = LoggerFactory.getLogger(ReencryptionJob.class);

  private final DataDirectory directory;
  private final Map<String, LocalDatabase> databases;
  private final BooleanSupplier stopping;
  private final AtomicBoolean running = new AtomicBoolean();
  private final AtomicLong rows = new AtomicLong();
  private volatile String failure = "";

  ReencryptionJob(
      DataDirectory directory, Map<String, LocalDatabase> databases, BooleanSupplier stopping) {
    this.directory = directory;
    this.databases = databases;
    this.stopping = stopping;
  }

  boolean isRunning() {
    return running.get();
  }

  /** Rows sealed anew since this process started. */
  long rows() {
    return rows.get();
  }

  /** Why it stopped; empty when it did not. */
  String failure() {
    return failure;
  }

  /** Goes on with what an earlier process began. */
  void resume(Executor background) {
    KeyVault vault = directory.vault();
    if (vault != null && vault.isReencrypting()) {
      start(vault, background);
    }
  }

  /** Makes a new key unless one is being taken into use already. */
  void begin(KeyVault vault, Executor background) {
    vault.beginReencryption();
    start(vault, background);
  }

  private void start(KeyVault vault, Executor background) {
    if (running.compareAndSet(false, true)) {
      failure = "";
      background.execute(
          () -> {
            try {
              run(vault);
            } catch (RuntimeException e) {
              failure = String.valueOf(e.getMessage());
              if (!stopping.getAsBoolean()) {
                log.warn("re-encryption stopped, a restart goes on cause={}", failure);
              }
            } finally {
              running.set(false);
            }
          });
    }
  }

  private void run(KeyVault vault) {
    // Each once at least: an earlier run may have ended after the last row and before the rest.
    var finished = new HashSet<LocalDatabase>();
    boolean clean = false;
    // A database may come from a join that was begun with the old key: until a round finds nothing.
    while (!clean || !finished.containsAll(databases.values())) {
      clean = true;
      for (LocalDatabase database : databases.values()) {
        long sealed = seal(database);
        if (stopping.getAsBoolean()) {
          return;
        }
        if (finished.add(database) || sealed > 0) {
          database.resealFile();
          // What was sealed with the old key leaves the disk too.
          database.compact();
        }
        clean &= sealed == 0;
      }
    }
    if (stopping.getAsBoolean()) {
      return;
    }
    var closed = new ArrayList<>(directory.databases());
    closed.removeAll(databases.keySet());
    if (!closed.isEmpty()) {
      throw new IllegalStateException(closed + " are not open, the old key is kept until later");
    }
    if (directory.isJoining()) {
      throw new IllegalStateException("a join is under way, the old key is kept until later");
    }
    vault.dropOldKeys();
    log.info("everything is sealed with a new key rows={}", rows.get());
  }

  /** Seals one database; the number of rows that were not. */
  private long seal(LocalDatabase database) {
    Reencryption pass = database.reencryption();
    if (pass == null) {
      return 0;
    }
    long before = rows.get();
    while (!stopping.getAsBoolean() && pass.step()) {
      rows.set(before + pass.rows());
    }
    rows.set(before + pass.rows());
    return pass.rows();
  }
}
