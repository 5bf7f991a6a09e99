package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import java.util.ArrayList;
import java.util.List;

/**
 * One local transaction: the unit of replication, of atomicity and of the hash chain.
 *
 * <p>Its hash covers {@code version, database, actor, seq, previous hash, deps, timestamp, SHA-256
 * of the body, body length}. What a receiver knows or can compute is not sent: the actor and seq
 * stand once per {@link ChangeRun}, the previous hash is the receiver's own head.
 *
 * <pre>
 * change := depsCount varint | (actor 16 | seq varint) * | timestamp u64 | bodyLength varint | body
 * </pre>
 *
 * @param deps what the author had seen of other actors and had not yet named in an earlier change,
 *     ascending
 * @param timestamp hybrid time, greater than that of every change in the causal past
 * @param body as {@link ChangeBody} encodes it
 */
public record Change(List<Dependency> deps, long timestamp, byte[] body) {
  /** Most dependencies one change may name. */
  public static final int MAX_DEPS = 65_536;

  private static final byte VERSION = 1;

  /** All changes of {@code actor} up to {@code seq}. */
  public record Dependency(ActorId actor, long seq) {}

  /**
   * All of a change that its hash needs: the body is represented by its hash.
   *
   * <pre>
   * header := depsCount varint | (actor 16 | seq varint) * | timestamp u64 | body hash 32 | bodyLength varint
   * </pre>
   */
  public record Header(List<Dependency> deps, long timestamp, Hash bodyHash, int bodyLength) {
    /** The hash that the next change links to and that a signature signs. */
    public Hash hash(Hash database, ActorId actor, long seq, Hash previous) {
      var header = new ByteWriter(192);
      header.u8(VERSION).bytes(database.bytes());
      actor.write(header);
      header.i64(seq).bytes(previous.bytes());
      writeDeps(deps, header);
      header.i64(timestamp);
      header.bytes(bodyHash.bytes()).i64(bodyLength);
      return Hash.of("pluresdb-change-v1", header.toByteArray());
    }

    public void write(ByteWriter out) {
      writeDeps(deps, out);
      out.i64(timestamp).bytes(bodyHash.bytes()).varint(bodyLength);
    }

    public static Header read(ByteReader in) {
      List<Dependency> deps = readDeps(in);
      return new Header(
          deps,
          in.i64(),
          new Hash(in.bytes(Hash.BYTES)),
          in.count("body bytes", ChangeBody.MAX_BYTES));
    }
  }

  /** This change without its body. */
  public Header header() {
    return new Header(deps, timestamp, Hash.bulk(body, body.length), body.length);
  }

  /** The hash that the next change links to and that a signature signs. */
  public Hash hash(Hash database, ActorId actor, long seq, Hash previous) {
    return header().hash(database, actor, seq, previous);
  }

  public void write(ByteWriter out) {
    writeDeps(deps, out);
    out.i64(timestamp).block(body);
  }

  private static void writeDeps(List<Dependency> deps, ByteWriter out) {
    out.varint(deps.size());
    for (Dependency dependency : deps) {
      dependency.actor().write(out);
      out.varint(dependency.seq());
    }
  }

  /** What ties a change to others, without what it does. */
  public record Link(List<Dependency> deps, long timestamp) {}

  public static Change read(ByteReader in) {
    Link link = readHead(in);
    return new Change(link.deps, link.timestamp, in.block("body bytes", ChangeBody.MAX_BYTES));
  }

  /** Reads a change over its body. */
  public static Link readLink(ByteReader in) {
    Link link = readHead(in);
    in.skip(in.count("body bytes", ChangeBody.MAX_BYTES));
    return link;
  }

  private static List<Dependency> readDeps(ByteReader in) {
    int count = in.count("dependencies of a change", MAX_DEPS);
    var deps = new ArrayList<Dependency>(Math.min(count, 64));
    for (int i = 0; i < count; i++) {
      var dependency = new Dependency(ActorId.read(in), in.varint());
      if (dependency.seq() == 0
          || (i > 0 && deps.getLast().actor().compareTo(dependency.actor()) >= 0)) {
        throw new CodecException("dependencies must ascend and be 1 or more");
      }
      deps.add(dependency);
    }
    return deps;
  }

  private static Link readHead(ByteReader in) {
    List<Dependency> deps = readDeps(in);
    long timestamp = in.i64();
    if (timestamp < 0) {
      throw new CodecException("timestamp must be 0 or more");
    }
    return new Link(deps, timestamp);
  }

  /** Bytes {@link #write} takes, within a few. */
  public int encodedBytes() {
    return body.length + 24 * deps.size() + 16;
  }
}
