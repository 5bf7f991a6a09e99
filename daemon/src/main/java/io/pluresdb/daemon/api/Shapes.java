package io.pluresdb.daemon.api;

import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;

/** Shapes that have a name, because several routes use them or because they are large. */
final class Shapes {
  private static final Map<String, String> TEXTS = texts();

  private Shapes() {}

  /** All of them by name, in the order of declaration. */
  static Map<String, Shape> all() {
    var all = new LinkedHashMap<String, Shape>();
    TEXTS.forEach((name, text) -> all.put(name, Shape.parse(text)));
    return Collections.unmodifiableMap(all);
  }

  /**
   * A name that is known.
   *
   * @throws IllegalArgumentException when it is not
   */
  static String checked(String name) {
    if (!TEXTS.containsKey(name)) {
      throw new IllegalArgumentException("there is no shape " + name);
    }
    return name;
  }

  private static Map<String, String> texts() {
    var all = new LinkedHashMap<String, String>();
    all.put("Error", "{error: {code: string, message: string, hint: string}}");
    all.put("Id", "string(1..1024)");
    all.put("Durability", "'local' | 'relaxed'");
    all.put("Written", "{id: Id}");
    all.put("Document", "{id: Id, data: any, timestamp: integer, embedding?: number[]}");
    all.put(
        "Line",
        "{id: Id, data: any, embedding?: number[] | null, types?: map<'text' | 'list' | 'set'>,"
            + " timestamp?: integer} | {pluresdb: {format: integer(1..1), indexes?: string[4][64]}}");
    all.put(
        "Lost",
        "{path: string, value?: any, increment?: integer, actor: string, seq: integer, timestamp:"
            + " integer}");
    all.put(
        "FullDocument",
        "{id: Id, data: any, timestamp: integer, clock?: map<integer>, embedding?: number[] | null,"
            + " conflicts?: Lost[]}");
    all.put(
        "Operation",
        "{op: 'put', id: Id, data: any, embedding?: number[]} | {op: 'patch', id: Id, patch: any} |"
            + " {op: 'delete', id: Id} | {op: 'increment', id: Id, path: string, amount: integer} |"
            + " {op: 'text.splice', id: Id, path: string, at?: integer(0..), delete?:"
            + " integer(0..), insert?: string} | {op: 'list.insert', id: Id, path: string, at?:"
            + " integer(0..), values: any[]} | {op: 'list.delete', id: Id, path: string, at:"
            + " integer(0..), count?: integer(1..)} | {op: 'list.move', id: Id, path: string, from:"
            + " integer(0..), to: integer(0..)} | {op: 'list.set', id: Id, path: string, at:"
            + " integer(0..), value: any} | {op: 'set.add', id: Id, path: string, values: any[]} |"
            + " {op: 'set.remove', id: Id, path: string, values: any[]}");
    all.put("Result", "{id: Id, error?: {code: string, message: string, hint: string}}");
    all.put("Highlight", "{field: string, text: string, matches: integer[][]}");
    all.put("Leg", "{rank: integer, score: number} | null");
    all.put(
        "Hit",
        "{id: Id, data: any, timestamp: integer, score: number, highlights?: Highlight[], explain?:"
            + " {text: Leg, vector: Leg}}");
    all.put("Edge", "{id: Id, from: Id, relation: string, to: Id}");
    all.put("Index", "{kind: string, fields: string[], arrivals: integer, error: string}");
    all.put(
        "Step",
        "{op: string, path?: string, dot?: integer, value?: any, bytes?: integer, amount?: integer,"
            + " elements?: integer, dimensions?: integer, tag?: integer}");
    all.put(
        "Version",
        "{version: string, actor: string, seq: integer, arrival: integer, timestamp: integer,"
            + " counter: integer, deviceId: string, name: string, effect: 'created' | 'updated' |"
            + " 'deleted', steps: Step[], omitted: integer}");
    all.put(
        "Claim",
        "{value: any, version: string, actor: string, seq: integer, timestamp: integer, deviceId:"
            + " string, name: string}");
    all.put(
        "Contested",
        "{id: Id, data: any, timestamp: integer, conflicts: {path: string, keys: string[], winner:"
            + " Claim, losers: Claim[]}[]}");
    all.put(
        "Changed",
        "{type: 'upsert', id: Id, data: any, timestamp: integer} | {type: 'delete', id: Id} |"
            + " {type: 'truncated'}");
    all.put("Quota", "{bytes: integer, documents: integer}");
    all.put(
        "Log",
        "{arrivals: integer, floor: integer, keepMillis: integer, leaseMillis: integer,"
            + " heldBackBy: string, members: {deviceId: string, name: string, state: string, heard:"
            + " integer, behind: integer}[]}");
    all.put(
        "Database",
        "{name: string, id: string, topic: string, role: string, prefixes: string[], documents:"
            + " integer, frontier: map<{seq: integer, hash: string}>, frontierHash: string,"
            + " stateHash: string, pending: integer, peers: integer, trafficBytes: integer,"
            + " bytesOnDisk: integer, quota: Quota, vectorInstructions: string, indexes: Index[],"
            + " embeddingWorkerStats: {model: string, dimension: integer, behind: integer, embedded:"
            + " integer, calls: integer, callMillis: integer, error: string} | null, log: Log}");
    all.put(
        "Relay",
        "{url: string, connected: boolean, topics: integer, peers: integer, proxy: string,"
            + " intercepted: string, lastError: string}");
    all.put(
        "Status",
        "{version: string, deviceId: string, uptimeMillis: integer, databases: Database[], relays:"
            + " Relay[], network: {udp: string, quic: string, nat: string, addresses: string[]},"
            + " portMapping: any}");
    all.put(
        "DatabaseEntry",
        "{name: string, id: string, role: string, documents: integer, bytesOnDisk: integer, peers:"
            + " integer, quota: Quota}");
    all.put(
        "Peer",
        "{deviceId: string, name: string, address: string, path: string, direction: string, state:"
            + " string, lag: integer, bytesSent: integer, bytesReceived: integer, roundTripMicros:"
            + " integer, lastError: string}");
    all.put(
        "Device",
        "{deviceId: string, name: string, role: string, state: string, since: integer, connected:"
            + " boolean, self: boolean, voided: integer, forked: boolean}");
    all.put("Check", "{name: string, status: string, message: string, remediation: string}");
    all.put(
        "Backup",
        "{path: string, database: string, databaseId: string, documents: integer, bytes: integer,"
            + " files: integer, keys: boolean}");
    all.put(
        "Encryption",
        "{encrypted: boolean, mode?: string, cipher?: string, kdf?: string, keys?: {number:"
            + " integer, created: integer}[], revokedDevices?: string[], reencrypting?: boolean,"
            + " reencryptedRows?: integer, failure?: string}");
    all.put(
        "Lookup",
        "{target: string, family: string, kind: string, durationMillis: integer, queries: integer,"
            + " answers: integer, hops: integer, announcedAt: integer, firstPeerMillis: integer,"
            + " firstPeerHops: integer, peers: string[], steps: {address: string, id: string,"
            + " commonBits: integer, hop: integer, askedMillis: integer, answerMillis: integer,"
            + " peers: integer}[]}");
    all.put("Scope", "'read' | 'write' | 'admin'");
    all.put(
        "Token",
        "{name: string, scope: Scope, databases: string[], created: integer, expires: integer |"
            + " null, lastUsed: integer | null}");
    all.put(
        "AuditEntry",
        "{time: integer, who: string, act: string, database: string, subject: string, outcome:"
            + " string}");
    return all;
  }
}
