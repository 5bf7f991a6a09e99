package io.pluresdb.crdt.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.CoreException;
import io.pluresdb.crdt.Environment;
import io.pluresdb.crdt.codec.Signer;
import io.pluresdb.crdt.op.ChangeBody;
import io.pluresdb.crdt.store.Staging.DocumentKey;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.List;
import java.util.Objects;
import java.util.Random;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;

/** What was read before a transaction queued is used only while it holds. */
class ReadAheadTest {
  private final MemoryStorage storage = new MemoryStorage();
  private final Replica replica = open();

  private Replica open() {
    var signer = new Signer(new byte[32]);
    return Replica.open(
        storage,
        new ReplicaIdentity(ReplicaIdentity.databaseHash("test"), signer.publicKey(), signer),
        new MemoryAnchor(),
        new Environment(() -> Instant.ofEpochMilli(1), new Random(1)));
  }

  private static Transaction patch(String field) {
    return Transaction.of(Edit.patch("d", utf8("{\"" + field + "\":1}")));
  }

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private String json() {
    return Objects.requireNonNull(DocumentReader.read(storage, utf8("d"))).json();
  }

  private void putFirst() {
    replica.stage(Transaction.of(Edit.put("d", utf8("{}"))));
    replica.commit();
  }

  /** Reads ahead for {@code second}, which queues behind {@code first}; what was read. */
  private ReadAhead stageMeanwhile(Transaction first, Transaction second, boolean committed) {
    var ahead = ReadAhead.of(replica, second);
    replica.stage(first);
    if (committed) {
      replica.commit();
    }
    replica.stage(second, ahead);
    replica.commit();
    return ahead;
  }

  @Test
  void documentThatWasCommittedMeanwhile_isReadAgain() {
    putFirst();
    stageMeanwhile(patch("a"), patch("b"), true);
    assertThat(json()).isEqualTo("{\"a\":1,\"b\":1}");
  }

  @Test
  void documentThatIsStagedMeanwhile_isTakenFromTheStaging() {
    putFirst();
    stageMeanwhile(patch("a"), patch("b"), false);
    assertThat(json()).isEqualTo("{\"a\":1,\"b\":1}");
  }

  private static Transaction put(String json) {
    return Transaction.of(Edit.put("d", utf8(json)));
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void newDocument_thatIsMadeMeanwhile_isPutAsADifference(boolean committed) {
    ReadAhead ahead = stageMeanwhile(put("{\"a\":1}"), put("{\"b\":1}"), committed);
    assertThat(ahead.newDocument()).isNotNull();
    assertThat(json()).isEqualTo("{\"b\":1}");
  }

  @Test
  void newDocument_thatWasDeletedBefore_isNotNew() {
    putFirst();
    replica.stage(Transaction.of(Edit.delete("d")));
    replica.commit();
    assertThat(ReadAhead.of(replica, put("{}")).newDocument()).isNull();
  }

  /** Documents of one field to more than a byte can count, and of values as long. */
  static Stream<Transaction> newDocuments() {
    String many =
        IntStream.range(0, 300)
            .mapToObj(i -> "\"f" + i + "\":" + i)
            .collect(Collectors.joining(",", "{", "}"));
    return Stream.of(
        put("{}"),
        put("{\"a\":{\"b\":[1,null]},\"c\":\"x\"}"),
        put("{\"long\":\"" + "é".repeat(10_000) + "\",\"b\":true}"),
        put(many),
        Transaction.of(Edit.put("d", utf8("{\"a\":1}"), new float[] {1, 2, 3})));
  }

  @ParameterizedTest
  @MethodSource("newDocuments")
  void newDocument_readAheadOrNot_isTheSameChange(Transaction transaction) {
    var ahead = ReadAhead.of(replica, transaction);
    replica.stage(transaction, ahead);
    replica.commit();
    var other = new ReadAheadTest();
    other.replica.stage(transaction);
    other.replica.commit();
    assertThat(ahead.newDocument()).isNotNull();
    requireSameAs(other);
    assertThat(replica.view().documents()).isOne();
  }

  @Test
  void newDocument_thatChangesAgainBeforeItIsCommitted_isTheSameDocument() {
    var ahead = ReadAhead.of(replica, put("{\"a\":1}"));
    var other = new ReadAheadTest();
    replica.stage(put("{\"a\":1}"), ahead);
    other.replica.stage(put("{\"a\":1}"));
    for (ReadAheadTest each : List.of(this, other)) {
      each.replica.stage(patch("b"));
      each.replica.commit();
      assertThat(each.json()).isEqualTo("{\"a\":1,\"b\":1}");
    }
    requireSameAs(other);
  }

  @Test
  void newDocument_thatIsDeletedBeforeItIsCommitted_doesNotExist() {
    replica.stage(put("{\"a\":1}"), ReadAhead.of(replica, put("{\"a\":1}")));
    replica.stage(Transaction.of(Edit.delete("d")));
    replica.commit();
    assertThat(replica.view().documents()).isZero();
    assertThat(DocumentReader.read(storage, utf8("d"))).isNull();
  }

  @Test
  void newDocument_thatIsTooLarge_isRefused_andTheNextIsNot() {
    Transaction large = put("{\"a\":\"" + "x".repeat(ChangeBody.MAX_BYTES - 8) + "\"}");
    var ahead = ReadAhead.of(replica, large);
    assertThat(ahead.newDocument()).isNotNull();
    assertThatThrownBy(() -> replica.stage(large, ahead))
        .isInstanceOf(CoreException.class)
        .hasMessageContaining("split it");
    replica.stage(put("{\"a\":1}"));
    replica.commit();
    assertThat(json()).isEqualTo("{\"a\":1}");
  }

  private void requireSameAs(ReadAheadTest other) {
    assertThat(replica.view().frontier()).isEqualTo(other.replica.view().frontier());
    assertThat(replica.view().stateHash()).isEqualTo(other.replica.view().stateHash());
  }

  @Test
  void refusedTransaction_leavesNothingBehind_alsoWhenItWasReadAhead() {
    putFirst();
    var bad = Transaction.of(Edit.patch("d", utf8("{\"a\":1}")), Edit.delete("missing"));
    var ahead = ReadAhead.of(replica, bad);
    try {
      replica.stage(bad, ahead);
    } catch (RuntimeException e) {
      assertThat(e).hasMessageContaining("missing");
    }
    replica.stage(patch("b"));
    replica.commit();
    assertThat(json()).isEqualTo("{\"b\":1}");
  }

  @Test
  void recentCommits_beyondTheirLimit_vouchForNothingOlder() {
    var recent = new RecentCommits(0);
    var other = new DocumentKey(utf8("other"));
    assertThat(recent.isUntouched(other, 0)).isTrue();
    for (int i = 1; i <= RecentCommits.MAX_DOCUMENTS; i++) {
      recent.add(i, Set.of(new DocumentKey(utf8("d" + i))));
    }
    assertThat(recent.isUntouched(other, 0)).isTrue();
    assertThat(recent.isUntouched(new DocumentKey(utf8("d1")), 0)).isFalse();
    assertThat(recent.isUntouched(new DocumentKey(utf8("d1")), 1)).isTrue();
    recent.add(RecentCommits.MAX_DOCUMENTS + 1, Set.of(new DocumentKey(utf8("one more"))));
    assertThat(recent.isUntouched(other, 0)).as("the first is forgotten").isFalse();
    assertThat(recent.isUntouched(other, 1)).isTrue();
  }
}
