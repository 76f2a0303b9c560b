import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { anyPortsTopology } from "../support/any-ports.ts";
import { RegionsProcess } from "../support/node-process.ts";

const ROOT = new URL("../..", import.meta.url).pathname;
const MAIN = join(ROOT, "dist", "cli", "main.js");

/** What is run elsewhere: by demo.test.ts, regions.test.ts, one-node tests, and by whoever runs this. */
const ELSEWHERE = ["npm run demo", "npm start", "npm start -- --regions 1", "npm test", "npm run test:fast", "npm run check"];

let directory: string;
let regions: RegionsProcess;

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "meridian-readme-"));
  regions = await RegionsProcess.start({ data: join(directory, "data"), topology: await anyPortsTopology(directory) });
});

afterAll(async () => {
  await regions.kill();
  await rm(directory, { recursive: true, force: true });
});

/** Every command of the README's blocks: lines behind `$ ` of what was seen on a terminal, and lines of what is to be typed. */
async function commands(): Promise<readonly string[]> {
  const text = await readFile(join(ROOT, "README.md"), "utf8");
  const shown = [...text.matchAll(/^```console\n(.*?)^```/gms)].flatMap(([, block = ""]) => block.split("\n"));
  const typed = [...text.matchAll(/^```sh\n(.*?)^```/gms)].flatMap(([, block = ""]) => block.split("\n"));
  const all = [
    ...shown.filter((line) => line.startsWith("$ ")).map((line) => line.slice(2)),
    ...typed.filter((line) => line !== ""),
  ];
  return all.map((line) => line.replace(/\s+#.*$/, ""));
}

async function run(command: string): Promise<{ readonly code: number; readonly said: string }> {
  const words = [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? "");
  const file = (word: string) => (word.startsWith("test/") ? join(ROOT, word) : word);
  const env = { ...process.env, MERIDIAN_ADMIN: regions.admin };
  const child = spawn(process.execPath, [MAIN, ...words.slice(2).map(file)], {
    cwd: directory,
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk) => {
      said += String(chunk);
    });
  }
  const [code] = await once(child, "close");
  return { code: Number(code), said };
}

describe("the README's commands", () => {
  it("work one after the other as they stand there", async () => {
    const own = (await commands()).filter((command) => !ELSEWHERE.includes(command));
    expect(own.length).toBeGreaterThan(4);
    for (const command of own) {
      expect([command, command.startsWith("npx meridian ")]).toEqual([command, true]);
      const { code, said } = await run(command);
      // How long a takeover took on a busy machine is no matter of right or wrong; what was lost is.
      if (command === "npx meridian drill") expect(said).toContain("RPO holds");
      else expect([command, code, said]).toEqual([command, 0, expect.any(String)]);
    }
  });

  it("are all named that are run elsewhere", async () => {
    const all = await commands();
    expect(ELSEWHERE.filter((command) => !all.includes(command) && command !== "npm start -- --regions 1")).toEqual([]);
  });
});
