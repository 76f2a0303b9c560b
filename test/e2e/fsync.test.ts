import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { connect } from "../../src/index.ts";
import { NodeProcess } from "../support/node-process.ts";

const MESSAGES = 50;
const CONVERSATION = "fsync-witness";

const strace = spawnSync("strace", ["-e", "trace=none", "true"]).status === 0;
if (!strace) console.warn("SKIPPED: fsync before ack. It needs strace, and leave to trace a process.");

interface Call {
  readonly line: string;
  /** Its number among the lines: where it began, and where it ended. */
  readonly began: number;
  readonly ended: number;
}

describe.skipIf(!strace)("the disk", () => {
  it("has every acknowledged message before its ack: a sync ends between the store's write and the ack [G2]", async () => {
    const folder = mkdtempSync(join(tmpdir(), "meridian-fsync-"));
    const trace = join(folder, "trace");
    const calls = "trace=pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,fdatasync,fsync,msync";
    const before = ["strace", "-f", "-y", "-s", "65536", "-o", trace, "-e", calls];
    const node = await NodeProcess.start({ data: join(folder, "data"), before });
    const client = await connect({ endpoints: [node.ready.clients], sender: "witness" });
    for (let n = 0; n < MESSAGES; n += 1) {
      const outcome = await client.send(CONVERSATION, marker(n));
      expect(outcome.status).toBe("committed");
    }
    await client.close();
    await node.stop();
    const seen = parseTrace(readFileSync(trace, "latin1"));
    rmSync(folder, { recursive: true, force: true });

    const stored = seen.filter(({ line }) => /^(pwrite64|pwritev|pwritev2|write|writev)\(\d+<[^>]*\.mdb/.test(line));
    const synced = seen.filter(({ line }) => /^(fdatasync|fsync|msync)\(/.test(line) && / = 0$/.test(line));
    const acked = seen.filter(
      ({ line }) => /^(write|writev|sendto|sendmsg)\(\d+<(socket|TCP)/.test(line) && line.includes(CONVERSATION),
    );
    expect(acked.length).toBeGreaterThanOrEqual(MESSAGES);

    const late = Array.from({ length: MESSAGES }, (_, n) => n).filter((n) => {
      const write = stored.find(({ line }) => line.includes(marker(n)));
      const ack = acked[n];
      if (write === undefined || ack === undefined) return true;
      return !synced.some((sync) => sync.began > write.ended && sync.ended < ack.began);
    });
    expect(late).toEqual([]);
  }, 120_000);
});

function marker(n: number): string {
  return `<witness ${n} of the fsync>`;
}

/** Joins what strace splits when several threads are in a call at once: `unfinished ...` and `... resumed`. */
function parseTrace(trace: string): Call[] {
  const open = new Map<string, { readonly line: string; readonly began: number }>();
  return trace.split("\n").flatMap((raw, at) => {
    const [, pid, line] = /^(\d+) +(.*)$/.exec(raw) ?? [];
    if (pid === undefined || line === undefined) return [];
    if (line.endsWith("<unfinished ...>")) {
      open.set(pid, { line: line.slice(0, -"<unfinished ...>".length), began: at });
      return [];
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(line);
    const start = open.get(pid);
    if (resumed === null || start === undefined) return [{ line, began: at, ended: at }];
    open.delete(pid);
    return [{ line: start.line + (resumed[1] as string), began: start.began, ended: at }];
  });
}
