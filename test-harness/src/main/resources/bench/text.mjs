// Replays a trace, each edit its own transaction, and prints seconds and bytes.
// node text.mjs yjs|automerge|automerge-once TRACE, the trace being lines of [position, deleted, inserted].
import fs from "node:fs";
import { performance } from "node:perf_hooks";

const [kind, file] = process.argv.slice(2);
const { edits, end } = JSON.parse(fs.readFileSync(file, "utf8"));
let replay;
let text;
let save;

if (kind === "yjs") {
  const Y = await import("yjs");
  const doc = new Y.Doc();
  const shared = doc.getText("text");
  let updates = 0;
  doc.on("update", (update) => (updates += update.length));
  replay = () => {
    for (const [at, deleted, inserted] of edits) {
      doc.transact(() => {
        if (deleted > 0) shared.delete(at, deleted);
        if (inserted !== "") shared.insert(at, inserted);
      });
    }
  };
  text = () => shared.toString();
  save = () => [Y.encodeStateAsUpdate(doc).length, updates];
} else {
  const A = await import("@automerge/automerge");
  let doc = A.from({ text: "" });
  replay = () => {
    if (kind === "automerge-once") {
      doc = A.change(doc, (d) => {
        for (const [at, deleted, inserted] of edits) A.splice(d, ["text"], at, deleted, inserted);
      });
      return;
    }
    for (const [at, deleted, inserted] of edits) {
      doc = A.change(doc, (d) => A.splice(d, ["text"], at, deleted, inserted));
    }
  };
  text = () => doc.text;
  save = () => {
    const all = A.getAllChanges(doc).reduce((sum, change) => sum + change.length, 0);
    return [A.save(doc).length, all];
  };
}

const begun = performance.now();
replay();
const seconds = (performance.now() - begun) / 1000;
if (text() !== end) {
  console.error("the replayed text is not the expected one");
  process.exit(1);
}
const [saved, changes] = save();
console.log(JSON.stringify({ seconds, saved, changes }));
