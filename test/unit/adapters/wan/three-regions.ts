import { VirtualClock } from "../../../../sim/clock.ts";
import { MemoryLogStore } from "../../../../src/adapters/memory/log-store.ts";
import { Links } from "../../../../src/adapters/wan/links.ts";
import type { Replica } from "../../../../src/adapters/wan/replica.ts";
import { ReplicatedLogStore } from "../../../../src/adapters/wan/replicated-log-store.ts";
import type { LogStore, Row } from "../../../../src/ports/log-store.ts";
import { MemoryTelemetry } from "../../../support/telemetry.ts";

export const REGIONS = ["us", "eu", "ap"] as const;
export type RegionName = (typeof REGIONS)[number];

/** One way in milliseconds. */
const WAYS: Readonly<Record<string, number>> = { "eu us": 40, "ap eu": 80, "ap us": 108 };

export const oneWayMs = (a: string, b: string) => WAYS[[a, b].sort().join(" ")] ?? Number.NaN;

/** Three regions as the topology has them, a memory replica in each, and the coordinator in eu. */
export class ThreeRegions {
  readonly clock = new VirtualClock();
  readonly telemetry = new MemoryTelemetry();
  readonly links = new Links({ clock: this.clock, regions: REGIONS, oneWayMs, coordinator: "eu" });
  readonly replicas: Readonly<Record<RegionName, MemoryLogStore>> = {
    us: new MemoryLogStore(),
    eu: new MemoryLogStore(),
    ap: new MemoryLogStore(),
  };
  /** Regions of which a store said that they missed a write, in order. */
  readonly missed: string[] = [];

  /** The store of a node in this region; `replicas` instead of the memory ones. */
  store(region: RegionName, replicas: Readonly<Partial<Record<RegionName, LogStore>>> = {}): ReplicatedLogStore {
    return new ReplicatedLogStore({
      region,
      replicas: new Map<string, LogStore>(Object.entries({ ...this.replicas, ...replicas })),
      links: this.links,
      clock: this.clock,
      telemetry: this.telemetry,
      missed: (missing) => this.missed.push(missing),
      stored: () => {},
    });
  }

  /** Runs the work on virtual time; answers its result and how long it took. */
  async timed<T>(work: () => Promise<T>): Promise<{ readonly result: T; readonly ms: number }> {
    const startMs = this.clock.monotonicMs();
    const result = await this.clock.until(work());
    return { result, ms: this.clock.monotonicMs() - startMs };
  }
}

export function row(firstSeq: number, epoch = 1n, text = `batch ${firstSeq} of ${epoch}`, conversation = "standup"): Row {
  return { conversation, firstSeq, epoch, bytes: Buffer.from(text) };
}

/** Everything that a replica holds, in an order that does not depend on the replica's own. */
export async function contentOf(replica: Replica) {
  const rows = await replica.rowsOf(await replica.scanRows(undefined, 1_000_000), Number.POSITIVE_INFINITY);
  const cursors = await replica.scanCursors(undefined, 1_000_000);
  const checkpoints = [];
  for (const { conversation } of await replica.scanCheckpoints(undefined, 1_000_000)) {
    const stored = await replica.loadCheckpoint(conversation);
    checkpoints.push(`${conversation} ${stored?.epoch}/${stored?.seq} ${Buffer.from(stored?.bytes ?? []).toString("hex")}`);
  }
  return {
    rows: rows
      .map(
        ({ conversation, firstSeq, epoch, bytes }) =>
          `${conversation}#${firstSeq}/${epoch} ${Buffer.from(bytes).toString("hex")}`,
      )
      .sort(),
    checkpoints: checkpoints.sort(),
    cursors: cursors
      .map(({ cursor, position }) => `${cursor.conversation} ${cursor.consumer} ${position.generation}/${position.seq}`)
      .sort(),
    marks: (await replica.epochMarks()).map(({ shard, epoch }) => `${shard} ${epoch}`).sort(),
  };
}
