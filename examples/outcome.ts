// Every end that a send can have; one that is not known is settled by the next start: `npm run example outcome [file]`.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { connect, type Outcome } from "meridian";

const endpoints = process.env.MERIDIAN_ENDPOINTS?.split(",") ?? ["127.0.0.1:7401", "127.0.0.1:7402", "127.0.0.1:7403"];
const [file = ".meridian/unknown-sends.txt"] = process.argv.slice(2);
await using client = await connect({ endpoints, sender: "ada" });

const unknown = new Set(existsSync(file) ? readFileSync(file, "utf8").match(/\S+/g) : []);

function report(what: string, outcome: Outcome): void {
  // Kept before anybody is told: this process may end at any moment.
  if (outcome.status === "unknown") unknown.add(outcome.retryKey);
  writeFileSync(file, [...unknown].join("\n"));
  switch (outcome.status) {
    case "committed": // It stands there for good, for everybody.
      console.log(`${what}: committed as #${outcome.seq}`);
      break;
    case "rejected": // It was refused and will never stand there: mend what the error says.
      console.log(`${what}: rejected, ${outcome.error.code}: ${outcome.error.advice}`);
      break;
    case "expired": // It was given up and will never stand there: it may be sent anew.
      console.log(`${what}: expired, ${outcome.error.message}`);
      break;
    case "unknown": // It may stand there, and sent anew it might stand there twice: keep its key and ask later.
      console.log(`${what}: unknown, ${outcome.retryKey} is kept`);
  }
}

for (const retryKey of [...unknown]) {
  const outcome = await client.resolve(retryKey);
  unknown.delete(retryKey);
  report("an earlier send", outcome);
}

// For an unknown one: Ctrl-Z where the node runs, send a line, end this, wake the node (fg), and start this again.
for await (const line of createInterface({ input: process.stdin })) {
  report(line, await client.send("outcomes", line, { deadlineMs: 1_000 }));
}
