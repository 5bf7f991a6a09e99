package io.pluresdb.crdt.store;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.doc.Contest;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.op.ChangeRun;
import io.pluresdb.crdt.value.Path;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.function.Predicate;
import org.jspecify.annotations.Nullable;

/**
 * A database on this device, as applications use it: safe from any thread.
 *
 * <p>Writes queue for the replica loop, which commits all that has queued in one batch; reads take
 * a snapshot and never wait for a write.
 */
public interface CrdtStore extends AutoCloseable {
  /** Most writes that may wait at once; one more is refused with {@code CORE_OVERLOADED}. */
  int MAX_QUEUED = 16_384;

  /**
   * Most bytes of writes that may wait at once, as {@link Transaction#bytes} counts them; one more
   * is refused with {@code CORE_OVERLOADED}, unless nothing else waits.
   */
  long MAX_QUEUED_BYTES = 32L << 20;

  /**
   * A write that was acknowledged.
   *
   * @param actor who wrote: this device's current actor
   * @param seq the number of the change
   * @param arrival its place in the arrival log
   */
  record Receipt(ActorId actor, long seq, long arrival) {}

  /**
   * Where a store stands.
   *
   * @param documents number of documents that exist
   * @param frontier its operations; equal frontiers mean equal operation sets
   * @param stateHash equal hashes mean equal documents
   * @param arrivals length of the arrival log, as far as {@link #events} goes
   * @param pending changes that wait for others
   * @param bytesOnDisk of the storage
   */
  record Status(
      long documents,
      Frontier frontier,
      Hash stateHash,
      long arrivals,
      int pending,
      long bytesOnDisk) {}

  /**
   * A change to one document, in the order of arrival on this device.
   *
   * @param arrival its change's place in the arrival log, from 1; several events share it when the
   *     change touched several documents
   * @param document the document as it is now, or null when it does not exist (any more)
   */
  record Event(long arrival, String id, @Nullable NodeRecord document) {}

  /**
   * Events after a place in the arrival log.
   *
   * @param events oldest first; each document is read when its event is looked at
   * @param next hand this to the next call; equals the argument when there was nothing
   * @param truncated changes after that place have left the log: documents may have changed that no
   *     event tells of
   */
  record Events(List<Event> events, long next, boolean truncated) {}

  /**
   * A hit of {@link #vectorSearch}.
   *
   * @param score max(0, cosine), in [0, 1]
   */
  record Hit(NodeRecord document, double score) {}

  /**
   * Hands a transaction to the replica loop.
   *
   * <p>The future fails with {@link CoreException} ({@code CORE_NODE_NOT_FOUND} for a patch, delete
   * or increment of what does not exist, {@code CORE_LIMIT_EXCEEDED} for a change over its limit)
   * or {@link StorageException}; nothing of the transaction happened then.
   */
  CompletableFuture<Receipt> submit(Transaction transaction);

  /**
   * What a document must be like for a transaction.
   *
   * @param expected runs on the replica loop: it must return soon; what it throws, a {@link
   *     CoreException}, is what the transaction fails with
   */
  record Condition(String id, Predicate<Optional<NodeRecord>> expected) {}

  /**
   * As {@link #submit}, if every document is as expected when the transaction's turn has come: no
   * other write of this device comes between. Fails with {@code CORE_PRECONDITION_FAILED}
   * otherwise, naming the first that is not. What other devices write at the same time is merged as
   * ever.
   *
   * @param conditions at most {@link ChangeBody#MAX_EDITS}: each reads a document on the replica
   *     loop
   */
  CompletableFuture<Receipt> submitIf(List<Condition> conditions, Transaction transaction);

  /** Puts a document and waits; see {@link Edit#put(String, byte[])}. */
  default Receipt put(String id, byte[] json) {
    return await(submit(Transaction.of(Edit.put(id, json))));
  }

  /** Puts a document with its embedding and waits. */
  default Receipt putWithEmbedding(String id, byte[] json, float[] embedding) {
    return await(submit(Transaction.of(Edit.put(id, json, embedding))));
  }

  /** Merges a patch (RFC 7396) into a document that exists and waits. */
  default Receipt patch(String id, byte[] json) {
    return await(submit(Transaction.of(Edit.patch(id, json))));
  }

  /** Deletes a document that exists and waits. */
  default Receipt delete(String id) {
    return await(submit(Transaction.of(Edit.delete(id))));
  }

  /** Applies edits all together and waits. */
  default Receipt batch(List<Edit> edits) {
    return await(submit(new Transaction(edits, Transaction.Acknowledgement.LOCAL)));
  }

  /**
   * Applies changes another replica made; what is known already changes nothing.
   *
   * @return how it ended, once it is in the operating system's hands
   */
  CompletableFuture<RunOutcome> apply(ChangeRun run);

  /** The document, or empty when it does not exist. */
  Optional<NodeRecord> get(String id);

  /**
   * The documents whose id starts with {@code prefix} and comes after {@code after}, in ascending
   * order of the ids' UTF-8 bytes, as of now; close the iterator.
   *
   * @param after exclusive, or null to begin at the start
   */
  Documents list(String prefix, @Nullable String after);

  /** An open listing. Use it from one thread; it throws {@link StorageException} on bad disks. */
  interface Documents extends Iterator<NodeRecord>, AutoCloseable {
    @Override
    void close();
  }

  /**
   * Versions of a document, newest first, whether it exists or not; see {@link
   * DocumentHistory#page}.
   */
  History history(String id, int limit, long before);

  /** Public key of the device that an actor writes for, 32 bytes; null for an unknown actor. */
  byte @Nullable [] deviceKey(ActorId actor);

  /** The document as it was, or empty when it did not exist; see {@link DocumentHistory#asOf}. */
  Optional<NodeRecord> getAsOf(String id, Moment moment);

  /**
   * Makes a document look as it did at a moment, by a write like any other: a put of what it was
   * then, with the embedding it had, or a delete. What others write meanwhile is merged with it.
   *
   * <p>Fails as {@link #getAsOf} does, and with {@code CORE_NODE_NOT_FOUND} when it neither existed
   * then nor does now.
   */
  default CompletableFuture<Receipt> revert(String id, Moment moment) {
    return submit(
        Transaction.of(
            getAsOf(id, moment).<Edit>map(Edit::exactly).orElseGet(() -> Edit.delete(id))));
  }

  /**
   * The conflicts of a document; empty when it has none.
   *
   * @throws CoreException {@code CORE_NODE_NOT_FOUND} when it does not exist
   */
  List<Contest> contests(String id);

  /** Which value ends a contest. */
  sealed interface Choice {
    /** The one that is shown. */
    record Winner() implements Choice {}

    /** The n-th of {@link Contest#losers}, from 1. */
    record Loser(int number) implements Choice {}

    /** Any other. */
    record Value(byte[] json) implements Choice {}
  }

  /**
   * Ends a contest: the chosen value is written in sight of all that compete.
   *
   * <p>Fails with {@code CORE_CONFLICT_NOT_FOUND} when nothing competes at the path.
   *
   * @param path as {@link Path} encodes it
   */
  default CompletableFuture<Receipt> resolve(String id, byte[] path, Choice choice) {
    List<Contest> contests = contests(id);
    Contest contest =
        contests.stream()
            .filter(c -> Arrays.equals(c.path(), path))
            .findFirst()
            .orElseThrow(
                () ->
                    new CoreException(
                        CoreException.Kind.CONFLICT_NOT_FOUND,
                        "nothing competes at \""
                            + Path.text(path)
                            + "\" of document \""
                            + id
                            + "\", but at "
                            + contests.stream().map(c -> Path.text(c.path())).toList()));
    byte[] json =
        switch (choice) {
          case Choice.Winner winner -> contest.winner().json();
          case Choice.Value(var value) -> value;
          case Choice.Loser(var number) -> {
            if (number < 1 || number > contest.losers().size()) {
              throw CoreException.invalid(
                  "the number of a lost value must be 1 to "
                      + contest.losers().size()
                      + ", but is "
                      + number);
            }
            yield contest.losers().get(number - 1).json();
          }
        };
    return submit(Transaction.of(Edit.resolve(id, path, json)));
  }

  /**
   * What changed after {@code since}.
   *
   * @param since 0 for all, or an earlier {@link Events#next}
   * @param limit most changes to look at, 1 or more; it may be fewer
   */
  Events events(String prefix, long since, int limit);

  /**
   * Calls {@code listener} once it listens, and after every commit from then on, on the replica
   * loop: it must only wake somebody up.
   *
   * @return closing it ends the subscription
   */
  Subscription subscribe(Runnable listener);

  /** Ends a subscription when closed. */
  interface Subscription extends AutoCloseable {
    @Override
    void close();
  }

  /**
   * The documents most similar to {@code embedding}, best first, by exact comparison with every
   * stored embedding of the same dimension.
   *
   * @param limit 1 to 10,000
   * @param threshold least score, 0 to 1
   */
  List<Hit> vectorSearch(float[] embedding, int limit, double threshold);

  Status status();

  /** Waits for what has queued, syncs and closes. */
  @Override
  void close();

  /** Waits for a future of this store and throws what it failed with. */
  static <T> T await(CompletableFuture<T> future) {
    try {
      return future.join();
    } catch (java.util.concurrent.CompletionException e) {
      if (e.getCause() instanceof RuntimeException cause) {
        throw cause;
      }
      throw e;
    }
  }
}
