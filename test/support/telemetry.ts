import type { Fields, Telemetry } from "../../src/ports/telemetry.ts";

interface Line {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly event: string;
  readonly fields: Fields;
}

/** Keeps what it is told. */
export class MemoryTelemetry implements Telemetry {
  readonly lines: Line[] = [];
  readonly counters = new Map<string, number>();

  log(level: Line["level"], event: string, fields: Fields = {}): void {
    this.lines.push({ level, event, fields });
  }

  count(counter: string, by = 1): void {
    this.counters.set(counter, (this.counters.get(counter) ?? 0) + by);
  }

  events(): string[] {
    return this.lines.map(({ event }) => event);
  }
}
