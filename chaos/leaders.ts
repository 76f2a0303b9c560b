import type { Fleet } from "../src/cli/load/fleet.ts";
import { eachOf } from "../src/cli/load/window.ts";
import { MeridianError } from "../src/kernel/errors.ts";
import { sleep } from "../src/kernel/timing.ts";
import type { EpochChange } from "../src/verify/record.ts";
import { clock } from "./clock.ts";

export interface Led {
  /** The name of the node that leads. */
  readonly leader: string;
  readonly epoch: bigint;
}

const ASKED_AT_ONCE = 8;
const POLL_MS = 100;
/** Leaders come back well within it, whatever befell them. */
const LED_MS = 90_000;

/** Who leads what, asked from a region whose nodes are not the ones that are broken. */
export class Leaders {
  readonly #fleet: Fleet;
  readonly #conversations: readonly string[];

  constructor(fleet: Fleet, conversations: readonly string[]) {
    this.#fleet = fleet;
    this.#conversations = conversations;
  }

  /** All of them; waits for those that nobody leads. */
  async now(): Promise<ReadonlyMap<string, Led>> {
    const led = new Map<string, Led>();
    await eachOf(this.#conversations, ASKED_AT_ONCE, async (conversation) => {
      const found = await this.#until(conversation, () => true);
      if (found !== undefined) led.set(conversation, found);
    });
    return led;
  }

  /** The node that leads most, and what it leads. */
  async busiest(): Promise<{ readonly node: string; readonly led: ReadonlyMap<string, bigint> }> {
    const all = await this.now();
    const byNode = new Map<string, Map<string, bigint>>();
    for (const [conversation, { leader, epoch }] of all) {
      const led = byNode.get(leader) ?? new Map<string, bigint>();
      byNode.set(leader, led.set(conversation, epoch));
    }
    const [first] = [...byNode].sort(([, a], [, b]) => b.size - a.size);
    if (first === undefined) throw new Error("nobody leads anything");
    return { node: first[0], led: first[1] };
  }

  /** Waits until each of them is led under a higher epoch. Those that are not are left out. */
  async risen(before: ReadonlyMap<string, bigint>): Promise<readonly EpochChange[]> {
    const changes: EpochChange[] = [];
    await eachOf(before, ASKED_AT_ONCE, async ([conversation, epoch]) => {
      const found = await this.#until(conversation, (led) => led.epoch > epoch);
      if (found !== undefined) changes.push({ conversation, before: String(epoch), after: String(found.epoch) });
    });
    return changes;
  }

  async #until(conversation: string, isWanted: (led: Led) => boolean): Promise<Led | undefined> {
    const regions = this.#fleet.regions;
    for (let at = 0, endMs = clock.monotonicMs() + LED_MS; clock.monotonicMs() < endMs; at += 1) {
      try {
        // Another region each time: the first may be the one that is cut off.
        const { leader, epoch } = await this.#fleet.client(regions[at % regions.length] as string).client.locate(conversation);
        if (leader !== "" && isWanted({ leader, epoch })) return { leader, epoch };
      } catch (thrown) {
        if (MeridianError.from(thrown).retry === "never") throw thrown;
      }
      await sleep(clock, POLL_MS);
    }
    return undefined;
  }
}
