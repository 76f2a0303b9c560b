/** Where a node tells its operator what happens. Never throws, never waits. */
export interface Telemetry {
  /** One structured line. `event` is a stable dotted name such as `lease.lost`; `fields` carry the rest. */
  log(level: "debug" | "info" | "warn" | "error", event: string, fields?: Fields): void;

  /** Adds `by` (default 1) to a counter named as in docs/operating.md. */
  count(counter: string, by?: number): void;
}

export type Fields = Readonly<Record<string, string | number | bigint | boolean | undefined>>;
