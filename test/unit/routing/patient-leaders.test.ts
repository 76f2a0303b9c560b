import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import type { Fate, SubmitRun } from "../../../src/routing/leaders.ts";
import { PatientLeaders } from "../../../src/routing/patient-leaders.ts";
import { OwnLeaders } from "../../support/mesh.ts";
import { item, run } from "../../support/sends.ts";

/** Leaders of whom nobody leads until told. */
class AbsentLeaders extends OwnLeaders {
  absent = true;
  thrown = new MeridianError("UNAVAILABLE", "nobody leads");
  tries = 0;

  constructor() {
    super("a");
  }

  override async submit(submitted: SubmitRun): Promise<readonly Fate[]> {
    this.tries += 1;
    if (this.absent) throw this.thrown;
    return super.submit(submitted);
  }
}

function setUp() {
  const clock = new VirtualClock();
  const leaders = new AbsentLeaders();
  return { clock, leaders, patient: new PatientLeaders({ leaders, clock, random: new SeededRandom(1) }) };
}

describe("PatientLeaders", () => {
  it("wait for a leader, and notice it within a tenth of a second", async () => {
    const { clock, leaders, patient } = setUp();
    const sent = patient.submit(run(1, ["x"]));
    await clock.advance(3_000);
    leaders.absent = false;
    const appearedMs = clock.monotonicMs();
    expect(await clock.until(sent)).toMatchObject([{ kind: "placed", seq: 1 }]);
    expect(clock.monotonicMs() - appearedMs).toBeLessThanOrEqual(100);
  });

  it("let the runs of a producer go on in the order in which they came [G7]", async () => {
    const { clock, leaders, patient } = setUp();
    const sent: Promise<unknown>[] = [];
    for (let counter = 1; counter <= 50; counter += 1) {
      sent.push(patient.submit(run(counter, ["x"])));
      await clock.advance(20);
    }
    leaders.absent = false;
    sent.push(patient.submit(run(51, ["x"])));
    await clock.until(Promise.all(sent));
    expect(leaders.runs.map(({ firstCounter }) => firstCounter)).toEqual(Array.from({ length: 51 }, (_, at) => at + 1));
  });

  // Seed 1805796026: the first try stood in the log of a leader that died, the second found a damaged row, and a client that
  // had sent once took "damaged, never again" for "not accepted".
  it("never let what a try threw pass for a refusal: an earlier one may have been accepted [G6]", async () => {
    const { clock, leaders, patient } = setUp();
    const sent = patient.submit(run(1, ["x"]));
    await clock.advance(1_000);
    leaders.thrown = new MeridianError("CORRUPT", "a row is damaged", { advice: "Mend it.", details: { seq: "7" } });
    const expected = { code: "UNAVAILABLE", retry: "backoff", advice: "Mend it.", details: { seq: "7" } };
    await expect(clock.until(sent)).rejects.toMatchObject(expected);
    await expect(clock.until(patient.submit(run(2, ["x"])))).rejects.toMatchObject(expected);
  });

  it("ask for all that wait together, and not once for each of them", async () => {
    const { clock, leaders, patient } = setUp();
    const sent = [1, 2, 3, 4].map((counter) => patient.submit(run(counter, ["x"])));
    await clock.advance(1_000);
    const pauses = leaders.tries / sent.length;
    expect(pauses).toBeLessThan(60);
    leaders.absent = false;
    await clock.until(Promise.all(sent));
  });

  it("tell the caller after a while that there is none [G9]", async () => {
    const { clock, patient } = setUp();
    const sent = patient.submit(run(1, ["x"]));
    await expect(clock.until(sent)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(clock.monotonicMs()).toBeGreaterThanOrEqual(LIMITS.leaderWaitMs);
    expect(clock.monotonicMs()).toBeLessThan(LIMITS.leaderWaitMs + 200);
  });

  it("try a message only once that nobody would recognise as a repeat [G3]", async () => {
    const { leaders, patient } = setUp();
    await expect(patient.submit(run(0, ["x"], { producer: 0n }))).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(leaders.tries).toBe(1);
  });

  it("repeat a keyed one, which is recognised [G3]", async () => {
    const { clock, leaders, patient } = setUp();
    const sent = patient.submit(run(0, [item("x", { key: "k" })], { producer: 0n }));
    await clock.advance(500);
    leaders.absent = false;
    expect(await clock.until(sent)).toMatchObject([{ kind: "placed" }]);
    expect(leaders.tries).toBeGreaterThan(1);
  });

  it("pass on at once what waiting does not mend", async () => {
    const { leaders, patient } = setUp();
    leaders.absent = false;
    leaders.elsewhere.set("standup", "");
    await expect(patient.submit(run(1, ["x"]))).rejects.toMatchObject({ code: "NOT_LEADER" });
    await expect(patient.move("standup", "us")).rejects.toMatchObject({ code: "NOT_LEADER" });
  });
});
