package io.pluresdb.storage.rocks;

import java.util.Locale;
import org.jspecify.annotations.Nullable;
import org.rocksdb.AbstractEventListener;
import org.rocksdb.BackgroundErrorReason;
import org.rocksdb.Status;

/**
 * What went wrong while RocksDB flushed and merged files on its own threads: nobody waits for that,
 * so nobody would hear of it before the next write is refused.
 */
final class BackgroundErrors extends AbstractEventListener {
  private @Nullable String newest; // Guarded by this, like the others.
  private int count;

  BackgroundErrors() {
    super(
        EnabledEventCallback.ON_BACKGROUND_ERROR, EnabledEventCallback.ON_ERROR_RECOVERY_COMPLETED);
  }

  @Override
  public synchronized void onBackgroundError(BackgroundErrorReason reason, Status status) {
    count++;
    String detail = status.getState();
    newest =
        reason.name().toLowerCase(Locale.ROOT)
            + " failed: "
            + status.getCodeString()
            + (detail == null || detail.isEmpty() ? "" : ", " + detail);
  }

  @Override
  public synchronized void onErrorRecoveryCompleted(Status overcome) {
    newest = null;
  }

  /** The newest that was not overcome, and how many there were; null for none. */
  synchronized @Nullable String newest() {
    return newest == null ? null : newest + " (" + count + " since the start)";
  }
}
