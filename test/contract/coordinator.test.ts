import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { VirtualClock } from "../../sim/clock.ts";
import { LmdbCoordinator } from "../../src/adapters/lmdb/coordinator.ts";
import { Database } from "../../src/adapters/lmdb/database.ts";
import { MemoryCoordinator } from "../../src/adapters/memory/coordinator.ts";
import { LateCoordinator } from "../support/late-coordinator.ts";
import { coordinatorContract } from "./coordinator.ts";

coordinatorContract("memory", async () => {
  const clock = new VirtualClock();
  const coordinator = new MemoryCoordinator({ clock });
  return {
    coordinator,
    clock,
    pass: (durationMs) => clock.advance(durationMs),
    compact: async (revision) => coordinator.compact(revision),
    close: async () => {},
  };
});

coordinatorContract("memory, through a LateCoordinator that was ordered nothing", async () => {
  const clock = new VirtualClock();
  const coordinator = new MemoryCoordinator({ clock });
  return {
    coordinator: new LateCoordinator(coordinator, clock),
    clock,
    pass: (durationMs) => clock.advance(durationMs),
    compact: async (revision) => coordinator.compact(revision),
    close: async () => {},
  };
});

// Real time and a real disk, but leases live in virtual time: the coordinator's own I/O is simply awaited.
coordinatorContract("LMDB", async () => {
  const clock = new VirtualClock();
  const directory = await mkdtemp(join(tmpdir(), "meridian-coordinator-"));
  const database = await Database.open(directory, {
    onOwnerLost: (error) => {
      throw error;
    },
  });
  const coordinator = await LmdbCoordinator.open(database, clock);
  return {
    coordinator,
    clock,
    pass: (durationMs) => clock.advance(durationMs),
    compact: async (revision) => coordinator.compact(revision),
    close: async () => {
      await coordinator.close();
      await database.close();
      await rm(directory, { recursive: true });
    },
  };
});
