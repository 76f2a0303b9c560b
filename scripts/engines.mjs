// npm run engines -- prepare|up|down|status|kill|pause|resume|wipe [node]: the real coordinator and log store on the loopback,
// without Docker and without root. They lie in .engines/ and go on running until `down`.
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { fail, root, say } from "./lib.mjs";

/** Each is a module of engines/ that exports `NODES` and the verbs; a verb takes `{ nodes, say }` and throws what is wrong. */
const ENGINES = ["etcd", "cassandra"];

const VERBS = {
  prepare: "build or download what is not there yet; start nothing",
  up: "start what does not run; the first time, prepare it",
  down: "end the processes; their data stays",
  status: "say what runs",
  kill: "kill -9, as a crash does",
  pause: "SIGSTOP: connections stay open and nothing answers",
  resume: "SIGCONT",
  wipe: "end the processes and delete their data; what was built or downloaded stays",
};

const [verb, name, ...rest] = process.argv.slice(2);
const engines = await Promise.all(ENGINES.map(load));
const known = engines.flatMap((engine) => [engine.name, ...engine.NODES]);
if (!Object.hasOwn(VERBS, verb ?? "") || rest.length > 0 || (name !== undefined && !known.includes(name))) {
  fail(
    [
      "usage: npm run engines -- <verb> [node]",
      ...Object.entries(VERBS).map(([each, what]) => `  ${each.padEnd(8)}${what}`),
      `A node is one of ${known.join(", ")}; without one it is all of them.`,
    ].join("\n"),
  );
}
for (const engine of engines) {
  const nodes = name === undefined || name === engine.name ? engine.NODES : engine.NODES.filter((node) => node === name);
  if (nodes.length === 0) continue;
  try {
    await engine[verb]({ nodes, say });
  } catch (error) {
    say(`${engine.name}: ${error.message}`);
    process.exitCode = 1;
  }
}

async function load(engine) {
  return { name: engine, ...(await import(pathToFileURL(fileOf(engine)).href)) };
}

function fileOf(engine) {
  return join(root, "scripts", "engines", `${engine}.mjs`);
}
