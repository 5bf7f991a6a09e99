package io.pluresdb.daemon.access;

import com.fasterxml.jackson.core.JacksonException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import io.pluresdb.crdt.store.StorageException;
import io.pluresdb.daemon.node.DataDirectory;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Base64;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * The tokens of a device, kept in {@code DATA_DIR/tokens.json} (0600). Safe from any thread.
 *
 * <p>The main token, in {@code DATA_DIR/api-token}, is none of them: it may do everything and
 * cannot be revoked.
 */
public final class Tokens {
  /** Most tokens. */
  public static final int MAX_TOKENS = 1_024;

  /** Longest validity. */
  public static final Duration LONGEST = Duration.ofDays(3_650);

  /** Shortest validity. */
  public static final Duration SHORTEST = Duration.ofMinutes(1);

  /** How the main token is called. */
  public static final String MAIN = "api-token";

  private static final int FORMAT = 1;
  private static final int SECRET_BYTES = 32;
  private static final String PREFIX = "plt_";

  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(SerializationFeature.INDENT_OUTPUT)
          .enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES)
          .build();

  private record Stored(
      String name, String hash, String scope, List<String> databases, long created, long expires) {}

  /** The hash of what somebody sent as a secret: who sends it again is not hashed again. */
  public static final class Sent {
    private final byte[] hash;
    private final String hex;

    private Sent(byte[] hash) {
      this.hash = hash;
      this.hex = HexFormat.of().formatHex(hash);
    }

    public static Sent of(String secret) {
      return new Sent(sha256(secret));
    }
  }

  private record Content(int format, List<Stored> tokens) {}

  private final @Nullable Path file;
  private final byte[] mainHash;
  private final InstantSource clock;
  private final RandomGenerator random;
  private final Map<String, Token> byName = new TreeMap<>(); // Guarded by this.
  private volatile Map<String, Token> byHash = Map.of(); // Replaced under this.
  private final Map<String, Instant> lastUsed = new ConcurrentHashMap<>();

  private Tokens(@Nullable Path file, String main, InstantSource clock, RandomGenerator random) {
    this.file = file;
    this.mainHash = sha256(main);
    this.clock = clock;
    this.random = random;
  }

  /**
   * Reads the tokens of a device; none when the file is missing.
   *
   * @param main the main token
   * @param random cryptographically strong
   * @throws StorageException.OpenFailed when the file is damaged
   */
  public static Tokens open(Path file, String main, InstantSource clock, RandomGenerator random) {
    var tokens = new Tokens(file, main, clock, random);
    if (Files.exists(file)) {
      tokens.read(file);
    }
    return tokens;
  }

  /** Tokens that nobody keeps. */
  public static Tokens inMemory(String main, InstantSource clock, RandomGenerator random) {
    return new Tokens(null, main, clock, random);
  }

  private synchronized void read(Path from) {
    try {
      Content content = JSON.readValue(Files.readAllBytes(from), Content.class);
      if (content.format() != FORMAT) {
        throw new IOException("format " + content.format());
      }
      for (Stored stored : content.tokens()) {
        byName.put(
            stored.name(),
            new Token(
                stored.name(),
                stored.hash(),
                Level.parse(stored.scope()),
                Set.copyOf(stored.databases()),
                Instant.ofEpochMilli(stored.created()),
                stored.expires() == 0 ? null : Instant.ofEpochMilli(stored.expires())));
      }
      index();
    } catch (IOException | RuntimeException e) {
      throw new StorageException.OpenFailed(
          "STORAGE_OPEN_FAILED", from + " cannot be read: " + e.getMessage(), e);
    }
  }

  /** All of them, by name. */
  public synchronized List<Token> all() {
    return List.copyOf(byName.values());
  }

  /** When a token was last used since this process started; null when it was not. */
  public @Nullable Instant lastUsed(String name) {
    return lastUsed.get(name);
  }

  /**
   * Makes a token.
   *
   * @param validity null for one that does not expire
   * @return its secret, which is not kept
   * @throws AccessException {@code API_TOKEN_EXISTS}, {@code API_TOO_MANY_TOKENS}, or {@code
   *     CORE_INVALID_INPUT} for a name, scope or validity that cannot be
   */
  public synchronized String create(
      String name, Level level, Set<String> databases, @Nullable Duration validity) {
    if (validity != null && (validity.compareTo(SHORTEST) < 0 || validity.compareTo(LONGEST) > 0)) {
      throw AccessException.invalid(
          "a token must be valid for 1 minute to 3650 days, but is for " + validity);
    }
    if (byName.containsKey(name) || name.equals(MAIN)) {
      throw new AccessException(
          409,
          "API_TOKEN_EXISTS",
          "there is a token \"" + name + "\" already",
          "choose another name, or revoke it first");
    }
    if (byName.size() >= MAX_TOKENS) {
      throw new AccessException(
          409,
          "API_TOO_MANY_TOKENS",
          "there are " + MAX_TOKENS + " tokens, which is the most",
          "revoke some");
    }
    byte[] bytes = new byte[SECRET_BYTES];
    random.nextBytes(bytes);
    String secret = PREFIX + Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    Instant now = Instant.ofEpochMilli(clock.millis());
    var token =
        new Token(
            name,
            HexFormat.of().formatHex(sha256(secret)),
            level,
            databases,
            now,
            validity == null ? null : now.plus(validity));
    byName.put(name, token);
    try {
      save();
    } catch (StorageException e) {
      byName.remove(name);
      throw e;
    }
    index();
    return secret;
  }

  /**
   * Revokes a token: from the next request on it is worth nothing.
   *
   * @throws AccessException {@code API_UNKNOWN_TOKEN} when there is none of that name
   */
  public synchronized void revoke(String name) {
    Token token = byName.remove(name);
    if (token == null) {
      throw new AccessException(
          404, "API_UNKNOWN_TOKEN", "there is no token \"" + name + "\"", "token list shows them");
    }
    // First in memory: one that cannot be struck from the file is worth nothing here all the same.
    index();
    lastUsed.remove(name);
    save();
  }

  private void index() {
    var index = new ConcurrentHashMap<String, Token>();
    byName.values().forEach(token -> index.put(token.hash(), token));
    byHash = index;
  }

  private void save() {
    Path to = file;
    if (to == null) {
      return;
    }
    var stored =
        byName.values().stream()
            .map(
                token ->
                    new Stored(
                        token.name(),
                        token.hash(),
                        token.level().text(),
                        List.copyOf(new TreeSet<>(token.databases())),
                        token.created().toEpochMilli(),
                        token.expires() == null ? 0 : token.expires().toEpochMilli()))
            .toList();
    try {
      DataDirectory.writeAtomically(to, JSON.writeValueAsBytes(new Content(FORMAT, stored)));
    } catch (JacksonException e) {
      throw new IllegalStateException("a record of texts and numbers has a JSON form", e);
    }
  }

  /**
   * Who has a secret.
   *
   * @throws AccessException {@code API_UNAUTHORIZED} when it is of no token, or of one that has
   *     expired
   */
  public Caller caller(String secret) {
    return caller(Sent.of(secret));
  }

  /** As {@link #caller(String)}. */
  public Caller caller(Sent secret) {
    if (MessageDigest.isEqual(secret.hash, mainHash)) {
      return Caller.owner(MAIN);
    }
    Token token = byHash.get(secret.hex);
    if (token == null) {
      throw unauthorized("the bearer token is wrong");
    }
    Instant now = clock.instant();
    if (token.isExpired(now)) {
      throw unauthorized("token \"" + token.name() + "\" has expired");
    }
    lastUsed.put(token.name(), now);
    return token.caller();
  }

  /** That somebody must say who it is. */
  public static AccessException unauthorized(String why) {
    return new AccessException(
        401,
        "API_UNAUTHORIZED",
        why,
        "send \"Authorization: Bearer TOKEN\" with the content of DATA_DIR/api-token, or with what"
            + " `pluresdb token create` printed");
  }

  private static byte[] sha256(String secret) {
    try {
      return MessageDigest.getInstance("SHA-256").digest(secret.getBytes(StandardCharsets.UTF_8));
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-256", e);
    }
  }
}
