package io.pluresdb.daemon.node;

import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.store.CrdtStore;
import io.pluresdb.crdt.store.DocumentReader;
import io.pluresdb.crdt.store.Edit;
import io.pluresdb.crdt.store.Storage.Table;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.crdt.store.Transaction;
import io.pluresdb.storage.file.DurableFiles;
import io.pluresdb.transport.identity.DeviceIdentity;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;

/**
 * Replaces a local database by the one an invite leads to, with the local documents in it.
 *
 * <p>The new database is made under a hidden name, filled while nothing of the other devices is in
 * it yet, so that documents both sides have count as edited concurrently, and then renamed. What a
 * crash leaves behind is undone by {@link #recover}: before the rename the old database stays.
 */
final class Joins {
  private static final String DRAFT = ".joining-";
  private static final String REPLACED = ".replaced-";
  private static final int EDITS_PER_TRANSACTION = 500;
  private static final int BYTES_PER_TRANSACTION = 256 << 10;
  private static final int TRANSACTIONS_IN_FLIGHT = 8;

  private final DataDirectory directory;
  private final DeviceIdentity device;
  private final Environment environment;
  private final List<String> prefixes;

  /** Joins for the documents that begin with one of {@code prefixes}, or all when there is none. */
  Joins(
      DataDirectory directory,
      DeviceIdentity device,
      Environment environment,
      List<String> prefixes) {
    this.prefixes = List.copyOf(prefixes);
    this.directory = directory;
    this.device = device;
    this.environment = environment;
  }

  /** Finishes or undoes what an end in the middle of a join left behind. */
  static void recover(DataDirectory directory) {
    try (var folders =
        Files.newDirectoryStream(directory.database(".").normalize(), ".{joining,replaced}-*")) {
      for (Path folder : folders) {
        String name = folder.getFileName().toString();
        if (name.startsWith(REPLACED)) {
          String original = name.substring(REPLACED.length());
          if (!Files.exists(directory.database(original))) {
            DurableFiles.move(folder, directory.database(original));
            continue;
          }
        } else {
          DataDirectory.deleteTree(directory.anchor(name));
        }
        DataDirectory.deleteTree(folder);
      }
    } catch (IOException e) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", "an unfinished join cannot be cleaned up: " + e, e);
    }
  }

  /**
   * Makes the draft of the joined database and carries the documents of {@code old} into it.
   *
   * @return number of documents carried over
   */
  long replace(String name, @Nullable LocalDatabase old, InviteUrl invite) {
    String draft = DRAFT + name;
    var hex = HexFormat.of();
    DataDirectory.deleteTree(directory.database(draft));
    DataDirectory.deleteTree(directory.anchor(draft));
    try {
      DurableFiles.makeFolders(directory.database(draft));
    } catch (IOException e) {
      throw new StorageException.Failed("cannot make " + directory.database(draft), e);
    }
    new DatabaseFile(
            DatabaseFile.FORMAT,
            hex.formatHex(invite.database()),
            DatabaseFile.Keys.first(hex.formatHex(invite.syncKey())),
            hex.formatHex(invite.founder()),
            invite.addresses(),
            List.of(),
            List.of(),
            new DatabaseFile.Credit(
                hex.formatHex(invite.inviter()),
                hex.formatHex(InviteUrl.inviteId(invite.secret())),
                hex.formatHex(InviteUrl.claim(invite.secret(), device.publicKey()))),
            prefixes.isEmpty() ? null : prefixes,
            null)
        .save(directory.databaseFile(draft), directory.vault());
    try (LocalDatabase joined =
        LocalDatabase.open(
            directory,
            draft,
            device,
            environment,
            1,
            null,
            session -> {},
            (session, message) -> {})) {
      if (old == null) {
        return 0;
      }
      // They are of this device, whatever others have.
      old.searches().definitions().forEach(joined.searches()::declare);
      return carry(old, joined);
    }
  }

  /** Puts every document of a database into another, with its typed fields. */
  static long carry(LocalDatabase from, LocalDatabase into) {
    CrdtStore to = into.store();
    long carried = 0;
    var edits = new ArrayList<Edit>();
    long bytes = 0;
    var inFlight = new ArrayDeque<CompletableFuture<CrdtStore.Receipt>>();
    try (var snapshot = from.replica().storage().snapshot();
        var rows = snapshot.scan(Table.STATE, new byte[0], null)) {
      while (rows.next()) {
        Edit.Put document = DocumentReader.again(snapshot, rows.key(), rows.value());
        if (document == null) {
          continue;
        }
        carried++;
        edits.add(document);
        bytes += document.bytes();
        if (edits.size() >= EDITS_PER_TRANSACTION || bytes >= BYTES_PER_TRANSACTION) {
          submit(to, edits, inFlight);
          bytes = 0;
        }
      }
    }
    submit(to, edits, inFlight);
    inFlight.forEach(CrdtStore::await);
    return carried;
  }

  private static void submit(
      CrdtStore to, List<Edit> edits, ArrayDeque<CompletableFuture<CrdtStore.Receipt>> inFlight) {
    if (edits.isEmpty()) {
      return;
    }
    inFlight.add(to.submit(new Transaction(edits, Transaction.Acknowledgement.LOCAL)));
    edits.clear();
    if (inFlight.size() >= TRANSACTIONS_IN_FLIGHT) {
      CrdtStore.await(inFlight.remove());
    }
  }

  /** Puts the draft in the place of the database and opens it; {@code old} is closed by now. */
  LocalDatabase switchOver(String name, Supplier<LocalDatabase> open) {
    Path current = directory.database(name);
    Path replaced = directory.database(REPLACED + name);
    try {
      DataDirectory.deleteTree(replaced);
      if (Files.exists(current)) {
        DurableFiles.move(current, replaced);
      }
      Files.move(
          directory.anchor(DRAFT + name),
          directory.anchor(name),
          StandardCopyOption.ATOMIC_MOVE,
          StandardCopyOption.REPLACE_EXISTING);
      DurableFiles.syncName(directory.anchor(name));
      DurableFiles.move(directory.database(DRAFT + name), current);
    } catch (IOException e) {
      throw new StorageException.Failed("the joined database cannot be put in place: " + e, e);
    }
    LocalDatabase opened = open.get();
    DataDirectory.deleteTree(replaced);
    return opened;
  }
}
