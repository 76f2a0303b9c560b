import { describe, expect, it } from "vitest";
import { SeededRandom } from "../../../sim/random.ts";
import { IdLayout } from "../../../src/ids/layout.ts";
import { IdWorld, isClaim, isFence, type TestNode } from "./world.ts";

const SLOTS = 4;
const STEPS = 400;

/**
 * Four places for nodes, and eight worker numbers, so that numbers are used again and again. Everything that happens follows
 * from the seed. The world throws when an id comes a second time or does not lie above the conversation's last one.
 */
async function live(seed: number): Promise<{ readonly blocks: number; readonly workers: ReadonlySet<number> }> {
  const random = new SeededRandom(seed);
  const world = new IdWorld(new IdLayout({ timeBits: 48, workerBits: 3, counterBits: 12 }));
  const nodes: TestNode[] = [];
  const workers = new Set<number>();
  let lastIds = [0n, 0n, 0n];
  let blocks = 0;
  let lives = 0;
  const begin = (slot: number) => {
    lives += 1;
    const node = world.node(`n${slot}-${lives}`);
    node.clock.aheadMs = random.below(400) - 200;
    nodes[slot] = node;
    node.start();
  };
  for (let slot = 0; slot < SLOTS; slot += 1) begin(slot);

  for (let step = 0; step < STEPS; step += 1) {
    const slot = random.below(SLOTS);
    const node = nodes[slot] as TestNode;
    const fate = { applyAfterMs: random.below(5_000) };
    switch (random.below(12)) {
      case 0:
        node.clock.aheadMs = random.below(10_001) - 5_000;
        break;
      case 1:
        node.clock.aheadMs = 0;
        break;
      case 2:
        await world.time.until(node.stop());
        begin(slot);
        break;
      case 3:
        await world.time.until(node.kill());
        begin(slot);
        break;
      case 4:
        node.way.loseNext(fate, { when: isFence, answerAfterMs: random.below(600) });
        break;
      case 5:
        node.way.loseNext(fate, { when: isClaim, answerAfterMs: random.below(600) });
        break;
      case 6:
        if (random.chance(1, 2)) node.way.cut();
        else node.way.heal();
        break;
      default:
        await world.time.advance(random.below(500));
    }
    for (const issuer of nodes) {
      const conversation = random.below(lastIds.length);
      const count = 1 + random.below(random.chance(1, 4) ? 4_096 : 128);
      const block = world.block(issuer, count, { log: lastIds[conversation] ?? 0n, client: lastIds[0] ?? 0n });
      if (block.kind !== "block") continue;
      blocks += 1;
      workers.add(world.layout.decompose(block.first).worker);
      lastIds = lastIds.map((id, at) => (at === conversation ? block.first + BigInt(count) - 1n : id));
    }
  }
  for (const node of nodes) await world.time.until(node.stop());
  return { blocks, workers };
}

describe("ids of four nodes", () => {
  it.each(Array.from({ length: 12 }, (_, at) => at + 1))(
    "are unique and grow in each conversation through clock steps, restarts, crashes, cuts and late transactions, seed %i [G5]",
    async (seed) => {
      const { blocks, workers } = await live(seed);
      expect(blocks).toBeGreaterThan(100);
      expect(workers.size).toBeGreaterThan(SLOTS);
    },
  );
});
