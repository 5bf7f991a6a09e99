package io.pluresdb.crdt.reconcile;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.reconcile.RangeAsker.Failed;
import io.pluresdb.crdt.reconcile.RangeAsker.Progress;
import io.pluresdb.crdt.reconcile.RangeAsker.Send;
import io.pluresdb.crdt.reconcile.RangeMessage.Answer;
import io.pluresdb.crdt.reconcile.RangeMessage.Ask;
import io.pluresdb.crdt.reconcile.RangeMessage.Exchange;
import io.pluresdb.crdt.reconcile.RangeMessage.Listing;
import io.pluresdb.crdt.reconcile.RangeMessage.Opened;
import io.pluresdb.crdt.reconcile.RangeMessage.Pieces;
import io.pluresdb.crdt.reconcile.RangeMessage.Question;
import io.pluresdb.crdt.reconcile.RangeMessage.Reply;
import io.pluresdb.crdt.reconcile.RangeMessage.Same;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

/** What a peer may say that no peer should, and messages at and beyond their limits. */
class RangeLimitsTest {
  private static final Digest ANY = new Digest(1, 2);

  private static byte[] utf8(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static KeyRange range(String from, String to) {
    return new KeyRange(utf8(from), utf8(to));
  }

  private static RangeMessage passed(RangeMessage message) {
    var out = new ByteWriter();
    message.write(out);
    byte[] bytes = out.toByteArray();
    assertThat(bytes.length).isLessThan(4 << 20);
    return RangeMessage.read(bytes[0], new ByteReader(bytes, 1, bytes.length));
  }

  private static void assertRefused(RangeMessage message) {
    assertThatThrownBy(() -> passed(message)).isInstanceOf(CodecException.class);
  }

  private static Ask ask(List<Question> questions, List<Exchange> exchanges) {
    return new Ask(1, 1, questions, exchanges);
  }

  private static Map<String, String> documents(int count) {
    var documents = new TreeMap<String, String>();
    for (int i = 0; i < count; i++) {
      documents.put(String.format("doc:%05d", i), "x");
    }
    return documents;
  }

  /** An asker of a thousand documents that has just asked for the first time. */
  private static RangeAsker asker() {
    return new RangeAsker(
        1, new ListedSource(documents(1_000)), Hash.ZERO, false, KeyRange.ALL, 10_000);
  }

  private static Ask first(RangeAsker asker) {
    return (Ask) ((Send) asker.onOpened(new Opened(1, Hash.ZERO, ANY))).message();
  }

  @Test
  void rangesThatOverlapOrEndBeforeTheyBegin_areRefused() {
    assertRefused(ask(List.of(new Question(range("b", "a"), ANY)), List.of()));
    assertRefused(ask(List.of(new Question(range("a", "a"), ANY)), List.of()));
    assertRefused(
        ask(
            List.of(new Question(range("a", "c"), ANY), new Question(range("b", "d"), ANY)),
            List.of()));
    assertRefused(
        ask(
            List.of(
                new Question(new KeyRange(utf8("a"), null), ANY),
                new Question(range("b", "d"), ANY)),
            List.of()));
    assertThat(
            passed(
                ask(
                    List.of(new Question(range("a", "b"), ANY), new Question(range("b", "d"), ANY)),
                    List.of())))
        .isInstanceOf(Ask.class);
  }

  private static List<Question> questions(int count) {
    return IntStream.range(0, count)
        .mapToObj(
            i -> new Question(range(String.format("%05d", i), String.format("%05d!", i)), ANY))
        .toList();
  }

  @Test
  void messagesBeyondTheirLimits_areRefused() {
    assertThat(passed(ask(questions(RangeMessage.MAX_RANGES), List.of()))).isNotNull();
    assertRefused(ask(questions(RangeMessage.MAX_RANGES + 1), List.of()));
    List<Integer> positions = IntStream.range(0, RangeMessage.MAX_LIST).boxed().toList();
    var exchange = new Exchange(range("a", "b"), List.of(), positions);
    int fits = RangeMessage.MAX_WANTED / RangeMessage.MAX_LIST;
    assertThat(passed(ask(List.of(), Collections.nCopies(fits, exchange)))).isNotNull();
    assertRefused(ask(List.of(), Collections.nCopies(fits + 1, exchange)));
    assertRefused(ask(List.of(), List.of(new Exchange(range("a", "b"), List.of(), List.of(2, 2)))));
    assertRefused(ask(List.of(), List.of(new Exchange(range("a", "b"), List.of(), List.of(64)))));
    List<byte[]> ids =
        IntStream.range(0, RangeMessage.MAX_IDS + 1)
            .mapToObj(i -> utf8(String.format("%05d", i)))
            .toList();
    assertThat(
            passed(
                ask(
                    List.of(),
                    List.of(new Exchange(KeyRange.ALL, ids.subList(1, 257), List.of())))))
        .isNotNull();
    assertRefused(ask(List.of(), List.of(new Exchange(KeyRange.ALL, ids, List.of()))));
    assertRefused(
        ask(
            List.of(),
            List.of(new Exchange(KeyRange.ALL, ids.subList(0, 2).reversed(), List.of()))));
    byte[] longest = new byte[1_025];
    assertRefused(ask(List.of(new Question(new KeyRange(longest, null), ANY)), List.of()));
    assertThat(
            passed(
                ask(
                    List.of(new Question(new KeyRange(Arrays.copyOf(longest, 1_024), null), ANY)),
                    List.of())))
        .isNotNull();
  }

  @Test
  void answersBeyondTheirLimits_areRefused() {
    assertThat(
            passed(new Answer(1, 1, List.of(new Listing(Collections.nCopies(64, ANY))), List.of())))
        .isNotNull();
    assertRefused(new Answer(1, 1, List.of(new Listing(Collections.nCopies(65, ANY))), List.of()));
    assertRefused(new Answer(1, 1, List.of(new Pieces(List.of(), List.of(ANY))), List.of()));
    List<byte[]> bounds =
        IntStream.range(0, 16).mapToObj(i -> utf8(String.format("%02d", i))).toList();
    assertThat(
            passed(
                new Answer(
                    1,
                    1,
                    List.of(new Pieces(bounds.subList(1, 16), Collections.nCopies(16, ANY))),
                    List.of())))
        .isNotNull();
    assertRefused(
        new Answer(1, 1, List.of(new Pieces(bounds, Collections.nCopies(17, ANY))), List.of()));
    assertRefused(
        new Answer(
            1,
            1,
            List.of(new Pieces(bounds.subList(0, 2).reversed(), Collections.nCopies(3, ANY))),
            List.of()));
  }

  @Test
  void moreOpenQuestionsThanMayBe_endTheConversation() {
    var responder = new RangeResponder(new ListedSource(documents(5_000)), 10, 1);
    List<Question> questions =
        IntStream.range(0, 200)
            .mapToObj(
                i ->
                    new Question(
                        range(String.format("doc:%05d", i), String.format("doc:%05d", i + 1)), ANY))
            .toList();
    assertThat(responder.answer(ask(questions, List.of()))).isNotNull();
    assertThat(responder.answer(ask(questions, List.of()))).isNull();
  }

  @Test
  void answersToSomethingElse_endTheConversation() {
    for (Answer answer :
        List.of(
            new Answer(1, 2, List.of(new Same()), List.of()),
            new Answer(1, 1, List.of(), List.of()),
            new Answer(1, 1, Collections.nCopies(17, new Same()), List.of()),
            new Answer(1, 1, List.of(new Same()), List.of(List.of(utf8("a")))),
            new Answer(
                1, 1, List.of(new Pieces(List.of(utf8("zzz")), List.of(ANY, ANY))), List.of()))) {
      RangeAsker asker = asker();
      first(asker);
      assertThat(asker.onAnswer(answer)).isInstanceOf(Failed.class);
    }
    RangeAsker early = asker();
    assertThat(early.onAnswer(new Answer(1, 0, List.of(), List.of()))).isInstanceOf(Failed.class);
    RangeAsker twice = asker();
    first(twice);
    assertThat(twice.onOpened(new Opened(1, Hash.ZERO, ANY))).isInstanceOf(Failed.class);
  }

  @Test
  void idOutsideOfTheRangeThatWasAskedFor_endsTheConversation() {
    RangeAsker asker = asker();
    Ask ask = first(asker);
    List<Reply> replies = Collections.nCopies(ask.questions().size(), new Same());
    var listing = new ArrayList<>(replies);
    listing.set(0, new Listing(List.of(ANY)));
    Progress progress = asker.onAnswer(new Answer(1, 1, listing, List.of()));
    Ask exchange = (Ask) ((Send) progress).message();
    assertThat(exchange.exchanges().getFirst().wanted()).containsExactly(0);
    List<List<byte[]>> ids = new ArrayList<>();
    exchange.exchanges().forEach(e -> ids.add(List.of()));
    ids.set(0, List.of(utf8("zzz")));
    assertThat(asker.onAnswer(new Answer(1, 2, List.of(), ids))).isInstanceOf(Failed.class);
  }

  /** A responder that always finds one more piece that differs. */
  @Test
  void rangesWithoutEnd_areStopped() {
    RangeAsker asker = asker();
    Ask ask = first(asker);
    Progress progress = new Send(ask);
    int messages = 0;
    long open = 0;
    var owed = new java.util.ArrayDeque<Question>();
    while (progress instanceof Send(var message)) {
      Ask next = (Ask) message;
      owed.addAll(next.questions());
      Question question = owed.remove();
      byte[] from = question.range().from();
      byte[] bound = Arrays.copyOf(from, from.length + 1);
      Reply reply =
          Arrays.equals(bound, question.range().to())
              ? new Same()
              : new Pieces(List.of(bound), List.of(ANY, ANY));
      List<List<byte[]>> ids = next.exchanges().stream().map(e -> List.<byte[]>of()).toList();
      progress = asker.onAnswer(new Answer(1, next.round(), List.of(reply), ids));
      open = Math.max(open, owed.size());
      assertThat(++messages).isLessThan(20_000);
    }
    assertThat(progress).isEqualTo(new Failed("ranges without end"));
    assertThat(open).isLessThanOrEqualTo(RangeMessage.MAX_RANGES);
  }

  @Test
  void longestIds_stillMakeMessagesThatFit() {
    var mine = new TreeMap<String, String>();
    var theirs = new TreeMap<String, String>();
    for (int i = 0; i < 3_000; i++) {
      // The first bytes differ, so that nothing is shared.
      String id = String.format("%04d", i) + "x".repeat(1_020);
      (i % 3 == 0 ? mine : theirs).put(id, "v");
    }
    var asker = new RangeAsker(1, new ListedSource(mine), Hash.ZERO, false, KeyRange.ALL, 10_000);
    var source = new ListedSource(theirs);
    var responder = new RangeResponder(source, 10_000);
    Progress progress =
        asker.onOpened(new Opened(1, Hash.ZERO, source.summary(KeyRange.ALL).digest()));
    while (progress instanceof Send(var message)) {
      Answer answer = responder.answer((Ask) passed(message));
      assertThat(answer).isNotNull();
      progress = asker.onAnswer((Answer) passed(java.util.Objects.requireNonNull(answer)));
    }
    assertThat(((RangeAsker.Done) progress).differences().documents()).hasSize(3_000);
  }
}
