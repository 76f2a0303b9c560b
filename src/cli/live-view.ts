import type { Timers } from "../kernel/timing.ts";
import type { Streams } from "./output.ts";

/** One region as it is now. */
export interface RegionLook {
  readonly region: string;
  readonly state: "up" | "lost" | "catching up" | "joining";
  /** How many conversations it leads. */
  readonly leads: number;
  /** Messages that it has given a seq since its start. */
  readonly ordered: number;
  /** How long batches took lately from their leader to this region's disk; undefined if there were none. */
  readonly lagMs: number | undefined;
  /** Sessions of clients. */
  readonly clients: number;
}

const REFRESH_MS = 1_000;

/** Shows on a terminal, below all that is printed, how each region is, every second; elsewhere only what changes. */
export class LiveView {
  readonly #streams: Streams;
  readonly #timers: Timers;
  readonly #look: () => readonly RegionLook[];
  /** Lines of the table that stand on the screen now. */
  #lines = 0;
  #last: readonly RegionLook[] = [];
  #cancel: () => void = () => {};

  constructor(options: { readonly streams: Streams; readonly timers: Timers; readonly look: () => readonly RegionLook[] }) {
    this.#streams = options.streams;
    this.#timers = options.timers;
    this.#look = options.look;
  }

  start(): void {
    const before = this.#last;
    this.#last = this.#look();
    for (const [at, { region, state }] of this.#last.entries()) {
      if (before[at] !== undefined && before[at].state !== state) this.print(`${region} is ${state}\n`);
    }
    this.#draw(tableOf(this.#last, before));
    this.#cancel = this.#timers.after(REFRESH_MS, () => this.start());
  }

  /** Prints a text, which ends with a line feed, above the table. */
  print(text: string): void {
    const erase = this.#lines === 0 ? "" : `\x1b[${this.#lines}A\x1b[J`;
    this.#lines = 0;
    this.#streams.stderr(`${erase}${text}`);
  }

  /** The last table stays on the screen. */
  stop(): void {
    this.#cancel();
    this.#lines = 0;
  }

  #draw(table: readonly string[]): void {
    if (!this.#streams.stderrIsTerminal) return;
    this.print(`${table.join("\n")}\n`);
    this.#lines = table.length;
  }
}

/** The table's lines; rates are what came since `before`, a second earlier. */
export function tableOf(looks: readonly RegionLook[], before: readonly RegionLook[]): readonly string[] {
  const rows = looks.map((look, at) => {
    const ordered = before[at] === undefined ? 0 : look.ordered - before[at].ordered;
    const lag = look.lagMs === undefined ? "-" : `${Math.round(look.lagMs)} ms`;
    return [look.region, look.state, String(look.leads), String(ordered), lag, String(look.clients)];
  });
  const all = [["region", "state", "leads", "msg/s", "lag", "clients"], ...rows];
  const widths = all[0]?.map((_, column) => Math.max(...all.map((row) => row[column]?.length ?? 0))) ?? [];
  const aligned = (row: readonly string[]) =>
    row.map((cell, column) => (column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))).join("  ");
  return ["", ...all.map((row) => `  ${aligned(row)}`)];
}
