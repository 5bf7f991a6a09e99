package io.pluresdb.crdt.sequence;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.causal.Dot;
import io.pluresdb.crdt.op.CrdtOperation.ListDelete;
import io.pluresdb.crdt.op.CrdtOperation.ListInsert;
import io.pluresdb.crdt.op.CrdtOperation.ListMove;
import io.pluresdb.crdt.op.CrdtOperation.ListSet;
import io.pluresdb.crdt.op.CrdtOperation.OnSequence;
import io.pluresdb.crdt.op.CrdtOperation.TextDelete;
import io.pluresdb.crdt.op.CrdtOperation.TextInsert;
import io.pluresdb.crdt.op.ElementRange;
import io.pluresdb.crdt.op.Register;
import io.pluresdb.crdt.value.Path;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.random.RandomGenerator;

/** Replicas that edit one text or list and hear of each other late. */
final class SequenceHistory {
  /**
   * One operation.
   *
   * @param past how many operations of each writer the author had applied, its own included
   * @param at where in the author's view, for rules that go by index
   */
  record Event(
      int writer, int seq, long timestamp, OnSequence operation, int[] past, int at, int count) {
    Dot dot() {
      return new Dot(actor(writer), seq, 0);
    }
  }

  /** A replica: its sequence and how many operations of each writer it applied. */
  static final class Replica {
    Sequence sequence;
    final int[] applied;
    long clock;

    Replica(byte[] register, int writers) {
      sequence = Sequence.empty(register);
      applied = new int[writers];
    }
  }

  static final byte[] TEXT = Register.at(Register.TEXT, Path.parse("t"));
  static final byte[] LIST = Register.at(Register.LIST, Path.parse("l"));

  final byte[] register;
  final List<Replica> replicas = new ArrayList<>();
  final List<List<Event>> events = new ArrayList<>();

  SequenceHistory(byte[] register, int writers) {
    this.register = register;
    for (int i = 0; i < writers; i++) {
      replicas.add(new Replica(register, writers));
      events.add(new ArrayList<>());
    }
  }

  boolean isText() {
    return register[0] == Register.TEXT;
  }

  static ActorId actor(int writer) {
    return new ActorId(0x5555_0000_0000_0000L + writer, writer);
  }

  /** Some writers, some edits, some of them heard of in between. */
  static SequenceHistory random(byte[] register, RandomGenerator random) {
    var history = new SequenceHistory(register, random.nextInt(2, 5));
    int steps = random.nextInt(5, 60);
    for (int i = 0; i < steps; i++) {
      int writer = random.nextInt(history.replicas.size());
      if (random.nextInt(4) == 0) {
        history.hear(writer, random);
      } else {
        history.edit(writer, random);
      }
      if (random.nextInt(40) == 0) {
        history.reopen(writer);
      }
    }
    return history;
  }

  /** Applies a random part of what a replica has not heard yet, in a random causal order. */
  void hear(int replica, RandomGenerator random) {
    int most = random.nextInt(1, 12);
    for (int i = 0; i < most; i++) {
      List<Event> ready = ready(replicas.get(replica));
      if (ready.isEmpty()) {
        return;
      }
      apply(replicas.get(replica), ready.get(random.nextInt(ready.size())));
    }
  }

  void hearAll(int replica, RandomGenerator random) {
    for (List<Event> ready = ready(replicas.get(replica));
        !ready.isEmpty();
        ready = ready(replicas.get(replica))) {
      apply(replicas.get(replica), ready.get(random.nextInt(ready.size())));
    }
  }

  private List<Event> ready(Replica replica) {
    var ready = new ArrayList<Event>();
    for (int writer = 0; writer < events.size(); writer++) {
      int next = replica.applied[writer];
      if (next < events.get(writer).size()) {
        Event event = events.get(writer).get(next);
        boolean covered = true;
        for (int other = 0; other < event.past.length; other++) {
          covered &= event.past[other] <= replica.applied[other];
        }
        if (covered) {
          ready.add(event);
        }
      }
    }
    return ready;
  }

  private static void apply(Replica replica, Event event) {
    replica.sequence.apply(event.operation, event.dot(), event.timestamp);
    replica.applied[event.writer]++;
    replica.clock = Math.max(replica.clock, event.timestamp);
  }

  /** Forgets the open sequence and reads its rows. */
  void reopen(int replica) {
    Replica reopened = replicas.get(replica);
    reopened.sequence = reread(register, rows(register, reopened.sequence));
  }

  static Sequence reread(byte[] register, Map<String, String> rows) {
    var list = new ArrayList<Sequence.Row>();
    rows.forEach(
        (key, value) ->
            list.add(
                new Sequence.Row(HexFormat.of().parseHex(key), HexFormat.of().parseHex(value))));
    return Sequence.read(register, prefix(register), list);
  }

  static byte[] prefix(byte[] register) {
    return SequenceRows.prefix("d".getBytes(StandardCharsets.UTF_8), register);
  }

  /** All rows of a sequence, whenever they changed. */
  static Map<String, String> rows(byte[] register, Sequence sequence) {
    sequence.everythingChanged();
    var rows = new TreeMap<String, String>();
    sequence.flush(
        prefix(register),
        (key, value) -> {
          if (value != null) {
            rows.put(HexFormat.of().formatHex(key), HexFormat.of().formatHex(value));
          }
        });
    return rows;
  }

  private void edit(int writer, RandomGenerator random) {
    Sequence sequence = replicas.get(writer).sequence;
    int length = sequence.length();
    int kind = random.nextInt(10);
    if (length == 0 || kind < 4) {
      insert(writer, random.nextInt(length + 1), random.nextInt(1, 5), random);
      return;
    }
    int at = random.nextInt(length);
    if (isText() || kind < 6) {
      delete(writer, at, Math.min(length - at, random.nextInt(1, 4)));
    } else if (kind < 8) {
      move(writer, at, random.nextInt(length + 1));
    } else {
      set(writer, at, "" + random.nextInt(1000));
    }
  }

  private static String letters(RandomGenerator random, int count) {
    var letters = new StringBuilder();
    for (int i = 0; i < count; i++) {
      letters.appendCodePoint(
          random.nextInt(10) == 0 ? 0x1F600 + random.nextInt(20) : 'a' + random.nextInt(26));
    }
    return letters.toString();
  }

  void insert(int writer, int at, int count, RandomGenerator random) {
    if (isText()) {
      type(writer, at, letters(random, count));
    } else {
      var values = new ArrayList<byte[]>();
      for (int i = 0; i < count; i++) {
        values.add(("" + random.nextInt(1000)).getBytes(StandardCharsets.UTF_8));
      }
      Sequence sequence = replicas.get(writer).sequence;
      record(writer, new ListInsert(register, List.of(), sequence.placeAt(at), values), at, count);
    }
  }

  void type(int writer, int at, String text) {
    Sequence sequence = replicas.get(writer).sequence;
    record(writer, new TextInsert(register, List.of(), sequence.placeAt(at), text), at, 1);
  }

  void delete(int writer, int at, int count) {
    Sequence sequence = replicas.get(writer).sequence;
    List<ElementRange> ranges = sequence.rangesAt(at, count);
    if (sequence instanceof ListSequence list) {
      record(writer, new ListDelete(register, list.seen(ranges), ranges), at, count);
    } else {
      record(writer, new TextDelete(register, ranges), at, count);
    }
  }

  void move(int writer, int from, int slot) {
    Sequence sequence = replicas.get(writer).sequence;
    record(
        writer,
        new ListMove(register, List.of(), sequence.elementAt(from), sequence.placeAt(slot)),
        from,
        1);
  }

  void set(int writer, int at, String json) {
    var list = (ListSequence) replicas.get(writer).sequence;
    record(
        writer,
        new ListSet(
            register,
            List.of(),
            list.elementAt(at),
            list.valuesAt(at),
            json.getBytes(StandardCharsets.UTF_8)),
        at,
        1);
  }

  private void record(int writer, OnSequence operation, int at, int count) {
    Replica replica = replicas.get(writer);
    // Clocks differ by writer, so that hybrid time and causality disagree where they may.
    long timestamp = replica.clock + 1 + writer * 3L;
    var event =
        new Event(
            writer,
            events.get(writer).size() + 1,
            timestamp,
            operation,
            replica.applied.clone(),
            at,
            count);
    events.get(writer).add(event);
    apply(replica, event);
  }

  static String shown(Sequence sequence) {
    return new String(sequence.content().json(), StandardCharsets.UTF_8);
  }
}
