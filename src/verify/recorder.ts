import type { Client } from "../client/client.ts";
import { hash128 } from "../kernel/hash.ts";
import { type FaultLine, RECORD_VERSION, type RecordLine } from "./record.ts";
import { type RecordSink, RecordWriter } from "./record-writer.ts";
import { RecordedClient } from "./recorded-client.ts";

/** A line without its time. */
export type Untimed<L extends RecordLine = RecordLine> = L extends { readonly atMs: number } ? Omit<L, "atMs"> : never;

export interface RecorderOptions {
  readonly sink: RecordSink;
  readonly clock: { wallMs(): number };
  /** What is recorded, in a few words. */
  readonly about: string;
  readonly regions: readonly string[];
  readonly conversations: readonly string[];
}

/**
 * Records a run: clients are used through it, and faults are told to it. Each send gets a traceparent of its own, which comes
 * back with its deliveries, so that two people who say "yes" are told apart.
 */
export class Recorder {
  readonly #clock: RecorderOptions["clock"];
  readonly #writer: RecordWriter;
  readonly #trace: string;
  #sends = 0;

  constructor({ sink, clock, about, regions, conversations }: RecorderOptions) {
    this.#clock = clock;
    this.#writer = new RecordWriter(sink);
    const startedAtMs = clock.wallMs();
    this.#trace = hash128([new TextEncoder().encode(JSON.stringify([about, startedAtMs, conversations]))]);
    this.#writer.write({ t: "header", version: RECORD_VERSION, about, startedAtMs, regions, conversations });
  }

  /** The same client, recorded from now on. `name` is unique in this record; `region` is the one that the client lives in. */
  client(client: Client, options: { readonly name: string; readonly region: string }): RecordedClient {
    return new RecordedClient(this, client, options);
  }

  fault(fault: Omit<Untimed<FaultLine>, "t">): void {
    this.write({ t: "fault", ...fault });
  }

  write(line: Untimed): void {
    this.#writer.write({ ...line, atMs: this.#clock.wallMs() });
  }

  /** Resolves once there is room for what a send or a delivery writes. Throws when the record cannot be written. */
  room(): Promise<void> {
    return this.#writer.room();
  }

  /** Another one for each send: the run, and the number of the send in it. */
  nextTraceparent(): string {
    this.#sends += 1;
    return `00-${this.#trace}-${this.#sends.toString(16).padStart(16, "0")}-01`;
  }

  /** Call it after the last line. Resolves once all is written; throws when it cannot be. */
  end(): Promise<void> {
    return this.#writer.end(this.#clock.wallMs());
  }
}
