import { defineConfig } from "vitest/config";

/** Tests of virtual time end at once; a slow one hangs. Processes and real engines need minutes. */
const project = (name: string, timeoutMs: number) => ({
  extends: true as const,
  test: { name, include: [`test/${name}/**/*.test.ts`], testTimeout: timeoutMs, hookTimeout: timeoutMs },
});

/** One file at a time, and nothing else meanwhile: also when all projects are run at once. */
const alone = (of: ReturnType<typeof project>) => ({ ...of, test: { ...of.test, maxWorkers: 1, sequence: { groupOrder: 1 } } });

export default defineConfig({
  test: {
    environment: "node",
    globals: false,
    // Processes, not threads: the store is a native module, and a test may kill what it started.
    pool: "forks",
    maxWorkers: 2,
    // Modules hold no state between tests (no ambient clock, randomness or registry), so files can share them: half the time.
    isolate: false,
    projects: [
      project("unit", 10_000),
      project("contract", 30_000),
      project("sim", 120_000),
      project("e2e", 300_000),
      project("engines", 300_000),
      alone(project("cluster", 300_000)),
    ],
  },
});
