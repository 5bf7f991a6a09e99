package io.pluresdb.crdt.op;

import io.pluresdb.crdt.causal.ActorId;
import io.pluresdb.crdt.codec.ByteReader;
import io.pluresdb.crdt.codec.ByteWriter;
import io.pluresdb.crdt.codec.CodecException;
import io.pluresdb.crdt.codec.Hash;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One local transaction: the unit of replication, of atomicity and of the hash chain.
 *
 * <p>Its hash covers {@code version, database, actor, seq, previous hash, deps, timestamp, SHA-256
 * of the body, body length}. What a receiver knows or can compute is not sent: the actor and seq
 * stand once per {@link ChangeRun}, the previous hash is the receiver's own head.
 *
 * <pre>
 * change := depsCount varint | (actor 16 | seq varint) * | timestamp u64 | (body block | omitted)
 * omitted := 0 u8 | SHA-256 of the body 32 | bodyLength varint
 * </pre>
 *
 * <p>A replica of some documents only gets a change that touches none of them without its body: the
 * hash chain and the dependencies can be checked all the same.
 *
 * @param deps what the author had seen of other actors and had not yet named in an earlier change,
 *     ascending
 * @param timestamp hybrid time, greater than that of every change in the causal past
 * @param body as {@link ChangeBody} encodes it; empty when it is omitted
 * @param omitted what stands for the body, or null when it is there
 */
public record Change(
    List<Dependency> deps, long timestamp, byte[] body, @Nullable Omitted omitted) {
  /** Most dependencies one change may name. */
  public static final int MAX_DEPS = 65_536;

  private static final byte VERSION = 1;

  /** What the input of a hash begins with, with the zero that ends it. */
  private static final byte[] LABEL = "pluresdb-change-v1\0".getBytes(StandardCharsets.UTF_8);

  /** All changes of {@code actor} up to {@code seq}. */
  public record Dependency(ActorId actor, long seq) {}

  /**
   * All of a change that its hash needs: the body is represented by its hash.
   *
   * <pre>
   * link := depsCount varint | (actor 16 | seq varint) * | timestamp u64 | body hash 32 | bodyLength varint
   * </pre>
   */
  public record Link(List<Dependency> deps, long timestamp, Hash bodyHash, int bodyLength) {
    /** The hash that the next change links to and that a signature signs. */
    public Hash hash(Hash database, ActorId actor, long seq, Hash previous) {
      var header = new ByteWriter(192);
      header.bytes(LABEL).u8(VERSION).bytes(database.bytes());
      actor.write(header);
      header.i64(seq).bytes(previous.bytes());
      writeDeps(deps, header);
      header.i64(timestamp);
      header.bytes(bodyHash.bytes()).i64(bodyLength);
      return Hash.bulk(header.array(), header.size());
    }

    public void write(ByteWriter out) {
      writeDeps(deps, out);
      out.i64(timestamp).bytes(bodyHash.bytes()).varint(bodyLength);
    }

    public static Link read(ByteReader in) {
      List<Dependency> deps = readDeps(in);
      return new Link(
          deps,
          in.i64(),
          new Hash(in.bytes(Hash.BYTES)),
          in.count("body bytes", ChangeBody.MAX_BYTES));
    }
  }

  /**
   * A body that is elsewhere.
   *
   * @param bodyHash SHA-256 of it
   * @param bodyLength 1 to {@link ChangeBody#MAX_BYTES}
   */
  public record Omitted(Hash bodyHash, int bodyLength) {
    private static final int BYTES = 1 + Hash.BYTES + 3;

    private static Omitted read(ByteReader in) {
      var hash = new Hash(in.bytes(Hash.BYTES));
      int length = in.count("body bytes", ChangeBody.MAX_BYTES);
      if (length == 0) {
        throw new CodecException("a body must not be empty");
      }
      return new Omitted(hash, length);
    }
  }

  /** A change with its body. */
  public Change(List<Dependency> deps, long timestamp, byte[] body) {
    this(deps, timestamp, body, null);
  }

  /** The same change, with the same hash, for whoever does not need its body. */
  public Change withoutBody() {
    return omitted != null
        ? this
        : new Change(
            deps, timestamp, new byte[0], new Omitted(Hash.bulk(body, body.length), body.length));
  }

  /** All of this change that its hash needs. */
  public Link link() {
    return omitted == null
        ? new Link(deps, timestamp, Hash.bulk(body, body.length), body.length)
        : new Link(deps, timestamp, omitted.bodyHash, omitted.bodyLength);
  }

  /** The hash that the next change links to and that a signature signs. */
  public Hash hash(Hash database, ActorId actor, long seq, Hash previous) {
    return link().hash(database, actor, seq, previous);
  }

  public void write(ByteWriter out) {
    writeDeps(deps, out);
    out.i64(timestamp).block(body);
    if (omitted != null) {
      out.bytes(omitted.bodyHash.bytes()).varint(omitted.bodyLength);
    }
  }

  private static void writeDeps(List<Dependency> deps, ByteWriter out) {
    out.varint(deps.size());
    for (Dependency dependency : deps) {
      dependency.actor().write(out);
      out.varint(dependency.seq());
    }
  }

  /** Reads over a change: what it comes after, without what it does. */
  public static Reach readReach(ByteReader in) {
    List<Dependency> deps = readDeps(in);
    long timestamp = in.i64();
    int length = in.count("body bytes", ChangeBody.MAX_BYTES);
    if (length == 0) {
      Omitted.read(in);
    }
    in.skip(length);
    return new Reach(deps, timestamp);
  }

  /** What a change comes after. */
  public record Reach(List<Dependency> deps, long timestamp) {}

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

  public static Change read(ByteReader in) {
    List<Dependency> deps = readDeps(in);
    long timestamp = in.i64();
    if (timestamp < 0) {
      throw new CodecException("timestamp must be 0 or more");
    }
    byte[] body = in.block("body bytes", ChangeBody.MAX_BYTES);
    return new Change(deps, timestamp, body, body.length == 0 ? Omitted.read(in) : null);
  }

  /** Bytes {@link #write} takes, within a few. */
  public int encodedBytes() {
    return body.length + 24 * deps.size() + 16 + (omitted == null ? 0 : Omitted.BYTES);
  }
}
