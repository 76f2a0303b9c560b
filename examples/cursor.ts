// A tally of who said how much. Kill it at any time: it never counts twice. `npm run example cursor [file] [conversation]`.
import { existsSync, readFileSync } from "node:fs";
import { rename, writeFile } from "node:fs/promises";
import { connect } from "meridian";

interface Tally {
  /** The last message that is counted here: the cursor. */
  readonly seq: number;
  readonly words: Readonly<Record<string, number>>;
}

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
const [file = ".meridian/tally.json", conversation = "standup"] = process.argv.slice(2);
let tally: Tally = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : { seq: 0, words: {} };
console.log(`counted so far: #${tally.seq} ${JSON.stringify(tally.words)}`);

const client = await connect({ endpoints });
client.subscribe(conversation, {
  cursors: {
    load: () => tally.seq,
    save: () => {}, // The handler has done it.
  },
  onMessage: async ({ seq, sender, body }) => {
    const said = new TextDecoder().decode(body).split(/\s+/).length;
    const next = { seq, words: { ...tally.words, [sender]: (tally.words[sender] ?? 0) + said } };
    // The work and the cursor change together or not at all: a file is renamed in one step.
    await writeFile(`${file}.new`, JSON.stringify(next), { flush: true });
    await rename(`${file}.new`, file);
    tally = next;
    console.log(`#${seq} ${JSON.stringify(tally.words)}`);
  },
});
