import { describe, expect, it } from "vitest";
import { MeridianError } from "../../../src/kernel/errors.ts";
import { LIMITS } from "../../../src/kernel/limits.ts";
import type { Leadership } from "../../../src/routing/leaders.ts";
import { Router } from "../../../src/routing/router.ts";
import { OwnLeaders } from "../../support/mesh.ts";
import { run } from "../../support/sends.ts";
import { MemoryTelemetry } from "../../support/telemetry.ts";

const C = "standup";

/** Nodes a, b, c, …: each leads everything unless told otherwise. The router is a's, and believes that `located` leads. */
function setUp(located: string = "a") {
  const nodes = new Map([..."abcdefgh"].map((name) => [name, new OwnLeaders(name)]));
  const state: { located: string | undefined } = { located };
  const local = nodes.get("a") as OwnLeaders;
  const router = new Router({
    address: "a",
    local,
    peers: { at: (address): Leadership | undefined => (address === "a" ? undefined : nodes.get(address)) },
    locate: () => (state.located === undefined ? { home: "eu" } : { home: "eu", leader: state.located }),
    telemetry: new MemoryTelemetry(),
  });
  const at = (name: string) => nodes.get(name) as OwnLeaders;
  /** Each of these says that the next one leads. */
  const chain = (...names: readonly string[]) => {
    for (const [i, name] of names.entries()) at(name).elsewhere.set(C, names[i + 1] ?? "");
    at(names.at(-1) ?? "").elsewhere.delete(C);
  };
  return {
    router,
    state,
    local,
    at,
    chain,
    asked: () => [...nodes].flatMap(([name, { asked }]) => (asked > 0 ? [`${name}${asked}`] : [])),
  };
}

describe("Router", () => {
  it("gives this node's conversations to its own leaders, and others to theirs", async () => {
    const { router, state, local, at } = setUp();
    expect(await router.submit(run(1, ["x"]))).toMatchObject([{ kind: "placed", seq: 1 }]);
    expect(local.runs).toHaveLength(1);
    state.located = "b";
    expect(await router.submit(run(1, ["x"]))).toMatchObject([{ kind: "placed", seq: 1 }]);
    expect(at("b").runs).toHaveLength(1);
    expect(await router.describe(C)).toMatchObject({ node: "b" });
    expect(await router.move(C, "us")).toBe(8n);
    expect(at("b").moves).toEqual(["standup to us"]);
  });

  it("asks before anything is awaited, so that a producer's runs leave in their order [G7]", async () => {
    const { router, at } = setUp("b");
    const sent = [1, 2, 3, 4, 5].map((counter) => router.submit(run(counter, ["x"])));
    expect(at("b").runs.map(({ firstCounter }) => firstCounter)).toEqual([1, 2, 3, 4, 5]);
    await Promise.all(sent);
  });

  it("follows hints, up to four hops", async () => {
    const { router, chain, asked } = setUp();
    chain("a", "b", "c", "d", "e");
    expect(await router.submit(run(1, ["x"]))).toMatchObject([{ kind: "placed" }]);
    expect(asked()).toEqual(["a1", "b1", "c1", "d1", "e1"]);
  });

  it("gives up after the fourth hop", async () => {
    const { router, chain, asked } = setUp();
    chain("a", "b", "c", "d", "e", "f");
    await expect(router.submit(run(1, ["x"]))).rejects.toMatchObject({ code: "UNAVAILABLE", retry: "backoff" });
    expect(asked()).toEqual(["a1", "b1", "c1", "d1", "e1"]);
  });

  it("gives up when hints go round in a circle", async () => {
    const { router, at, asked } = setUp("b");
    at("b").elsewhere.set(C, "a");
    at("a").elsewhere.set(C, "b");
    await expect(router.attach(C, { batch: () => {}, end: () => {} })).rejects.toMatchObject({ code: "UNAVAILABLE" });
    expect(asked()).toEqual(["a2", "b3"]);
    expect(LIMITS.leaderHops).toBe(4);
  });

  it("answers UNAVAILABLE, to be tried again, while nobody is known to lead", async () => {
    const { router, state, at } = setUp();
    state.located = undefined;
    await expect(router.submit(run(1, ["x"]))).rejects.toMatchObject({ code: "UNAVAILABLE", retry: "backoff" });
    state.located = "b";
    at("b").elsewhere.set(C, "");
    await expect(router.submit(run(1, ["x"]))).rejects.toMatchObject({ code: "UNAVAILABLE", retry: "backoff" });
    state.located = "nobody";
    await expect(router.submit(run(1, ["x"]))).rejects.toMatchObject({ code: "UNAVAILABLE" });
  });

  it("remembers a hint that was better than its own view", async () => {
    const { router, chain, asked } = setUp("b");
    chain("b", "c");
    await router.submit(run(1, ["x"]));
    await router.submit(run(2, ["x"]));
    expect(asked()).toEqual(["b1", "c2"]);
  });

  it("forgets a hint that leads to an error, and then goes by its own view again", async () => {
    const { router, at, chain, asked } = setUp("b");
    chain("b", "c");
    await router.submit(run(1, ["x"]));
    at("c").beforeAttach = async () => {
      throw new MeridianError("UNAVAILABLE", "c is stopping");
    };
    const listener = { batch: () => {}, end: () => {} };
    await expect(router.attach(C, listener)).rejects.toMatchObject({ message: "c is stopping" });
    at("b").elsewhere.delete(C);
    await router.attach(C, listener);
    expect(asked()).toEqual(["b2", "c2"]);
  });

  it("keeps a hint whose leader merely has too much to do", async () => {
    const { router, at, chain, asked } = setUp("b");
    chain("b", "c");
    await router.submit(run(1, ["x"]));
    at("c").hold = true;
    const waiting = router.submit(run(2, ["x"]));
    at("c").held[0]?.answer.reject(new MeridianError("OVERLOADED", "too much"));
    await expect(waiting).rejects.toMatchObject({ code: "OVERLOADED" });
    at("c").hold = false;
    await router.submit(run(2, ["x"]));
    expect(asked()).toEqual(["b1", "c3"]);
  });

  it("comes back to this node when a hint says so", async () => {
    const { router, at, local } = setUp("b");
    at("b").elsewhere.set(C, "a");
    await router.submit(run(1, ["x"]));
    await router.submit(run(2, ["x"]));
    expect(local.runs).toHaveLength(2);
    expect(at("b").asked).toBe(1);
  });

  it("passes on what this node has verified of the conversation [R6]", async () => {
    const { router, at } = setUp("b");
    const known = { seq: 3, hash: "a".repeat(32) };
    await router.attach(C, { batch: () => {}, end: () => {} }, known);
    expect(at("b").known).toEqual([known]);
  });
});
