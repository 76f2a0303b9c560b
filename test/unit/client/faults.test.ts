import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import type { Outcome } from "../../../src/client/outcome.ts";
import type { SessionRequest } from "../../../src/gen/meridian/v1/client_pb.ts";
import type { Batch } from "../../../src/log/batch.ts";
import { type Peer, type ScriptedGateway, type ScriptedLog, World } from "./scripted-gateway.ts";

const SENDERS = ["ada", "bob"];
const SENDS = 60;

/** What nodes and networks do to a client, drawn anew for each frame. */
function misbehave(random: SeededRandom, clock: VirtualClock, isOver: () => boolean) {
  return (peer: Peer, frame: SessionRequest["frame"]): boolean => {
    if (isOver() || frame.case === "hello") return false;
    if (random.chance(1, 60)) {
      peer.break();
      return true;
    }
    if (frame.case === "submit") {
      const submit = frame.value;
      const log = peer.gateway.world.log(submit.conversation);
      const fate = random.below(12);
      // Lost before the leader; lost after it; refused; late.
      if (fate === 0) return true;
      if (fate === 1) return submit.items.every((_, i) => log.submit(submit, i) !== undefined);
      if (fate === 2) peer.refuse(submit, random.chance(1, 4) ? "KEY_CONFLICT" : "OVERLOADED");
      if (fate === 3) clock.after(random.below(400), () => peer.submit(submit));
      return fate === 2 || fate === 3;
    }
    if (frame.case === "fetch" && random.chance(1, 3)) {
      const answer = { case: "entries" as const, value: { batches: [] } };
      peer.send({ case: "fetched", value: { request: frame.value.request, answer } });
      return true;
    }
    return false;
  };
}

/** Deliveries get lost, come twice and in the wrong order. */
function scramble(gateway: ScriptedGateway, random: SeededRandom, isOver: () => boolean): void {
  gateway.deliver = (peer: Peer, subscription: bigint, batch: Batch) => {
    const copies = isOver() ? 1 : random.below(3);
    for (let i = 0; i < copies; i += 1) {
      if (isOver()) peer.deliver(subscription, batch);
      else gateway.world.clock.after(random.below(60), () => peer.deliver(subscription, batch));
    }
  };
}

async function run(seed: number) {
  const random = new SeededRandom(seed);
  const clock = new VirtualClock();
  const world = new World(clock);
  const log = world.log();
  let isOver = false;
  for (const address of ["a:1", "b:1"]) {
    const gateway = world.gateway(address);
    gateway.script = misbehave(random, clock, () => isOver);
    scramble(gateway, random, () => isOver);
  }
  const client = world.client({ endpoints: ["a:1", "b:1"] });
  const got: number[] = [];
  client.subscribe("standup", {
    onMessage: ({ seq }) => {
      if (!isOver && random.chance(1, 5)) throw new Error("the handler has a bad day");
      got.push(seq);
    },
    onDeadLetter: ({ seq }) => void got.push(seq),
  });
  const producers = SENDERS.map((sender) => client.producer({ sender }));
  const outcomes = new Map<string, Promise<Outcome>>();
  for (let i = 0; i < SENDS; i += 1) {
    const at = i % producers.length;
    const text = `${SENDERS[at]}:${i}`;
    const abort = new AbortController();
    if (random.chance(1, 8)) clock.after(random.below(300), () => abort.abort());
    const deadlineMs = random.chance(1, 8) ? 1 + random.below(500) : 60_000;
    outcomes.set(text, (producers[at] as (typeof producers)[0]).send("standup", text, { signal: abort.signal, deadlineMs }));
    await clock.advance(random.below(20));
  }
  await clock.advance(3_000);
  isOver = true;
  const settled = new Map<string, Outcome>();
  for (const [text, pending] of outcomes) {
    const outcome = await clock.until(pending);
    settled.set(text, outcome.status === "unknown" ? await clock.until(client.resolve(outcome.retryKey)) : outcome);
  }
  // Something new, so that whoever waits for it asks again; then everything must be there.
  log.say("last");
  for (const peer of world.gateways.flatMap(({ peers }) => peers)) peer.push();
  await clock.advance(60_000);
  await clock.until(client.close());
  return { log, settled, got };
}

function expectTruth(log: ScriptedLog, settled: ReadonlyMap<string, Outcome>): void {
  for (const [text, outcome] of settled) {
    if (outcome.status === "committed") expect(log.texts[outcome.seq - 1]).toBe(text);
    else expect(log.texts).not.toContain(text);
    expect(outcome.status).not.toBe("unknown");
  }
}

describe("under faults of every kind", () => {
  it.each(Array.from({ length: 40 }, (_, seed) => seed + 1))(
    "outcomes are true, orders are kept, nothing is lost or handed over twice: seed %i [G1] [G3] [G4] [G6] [G7]",
    async (seed) => {
      const { log, settled, got } = await run(seed);
      expect(settled.size).toBe(SENDS);
      expectTruth(log, settled);
      const said = log.texts.filter((text) => text.includes(":"));
      expect(new Set(said).size).toBe(said.length);
      for (const sender of SENDERS) {
        const own = said.filter((text) => text.startsWith(sender)).map((text) => Number(text.split(":")[1]));
        expect(own).toEqual([...own].sort((a, b) => a - b));
      }
      expect(got).toEqual(log.texts.flatMap((text, i) => (text === "-" ? [] : [i + 1])));
    },
  );
});
