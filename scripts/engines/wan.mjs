// A wide area under servers of this machine: each region is a network namespace, and packets between two of them come late or,
// after a cut, not at all. wan/main.go says how. It needs root on Linux; the delays are those of regions/topology.json.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { root } from "../lib.mjs";
import { cache, cached, isPresent, tool } from "./process.mjs";

const NAME = "meridian";
const SOURCE = join(root, "scripts", "engines", "wan");
/** The machine's own namespace: who is there is near every region, and no cut between regions befalls it. */
const HERE = "root";

/** One that is up. It goes down with this process, however that ends, and takes along what runs in its regions. */
export class Wan {
  #process;
  /** Resolves once it has ended, or could not be started. */
  #end;
  #answers;
  #complaint = "";
  #regions;
  #oneWayMs;

  constructor({ program, file, regions, oneWayMs }) {
    this.#regions = regions;
    this.#oneWayMs = oneWayMs;
    // What waits for its turn on a full machine would come late. In a group of its own, Ctrl-C does not reach it: it hears of our end.
    this.#process = spawn("nice", ["-n", "-20", program, file], { detached: true, stdio: ["pipe", "pipe", "pipe"] });
    this.#end = once(this.#process, "exit").catch(({ message }) => {
      this.#complaint += message;
    });
    // Once it has ended nobody takes commands: whoever waits for the answer is told why.
    this.#process.stdin.on("error", () => {});
    this.#process.stderr.on("data", (chunk) => {
      this.#complaint += chunk;
    });
    this.#answers = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]();
  }

  /** `folder` keeps what it is told at its start. */
  static async up({ folder, say }) {
    const { regions, rttMs } = JSON.parse(readFileSync(join(root, "regions", "topology.json"), "utf8"));
    const names = Object.keys(regions);
    const all = [...names, HERE];
    const between = (from, to) => (rttMs[from]?.[to] ?? rttMs[to]?.[from] ?? 0) / 2;
    const waysOf = (from) => Object.fromEntries(all.map((to) => [to, between(from, to)]));
    const oneWayMs = Object.fromEntries(all.map((from) => [from, waysOf(from)]));
    mkdirSync(folder, { recursive: true });
    const file = join(folder, "wan.json");
    writeFileSync(file, JSON.stringify({ name: NAME, regions: all, oneWayMs }));
    const wan = new Wan({ program: await program(say), file, regions: names, oneWayMs });
    await wan.#answer();
    say(`wan: ${names.length} regions are up`);
    return wan;
  }

  /** By region, in the topology's order: the address that servers there take, and what is put before their command lines. */
  get sites() {
    return this.#regions.map((region, at) => ({
      host: `10.90.${at + 1}.1`,
      before: ["ip", "netns", "exec", `${NAME}-${region}`],
    }));
  }

  oneWayMs(from, to) {
    return this.#oneWayMs[from][to];
  }

  /** From now on nothing that `from` sends reaches `to`, and what is on its way is lost. */
  cut(from, to) {
    return this.#ask(`cut ${from} ${to}`);
  }

  /** Ends all cuts. */
  heal() {
    return this.#ask("heal");
  }

  /** Of each link: packets that it carried, that a cut or a full queue threw away, and by how many milliseconds the latest percent was late. */
  async links() {
    return (await this.#ask("status")).links;
  }

  /** Kills what runs in the regions. */
  async down() {
    this.#process.stdin.end();
    await this.#end;
  }

  #ask(line) {
    this.#process.stdin.write(`${line}\n`);
    return this.#answer();
  }

  async #answer() {
    const { value, done } = await this.#answers.next();
    if (!done) return JSON.parse(value);
    await this.#end;
    throw new Error(`the wide area has ended: ${this.#complaint.trim()}`);
  }
}

/** The program's path; built the first time. Throws all that this machine lacks. */
async function program(say) {
  const version = createHash("sha256")
    .update(readFileSync(join(SOURCE, "main.go")))
    .digest("hex")
    .slice(0, 12);
  const lacks = lacking(existsSync(join(cache, `wan-${version}`)));
  if (lacks.length > 0) throw new Error(lacks.join(" "));
  const folder = await cached(`wan-${version}`, async (draft) => {
    say("wan: building it with Go, once");
    const args = ["build", "-trimpath", "-buildvcs=false", "-o", join(draft, "wan"), "."];
    await tool("go", args, { cwd: SOURCE, env: { CGO_ENABLED: "0" } });
  });
  return join(folder, "wan");
}

function lacking(isBuilt) {
  if (process.platform !== "linux") return ["A wide area needs Linux: it is made of network namespaces."];
  const lacks = [];
  if (process.getuid() !== 0) lacks.push("A wide area needs root, to make network namespaces; run this with sudo.");
  if (!existsSync("/dev/net/tun"))
    lacks.push("/dev/net/tun is not there: load the kernel's module tun, or give the container the device.");
  if (!isPresent(["ip", "-V"])) lacks.push("The command ip is not there. Install iproute2.");
  if (!isBuilt && !isPresent(["go", "version"]))
    lacks.push("The wide area is built with Go 1.26, which is not there. Install it.");
  return lacks;
}
