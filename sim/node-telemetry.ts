import type { Fields, Telemetry } from "../src/ports/telemetry.ts";
import type { Trace } from "./trace.ts";
import type { Witness } from "./witness.ts";

/** Errors that only a bug brings about: no fault of the world explains them. */
const BUGS = new Set([
  "rpc.bug",
  "leader.failed",
  "sequencer.background",
  "membership.background-failed",
  "feed.failed",
  "checkpoint.failed",
  "coordinator.failed",
  "coordinator.key-unreadable",
  "coordinator.rewound",
  "log.row_damaged",
]);

/** Too frequent to tell anything. */
const HUSHED = new Set([
  "lease.renewal-missed",
  "claim.taken",
  "claim.lost",
  "claim.mark-failed",
  "feed.ended",
  "membership.not-joined",
]);

/** Tells the trace, in words, what a node tells its operator, and the witness what must not be. */
export class NodeTelemetry implements Telemetry {
  readonly #who: string;
  readonly #trace: Trace;
  readonly #witness: Witness;
  readonly #changed: () => void;
  readonly #expected: ReadonlySet<string>;

  /** `changed`: a leadership has begun or is about to end. `expected`: what is no bug in this history. */
  constructor(
    who: string,
    trace: Trace,
    witness: Witness,
    changed: () => void = () => {},
    expected: ReadonlySet<string> = new Set(),
  ) {
    this.#who = who;
    this.#trace = trace;
    this.#witness = witness;
    this.#changed = changed;
    this.#expected = expected;
  }

  log(level: "debug" | "info" | "warn" | "error", event: string, fields: Fields = {}): void {
    if (event === "leader.opened") {
      this.#trace.say(`${this.#who} leads ${fields.conversation} from #${fields.seq} on, under epoch ${fields.epoch}`);
      this.#changed();
      return;
    }
    if (event === "lease.ended" || event === "leader.lost") this.#changed();
    if (level === "debug" || HUSHED.has(event)) return;
    const told = Object.entries(fields)
      .filter(([name]) => name !== "stack")
      .map(([name, value]) => `${name} ${value}`)
      .join(", ");
    this.#trace.say(`${this.#who}: ${event}${told === "" ? "" : ` (${told})`}`);
    if (event === "feed.fork") this.#witness.breach("G1", `${this.#who} saw two histories: ${told}`);
    else if (BUGS.has(event) && !this.#expected.has(event))
      this.#witness.breach("bug", `${this.#who}: ${event} (${told}) ${String(fields.stack ?? "")}`);
  }

  count(): void {}
}
