import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../sim/clock.ts";
import { SeededRandom } from "../../../sim/random.ts";
import { MemoryLogStore } from "../../../src/adapters/memory/log-store.ts";
import { CursorSaver, resetCursor } from "../../../src/gateway/cursors.ts";
import { Background } from "../../../src/kernel/background.ts";
import { Deferred } from "../../../src/kernel/deferred.ts";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import type { CursorKey, CursorPosition } from "../../../src/ports/log-store.ts";
import { CONVERSATION } from "../../support/chains.ts";
import { gatewayOf, TestSession, upTo } from "../../support/gateway.ts";

const KEY = { conversation: CONVERSATION, consumer: "reader" };

/** A store whose cursors are saved when, and as, the test says. */
class CursorStore extends MemoryLogStore {
  readonly saves: number[] = [];
  beforeSave: () => Promise<void> = async () => {};

  override async saveCursor(cursor: CursorKey, position: CursorPosition): Promise<void> {
    this.saves.push(position.seq);
    await this.beforeSave();
    await super.saveCursor(cursor, position);
  }
}

function saverOf(stored: CursorPosition = { generation: 0, seq: 0 }) {
  const clock = new VirtualClock();
  const store = new CursorStore();
  const said: (number | string)[] = [];
  const saver = new CursorSaver({
    store,
    key: KEY,
    stored,
    clock,
    random: new SeededRandom(1),
    background: new Background((what, error) => said.push(`${what}: ${error.message}`)),
    onSaved: (seq) => said.push(seq),
    onFailed: (error) => said.push(error.code),
  });
  return { clock, store, said, saver };
}

describe("CursorSaver", () => {
  it("has one save on its way, and of what comes meanwhile saves only the last [R11]", async () => {
    const { clock, store, said, saver } = saverOf({ generation: 4, seq: 0 });
    const stuck = new Deferred<void>();
    store.beforeSave = () => stuck.promise;
    for (let seq = 1; seq <= 100; seq += 1) saver.save(seq);
    await clock.advance(0);
    expect(store.saves).toEqual([1]);
    expect(said).toEqual([]);
    stuck.resolve();
    await clock.until(saver.settled());
    expect(store.saves).toEqual([1, 100]);
    expect(said).toEqual([1, 100]);
    expect(await store.loadCursor(KEY)).toEqual({ generation: 4, seq: 100 });
  });

  it("answers what is stored already without a save, and never goes back", async () => {
    const { clock, store, said, saver } = saverOf({ generation: 0, seq: 7 });
    saver.save(5);
    expect(said).toEqual([7]);
    saver.save(9);
    saver.save(8);
    await clock.until(saver.settled());
    expect(store.saves).toEqual([9]);
  });

  it("saves again what may have been lost, and says so when it gives up [G9]", async () => {
    const { clock, store, said, saver } = saverOf();
    let failures = 3;
    store.beforeSave = async () => {
      failures -= 1;
      if (failures >= 0) throw new MeridianError("UNAVAILABLE", "no quorum");
    };
    saver.save(5);
    await clock.until(saver.settled());
    expect(said).toEqual([5]);
    expect(store.saves).toEqual([5, 5, 5, 5]);
    failures = 1_000;
    saver.save(6);
    await clock.until(saver.settled());
    expect(said).toEqual([5, "UNAVAILABLE"]);
    expect(store.saves).toHaveLength(4 + LIMITS.readTries);
    failures = 0;
    saver.save(7);
    await clock.until(saver.settled());
    expect(said).toEqual([5, "UNAVAILABLE", 7]);
  });

  it("stops trying at once when it is given up", async () => {
    const { clock, store, said, saver } = saverOf();
    store.beforeSave = async () => {
      throw new MeridianError("UNAVAILABLE", "no quorum");
    };
    saver.save(5);
    await clock.advance(0);
    saver.giveUp();
    await clock.advance(0);
    expect(store.saves).toEqual([5, 5]);
    expect(said).toEqual(["UNAVAILABLE"]);
  });
});

describe("resetCursor", () => {
  it("begins a new generation, so that it can go back and former acknowledgements do not count [R11]", async () => {
    const store = new MemoryLogStore();
    expect(await resetCursor(store, KEY, 3)).toEqual({ generation: 1, seq: 3 });
    await store.saveCursor(KEY, { generation: 1, seq: 50 });
    expect(await resetCursor(store, KEY, 10)).toEqual({ generation: 2, seq: 10 });
    await store.saveCursor(KEY, { generation: 1, seq: 60 });
    expect(await store.loadCursor(KEY)).toEqual({ generation: 2, seq: 10 });
  });
});

describe("a consumer's subscription", () => {
  async function openSession(logged: number, store = new CursorStore()) {
    const gateway = gatewayOf({ store });
    for (let i = 1; i <= logged; i += 1) await gateway.leaders.commit(CONVERSATION, `text ${i}`);
    const session = new TestSession(gateway.channel);
    await gateway.clock.advance(0);
    const ended = () => session.all("subscriptionEnded").map(({ subscription, error }) => `${subscription} ${error?.code}`);
    return { ...gateway, store, session, ended };
  }
  const startAfter = (value: bigint) => ({ start: { case: "after", value } }) as const;
  const atHead = { start: { case: "atHead", value: true } } as const;

  it("begins at the cursor where that is further than the place asked for [G4, R11]", async () => {
    const { clock, store, session } = await openSession(9);
    await store.saveCursor(KEY, { generation: 2, seq: 4 });
    session.subscribe(1n, { consumer: "reader" });
    session.subscribe(2n, { consumer: "reader", ...startAfter(2n) });
    session.subscribe(3n, { consumer: "reader", ...atHead });
    session.subscribe(4n, { consumer: "reader", ...startAfter(6n) });
    session.subscribe(5n, { consumer: "other", ...startAfter(2n) });
    await clock.advance(0);
    for (const subscription of [1n, 2n, 3n]) expect(session.seqs(subscription)).toEqual(upTo(9, 5));
    expect(session.seqs(4n)).toEqual(upTo(9, 7));
    expect(session.seqs(5n)).toEqual(upTo(9, 3));
  });

  it("stores an acknowledgement under its generation before it says so [R11]", async () => {
    const { clock, store, session } = await openSession(5);
    await store.saveCursor(KEY, { generation: 2, seq: 1 });
    session.subscribe(1n, { consumer: "reader" });
    await clock.advance(0);
    const stuck = new Deferred<void>();
    store.beforeSave = () => stuck.promise;
    session.acknowledge(1n, 3);
    await clock.advance(1_000);
    expect(session.all("cursorSaved")).toEqual([]);
    stuck.resolve();
    await clock.advance(0);
    expect(session.all("cursorSaved")).toMatchObject([{ subscription: 1n, seq: 3n }]);
    expect(await store.loadCursor(KEY)).toEqual({ generation: 2, seq: 3 });
  });

  it("refuses an acknowledgement above what was delivered, and one without a consumer [R11]", async () => {
    const { clock, store, session, ended } = await openSession(5);
    session.subscribe(1n, { consumer: "reader", creditBytes: 1n });
    session.subscribe(2n);
    session.subscribe(3n, { consumer: "reader", creditBytes: 0n, ...startAfter(3n) });
    await clock.advance(0);
    session.acknowledge(3n, 3);
    await clock.advance(0);
    expect(ended()).toEqual([]);
    session.acknowledge(1n, 2);
    session.acknowledge(2n, 1);
    session.acknowledge(3n, 4);
    await clock.advance(0);
    expect(ended().sort()).toEqual(["1 INVALID_ARGUMENT", "2 INVALID_ARGUMENT", "3 INVALID_ARGUMENT"]);
    expect(store.saves).toEqual([3]);
  });

  it("keeps an acknowledgement above the head until the head has come there [R11]", async () => {
    const { clock, store, session, leaders, ended } = await openSession(5);
    session.subscribe(1n, { consumer: "reader", ...startAfter(8n) });
    await clock.advance(0);
    session.acknowledge(1n, 8);
    await clock.advance(1_000);
    await leaders.commit(CONVERSATION, "6", "7");
    await clock.advance(1_000);
    expect(store.saves).toEqual([]);
    await leaders.commit(CONVERSATION, "8");
    await clock.advance(0);
    expect(store.saves).toEqual([8]);
    expect(session.all("cursorSaved")).toMatchObject([{ subscription: 1n, seq: 8n }]);
    session.acknowledge(1n, 9);
    await clock.advance(0);
    expect(ended()).toEqual(["1 INVALID_ARGUMENT"]);
  });

  it("at the head has its place stored at once, for another head comes after a crash [G4]", async () => {
    const { clock, store, session, channel, leaders } = await openSession(5);
    session.subscribe(1n, { consumer: "reader", ...atHead });
    await clock.advance(0);
    expect(await store.loadCursor(KEY)).toEqual({ generation: 0, seq: 5 });
    await leaders.commit(CONVERSATION, "6");
    const again = new TestSession(channel);
    again.subscribe(1n, { consumer: "reader", ...atHead });
    await clock.advance(0);
    expect(again.seqs(1n)).toEqual([6]);
  });

  it("ends after its last acknowledgement is stored, and with the error if that cannot be", async () => {
    const { clock, store, session, ended } = await openSession(5);
    session.subscribe(1n, { consumer: "reader" });
    await clock.advance(0);
    const stuck = new Deferred<void>();
    store.beforeSave = () => stuck.promise;
    session.acknowledge(1n, 3);
    session.write({ case: "unsubscribe", value: { subscription: 1n } });
    await clock.advance(1_000);
    expect(ended()).toEqual([]);
    stuck.resolve();
    await clock.advance(0);
    expect(session.frames.slice(-2).map((frame) => frame.case)).toEqual(["cursorSaved", "subscriptionEnded"]);
    expect(ended()).toEqual(["1 undefined"]);

    session.subscribe(2n, { consumer: "reader" });
    await clock.advance(0);
    store.beforeSave = async () => {
      throw new MeridianError("UNAVAILABLE", "no quorum");
    };
    session.acknowledge(2n, 5);
    await clock.advance(60_000);
    expect(ended().at(-1)).toBe("2 UNAVAILABLE");
  });

  it("stores what was acknowledged last although the session ends at once", async () => {
    const { clock, store, session, service } = await openSession(5);
    session.subscribe(1n, { consumer: "reader" });
    await clock.advance(0);
    const stuck = new Deferred<void>();
    store.beforeSave = () => stuck.promise;
    session.acknowledge(1n, 2);
    session.acknowledge(1n, 4);
    await clock.advance(0);
    session.close();
    await clock.advance(0);
    stuck.resolve();
    await clock.advance(0);
    expect(await store.loadCursor(KEY)).toEqual({ generation: 0, seq: 4 });
    expect(service.sessions()).toBe(0);
  });

  it("ends with an error when its cursor cannot be loaded, or its name is none [G9]", async () => {
    const { clock, store, session, ended } = await openSession(5);
    store.loadCursor = () => new Promise(() => {});
    session.subscribe(1n, { consumer: "reader" });
    session.subscribe(2n, { consumer: "re\nader" });
    await clock.advance(LIMITS.callDeadlineMs);
    expect(ended().sort()).toEqual(["1 UNAVAILABLE", "2 INVALID_ARGUMENT"]);
  });
});
