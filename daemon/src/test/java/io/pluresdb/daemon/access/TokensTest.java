package io.pluresdb.daemon.access;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.pluresdb.crdt.store.StorageException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Tokens, what they allow, and how they are kept. */
class TokensTest {
  @TempDir Path directory;
  private final AtomicReference<Instant> now = new AtomicReference<>(Instant.ofEpochSecond(1_000));

  private Tokens open() {
    return Tokens.open(directory.resolve("tokens.json"), "main", now::get, new Random(1));
  }

  @Test
  void create_keptAcrossStarts_withoutTheSecret() throws IOException {
    String secret = open().create("app", Level.WRITE, Set.of("work"), Duration.ofDays(1));
    Path file = directory.resolve("tokens.json");
    assertThat(secret).hasSize(47).startsWith("plt_");
    assertThat(Files.readString(file)).doesNotContain(secret, secret.substring(4));
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
        .isEqualTo("rw-------");
    assertThat(open().caller(secret)).isEqualTo(new Caller("app", Level.WRITE, Set.of("work")));
    assertThat(open().caller("main")).isEqualTo(Caller.owner("api-token"));
  }

  @Test
  void caller_ofAWrongSecret_isRefused() {
    Tokens tokens = open();
    String secret = tokens.create("app", Level.READ, Set.of(), null);
    for (String wrong : new String[] {"", "main ", "Main", secret + "x", secret.substring(1)}) {
      assertThatThrownBy(() -> tokens.caller(wrong))
          .isInstanceOfSatisfying(AccessException.class, e -> assertThat(e.status()).isEqualTo(401))
          .hasMessage("the bearer token is wrong");
    }
  }

  @Test
  void caller_ofATokenThatExpires_isRefusedFromThatMomentOn() {
    Tokens tokens = open();
    String secret = tokens.create("app", Level.READ, Set.of(), Duration.ofMinutes(1));
    now.set(Instant.ofEpochSecond(1_059, 999_000_000));
    assertThat(tokens.caller(secret).name()).isEqualTo("app");
    assertThat(tokens.lastUsed("app")).isEqualTo(now.get());
    now.set(Instant.ofEpochSecond(1_060));
    assertThatThrownBy(() -> tokens.caller(secret)).hasMessage("token \"app\" has expired");
  }

  @Test
  void revoke_takesEffectAtOnceAndForGood() {
    Tokens tokens = open();
    String secret = tokens.create("app", Level.READ, Set.of(), null);
    tokens.revoke("app");
    assertThatThrownBy(() -> tokens.caller(secret)).hasMessage("the bearer token is wrong");
    assertThatThrownBy(() -> open().caller(secret)).hasMessage("the bearer token is wrong");
    assertThatThrownBy(() -> tokens.revoke("app")).hasMessage("there is no token \"app\"");
  }

  @Test
  void create_ofWhatCannotBe_namesTheRange() {
    Tokens tokens = open();
    tokens.create("app", Level.READ, Set.of(), null);
    assertThatThrownBy(() -> tokens.create("app", Level.READ, Set.of(), null))
        .hasMessage("there is a token \"app\" already");
    assertThatThrownBy(() -> tokens.create("api-token", Level.READ, Set.of(), null))
        .hasMessageContaining("already");
    assertThatThrownBy(() -> tokens.create("a b", Level.READ, Set.of(), null))
        .hasMessageContaining("must match [A-Za-z0-9._-]{1,64}");
    assertThatThrownBy(() -> tokens.create("x", Level.ADMIN, Set.of("work"), null))
        .hasMessageContaining("cannot be limited to databases");
    assertThatThrownBy(() -> tokens.create("x", Level.READ, Set.of(), Duration.ofSeconds(59)))
        .hasMessageContaining("1 minute to 3650 days");
    assertThatThrownBy(() -> Level.parse("root"))
        .hasMessage("scope must be read, write or admin, but is \"root\"");
  }

  @Test
  void create_beyondTheLimit_isRefused() {
    Tokens tokens = Tokens.inMemory("main", now::get, new Random(1));
    for (int i = 0; i < Tokens.MAX_TOKENS; i++) {
      tokens.create("t" + i, Level.READ, Set.of(), null);
    }
    assertThatThrownBy(() -> tokens.create("more", Level.READ, Set.of(), null))
        .hasMessage("there are 1024 tokens, which is the most");
  }

  @Test
  void open_ofADamagedFile_isRefused() throws IOException {
    Files.writeString(directory.resolve("tokens.json"), "{\"format\":2,\"tokens\":[]}");
    assertThatThrownBy(this::open)
        .isInstanceOf(StorageException.OpenFailed.class)
        .hasMessageContaining("tokens.json cannot be read: format 2");
    Files.writeString(directory.resolve("tokens.json"), "nothing");
    assertThatThrownBy(this::open).isInstanceOf(StorageException.OpenFailed.class);
  }

  @Test
  void throttle_countsEachCallerAlone() {
    var throttle = new Throttle(2, 10);
    Caller app = new Caller("app", Level.READ, Set.of());
    Caller other = new Caller("other", Level.READ, Set.of());
    throttle.enter(app, 0);
    throttle.enter(app, 0);
    assertThatThrownBy(() -> throttle.enter(app, 499_000_000))
        .isInstanceOfSatisfying(
            AccessException.class,
            e -> {
              assertThat(e.code()).isEqualTo("API_RATE_LIMITED");
              assertThat(e.retryAfterSeconds()).isEqualTo(1);
            });
    throttle.enter(other, 499_000_000);
    throttle.enter(app, 500_000_000);
    assertThatThrownBy(() -> throttle.enter(app, 500_000_001)).isInstanceOf(AccessException.class);
    assertThat(throttle.refusedRate()).isEqualTo(2);
  }

  @Test
  void throttle_requestsAtOnce_areBounded() {
    var throttle = new Throttle(0, 2);
    Caller app = new Caller("app", Level.READ, Set.of());
    throttle.enter(app, 0);
    throttle.enter(app, 0);
    assertThatThrownBy(() -> throttle.enter(app, 0))
        .hasMessage("\"app\" has 2 requests open, and api.max-concurrent is 2");
    throttle.leave(app);
    throttle.enter(app, 0);
    assertThat(throttle.refusedAtOnce()).isEqualTo(1);
  }

  @Test
  void audit_isBoundedAndNewestFirst() throws IOException {
    Path file = directory.resolve("audit.log");
    AuditLog audit = AuditLog.at(file);
    String filler = "s".repeat(1_000);
    int acts = 5 * AuditLog.FILE_BYTES / 1_000;
    for (int i = 0; i < acts; i++) {
      audit.add(new AuditLog.Entry(i, "who", "POST /api/x", "default", filler, "ok"));
    }
    assertThat(audit.newest(3))
        .extracting(AuditLog.Entry::time)
        .containsExactly(acts - 1L, acts - 2L, acts - 3L);
    int kept = audit.newest(acts).size();
    assertThat(kept).isBetween(acts * 3 / 6, acts - 1);
    try (var files = Files.list(directory)) {
      assertThat(files.toList()).hasSize(1 + AuditLog.OLD_FILES);
    }
    assertThat(Files.size(file)).isLessThanOrEqualTo(AuditLog.FILE_BYTES);
    Files.writeString(file, "{torn", java.nio.file.StandardOpenOption.APPEND);
    assertThat(audit.newest(1)).extracting(AuditLog.Entry::time).containsExactly(acts - 1L);
  }
}
