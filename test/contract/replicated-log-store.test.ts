import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VirtualClock } from "../../sim/clock.ts";
import { Database } from "../../src/adapters/lmdb/database.ts";
import { LmdbLogStore } from "../../src/adapters/lmdb/log-store.ts";
import { MemoryLogStore } from "../../src/adapters/memory/log-store.ts";
import { Links } from "../../src/adapters/wan/links.ts";
import { ReplicatedLogStore, type ReplicatedLogStoreOptions } from "../../src/adapters/wan/replicated-log-store.ts";
import type { LogStore, Row } from "../../src/ports/log-store.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";
import { logStoreContract } from "./log-store.ts";

/**
 * The suite reads its own replica right after a write. With real disks the two others may be the first to have it, and
 * `local` may be stale; so here a write is also waited for at the own replica.
 */
class OwnReplicaToo extends ReplicatedLogStore {
  readonly #own: LogStore;

  constructor(options: ReplicatedLogStoreOptions) {
    super(options);
    this.#own = options.replicas.get(options.region) as LogStore;
  }

  override async append(row: Row): Promise<"committed" | "unknown"> {
    const [outcome] = await Promise.all([super.append(row), this.#own.append(row)]);
    return outcome;
  }
}

/** Ways without a length: the suite lets no virtual time pass. */
function replicated(replicas: ReadonlyMap<string, LogStore>): ReplicatedLogStore {
  const clock = new VirtualClock();
  const regions = [...replicas.keys()];
  const [region = ""] = regions;
  const links = new Links({ clock, regions, oneWayMs: () => 0, coordinator: region });
  return new OwnReplicaToo({
    region,
    replicas,
    links,
    clock,
    telemetry: new MemoryTelemetry(),
    missed: () => {},
    stored: () => {},
  });
}

for (const regions of [["a"], ["a", "b"], ["a", "b", "c"]]) {
  logStoreContract(`replicated, ${regions.length} × memory`, async () => ({
    store: replicated(new Map(regions.map((region) => [region, new MemoryLogStore()]))),
    close: async () => {},
  }));
}

logStoreContract("replicated, 3 × LMDB", async () => {
  const directory = await mkdtemp(join(tmpdir(), "meridian-replicas-"));
  const onOwnerLost = (error: Error) => {
    throw error;
  };
  const open = (region: string) => Database.open(join(directory, region), { onOwnerLost });
  const databases = new Map(await Promise.all(["a", "b", "c"].map(async (region) => [region, await open(region)] as const)));
  const telemetry = new MemoryTelemetry();
  return {
    store: replicated(new Map([...databases].map(([region, database]) => [region, new LmdbLogStore({ database, telemetry })]))),
    close: async () => {
      await Promise.all([...databases.values()].map((database) => database.close()));
      await rm(directory, { recursive: true });
    },
  };
});
