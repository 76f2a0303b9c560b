import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Database } from "../../src/adapters/lmdb/database.ts";
import { LmdbLogStore } from "../../src/adapters/lmdb/log-store.ts";
import { MemoryLogStore } from "../../src/adapters/memory/log-store.ts";
import { MemoryTelemetry } from "../support/telemetry.ts";
import { logStoreContract } from "./log-store.ts";

logStoreContract("memory", async () => ({ store: new MemoryLogStore(), close: async () => {} }));

logStoreContract("LMDB", async () => {
  const directory = await mkdtemp(join(tmpdir(), "meridian-log-"));
  const database = await Database.open(directory, {
    onOwnerLost: (error) => {
      throw error;
    },
  });
  return {
    store: new LmdbLogStore({ database, telemetry: new MemoryTelemetry() }),
    close: async () => {
      await database.close();
      await rm(directory, { recursive: true });
    },
  };
});
