import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { Prober } from "../../../src/client/prober.ts";
import { RegionChoice } from "../../../src/client/region-choice.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import { type ScriptedGateway, World } from "./scripted-gateway.ts";

describe("Prober", () => {
  let clock: VirtualClock;
  let world: World;
  let near: ScriptedGateway;
  let far: ScriptedGateway;
  let choice: RegionChoice;
  let measurements: number;

  beforeEach(() => {
    clock = new VirtualClock();
    world = new World(clock);
    world.distanceMs.set("near", 10).set("far", 100);
    [near, far] = [world.gateway("near:1"), world.gateway("far:1")];
    choice = new RegionChoice(["far:1", "near:1"]);
    measurements = 0;
  });

  const probe = () => {
    const network = world.network.from("client");
    return new Prober({
      clock,
      random: new SeededRandom(3),
      channel: (endpoint) => network.channel(endpoint),
      choice,
      onMeasured: () => {
        measurements += 1;
      },
      report: (what, error) => {
        throw new Error(what, { cause: error });
      },
    });
  };
  /** How long `first` takes. */
  const firstMs = async () => {
    const prober = probe();
    const startMs = clock.monotonicMs();
    await clock.until(prober.first);
    return clock.monotonicMs() - startMs;
  };

  it("asks all at once, each a few times in a row, and then every few seconds", async () => {
    probe();
    await clock.advance(1_000);
    expect([near.probes, far.probes]).toEqual([LIMITS.probesAtStart, LIMITS.probesAtStart]);
    expect([choice.rttMs("near:1"), choice.rttMs("far:1"), measurements]).toEqual([20, 200, 2 * LIMITS.probesAtStart]);
    await clock.advance(100 * LIMITS.probeMs);
    expect(near.probes).toBeGreaterThan(95);
    expect(near.probes).toBeLessThan(105);
  });

  it("spreads the probes of an endpoint over time", async () => {
    probe();
    const atMs: number[] = [];
    for (let before = 0; clock.monotonicMs() < 60_000; await clock.advance(10)) {
      if (near.probes !== before) atMs.push(clock.monotonicMs());
      before = near.probes;
    }
    const pauses = atMs.slice(1).map((ms, i) => ms - (atMs[i] ?? 0));
    expect(new Set(pauses.slice(LIMITS.probesAtStart)).size).toBeGreaterThan(5);
  });

  it.each<[string, () => void, number]>([
    ["the first that answers", () => {}, 20],
    ["the first that answers and serves", () => stopServing(near), 200],
    ["all, if none serves", () => stopServing(near, far), 200],
    ["all, if nobody listens", () => [near.close(), far.close()], 200],
    ["the deadline, if one is cut off", () => [stopServing(far), world.network.cut("client", "near")], LIMITS.probeAnswerMs],
  ])("knows enough for a beginning after %s [G9]", async (_which, given, expectedMs) => {
    given();
    expect(await firstMs()).toBe(expectedMs);
  });

  const stopServing = (...gateways: readonly ScriptedGateway[]) => {
    for (const gateway of gateways) gateway.serving = false;
  };

  it("finds out who is out of reach, and who is there again, without holding up the others", async () => {
    probe();
    await clock.advance(1_000);
    world.network.cut("client", "far");
    await clock.advance(2 * LIMITS.probeMs);
    expect([choice.rttMs("near:1"), choice.rttMs("far:1")]).toEqual([20, undefined]);
    world.network.heal("client", "far");
    await clock.advance(2 * LIMITS.probeMs);
    expect([choice.rttMs("near:1"), choice.rttMs("far:1")]).toEqual([20, 200]);
  });

  it("asks all at once when it is hurried", async () => {
    const prober = probe();
    await clock.advance(1_000);
    prober.hurry();
    await clock.advance(200);
    expect([near.probes, far.probes]).toEqual([LIMITS.probesAtStart + 1, LIMITS.probesAtStart + 1]);
  });

  it("ends at once, while it asks or pauses, and whoever waits for the first answer with it", async () => {
    for (const afterMs of [5, 1_000]) {
      const prober = probe();
      await clock.advance(afterMs);
      const [startMs, before] = [clock.monotonicMs(), measurements];
      await clock.until(Promise.all([prober.close(), prober.first]));
      expect(clock.monotonicMs()).toBe(startMs);
      await clock.advance(60_000);
      expect(measurements).toBe(before);
    }
  });
});
