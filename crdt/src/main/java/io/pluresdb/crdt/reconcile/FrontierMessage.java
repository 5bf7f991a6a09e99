package io.pluresdb.crdt.reconcile;

import io.pluresdb.crdt.causal.Frontier;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import io.pluresdb.crdt.reconcile.CodedSymbols.Symbol;
import java.util.ArrayList;
import java.util.List;

/**
 * What two replicas say to each other when their frontiers name too many actors to be sent whole.
 *
 * <pre>
 * message := 32 | frontierHash 32 | first varint | count varint | symbol *             Symbols
 *          | 33 | frontierHash 32 | first varint | count varint                        More
 *          | 34 | frontierHash 32 | own hash 32 | heads | count varint | item u64 *    Differing
 *          | 35 | frontierHash 32 | heads                                              Wanted
 * symbol  := items u64 | check u32 | zigzag count varint
 * heads   := as a frontier
 * </pre>
 *
 * Each names the frontier that is being coded, so that nothing of an earlier exchange is mistaken.
 */
public sealed interface FrontierMessage {
  /** Most symbols in a message. */
  int MAX_SYMBOLS = 4_096;

  /** Coded symbols of the sender's frontier, from {@code first} on. */
  record Symbols(Hash coded, long first, List<Symbol> symbols) implements FrontierMessage {}

  /** Asks for further symbols. */
  record More(Hash coded, long first, int count) implements FrontierMessage {}

  /**
   * Where the sender's own frontier differs from the coded one.
   *
   * @param own hash of the sender's frontier
   * @param heads of the sender, for the actors in which the two differ
   * @param wanted items of the coded frontier that the sender does not have
   */
  record Differing(Hash coded, Hash own, Frontier heads, List<Long> wanted)
      implements FrontierMessage {}

  /** The heads behind the wanted items. */
  record Wanted(Hash coded, Frontier heads) implements FrontierMessage {}

  /** The frontier that is being coded. */
  Hash coded();

  default void write(ByteWriter out) {
    switch (this) {
      case Symbols(var coded, var first, var symbols) -> {
        out.u8(32).bytes(coded.bytes()).varint(first).varint(symbols.size());
        for (Symbol symbol : symbols) {
          out.i64(symbol.items());
          for (int shift = 24; shift >= 0; shift -= 8) {
            out.u8(symbol.check() >>> shift);
          }
          out.varint((symbol.count() << 1) ^ (symbol.count() >> 63));
        }
      }
      case More(var coded, var first, var count) ->
          out.u8(33).bytes(coded.bytes()).varint(first).varint(count);
      case Differing(var coded, var own, var heads, var wanted) -> {
        heads.write(out.u8(34).bytes(coded.bytes()).bytes(own.bytes()));
        out.varint(wanted.size());
        wanted.forEach(out::i64);
      }
      case Wanted(var coded, var heads) -> heads.write(out.u8(35).bytes(coded.bytes()));
    }
  }

  /**
   * Decodes the fields that follow a tag.
   *
   * @throws CodecException on anything this format does not allow
   */
  static FrontierMessage read(int tag, ByteReader in) {
    var coded = new Hash(in.bytes(Hash.BYTES));
    return switch (tag) {
      case 32 -> {
        long first = in.varint();
        int count = in.count("symbols of a message", MAX_SYMBOLS);
        var symbols = new ArrayList<Symbol>(Math.min(count, 256));
        for (int i = 0; i < count; i++) {
          long items = in.i64();
          int check = 0;
          for (int j = 0; j < 4; j++) {
            check = check << 8 | in.u8();
          }
          long zigzag = in.varint();
          symbols.add(new Symbol(items, check, (zigzag >>> 1) ^ -(zigzag & 1)));
        }
        yield new Symbols(coded, first, symbols);
      }
      case 33 -> new More(coded, in.varint(), in.count("symbols of a message", MAX_SYMBOLS));
      case 34 -> {
        var own = new Hash(in.bytes(Hash.BYTES));
        Frontier heads = Frontier.read(in);
        int count = in.count("wanted items", Frontier.MAX_ACTORS);
        var wanted = new ArrayList<Long>(Math.min(count, 1_024));
        for (int i = 0; i < count; i++) {
          wanted.add(in.i64());
        }
        yield new Differing(coded, own, heads, wanted);
      }
      case 35 -> new Wanted(coded, Frontier.read(in));
      default -> throw new CodecException("unknown message " + tag);
    };
  }
}
