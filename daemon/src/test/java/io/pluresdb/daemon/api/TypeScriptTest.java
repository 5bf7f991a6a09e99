package io.pluresdb.daemon.api;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/** The generated TypeScript client: the strict compiler takes it, and it works on both sockets. */
@Timeout(300)
class TypeScriptTest {
  private static final String PACKAGES =
      "{\"type\":\"module\",\"dependencies\":{\"typescript\":\"5.9.3\",\"@types/node\":\"20.19.0\"}}";

  private static final String PROGRAM =
      """
      import {PluresDb, PluresDbError, Target} from './pluresdb.js';
      import assert from 'node:assert/strict';

      async function check(target: Target, mark: string) {
        const db = new PluresDb(target);
        const id = 'ts ü/' + mark;
        await db.put({id, data: {n: 1, list: ['ü']}});
        assert.deepEqual((await db.get({id})).data, {n: 1, list: ['ü']});
        await db.patch({id, patch: {n: 2}});
        const ids: string[] = [];
        for await (const document of db.list({prefix: 'ts '})) ids.push(document.id);
        assert.ok(ids.includes(id));
        await assert.rejects(db.get({id: 'none'}), (error: unknown) =>
          error instanceof PluresDbError && error.status === 404
            && error.code === 'CORE_NODE_NOT_FOUND' && error.hint !== '');
        await assert.rejects(
          db.put({id, data: 3}, {}, {headers: {'if-match': '"other"'}}),
          (error: unknown) => error instanceof PluresDbError && error.status === 412);
        const lines = (async function* () {
          for (let i = 0; i < 5000; i++) yield {id: 'many' + i, data: 'x'.repeat(100)};
        })();
        assert.equal((await db.import(lines)).imported, 5000);
        let events = 0;
        for await (const event of db.watch({since: 0, prefix: 'ts '})) {
          assert.ok(event.id !== undefined);
          if (event.data.type === 'upsert' && ++events === 1) break;
        }
        const found = await db.query(
          {sql: 'SELECT id, n FROM documents WHERE id = ?', params: [id]});
        assert.deepEqual(found.columns, ['id', 'n']);
        assert.deepEqual(found.rows, [[id, 2]]);
        await assert.rejects(db.query({sql: 'SELEC'}), (error: unknown) =>
          error instanceof PluresDbError && error.code === 'CORE_SQLITE_ERROR');
        const exported: string[] = [];
        for await (const line of db.export({prefix: 'ts '})) {
          if ('id' in line) exported.push(line.id);
        }
        assert.ok(exported.includes(id));
        assert.match(await db.metrics(), /pluresdb_documents/);
        assert.equal((await db.status()).databases[0].name, 'default');
        db.close();
      }

      const [port, token, socketPath] = process.argv.slice(2);
      await check({port: Number(port), token}, 'tcp');
      await check({socketPath}, 'unix');
      console.log('all good');
      """;

  @TempDir Path directory;

  private record Ended(int code, String output) {}

  private static Ended run(Path in, List<String> command) throws IOException, InterruptedException {
    Path out = in.resolve("output.txt");
    Process process =
        new ProcessBuilder(command)
            .directory(in.toFile())
            .redirectErrorStream(true)
            .redirectOutput(out.toFile())
            .start();
    if (!process.waitFor(200, TimeUnit.SECONDS)) {
      process.destroyForcibly();
    }
    return new Ended(process.waitFor(), Files.readString(out));
  }

  private static void skip(String why) {
    System.out.println("SKIPPED: the TypeScript client is not tested: " + why);
    Assumptions.abort(why);
  }

  @Test
  void generatedClient_compilesStrictlyAndWorks() throws Exception {
    Files.writeString(directory.resolve("pluresdb.ts"), Api.typeScript("0.0.0-test"));
    Files.writeString(directory.resolve("program.ts"), PROGRAM);
    Files.writeString(directory.resolve("package.json"), PACKAGES);
    try {
      Ended installed = run(directory, List.of("npm", "install", "--no-audit", "--no-fund"));
      if (installed.code() != 0) {
        skip("npm cannot install the compiler: " + installed.output());
      }
    } catch (IOException e) {
      skip("there is no npm: " + e.getMessage());
    }
    Ended compiled =
        run(
            directory,
            List.of(
                "node",
                "node_modules/typescript/bin/tsc",
                "--strict",
                "--target",
                "es2022",
                "--module",
                "nodenext",
                "--types",
                "node",
                "program.ts"));
    assertThat(compiled.output()).isEmpty();
    assertThat(compiled.code()).isZero();
    try (Served served = Served.withDefaults()) {
      Ended ended =
          run(
              directory,
              List.of(
                  "node",
                  "program.js",
                  Integer.toString(served.port()),
                  Served.TOKEN,
                  served.directory.resolve("pluresdb.sock").toString()));
      assertThat(ended.output()).isEqualTo("all good\n");
    }
  }

  @Test
  void generatedClient_isTheSameEachTime() {
    assertThat(Api.typeScript("1").getBytes(StandardCharsets.UTF_8))
        .isEqualTo(Api.typeScript("1").getBytes(StandardCharsets.UTF_8));
    assertThat(Api.typeScript("1")).contains("conflictsResolve(body: {id: Id, ");
  }
}
