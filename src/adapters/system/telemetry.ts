import type { Fields, Telemetry } from "../../ports/telemetry.ts";

type Level = Parameters<Telemetry["log"]>[0];

const RANK: Readonly<Record<Level, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** Logs as lines of JSON on stderr, from a level up; counters are kept and can be asked for. */
export class ConsoleTelemetry implements Telemetry {
  readonly #rank: number;
  readonly #write: (line: string) => void;
  readonly #fields: Fields;
  readonly #counters = new Map<string, number>();

  /** `fields` stand in every line. */
  constructor(options: { readonly level: Level; readonly write?: (line: string) => void; readonly fields?: Fields }) {
    this.#rank = RANK[options.level];
    this.#fields = options.fields ?? {};
    this.#write = options.write ?? ((line) => process.stderr.write(line));
  }

  log(level: Level, event: string, fields: Fields = {}): void {
    if (RANK[level] < this.#rank) return;
    const line = { time: new Date().toISOString(), level, event, ...this.#fields, ...fields };
    this.#write(`${JSON.stringify(line, bigintsAsText)}\n`);
  }

  count(counter: string, by = 1): void {
    this.#counters.set(counter, (this.#counters.get(counter) ?? 0) + by);
  }

  counters(): ReadonlyMap<string, number> {
    return this.#counters;
  }
}

/** JSON has no integers above 2⁵³: ids and epochs go as decimal text. */
function bigintsAsText(_key: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}
