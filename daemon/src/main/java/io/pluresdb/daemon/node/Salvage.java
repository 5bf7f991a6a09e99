package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.store.Anchor;
import io.pluresdb.crdt.store.Finding;
import io.pluresdb.crdt.store.Inspection;
import io.pluresdb.crdt.store.MemoryAnchor;
import io.pluresdb.crdt.store.Replica;
import io.pluresdb.crdt.store.ReplicaIdentity;
import io.pluresdb.crdt.store.Storage;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.storage.anchor.AnchorFile;
import io.pluresdb.storage.backup.BackupFiles;
import io.pluresdb.storage.file.DurableFiles;
import io.pluresdb.storage.rocks.RocksOptions.WalRecovery;
import io.pluresdb.storage.rocks.WriteAheadLog;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Keeps what precedes the damage in the write-ahead log of a database.
 *
 * <p>It works on a copy, which takes the place of the store when it opens and everything in it fits
 * together; the store is kept beside it as it is. The copy has no actor: the device goes on under a
 * new one, since others may have changes of the old one that are lost here, and send them back.
 *
 * <pre>
 * databases/.salvaging-NAME/store     the copy being made; undone or finished at the next start
 * databases/.salvaging-NAME/complete  it is to take its place
 * databases/NAME/damaged-TIME         the store as it was found
 * </pre>
 */
public final class Salvage {
  private static final String DRAFT = ".salvaging-";
  private static final String STORE = "store";
  private static final String COMPLETE = "complete";
  private static final DateTimeFormatter TIME =
      DateTimeFormatter.ofPattern("yyyyMMdd'T'HHmmss'Z'").withZone(ZoneOffset.UTC);

  /**
   * What a salvage found and did.
   *
   * @param report of the log as it was found
   * @param kept changes that are in the database now
   * @param lost changes that were in the log and are not, at least
   * @param ownLost of those, changes of this device that others may have
   * @param aside where the damaged store is; null when nothing needed to be done
   */
  public record Outcome(
      WriteAheadLog.Report report, long kept, long lost, long ownLost, @Nullable Path aside) {}

  private final DataDirectory directory;
  private final ReplicaIdentity identity;
  private final Environment environment;
  private final String name;

  Salvage(DataDirectory directory, ReplicaIdentity identity, Environment environment, String name) {
    this.directory = directory;
    this.identity = identity;
    this.environment = environment;
    this.name = name;
  }

  /** Finishes or undoes what an end in the middle left behind. */
  static void finish(DataDirectory directory) {
    try (var drafts = Files.newDirectoryStream(directory.database(".").normalize(), DRAFT + "*")) {
      for (Path draft : drafts) {
        if (Files.exists(draft.resolve(COMPLETE))) {
          String called = String.valueOf(draft.getFileName()).substring(DRAFT.length());
          switchOver(directory, called, Files.readString(draft.resolve(COMPLETE)).strip());
        } else {
          DataDirectory.deleteTree(draft);
        }
      }
    } catch (IOException e) {
      throw new StorageException.Failed("an unfinished salvage cannot be finished: " + e, e);
    }
  }

  /**
   * Salvages where the log is damaged.
   *
   * @throws NodeException {@code NODE_NOT_SALVAGED} when what precedes the damage does not fit
   *     together either; nothing has changed then
   */
  Outcome run() {
    Path store = directory.store(name);
    WriteAheadLog.Report report = WriteAheadLog.inspect(store);
    WriteAheadLog.Damage damage = report.damage();
    if (damage == null || !damage.isHarmful()) {
      return new Outcome(report, 0, 0, 0, null);
    }
    Path draft = directory.database(DRAFT + name);
    DataDirectory.deleteTree(draft);
    try {
      DurableFiles.makePrivateFolders(draft);
      BackupFiles.copyFolder(store, draft, STORE);
      Outcome outcome = open(draft.resolve(STORE), report);
      String aside = "damaged-" + TIME.format(environment.wallClock().instant());
      DataDirectory.writeAtomically(
          draft.resolve(COMPLETE), aside.getBytes(StandardCharsets.US_ASCII));
      switchOver(directory, name, aside);
      return new Outcome(
          report,
          outcome.kept,
          outcome.lost,
          outcome.ownLost,
          directory.database(name).resolve(aside));
    } catch (IOException e) {
      throw new StorageException.Failed("the store cannot be salvaged: " + e, e);
    } finally {
      if (!Files.exists(draft.resolve(COMPLETE))) {
        DataDirectory.deleteTree(draft);
      }
    }
  }

  /** Opens the copy with what precedes the damage, and looks whether it fits together. */
  private Outcome open(Path copy, WriteAheadLog.Report report) {
    long kept;
    long lost;
    long ownLost;
    try (var store =
        LocalDatabase.openStore(directory, copy, environment, WalRecovery.KEEP_PREFIX)) {
      byte[] behind = store.rocks().greatestKeyBehind(report, Storage.Table.ARRIVAL);
      // Without an anchor that agrees, the copy loses its actor.
      var replica = Replica.open(store.sealed(), identity, new MemoryAnchor(), environment);
      kept = replica.view().arrivals();
      long newest = behind == null ? kept : ByteBuffer.wrap(behind).getLong();
      ownLost = ownLost(replica);
      lost = Math.max(ownLost, newest - kept);
      List<Finding> wrong =
          Inspection.of(replica).stream()
              .filter(finding -> finding.status() == Finding.Status.ERROR)
              .toList();
      if (!wrong.isEmpty()) {
        throw new NodeException(
            "NODE_NOT_SALVAGED",
            "what precedes the damage is damaged too: " + wrong.getFirst().message(),
            "restore a backup, or start over with an empty data directory and join again");
      }
    }
    // What an ordinary start will see.
    LocalDatabase.openStore(directory, copy, environment, WalRecovery.REFUSE_DAMAGE).close();
    return new Outcome(report, kept, Math.max(0, lost), ownLost, null);
  }

  /** Own changes that the anchor knows of and the replica has not. */
  private long ownLost(Replica replica) {
    try (AnchorFile anchor = AnchorFile.open(directory.anchor(name))) {
      return anchor.read() instanceof Anchor.Reading.Valid(var mark)
          ? Math.max(0, mark.seq() - replica.view().frontier().seq(mark.actor()))
          : 0;
    }
  }

  /** Puts the damaged store aside and the copy in its place; may be done again from any step. */
  private static void switchOver(DataDirectory directory, String name, String aside)
      throws IOException {
    Path draft = directory.database(DRAFT + name);
    Path copy = draft.resolve(STORE);
    Path damaged = directory.database(name).resolve(aside);
    if (Files.exists(copy)) {
      if (!Files.exists(damaged)) {
        DurableFiles.move(directory.store(name), damaged);
      }
      DataDirectory.deleteTree(directory.indexes(name));
      DurableFiles.move(copy, directory.store(name));
    }
    DataDirectory.deleteTree(draft);
  }
}
