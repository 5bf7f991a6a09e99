package io.pluresdb.storage.backup;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a backup holds and how it was when it was made: {@code manifest.json}, with its own hash
 * beside it in {@code manifest.sha256}. It holds no secret.
 *
 * @param format {@link #FORMAT}
 * @param database name of the database on the device that was backed up
 * @param databaseId of the database, 64 hex digits
 * @param createdMillis wall clock of that device, milliseconds since 1970
 * @param documents number of documents
 * @param arrivals length of the arrival log
 * @param frontier the version vector: newest change by actor, hex
 * @param stateHash fingerprint of all documents, hex
 * @param keys whether the keys of the database and of the device are in it
 * @param files all files but the manifest, by path, ascending
 */
public record BackupManifest(
    int format,
    String database,
    String databaseId,
    long createdMillis,
    long documents,
    long arrivals,
    SortedMap<String, Head> frontier,
    String stateHash,
    boolean keys,
    List<Entry> files) {
  /** The format this version writes; a greater one is refused. */
  public static final int FORMAT = 1;

  static final String FILE = "manifest.json";
  static final String HASH_FILE = "manifest.sha256";

  private static final int MAX_BYTES = 64 << 20;

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  /**
   * The newest change of an actor.
   *
   * @param hash hex
   */
  public record Head(long seq, String hash) {}

  /**
   * A file of the backup.
   *
   * @param path relative, with slashes
   * @param sha256 hex of what it holds
   */
  public record Entry(String path, long bytes, String sha256) {}

  public BackupManifest {
    frontier = java.util.Collections.unmodifiableSortedMap(new TreeMap<>(frontier));
    files = List.copyOf(files);
  }

  /** Bytes of all files. */
  public long bytes() {
    return files.stream().mapToLong(Entry::bytes).sum();
  }

  void save(Path backup) {
    try {
      byte[] json = JSON.writeValueAsBytes(this);
      BackupFiles.write(backup.resolve(FILE), json);
      String line = BackupFiles.sha256(json) + "  " + FILE + "\n";
      BackupFiles.write(backup.resolve(HASH_FILE), line.getBytes(StandardCharsets.US_ASCII));
    } catch (JacksonException e) {
      throw new IllegalStateException("a record of texts and numbers has a JSON form", e);
    }
  }

  /**
   * Reads the manifest of a backup.
   *
   * @throws BackupException {@code BACKUP_NOT_FOUND} where there is none, {@code BACKUP_DAMAGED},
   *     {@code BACKUP_NEWER_FORMAT}
   */
  static BackupManifest load(Path backup) {
    byte[] json;
    String said;
    try {
      if (Files.size(backup.resolve(FILE)) > MAX_BYTES) {
        throw BackupException.damaged(FILE, "has more than " + MAX_BYTES + " bytes");
      }
      json = Files.readAllBytes(backup.resolve(FILE));
    } catch (NoSuchFileException e) {
      throw new BackupException(
          "BACKUP_NOT_FOUND",
          backup + " is no backup: it has no " + FILE,
          "name the folder that `pluresdb backup` made");
    } catch (IOException e) {
      throw BackupException.failed(backup.resolve(FILE), e);
    }
    try {
      said = Files.readString(backup.resolve(HASH_FILE), StandardCharsets.ISO_8859_1);
    } catch (NoSuchFileException e) {
      throw BackupException.damaged(HASH_FILE, "is missing");
    } catch (IOException e) {
      throw BackupException.failed(backup.resolve(HASH_FILE), e);
    }
    if (!said.equals(BackupFiles.sha256(json) + "  " + FILE + "\n")) {
      throw BackupException.damaged(FILE, "is not what " + HASH_FILE + " says");
    }
    try {
      int format = JSON.readTree(json).path("format").asInt();
      if (format != FORMAT) {
        throw new BackupException(
            "BACKUP_NEWER_FORMAT",
            backup + " has format " + format + ", but this version reads up to " + FORMAT,
            "install a newer PluresDB");
      }
      return JSON.readValue(json, BackupManifest.class);
    } catch (IOException e) {
      throw BackupException.damaged(FILE, "cannot be read: " + e.getMessage());
    }
  }
}
