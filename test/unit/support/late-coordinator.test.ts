import { beforeEach, describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { MemoryCoordinator } from "../../../src/adapters/memory/coordinator.ts";
import type { Txn } from "../../../src/ports/coordinator.ts";
import { LateCoordinator } from "../../support/late-coordinator.ts";

const put = (key: string): Txn => ({ puts: [{ key, value: new Uint8Array() }] });
const writes = (txn: Txn) => txn.puts !== undefined;

describe("a late coordinator", () => {
  let clock: VirtualClock;
  let shared: MemoryCoordinator;
  let node: LateCoordinator;
  let other: LateCoordinator;

  beforeEach(() => {
    clock = new VirtualClock();
    shared = new MemoryCoordinator({ clock });
    node = new LateCoordinator(shared, clock);
    other = new LateCoordinator(shared, clock);
  });

  const keys = async () => {
    const answer = await shared.txn({ ranges: [{ prefix: "", limit: 10 }] });
    return answer.status === "applied" ? answer.ranges[0]?.kvs.map((kv) => kv.key) : answer;
  };

  it("loses exactly the ordered transactions, the first that fits each, and applies them when their time has come", async () => {
    const early = node.loseNext({ applyAfterMs: 300 }, { when: writes, answerAfterMs: 100 });
    const never = node.loseNext({ never: true }, { when: writes });
    expect((await node.txn({ ranges: [{ key: "a" }] })).status).toBe("applied");
    expect((await clock.until(node.txn(put("a")))).status).toBe("unknown");
    expect(clock.monotonicMs()).toBe(100);
    expect((await node.txn(put("b"))).status).toBe("unknown");
    expect((await node.txn(put("c"))).status).toBe("applied");
    expect(await keys()).toEqual(["c"]);
    expect((await clock.until(early.landed)).status).toBe("applied");
    expect(clock.monotonicMs()).toBe(300);
    await clock.advance(3_600_000);
    expect(await keys()).toEqual(["a", "c"]);
    expect(await never.sent).toEqual(put("b"));
    expect(() => never.land()).toThrow("never will");
  });

  it("cuts off one node alone: calls fail, nothing arrives, watches throw, until it is healed", async () => {
    const { lease } = await node.grant(60_000);
    const watch = node.watch("", 2)[Symbol.asyncIterator]();
    const next = watch.next();
    node.cut();
    await expect(next).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await expect(node.watch("", 2)[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(shared.watches).toBe(0);
    expect((await node.txn(put("a"))).status).toBe("unknown");
    for (const call of [node.grant(1), node.renew(lease), node.revoke(lease)]) {
      await expect(call).rejects.toMatchObject({ code: "UNAVAILABLE" });
    }
    expect((await other.txn(put("b"))).status).toBe("applied");
    node.heal();
    expect((await node.renew(lease)).ttlMs).toBe(60_000);
    expect(await keys()).toEqual(["b"]);
  });

  it("loses what was under way when it was cut: a request on its way does not arrive, an answer on its way is not given", async () => {
    node.delay({ requestMs: 100, answerMs: 100 });
    const arrived = node.txn(put("arrived"));
    await clock.advance(150);
    const underWay = node.txn(put("under-way"));
    node.cut();
    node.heal();
    expect((await clock.until(arrived)).status).toBe("unknown");
    expect((await clock.until(underWay)).status).toBe("unknown");
    expect(await keys()).toEqual(["arrived"]);
  });

  it("delays requests, answers and what watches show", async () => {
    node.delay({ requestMs: 20, answerMs: 30 });
    const watch = node.watch("", 2)[Symbol.asyncIterator]();
    const txn = node.txn(put("a"));
    await clock.advance(19);
    expect(await keys()).toEqual([]);
    await clock.until(txn);
    expect(clock.monotonicMs()).toBe(50);
    await clock.until(watch.next());
    expect(clock.monotonicMs()).toBe(50);
  });

  it("fails renewals before or after they take effect", async () => {
    const { lease } = await node.grant(1_000);
    node.renewals("unanswered");
    await clock.advance(900);
    await expect(node.renew(lease)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    await clock.advance(900);
    node.renewals("lost");
    await expect(node.renew(lease)).rejects.toMatchObject({ code: "UNAVAILABLE" });
    node.renewals("pass");
    expect((await node.renew(lease)).ttlMs).toBe(1_000);
    await clock.advance(1_000);
    expect((await node.renew(lease)).ttlMs).toBe(0);
  });

  it("changes the headers of all answers on order", async () => {
    await node.txn(put("a"));
    node.rewriteHeaders((header) => ({ ...header, term: header.term + 1 }));
    const { lease, header } = await node.grant(1_000);
    const watched = await node.watch("", 2)[Symbol.asyncIterator]().next();
    const terms = [header, (await node.renew(lease)).header, watched.value?.header].map((each) => each?.term);
    expect(terms).toEqual([2, 2, 2]);
    expect(await node.txn({})).toMatchObject({ header: { term: 2 } });
  });

  it("shows a test all transactions, what became of them and when, and lets it act at the very moment of sending", async () => {
    let inBetween = 0;
    node.observe((txn) => {
      if (writes(txn)) inBetween += 1;
    });
    await node.txn(put("a"));
    const held = node.loseNext({ held: true });
    await node.txn(put("b"));
    node.cut();
    await clock.advance(5);
    await node.txn(put("c"));
    expect(inBetween).toBe(3);
    expect(node.sent.map((sent) => [sent.course, sent.sentAtMs, sent.answer?.status])).toEqual([
      ["passed", 0, "applied"],
      ["lost", 0, undefined],
      ["cut", 5, undefined],
    ]);
    await held.land();
    expect(node.sent[1]?.answer?.status).toBe("applied");
  });
});
